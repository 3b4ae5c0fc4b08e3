package claims

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkTree reads a project tree of 2,000 configuration files of several
// formats that ask for 5,000 ports. The bar is 150 ms on two processors.
func BenchmarkTree(b *testing.B) {
	dir := b.TempDir()
	want := bigTree(b, dir)
	p := Place{FS: os.DirFS(dir)}
	b.ReportAllocs()
	for b.Loop() {
		found, gaps, err := Read(p)
		if err != nil || len(gaps) > 0 || len(found) != want {
			b.Fatalf("%d claims, want %d; gaps %v; %v", len(found), want, gaps, err)
		}
	}
}

// BenchmarkSystem reads the machine it runs on.
func BenchmarkSystem(b *testing.B) {
	p := machine()
	for b.Loop() {
		System(p)
	}
}

// bigTree writes the tree and returns how many claims it has.
func bigTree(b *testing.B, dir string) (claims int) {
	b.Helper()
	formats := []struct {
		base   string
		text   func(port int) string
		claims int
	}{
		{"httpd.conf", func(p int) string { return fmt.Sprintf("Listen %d\nListen %d\nListen %d\n", p, p+1, p+2) }, 3},
		{"nginx.conf", func(p int) string {
			return fmt.Sprintf("http {\n server { listen %d; listen %d; location / { proxy_pass http://x; } }\n server { listen %d; }\n}\n", p, p+1, p+2)
		}, 3},
		{"claims.yaml", func(p int) string {
			return fmt.Sprintf("claims:\n  - {name: a, port: %d}\n  - name: b\n    port: %d\n    address: 127.0.0.1\n  - {name: c, port: %d}\n  - {name: d, port: %d}\n", p, p+1, p+2, p+3)
		}, 4},
		{"haproxy.cfg", func(p int) string {
			return fmt.Sprintf("frontend a\n\tbind :%d\n\tbind :%d-%d\n", p, p+1, p+3)
		}, 4},
		{"redis.conf", func(p int) string { return fmt.Sprintf("bind 127.0.0.1\nport %d\n", p) }, 1},
		{"application.properties", func(p int) string { return fmt.Sprintf("server.port=%d\nmanagement.server.port=%d\n", p, p+1) }, 2},
		{"vsftpd.conf", func(p int) string { return fmt.Sprintf("listen=YES\nlisten_port=%d\n", p) }, 1},
		{"mosquitto.conf", func(p int) string { return fmt.Sprintf("listener %d 127.0.0.1\nlistener %d 127.0.0.1\n", p, p+1) }, 2},
	}
	for i := range 250 {
		sub := filepath.Join(dir, fmt.Sprintf("group%d", i/25), fmt.Sprintf("project%d", i))
		if err := os.MkdirAll(filepath.Join(sub, "src"), 0o755); err != nil {
			b.Fatal(err)
		}
		for j, format := range formats {
			text := format.text(2000 + 100*i + 10*j)
			if err := os.WriteFile(filepath.Join(sub, format.base), []byte(text), 0o644); err != nil {
				b.Fatal(err)
			}
			claims += format.claims
		}
	}
	return claims
}
