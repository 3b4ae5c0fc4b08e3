package owners

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/boottime"
)

// fixture is a machine made of files.
type fixture struct {
	t    testing.TB
	root string
}

// newFixture makes a machine with a kernel's first process namespace and no
// process.
func newFixture(t testing.TB) *fixture {
	f := &fixture{t, t.TempDir()}
	f.link("proc/self/ns/pid", "pid:[4026531836]")
	f.file("proc/self/mountinfo", "1 2 0:21 / /proc rw - proc proc rw\n")
	f.file("etc/passwd", "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/:/bin/sh\n")
	return f
}

func (f *fixture) file(name, text string) {
	f.t.Helper()
	path := filepath.Join(f.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) link(name, target string) {
	f.t.Helper()
	path := filepath.Join(f.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) fifo(name string) {
	f.t.Helper()
	path := filepath.Join(f.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o644); err != nil {
		f.t.Fatal(err)
	}
}

// process adds a process that holds sockets. Its parent is ppid.
func (f *fixture) process(pid, ppid int, exe, cgroup string, inodes ...uint64) {
	f.t.Helper()
	dir := fmt.Sprintf("proc/%d/", pid)
	f.file(dir+"stat", statLine(pid, filepath.Base(exe), 'S', ppid, pid, pid, 0, 0, uint64(pid)*100))
	f.file(dir+"status", "Name:\tx\nUid:\t33\t33\t33\t33\n")
	f.file(dir+"cmdline", exe+"\x00-x\x00")
	f.file(dir+"cgroup", cgroup+"\n")
	f.link(dir+"exe", exe)
	f.link(dir+"cwd", "/nonexistent/of/the/fixture")
	if err := os.MkdirAll(filepath.Join(f.root, dir, "fd"), 0o755); err != nil {
		f.t.Fatal(err)
	}
	f.link(dir+"fd/0", "/dev/null")
	for i, inode := range inodes {
		f.link(fmt.Sprintf("%sfd/%d", dir, i+3), fmt.Sprintf("socket:[%d]", inode))
	}
}

// kernelHas lists sockets in /proc/net/tcp.
func (f *fixture) kernelHas(inodes ...uint64) {
	var rows strings.Builder
	rows.WriteString("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n")
	for i, inode := range inodes {
		fmt.Fprintf(&rows, "%4d: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 %d 1 0 100 0 0 10 0\n", i, inode)
	}
	f.file("proc/thread-self/net/tcp", rows.String())
}

func (f *fixture) name(doors ...monban.Door) ([]monban.Door, []monban.Gap) {
	return doors, Name(f.t.Context(), doors, Options{Root: f.root})
}

func TestFixtureOwner(t *testing.T) {
	f := newFixture(t)
	f.process(1, 0, "/usr/lib/systemd/systemd", "0::/init.scope")
	f.process(100, 1, "/usr/sbin/nginx", "0::/system.slice/nginx.service", 7, 8, 7)
	f.process(101, 100, "/usr/sbin/nginx", "0::/system.slice/nginx.service", 7)
	f.process(50, 1, "/usr/bin/node", "0::/system.slice/docker-"+id1+".scope", 9)
	doors, gaps := f.name(monban.Door{Inode: 7}, monban.Door{Inode: 8}, monban.Door{Inode: 9})
	if len(gaps) != 0 {
		t.Errorf("gaps %+v", gaps)
	}
	boot := boottime.Read()
	o := doors[0].Owners
	if len(o) != 2 || o[0].PID != 100 || o[1].PID != 101 || len(doors[1].Owners) != 1 || doors[1].Owners[0].PID != 100 {
		t.Fatalf("owners %+v and %+v", o, doors[1].Owners)
	}
	want := monban.Owner{PID: 101, Started: boot.Add(101 * time.Second), Name: "nginx", Exe: "/usr/sbin/nginx",
		Command: []string{"/usr/sbin/nginx", "-x"}, UID: 33, User: "www-data", Unit: "nginx.service", Dir: "/nonexistent/of/the/fixture",
		Parents: []monban.Parent{{PID: 100, Name: "nginx"}, {PID: 1, Name: "systemd"}}}
	if fmt.Sprint(o[1]) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", o[1], want)
	}
	if c := doors[2].Owners; len(c) != 1 || c[0].Container != id1 || c[0].Unit != "" {
		t.Errorf("container: %+v", c)
	}
}

func TestFixtureYoungParent(t *testing.T) {
	// The parent's number has been given to a process younger than the child.
	f := newFixture(t)
	f.process(200, 1, "/usr/bin/other", "0::/")
	f.process(150, 200, "/usr/bin/child", "0::/", 5)
	doors, _ := f.name(monban.Door{Inode: 5})
	if o := doors[0].Owners; len(o) != 1 || len(o[0].Parents) != 0 {
		t.Errorf("%+v", o)
	}
}

func TestFixtureCircle(t *testing.T) {
	f := newFixture(t)
	f.process(100, 100, "/usr/bin/own", "0::/", 5)
	doors, _ := f.name(monban.Door{Inode: 5})
	if o := doors[0].Owners; len(o) != 1 || len(o[0].Parents) != maxParents {
		t.Errorf("%+v", o)
	}
}

func TestFixtureUnnamed(t *testing.T) {
	f := newFixture(t)
	f.process(1, 0, "/usr/lib/systemd/systemd", "0::/init.scope")
	f.kernelHas(11, 12)
	doors, gaps := f.name(monban.Door{Inode: 11}, monban.Door{Inode: 13}, monban.Door{})
	var got []monban.Hidden
	for _, d := range doors {
		got = append(got, d.Unnamed)
	}
	if want := []monban.Hidden{monban.HiddenKernel, monban.HiddenGone, monban.HiddenKernel}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if len(gaps) != 1 || gaps[0].Reason != monban.HiddenGone || gaps[0].Count != 1 {
		t.Errorf("gaps %+v", gaps)
	}

	// A process that is ending has no file table any more, and may have had it.
	f.process(300, 1, "/usr/bin/ending", "0::/")
	if err := os.Remove(filepath.Join(f.root, "proc/300/fd/0")); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]monban.Hidden{
		statLine(300, "ending", 'R', 1, 300, 300, 0, flagExiting, 300):         monban.HiddenGone,
		statLine(300, "zombie", 'Z', 1, 300, 300, 0, flagExiting, 300):         monban.HiddenKernel,
		statLine(300, "kworker/0:1", 'I', 2, 0, 0, 0, flagKthread, 300):        monban.HiddenKernel,
		statLine(300, "no files at all", 'S', 1, 300, 300, 0, 0x400000, 30000): monban.HiddenKernel,
	} {
		f.file("proc/300/stat", line)
		if doors, _ := f.name(monban.Door{Inode: 11}); doors[0].Unnamed != want {
			t.Errorf("%q: %v, want %v", line, doors[0].Unnamed, want)
		}
	}

	// A socket of another network namespace cannot be looked up here.
	doors, gaps = f.name(monban.Door{Inode: 11, Bind: monban.Bind{NetNS: "net:[99]"}})
	if doors[0].Unnamed != monban.HiddenUnreadable || len(gaps) != 1 || gaps[0].Reason != monban.HiddenUnreadable {
		t.Errorf("%+v, gaps %+v", doors[0], gaps)
	}
}

