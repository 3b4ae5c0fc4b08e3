package guard

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/monban-dev/monban"
)

func TestParseSSH(t *testing.T) {
	for _, test := range []struct {
		text string
		want Session
	}{
		{"192.0.2.7 50000 192.0.2.1 22", Session{netip.MustParseAddrPort("192.0.2.7:50000"), netip.MustParseAddrPort("192.0.2.1:22")}},
		{"::ffff:192.0.2.7 1 ::1 2222", Session{netip.MustParseAddrPort("192.0.2.7:1"), netip.MustParseAddrPort("[::1]:2222")}},
		{"fe80::1%eth0 1 fe80::2%eth0 22", Session{netip.MustParseAddrPort("[fe80::1]:1"), netip.MustParseAddrPort("[fe80::2]:22")}},
	} {
		if got, ok := parseSSH(test.text); !ok || got != test.want {
			t.Errorf("%s: %+v %v", test.text, got, ok)
		}
	}
	for _, text := range []string{"", "a b c d", "192.0.2.7 1 192.0.2.1", "192.0.2.7 70000 192.0.2.1 22"} {
		if got, ok := parseSSH(text); ok {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func TestProcAddr(t *testing.T) {
	if !littleEndian() {
		t.Skip("the texts are those of a little-endian machine")
	}
	for text, want := range map[string]string{
		"0100007F:0016":                         "127.0.0.1:22",
		"0000000000000000FFFF00000200A8C0:01BB": "192.168.0.2:443",
		"B80D0120000000000000000001000000:1F90": "[2001:db8::1]:8080",
	} {
		if got, ok := procAddr(text); !ok || got.String() != want {
			t.Errorf("%s: %s %v, want %s", text, got, ok, want)
		}
	}
	if got, ok := procAddr("01:zz"); ok {
		t.Error(got)
	}
}

func TestTrusted(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a", "policy")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		change string
		mode   os.FileMode
		bad    bool
	}{{path, 0o600, false}, {path, 0o644, false}, {path, 0o620, true}, {path, 0o602, true}, {path, 0o600, false},
		{filepath.Dir(path), 0o777, true}, {filepath.Dir(path), 0o777 | os.ModeSticky, false}, {filepath.Dir(path), 0o700, false}} {
		if err := os.Chmod(test.change, test.mode); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{path, link} {
			var e *UntrustedError
			if err := Trusted(name); errors.As(err, &e) != test.bad || err != nil && e.Path != test.change {
				t.Errorf("%s of mode %v: %v", test.change, test.mode, err)
			}
		}
	}
}

func TestStore(t *testing.T) {
	s := Store{Dir: filepath.Join(t.TempDir(), "lib"), Run: t.TempDir()}
	if r, err := s.Saved(); r != nil || err != nil {
		t.Fatalf("%+v %v", r, err)
	}
	want := &Record{Monban: 1, At: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC), File: "/etc/monban/monban.yaml",
		Policy: monban.Policy{Doors: []monban.PolicyDoor{{Ports: monban.PortRange{First: 22, Last: 22, Proto: monban.TCP}, Limit: monban.Rate{N: 5, Per: time.Hour},
			To: []monban.Audience{{Kind: monban.ByName, Name: "x.example", Ranges: []monban.AddrRange{monban.RangeOf(netip.MustParsePrefix("10.0.0.0/8"))}}}}}}}
	p, err := prepare(s.SavedFile(), want)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := s.Saved(); r != nil || err != nil {
		t.Fatalf("it counts before it has its name: %+v %v", r, err)
	}
	if err := p.commit(); err != nil {
		t.Fatal(err)
	}
	// A run that was killed before has left what nobody needs.
	if _, err := prepare(s.SavedFile(), want); err != nil {
		t.Fatal(err)
	}
	last, err := prepare(s.SavedFile(), want)
	if err != nil {
		t.Fatal(err)
	}
	last.drop()
	if list, err := os.ReadDir(s.Dir); err != nil || len(list) != 1 {
		t.Errorf("there are %v, %v", list, err)
	}
	got, err := s.Saved()
	if err != nil {
		t.Fatal(err)
	}
	if got.Policy.Doors[0].To[0].String() != "name:x.example" || got.Policy.Doors[0].Limit != want.Policy.Doors[0].Limit ||
		got.Policy.Doors[0].To[0].Ranges[0] != want.Policy.Doors[0].To[0].Ranges[0] || !got.At.Equal(want.At) {
		t.Errorf("%+v", got)
	}
	if info, err := os.Stat(s.SavedFile()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	if err := os.Chmod(s.SavedFile(), 0o666); err != nil {
		t.Fatal(err)
	}
	var e *UntrustedError
	if _, err := s.Saved(); !errors.As(err, &e) {
		t.Errorf("a file that others may write: %v", err)
	}
}

// TestBoot switches the loading on and off on a made-up machine of each kind.
func TestBoot(t *testing.T) {
	for _, test := range []struct {
		dir  string
		want Manager
		file string
	}{{"run/systemd/system", Systemd, "etc/systemd/system/sysinit.target.wants/monban-guard.service"}, {"run/openrc", OpenRC, "etc/runlevels/boot/monban-guard"}, {"run", NoManager, ""}} {
		root := t.TempDir()
		for _, d := range []string{test.dir, "etc/systemd/system", "etc/init.d"} {
			if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		program := filepath.Join(root, "monban")
		if err := os.WriteFile(program, nil, 0o755); err != nil {
			t.Fatal(err)
		}
		b := Boot{Root: root, Program: program}
		m, err := b.Install()
		if err != nil || m != test.want || b.Installed() != (m != NoManager) {
			t.Errorf("%s: %s %v, installed %v", test.dir, m, err, b.Installed())
		}
		if _, err := os.Lstat(filepath.Join(root, test.file)); err != nil {
			t.Error(err)
		}
		if _, err := b.Install(); err != nil {
			t.Errorf("%s, again: %v", test.dir, err)
		}
		if err := os.Rename(program, program+".old"); err != nil {
			t.Fatal(err)
		}
		if b.Installed() {
			t.Errorf("%s: the program that is to be started is gone", test.dir)
		}
		if err := os.Rename(program+".old", program); err != nil {
			t.Fatal(err)
		}
		if err := b.Remove(); err != nil || b.Installed() {
			t.Errorf("%s: %v, still installed %v", test.dir, err, b.Installed())
		}
		if err := os.Chmod(program, 0o777); err != nil {
			t.Fatal(err)
		}
		var e *UntrustedError
		if _, err := b.Install(); test.want != NoManager && !errors.As(err, &e) {
			t.Errorf("%s: a program that others may write: %v", test.dir, err)
		}
	}
}
