package claims

import (
	"net/netip"
	"path"
	"strings"

	"github.com/monban-dev/monban"
)

// readMySQL reads my.cnf or my.ini and what it includes, for MySQL and MariaDB.
func readMySQL(s *scan) {
	m := mysql{s: s, product: mysqlProduct(s)}
	if s.place.machine() && s.main == "etc/my.cnf" && s.exists("etc/mysql/my.cnf") {
		s.decline() // read before etc/mysql/my.cnf, by its reader
		return
	}
	if s.place.machine() && s.main == "etc/mysql/my.cnf" && s.exists("etc/my.cnf") {
		s.open(monban.Pos{}, "etc/my.cnf", m.read)
	}
	s.open(monban.Pos{}, s.main, m.read)
	if !m.server {
		if len(s.mentions) == 0 && len(s.gaps) == 0 {
			s.decline() // a client's file
		}
		return
	}
	m.claim()
	for _, c := range m.clients {
		if num, err := monban.ParsePort(c.text); err == nil {
			s.mention(m.product, path.Dir(s.main), num.Num, c.pos)
		}
	}
}

// mysqlProduct decides whose defaults hold.
func mysqlProduct(s *scan) string {
	dir := path.Dir(s.main)
	switch name := lower(s.place.shown(s.main)); {
	case strings.Contains(name, "mariadb"), strings.Contains(name, "xampp"), strings.Contains(name, "lampp"),
		s.exists(path.Join(dir, "mariadb.conf.d")), s.exists(path.Join(dir, "mariadb.cnf")),
		s.exists(path.Join(dir, "mariadbd.exe")),
		s.place.machine() && s.exists("usr/sbin/mariadbd"):
		return "mariadb"
	}
	return "mysql"
}

// mysql is the reading of one server's option files. The last line wins,
// whatever its section; "-" and "_" are the same in names.
type mysql struct {
	s       *scan
	product string
	server  bool // a section of the server has been seen

	port, xPort, adminPort, extraPort *located
	bind, xBind, adminAddr            *located
	noNetwork, noX                    bool
	clients                           []located
}

// located is an option's value and its place.
type located struct {
	text string
	pos  monban.Pos
}

func (m *mysql) read(f file) {
	for st := range settings(f, lineStyle{comment: "#;", inline: "#"}, '=') {
		if strings.HasPrefix(st.key.text, "!") {
			m.include(f, st.key, st.value)
			continue
		}
		value := located{text: st.value.text, pos: st.value.pos(f)}
		key := strings.TrimPrefix(strings.ReplaceAll(lower(st.key.text), "_", "-"), "loose-")
		if !m.isServer(st.section) {
			if key == "port" {
				m.clients = append(m.clients, value)
			}
			continue
		}
		m.server = true
		m.option(key, &value)
	}
}

// isServer reports whether the server reads a section.
func (m *mysql) isServer(section string) bool {
	name := lower(section)
	switch name {
	case "mysqld", "server":
		return true
	case "mariadb", "mariadbd", "client-server", "galera":
		return m.product == "mariadb" && name != "client-server"
	}
	if version, ok := strings.CutPrefix(name, "mysqld-"); ok {
		// The server reads that of its own version: MariaDB's begin at 10.
		return strings.HasPrefix(version, "1") == (m.product == "mariadb")
	}
	return m.product == "mariadb" && (strings.HasPrefix(name, "mariadb-1") || strings.HasPrefix(name, "mariadbd-1")) ||
		strings.HasPrefix(name, "wampmysqld") || strings.HasPrefix(name, "wampmariadb")
}

func (m *mysql) option(key string, value *located) {
	on := func() bool {
		yes, ok := yesNo(value.text)
		return value.text == "" || ok && yes
	}
	switch key {
	case "port":
		m.port = value
	case "bind-address":
		m.bind = value
	case "skip-networking":
		m.noNetwork = on()
	case "skip-bind-address":
		m.bind = nil
	case "extra-port":
		m.extraPort = value
	case "mysqlx-port":
		m.xPort = value
	case "mysqlx-bind-address":
		m.xBind = value
	case "mysqlx":
		m.noX = !on()
	case "skip-mysqlx":
		m.noX = on()
	case "admin-port":
		m.adminPort = value
	case "admin-address":
		m.adminAddr = value
	}
}

