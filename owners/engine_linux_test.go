package owners

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/netnstest"
)

// fakeEngine listens as an engine in this process and gives everybody the same
// answer.
func fakeEngine(t testing.TB, answer string) engine {
	t.Helper()
	path := filepath.Join(t.TempDir(), "docker.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go serveEngine(l, answer)
	return engine{"docker", path, os.Geteuid()}
}

func TestContainersFake(t *testing.T) {
	e := fakeEngine(t, head+answerOf)
	list, gaps := askAll(t.Context(), []engine{e}, awake)()
	if len(gaps) != 0 || len(list) != 1 || list[0].ID != id1 || list[0].Name != "shop-web-1" || len(list[0].Published) != 4 {
		t.Errorf("%+v, gaps %+v", list, gaps)
	}
	// A second path to the same socket is not a second engine.
	other := filepath.Join(t.TempDir(), "docker.sock")
	if err := os.Symlink(e.path, other); err != nil {
		t.Fatal(err)
	}
	list, gaps = askAll(t.Context(), []engine{e, {"podman", other, os.Geteuid()}}, awake)()
	if len(gaps) != 0 || len(list) != 1 {
		t.Errorf("%+v, gaps %+v", list, gaps)
	}
}

func TestContainersHostile(t *testing.T) {
	for name, answer := range map[string]string{"nothing": "", "half": (head + answerOf)[:200], "an error": "HTTP/1.0 500 no\r\n\r\n"} {
		list, gaps := askAll(t.Context(), []engine{fakeEngine(t, answer)}, awake)()
		if len(list) != 0 || len(gaps) != 1 || gaps[0].Hides != monban.HidesContainers || gaps[0].Source != "docker" {
			t.Errorf("%s: %+v, gaps %+v", name, list, gaps)
		}
	}
}

func TestContainersSilent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "docker.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // and never accepts
	before := time.Now()
	list, gaps := askAll(t.Context(), []engine{{"docker", path, os.Geteuid()}}, awake)()
	if len(list) != 0 || len(gaps) != 1 || !strings.Contains(gaps[0].Err, errSlow.Error()) {
		t.Errorf("%+v, gaps %+v", list, gaps)
	}
	if took := time.Since(before); took < engineTimeout/2 || took > time.Minute {
		t.Errorf("took %v, the bound is %v", took, engineTimeout)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, gaps := askAll(ctx, []engine{{"docker", path, os.Geteuid()}}, awake)(); len(gaps) != 1 {
		t.Errorf("cancelled: gaps %+v", gaps)
	}
}

func TestContainersAbsent(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	list, gaps := askAll(t.Context(), []engine{{"docker", filepath.Join(dir, "none"), 0}, {"docker", file + "/docker.sock", 0}}, awake)()
	if len(list) != 0 || len(gaps) != 0 {
		t.Errorf("%+v, gaps %+v", list, gaps)
	}
}

func TestContainersNotASocket(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	e := fakeEngine(t, head+"[]")
	link := filepath.Join(dir, "link")
	if err := os.Symlink(e.path, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, link, dir} {
		if _, gaps := askAll(t.Context(), []engine{{"docker", path, os.Geteuid()}}, awake)(); len(gaps) != 1 || !strings.Contains(gaps[0].Err, "not a socket") {
			t.Errorf("%s: gaps %+v", path, gaps)
		}
	}
}

func TestContainersStale(t *testing.T) {
	// The socket of a daemon that was killed.
	path := filepath.Join(t.TempDir(), "docker.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	list, gaps := askAll(t.Context(), []engine{{"docker", path, os.Geteuid()}}, awake)()
	if len(list) != 0 || len(gaps) != 1 || !strings.Contains(gaps[0].Err, errNobody.Error()) {
		t.Errorf("%+v, gaps %+v", list, gaps)
	}
}

// TestContainersAsleep has a service manager listen for the engine: nobody must
// connect.
func TestContainersAsleep(t *testing.T) {
	dir := t.TempDir()
	systemd := copySelf(t, dir, "systemd")
	path := filepath.Join(dir, "docker.sock")
	h := start(t, "unix", func(c *exec.Cmd) { c.Path = systemd }, path)
	h.words()
	list, gaps := askAll(t.Context(), []engine{{"docker", path, os.Geteuid()}}, awake)()
	if len(list) != 0 || len(gaps) != 1 || !strings.Contains(gaps[0].Err, errAsleep.Error()) {
		t.Errorf("%+v, gaps %+v", list, gaps)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "test")
	if got := h.words(); !slices.Equal(got, []string{"1", "test"}) {
		t.Errorf("the first to connect is %q, want the test itself", got)
	}
}

func TestContainersActivated(t *testing.T) {
	// The manager listens still, and the daemon it has started listens too.
	dir := t.TempDir()
	systemd, dockerd := copySelf(t, dir, "systemd"), copySelf(t, dir, "dockerd")
	path := filepath.Join(dir, "docker.sock")
	h := start(t, "unix", func(c *exec.Cmd) { c.Path = systemd }, path, dockerd)
	h.words()
	list, gaps := askAll(t.Context(), []engine{{"docker", path, os.Geteuid()}}, awake)()
	if len(gaps) != 0 || len(list) != 1 {
		t.Errorf("%+v, gaps %+v", list, gaps)
	}
}

func TestContainersForbidden(t *testing.T) {
	needRoot(t)
	e := fakeEngine(t, head+"[]")
	if err := os.Chmod(e.path, 0o600); err != nil {
		t.Fatal(err)
	}
	asker := copySelf(t, filepath.Dir(e.path), "asker")
	h := start(t, "ask", func(c *exec.Cmd) {
		c.Path, c.Dir = asker, "/"
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: netnstest.Nobody, Gid: netnstest.Nobody}}
	}, e.path)
	var gaps []monban.Gap
	if err := json.NewDecoder(h.out).Decode(&gaps); err != nil {
		t.Fatal(err)
	}
	if len(gaps) != 1 || gaps[0].Hides != monban.HidesContainers || gaps[0].Reason != monban.HiddenPrivilege {
		t.Errorf("gaps %+v", gaps)
	}
	// Root may connect, and does not believe just anybody.
	if err := os.Chown(e.path, netnstest.Nobody, 0); err != nil {
		t.Fatal(err)
	}
	if err := reachable(e); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("another user's socket: %v", err)
	}
	e.uid = netnstest.Nobody
	if err := reachable(e); err != nil {
		t.Errorf("that user's own: %v", err)
	}
}

