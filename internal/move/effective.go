package move

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// effective reads what sshd -T says it would listen at. Its lines are lower case
// and have everything filled in: "listenaddress [::]:22".
func effective(out []byte) []netip.AddrPort {
	var list []netip.AddrPort
	for line := range bytes.Lines(out) {
		value, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "listenaddress ")
		if !ok {
			continue
		}
		if at, err := netip.ParseAddrPort(strings.Fields(value + " x")[0]); err == nil && !slices.Contains(list, at) {
			list = append(list, at)
		}
	}
	return list
}

// ports returns the numbers of some sockets, sorted.
func ports(list []netip.AddrPort) []uint16 {
	var out []uint16
	for _, at := range list {
		out = append(out, at.Port())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// claimed returns the sockets that claims ask for.
func claimed(claims []monban.Claim) []netip.AddrPort {
	var out []netip.AddrPort
	for i := range claims {
		b := &claims[i].Bind
		out = append(out, netip.AddrPortFrom(b.Addr, b.Port.Num))
	}
	return out
}