func TestFixtureThreads(t *testing.T) {
	// The first thread has ended; the others live on.
	f := newFixture(t)
	f.process(1, 0, "/usr/lib/systemd/systemd", "0::/init.scope")
	f.process(300, 1, "/usr/bin/threads", "0::/system.slice/threads.service")
	if err := os.Remove(filepath.Join(f.root, "proc/300/fd/0")); err != nil {
		t.Fatal(err)
	}
	f.file("proc/300/stat", statLine(300, "threads", 'Z', 1, 300, 300, 0, flagExiting, 300))
	f.link("proc/300/task/301/fd/4", "socket:[11]")
	f.kernelHas(11)
	doors, _ := f.name(monban.Door{Inode: 11})
	if o := doors[0].Owners; len(o) != 1 || o[0].PID != 300 || o[0].Unit != "threads.service" || doors[0].Unnamed != monban.NotHidden {
		t.Errorf("%+v", doors[0])
	}
}

func TestFixtureNoTable(t *testing.T) {
	doors := []monban.Door{{Inode: 1, Unnamed: monban.HiddenNotAsked}, {Inode: 2}}
	gaps := Name(t.Context(), doors, Options{Root: t.TempDir()})
	if len(gaps) != 1 || gaps[0].Hides != monban.HidesOwners || gaps[0].Reason != monban.HiddenUnreadable || gaps[0].Count != 2 {
		t.Errorf("gaps %+v", gaps)
	}
	if doors[0].Unnamed != monban.HiddenUnreadable || doors[1].Unnamed != monban.HiddenUnreadable {
		t.Errorf("doors %+v", doors)
	}
}

