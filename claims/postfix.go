package claims

import (
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// readPostfix reads master.cf, which says what listens where, and the main.cf
// beside it, which says on which addresses.
func readPostfix(s *scan) {
	p := postfix{s: s, set: map[string]located{}}
	mainCF := path.Join(path.Dir(s.main), "main.cf")
	if s.exists(mainCF) {
		s.open(monban.Pos{}, mainCF, p.mainCF)
	}
	s.open(monban.Pos{}, s.main, p.masterCF)
	for _, l := range p.services {
		p.claim(l)
	}
}

type postfix struct {
	s        *scan
	set      map[string]located
	services []postfixService
}

// postfixService is an inet service of master.cf.
type postfixService struct {
	name word
	f    file
}

func (p *postfix) mainCF(f file) {
	for st := range settings(f, lineStyle{comment: "#", folded: true}, '=') {
		p.set[st.key.text] = located{text: st.value.text, pos: st.value.pos(f)}
	}
}

// masterCF collects the services; a later line for the same one replaces the
// earlier (master.cf is read into a table by name and type).
func (p *postfix) masterCF(f file) {
	for l := range lines(f.data, lineStyle{comment: "#", folded: true}) {
		words := l.words("")
		if len(words) < 8 {
			p.s.gap(l.pos(f), BadSyntax, l.text)
			continue
		}
		if words[1].text != "inet" {
			continue
		}
		p.services = slices.DeleteFunc(p.services, func(old postfixService) bool { return old.name.text == words[0].text })
		p.services = append(p.services, postfixService{name: words[0], f: f})
	}
}

// expand puts in the values of $name, ${name} and $(name).
func (p *postfix) expand(text string, depth int) string {
	if depth > maxDepth {
		return ""
	}
	var b strings.Builder
	for text != "" {
		before, after, found := strings.Cut(text, "$")
		b.WriteString(before)
		if !found {
			break
		}
		var name string
		if after != "" && (after[0] == '{' || after[0] == '(') {
			name, after, _ = strings.Cut(after[1:], string("})"[strings.IndexByte("{(", after[0])]))
		} else {
			end := strings.IndexFunc(after, func(r rune) bool { return !(r == '_' || r >= '0' && r <= '9' || r|32 >= 'a' && r|32 <= 'z') })
			if end < 0 {
				end = len(after)
			}
			name, after = after[:end], after[end:]
		}
		b.WriteString(p.expand(p.set[name].text, depth+1))
		text = after
	}
	return b.String()
}

// claim makes the sockets of one service, which is "port" or "host:port".
// master opens one socket for each address of inet_interfaces, IPv6 only for
// IPv6 (inet_addr_local, sock_addr; measured).
func (p *postfix) claim(l postfixService) {
	host, port := hostPort(l.name)
	if port.text == "" { // a service by its name
		host, port = "", l.name
	}
	num, ok := p.s.portOf(l.f, port, monban.TCP)
	if !ok || num == 0 {
		return
	}
	who := p.s.daemon("postfix", []string{"master"}, "postfix.service", "postfix@*.service")
	who.name = "postfix " + l.name.text
	var addrs []netip.Addr
	if host != "" {
		addrs = p.s.hostOf(l.f, l.name, host)
	} else {
		addrs = p.interfaces()
	}
	for _, addr := range p.families(addrs) {
		sock := tcp(addr, num, port.pos(l.f))
		sock.v6only = monban.On
		p.s.claim(who, sock)
	}
}

func (p *postfix) interfaces() []netip.Addr {
	at, ok := p.set["inet_interfaces"]
	if !ok {
		return []netip.Addr{any4(), any6()}
	}
	var out []netip.Addr
	for _, name := range strings.FieldsFunc(p.expand(at.text, 0), func(r rune) bool { return r == ',' || strings.ContainsRune(blanks, r) }) {
		switch name {
		case "all":
			return []netip.Addr{any4(), any6()}
		case "loopback-only":
			out = append(out, loop4(), loop6())
		default:
			found := p.s.names.host(name)
			if len(found) == 0 {
				p.s.gap(at.pos, Unresolved, name)
			}
			for _, addr := range found {
				if !slices.Contains(out, addr) {
					out = append(out, addr)
				}
			}
		}
	}
	return out
}

// families leaves out those that inet_protocols does.
func (p *postfix) families(addrs []netip.Addr) []netip.Addr {
	protocols := "all"
	if at, ok := p.set["inet_protocols"]; ok {
		protocols = lower(p.expand(at.text, 0))
	}
	all := strings.Contains(protocols, "all")
	return slices.DeleteFunc(slices.Clone(addrs), func(addr netip.Addr) bool {
		if addr.Is4() {
			return !all && !strings.Contains(protocols, "ipv4")
		}
		return !all && !strings.Contains(protocols, "ipv6")
	})
}
