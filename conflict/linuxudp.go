package conflict

import "slices"

// udpLongChain is the length of a hash chain from which on the kernel looks in
// its second table, which is hashed by address too (udp_lib_get_port). The chain
// also holds the sockets of other ports and namespaces with the same hash; the
// model counts those of the port alone.
const udpLongChain = 10

// udpInUse is udp_lib_get_port with a port number.
func (l *Linux) udpInUse(s *Socket, port uint16) bool {
	chain := l.udp[port]
	if s.at.wildcard() || len(chain) <= udpLongChain {
		return s.udpBlocked(chain, func(*Socket) bool { return true })
	}
	// udp_lib_lport_inuse2: first its own address, then the wildcards. Both
	// wildcards hash alike.
	return s.udpBlocked(chain, func(o *Socket) bool { return o.at.addr == s.at.addr }) ||
		s.udpBlocked(chain, func(o *Socket) bool { return o.at.wildcard() })
}

// udpBlocked is udp_lib_lport_inuse: the first socket of the chain that meets s,
// and is not tolerated for SO_REUSEADDR on both, decides alone. If it shares the
// port by SO_REUSEPORT, nobody further down the chain is asked.
func (s *Socket) udpBlocked(chain []*Socket, among func(*Socket) bool) bool {
	for _, o := range chain {
		if among(o) && s.udpMeets(o) {
			return !s.udpShares(o)
		}
	}
	return false
}

func (s *Socket) udpMeets(o *Socket) bool {
	return s != o && !(s.reuseAddr && o.reuseAddr) && s.sharesDevice(o) &&
		s.at.overlaps(o.at, true, true)
}

func (s *Socket) udpShares(o *Socket) bool {
	return s.reusePort && o.reusePort && o.uid == s.uid
}

// udpAdd puts s into its chain: at the tail if it is an IPv6 socket with
// SO_REUSEPORT, else at the head (sk_add_node_rcu).
func (l *Linux) udpAdd(s *Socket, port uint16) {
	s.port = port
	chain := l.udp[port]
	if s.reusePort && s.at.v6 {
		l.udp[port] = append(chain, s)
	} else {
		l.udp[port] = slices.Insert(chain, 0, s)
	}
}

func (l *Linux) udpRemove(s *Socket) {
	chain := l.udp[s.port]
	if i := slices.Index(chain, s); i >= 0 {
		chain = slices.Delete(chain, i, i+1)
	}
	if len(chain) == 0 {
		delete(l.udp, s.port)
	} else {
		l.udp[s.port] = chain
	}
}
