package integration

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/claims"
	"github.com/monban-dev/monban/internal/move"
	"github.com/monban-dev/monban/internal/netnstest"
)

// TestMoveRewrite: sshd itself says of random configurations that they open what
// they opened and the same at the new port, and then the new port alone.
func TestMoveRewrite(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "sshd")
	netnstest.Need(t, "ssh-keygen")
	r := newRoom(t, true)
	r.run("mkdir", "-p", "/run/sshd")
	key := filepath.Join(r.dir, "key")
	r.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
	// Answers of sshd: where it would listen, nil where it would not start.
	listens := func(config string) []string {
		t.Helper()
		out, err := r.command("root", "/usr/sbin/sshd", "-T", "-f", config).Output()
		if _, refused := errors.AsType[*exec.ExitError](err); refused {
			return nil
		} else if err != nil {
			t.Fatal(err)
		}
		var list []string
		for line := range bytes.Lines(out) {
			if at, ok := strings.CutPrefix(string(line), "listenaddress "); ok {
				list = append(list, strings.TrimSpace(at))
			}
		}
		slices.Sort(list)
		return slices.Compact(list)
	}
	seed := chance(t)
	rng := rand.New(rand.NewPCG(seed, 0))
	moved, refused := 0, 0
	for i := range 150 {
		dir := filepath.Join(r.dir, fmt.Sprint("c", i))
		if err := os.MkdirAll(filepath.Join(dir, "d"), 0o755); err != nil {
			t.Fatal(err)
		}
		main := filepath.Join(dir, "sshd_config")
		files := map[string]string{main: "HostKey " + key + "\n" + someLines(rng, dir, true)}
		for n := range rng.IntN(3) {
			files[filepath.Join(dir, "d", fmt.Sprintf("%d0.conf", n))] = someLines(rng, dir, false)
		}
		for name, text := range files {
			if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		before := listens(main)
		if !slices.ContainsFunc(before, func(at string) bool { return strings.HasSuffix(at, ":22") }) ||
			slices.ContainsFunc(before, func(at string) bool { return strings.HasSuffix(at, ":1011") }) {
			continue // it would not start, or is no SSH at 22
		}
		found, _, err := claims.Read(claims.Place{FS: os.DirFS("/"), Root: "/"}, strings.TrimPrefix(main, "/"))
		if err != nil {
			t.Fatal(err)
		}
		changed, err := move.Rewrite(main, found, 22, 1011, os.ReadFile)
		if err != nil {
			refused++
			continue
		}
		moved++
		var both, after []string
		for _, at := range before {
			both = append(both, at)
			if host, ok := strings.CutSuffix(at, ":22"); ok {
				at = host + ":1011"
				both = append(both, at)
			}
			after = append(after, at)
		}
		for _, state := range []struct {
			name string
			want []string
			data func(*move.File) []byte
		}{
			{"both", both, func(f *move.File) []byte { return f.Both }}, {"after", after, func(f *move.File) []byte { return f.After }},
		} {
			for k := range changed {
				if err := os.WriteFile(changed[k].Path, state.data(&changed[k]), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			slices.Sort(state.want)
			if got := listens(main); !slices.Equal(got, slices.Compact(state.want)) {
				now, _ := exec.Command("grep", "-rn", "", dir).Output()
				t.Fatalf("%s: sshd says %q, want %q\nfrom %q\n%s\nclaims %+v", state.name, got, state.want, files, now, ports(found))
			}
		}
	}
	t.Logf("%d moved, %d refused", moved, refused)
	if moved < 40 || refused > moved/2 {
		t.Errorf("of the configurations %d were moved and %d refused", moved, refused)
	}
}

func ports(list []monban.Claim) (out []string) {
	for _, c := range list {
		out = append(out, fmt.Sprintf("%s %s default %v", c.Bind.Port, c.Pos, c.Default))
	}
	return out
}

// someLines are lines of sshd_config; those of the main file may include the others,
// also from inside a Match block.
func someLines(rng *rand.Rand, dir string, main bool) string {
	one := func(list ...string) string { return list[rng.IntN(len(list))] }
	var b strings.Builder
	end := one("\n", "\n", "\n", "\r\n")
	line := func(text string) { b.WriteString(one("", "", "  ", "\t") + text + one("", "", "", " ") + end) }
	for range rng.IntN(6) {
		port := one("22", "22", "22", "2200", strconv.Itoa(1024+rng.IntN(60000)))
		switch rng.IntN(9) {
		case 0, 1:
			line(one("Port ", "port\t", "PORT=", "Port = ") + port + one("", "", " # ours"))
		case 2:
			line("ListenAddress " + one("127.0.0.1:", "[::1]:", "0.0.0.0:") + port)
		case 3:
			line("ListenAddress " + one("127.0.0.1", "::1", "0.0.0.0"))
		case 4:
			line("AddressFamily " + one("any", "inet"))
		case 5:
			line("# Port 22")
		case 6:
			line(one("PermitRootLogin no", "X11Forwarding no", "Subsystem sftp /bin/false"))
		case 7:
			if main {
				line("Include " + dir + "/d/" + one("*.conf", "00.conf", "none*.conf"))
			}
		case 8:
			if rng.IntN(3) == 0 {
				line("Match " + one("User nobody", "all", "Address 192.0.2.0/24"))
				line("X11Forwarding no")
			}
		}
	}
	text := b.String()
	if rng.IntN(4) == 0 {
		text = strings.TrimRight(text, "\r\n") // no end of the last line
	}
	return text
}
