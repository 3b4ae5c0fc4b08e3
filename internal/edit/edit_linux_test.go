package edit

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban/internal/netnstest"
)

func now() time.Time { return time.Date(2026, 11, 25, 22, 0, 0, 0, time.UTC) }

// tree is a directory with two files that are to be changed.
type tree struct {
	t     testing.TB
	dir   string
	store *Store
}

const (
	oldA, newA = "a 80\n", "a 8080\n"
	oldB, newB = "b 80\r\nmore\r\n", "b 8080\r\nmore\r\n"
)

func newTree(t testing.TB) *tree {
	t.Helper()
	tr := &tree{t: t, dir: t.TempDir()}
	tr.store = &Store{Dir: filepath.Join(tr.dir, "state", "fixes")}
	tr.write("a", oldA)
	tr.write("b", oldB)
	return tr
}

func (tr *tree) path(name string) string { return filepath.Join(tr.dir, name) }

func (tr *tree) write(name, text string) {
	tr.t.Helper()
	if err := os.WriteFile(tr.path(name), []byte(text), 0o644); err != nil {
		tr.t.Fatal(err)
	}
}

func (tr *tree) read(name string) string {
	tr.t.Helper()
	data, err := os.ReadFile(tr.path(name))
	if err != nil {
		tr.t.Fatal(err)
	}
	return string(data)
}

// changes reads both files and returns what is to become of them.
func (tr *tree) changes() []Change {
	tr.t.Helper()
	var out []Change
	for name, text := range map[string]string{"a": newA, "b": newB} {
		f, err := Open(tr.path(name))
		if err != nil {
			tr.t.Fatal(err)
		}
		out = append(out, Change{f, []byte(text)})
	}
	slices.SortFunc(out, func(x, y Change) int { return strings.Compare(x.File.Path, y.File.Path) })
	return out
}

func (tr *tree) want(a, b string) {
	tr.t.Helper()
	if got := tr.read("a"); got != a {
		tr.t.Errorf("a is %q, not %q", got, a)
	}
	if got := tr.read("b"); got != b {
		tr.t.Errorf("b is %q, not %q", got, b)
	}
}

// tidy wants nothing to be left beside the files.
func (tr *tree) tidy() {
	tr.t.Helper()
	entries, err := os.ReadDir(tr.dir)
	if err != nil {
		tr.t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".monban") {
			tr.t.Errorf("%s is left over", e.Name())
		}
	}
}

func (tr *tree) records() []*Record {
	tr.t.Helper()
	records, err := tr.store.Records()
	if err != nil {
		tr.t.Fatal(err)
	}
	return records
}

// undo takes the latest record back.
func (tr *tree) undo() error {
	tr.t.Helper()
	records := tr.records()
	u, err := tr.store.Undo(records[len(records)-1])
	if err != nil {
		return err
	}
	return tr.store.Revert(u)
}

func problem(err error) Problem {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Problem
	}
	return 0
}

func TestApplyAndUndo(t *testing.T) {
	for _, plainly := range []bool{false, true} {
		tr := newTree(t)
		tr.store.plainly = plainly
		r, err := tr.store.Apply(tr.changes(), Record{Dir: "/shop", At: now()})
		if err != nil || r.Pending || r.Dir != "/shop" {
			t.Fatal(r, err)
		}
		tr.want(newA, newB)
		tr.tidy()
		if err := tr.undo(); err != nil {
			t.Fatal(err)
		}
		tr.want(oldA, oldB)
		tr.tidy()
		if left := tr.records(); len(left) != 0 {
			t.Errorf("records are left: %v", left)
		}
	}
}

