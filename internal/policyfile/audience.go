package policyfile

import (
	"net/netip"
	"strings"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/yaml"
)

// audiences reads the value of `to`: one, or a list.
func (r *reader) audiences(key, n *yaml.Node) ([]monban.Audience, error) {
	nodes := []*yaml.Node{n}
	if n.Kind == yaml.Sequence {
		nodes = n.Content
	}
	if len(nodes) == 0 {
		return nil, r.fail(n, EmptyTo, "")
	}
	var out []monban.Audience
	for _, node := range nodes {
		text, err := r.text(key, node)
		if err != nil {
			return nil, err
		}
		a, problem, want := ParseAudience(text)
		if problem != 0 {
			e := &Error{Pos: r.pos(node), Problem: problem, Text: text}
			if want != "" {
				e.Want = []string{want}
			}
			return nil, e
		}
		if len(nodes) > 1 && a.Kind == monban.Anybody {
			return nil, r.fail(node, AnyAndMore, text)
		}
		out = append(out, a)
	}
	return out, nil
}

// ParseAudience reads "any", "local", "this-network", an address, a prefix,
// "name:HOST" or "if:DEVICE". With a problem it may return what was meant.
func ParseAudience(s string) (a monban.Audience, problem Problem, want string) {
	switch s {
	case "any":
		return monban.Audience{Kind: monban.Anybody}, 0, ""
	case "local":
		return monban.Audience{Kind: monban.ThisMachine}, 0, ""
	case "this-network":
		return monban.Audience{Kind: monban.ThisNetwork}, 0, ""
	}
	if host, ok := strings.CutPrefix(s, "name:"); ok {
		if !validHost(host) {
			return a, BadHost, ""
		}
		return monban.Audience{Kind: monban.ByName, Name: host}, 0, ""
	}
	if device, ok := strings.CutPrefix(s, "if:"); ok {
		if !validDevice(device) {
			return a, BadDevice, ""
		}
		return monban.Audience{Kind: monban.ByInterface, Name: device}, 0, ""
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		addr, err := netip.ParseAddr(s)
		if err != nil || addr.Zone() != "" || addr.IsUnspecified() {
			return a, BadAudience, ""
		}
		addr = addr.Unmap()
		p = netip.PrefixFrom(addr, addr.BitLen())
	}
	switch {
	case p.Addr().Is4In6():
		return a, BadAudience, ""
	case p != p.Masked():
		return a, HostBits, p.Masked().String()
	}
	return monban.Audience{Kind: monban.ToAddresses, Ranges: []monban.AddrRange{monban.RangeOf(p)}}, 0, ""
}

// validHost reports whether s may be a host name (RFC 1123 section 2.1), and no
// address.
func validHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return false
			}
		}
	}
	return true
}

// validDevice reports whether s can be the name of an interface: at most 15
// bytes, no slash, colon or white space (dev_valid_name in net/core/dev.c).
func validDevice(s string) bool {
	if s == "" || len(s) > 15 || s == "." || s == ".." {
		return false
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c == '/' || c == ':' || c >= 0x7f {
			return false
		}
	}
	return true
}
