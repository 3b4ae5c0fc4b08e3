package claims

import (
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// readPostgres reads postgresql.conf and what it includes. postgresql.auto.conf,
// which ALTER SYSTEM writes into the data directory, has the last word.
func readPostgres(s *scan) {
	p := postgres{s: s}
	s.open(monban.Pos{}, s.main, p.read)
	auto := path.Join(path.Dir(s.main), "postgresql.auto.conf")
	if name, ok := s.place.fromAbs(p.data); ok && isAbs(p.data) {
		auto = path.Join(name, "postgresql.auto.conf")
	}
	if s.exists(auto) {
		s.open(monban.Pos{}, auto, p.read)
	}
	p.claim()
}

type postgres struct {
	s           *scan
	data        string
	port, hosts *located
}

func (p *postgres) read(f file) {
	for st := range settings(f, lineStyle{comment: "#", inline: "#"}, '=') {
		value := st.value
		if i := strings.IndexByte(value.text, '#'); i >= 0 && !value.quoted {
			value = value.sub(0, i).trim().unquote()
		}
		at := located{text: strings.ReplaceAll(value.text, "''", "'"), pos: value.pos(f)}
		switch lower(st.key.text) {
		case "port":
			p.port = &at
		case "listen_addresses":
			p.hosts = &at
		case "data_directory":
			p.data = at.text
		case "include", "include_if_exists":
			p.s.include(at.pos, includeRule{dir: path.Dir(f.name), optional: st.key.is("include_if_exists")}, at.text, p.read)
		case "include_dir":
			p.s.include(at.pos, includeRule{dir: path.Dir(f.name)}, strings.TrimSuffix(at.text, "/")+"/*.conf", p.read)
		}
	}
}

// claim makes the sockets. The server runs as long as one of its addresses can
// be bound (PostmasterMain), and never as root.
func (p *postgres) claim() {
	who := p.s.daemon("postgresql", []string{"postgres", "postmaster", "postgres.exe"}, "postgresql.service")
	if version, cluster, ok := debianCluster(p.s.main); ok {
		who.name = "postgresql " + version + "/" + cluster
		who.program.Units = []string{"postgresql@" + version + "-" + cluster + ".service", "postgresql.service"}
	}
	if who.uid == 0 {
		who.uid = p.s.user("postgres")
	}
	sock := tcp(loop4(), 5432, monban.Pos{})
	sock.absent = p.port == nil
	if p.port != nil {
		port, err := monban.ParsePort(p.port.text)
		if err != nil || port.Num == 0 {
			p.s.gap(p.port.pos, BadPort, p.port.text)
			return
		}
		sock = tcp(loop4(), port.Num, p.port.pos)
	}
	hosts := "localhost"
	if p.hosts != nil {
		hosts = p.hosts.text
	}
	var addrs []netip.Addr
	for _, host := range strings.Split(hosts, ",") {
		switch host = strings.Trim(strings.TrimSpace(host), `"`); host {
		case "":
		case "*":
			addrs = append(addrs, any4(), any6())
		default:
			found := p.s.names.host(host)
			if len(found) == 0 {
				p.s.gap(p.hosts.pos, Unresolved, host)
			}
			addrs = append(addrs, found...)
		}
	}
	if len(addrs) > 1 {
		sock.tolerates = monban.ToleratesAny
	}
	for i, addr := range addrs {
		if slices.Contains(addrs[:i], addr) {
			continue
		}
		sock.at, sock.v6only = netip.AddrPortFrom(addr, sock.at.Port()), monban.On
		p.s.claim(who, sock)
	}
}

// debianCluster takes "etc/postgresql/15/main/postgresql.conf" apart.
func debianCluster(name string) (version, cluster string, ok bool) {
	parts := strings.Split(name, "/")
	if n := len(parts); n >= 4 && parts[n-4] == "postgresql" {
		return parts[n-3], parts[n-2], true
	}
	return "", "", false
}
