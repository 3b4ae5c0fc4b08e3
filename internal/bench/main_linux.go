// Bench measures monban with its peers beside it, on machines of three sizes
// that it makes itself, and compares the medians with the project's bars:
//
//	go run ./internal/bench
//
// It needs root, iproute2 and lsof, and for the machine "identify" nmap and the
// daemons of the tests. Every machine is a network and a process
// namespace of its own, so what else runs here is in no program's way but the
// processor's: measure on a quiet machine. docs/benchmarks.md has the method.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
)

func main() {
	only := flag.String("machine", "", "measure only the machine whose name begins so: start, small, listeners, connections, check or identify")
	rounds := flag.Int("rounds", 0, "rounds on each machine; 0 is each machine's own number")
	identifyIn := flag.String("identify", "", "measure identification with the programs of this folder: how bench starts itself inside a namespace")
	inside := flag.String("inside", "", "measure what this file says: how bench starts itself inside a machine")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	var err error
	if *identifyIn != "" {
		err = identifyInside(ctx, *identifyIn, *rounds)
	} else {
		err = run(ctx, *only, *rounds, *inside)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, rounds int, inside string) error {
	if inside != "" {
		return measureAs(ctx, inside)
	}
	if os.Geteuid() != 0 {
		return errors.New("needs root: it makes namespaces, and the peers name only their own user's processes without")
	}
	dir, err := os.MkdirTemp("", "monban-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := build(ctx, dir); err != nil {
		return err
	}
	fmt.Println(describe())
	missed, err := checkSize(filepath.Join(dir, "monban"))
	if err != nil {
		return err
	}
	known := false
	for _, m := range machines(dir) {
		if !strings.HasPrefix(m.Name, only) {
			continue
		}
		known = true
		if rounds > 0 {
			m.Plan.Rounds = rounds
		}
		found, err := m.run(ctx, dir)
		if err != nil {
			return fmt.Errorf("machine %s: %w", m.Name, err)
		}
		missed = append(missed, found...)
	}
	if name := "identify"; strings.HasPrefix(name, only) {
		known = true
		found, err := identifyMachine(ctx, dir, rounds)
		if err != nil {
			return fmt.Errorf("machine identify: %w", err)
		}
		missed = append(missed, found...)
	}
	if !known {
		return fmt.Errorf("no machine has a name that begins with %q", only)
	}
	if len(missed) > 0 {
		return fmt.Errorf("bars missed:\n  %s", strings.Join(missed, "\n  "))
	}
	fmt.Println("\nevery bar is kept")
	return nil
}

// build makes the program as it is released, the fixture and the hello-world, and
// installs them.
func build(ctx context.Context, dir string) error {
	for name, pkg := range map[string]string{
		"monban":  "github.com/monban-dev/monban/cmd/monban",
		"fixture": "github.com/monban-dev/monban/internal/integration/fixture",
		"hello":   "github.com/monban-dev/monban/internal/bench/hello",
	} {
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, name+".linked"), pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("building %s: %w", name, err)
		}
		if err := install(filepath.Join(dir, name+".linked"), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// install copies a program, as those who use it have it. What the linker wrote
// through a mapping stays in the page cache in pieces of 4 KiB, each of which is
// mapped for itself at every start; of a copy, or of a file that was read from the
// disk, the pieces are larger. A hello-world starts 1.1 times, and monban 1.3 times
// as fast from a copy (ext4, Linux 6.18).
func install(linked, to string) error {
	in, err := os.Open(linked)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	// As cp(1) does: in writes of 128 KiB. Left to itself, io.Copy has the file
	// system share the linker's pieces where it can.
	if _, err := io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{in}, make([]byte, 128<<10)); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// sizeBar is how many MB (of a million bytes) the released program may have.
const sizeBar = 15

func checkSize(path string) (missed []string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	mb := float64(info.Size()) / 1e6
	fmt.Printf("binary, stripped: %.1f MB (bar: %d MB)\n", mb, sizeBar)
	if mb > sizeBar {
		missed = append(missed, fmt.Sprintf("binary: %.1f MB, not at most %d", mb, sizeBar))
	}
	return missed, nil
}

// measureAs runs inside a machine.
func measureAs(ctx context.Context, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var p plan
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	results, err := p.measure(ctx)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(results)
}
