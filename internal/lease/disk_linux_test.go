package lease

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban/internal/netnstest"
)

const insideEnv = "LEASE_TEST_INSIDE"

// inside runs a test once more in a mount namespace of its own, as root. It
// returns true there.
func inside(t *testing.T) bool {
	t.Helper()
	if os.Getenv(insideEnv) != "" {
		// Nothing that is mounted here may be seen outside.
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Fatal(err)
		}
		return true
	}
	if os.Geteuid() != 0 {
		netnstest.Skip(t, "needs root to mount")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// TestFullDisk fills the disk and wants every lease to be there still, and no
// port to be given.
func TestFullDisk(t *testing.T) {
	if !inside(t) {
		return
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k,mode=0700"); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	f := At(filepath.Join(dir, "monban", "leases"))
	for port := uint16(61000); port < 61020; port++ {
		if err := f.Update(t.Context(), at(1), func(table *Table) error {
			table.Grant(Purpose{Dir: "/" + strings.Repeat("d", 200), Name: fmt.Sprint("n", port)}, port)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(f.Path())
	if err != nil {
		t.Fatal(err)
	}
	filler, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = filler.Write(make([]byte, 4096))
	}
	filler.Close()
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	err = f.Update(t.Context(), at(1), func(table *Table) error { table.Grant(Purpose{Dir: "/", Name: "last"}, 61100); return nil })
	var bad *Error
	if !errors.As(err, &bad) || bad.Problem != NotSaved || !errors.Is(err, unix.ENOSPC) {
		t.Errorf("%v", err)
	}
	if got, err := os.ReadFile(f.Path()); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v: the leases are now %q", err, got)
	}
	if _, err := os.Lstat(f.Path() + ".new"); !os.IsNotExist(err) {
		t.Errorf("something is left over: %v", err)
	}
	if err := os.Remove(filler.Name()); err != nil {
		t.Fatal(err)
	}
	if err := f.Update(t.Context(), at(1), func(table *Table) error { table.Grant(Purpose{Dir: "/", Name: "last"}, 61100); return nil }); err != nil {
		t.Errorf("with space again: %v", err)
	}
	if leases, err := f.Read(at(1)); err != nil || len(leases) != 21 {
		t.Errorf("%d leases, %v", len(leases), err)
	}
}

// TestUnderSudo wants root to do for a user what the user could do, and no more.
func TestUnderSudo(t *testing.T) {
	if os.Geteuid() != 0 {
		netnstest.Skip(t, "needs root")
	}
	home, err := os.MkdirTemp("", "lease-sudo")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(home)
	const uid, gid = netnstest.Nobody, netnstest.Nobody
	if err := os.Chown(home, uid, gid); err != nil {
		t.Fatal(err)
	}
	f := &File{path: filepath.Join(home, ".local", "state", "monban", "leases"), as: &user{uid, gid}}
	grant := func(f *File, port uint16) error {
		return f.Update(t.Context(), at(1), func(table *Table) error { table.Grant(Purpose{Dir: "/", Name: "web"}, port); return nil })
	}
	if err := grant(f, 61000); err != nil {
		t.Fatal(err)
	}
	for path := f.path; path != home; path = filepath.Dir(path) {
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil || st.Uid != uid || st.Gid != gid || st.Mode&0o077 != 0 {
			t.Errorf("%s: user %d, group %d, mode %o, %v", path, st.Uid, st.Gid, st.Mode, err)
		}
	}
	if leases, err := f.Read(at(1)); err != nil || len(leases) != 1 {
		t.Errorf("%v, %v", leases, err)
	}

	// The user leads root astray: every directory on the way into root's own.
	for _, link := range []string{"leases", "monban", "state", ".local"} {
		t.Run(link, func(t *testing.T) {
			secret := t.TempDir() // root's
			if err := os.Chmod(secret, 0o755); err != nil {
				t.Fatal(err)
			}
			trap := filepath.Join(home, "trap-"+link)
			below, _, _ := strings.Cut(filepath.Join(trap, ".local", "state", "monban", "leases"), link)
			if err := os.MkdirAll(below, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(secret, below+link); err != nil {
				t.Fatal(err)
			}
			if link == "leases" {
				os.Remove(below + link)
				if err := os.Symlink(filepath.Join(secret, "made"), below+link); err != nil {
					t.Fatal(err)
				}
			}
			err := filepath.Walk(trap, func(path string, _ os.FileInfo, err error) error { return errors.Join(err, os.Lchown(path, uid, gid)) })
			if err != nil {
				t.Fatal(err)
			}
			f := &File{path: filepath.Join(trap, ".local", "state", "monban", "leases"), as: &user{uid, gid}}
			if err := grant(f, 61000); err == nil {
				t.Error("it worked")
			}
			if got := tree(t, secret); got != "" {
				t.Errorf("root made %s", got)
			}
		})
	}
	if os.Geteuid() != 0 {
		t.Error("root is nobody now")
	}
	if err := os.WriteFile(filepath.Join(t.TempDir(), "x"), nil, 0o600); err != nil {
		t.Errorf("root has lost its rights: %v", err)
	}
}

// TestRootOnly is what root goes by when XDG_STATE_HOME names a place.
func TestRootOnly(t *testing.T) {
	if os.Geteuid() != 0 {
		netnstest.Skip(t, "needs root")
	}
	dir := t.TempDir()
	sub := filepath.Join(dir, "sub")
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	if !rootOnly(sub) || !rootOnly(filepath.Join(sub, "not", "there")) {
		t.Error("a directory of root's is not trusted")
	}
	if err := os.Symlink(sub, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if rootOnly(filepath.Join(dir, "link", "x")) {
		t.Error("a link is trusted")
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if rootOnly(sub) {
		t.Error("a directory below one that all may write to is trusted")
	}
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chown(sub, netnstest.Nobody, -1)); err != nil {
		t.Fatal(err)
	}
	if rootOnly(filepath.Join(sub, "x")) {
		t.Error("a directory of somebody else's is trusted")
	}
}
