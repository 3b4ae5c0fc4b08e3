package conflict

import "github.com/monban-dev/monban"

// winUse is what a socket on Windows says about sharing its port.
type winUse uint8

const (
	winPlain     winUse = iota // no option
	winReuse                   // SO_REUSEADDR: takes the port from whoever does not mind
	winExclusive               // SO_EXCLUSIVEADDRUSE
	winUses
)

// winSocket is one socket as Windows compares it with others.
type winSocket struct {
	at  rcvAddr
	use winUse
	// stranger says that it belongs to another user than the one who binds.
	stranger bool
}

// winMeet is what comes of binding s while first is there: NoError, EADDRINUSE
// (10048) or EACCES (10013). Windows compares them in each of the two stacks in
// which both have a place. Two different addresses never meet.
func winMeet(first, s winSocket) Errno {
	for _, place := range [...]func(rcvAddr) (wild, ok bool){win4, win6} {
		firstWild, one := place(first.at)
		wild, two := place(s.at)
		if !one || !two || !firstWild && !wild && first.at.addr != s.at.addr {
			continue
		}
		errno := winSecond(first, s, firstWild, wild)
		if errno == EADDRINUSE && s.use == winExclusive && wild && !firstWild && s.at.v6 && !s.at.v6only {
			errno = EACCES // a dual-stack socket, as Microsoft's text says of it
		}
		if errno != NoError {
			return errno
		}
	}
	return NoError
}

// win4 and win6 say whether a socket has a place in a stack, and whether it is
// the wildcard there. A socket on [::] without IPV6_V6ONLY has one in both.
func win4(at rcvAddr) (wild, ok bool) {
	switch {
	case !at.v6 || at.mapped():
		return at.addr.Unmap().IsUnspecified(), true
	case at.any() && !at.v6only:
		return true, true
	}
	return false, false
}

func win6(at rcvAddr) (wild, ok bool) { return at.any(), at.v6 && !at.mapped() }

// winSecond looks up what Microsoft has written down for Windows Server 2003 and
// later ("Using SO_REUSEADDR and SO_EXCLUSIVEADDRUSE", "Enhanced Socket
// Security"): a row for each first socket and a column for each second one, both
// in the order plain, reuse, exclusive, the wildcard before a specific address.
// u is WSAEADDRINUSE and a WSAEACCES.
func winSecond(first, s winSocket, firstWild, wild bool) Errno {
	table := [...]string{
		"u.a.u.",
		".u.auu",
		"u...u.",
		".u..uu",
		"uaaaua",
		".u.auu",
	}
	if first.stranger {
		table = [...]string{
			"uaaaua",
			".u.auu",
			"ua..ua",
			".u..uu",
			"uaaaua",
			".u.auu",
		}
	}
	row, col := 2*int(first.use), 2*int(s.use)
	if !firstWild {
		row++
	}
	if !wild {
		col++
	}
	switch table[row][col] {
	case 'u':
		return EADDRINUSE
	case 'a':
		return EACCES
	}
	return NoError
}

// winUsesOf are the ways in which a live socket may share, as far as its options
// are known: SO_EXCLUSIVEADDRUSE is not told.
func winUsesOf(b *monban.Bind) []winUse {
	switch b.ReuseAddr {
	case monban.On:
		return []winUse{winReuse}
	case monban.Off:
		return []winUse{winPlain, winExclusive}
	}
	return []winUse{winPlain, winReuse, winExclusive}
}

// winUseOf is how the program behind a claim shares its port on Windows, where
// SO_REUSEADDR means something else than elsewhere and most programs that set it
// elsewhere do not. Only nginx does; Java's server sockets are exclusive. Of
// monban's own claims file the words count.
func winUseOf(c *monban.Claim) winUse {
	switch c.By {
	case "claims":
		if c.Bind.ReuseAddr == monban.On {
			return winReuse
		}
	case "nginx":
		return winReuse
	case "tomcat", "spring", "elasticsearch", "kafka", "zookeeper":
		return winExclusive
	}
	return winPlain
}
