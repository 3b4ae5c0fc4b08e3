package integration

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// programs builds the programs under test, each once, when first asked for.
type programs struct {
	dir   string
	mu    sync.Mutex
	built map[string]error
}

// built is set once by TestMain, before any test runs.
var built programs

// atOnce is how many tests run at a time: far more than there are processors, because
// most of them wait, for a daemon or for the end of a trial.
const atOnce = "8"

func TestMain(m *testing.M) {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "test.parallel" })
	if !asked {
		_ = flag.Set("test.parallel", atOnce) // a number: it cannot fail
	}
	dir, err := ownDir()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// Daemons are where only root's shell looks, or not even that.
	path := os.Getenv("PATH") + ":/usr/sbin:/sbin:/usr/lib/wine"
	postgres, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	os.Setenv("PATH", strings.Join(append([]string{path}, postgres...), ":"))
	built = programs{dir: dir, built: map[string]error{}}
	// Started by nohup, the programs that are tested would not hear it either.
	if signal.Ignored(syscall.SIGHUP) {
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// program returns the path of a program of this module: "monban", which has the
// race detector if the test has it; "monban-static" as it is released;
// "monban.exe"; or "fixture".
func program(t testing.TB, name string) string {
	t.Helper()
	path, err := built.build(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func (p *programs) build(name string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	path := filepath.Join(p.dir, name)
	err, done := p.built[name]
	if !done {
		err = compile(name, path)
		p.built[name] = err
	}
	return path, err
}

func compile(name, path string) error {
	pkg, env, flags := "github.com/monban-dev/monban/cmd/monban", []string{"CGO_ENABLED=0"}, []string{"-trimpath", "-ldflags=-s -w"}
	switch name {
	case "monban":
		if raceDetector() {
			env, flags = []string{"CGO_ENABLED=1"}, []string{"-race"}
		}
	case "monban-static":
	case "monban.exe":
		env = append(env, "GOOS=windows", "GOARCH=amd64")
	case "interrupted":
		pkg = "github.com/monban-dev/monban/internal/integration/interrupted"
	case "fixture":
		pkg = "github.com/monban-dev/monban/internal/integration/fixture"
	default:
		return fmt.Errorf("no program %q", name)
	}
	cmd := exec.Command("go", append(append([]string{"build", "-o", path}, flags...), pkg)...)
	cmd.Env = append(os.Environ(), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", name, err, out.Bytes())
	}
	return nil
}

// raceDetector reports whether this test binary was built with it.
func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return false
	}
	for _, s := range info.Settings {
		if s.Key == "-race" {
			return s.Value == "true"
		}
	}
	return false
}
