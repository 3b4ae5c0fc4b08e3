package claims

import (
	"bytes"
	"path"
	"slices"

	"github.com/monban-dev/monban"
)

// readFPM reads php-fpm.conf and the pools that it includes.
func readFPM(s *scan) {
	p := fpm{s: s, who: s.daemon("php-fpm", []string{"php-fpm"}, "php-fpm.service")}
	if version := path.Base(path.Dir(path.Dir(s.main))); digits(version[:min(1, len(version))]) {
		p.who.program.Exes = append(p.who.program.Exes, "php-fpm"+version)
		p.who.program.Units = append(p.who.program.Units, "php"+version+"-fpm.service")
	}
	s.open(monban.Pos{}, s.main, p.read)
	for _, pool := range p.pools {
		p.listen(pool.f, pool.st)
	}
}

// looksLikeFPM recognises a pool.
func looksLikeFPM(data []byte) bool {
	return bytes.Contains(data, []byte("\npm.max_children")) || bytes.Contains(data, []byte("\npm = ")) || bytes.Contains(data, []byte("\npm=")) ||
		bytes.HasPrefix(data, []byte("[global]\n")) && bytes.Contains(data, []byte("fpm"))
}

type fpm struct {
	s     *scan
	who   asker
	pools []fpmPool
}

// fpmPool is the last "listen" of a pool, which may have several sections.
type fpmPool struct {
	f  file
	st setting
}

func (p *fpm) read(f file) {
	for st := range settings(f, lineStyle{comment: ";#", inline: ";"}, '=') {
		switch st.key.text {
		case "include":
			dir := path.Dir(p.s.main)
			p.s.include(st.value.pos(f), includeRule{dir: dir, home: "/etc/php/" + path.Base(path.Dir(dir)) + "/fpm", here: dir}, st.value.text, p.read)
		case "listen":
			if i := slices.IndexFunc(p.pools, func(o fpmPool) bool { return o.st.section == st.section }); i >= 0 {
				p.pools[i] = fpmPool{f, st}
			} else {
				p.pools = append(p.pools, fpmPool{f, st})
			}
		}
	}
}

// listen is "addr:port", "port" or the path of a socket. A port alone is on
// every address, by one socket of both families (measured with 8.2).
func (p *fpm) listen(f file, st setting) {
	host, port := hostPort(st.value)
	if port.text == "" || st.value.text[0] == '/' {
		return
	}
	num, ok := p.s.portOf(f, port, monban.TCP)
	if !ok || num == 0 {
		return
	}
	p.who.name = "php-fpm " + st.section
	addr := any6()
	switch host {
	case "":
	case "*": // not a wildcard to getaddrinfo(3): no host at all is loopback
		addr = loop6()
	default:
		addrs := p.s.hostOf(f, st.value, host)
		if addrs == nil {
			return
		}
		// Only the first one is bound, and IPv6 comes first.
		addr = addrs[len(addrs)-1]
	}
	sock := tcp(addr, num, port.pos(f))
	if addr == any6() {
		sock.v6only, sock.orIPv4 = monban.Off, host == ""
	}
	p.s.claim(p.who, sock)
}
