package owners

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/netnstest"
)

func TestNameOwn(t *testing.T) {
	l, inode, err := listenOne("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o := sole(t, number(t, inode))
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if o.PID != os.Getpid() || o.Exe != exe || o.Name != filepath.Base(exe) || o.Dir != dir || o.Deleted ||
		int(o.UID) != os.Geteuid() || !slices.Equal(o.Command, os.Args) {
		t.Errorf("%+v", o)
	}
	if o.Project != filepath.Dir(dir) {
		t.Errorf("project %q, want %q", o.Project, filepath.Dir(dir))
	}
	if os.Geteuid() == 0 && o.User != "root" {
		t.Errorf("user %q", o.User)
	}
	if len(o.Parents) == 0 || o.Parents[0].PID != os.Getppid() || o.Parents[len(o.Parents)-1].PID != 1 {
		t.Errorf("parents %+v", o.Parents)
	}
	if o.Orphan {
		t.Error("an orphan")
	}
	again := sole(t, number(t, inode))
	if !again.Started.Equal(o.Started) {
		t.Errorf("started %v, and then %v", o.Started, again.Started)
	}
}

func TestNameStarted(t *testing.T) {
	before := time.Now()
	h := start(t, "listen", nil)
	o := sole(t, h.inode())
	const tick = 20 * time.Millisecond
	if o.PID != h.pid || o.Started.Before(before.Add(-tick)) || o.Started.After(time.Now().Add(tick)) {
		t.Errorf("pid %d started %v, want %d after %v", o.PID, o.Started, h.pid, before)
	}
	if len(o.Parents) == 0 || o.Parents[0].PID != os.Getpid() {
		t.Errorf("parents %+v", o.Parents)
	}
	if !slices.Equal(o.Command, []string{"listen"}) {
		t.Errorf("command %q", o.Command)
	}
}

func TestNameProgram(t *testing.T) {
	for _, name := range []string{"a name (with) brackets) S 1", "-dash", "new\nline\x1b[31m", "名前", "a-very-long-program-name-indeed",
		"gone (deleted)", "\xff\xfe"} {
		t.Run(name, func(t *testing.T) {
			path := copySelf(t, t.TempDir(), name)
			h := start(t, "listen", func(c *exec.Cmd) { c.Path = path })
			inode := h.inode()
			if o := sole(t, inode); o.Name != name || o.Exe != path || o.Deleted {
				t.Errorf("name %q, exe %q, deleted %v", o.Name, o.Exe, o.Deleted)
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if o := sole(t, inode); o.Name != name || o.Exe != path || !o.Deleted {
				t.Errorf("removed: name %q, exe %q, deleted %v", o.Name, o.Exe, o.Deleted)
			}
		})
	}
}

func TestAside(t *testing.T) {
	self, err := openDirectory("/proc/self")
	if err != nil {
		t.Fatal(err)
	}
	defer self.close()
	var a aside
	if got := a.ask(self, func(process dirFD) string { return process.link("exe") }); got != self.link("exe") {
		t.Errorf("got %q", got)
	}
	never := make(chan string)
	defer close(never)
	before := time.Now()
	if got := a.ask(self, func(dirFD) string { return <-never }); got != "" || !a.isStuck() {
		t.Errorf("got %q, stuck %v", got, a.isStuck())
	}
	if took := time.Since(before); took < asideTimeout || took > time.Minute {
		t.Errorf("waited %v", took)
	}
	if got := a.ask(self, func(dirFD) string { panic("asked again") }); got != "" {
		t.Errorf("got %q", got)
	}
}

// TestNameAlias starts a program by a link to its executable, as Debian's
// redis-server is one to redis-check-rdb, and one that only says so.
func TestNameAlias(t *testing.T) {
	dir := t.TempDir()
	copySelf(t, dir, "redis-check-rdb")
	other := t.TempDir()
	for name, link := range map[string]string{"relative": dir + "/redis-server", "elsewhere": other + "/redis-server"} {
		target := "redis-check-rdb"
		if filepath.Dir(link) != dir {
			target = filepath.Join(dir, target)
		}
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		h := start(t, "listen", func(c *exec.Cmd) { c.Path, c.Args[0] = link, link })
		o := sole(t, h.inode())
		if o.Name != "redis-server" || o.Exe != dir+"/redis-check-rdb" {
			t.Errorf("%s: name %q, exe %q", name, o.Name, o.Exe)
		}
	}
	h := start(t, "listen", func(c *exec.Cmd) { c.Path, c.Args[0] = dir+"/redis-check-rdb", "/usr/sbin/sshd" })
	if o := sole(t, h.inode()); o.Name != "redis-check-rdb" {
		t.Errorf("an invented name: %q", o.Name)
	}
}

func TestNameReplaced(t *testing.T) {
	dir := t.TempDir()
	path := copySelf(t, dir, "server")
	h := start(t, "listen", func(c *exec.Cmd) { c.Path = path })
	inode := h.inode()
	if err := os.Rename(copySelf(t, dir, "server.new"), path); err != nil {
		t.Fatal(err)
	}
	if o := sole(t, inode); !o.Deleted || o.Exe != path {
		t.Errorf("after an upgrade: exe %q, deleted %v", o.Exe, o.Deleted)
	}
}

func TestNameShared(t *testing.T) {
	h := start(t, "serve", nil)
	words := h.words()
	d := nameOne(t, number(t, words[0]))
	var pids []string
	for _, o := range d.Owners {
		pids = append(pids, strconv.Itoa(o.PID))
	}
	want := append([]string{strconv.Itoa(h.pid)}, words[1:]...)
	if len(pids) != 3 || pids[0] != want[0] {
		t.Fatalf("owners %q, want %q, the parent first", pids, want)
	}
	slices.Sort(pids)
	slices.Sort(want)
	if !slices.Equal(pids, want) {
		t.Errorf("owners %q, want %q", pids, want)
	}
	// The same list serves every door with the same owners.
	doors := []monban.Door{{Inode: number(t, words[0])}, {Inode: number(t, words[0])}, {Inode: 0}}
	Name(t.Context(), doors, Options{})
	if &doors[0].Owners[0] != &doors[1].Owners[0] {
		t.Error("equal lists are two lists")
	}
	if doors[2].Owners != nil || doors[2].Unnamed != monban.HiddenKernel {
		t.Errorf("inode 0: %+v", doors[2])
	}
}

func TestNameLeftover(t *testing.T) {
	// The server is killed; its workers have the socket still.
	h := start(t, "serve", nil)
	words := h.words()
	if err := h.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for {
		d := nameOne(t, number(t, words[0]))
		if len(d.Owners) == 2 && d.Owners[0].Name != "" && !slices.ContainsFunc(d.Owners, func(o monban.Owner) bool { return o.PID == h.pid }) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("owners %+v, want the workers %q", d.Owners, words[1:])
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestNameProject(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"repo/.git", "repo/cmd/deep", "file/sub", "none", "fifo/sub"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "file/.git"), []byte("gitdir: elsewhere"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(root, "fifo/.git"), 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{"repo": "repo", "repo/cmd/deep": "repo", "file/sub": "file", "none": "", "fifo/sub": ""} {
		h := start(t, "listen", func(c *exec.Cmd) { c.Dir = filepath.Join(root, dir) })
		o := sole(t, h.inode())
		if o.Dir != filepath.Join(root, dir) {
			t.Errorf("%s: directory %q", dir, o.Dir)
		}
		if want != "" {
			want = filepath.Join(root, want)
		}
		if o.Project != want {
			t.Errorf("%s: project %q, want %q", dir, o.Project, want)
		}
	}
}

func TestNameDirectoryGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	h := start(t, "listen", func(c *exec.Cmd) { c.Dir = dir })
	inode := h.inode()
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if o := sole(t, inode); o.Dir != dir+" (deleted)" || o.Project != "" {
		t.Errorf("directory %q, project %q", o.Dir, o.Project)
	}
}

func TestNameOrphan(t *testing.T) {
	for mode, want := range map[string]bool{"job": true, "daemon": false} {
		t.Run(mode, func(t *testing.T) {
			h := start(t, "shell", func(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }, mode)
			one, two := h.words(), h.words() // the pid and the inode, in either order
			deadline := time.Now().Add(time.Minute)
			for {
				o, ok := ownerOf(t, one, two)
				if ok && o.Orphan == want && len(o.Parents) > 0 && o.Parents[0].PID != h.pid {
					return
				}
				if time.Now().After(deadline) {
					t.Fatalf("orphan %v, want %v: %+v", o.Orphan, want, o)
				}
				h.cmd.Wait() // the shell goes at once; the second time it is gone
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	t.Run("with its parent", func(t *testing.T) {
		h := start(t, "listen", func(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} })
		if o := sole(t, h.inode()); o.Orphan {
			t.Errorf("%+v", o)
		}
	})
	t.Run("a daemon that leads its session", func(t *testing.T) {
		h := start(t, "listen", func(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setsid: true} })
		if o := sole(t, h.inode()); o.Orphan {
			t.Errorf("%+v", o)
		}
	})
}

// ownerOf names the process of which one line is the pid and one the inode.
func ownerOf(t *testing.T, one, two []string) (monban.Owner, bool) {
	for _, pair := range [...][2][]string{{one, two}, {two, one}} {
		d := nameOne(t, number(t, pair[0][0]))
		if len(d.Owners) == 1 && strconv.Itoa(d.Owners[0].PID) == pair[1][0] {
			return d.Owners[0], true
		}
	}
	return monban.Owner{}, false
}

func TestNameThread(t *testing.T) {
	// A thread with files of its own is looked for before a socket is called
	// the kernel's. Where some process may not be looked at, nothing is ever
	// called the kernel's; so the walk is tried by itself.
	h := start(t, "thread", nil)
	inode := h.inode()
	root, err := openDirectory("/")
	if err != nil {
		t.Fatal(err)
	}
	defer root.close()
	proc, err := root.openDir("proc")
	if err != nil {
		t.Fatal(err)
	}
	defer proc.close()
	l := &look{root: root, proc: proc, table: &processTable{proc: proc, users: users{root: root}, ancestors: make(map[int]*ancestor)}}
	wanted := inodeSet{inode: 0}
	if w, err := l.walk(t.Context(), wanted, false); err != nil || len(w.holders) != 0 {
		t.Fatalf("the plain walk found %+v, %v: the helper does not hide it", w.holders, err)
	}
	if l.many = 1; os.Geteuid() == 0 { // the kernel's iterator shows it at once
		if w, err := l.walk(t.Context(), wanted, false); err != nil || len(w.holders) != 1 || w.holders[0].process.owner.PID != h.pid {
			t.Errorf("iterator: holders %+v, %v, want pid %d", w.holders, err, h.pid)
		}
	}
	w, err := l.walk(t.Context(), wanted, true)
	if err != nil || len(w.holders) != 1 || w.holders[0].process.owner.PID != h.pid {
		t.Fatalf("holders %+v, %v, want pid %d", w.holders, err, h.pid)
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		netnstest.Skip(t, "needs root")
	}
}

// nameAs runs Name in a process of its own and returns what it says.
func nameAs(t *testing.T, set func(*exec.Cmd), args ...string) view {
	t.Helper()
	path := copySelf(t, t.TempDir(), "namer")
	h := start(t, "name", func(c *exec.Cmd) {
		c.Path = path
		c.Dir = "/"
		set(c)
	}, args...)
	var v view
	if err := json.NewDecoder(h.out).Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestNameOtherUser(t *testing.T) {
	needRoot(t)
	path := copySelf(t, t.TempDir(), "server")
	nobody := &syscall.Credential{Uid: netnstest.Nobody, Gid: netnstest.Nobody}
	theirs := start(t, "listen", func(c *exec.Cmd) {
		c.Path, c.Dir = path, "/"
		c.SysProcAttr = &syscall.SysProcAttr{Credential: nobody}
	})
	mine := start(t, "listen", nil)
	their, my := theirs.inode(), mine.inode()
	if o := sole(t, their); o.UID != netnstest.Nobody || o.User != "nobody" || o.PID != theirs.pid {
		t.Errorf("seen by root: %+v", o)
	}

	v := nameAs(t, func(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Credential: nobody} },
		strconv.FormatUint(their, 10), strconv.FormatUint(my, 10))
	if o := v.Doors[0].Owners; len(o) != 1 || o[0].PID != theirs.pid || o[0].Name != "server" || o[0].User != "nobody" {
		t.Errorf("its own, seen by nobody: %+v", v.Doors[0])
	}
	// The parent is root's: its executable may not be read, its name may.
	if o := v.Doors[0].Owners; len(o) == 1 && (len(o[0].Parents) == 0 || o[0].Parents[0].PID != os.Getpid() ||
		o[0].Parents[0].Name != filepath.Base(os.Args[0])) {
		t.Errorf("its parents, seen by nobody: %+v", o[0].Parents)
	}
	if d := v.Doors[1]; len(d.Owners) != 0 || d.Unnamed != monban.HiddenPrivilege || d.User != "root" {
		t.Errorf("root's, seen by nobody: %+v", d)
	}
	if len(v.Gaps) != 1 || v.Gaps[0].Hides != monban.HidesOwners || v.Gaps[0].Reason != monban.HiddenPrivilege || v.Gaps[0].Count != 1 {
		t.Errorf("gaps %+v", v.Gaps)
	}
}

// TestNameSecret has a process that its own user may not look into, and beside it
// a socket that has ended: that one is not hidden by anybody.
func TestNameSecret(t *testing.T) {
	needRoot(t)
	path := copySelf(t, t.TempDir(), "secret")
	nobody := func(c *exec.Cmd) {
		c.Path, c.Dir = path, "/"
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: netnstest.Nobody, Gid: netnstest.Nobody}}
	}
	h := start(t, "secret", nobody)
	l, gone, err := listenOne("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	v := nameAs(t, nobody, strconv.FormatUint(h.inode(), 10), gone)
	for i, want := range []monban.Hidden{monban.HiddenPrivilege, monban.HiddenGone} {
		if d := v.Doors[i]; len(d.Owners) != 0 || d.Unnamed != want {
			t.Errorf("%v, want %v: %+v", d.Unnamed, want, d)
		}
	}
}

func TestNameOtherNamespace(t *testing.T) {
	needRoot(t)
	h := start(t, "listen", nil)
	v := nameAs(t, func(c *exec.Cmd) {
		c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	}, "mount", strconv.FormatUint(h.inode(), 10))
	if d := v.Doors[0]; len(d.Owners) != 0 || d.Unnamed != monban.HiddenNamespace {
		t.Errorf("%+v", d)
	}
	if len(v.Gaps) != 1 || v.Gaps[0].Reason != monban.HiddenNamespace || v.Gaps[0].Count != 1 {
		t.Errorf("gaps %+v", v.Gaps)
	}
}

func TestNameVXLAN(t *testing.T) {
	ns := netnstest.New(t)
	ns.Run("ip", "link", "add", "vx0", "type", "vxlan", "id", "7", "dstport", "4790")
	ns.Run("ip", "link", "add", "vx1", "type", "vxlan", "id", "8", "dstport", "4791")
	ns.Run("ip", "link", "set", "vx0", "up") // vx1 stays down and has no socket
	ns.Do(func() {
		c, err := net.ListenPacket("udp4", "127.0.0.1:4791")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		inode, err := inodeOf(c.(*net.UDPConn))
		if err != nil {
			t.Fatal(err)
		}
		doors := []monban.Door{
			{Bind: bind(t, "udp", "0.0.0.0:4790"), State: monban.Bound, Inode: udpInode(t, 4790)},
			{Bind: bind(t, "udp", "127.0.0.1:4791"), State: monban.Bound, Inode: inode},
		}
		gaps := Name(t.Context(), doors, Options{})
		if d := doors[0]; d.Kernel != "vxlan" || d.Unnamed != monban.HiddenKernel || len(d.Owners) != 0 {
			t.Errorf("the interface's: %+v", d)
		}
		if d := doors[1]; d.Kernel != "" || len(d.Owners) != 1 || d.Owners[0].PID != os.Getpid() {
			t.Errorf("our own: %+v", d)
		}
		if len(gaps) != 0 {
			t.Errorf("gaps %+v", gaps)
		}
	})
}

// udpInode finds the socket of a port in the table of the thread's namespace.
func udpInode(t *testing.T, port int) uint64 {
	t.Helper()
	b, err := os.ReadFile("/proc/thread-self/net/udp")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) > 9 && strings.HasSuffix(f[1], ":"+strings.ToUpper(strconv.FormatInt(int64(port), 16))) {
			return number(t, f[9])
		}
	}
	t.Fatalf("nothing has port %d:\n%s", port, b)
	return 0
}

// TestNameGaps has a process with numbers missing between its files, and many.
func TestNameGaps(t *testing.T) {
	for _, at := range []int{20, 100, 101, 1000} {
		h := start(t, "scatter", nil, strconv.Itoa(at))
		if o := sole(t, h.inode()); o.PID != h.pid {
			t.Errorf("at %d: %+v", at, o)
		}
	}
}