func TestEngines(t *testing.T) {
	env := func(vars map[string]string) func(string) string {
		return func(name string) string { return vars[name] }
	}
	users := func() []int { return []int{1000} }
	paths := func(list []engine) (paths []string) {
		for _, e := range list {
			paths = append(paths, fmt.Sprint(e.uid, " ", e.kind, " ", e.path))
		}
		return paths
	}
	host := map[string]string{"DOCKER_HOST": "unix:///home/u/d.sock", "XDG_RUNTIME_DIR": "/run/user/0"}
	want := []string{"0 docker /var/run/docker.sock", "0 podman /run/podman/podman.sock",
		"1000 docker /run/user/1000/docker.sock", "1000 podman /run/user/1000/podman/podman.sock"}
	if got := paths(engines(0, env(host), users)); !slices.Equal(got, want) {
		t.Errorf("root: %q", got)
	}
	want = []string{"7 docker /var/run/docker.sock", "7 podman /run/podman/podman.sock",
		"7 docker /run/user/7/docker.sock", "7 podman /run/user/7/podman/podman.sock"}
	for _, host := range []string{"", "tcp://192.0.2.1:2375", "ssh://x", "unix://relative", "npipe://x"} {
		if got := paths(engines(7, env(map[string]string{"DOCKER_HOST": host}), users)); !slices.Equal(got, want) {
			t.Errorf("%q: %q", host, got)
		}
	}
	got := paths(engines(7, env(map[string]string{"DOCKER_HOST": "unix:///home/u/d.sock", "XDG_RUNTIME_DIR": "/x"}), users))
	if want := []string{"7 docker /x/docker.sock", "7 podman /x/podman/podman.sock", "7 docker /home/u/d.sock"}; !slices.Equal(got[2:], want) {
		t.Errorf("%q", got)
	}
}
