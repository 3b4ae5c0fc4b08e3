//go:build unix

package lease

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain lets the tests start themselves as other processes.
func TestMain(m *testing.M) {
	if path := os.Getenv("LEASE_TEST_GRANT"); path != "" {
		os.Exit(grantOnce(path))
	}
	os.Exit(m.Run())
}

// grantOnce takes the first port from 61000 on that nobody has, and prints it.
func grantOnce(path string) int {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := At(path).Update(ctx, time.Now(), func(t *Table) error {
		for port := uint16(61000); ; port++ {
			if !t.Has(port) {
				t.Grant(Purpose{Dir: "/shop"}, port)
				fmt.Println(port)
				return nil
			}
		}
	})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// TestProcessesGetDifferentPorts has many processes ask for the very same port
// at once, while a reader looks on and writers are killed.
func TestProcessesGetDifferentPorts(t *testing.T) {
	const callers = 64
	path := filepath.Join(t.TempDir(), "monban", "leases")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := func() *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), exe)
		cmd.Env = append(os.Environ(), "LEASE_TEST_GRANT="+path)
		return cmd
	}
	var wg sync.WaitGroup
	ports := make([]string, callers)
	for i := range callers {
		wg.Go(func() {
			out, err := command().CombinedOutput()
			if err != nil {
				t.Errorf("%v: %s", err, out)
			}
			ports[i] = strings.TrimSpace(string(out))
		})
	}
	for i := range 8 { // these die at some moment
		wg.Go(func() {
			cmd := command()
			if err := cmd.Start(); err != nil {
				t.Error(err)
				return
			}
			time.Sleep(time.Duration(i) * 5 * time.Millisecond)
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	seen := 0
	for looking := true; looking; {
		select {
		case <-done:
			looking = false
		default:
		}
		leases, err := At(path).Read(time.Now())
		if err != nil || len(leases) < seen {
			t.Fatalf("%d leases after %d, %v", len(leases), seen, err)
		}
		seen = len(leases)
	}
	slices.Sort(ports)
	if n := len(slices.Compact(slices.Clone(ports))); n != callers {
		t.Errorf("%d different ports for %d callers: %v", n, callers, ports)
	}
	if seen < callers {
		t.Errorf("%d leases", seen)
	}
}

// TestAFileNobodyCanTrustIsRefused and is left as it is.
func TestAFileNobodyCanTrustIsRefused(t *testing.T) {
	good := Encode([]Lease{{Purpose: Purpose{Dir: "/", Name: "a"}, Port: 61000, Since: at(1), Until: at(20)}})
	for name, make := range map[string]func(dir, path string) error{
		"symbolic link": func(dir, path string) error {
			target := filepath.Join(dir, "target")
			return errors.Join(os.WriteFile(target, good, 0o600), os.Symlink(target, path))
		},
		"dangling link": func(dir, path string) error { return os.Symlink(filepath.Join(dir, "made"), path) },
		"FIFO":          func(_, path string) error { return unix.Mkfifo(path, 0o600) },
		"directory":     func(_, path string) error { return os.Mkdir(path, 0o700) },
		"hard link": func(dir, path string) error {
			return errors.Join(os.WriteFile(path, good, 0o600), os.Link(path, filepath.Join(dir, "x")))
		},
		"writable by others": func(_, path string) error { return errors.Join(os.WriteFile(path, good, 0o600), os.Chmod(path, 0o622)) },
		"directory writable by all": func(dir, path string) error {
			return errors.Join(os.WriteFile(path, good, 0o600), os.Chmod(dir, 0o777))
		},
		"device":  func(_, path string) error { return os.Symlink("/dev/zero", path) },
		"garbage": func(_, path string) error { return os.WriteFile(path, bytes.Repeat([]byte("\x1b[31m"), 100), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "monban")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "leases")
			if err := make(dir, path); err != nil {
				t.Fatal(err)
			}
			before := tree(t, dir)
			err := At(path).Update(t.Context(), at(2), func(*Table) error { t.Error("the leases were handed out"); return nil })
			var bad *Error
			if !errors.As(err, &bad) || bad.Problem != Refused {
				t.Errorf("update: %v", err)
			}
			if name != "dangling link" {
				leases, err := At(path).Read(at(2))
				if !errors.As(err, &bad) || bad.Problem != Refused || leases != nil {
					t.Errorf("read: %v, %v", leases, err)
				}
			}
			if after := tree(t, dir); after != before {
				t.Errorf("changed:\n%s\nwas\n%s", after, before)
			}
		})
	}
}

// tree describes everything in a directory.
func tree(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %v %d\n", e.Name(), info.Mode(), info.Size())
	}
	return b.String()
}

// TestAHeldLockIsAnError and not a hang.
func TestAHeldLockIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases")
	err := At(path).Update(t.Context(), at(1), func(*Table) error {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		return At(path).Update(ctx, at(1), func(*Table) error { return nil })
	})
	var bad *Error
	if !errors.As(err, &bad) || bad.Problem != Busy || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// TestWriterKilledBefore finds the half-written file of another and goes on.
func TestWriterKilledBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases")
	if err := os.WriteFile(path+".new", []byte("monban lea"), 0o400); err != nil {
		t.Fatal(err)
	}
	f := At(path)
	if err := f.Update(t.Context(), at(1), func(table *Table) error { table.Grant(Purpose{Dir: "/"}, 61000); return nil }); err != nil {
		t.Fatal(err)
	}
	if leases, err := f.Read(at(1)); err != nil || len(leases) != 1 {
		t.Errorf("%v, %v", leases, err)
	}
}
