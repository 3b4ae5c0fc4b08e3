package owners

import (
	"bufio"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/monban-dev/monban"
)

// askableEngine answers each question by its resource; one that it has no answer
// to is never answered.
func askableEngine(t *testing.T, answers map[string]string) engine {
	t.Helper()
	path := filepath.Join(t.TempDir(), "docker.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			go func() {
				line, _ := bufio.NewReader(c).ReadString('\n')
				resource, _, _ := strings.Cut(strings.TrimPrefix(line, "GET "), " ")
				name, _, _ := strings.Cut(resource, "?")
				if answer, ok := answers[name]; ok {
					c.Write([]byte(answer))
					c.Close()
				}
			}()
		}
	}()
	return engine{"docker", path, os.Geteuid()}
}

const aboutOne = "/containers/" + id1 + "/json"

func TestRestarts(t *testing.T) {
	e := askableEngine(t, map[string]string{aboutOne: head + inspected})
	c := monban.Container{ID: id1, Engine: "docker", Socket: e.path}
	strange := monban.Container{ID: id1} // known by its ID alone
	if gaps := Restarts(t.Context(), []*monban.Container{&strange, &c}); len(gaps) != 0 || c.Restart.Policy != "always" || strange.Restart.Policy != "" {
		t.Errorf("%+v, %+v, gaps %+v", c.Restart, strange.Restart, gaps)
	}
	// One that has gone is no gap.
	gone := askableEngine(t, map[string]string{aboutOne: "HTTP/1.0 404 Not Found\r\n\r\n{}"})
	c = monban.Container{ID: id1, Engine: "docker", Socket: gone.path}
	if gaps := Restarts(t.Context(), []*monban.Container{&c}); len(gaps) != 0 || c.Restart != (monban.Restart{}) {
		t.Errorf("%+v, gaps %+v", c.Restart, gaps)
	}
	// Nor is an answer about another one believed.
	other := askableEngine(t, map[string]string{aboutOne: head + strings.Replace(inspected, id1, id1[1:]+"0", 1)})
	c = monban.Container{ID: id1, Engine: "docker", Socket: other.path}
	if Restarts(t.Context(), []*monban.Container{&c}); c.Restart != (monban.Restart{}) {
		t.Errorf("another one's: %+v", c.Restart)
	}
}

// TestRestartsSilent asks an engine that tells what runs and then hangs.
func TestRestartsSilent(t *testing.T) {
	e := askableEngine(t, map[string]string{"/containers/json": head + answerOf})
	var list []*monban.Container
	for range 3 * inspectors {
		list = append(list, &monban.Container{ID: id1, Engine: "docker", Socket: e.path})
	}
	before := time.Now()
	gaps := Restarts(t.Context(), list)
	if took := time.Since(before); took < engineTimeout/2 || took > time.Minute {
		t.Errorf("took %v, the bound is %v", took, engineTimeout)
	}
	if len(gaps) != 1 || gaps[0].Hides != monban.HidesRestarts || !strings.Contains(gaps[0].Err, errSlow.Error()) || list[0].Restart != (monban.Restart{}) {
		t.Errorf("%+v, gaps %+v", list[0].Restart, gaps)
	}
	found, gaps := stoppedOf(t.Context(), []engine{e}, awake)
	if len(found) != 0 || len(gaps) != 1 || gaps[0].Hides != monban.HidesRestarts {
		t.Errorf("%+v, gaps %+v", found, gaps)
	}
}

func TestStopped(t *testing.T) {
	e := askableEngine(t, map[string]string{"/containers/json": head + answerOf, aboutOne: head + inspected})
	found, gaps := stoppedOf(t.Context(), []engine{e}, awake)
	if len(gaps) != 0 || len(found) != 1 || found[0].Name != "shop-web-1" || len(found[0].Published) != 3 || found[0].Restart.State != "exited" || found[0].Socket != e.path {
		t.Errorf("%+v, gaps %+v", found, gaps)
	}
	// Podman starts them by a service of the machine, if at all.
	podman := strings.Replace(head, "Docker/", "Libpod/", 1)
	e = askableEngine(t, map[string]string{"/containers/json": podman + answerOf, aboutOne: podman + inspected})
	if found, gaps := stoppedOf(t.Context(), []engine{e}, awake); len(found) != 0 || len(gaps) != 0 {
		t.Errorf("%+v, gaps %+v", found, gaps)
	}
}
