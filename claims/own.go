package claims

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
)

// looksLikeClaims recognises monban's own format.
func looksLikeClaims(data []byte) bool {
	return bytes.HasPrefix(data, []byte("claims:")) || bytes.Contains(data, []byte("\nclaims:"))
}

// readClaims reads monban's own format: a table with a list "claims", whose
// items have name, proto, address, port, listen, reuseaddr, reuseport, v6only,
// interface and uid; a port is a number or a service's name, and may have its
// protocol behind it, "53/udp". Here an option that is absent is off, not unknown: the
// author of such a file says everything.
func readClaims(s *scan) {
	s.open(monban.Pos{}, s.main, func(f file) {
		if !looksLikeClaims(f.data) {
			s.decline()
			return
		}
		for _, doc := range s.documents(f) {
			claims := doc.get("claims")
			if !claims.is(list) && !claims.is(null) {
				s.gap(claims.at.pos(f), BadSyntax, "claims")
				continue
			}
			for i, item := range claims.list() {
				s.own(f, i+1, item)
			}
		}
	})
}

// own reads one item of a claims file.
func (s *scan) own(f file, number int, item *value) {
	if !item.is(table) {
		if item != nil {
			s.gap(item.at.pos(f), BadSyntax, item.text())
		}
		return
	}
	r := ownReader{s: s, f: f, item: item, ok: true}
	c := monban.Claim{
		Name: item.get("name").text(), By: "claims",
		Bind: monban.Bind{
			Port: monban.Port{Proto: r.proto()}, Addr: r.addr(), Device: item.get("interface").text(),
			ReuseAddr: monban.FlagOf(r.bool("reuseaddr", false)), ReusePort: monban.FlagOf(r.bool("reuseport", false)),
			V6Only: monban.FlagOf(r.bool("v6only", false)),
		},
		Pos: item.at.pos(f),
	}
	c.Bind.Port.Num = r.port(&c.Pos, c.Bind.Port.Proto)
	c.Listen = r.bool("listen", c.Bind.Port.Proto == monban.TCP)
	c.UID = r.uid()
	for _, p := range item.pairs {
		if !ownKey(p.key.text) {
			r.bad(p.key, BadSyntax)
		}
	}
	if c.Bind.Addr.Is4() {
		c.Bind.V6Only = monban.Off
	}
	if c.Name == "" {
		c.Name = "claim " + strconv.Itoa(number)
	}
	if r.ok {
		s.claims = append(s.claims, c)
	}
}

func ownKey(key string) bool {
	switch key {
	case "name", "proto", "address", "port", "listen", "reuseaddr", "reuseport", "v6only", "interface", "uid":
		return true
	}
	return false
}

// ownReader reads the fields of one item; ok turns false at the first bad one.
type ownReader struct {
	s    *scan
	f    file
	item *value
	ok   bool
}

func (r *ownReader) bad(w word, problem Problem) {
	r.s.gap(w.pos(r.f), problem, w.text)
	r.ok = false
}

// proto is that of the item, or the one that its port is written with: "53/udp", as
// everywhere else. The two may not contradict each other.
func (r *ownReader) proto() monban.Proto {
	v, port := r.item.get("proto"), r.item.get("port")
	proto := monban.TCP
	if v != nil {
		var err error
		if proto, err = monban.ParseProto(v.text()); err != nil {
			r.bad(v.at, BadSyntax)
			return proto
		}
	}
	if _, text, ok := strings.Cut(port.text(), "/"); ok {
		behind, err := monban.ParseProto(text)
		if err != nil || v != nil && behind != proto {
			r.bad(port.at, BadSyntax)
		}
		proto = behind
	}
	return proto
}

func (r *ownReader) addr() netip.Addr {
	v := r.item.get("address")
	if v == nil {
		return any4()
	}
	addr, err := netip.ParseAddr(v.text())
	if err != nil {
		r.bad(v.at, BadAddress)
	}
	return addr
}

func (r *ownReader) port(pos *monban.Pos, proto monban.Proto) uint16 {
	v := r.item.get("port")
	if v == nil {
		r.bad(r.item.at, BadPort)
		return 0
	}
	w := v.at
	if i := strings.IndexByte(w.text, '/'); i >= 0 {
		w = w.sub(0, i)
	}
	*pos = w.pos(r.f)
	num, ok := r.s.names.port(w.text, proto)
	if !ok {
		r.bad(w, BadPort)
	}
	return num
}

func (r *ownReader) bool(key string, absent bool) bool {
	v := r.item.get(key)
	if v == nil {
		return absent
	}
	on, ok := yesNo(v.text())
	if !ok {
		r.bad(v.at, BadSyntax)
	}
	return on
}

func (r *ownReader) uid() int {
	v := r.item.get("uid")
	if v == nil {
		return 0
	}
	uid, err := strconv.ParseUint(v.text(), 10, 32)
	if err != nil {
		r.bad(v.at, BadSyntax)
	}
	return int(uid)
}

// yesNo reads the words that configuration files have for true and false.
func yesNo(text string) (on, ok bool) {
	switch lower(text) {
	case "yes", "on", "true", "1", "y", "enabled":
		return true, true
	case "no", "off", "false", "0", "n", "disabled":
		return false, true
	}
	return false, false
}
