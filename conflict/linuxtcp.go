package conflict

import "slices"

// bucket is one port of the TCP bind table (struct inet_bind_bucket).
//
// Beside its sockets the bucket remembers where the last socket with
// SO_REUSEPORT was let in, so that the next one of the same user there need not
// be compared with every socket. The memory outlives the socket it came from and
// does not notice when a socket changes its options, and so the answer to a bind
// can depend on sockets that are closed.
//
// The kernel keeps a like memory for SO_REUSEADDR (fastreuse), and a freer one
// for a bucket's first socket (FASTREUSEPORT_ANY). Neither works in 6.18:
// inet_csk_update_fastreuse sets them when the bucket is empty, and since
// Linux 6.8 the bucket already holds the socket's own entry when it asks.
type bucket struct {
	socks []*Socket

	// shared says that uid and at are set (FASTREUSEPORT_STRICT, fastuid,
	// fast_rcv_saddr).
	shared bool
	uid    uint32
	at     rcvAddr
}

// tcpGetPort is inet_csk_get_port with a port number. It is called at bind and
// once more at listen.
func (l *Linux) tcpGetPort(s *Socket, port uint16) bool {
	b := l.tcp[port]
	if b == nil {
		b = &bucket{}
		l.tcp[port] = b
	}
	if !b.remembers(s) && slices.ContainsFunc(b.socks, s.tcpConflict) {
		return false
	}
	b.remember(s)
	if s.port == 0 { // inet_bind_hash; at listen the socket is there already
		s.port = port
		b.socks = append(b.socks, s)
	}
	return true
}

// remembers is sk_reuseport_match. The wildcard of the remembered address stands
// for every address, that of s does not.
func (b *bucket) remembers(s *Socket) bool {
	return b.shared && s.reusePort && !s.grouped && b.uid == s.uid && b.at.overlaps(s.at, true, false)
}

// remember is inet_csk_update_fastreuse, called when s has been let in.
func (b *bucket) remember(s *Socket) {
	switch {
	case !s.reusePort:
		b.shared = false
	case !b.remembers(s):
		b.shared, b.uid, b.at = true, s.uid, s.at
	}
}

// tcpConflict reports whether o keeps s from its port: they meet, and neither
// SO_REUSEADDR nor SO_REUSEPORT makes up for it.
func (s *Socket) tcpConflict(o *Socket) bool {
	return s != o && s.sharesDevice(o) && s.tcpMeets(o) && !s.tcpTolerates(o)
}

// tcpMeets says in whose way o can be at all. A wildcard looks at every socket
// of the port; a specific address looks only at the wildcards and at its equals
// (inet_bhash2_addr_any_conflict, inet_bhash2_conflict).
func (s *Socket) tcpMeets(o *Socket) bool {
	if s.at.wildcard() {
		return s.at.overlaps(o.at, true, true)
	}
	if o.at.v6only && s.at.mapped() { // __inet_bhash2_conflict
		return false
	}
	return o.at.addr == s.at.addr || o.at.any() ||
		s.at.mapped() && o.at.addr == wildcard4() // inet_bind2_bucket_match_addr_any
}

// tcpTolerates is the reverse of inet_bind_conflict with relax and reuseport_ok,
// which is how bind and listen call it. Two sockets with SO_REUSEADDR tolerate
// each other as long as the other does not listen, two with SO_REUSEPORT if they
// belong to one user. A connection in TIME_WAIT belongs to nobody any more.
func (s *Socket) tcpTolerates(o *Socket) bool {
	if s.reuseAddr && o.reuseAddr && o.state != listening {
		return true
	}
	return s.reusePort && o.reusePort && !s.grouped && (o.state == timeWait || o.uid == s.uid)
}

// tcpPutPort is __inet_put_port. A bucket in which only outgoing connections are
// left forgets what it remembers (inet_bind_bucket_destroy, since 6.18).
func (l *Linux) tcpPutPort(s *Socket) {
	b := l.tcp[s.port]
	if i := slices.Index(b.socks, s); i >= 0 {
		b.socks = slices.Delete(b.socks, i, i+1)
	}
	switch {
	case len(b.socks) == 0:
		delete(l.tcp, s.port)
	case !slices.ContainsFunc(b.socks, func(o *Socket) bool { return !o.lent }):
		b.shared = false
	}
}