func TestFixtureCancelled(t *testing.T) {
	f := newFixture(t)
	f.process(1, 0, "/sbin/x", "0::/", 5)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	doors := []monban.Door{{Inode: 5}}
	gaps := Name(ctx, doors, Options{Root: f.root})
	if len(gaps) != 1 || gaps[0].Err != context.Canceled.Error() || doors[0].Unnamed != monban.HiddenUnreadable {
		t.Errorf("gaps %+v, doors %+v", gaps, doors)
	}
}

func TestFixtureNothingAsked(t *testing.T) {
	if gaps := Name(t.Context(), nil, Options{Root: "/nonexistent"}); gaps != nil {
		t.Errorf("gaps %+v", gaps)
	}
}

func TestFixtureOnlyRegularFiles(t *testing.T) {
	f := newFixture(t)
	f.process(1, 0, "/usr/lib/systemd/systemd", "0::/init.scope", 5)
	if err := os.Remove(filepath.Join(f.root, "etc/passwd")); err != nil {
		t.Fatal(err)
	}
	f.fifo("etc/passwd")
	f.fifo("etc/systemd/system/ssh.socket")
	f.fifo("run/systemd/system/ssh.socket.d/x.conf")
	f.fifo("proc/fs/nfsd/portlist")
	done := make(chan []monban.Door)
	go func() {
		doors, _ := f.name(monban.Door{Inode: 5, Bind: bind(t, "tcp", "[::]:22")}, monban.Door{Inode: 6, Bind: bind(t, "tcp", "[::]:2049")})
		done <- doors
	}()
	select {
	case doors := <-done:
		if o := doors[0].Owners; len(o) != 1 || o[0].User != "" || o[0].Unit != "init.scope" {
			t.Errorf("%+v", o)
		}
	case <-time.After(time.Minute):
		t.Fatal("waits for a FIFO")
	}
}

