package sockets

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/sockets/internal/diag"
)

func doors(o Options) ([]monban.Door, []monban.Gap) {
	q := query{
		ports:  o.Ports,
		hides:  monban.HidesDoors,
		states: doorStates,
		// Measured: of 1,000 sockets that share seven ports with two that come
		// and go all the time, 1 reading in 12 left one out.
		rereads: 5,
	}
	var list doorList
	gaps := q.within(o.NetNS, func(netns string) adder {
		list = doorList{ports: o.Ports, netns: netns}
		return list.add
	})
	return list.doors(), gaps
}

func traffic(o Options) ([]monban.Traffic, []monban.Gap) {
	q := query{
		ports:  o.Ports,
		hides:  monban.HidesTraffic,
		states: func(monban.Proto) diag.States { return diag.Connected },
	}
	var t *tally
	gaps := q.within(o.NetNS, func(string) adder {
		t = newTally(o.Ports)
		return t.add
	})
	if t == nil {
		return nil, gaps
	}
	list, short := t.result()
	return list, append(gaps, short...)
}

// look reads every table once. It gives up, and ok is false, when something was
// out of the ordinary: an answer that has to be read again would count its
// connections twice.
func look(o Options) (doors []monban.Door, traffic []monban.Traffic, gaps []monban.Gap, ok bool) {
	q := query{
		ports:  o.Ports,
		hides:  monban.HidesDoors,
		states: func(p monban.Proto) diag.States { return doorStates(p) | diag.Connected },
		once:   true,
	}
	var list doorList
	var t *tally
	gaps = q.within(o.NetNS, func(netns string) adder {
		list, t = doorList{ports: o.Ports, netns: netns}, newTally(o.Ports)
		return func(r *row) bool { return list.add(r) || t.add(r) }
	})
	for _, g := range gaps {
		if g.Hides != monban.HidesBound {
			return nil, nil, nil, false
		}
	}
	traffic, short := t.result()
	return list.doors(), traffic, append(gaps, short...), true
}

// doorStates are the states in which a socket of the given transport is a door.
func doorStates(p monban.Proto) diag.States {
	switch p {
	case monban.TCP:
		return diag.StatesOf(diag.Listen, diag.BoundInactive)
	case monban.UDP:
		return diag.StatesOf(diag.Close)
	default:
		return diag.StatesOf(diag.Listen)
	}
}

// query is what is asked of the kernel's tables.
type query struct {
	ports  portSet
	hides  monban.Subject
	states func(monban.Proto) diag.States
	// rereads is how often a table may be read once more to find what was left
	// out, by a receiver that takes every socket once.
	rereads int
	// once gives up where a table would have to be read again.
	once bool
}

// adder receives rows and reports whether it has learned something new. A row is
// only valid during the call.
type adder func(*row) bool

// tries is how often a table that changes too fast is read anew.
const tries = 3

// within answers the query in the network namespace at path. For every try,
// start returns a new receiver of rows.
func (q query) within(path string, start func(netns string) adder) (gaps []monban.Gap) {
	err := inNetNS(path, func(netns string) {
		gaps = q.persist(func() ([]monban.Gap, error) { return q.read(start(netns)) })
	})
	if err != nil {
		return []monban.Gap{{Source: path, Err: err.Error(), Hides: monban.HidesNamespaces, Reason: reason(err)}}
	}
	return gaps
}

// persist reads anew while the table changes too fast.
func (q query) persist(read func() ([]monban.Gap, error)) []monban.Gap {
	for try := 1; ; try++ {
		gaps, err := read()
		if err == nil {
			return gaps
		}
		if try == tries {
			return append(gaps, q.gap("sock_diag", err))
		}
	}
}

func (q query) gap(source string, err error) monban.Gap {
	return monban.Gap{Source: source, Err: err.Error(), Hides: q.hides, Reason: reason(err)}
}

func reason(err error) monban.Hidden {
	if errors.Is(err, os.ErrPermission) {
		return monban.HiddenPrivilege
	}
	return monban.NotHidden
}