// include follows !include and !includedir. A directory that is missing stops
// the server (measured with MariaDB 10.11).
func (m *mysql) include(f file, name, arg word) {
	rule := includeRule{dir: path.Dir(f.name), home: "/etc/mysql", here: path.Dir(m.s.main)}
	switch name.text {
	case "!include":
		m.s.include(arg.pos(f), rule, arg.text, m.read)
	case "!includedir":
		found, err := m.s.find(rule.dir, strings.TrimSuffix(arg.text, "/"), rule.home, rule.here)
		if err != nil || len(found) != 1 {
			m.s.gap(arg.pos(f), Outside, arg.text)
			return
		}
		entries, ok := m.s.dir(found[0])
		if !ok {
			m.s.gap(arg.pos(f), Missing, arg.text)
			return
		}
		for _, entry := range entries {
			if ext := path.Ext(entry); ext == ".cnf" || ext == ".ini" {
				m.s.open(arg.pos(f), path.Join(found[0], entry), m.read)
			}
		}
	default:
		m.s.gap(name.pos(f), BadSyntax, name.text)
	}
}

func (m *mysql) claim() {
	if m.noNetwork {
		return
	}
	who := m.s.daemon(m.product, []string{"mariadbd", "mysqld", "mysqld.exe", "mariadbd.exe"},
		"mariadb.service", "mysql.service", "mysqld.service", "mariadb@*.service")
	if who.uid == 0 {
		who.uid = m.s.user("mysql") // bound after the change of user
	}
	m.sockets(who, m.port, 3306, m.bind, "")
	if m.product == "mariadb" {
		if m.extraPort != nil && m.extraPort.text != "0" {
			m.sockets(who, m.extraPort, 0, m.bind, "extra")
		}
		return
	}
	if !m.noX {
		m.sockets(who, m.xPort, 33060, m.xBind, "x")
	}
	if m.adminAddr != nil {
		m.sockets(who, m.adminPort, 33062, m.adminAddr, "admin")
	}
}

// sockets claims one port on every address of a bind option.
func (m *mysql) sockets(who asker, port *located, usual uint16, bind *located, name string) {
	if name != "" {
		who.name = m.product + " " + name
	}
	sock := socket{at: netip.AddrPortFrom(any4(), usual), proto: monban.TCP, absent: port == nil}
	if port != nil {
		num, ok := number(port.text)
		if !ok {
			m.s.gap(port.pos, BadPort, port.text)
			return
		}
		if num == 0 {
			num = int(usual)
		}
		// A number that is too large becomes the largest (measured).
		sock.at, sock.pos = netip.AddrPortFrom(any4(), uint16(min(num, 65535))), port.pos
	}
	if bind == nil || bind.text == "*" || bind.text == "" {
		m.everywhere(who, sock)
		return
	}
	for _, host := range strings.Split(bind.text, ",") {
		host = strings.TrimSpace(host)
		if host == "*" {
			m.everywhere(who, sock)
			continue
		}
		host, _, _ = strings.Cut(host, "/") // MySQL: a network namespace may follow
		addrs := m.s.names.host(host)
		if len(addrs) == 0 {
			m.s.gap(bind.pos, Unresolved, host)
		}
		for _, addr := range addrs {
			one := sock
			one.at = netip.AddrPortFrom(addr, sock.at.Port())
			if addr == any6() { // measured with MariaDB 10.11
				one.v6only = monban.FlagOf(m.product == "mariadb")
			}
			m.s.claim(who, one)
		}
	}
}

// everywhere is every address: MariaDB opens two sockets, MySQL one for both
// families.
func (m *mysql) everywhere(who asker, sock socket) {
	if m.product == "mariadb" {
		m.s.both4and6(who, sock)
		return
	}
	sock.at, sock.v6only, sock.orIPv4 = netip.AddrPortFrom(any6(), sock.at.Port()), monban.Off, true
	m.s.claim(who, sock)
}
