package conflict

import (
	"strconv"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook"
)

// Warn returns what may surprise people about claims that are no conflict: ports
// that outgoing connections can take first, that somebody has reserved, that
// browsers refuse, that take root to open, or that are not the ones that were
// asked for. A warning changes no outcome.
func Warn(checked []monban.Checked, snap *monban.Snapshot) []monban.Finding {
	w := warning{snap: snap, checked: checked, had: map[warned]bool{}}
	for i := range checked {
		c := &checked[i]
		if c.Judgement.Bind.Port.Num != 0 && c.Judgement.Outcome != monban.Fails {
			w.claim(c)
		}
	}
	return w.found
}

type warning struct {
	snap    *monban.Snapshot
	checked []monban.Checked
	found   []monban.Finding
	had     map[warned]bool
}

// warned is what one line is warned of once, for whichever of its addresses.
type warned struct {
	kind monban.Kind
	port monban.Port
	file string
	line int
}

func (w *warning) claim(c *monban.Checked) {
	h, port := &w.snap.Host, c.Judgement.Bind.Port
	num := strconv.Itoa(int(port.Num))
	running := c.Judgement.Outcome == monban.Running
	if lendable(h, port) {
		r := monban.PortRange{First: h.Ephemeral.First, Last: h.Ephemeral.Last}
		w.add(c, monban.ClaimEphemeral, monban.Low, monban.Evidence{Source: "ip_local_port_range", Text: r.String()},
			monban.Fix{Code: FixOtherRange, Args: []string{num, strconv.Itoa(int(r.First)), strconv.Itoa(int(r.Last))}},
			reserve(h, port))
	}
	for _, r := range h.Reserved {
		if r.Contains(port) && !running {
			w.add(c, monban.ClaimReserved, monban.Info, monban.Evidence{Source: "ip_local_reserved_ports", Text: r.String()})
		}
	}
	if port.Proto == monban.TCP && portbook.BrowserBlocked(port.Num) && forBrowsers(c) {
		w.add(c, monban.ClaimBrowserBlocked, monban.Low, monban.Evidence{Source: "fetch.spec.whatwg.org", Text: num},
			otherPort(c.Judgement.Bind, h, portsOf(w.snap)))
	}
	if asked := c.Claim.Bind.Port.Num; port.Num != asked && asked != 0 && c.Judgement.Cause != string(D14) { // which says so
		w.add(c, monban.ClaimMoved, monban.Low, monban.Evidence{Source: c.Claim.By, Text: strconv.Itoa(int(asked))})
		w.takenBy(c)
	}
	if c.Claim.UID == 0 && h.UID > 0 && port.Num < h.Unprivileged && !running && c.Claim.BindService == monban.FlagUnknown {
		w.add(c, monban.ClaimPrivileged, monban.Info,
			monban.Evidence{Source: "ip_unprivileged_port_start", Text: strconv.Itoa(int(h.Unprivileged))})
	}
}

// takenBy adds to the warning about a claim that has moved who has the port that it
// asks for: a program that runs, or else the claim that takes it first.
func (w *warning) takenBy(c *monban.Checked) {
	last := &w.found[len(w.found)-1]
	if last.Kind != monban.ClaimMoved || last.Bind != c.Judgement.Bind || len(last.Evidence) != 2 {
		return // the line has been warned of before
	}
	want := firstPort(&c.Claim)
	for i := range w.snap.Doors {
		d := &w.snap.Doors[i]
		if d.Bind.Port == want && len(d.Owners) > 0 && sameNetNS(d.Bind.NetNS, w.snap.Host.NetNS, w.snap.Host.NetNS) {
			o := &d.Owners[0]
			last.Evidence = append(last.Evidence, monban.Evidence{Source: "pid " + strconv.Itoa(o.PID), Text: o.Name})
			return
		}
	}
	for i := range w.checked {
		o := &w.checked[i]
		if o != c && o.Judgement.Bind.Port == want && (o.Judgement.Outcome == monban.Starts || o.Judgement.Outcome == monban.Running) {
			last.Evidence = append(last.Evidence, monban.Evidence{Source: o.Claim.By, Text: o.Claim.Name, File: o.Claim.Pos.File, Line: o.Claim.Pos.Line})
			return
		}
	}
}

// add records a warning, with the claim's line as its first evidence.
func (w *warning) add(c *monban.Checked, kind monban.Kind, severity monban.Severity, why monban.Evidence, fix ...monban.Fix) {
	once := warned{kind, c.Judgement.Bind.Port, c.Claim.Pos.File, c.Claim.Pos.Line}
	if w.had[once] {
		return
	}
	w.had[once] = true
	line := monban.Evidence{Source: c.Claim.By, Text: c.Claim.Name, File: c.Claim.Pos.File, Line: c.Claim.Pos.Line}
	w.found = append(w.found, monban.Finding{Kind: kind, Severity: severity, Bind: c.Judgement.Bind,
		Evidence: []monban.Evidence{line, why}, Fix: fix})
}

// forBrowsers reports whether people will put the port into a browser: a web
// server's or a project's, unless the number belongs to another protocol that
// everybody knows by it.
func forBrowsers(c *monban.Checked) bool {
	switch c.Claim.By {
	case "apache", "nginx", "lighttpd", "caddy", "traefik", "tomcat", "spring", "aspnet", "iis", "kibana",
		"node", "vite", "next", "nuxt", "nuxi", "astro", "ng", "react-scripts", "vue-cli-service", "webpack", "webpack-dev-server",
		"parcel", "http-server", "wrangler",
		"flask", "django", "uvicorn", "hypercorn", "gunicorn", "python", "php", "rails", "rackup", "puma", "thin", "unicorn":
		return true
	case "compose", "kubernetes", "procfile", "env", "package", "devcontainer", "claims":
		return c.Judgement.Bind.Port.Num >= 1024
	}
	return false
}
