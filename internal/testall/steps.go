package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// command runs a program with its output shown, and with env added to the
// environment.
func command(ctx context.Context, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(append([]string{name}, args...), " "), err)
	}
	return nil
}

// output runs a program and returns what it printed on standard output.
func output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(append([]string{name}, args...), " "), err)
	}
	return string(out), nil
}

func checkFormat(ctx context.Context) error {
	root, err := output(ctx, "go", "env", "GOROOT")
	if err != nil {
		return err
	}
	out, err := output(ctx, filepath.Join(strings.TrimSpace(root), "bin", "gofmt"), "-l", ".")
	if err != nil {
		return err
	}
	if files := strings.Fields(out); len(files) > 0 {
		return fmt.Errorf("not formatted: %s", strings.Join(files, " "))
	}
	return nil
}

// crossBuild compiles the program and type-checks its tests for the systems
// that this machine is not.
func crossBuild(ctx context.Context) error {
	var failed []error
	for _, target := range []string{"windows/amd64", "darwin/arm64", "linux/arm64", "linux/386", "freebsd/amd64"} {
		goos, goarch, _ := strings.Cut(target, "/")
		env := []string{"GOOS=" + goos, "GOARCH=" + goarch, "CGO_ENABLED=0"}
		fmt.Println(target)
		failed = append(failed,
			command(ctx, env, "go", "build", "./..."),
			command(ctx, env, "go", "vet", "./..."))
	}
	return errors.Join(failed...)
}

// goTest runs every test once and counts the outcomes into t. The race detector
// needs cgo and a C compiler; where there is none, that is said.
func goTest(ctx context.Context, t *tally) error {
	args := []string{"test", "-json", "-count=1", "-timeout=30m"}
	if raceWorks(ctx) {
		args = append(args, "-race")
	} else {
		fmt.Println("no C compiler: the race detector is off")
		if noSkip() {
			return errors.New("the race detector needs a C compiler")
		}
	}
	// The longest first, so that it is not what all else has ended long before.
	cmd := exec.CommandContext(ctx, "go", append(args, "./internal/integration", "./...")...)
	cmd.Env = append(os.Environ(), testEnv()...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	readErr := t.read(out, os.Stdout)
	if err := errors.Join(readErr, cmd.Wait()); err != nil {
		return err
	}
	return t.verdict(noSkip())
}

// testEnv adds to the PATH where Debian has daemons. And the race detector's programs
// would each wait for a second before they end, of which the tests start hundreds.
func testEnv() []string {
	path := []string{os.Getenv("PATH"), "/usr/sbin", "/sbin", "/usr/lib/wine"}
	postgres, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	path = append(path, postgres...)
	var env []string
	if root, err := unpackRoot(); err == nil {
		path = append(path, filepath.Join(root, "usr", "sbin"))
		env = append(env, "MONBAN_TEST_ROOT="+root)
	}
	return append(env, "PATH="+strings.Join(path, ":"), "GORACE=atexit_sleep_ms=0")
}

func raceWorks(ctx context.Context) bool {
	out, err := output(ctx, "go", "env", "CC")
	if err != nil || runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		return false
	}
	_, err = exec.LookPath(strings.TrimSpace(out))
	return err == nil
}

func noSkip() bool { return os.Getenv("MONBAN_NO_SKIP") != "" }

// fuzzAll gives each fuzz target of the module a short run.
func fuzzAll(ctx context.Context, each time.Duration) error {
	packages, err := output(ctx, "go", "list", "-f", `{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}`, "./...")
	if err != nil {
		return err
	}
	var failed []error
	total := 0
	for _, pkg := range strings.Fields(packages) {
		names, err := output(ctx, "go", "test", "-list", "^Fuzz", pkg)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		for _, name := range strings.Fields(names) {
			if !strings.HasPrefix(name, "Fuzz") {
				continue
			}
			total++
			failed = append(failed, fuzzOne(ctx, pkg, name, each))
		}
	}
	fmt.Printf("%d fuzz targets\n", total)
	return errors.Join(failed...)
}

// fuzzOne fuzzes one target. The fuzzing coordinator of Go before 1.27 sometimes
// takes its own deadline, the end of -fuzztime, for a failure of the target
// (golang/go#75804): such a run found nothing and is run again. A target that
// really fails says so with a failing input, or again.
func fuzzOne(ctx context.Context, pkg, name string, each time.Duration) error {
	const tries = 3
	for try := 1; ; try++ {
		cmd := exec.CommandContext(ctx, "go", "test", "-run=^$", "-fuzz=^"+name+"$", "-fuzztime="+each.String(), pkg)
		out, err := cmd.CombinedOutput()
		if err == nil {
			break
		}
		if try < tries && coordinatorDeadline(out) {
			continue
		}
		fmt.Printf("%s", out)
		return fmt.Errorf("%s %s: %w", pkg, name, err)
	}
	fmt.Printf("ok  \t%s\t%s\n", pkg, name)
	return nil
}

// coordinatorDeadline reports whether out, which go test -fuzz printed, shows
// the failure of golang/go#75804 and no other.
func coordinatorDeadline(out []byte) bool {
	return bytes.Contains(out, []byte("\n    context deadline exceeded\nFAIL\n")) && !bytes.Contains(out, []byte("Failing input"))
}
