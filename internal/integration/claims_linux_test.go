package integration

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestClaimsFilesAgainstKernel writes random claims files, asks the program what
// will come of them, and then opens what they ask for in their order: each item
// by a process of its own user. No answer may differ in outcome, stage or errno.
// The model behind the answers has seen far more sets (package conflict); this is
// about the file, the program and the machine in between.
func TestClaimsFilesAgainstKernel(t *testing.T) {
	t.Parallel()
	r := newRoom(t, false)
	for _, line := range []string{"link add va type veth peer name vb", "addr add 192.0.2.1/24 dev va", "link set va up", "link set vb up",
		"-6 addr add 2001:db8::1/64 dev va nodad"} {
		r.run("ip", strings.Fields(line)...)
	}
	actors := map[uint32]chan func(){}
	for _, uid := range []uint32{0, 1000, 1001} {
		calls := make(chan func())
		actors[uid] = calls
		ready := make(chan error)
		go r.ns.Do(func() {
			// The thread has its user to itself and ends with it.
			runtime.LockOSThread()
			var err error
			if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); e != 0 {
				err = e
			}
			ready <- err
			for f := range calls {
				f()
			}
		})
		if err := <-ready; err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { close(calls) })
	}
	rnd := rand.New(rand.NewPCG(chance(t), 7))
	seen := map[string]int{}
	for n := range 25 {
		items := make([]item, 40)
		var text strings.Builder
		text.WriteString("claims:\n")
		for i := range items {
			items[i] = randomItem(rnd, i)
			text.WriteString(items[i].yaml(rnd))
		}
		answer, code := r.check(r.file(fmt.Sprintf("claims%d.yaml", n), text.String()))
		if len(answer.Data.Claims) != len(items) {
			t.Fatalf("%d answers for %d claims, gaps %+v", len(answer.Data.Claims), len(items), answer.Gaps)
		}
		var fds []int
		failed := false
		for i, it := range items {
			want := "ok"
			done := make(chan struct{})
			actors[it.uid] <- func() {
				defer close(done)
				fd, stage, err := it.open()
				if err == nil {
					fds = append(fds, fd)
					return
				}
				if fd >= 0 {
					unix.Close(fd)
				}
				want = fmt.Sprintf("fails %s %s", stage, errnoName(err))
			}
			<-done
			c := answer.Data.Claims[i]
			got := strings.TrimSpace(strings.Join([]string{c.Outcome, c.Stage, c.Errno}, " "))
			seen[got]++
			failed = failed || want != "ok"
			if got != want {
				t.Errorf("file %d: %s\nthe kernel says %s of\n%s", n, c, want, text.String())
			}
			if c.Errno == "EADDRINUSE" && len(c.Against) == 0 {
				t.Errorf("file %d: %s", n, c)
			}
		}
		for _, fd := range fds {
			unix.Close(fd)
		}
		if failed != (code == 1) {
			t.Errorf("file %d: exit %d", n, code)
		}
		if t.Failed() {
			return
		}
	}
	t.Log(seen)
	for _, outcome := range []string{"ok", "fails bind EADDRINUSE", "fails bind EACCES", "fails bind EADDRNOTAVAIL", "fails listen EOPNOTSUPP"} {
		if seen[outcome] == 0 {
			t.Errorf("no claim was %q", outcome)
		}
	}
}

// item is one claim of a file.
type item struct {
	name                 string
	udp, listen          bool
	addr                 netip.Addr
	port                 uint16
	reuseAddr, reusePort bool
	v6only               bool
	device               string
	uid                  uint32
}

func randomItem(r *rand.Rand, i int) item {
	addrs := []string{"0.0.0.0", "127.0.0.1", "192.0.2.1", "::", "::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:0.0.0.0", "203.0.113.9", "2001:db8::dead"}
	it := item{name: fmt.Sprintf("c%d", i), addr: netip.MustParseAddr(addrs[min(r.IntN(9), r.IntN(12))%len(addrs)]), port: uint16(7000 + r.IntN(9)),
		udp: r.IntN(3) == 0, reuseAddr: r.IntN(3) == 0, reusePort: r.IntN(3) == 0, uid: []uint32{0, 1000, 1001}[r.IntN(3)]}
	it.listen = !it.udp && r.IntN(6) > 0 || it.udp && r.IntN(6) == 0
	it.v6only = it.addr.Is6() && r.IntN(3) == 0
	if r.IntN(12) == 0 {
		it.port = uint16(1 + r.IntN(1000))
	}
	if r.IntN(8) == 0 {
		it.device = []string{"lo", "va", "vb"}[r.IntN(3)]
	}
	return it
}

// yaml writes an item; what has its default is sometimes left out.
func (it item) yaml(r *rand.Rand) string {
	fields := []string{"name: " + it.name, fmt.Sprintf("port: %d", it.port), fmt.Sprintf("address: %q", it.addr)}
	add := func(isDefault bool, format string, args ...any) {
		if !isDefault || r.IntN(2) == 0 {
			fields = append(fields, fmt.Sprintf(format, args...))
		}
	}
	proto := "tcp"
	if it.udp {
		proto = "udp"
	}
	add(!it.udp, "proto: %s", proto)
	add(it.listen != it.udp, "listen: %v", it.listen)
	add(!it.reuseAddr, "reuseaddr: %v", it.reuseAddr)
	add(!it.reusePort, "reuseport: %v", it.reusePort)
	add(!it.v6only, "v6only: %v", it.v6only)
	add(it.device == "", "interface: %q", it.device)
	add(it.uid == 0, "uid: %d", it.uid)
	r.Shuffle(len(fields), func(i, k int) { fields[i], fields[k] = fields[k], fields[i] })
	if r.IntN(2) == 0 {
		return "  - {" + strings.Join(fields, ", ") + "}\n"
	}
	return "  - " + strings.Join(fields, "\n    ") + "\n"
}

// open performs the system calls of the item's program.
func (it item) open() (fd int, stage string, err error) {
	domain, kind := unix.AF_INET6, unix.SOCK_STREAM
	if it.addr.Is4() {
		domain = unix.AF_INET
	}
	if it.udp {
		kind = unix.SOCK_DGRAM
	}
	if fd, err = unix.Socket(domain, kind|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, "bind", err
	}
	set := func(level, name int, on bool) {
		if on && err == nil {
			err = unix.SetsockoptInt(fd, level, name, 1)
		}
	}
	set(unix.SOL_SOCKET, unix.SO_REUSEADDR, it.reuseAddr)
	set(unix.SOL_SOCKET, unix.SO_REUSEPORT, it.reusePort)
	set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, it.v6only)
	if it.device != "" && err == nil {
		err = unix.BindToDevice(fd, it.device)
	}
	if err == nil {
		var sa unix.Sockaddr = &unix.SockaddrInet6{Port: int(it.port), Addr: it.addr.As16()}
		if it.addr.Is4() {
			sa = &unix.SockaddrInet4{Port: int(it.port), Addr: it.addr.As4()}
		}
		err = unix.Bind(fd, sa)
	}
	if err == nil && it.listen {
		return fd, "listen", unix.Listen(fd, 16)
	}
	return fd, "bind", err
}

func errnoName(err error) string {
	if errors.Is(err, unix.EOPNOTSUPP) {
		return "EOPNOTSUPP" // the same number as ENOTSUP
	}
	var number unix.Errno
	if errors.As(err, &number) {
		return unix.ErrnoName(number)
	}
	return err.Error()
}