func TestFixtureSocketUnit(t *testing.T) {
	f := newFixture(t)
	f.process(1, 0, "/usr/lib/systemd/systemd", "0::/init.scope", 22, 23, 80, 53, 2022, 9)
	f.process(90, 1, "/usr/sbin/sshd", "0::/system.slice/ssh.service", 22)
	f.file("usr/lib/systemd/system/ssh.socket", "[Socket]\nListenStream=22\nAccept=no\n")
	f.file("usr/lib/systemd/system/telnet.socket", "[Socket]\nListenStream=23\n")
	f.file("etc/systemd/system/telnet.socket", "[Socket]\nListenStream=2323\n")
	f.file("usr/lib/systemd/system/web.socket", "[Socket]\nListenStream=80\n")
	f.file("usr/lib/systemd/system/web2.socket", "[Socket]\nListenStream=80\n")
	f.link("etc/systemd/system/www.socket", "/usr/lib/systemd/system/web.socket") // an alias
	f.file("usr/lib/systemd/system/dns.socket", "[Socket]\nListenDatagram=127.0.0.1:53\n")
	f.file("usr/lib/systemd/system/moved.socket", "[Socket]\nListenStream=9\n")
	f.file("etc/systemd/system/moved.socket.d/20.conf", "[Socket]\nListenStream=2022\n")
	f.file("run/systemd/system/moved.socket.d/10.conf", "[Socket]\nListenStream=\nListenStream=8\n")
	f.file("usr/lib/systemd/system/moved.socket.d/20.conf", "[Socket]\nListenStream=9\n") // hidden by the one in /etc
	f.file("usr/lib/systemd/system/masked.socket", "[Socket]\nListenStream=9\n")
	f.link("etc/systemd/system/masked.socket", "/dev/null")
	f.file("usr/lib/systemd/system/each@.socket", "[Socket]\nListenStream=9\n")
	doorAt := func(proto, at string, inode uint64) monban.Door {
		return monban.Door{Inode: inode, Bind: bind(t, proto, at)}
	}
	ask := func() ([]monban.Door, []monban.Gap) {
		return f.name(doorAt("tcp", "[::]:22", 22), doorAt("tcp", "[::]:23", 23), doorAt("tcp", "[::]:80", 80),
			doorAt("udp", "127.0.0.1:53", 53), doorAt("tcp", "[::]:2022", 2022), doorAt("tcp", "[::]:9", 9))
	}
	units := func(doors []monban.Door) (list []string) {
		for _, d := range doors {
			list = append(list, d.Owners[0].Unit)
		}
		return list
	}
	doors, gaps := ask()
	want := []string{"ssh.socket", "init.scope", "init.scope", "dns.socket", "moved.socket", "init.scope"}
	if got := units(doors); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if o := doors[0].Owners; len(o) != 2 || o[1].Unit != "ssh.service" {
		t.Errorf("the service beside it: %+v", o)
	}
	if len(gaps) != 1 || gaps[0].Hides != monban.HidesDetails || !strings.Contains(gaps[0].Err, "web.socket, web2.socket") {
		t.Errorf("gaps %+v", gaps)
	}
	// Of two that ask for one port, the one that runs has it.
	f.file("sys/fs/cgroup/system.slice/web2.socket/cgroup.procs", "")
	doors, gaps = ask()
	want[2] = "web2.socket"
	if got := units(doors); !slices.Equal(got, want) || len(gaps) != 0 {
		t.Errorf("got %q, want %q; gaps %+v", got, want, gaps)
	}
	// Another pid 1 has no units.
	if err := os.Remove(filepath.Join(f.root, "proc/1/exe")); err != nil {
		t.Fatal(err)
	}
	f.link("proc/1/exe", "/sbin/tini")
	doors, _ = ask()
	if got := doors[0].Owners[0]; got.Unit != "init.scope" || got.Name != "tini" {
		t.Errorf("%+v", got)
	}
}

func TestFixtureKernel(t *testing.T) {
	f := newFixture(t)
	f.process(1, 0, "/usr/lib/systemd/systemd", "0::/init.scope")
	f.file("proc/fs/nfsd/portlist", "tcp 2049\nudp 2049\n")
	f.file("proc/sys/fs/nfs/nlm_tcpport", "32803\n")
	f.file("proc/sys/fs/nfs/nlm_udpport", "0\n")
	f.file("sys/kernel/config/target/iscsi/iqn.2003-01.x:y/tpgt_1/np/[::]:3260/iser", "0\n")
	f.file("sys/kernel/config/nvmet/ports/1/addr_trtype", "tcp\n")
	f.file("sys/kernel/config/nvmet/ports/1/addr_trsvcid", "4420\n")
	f.file("sys/kernel/config/nvmet/ports/2/addr_trtype", "rdma\n")
	f.file("sys/kernel/config/nvmet/ports/2/addr_trsvcid", "4421\n")
	f.file("sys/module/ksmbd/refcnt", "1\n")
	ask := map[string]string{"2049/tcp": "nfsd", "2049/udp": "nfsd", "32803/tcp": "lockd", "32803/udp": "", "3260/tcp": "iscsi-target",
		"4420/tcp": "nvme-target", "4421/tcp": "", "445/tcp": "ksmbd", "0/udp": ""}
	var doors []monban.Door
	for port := range ask {
		p, err := monban.ParsePort(port)
		if err != nil {
			t.Fatal(err)
		}
		doors = append(doors, monban.Door{Inode: uint64(p.Num) + 100000, Bind: monban.Bind{Port: p}})
	}
	f.name(doors...)
	for _, d := range doors {
		if want := ask[d.Bind.Port.String()]; d.Kernel != want || (want != "") != (d.Unnamed == monban.HiddenKernel) {
			t.Errorf("%s: %q (%v), want %q", d.Bind.Port, d.Kernel, d.Unnamed, want)
		}
	}
	// That a module is there is no evidence where a process is out of sight.
	l := &look{rootPath: f.root}
	var err error
	if l.root, err = openDirectory(f.root); err != nil {
		t.Fatal(err)
	}
	defer l.root.close()
	if l.proc, err = l.root.openDir("proc"); err != nil {
		t.Fatal(err)
	}
	defer l.proc.close()
	d := monban.Door{Bind: monban.Bind{Port: monban.Port{Num: 445, Proto: monban.TCP}}}
	if l.nameKernel([]*monban.Door{&d}, false); d.Kernel != "" {
		t.Errorf("named %q without having looked everywhere", d.Kernel)
	}
}

