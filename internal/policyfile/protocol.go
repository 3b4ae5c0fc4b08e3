package policyfile

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/yaml"
)

// ParseProtocol reads an IP protocol without ports, by name or number: esp, 47.
func ParseProtocol(s string) (monban.IPProto, Problem) {
	if _, err := monban.ParseProto(s); err == nil {
		return 0, PortedProtocol
	}
	switch p, ok := monban.ParseIPProto(s); {
	case strings.EqualFold(s, "icmp"), strings.EqualFold(s, "icmpv6"), strings.EqualFold(s, "ipv6-icmp"), p == 1, p == 58:
		// Without them no neighbour is found and no path's size.
		return 0, EverOpen
	case ported(p):
		return 0, PortedProtocol
	case !ok, p == 43, p == 44, p == 59, p == 60:
		// Headers of IPv6, behind which the protocol stands (RFC 8200 section 4).
		return 0, BadProtocol
	default:
		return p, 0
	}
}

// ported reports whether a protocol has ports, and so is a door's.
func ported(p monban.IPProto) bool {
	for _, t := range monban.Protos() {
		if t.Number() == p {
			return true
		}
	}
	return false
}

// what reads what an entry is about: `port`, or `proto`.
func (r *reader) what(e entry, d *monban.PolicyDoor) (err error) {
	const port, proto, limit = 0, 5, 2
	switch {
	case e.values[port] != nil && e.values[proto] != nil:
		return r.fail(e.keys[proto], PortAndProtocol, "")
	case e.values[port] != nil:
		d.Pos = r.pos(e.values[port])
		d.Ports, err = r.ports(e.keys[port], e.values[port])
		return err
	case e.values[proto] == nil:
		return r.fail(e.node, MissingKey, "", "port")
	case e.keys[limit] != nil:
		return r.fail(e.keys[limit], LimitedProtocol, "")
	}
	d.Pos = r.pos(e.values[proto])
	return r.protocol(e.keys[proto], e.values[proto], d)
}

func (r *reader) protocol(key, n *yaml.Node, d *monban.PolicyDoor) error {
	text, err := r.text(key, n)
	if err != nil {
		return err
	}
	p, problem := ParseProtocol(text)
	if problem != 0 {
		return r.fail(n, problem, text)
	}
	d.Protocol = p
	return nil
}

// CloseProtocol returns the text with one entry about a protocol, that lets nobody
// in, in place of those that there are: without any entry it would pass. It fails
// with a NotThere where the text says that already.
func CloseProtocol(data []byte, file string, names Names, now time.Time, p monban.IPProto) ([]byte, error) {
	r := reader{file: file, names: names, now: now}
	said := false // something that is not "local"
	shut := monban.PolicyDoor{Protocol: p, To: []monban.Audience{{Kind: monban.ThisMachine}}}
	text, err := r.remove(data, shut.About(), func(d *monban.PolicyDoor) (bool, error) {
		said = said || d.Protocol == p && slices.ContainsFunc(d.To, func(a monban.Audience) bool { return a.Kind != monban.ThisMachine })
		return d.Protocol == p, nil
	})
	var bad *Error
	switch {
	case errors.As(err, &bad) && bad.Problem == NotThere:
		text = data
	case err != nil:
		return nil, err
	case !said:
		return nil, &Error{Pos: monban.Pos{File: file}, Problem: NotThere, Text: shut.About()}
	}
	return Open(text, file, names, now, shut)
}
