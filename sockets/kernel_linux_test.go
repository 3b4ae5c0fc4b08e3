package sockets

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/netnstest"
	"github.com/monban-dev/monban/sockets/internal/diag"
)

// TestDoorsAgainstSS compares with what ss(8) prints for the same sockets.
func TestDoorsAgainstSS(t *testing.T) {
	netnstest.Need(t, "ss")
	ns := newStage(t)
	s := newScene(t)
	for range 10 {
		var doors []monban.Door
		ns.Do(func() {
			for range 60 {
				s.open(s.random())
			}
			var gaps []monban.Gap
			doors, gaps = Doors(Options{})
			noGaps(t, gaps)
		})
		var got, want []string
		for _, d := range doors {
			if d.Bind.Port.Proto == monban.UDP || d.State == monban.Listen {
				got = append(got, ssRow(d))
			}
		}
		for line := range strings.Lines(ns.Run("ss", "-Htuln")) {
			f := strings.Fields(line)
			want = append(want, f[0]+" "+f[4])
		}
		same(t, "against ss", got, want)
		s.close()
	}
}

// ssRow writes a door as ss does: "*" is both families, a device or a zone
// follows the address.
func ssRow(d monban.Door) string {
	b := d.Bind
	addr := b.Addr.WithZone("").String()
	if b.Addr.Is6() {
		addr = "[" + addr + "]"
	}
	if b.Addr == netip.IPv6Unspecified() && b.V6Only == monban.Off {
		addr = "*"
	}
	if b.Device != "" {
		addr += "%" + b.Device
	}
	return fmt.Sprintf("%s %s:%d", b.Port.Proto, addr, b.Port.Num)
}

