package conflict

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
)

// ipLocalPortRange is IP_LOCAL_PORT_RANGE (Linux 6.3).
const ipLocalPortRange = 51

// A listen without a bind, and a bind to port 0, are given a port by the kernel
// (inet_csk_find_open_port, udp_lib_get_port). That must be none of a set's own,
// and so each socket has a range to be given one from where no set is. Reserving
// the sets' ports would not do: a reserved port is not lent to a connection
// either, and some sets have such connections.
const lentFirst, lentLast = 54000, 57999

func open(st step) (int, error) {
	domain, kind, proto := unix.AF_INET, unix.SOCK_STREAM, 0
	if st.Family == IPv6 {
		domain = unix.AF_INET6
	}
	if st.Proto == monban.UDP {
		kind = unix.SOCK_DGRAM
	}
	if st.MPTCP {
		proto = unix.IPPROTO_MPTCP
	}
	fd, err := unix.Socket(domain, kind|unix.SOCK_CLOEXEC, proto)
	if err != nil {
		return fd, err
	}
	return fd, localPorts(fd, lentFirst, lentLast)
}

func toInt(on bool) int {
	if on {
		return 1
	}
	return 0
}

func sockaddr(at netip.AddrPort, n Net) unix.Sockaddr {
	if at.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	}
	sa := &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
	if zone := at.Addr().Zone(); zone != "" {
		if sa.ZoneId = uint32(n.index(zone)); sa.ZoneId == 0 {
			sa.ZoneId = 9999 // an interface that is gone
		}
	}
	return sa
}

func bind(fd int, at netip.AddrPort, n Net) error { return unix.Bind(fd, sockaddr(at, n)) }

// accept connects to the listener and takes the connection from it.
func (r *kernelRun) accept(st step, to netip.Addr) error {
	listener := r.fds[handle{st.Actor, st.Sock}]
	sa, err := unix.Getsockname(listener)
	if err != nil {
		return err
	}
	var port int
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		port = sa.Port
	case *unix.SockaddrInet6:
		port = sa.Port
	}
	domain := unix.AF_INET
	if to.Is6() {
		domain = unix.AF_INET6
	}
	peer, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	r.peers = append(r.peers, peer)
	if err := localPorts(peer, 30000, 32999); err != nil { // not the set's own
		return err
	}
	if err := unix.Connect(peer, sockaddr(netip.AddrPortFrom(to, uint16(port)), Net{})); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	if err != nil {
		return fmt.Errorf("accept: %w", err)
	}
	r.fds[handle{st.Actor, st.New}] = fd
	return nil
}

// timeWait closes a connection from this side first, which therefore goes to
// TIME_WAIT, and waits until it is there.
func (r *kernelRun) timeWait(h handle) error {
	fd := r.fds[h]
	peerAddr, err := unix.Getpeername(fd)
	if err != nil {
		return err
	}
	for i, peer := range r.peers {
		if addr, err := unix.Getsockname(peer); err != nil || portOf(addr) != portOf(peerAddr) {
			continue
		}
		delete(r.fds, h)
		unix.Close(fd)
		unix.Read(peer, make([]byte, 1)) // end of file: the FIN is here
		unix.Close(peer)
		r.peers = append(r.peers[:i], r.peers[i+1:]...)
		return nil
	}
	return fmt.Errorf("the other end is not ours")
}

func portOf(sa unix.Sockaddr) int {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return sa.Port
	case *unix.SockaddrInet6:
		return sa.Port
	}
	return 0
}

func localPorts(fd, first, last int) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, ipLocalPortRange, last<<16|first); err != nil {
		return fmt.Errorf("IP_LOCAL_PORT_RANGE: %w", err)
	}
	return nil
}

// lentOutside reports a port of the kernel's choice that may be one of a set's.
func lentOutside(fd int) error {
	sa, err := unix.Getsockname(fd)
	if port := portOf(sa); err == nil && (port < lentFirst || port > lentLast) {
		err = fmt.Errorf("was given port %d", port)
	}
	return err
}

// lend makes an outgoing connection that can only get the port st.Port.
func lend(fd int, st step) error {
	if err := localPorts(fd, int(st.Port), int(st.Port)); err != nil {
		return err
	}
	if err := unix.Connect(fd, sockaddr(netip.AddrPortFrom(st.Addr, serverPort), Net{})); err != nil {
		return fmt.Errorf("lend: connect: %w", err)
	}
	return nil
}

// explain cuts a set down to the steps that matter and shows both outcomes.
func (k *kernel) explain(s set) string {
	differ := func(s set) bool {
		k.spare -= 2 * ports // connections of the last run may still have its ports
		if k.spare < lentLast+2*ports {
			return false // none are left
		}
		s = s.moved(k.spare)
		want, got := s.runModel(k.net), k.run(s)
		for i := range want {
			if want[i] != got[i] {
				return true
			}
		}
		return false
	}
	if !differ(s) {
		return "the outcomes differed once and agree when the set is run again"
	}
	deadline := time.Now().Add(20 * time.Second)
	for again := true; again && time.Now().Before(deadline); {
		again = false
		for i := len(s.steps) - 1; i >= 0; i-- {
			less := set{s.actors, append(append([]step(nil), s.steps[:i]...), s.steps[i+1:]...)}
			if differ(less) {
				s, again = less, true
			}
		}
	}
	var b strings.Builder
	for i, a := range s.actors {
		fmt.Fprintf(&b, "p%d is %v\n", i, a)
	}
	s = s.moved(k.spare - 2*ports)
	want, got := s.runModel(k.net), k.run(s)
	for i, st := range s.steps {
		mark := ""
		if want[i] != got[i] {
			mark = "  ← differ"
		}
		fmt.Fprintf(&b, "%-50s model %-14q kernel %q%s\n", st, want[i], got[i], mark)
	}
	return b.String()
}

// mustHaveSeen fails the test if it could not have failed.
func (k *kernel) mustHaveSeen(seen map[string]int, outcomes ...string) {
	k.t.Helper()
	if sets() < 1000 {
		return
	}
	for _, o := range outcomes {
		if seen[o] == 0 {
			k.t.Errorf("no set had the outcome %q", o)
		}
	}
}
