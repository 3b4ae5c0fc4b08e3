package claims

import (
	"path"
	"strings"

	"github.com/monban-dev/monban"
)

// readTomcat reads server.xml.
func readTomcat(s *scan) {
	who := s.daemon("tomcat", []string{"java", "tomcat10", "tomcat9.exe"}, "tomcat9.service", "tomcat10.service", "tomcat.service")
	s.open(monban.Pos{}, s.main, func(f file) {
		for e := range elements(f.data) {
			switch e.name {
			case "Server":
				shutdown := "localhost"
				if at := e.attr("address"); at.line > 0 {
					shutdown = at.text
				}
				s.tomcat(f, who, "tomcat shutdown", e.attr("port"), shutdown)
			case "Connector":
				host := e.attr("address").text
				name := "tomcat"
				if strings.HasPrefix(e.attr("protocol").text, "AJP") || strings.Contains(e.attr("protocol").text, ".ajp.") {
					name = "tomcat ajp"
					if host == "" { // since 9.0.31
						host = "localhost"
					}
				}
				s.tomcat(f, who, name, e.attr("port"), host)
			}
		}
	})
}

func (s *scan) tomcat(f file, who asker, name string, port word, host string) {
	if port.line == 0 || strings.HasPrefix(port.text, "-") || port.text == "0" {
		return // off
	}
	text, pos := port.text, port.pos(f)
	if inner, ok := strings.CutPrefix(text, "${"); ok {
		// A Java property, "${name:-default}" with a default.
		_, usual, ok := strings.Cut(strings.TrimSuffix(inner, "}"), ":-")
		if !ok {
			s.gap(pos, Undefined, text)
			return
		}
		text, pos.Len = usual, 0
	}
	num, err := monban.ParsePort(text)
	if err != nil {
		s.gap(pos, BadPort, text)
		return
	}
	who.name = name
	s.javaSocket(f, who, host, port, tcp(any6(), num.Num, pos))
}

// readIIS reads applicationHost.config, also that of IIS Express. http.sys
// opens one port for all sites and tells them apart by host name.
func readIIS(s *scan) {
	who := asker{by: "iis", uid: -1, program: monban.Program{Exes: []string{"System", "iisexpress.exe"}, Units: []string{"W3SVC"}, Config: s.place.abs(s.main)}}
	site := ""
	s.open(monban.Pos{}, s.main, func(f file) {
		for e := range elements(f.data) {
			switch {
			case e.name == "site":
				site = e.attr("name").text
			case e.name == "binding" && e.inside("bindings"):
				who.name = "iis " + site
				s.iisBinding(f, who, e)
			}
		}
	})
	s.once()
}

// iisBinding is "address:port:host" for HTTP and "port:address" for net.tcp.
func (s *scan) iisBinding(f file, who asker, e element) {
	info := e.attr("bindingInformation")
	var host string
	var port word
	switch e.attr("protocol").text {
	case "http", "https", "ftp":
		last := strings.LastIndexByte(info.text, ':')
		if last < 0 {
			s.gap(info.pos(f), BadSyntax, info.text)
			return
		}
		host, port = hostPort(info.sub(0, last))
	case "net.tcp":
		var rest word
		port, rest, _ = info.cut(":")
		host = rest.text
	default:
		return // net.pipe, net.msmq
	}
	num, ok := s.portOf(f, port, monban.TCP)
	if !ok {
		return
	}
	addr := any6()
	if host != "" && host != "*" {
		found := s.hostOf(f, info, host)
		if found == nil {
			return
		}
		addr = found[0]
	}
	sock := tcp(addr, num, port.pos(f))
	if addr == any6() {
		sock.v6only, sock.orIPv4 = monban.Off, true
	}
	s.claim(who, sock)
}

// readFileZilla reads the configuration of XAMPP's FTP server (version 0.9).
func readFileZilla(s *scan) {
	who := asker{by: "filezilla", uid: -1, program: monban.Program{Exes: []string{"FileZillaServer.exe", "FileZilla Server.exe"}, Config: s.place.abs(s.main)}}
	s.open(monban.Pos{}, s.main, func(f file) {
		for e := range elements(f.data) {
			name := e.attr("name").text
			if e.name != "Item" || name != "Serverports" && name != "Serverport" && name != "Adminport" && name != "Admin port" {
				continue
			}
			addr := any4()
			who.name = "filezilla"
			if strings.HasPrefix(name, "Admin") {
				who.name, addr = "filezilla admin", loop4()
			}
			for _, w := range e.text.split(blanks + ",") {
				if num, ok := s.portOf(f, w, monban.TCP); ok && num != 0 {
					s.claim(who, tcp(addr, num, w.pos(f)))
				}
			}
		}
	})
}

// readXamppPanel reads the ports that XAMPP's control panel looks at. It opens
// none of them, but says that a program will not start when it does not agree.
func readXamppPanel(s *scan) {
	s.open(monban.Pos{}, s.main, func(f file) {
		for st := range settings(f, lineStyle{comment: ";#"}, '=') {
			if st.section != "ServicePorts" {
				continue
			}
			if num, err := monban.ParsePort(st.value.text); err == nil {
				s.mention(panelProgram(st.key.text), path.Dir(s.main), num.Num, st.value.pos(f))
			}
		}
	})
}

// panelProgram is the program that a key of the panel is about.
func panelProgram(key string) string {
	switch key {
	case "Apache", "ApacheSSL":
		return "apache"
	case "MySQL":
		return "mariadb"
	case "Tomcat", "TomcatHTTP", "TomcatAJP":
		return "tomcat"
	case "FileZilla", "FileZillaAdmin":
		return "filezilla"
	}
	return lower(key)
}

// readPHPMyAdmin reads the places where config.inc.php names the database's port.
func readPHPMyAdmin(s *scan) {
	s.open(monban.Pos{}, s.main, func(f file) {
		for l := range lines(f.data, lineStyle{comment: "#/*"}) {
			if !strings.HasPrefix(l.text, "$cfg['Servers']") {
				continue
			}
			key, value, ok := l.whole().cut("=")
			if !ok || !strings.HasSuffix(strings.TrimSpace(key.text), "['port']") {
				continue
			}
			value, _, _ = value.cut(";")
			value = value.trim().unquote()
			if num, err := monban.ParsePort(value.text); err == nil {
				s.databasePort(num.Num, value.pos(f))
			}
		}
	})
}

// readPHPIni reads the ports of databases that php.ini names.
func readPHPIni(s *scan) {
	s.open(monban.Pos{}, s.main, func(f file) {
		for st := range settings(f, lineStyle{comment: ";"}, '=') {
			switch st.key.text {
			case "mysqli.default_port", "mysql.default_port", "pdo_mysql.default_port":
				if num, err := monban.ParsePort(st.value.text); err == nil {
					s.databasePort(num.Num, st.value.pos(f))
				}
			}
		}
	})
}

// databasePort mentions a port of the database that is installed beside PHP: in
// XAMPP's tree, two directories up from both.
func (s *scan) databasePort(port uint16, pos monban.Pos) {
	root := path.Dir(path.Dir(s.main))
	for _, by := range []string{"mariadb", "mysql"} {
		s.mention(by, root, port, pos)
	}
}