// TestMPTCP opens what net.Listen opens by default, and connects to it by MPTCP.
// Neither the listener nor the connection may be there twice.
func TestMPTCP(t *testing.T) {
	ns := netnstest.New(t)
	ns.Do(func() {
		l, err := net.Listen("tcp", ":0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		port := uint16(l.Addr().(*net.TCPAddr).Port)
		doors, gaps := Doors(Options{})
		noGaps(t, gaps)
		if len(doors) != 1 || doors[0].Bind.Port != (monban.Port{Num: port, Proto: monban.TCP}) || doors[0].State != monban.Listen {
			t.Errorf("got %+v", doors)
		}

		var d net.Dialer
		d.SetMultipathTCP(true)
		c, err := d.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if is, err := c.(*net.TCPConn).MultipathTCP(); !is || err != nil {
			t.Errorf("the connection is not MPTCP: %v", err)
		}
		list, gaps := Traffic(Options{Ports: []monban.PortRange{{First: port, Last: port}}})
		noGaps(t, gaps)
		if len(list) != 1 || list[0].Established != 1 || list[0].Other != 0 {
			t.Errorf("traffic %+v", list)
		}
	})
}

// TestPersist reads a table that changes too fast, twice and always.
func TestPersist(t *testing.T) {
	q := query{hides: monban.HidesDoors}
	for _, tt := range []struct{ failures, reads, gaps int }{{0, 1, 0}, {2, 3, 0}, {99, tries, 1}} {
		reads := 0
		gaps := q.persist(func() ([]monban.Gap, error) {
			if reads++; reads <= tt.failures {
				return nil, diag.ErrInterrupted
			}
			return nil, nil
		})
		if reads != tt.reads || len(gaps) != tt.gaps {
			t.Errorf("%d failures: %d reads, gaps %+v", tt.failures, reads, gaps)
		}
	}
}

// TestKernelSocket looks for a socket that belongs to the kernel itself.
func TestKernelSocket(t *testing.T) {
	ns := netnstest.New(t)
	if out, err := ns.Command("ip", "link", "add", "vx", "type", "vxlan", "id", "7", "dstport", "4789").CombinedOutput(); err != nil {
		netnstest.Skip(t, "needs the vxlan link type: %v: %s", err, out)
	}
	ns.Run("ip", "link", "set", "vx", "up")
	ns.Do(func() {
		doors, gaps := Doors(Options{Ports: []monban.PortRange{{First: 4789, Last: 4789, Proto: monban.UDP}}})
		noGaps(t, gaps)
		if len(doors) == 0 {
			t.Fatal("no door")
		}
		for _, d := range doors {
			if d.State != monban.Bound || !d.Bind.Wildcard() || d.Bind.Port.Num != 4789 {
				t.Errorf("got %+v", d)
			}
		}
	})
}

// TestKernelFilters proves that the port filter works in the kernel, and is not
// only made up for here.
func TestKernelFilters(t *testing.T) {
	ns := netnstest.New(t)
	ns.Do(func() {
		for port := uint16(1000); port < 1300; port++ {
			listen(t, fmt.Sprintf("127.0.0.1:%d", port))
		}
		var many []diag.Span
		for port := uint16(1000); port < 1300; port += 2 {
			many = append(many, diag.Span{First: port, Last: port})
		}
		for _, tt := range []struct {
			spans []diag.Span
			want  int
		}{
			{nil, 300},
			{[]diag.Span{{First: 1100, Last: 1100}}, 1},
			{[]diag.Span{{First: 0, Last: 65535}}, 300},
			{[]diag.Span{{First: 1, Last: 999}, {First: 1300, Last: 65535}}, 0},
			{[]diag.Span{{First: 999, Last: 1000}, {First: 1050, Last: 1059}, {First: 1299, Last: 1400}}, 12},
			{many[:128], 128},
			{many, 299}, // too many: from the first to the last
		} {
			got := 0
			c, err := diag.Dial()
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Dump(diag.Request{Family: diag.INET, Protocol: diag.TCP, States: diag.StatesOf(diag.Listen),
				Filter: diag.PortFilter(tt.spans)}, func(*diag.Socket) { got++ })
			c.Close()
			if err != nil || got != tt.want {
				t.Errorf("%d spans from %v: %d sockets, %v: want %d", len(tt.spans), tt.spans[:min(3, len(tt.spans))], got, err, tt.want)
			}
		}
	})
}

func listen(t testing.TB, addr string) {
	t.Helper()
	lc := net.ListenConfig{}
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
}

// TestTraffic makes known connections, leaves some in TIME_WAIT, and counts.
func TestTraffic(t *testing.T) {
	onStage(t, func(t *testing.T) {
		lc := net.ListenConfig{}
		lc.SetMultipathTCP(false)
		l, err := lc.Listen(t.Context(), "tcp", ":7001")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		// connect opens n connections from one address and returns the ends of
		// the client and of the server.
		connect := func(from, to string, n int) (ends [][2]net.Conn) {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
			d.SetMultipathTCP(false)
			for range n {
				c, err := d.Dial("tcp", to)
				if err != nil {
					t.Fatal(err)
				}
				s, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Close(); s.Close() })
				ends = append(ends, [2]net.Conn{c, s})
			}
			return ends
		}
		connect("127.0.0.2", "127.0.0.1:7001", 7)
		connect("127.0.0.3", "127.0.0.1:7001", 3)
		connect("::1", "[::1]:7001", 5)
		connect("10.9.0.1", "10.9.0.1:7001", 2)
		for _, host := range []string{"127.0.0.4", "127.0.0.5"} {
			connect(host, "127.0.0.1:7001", 1)
		}
		for _, e := range connect("127.0.0.9", "127.0.0.8:7001", 4) {
			e[1].Close() // the server's end goes first and waits
			e[0].Close()
		}
		half := connect("127.0.0.6", "127.0.0.1:7001", 1)[0]
		half[0].(*net.TCPConn).CloseWrite() // CLOSE_WAIT on the server's end

		u, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7002})
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		uc, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 7), Port: 7002}, u.LocalAddr().(*net.UDPAddr))
		if err != nil {
			t.Fatal(err)
		}
		defer uc.Close()

		addr := netip.MustParseAddr
		want := []monban.Traffic{{
			Port: monban.Port{Num: 7001, Proto: monban.TCP}, Established: 19, TimeWait: 4, Other: 1,
			Peers: []monban.Peer{{Addr: addr("127.0.0.2"), Count: 7}, {Addr: addr("::1"), Count: 5}, {Addr: addr("127.0.0.9"), Count: 4},
				{Addr: addr("127.0.0.3"), Count: 3}, {Addr: addr("10.9.0.1"), Count: 2}},
			Locals: []netip.Addr{addr("10.9.0.1"), addr("127.0.0.1"), addr("127.0.0.8"), addr("::1")},
		}, {
			Port: monban.Port{Num: 7002, Proto: monban.UDP}, Established: 1,
			Peers:  []monban.Peer{{Addr: addr("127.0.0.1"), Count: 1}},
			Locals: []netip.Addr{addr("127.0.0.7")},
		}}
		var got []monban.Traffic
		// The last acknowledgements are under way for a moment.
		for range 3000 {
			var gaps []monban.Gap
			got, gaps = Traffic(Options{Ports: []monban.PortRange{{First: 7001, Last: 7002}}})
			noGaps(t, gaps)
			if fmt.Sprint(got) == fmt.Sprint(want) {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		doors, looked, gaps := Look(Options{Ports: []monban.PortRange{{First: 7001, Last: 7002}}})
		noGaps(t, gaps)
		if fmt.Sprint(looked) != fmt.Sprint(want) || len(doors) != 2 {
			t.Errorf("at a look: %d doors, want 2; traffic %+v\nwant %+v", len(doors), looked, want)
		}
		all, _ := Traffic(Options{})
		total := 0
		for _, tr := range all {
			total += tr.Established + tr.TimeWait + tr.Other
		}
		if wantTotal := 2*19 + 4 + 2 + 1; total != wantTotal {
			t.Errorf("%d connections in all, want %d: %+v", total, wantTotal, all)
		}
		checkProcTraffic(t, want)
	})
}