// TestTwoProjects applies two changes in one second and takes them back in
// either order.
func TestTwoProjects(t *testing.T) {
	tr := newTree(t)
	c := tr.changes()
	first, err := tr.store.Apply(c[:1], Record{Dir: "/one", At: now()})
	if err != nil {
		t.Fatal(err)
	}
	second, err := tr.store.Apply(c[1:], Record{Dir: "/two", At: now()})
	if err != nil || first.ID == second.ID {
		t.Fatal(first.ID, second.ID, err)
	}
	if got := tr.records(); len(got) != 2 || got[0].Dir != "/one" || got[1].Dir != "/two" {
		t.Errorf("%v", got)
	}
	u, err := tr.store.Undo(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.store.Revert(u); err != nil {
		t.Fatal(err)
	}
	tr.want(oldA, newB)
	if got := tr.records(); len(got) != 1 || got[0].ID != second.ID {
		t.Errorf("%v", got)
	}
}

// TestUndoOfWhatChangedSince is refused, and touches neither file.
func TestUndoOfWhatChangedSince(t *testing.T) {
	for _, spoil := range []func(tr *tree){
		func(tr *tree) { tr.write("b", "b 9090\n") },
		func(tr *tree) { os.Remove(tr.path("b")) },
		func(tr *tree) { os.Remove(tr.path("b")); os.Symlink("a", tr.path("b")) },
		func(tr *tree) { os.Remove(tr.path("b")); os.Mkdir(tr.path("b"), 0o755) },
	} {
		tr := newTree(t)
		if _, err := tr.store.Apply(tr.changes(), Record{Dir: "/", At: now()}); err != nil {
			t.Fatal(err)
		}
		spoil(tr)
		if err := tr.undo(); problem(err) != Changed && problem(err) != NotRegular {
			t.Error(err)
		}
		if tr.read("a") != newA || len(tr.records()) != 1 {
			t.Error("something was undone")
		}
	}
}

// TestKeepsEverything compares all that a file has besides its content.
func TestKeepsEverything(t *testing.T) {
	if os.Geteuid() != 0 {
		netnstest.Skip(t, "needs root")
	}
	setfacl, getfacl := netnstest.Need(t, "setfacl"), netnstest.Need(t, "getfacl")
	tr := newTree(t)
	run := func(name string, args ...string) string {
		out, err := exec.Command(name, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v %s", name, args, err, out)
		}
		return string(out)
	}
	a, b := tr.path("a"), tr.path("b")
	// What the directory gives to new files must not get to these.
	run(setfacl, "-d", "-m", "u:games:rwx", tr.dir)
	if err := errors.Join(os.Chown(a, 33, 65534), unix.Chmod(a, 0o6751), os.Chown(b, 65534, 0), unix.Chmod(b, 0o640)); err != nil {
		t.Fatal(err)
	}
	run(setfacl, "-m", "u:nobody:r,g:daemon:rw", b)
	for name, value := range map[string]string{"security.monban": "label", "trusted.monban": "\x00\xff"} {
		if err := unix.Setxattr(b, name, []byte(value), 0); err != nil {
			t.Fatal(err)
		}
	}
	var before, after [2]string
	state := func(path string) string {
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		xattrs, err := attributes(f)
		return fmt.Sprintf("%d:%d %o %q %v\n%s", st.Uid, st.Gid, st.Mode, xattrs, err, run(getfacl, "-p", path))
	}
	before = [2]string{state(a), state(b)}
	for _, want := range []string{"security.monban", "trusted.monban", "user:nobody:r--"} {
		if !strings.Contains(before[1], want) {
			t.Fatalf("the test has not set %s: %s", want, before[1])
		}
	}
	if _, err := tr.store.Apply(tr.changes(), Record{Dir: "/", At: now()}); err != nil {
		t.Fatal(err)
	}
	tr.want(newA, newB)
	if after = [2]string{state(a), state(b)}; after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if err := tr.undo(); err != nil {
		t.Fatal(err)
	}
	if after = [2]string{state(a), state(b)}; after != before {
		t.Errorf("before:\n%s\nafter undo:\n%s", before, after)
	}
}

// TestSymbolicLink changes what a link points to, and keeps the link.
func TestSymbolicLink(t *testing.T) {
	tr := newTree(t)
	if err := errors.Join(os.Mkdir(tr.path("enabled"), 0o755), os.Symlink("../a", tr.path("enabled/a"))); err != nil {
		t.Fatal(err)
	}
	f, err := Open(tr.path("enabled/a"))
	if err != nil || f.Path != tr.path("a") || f.Link != tr.path("enabled/a") {
		t.Fatal(f, err)
	}
	if _, err := tr.store.Apply([]Change{{f, []byte(newA)}}, Record{Dir: "/", At: now()}); err != nil {
		t.Fatal(err)
	}
	tr.want(newA, oldB)
	if target, err := os.Readlink(tr.path("enabled/a")); err != nil || target != "../a" {
		t.Error(target, err)
	}
}

// TestChangedMeanwhile lets somebody else write the second file at every step,
// in place or by a rename. Nobody's work may be lost, and nothing may be left
// half done.
func TestChangedMeanwhile(t *testing.T) {
	const theirs = "b 7777\n"
	ways := map[string]func(tr *tree){
		"in place": func(tr *tree) { tr.write("b", theirs) },
		"by a rename": func(tr *tree) {
			tr.write("b~", theirs)
			if err := os.Rename(tr.path("b~"), tr.path("b")); err != nil {
				tr.t.Fatal(err)
			}
		},
		"a second name": func(tr *tree) {
			if err := os.Link(tr.path("b"), tr.path("b2")); err != nil {
				tr.t.Fatal(err)
			}
		},
		"the same again, by a rename": func(tr *tree) {
			tr.write("b~", oldB)
			if err := os.Rename(tr.path("b~"), tr.path("b")); err != nil {
				tr.t.Fatal(err)
			}
		},
	}
	for way, change := range ways {
		refused := 0
		for at := 0; ; at++ {
			tr := newTree(t)
			changes := tr.changes()
			n, what := 0, ""
			done := false
			tr.store.step = func(step string) {
				if n == at && !done {
					what, done = step, true
					change(tr)
				}
				n++
			}
			_, err := tr.store.Apply(changes, Record{Dir: "/", At: now()})
			if !done {
				break
			}
			tr.tidy()
			if err == nil {
				// Only after the exchange and its comparison, so that it was
				// written over what we wrote.
				if !slices.Contains([]string{"flush the directory of b", "settle the record", "remove the old a", "remove the old b"}, what) {
					t.Errorf("%s at %q: nobody noticed", way, what)
				}
				if got := tr.read("b"); got != newB && got != theirs && got != oldB {
					t.Errorf("%s at %q: b is %q", way, what, got)
				}
				continue
			}
			refused++
			if p := problem(err); p != Changed && p != NotRestored && p != HardLink {
				t.Errorf("%s at %q: %v", way, what, err)
			}
			if got := tr.read("b"); way == "a second name" && got == oldB {
				continue
			} else if got != theirs && (way != "the same again, by a rename" || got != oldB) {
				t.Errorf("%s at %q: b is %q, their work is lost (%v)", way, what, got, err)
			}
			if problem(err) == Changed {
				if got := tr.read("a"); got != oldA {
					t.Errorf("%s at %q: a is %q", way, what, got)
				}
				if left := tr.records(); len(left) != 0 {
					t.Errorf("%s at %q: a record is left", way, what)
				}
			}
		}
		if refused < 5 {
			t.Errorf("%s: only %d times refused", way, refused)
		}
	}
}

// TestRollback makes the second of two files fail when the first is in place:
// the first is put back, the very same file.
func TestRollback(t *testing.T) {
	for _, plainly := range []bool{false, true} {
		tr := newTree(t)
		tr.store.plainly = plainly
		before, _ := os.Stat(tr.path("a"))
		tr.store.step = func(what string) {
			if what == "exchange b" {
				if err := os.Link(tr.path("b"), tr.path("b2")); err != nil {
					t.Fatal(err)
				}
				// What was prepared is gone: the exchange fails.
				if names, _ := filepath.Glob(tr.path(".monban-*-1")); len(names) == 1 {
					os.Remove(names[0])
				}
			}
		}
		_, err := tr.store.Apply(tr.changes(), Record{Dir: "/", At: now()})
		if problem(err) != NotWritten {
			t.Error(err)
		}
		tr.want(oldA, oldB)
		tr.tidy()
		after, _ := os.Stat(tr.path("a"))
		if !plainly && !os.SameFile(before, after) {
			t.Error("a is another file now")
		}
		if left := tr.records(); len(left) != 0 {
			t.Error("a record is left")
		}
	}
}

func TestRefuses(t *testing.T) {
	tr := newTree(t)
	if err := errors.Join(os.Link(tr.path("a"), tr.path("a2")), os.Symlink("a", tr.path("link")), unix.Mkfifo(tr.path("fifo"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]Problem{"a": HardLink, "a2": HardLink, "link": HardLink, "fifo": NotRegular, ".": NotRegular} {
		f, err := Open(tr.path(name))
		if problem(err) != want {
			t.Errorf("%s: %v", name, err)
		}
		if want == HardLink && (f == nil || string(f.Data) != oldA) {
			t.Errorf("%s cannot be shown", name)
		}
	}
	if _, err := Open(tr.path("none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	// A file that is mounted by itself, as into a container.
	if os.Geteuid() == 0 {
		if err := onThread(func() error {
			for _, name := range []string{"m", "mounted"} {
				tr.write(name, oldB)
			}
			if err := errors.Join(unix.Unshare(unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
				unix.Mount(tr.path("m"), tr.path("mounted"), "", unix.MS_BIND, "")); err != nil {
				return err
			}
			if _, err := Open(tr.path("mounted")); problem(err) != MountPoint {
				t.Errorf("a mounted file: %v", err)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		protect := func(flags int) {
			f, err := os.Open(tr.path("b"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags); err != nil && !errors.Is(err, unix.ENOTTY) && !errors.Is(err, unix.EOPNOTSUPP) {
				t.Fatal(err)
			} else if err != nil {
				t.Log("this file system has no chattr:", err)
			} else if _, err := Open(tr.path("b")); (problem(err) == Immutable) != (flags != 0) {
				t.Errorf("with flags %#x: %v", flags, err)
			}
		}
		protect(0x10) // FS_IMMUTABLE_FL of linux/fs.h
		protect(0)
	}
	big := make([]byte, maxFile+1)
	if err := os.WriteFile(tr.path("big"), big, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(tr.path("big")); problem(err) != TooLarge {
		t.Error(err)
	}
}

// onThread runs f on a thread that ends with it, and its namespaces with it.
func onThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- errors.Join(unix.Unshare(unix.CLONE_FS), f())
	}()
	return <-done
}

// TestRefusesAsNobody is about files that this user may not change, or could
// only change by becoming their owner.
func TestRefusesAsNobody(t *testing.T) {
	if !netnstest.Rerunning() {
		ns := netnstest.New(t)
		dir, err := os.MkdirTemp("", "edit-nobody")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		const nobody = netnstest.Nobody
		for name, mode := range map[string]os.FileMode{"readonly": 0o444, "theirs": 0o666, "closed/mine": 0o644} {
			path := filepath.Join(dir, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("x"), mode), os.Chmod(path, mode)); err != nil {
				t.Fatal(err)
			}
			if name != "theirs" {
				if err := os.Chown(path, nobody, nobody); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
		t.Setenv("EDIT_TEST_DIR", dir)
		ns.Rerun(t, nobody)
		return
	}
	dir := os.Getenv("EDIT_TEST_DIR")
	for name, want := range map[string]Problem{"readonly": ReadOnly, "theirs": NotOwner, "closed/mine": ClosedDir} {
		if _, err := Open(filepath.Join(dir, name)); problem(err) != want {
			t.Errorf("%s: %v, not %s", name, err, want)
		}
	}
}

// TestKilled ends the program by SIGKILL before each step of a change, and
// before each step of taking one back. Every file is whole afterwards, and
// undo leaves all of them as they were.
func TestKilled(t *testing.T) {
	if dir := os.Getenv("EDIT_TEST_KILL"); dir != "" {
		victim(t, dir)
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"apply", "apply plainly", "undo", "undo plainly"} {
		killed := 0
		for at := 0; ; at++ {
			tr := newTree(t)
			if strings.HasPrefix(verb, "undo") {
				if _, err := tr.store.Apply(tr.changes(), Record{Dir: "/", At: now()}); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestKilled$")
			cmd.Env = append(os.Environ(), "EDIT_TEST_KILL="+tr.dir, "EDIT_TEST_VERB="+verb, fmt.Sprintf("EDIT_TEST_AT=%d", at))
			out, err := cmd.CombinedOutput()
			if err == nil {
				break
			}
			if st := cmd.ProcessState.Sys().(syscall.WaitStatus); !st.Signaled() {
				t.Fatalf("%s, step %d: %v\n%s", verb, at, err, out)
			}
			killed++
			a, b := tr.read("a"), tr.read("b")
			if a != oldA && a != newA || b != oldB && b != newB {
				t.Fatalf("%s, step %d: a is %q, b is %q", verb, at, a, b)
			}
			records := tr.records()
			if len(records) == 0 {
				// Before the record was there nothing happened; at the end of
				// undoing everything has.
				tr.want(oldA, oldB)
				tr.tidy()
				continue
			}
			if records[0].Pending {
				if _, err := tr.store.Apply(tr.changes(), Record{Dir: "/", At: now().Add(time.Hour)}); problem(err) != Interrupted {
					t.Errorf("%s, step %d: another change on top: %v", verb, at, err)
				}
			}
			if err := tr.undo(); err != nil {
				t.Fatalf("%s, step %d: undo: %v", verb, at, err)
			}
			tr.want(oldA, oldB)
			tr.tidy()
			if left := tr.records(); len(left) != 0 {
				t.Errorf("%s, step %d: a record is left", verb, at)
			}
		}
		if killed < 8 {
			t.Errorf("%s: only %d steps", verb, killed)
		}
	}
}

// victim is the program that is killed.
func victim(t *testing.T, dir string) {
	tr := &tree{t: t, dir: dir, store: &Store{Dir: filepath.Join(dir, "state", "fixes")}}
	var at, n int
	fmt.Sscan(os.Getenv("EDIT_TEST_AT"), &at)
	verb, plainly := strings.CutSuffix(os.Getenv("EDIT_TEST_VERB"), " plainly")
	tr.store.plainly = plainly
	tr.store.step = func(string) {
		if n++; n > at {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	if verb == "undo" {
		if err := tr.undo(); err != nil {
			t.Fatal(err)
		}
		return
	}
	if _, err := tr.store.Apply(tr.changes(), Record{Dir: "/", At: now()}); err != nil {
		t.Fatal(err)
	}
}

// TestFullDisk fills the disk to every amount of room that is too little, and
// wants both files as they were and nothing left over.
func TestFullDisk(t *testing.T) {
	if os.Getenv("EDIT_TEST_INSIDE") == "" {
		if os.Geteuid() != 0 {
			netnstest.Skip(t, "needs root to mount")
		}
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestFullDisk$", "-test.v")
		cmd.Env = append(os.Environ(), "EDIT_TEST_INSIDE=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
		out, err := cmd.CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("--- PASS: TestFullDisk")) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	refused, done := 0, 0
	for room := 0; room < 16 && done == 0; room++ {
		tr := newTree(t)
		if err := unix.Mount("tmpfs", tr.dir, "tmpfs", 0, "size=128k,mode=0700"); err != nil {
			t.Fatal(err)
		}
		defer unix.Unmount(tr.dir, unix.MNT_DETACH)
		long := strings.Repeat("# a comment\n", 500) // more than a page
		tr.write("a", oldA+long)
		tr.write("b", oldB+long)
		changes := tr.changes()
		for i := range changes {
			changes[i].Data = append(changes[i].Data, long...)
		}
		fill(t, tr.path("filler"), room)
		_, err := tr.store.Apply(changes, Record{Dir: "/", At: now()})
		if err == nil {
			done++
			continue
		}
		refused++
		if problem(err) != NotWritten || !errors.Is(err, unix.ENOSPC) {
			t.Errorf("with room for %d pages: %v", room, err)
		}
		tr.want(oldA+long, oldB+long)
		tr.tidy()
		if left := tr.records(); len(left) != 0 {
			t.Errorf("with room for %d pages a record is left", room)
		}
	}
	if refused < 3 || done == 0 {
		t.Errorf("%d times refused, %d times done", refused, done)
	}
}

// fill leaves room for some pages on the file system of path.
func fill(t *testing.T, path string, pages int) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, os.Getpagesize())
	var size int64
	for err == nil {
		var n int
		n, err = f.Write(page)
		size += int64(n)
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	if err := f.Truncate(max(0, size-int64(pages*len(page)))); err != nil {
		t.Fatal(err)
	}
}

// TestUntrustedRecord wants nothing to be written by a record that somebody else
// may have made, or that is damaged.
func TestUntrustedRecord(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"others may write": func(path string) error { return os.Chmod(path, 0o666) },
		"the directory":    func(path string) error { return os.Chmod(filepath.Dir(path), 0o777) },
		"a link": func(path string) error {
			return errors.Join(os.Rename(path, path+"~"), os.Symlink(path+"~", path))
		},
		"two names": func(path string) error { return os.Link(path, path+"~") },
		"cut off":   func(path string) error { return os.Truncate(path, 200) },
		"a byte": func(path string) error {
			data, err := os.ReadFile(path)
			data[len(data)-9] ^= 1
			return errors.Join(err, os.WriteFile(path, data, 0o600))
		},
		"another's": func(path string) error {
			if os.Geteuid() != 0 {
				return os.Chmod(path, 0o666)
			}
			return os.Chown(path, netnstest.Nobody, -1)
		},
	} {
		tr := newTree(t)
		r, err := tr.store.Apply(tr.changes(), Record{Dir: "/", At: now()})
		if err != nil {
			t.Fatal(err)
		}
		if err := spoil(tr.store.path(r)); err != nil {
			t.Fatal(err)
		}
		if _, err := tr.store.Records(); problem(err) != Untrusted {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPrivate wants nobody else to be able to read what is kept.
func TestPrivate(t *testing.T) {
	tr := newTree(t)
	syscall.Umask(0)
	defer syscall.Umask(0o022)
	r, err := tr.store.Apply(tr.changes(), Record{Dir: "/", At: now()})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{tr.store.path(r): 0o600, tr.store.Dir: 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}
}
