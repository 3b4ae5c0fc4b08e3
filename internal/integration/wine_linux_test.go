package integration

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/monban-dev/monban/internal/netnstest"
)

// TestWine runs the Windows program under Wine. Wine's iphlpapi knows the ports
// of TCP listeners, but not the processes behind them (it says 0), and of UDP
// nothing: this proves that the program starts, reads the tables it is given and
// invents no owner.
func TestWine(t *testing.T) {
	t.Parallel()
	r := newRoom(t, true)
	r.fixture("root", "doors", "tcp:0.0.0.0:80", "tcp:127.0.0.1:8080", "tcp:[::1]:8081")
	w := newWine(r)

	e := parse(t, w.monban("--json"))
	for _, port := range []int{80, 8080, 8081} {
		doors := e.find("tcp", port)
		if len(doors) != 1 || doors[0].State != "listen" {
			t.Errorf("port %d: %v, want one that listens", port, doors)
			continue
		}
		if n := len(doors[0].Owners); n != 0 {
			t.Errorf("port %d: %d owners invented: %+v", port, n, doors[0].Owners)
		}
	}
	if d := e.find("tcp", 80); len(d) == 1 && (d[0].Address != "0.0.0.0" || d[0].Assigned != "http" || d[0].Class != "well-known") {
		t.Errorf("port 80: %+v", d[0])
	}
	if !e.hasGap("processes", "3 doors") {
		t.Errorf("owners without names are no gap: %+v", e.Gaps)
	}

	one := parse(t, w.monban("80", "--json"))
	if len(one.Data.Ports) != 1 || len(one.Data.Ports[0].Doors) != 1 {
		t.Errorf("monban.exe 80: %+v", one.Data)
	}
	for _, args := range [][]string{{}, {"80"}, {"version"}} {
		if out := w.monban(args...); len(bytes.TrimSpace(out)) == 0 {
			t.Errorf("monban.exe %s says nothing", strings.Join(args, " "))
		}
	}
}

// wine runs monban.exe in a room.
type wine struct {
	r         *room
	loader    string
	directory string
}

func newWine(r *room) *wine {
	r.t.Helper()
	w := &wine{r: r, directory: r.subdir("windows", "root"), loader: netnstest.Need(r.t, "wine64")}
	compiler := netnstest.Need(r.t, "x86_64-w64-mingw32-gcc")
	// Go loads it from nowhere else. Wine fills in the rest at its first start.
	system := filepath.Join(w.directory, "prefix", "drive_c", "windows", "system32")
	if err := os.MkdirAll(system, 0o755); err != nil {
		r.t.Fatal(err)
	}
	library := filepath.Join(system, "bcryptprimitives.dll")
	cc := exec.Command(compiler, "-shared", "-O2", "-o", library, filepath.Join("testdata", "prng.c"), "-ladvapi32")
	if out, err := cc.CombinedOutput(); err != nil {
		r.t.Fatalf("%s: %v\n%s", cc, err, out)
	}
	exe, err := os.ReadFile(program(r.t, "monban.exe"))
	if err != nil {
		r.t.Fatal(err)
	}
	r.file("windows/monban.exe", string(exe))
	return w
}

// monban runs monban.exe and returns what it wrote to standard output. Wine
// writes what it likes to standard error.
func (w *wine) monban(args ...string) []byte {
	w.r.t.Helper()
	cmd := w.r.command("root", w.loader, append([]string{filepath.Join(w.directory, "monban.exe")}, args...)...)
	cmd.Env = append(cmd.Env, "WINEPREFIX="+filepath.Join(w.directory, "prefix"), "HOME="+w.directory,
		"WINEDEBUG=-all", "WINEDLLOVERRIDES=mscoree,mshtml=")
	// Wine's server outlives the program and keeps these open: a pipe would not
	// end.
	stdout, stderr := w.create("stdout"), w.create("stderr")
	defer stdout.Close()
	defer stderr.Close()
	cmd.Stdout, cmd.Stderr = stdout, stderr
	failed := cmd.Run()
	out, err := os.ReadFile(stdout.Name())
	if failed != nil || err != nil {
		said, _ := os.ReadFile(stderr.Name())
		w.r.t.Fatalf("monban.exe %s: %v %v\n%s%s", strings.Join(args, " "), failed, err, out, said)
	}
	return out
}

func (w *wine) create(name string) *os.File {
	w.r.t.Helper()
	f, err := os.Create(filepath.Join(w.directory, name))
	if err != nil {
		w.r.t.Fatal(err)
	}
	return f
}