// checkProcTraffic compares the fallback with the same connections.
func checkProcTraffic(t *testing.T, want []monban.Traffic) {
	t.Helper()
	q := query{hides: monban.HidesTraffic, states: func(monban.Proto) diag.States { return diag.Connected }}
	tl := newTally(portSet{{First: 7001, Last: 7002}})
	noGaps(t, q.readProc(monban.TCP, tl.add))
	noGaps(t, q.readProc(monban.UDP, tl.add))
	got, _ := tl.result()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("/proc/net: got  %+v\nwant %+v", got, want)
	}
}

// TestNetNS looks into namespaces from outside, many at once, and proves that no
// thread is left behind in them.
func TestNetNS(t *testing.T) {
	var spaces []*netnstest.NS
	for i := range 4 {
		ns := netnstest.New(t)
		ns.Do(func() { listen(t, fmt.Sprintf("127.0.0.1:%d", 8100+i)) })
		spaces = append(spaces, ns)
	}
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			ns := spaces[i%len(spaces)]
			doors, gaps := Doors(Options{NetNS: ns.Path()})
			noGaps(t, gaps)
			want := monban.Bind{Port: monban.Port{Num: uint16(8100 + i%len(spaces)), Proto: monban.TCP},
				Addr: netip.MustParseAddr("127.0.0.1"), V6Only: monban.Off, NetNS: ns.Name()}
			if len(doors) != 1 || doors[0].Bind != want {
				t.Errorf("in %s: %+v", ns.Name(), doors)
			}
			if _, gaps := Traffic(Options{NetNS: ns.Path()}); len(gaps) != 0 {
				t.Errorf("traffic in %s: %+v", ns.Name(), gaps)
			}
		})
	}
	wg.Wait()
	var left []string
	for range 3000 {
		if left = strangers(t); len(left) == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond) // threads take a moment to end
	}
	t.Errorf("threads left in other namespaces: %v", left)
}

// strangers lists the threads of this process that are in another namespace than
// its first one.
func strangers(t *testing.T) (list []string) {
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob("/proc/self/task/*/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if id, err := os.Readlink(path); err == nil && id != own {
			list = append(list, path+" "+id)
		}
	}
	return list
}

func TestNetNSErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, fifo, "/proc/self/ns/uts", "/nonexistent"} {
		doors, gaps := Doors(Options{NetNS: path})
		if doors != nil || len(gaps) != 1 || gaps[0].Hides != monban.HidesNamespaces || gaps[0].Source != path {
			t.Errorf("Doors in %s: %v, %+v", path, doors, gaps)
		}
		list, gaps := Traffic(Options{NetNS: path})
		if list != nil || len(gaps) != 1 {
			t.Errorf("Traffic in %s: %v, %+v", path, list, gaps)
		}
	}
}

