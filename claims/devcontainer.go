package claims

import (
	"path"
	"strings"

	"github.com/monban-dev/monban"
)

// readDevcontainer reads devcontainer.json. An appPort is published by the
// engine, as "-p" in runArgs is; a number alone on 127.0.0.1 only. A forwardPort
// is opened by the editor on 127.0.0.1, which takes the next free port unless
// portsAttributes say requireLocalPort. With a Compose file the engine's ports
// are those of that file.
func readDevcontainer(s *scan) {
	s.open(monban.Pos{}, s.main, func(f file) {
		doc := s.json(f)
		if doc == nil {
			return
		}
		d := devcontainer{s: s, f: f, doc: doc}
		d.who = asker{by: "devcontainer", name: doc.get("name").text(), reuseAddr: monban.On, reusePort: monban.Off,
			program: monban.Program{Dir: s.place.abs(devcontainerRoot(s.main))}}
		if doc.get("dockerComposeFile") == nil {
			for _, v := range doc.get("appPort").list() {
				d.appPort(v)
			}
			d.runArgs(doc.get("runArgs").list())
		}
		for _, v := range doc.get("forwardPorts").list() {
			d.forward(v)
		}
		s.inside = append(s.inside, d.workspace())
	})
}

// devcontainerRoot is the project that .devcontainer/devcontainer.json or
// .devcontainer/NAME/devcontainer.json belongs to.
func devcontainerRoot(name string) string {
	dir := path.Dir(name)
	if parent := path.Dir(dir); path.Base(parent) == ".devcontainer" {
		dir = parent
	}
	if path.Base(dir) == ".devcontainer" {
		dir = path.Dir(dir)
	}
	return dir
}

type devcontainer struct {
	s   *scan
	f   file
	doc *value
	who asker
}

func (d devcontainer) appPort(v *value) {
	if digits(v.text()) {
		if num, ok := d.s.portOf(d.f, v.at, monban.TCP); ok && num != 0 {
			d.s.claim(d.who, tcp(loop4(), num, v.at.pos(d.f)))
		}
		return
	}
	d.publish(v)
}

// publish reads the "8080:80" of docker run.
func (d devcontainer) publish(v *value) {
	if strings.Contains(v.text(), "$") {
		d.s.gap(v.atPos(d.f), NotFollowed, v.text())
		return
	}
	var port composePort
	engine := composeScan{scan: d.s}
	engine.shortPort(&port, d.f, v, func(string) (variable, bool) { return variable{}, false })
	for i := range port.gaps {
		d.s.gaps = append(d.s.gaps, port.gaps[i].gap())
	}
	for _, p := range port.published {
		who := d.who
		who.reuseAddr = monban.FlagOf(p.proto == monban.TCP)
		d.s.claim(who, socket{at: p.at, proto: p.proto, pos: p.pos, v6only: monban.On, upTo: p.upTo})
	}
}

// runArgs reads the arguments of docker run.
func (d devcontainer) runArgs(args []*value) {
	for i, v := range args {
		next := (*value)(nil)
		if i+1 < len(args) {
			next = args[i+1]
		}
		switch text := v.text(); {
		case text == "-p" || text == "--publish":
			if next.is(scalar) {
				d.publish(next)
			}
		case strings.HasPrefix(text, "--publish="):
			d.publish(&value{kind: scalar, at: v.at.sub(len("--publish="), len(text))})
		case text == "--network=host", text == "--net=host", (text == "--network" || text == "--net") && next.text() == "host":
			d.s.gap(v.at.pos(d.f), NotFollowed, text)
		}
	}
}

// workspace is the project, whose programs run in the container. The ports there
// are those that are forwarded from it; one of another service's, "db:5432", is not
// the project's.
func (d devcontainer) workspace() inside {
	in := inside{dir: devcontainerRoot(d.s.main)}
	for _, list := range [...]string{"forwardPorts", "appPort"} {
		for _, v := range d.doc.get(list).list() {
			text := v.text()
			if list == "appPort" {
				text = text[strings.LastIndexByte(text, ':')+1:]
			}
			if num, ok := number(text); ok && num > 0 && num <= 65535 {
				in.ports = append(in.ports, uint16(num))
			}
		}
	}
	return in
}

// forward reads a number or "service:number".
func (d devcontainer) forward(v *value) {
	if !v.is(scalar) {
		return
	}
	w := v.at
	if i := strings.LastIndexByte(w.text, ':'); i >= 0 {
		w = w.sub(i+1, len(w.text))
	}
	num, ok := d.s.portOf(d.f, w, monban.TCP)
	if !ok || num == 0 {
		return
	}
	sock := tcp(loop4(), num, w.pos(d.f))
	attributes := d.doc.get("portsAttributes", v.text())
	if must, _ := yesNo(attributes.get("requireLocalPort").text()); !must {
		sock.upTo = 65535
	}
	if label := attributes.get("label").text(); label != "" {
		sock.name = label
	}
	who := d.who
	who.uid = -1
	d.s.claim(who, sock)
}
