package monban

import (
	"strconv"
	"strings"
)

// IPProto is the number of an IP protocol, as the IANA assigns it
// (https://www.iana.org/assignments/protocol-numbers): for the protocols that
// stand directly on IP and have no ports, such as those of tunnels and routing.
// The zero value is none.
type IPProto uint8

// ipProtoName is a name that people use. "ipip" and "sit" are those of ip-link(8):
// in /etc/protocols "ipip" is another protocol, 94, that nobody speaks.
type ipProtoName struct {
	number IPProto
	name   string
}

var ipProtoNames = [...]ipProtoName{{2, "igmp"}, {4, "ipip"}, {41, "sit"}, {47, "gre"}, {50, "esp"}, {51, "ah"},
	{88, "eigrp"}, {89, "ospf"}, {103, "pim"}, {112, "vrrp"}, {115, "l2tp"}}

// ParseIPProto reads a name, in any case, or a number from 1 to 255.
func ParseIPProto(s string) (p IPProto, ok bool) {
	for _, n := range ipProtoNames {
		if strings.EqualFold(n.name, s) {
			return n.number, true
		}
	}
	if strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 8)
	return IPProto(n), err == nil && n > 0
}

// String returns the name, or the number where there is none.
func (p IPProto) String() string {
	for _, n := range ipProtoNames {
		if n.number == p {
			return n.name
		}
	}
	return strconv.Itoa(int(p))
}