// read asks for every transport. An error means that the rows so far are
// unreliable and reading anew may help.
func (q query) read(add adder) (gaps []monban.Gap, err error) {
	var shared sharedConn
	defer shared.close()
	for _, proto := range monban.Protos() {
		spans, wanted := q.ports.spans(proto)
		if !wanted {
			continue
		}
		more, err := q.readProto(proto, diag.PortFilter(spans), add, &shared)
		if err != nil {
			return nil, err
		}
		for _, g := range more {
			gaps = addGap(gaps, g)
		}
	}
	return gaps, nil
}

// addGap appends g unless it is there: what keeps netlink from answering keeps
// it from answering for every transport.
func addGap(gaps []monban.Gap, g monban.Gap) []monban.Gap {
	for _, old := range gaps {
		if old == g {
			return gaps
		}
	}
	return append(gaps, g)
}

func (q query) readProto(p monban.Proto, filter []byte, add adder, shared *sharedConn) ([]monban.Gap, error) {
	if p == monban.SCTP || p == monban.DCCP {
		release, err := kernelRelease()
		if err != nil {
			return []monban.Gap{q.gap("uname", err)}, nil
		}
		if loadsToAnswer(release) {
			return []monban.Gap{q.gap("sock_diag",
				fmt.Errorf("SCTP and DCCP are not asked for: Linux %s may load them to answer", release))}, nil
		}
	}
	d := dump{query: q, proto: p, filter: filter, add: add}
	err := d.run(shared)
	switch {
	case err == nil:
		return d.gaps(), nil
	case errors.Is(err, diag.ErrInterrupted), errors.Is(err, unix.ENOBUFS):
		return nil, err
	case absent(p, err):
		return nil, nil
	case d.rows > 0:
		// What came is true, and more is missing. The other source would tell
		// the same sockets again, under other identities.
		return []monban.Gap{q.gap("sock_diag", err)}, nil
	default:
		return append([]monban.Gap{q.gap("sock_diag", err)}, q.readProc(p, add)...), nil
	}
}

// absent reports whether err says that the kernel has no such transport, or has
// not loaded it: then it has no sockets either. TCP and UDP it always has.
func absent(p monban.Proto, err error) bool {
	return (p == monban.SCTP || p == monban.DCCP) &&
		(errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP))
}

// sharedConn is one connection for all the questions that are asked in turn.
type sharedConn struct{ conn *diag.Conn }

// dial returns the connection, or a new one if no more can be asked on it.
func (c *sharedConn) dial() (*diag.Conn, error) {
	if c.conn != nil && !c.conn.Busy() {
		return c.conn, nil
	}
	c.close()
	conn, err := diag.Dial()
	c.conn = conn
	return conn, err
}

func (c *sharedConn) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// dump reads the sockets of one transport by netlink.
type dump struct {
	query
	proto  monban.Proto
	filter []byte
	add    adder

	conn  *diag.Conn
	row   row
	rows  int
	bound int // sockets that are bound and no more
	fresh int // rows that were new to the receiver
}

func (d *dump) run(shared *sharedConn) error {
	c, err := shared.dial()
	if err != nil {
		return err
	}
	d.conn = c
	for _, family := range diag.Families(protocolNumber(d.proto)) {
		if err := d.readFamily(family); err != nil {
			return err
		}
	}
	return nil
}

// readFamily reads until nothing is likely to be left out.
func (d *dump) readFamily(family uint8) error {
	for n := 0; ; n++ {
		d.fresh = 0
		split, err := d.conn.Dump(diag.Request{
			Family:   family,
			Protocol: protocolNumber(d.proto),
			States:   d.states(d.proto),
			Filter:   d.filter,
		}, d.take)
		if err == nil && split && d.once {
			return errSplit
		}
		if err != nil || !split || d.fresh == 0 || n == d.rereads {
			return err
		}
	}
}

var errSplit = errors.New("the answer was cut between sockets of one port")

func protocolNumber(p monban.Proto) uint8 {
	switch p {
	case monban.TCP:
		return diag.TCP
	case monban.UDP:
		return diag.UDP
	case monban.SCTP:
		return diag.SCTP
	default:
		return diag.DCCP
	}
}