func TestFixtureNamespace(t *testing.T) {
	f := newFixture(t)
	f.process(1, 0, "/bin/app", "0::/")
	f.kernelHas(11)
	if err := os.Remove(filepath.Join(f.root, "proc/self/ns/pid")); err != nil {
		t.Fatal(err)
	}
	f.link("proc/self/ns/pid", "pid:[4026532201]")
	doors, gaps := f.name(monban.Door{Inode: 11})
	if doors[0].Unnamed != monban.HiddenNamespace || len(gaps) != 1 || gaps[0].Count != 1 {
		t.Errorf("%+v, gaps %+v", doors, gaps)
	}
}

func TestFixtureProxy(t *testing.T) {
	f := newFixture(t)
	f.process(100, 1, "/usr/bin/docker-proxy", "0::/system.slice/docker.service", 5)
	f.file("proc/100/cmdline", strings.Join(proxyArgs(), "\x00")+"\x00")
	doors, _ := f.name(monban.Door{Inode: 5, Bind: bind(t, "tcp", "0.0.0.0:8081")})
	if to := doors[0].To; to.Addr.String() != "172.17.0.2" || to.Port != 80 {
		t.Errorf("leads to %+v", to)
	}
}

// TestFixtureBlind has sockets that ended, and some that did not, where not every
// process can be seen.
func TestFixtureBlind(t *testing.T) {
	for link, want := range map[string]monban.Hidden{"pid:[4026532000]": monban.HiddenNamespace, "": monban.HiddenUnreadable} {
		f := newFixture(t)
		if err := os.Remove(filepath.Join(f.root, "proc/self/ns/pid")); err != nil {
			t.Fatal(err)
		}
		if link != "" {
			f.link("proc/self/ns/pid", link)
		}
		f.kernelHas(11)
		listener := func(inode uint64) monban.Door {
			return monban.Door{Inode: inode, State: monban.Listen, Bind: monban.Bind{Port: monban.Port{Proto: monban.TCP}}}
		}
		bound := listener(13) // in no table while it lives
		bound.State = monban.Bound
		elsewhere := listener(13)
		elsewhere.Bind.NetNS = "net:[99]"
		ask := func() (got []monban.Hidden) {
			doors, _ := f.name(listener(11), listener(13), bound, elsewhere)
			for _, d := range doors {
				got = append(got, d.Unnamed)
			}
			return got
		}
		// Without the tables of the kernel nothing is known to have gone.
		if got := ask(); !slices.Equal(got, []monban.Hidden{want, want, want, want}) {
			t.Errorf("%q, no table of UDP: %v", link, got)
		}
		f.file("proc/thread-self/net/udp", "")
		if got := ask(); !slices.Equal(got, []monban.Hidden{want, monban.HiddenGone, want, want}) {
			t.Errorf("%q: %v", link, got)
		}
	}
}