// TestNetNSUnprivileged: an ordinary user may not enter, and is told why.
func TestNetNSUnprivileged(t *testing.T) {
	if !netnstest.Rerunning() {
		netnstest.New(t).Rerun(t, netnstest.Nobody)
		return
	}
	doors, gaps := Doors(Options{NetNS: "/proc/self/ns/net"})
	if doors != nil || len(gaps) != 1 || gaps[0].Reason != monban.HiddenPrivilege {
		t.Errorf("%v, %+v", doors, gaps)
	}
	list, gaps := Namespaces()
	if len(list) == 0 || !list[0].Own {
		t.Fatalf("namespaces of an ordinary user: %+v", list)
	}
	for _, other := range list[1:] { // of this user's other processes: tests beside this one
		info, err := os.Stat(fmt.Sprintf("/proc/%d", other.PID))
		if err == nil && int(info.Sys().(*syscall.Stat_t).Uid) != os.Geteuid() {
			t.Errorf("%+v is seen, which belongs to user %d", other, info.Sys().(*syscall.Stat_t).Uid)
		}
	}
	if len(gaps) != 1 || gaps[0].Reason != monban.HiddenPrivilege {
		t.Errorf("gaps of an ordinary user: %+v", gaps)
	}
}

func TestNamespaces(t *testing.T) {
	ns := netnstest.New(t)
	cmd := ns.Command("sleep", "60")
	ns.Start(cmd)
	own, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	want := Namespace{ID: ns.Name(), Path: fmt.Sprintf("/proc/%d/ns/net", cmd.Process.Pid), PID: cmd.Process.Pid}
	var list []Namespace
	for range 3000 { // nsenter takes a moment to enter
		list, _ = Namespaces()
		if slices.Contains(list, want) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if !slices.Contains(list, want) {
		t.Errorf("no %+v among %+v", want, list)
	}
	if list[0] != (Namespace{ID: own, PID: os.Getpid(), Own: true}) {
		t.Errorf("first is %+v, want %s", list[0], own)
	}
	seen := make(map[string]bool)
	for _, n := range list {
		if seen[n.ID] {
			t.Errorf("%s is there twice", n.ID)
		}
		seen[n.ID] = true
	}
}

// TestNetlinkRefused runs where socket(AF_NETLINK, …) fails, as in many
// sandboxes: a seccomp filter of the test's own process.
func TestNetlinkRefused(t *testing.T) {
	if !netnstest.Rerunning() {
		netnstest.New(t).Rerun(t, netnstest.Nobody)
		return
	}
	listen(t, "127.0.0.1:8200")
	listen(t, "[::1]:8200")
	refuseNetlink(t)
	if _, err := diag.Dial(); !errors.Is(err, unix.EPERM) {
		t.Fatalf("netlink answers %v", err)
	}
	doors, gaps := Doors(Options{})
	if len(doors) != 2 {
		t.Errorf("got %+v", doors)
	}
	if len(gaps) != 2 || gaps[0].Source != "sock_diag" || gaps[0].Hides != monban.HidesDoors || gaps[1].Err != errProcNet.Error() {
		t.Errorf("gaps: %+v", gaps)
	}
	if list, gaps := Traffic(Options{}); len(list) != 0 || len(gaps) != 1 || gaps[0].Hides != monban.HidesTraffic {
		t.Errorf("traffic: %+v, %+v", list, gaps)
	}
}

// refuseNetlink makes socket(AF_NETLINK, …) fail with EPERM in this process.
func refuseNetlink(t *testing.T) {
	t.Helper()
	const (
		loadWord  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		jumpEqual = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		ret       = unix.BPF_RET | unix.BPF_K
		retErrno  = 0x00050000
		retAllow  = 0x7fff0000
	)
	program := []unix.SockFilter{
		{Code: loadWord, K: 0}, // seccomp_data.nr
		{Code: jumpEqual, K: unix.SYS_SOCKET, Jf: 3},
		{Code: loadWord, K: 16}, // seccomp_data.args[0], low word
		{Code: jumpEqual, K: unix.AF_NETLINK, Jf: 1},
		{Code: ret, K: retErrno | uint32(unix.EPERM)},
		{Code: ret, K: retAllow},
	}
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	const setModeFilter, tsync = 1, 1
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, setModeFilter, tsync, uintptr(unsafe.Pointer(&prog))); errno != 0 {
		t.Fatal("seccomp: ", errno)
	}
}
