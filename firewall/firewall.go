// Package firewall reads the kernel's packet filter into a [monban.Ruleset].
//
// On Linux it asks nf_tables over netlink, which knows the rules of nft(8), ufw,
// firewalld, Docker and of iptables where that is iptables-nft: matches and
// targets of x_tables inside are decoded from their C structures. Reading needs
// CAP_NET_ADMIN and changes nothing, except that the kernel loads its nf_tables
// module if nobody did before. What could not be read is a [monban.Gap] beside the
// answer: the ruleset is then incomplete, and a judgement must not call anything
// open or closed by it.
package firewall

import "github.com/monban-dev/monban"

// Options limit what is read.
type Options struct {
	// Ports are the doors in question; empty is every port. Sets that only
	// rules about other ports look up are not read.
	Ports []monban.PortRange
	// Translations leaves out the sets that no chain of type nat looks up, for
	// those who only ask which rules change where packets go to.
	Translations bool
	// AllSets asks for the elements of every set, whoever uses it.
	AllSets bool
}

// Read reads the ruleset of the calling thread's network namespace. It is nil
// where it could not be read, and where the system has no packet filter that this
// package knows; a gap then says so.
//
// The answer is of one moment: the kernel's generation count was the same before
// and after.
func Read(o Options) (*monban.Ruleset, []monban.Gap) { return read(o) }

// gap is a gap about source.
func gap(source string, err error) monban.Gap {
	return monban.Gap{Source: source, Err: err.Error(), Hides: monban.HidesRules}
}