func (d *dump) take(s *diag.Socket) {
	d.rows++
	d.row = row{
		proto:    d.proto,
		stage:    d.stage(s),
		local:    d.zoned(s.Local, s.Interface),
		remote:   d.zoned(s.Remote, s.Interface),
		v6only:   v6Only(s),
		uid:      s.UID,
		mark:     s.Mark,
		inode:    uint64(s.Inode),
		identity: s.Cookie,
	}
	if d.row.stage == bound {
		d.bound++
	}
	if s.Interface != 0 {
		d.row.device = d.conn.InterfaceName(s.Interface)
	}
	several := false
	s.Locals(func(addr netip.Addr) {
		// One door for each address of an SCTP endpoint, which are all the
		// same socket.
		several = true
		d.row.identity = 0
		d.row.local = d.zoned(netip.AddrPortFrom(addr, s.Local.Port()), s.Interface)
		d.pass()
	})
	if !several {
		d.pass()
	}
}

func (d *dump) pass() {
	if d.add(&d.row) {
		d.fresh++
	}
}

// stage translates the state. SCTP associations have numbers of their own
// (enum sctp_state in include/net/sctp/constants.h), where 3 is ESTABLISHED.
func (d *dump) stage(s *diag.Socket) stage {
	if d.proto == monban.SCTP && s.State != diag.Listen {
		if s.State == 3 {
			return established
		}
		return otherwise
	}
	return stageOf(uint8(s.State))
}

// zoned gives a link-local address its zone.
func (d *dump) zoned(ap netip.AddrPort, index uint32) netip.AddrPort {
	if index == 0 || !ap.Addr().Is6() || !ap.Addr().IsLinkLocalUnicast() && !ap.Addr().IsLinkLocalMulticast() {
		return ap
	}
	return netip.AddrPortFrom(ap.Addr().WithZone(d.conn.InterfaceName(index)), ap.Port())
}

func v6Only(s *diag.Socket) monban.Flag {
	switch {
	case s.Family == diag.INET:
		return monban.Off
	case s.HasV6Only:
		return monban.FlagOf(s.V6Only)
	default:
		return monban.FlagUnknown
	}
}

// gaps says what a dump that went well cannot have shown.
func (d *dump) gaps() []monban.Gap {
	if d.proto != monban.TCP || d.states(d.proto)&diag.StatesOf(diag.BoundInactive) == 0 || d.bound > 0 {
		return nil
	}
	release, err := kernelRelease()
	if err != nil {
		return []monban.Gap{d.gap("uname", err)}
	}
	if !listsBound(release) {
		// Few programs keep a port without listening, and half of all machines
		// run such a kernel: the gap is of a kind of its own, so that it does
		// not turn every free port into an unknown one.
		return []monban.Gap{{Source: "sock_diag", Hides: monban.HidesBound,
			Err: fmt.Sprintf("Linux %s does not list TCP sockets that are bound but do not listen: 6.8 is the first", release)}}
	}
	return nil
}

func kernelRelease() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", os.NewSyscallError("uname", err)
	}
	return unix.ByteSliceToString(u.Release[:]), nil
}

// procNet is the socket tables of the calling thread's namespace. /proc/net is
// those of the first thread of the process, which may be elsewhere.
const procNet = "/proc/thread-self/net/"

// readProc reads the tables below /proc/net in the place of netlink.
func (q query) readProc(p monban.Proto, add adder) (gaps []monban.Gap) {
	for _, t := range procTables() {
		if t.proto != p {
			continue
		}
		err := readProcTable(t, add)
		if t.v6 && errors.Is(err, os.ErrNotExist) && len(gaps) == 0 {
			continue // the kernel has no IPv6
		}
		if err != nil {
			gaps = append(gaps, q.gap("/proc/net/"+t.name, err))
		}
	}
	if q.hides == monban.HidesDoors && p == monban.TCP {
		gaps = append(gaps, q.gap("/proc/net", errProcNet))
	}
	return gaps
}

var errProcNet = errors.New("does not list TCP sockets that are bound but do not listen, nor SCTP and DCCP; " +
	"tells neither IPV6_V6ONLY nor the interface of a socket")

func readProcTable(t procTable, add adder) error {
	f, err := os.Open(procNet + t.name)
	if err != nil {
		return err
	}
	defer f.Close()
	return t.read(f, func(r *row) { add(r) })
}
