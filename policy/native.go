package policy

import (
	"fmt"
	"strings"

	"github.com/monban-dev/monban"
)

// Native returns the commands that say what a resolved policy says to the firewall
// of another system, where monban puts nothing in force itself: netsh's on
// Windows; and for pf on macOS, lines of pf.conf(5). What such a firewall has no
// words for is in the second list: entries that are not in the commands, or only
// in part.
func Native(p *monban.Policy, goos string) (lines []string, left []monban.PolicyDoor) {
	switch goos {
	case "windows":
		return netsh(p)
	case "darwin":
		return pf(p)
	}
	return nil, nil
}

// local reports whether a door is for this machine only: closed by default.
func local(d *monban.PolicyDoor) bool {
	for _, a := range d.To {
		if a.Kind != monban.ThisMachine {
			return false
		}
	}
	return true
}

func numbers(r monban.PortRange, between string) string {
	if r.First == r.Last {
		return fmt.Sprint(r.First)
	}
	return fmt.Sprintf("%d%s%d", r.First, between, r.Last)
}

// sources returns what a door lets in, as ranges; all is set for everybody. partly
// is set where an interface is meant, too.
func sources(d *monban.PolicyDoor) (ranges []monban.AddrRange, all, partly bool) {
	for _, a := range d.To {
		switch a.Kind {
		case monban.Anybody:
			all = true
		case monban.ByInterface:
			partly = true
		}
		ranges = append(ranges, a.Ranges...)
	}
	return ranges, all, partly
}

func netsh(p *monban.Policy) (lines []string, left []monban.PolicyDoor) {
	lines = append(lines, "netsh advfirewall set allprofiles firewallpolicy blockinbound,allowoutbound")
	for i := range p.Doors {
		d := &p.Doors[i]
		ranges, all, partly := sources(d)
		unfit := d.Protocol == 0 && d.Ports.Proto != monban.TCP && d.Ports.Proto != monban.UDP
		if local(d) {
			continue
		}
		if unfit || partly || d.Limit.N > 0 || !d.Until.IsZero() {
			left = append(left, *d)
		}
		if unfit || !all && len(ranges) == 0 {
			continue
		}
		remote := "any"
		if !all {
			var list []string
			for _, r := range ranges {
				list = append(list, r.String())
			}
			remote = strings.Join(list, ",")
		}
		what := fmt.Sprintf("protocol=%s localport=%s", strings.ToUpper(d.Ports.Proto.String()), numbers(d.Ports, "-"))
		if d.Protocol != 0 {
			what = fmt.Sprintf("protocol=%d", d.Protocol)
		}
		lines = append(lines, fmt.Sprintf(`netsh advfirewall firewall add rule name="monban %s" dir=in action=allow %s remoteip=%s`, d.About(), what, remote))
	}
	return lines, left
}

func pf(p *monban.Policy) (lines []string, left []monban.PolicyDoor) {
	lines = append(lines, "set skip on lo0", "block drop in proto { tcp, udp }",
		"pass out all keep state", "pass in inet proto udp from port 67 to port 68", "pass in inet6 proto udp from fe80::/10 port 547 to port 546")
	for _, n := range listed(p) {
		lines = append(lines, fmt.Sprintf("block drop in proto %d", n))
	}
	for i := range p.Doors {
		d := &p.Doors[i]
		ranges, all, _ := sources(d)
		switch {
		case local(d):
			continue
		case d.Protocol == 0 && d.Ports.Proto != monban.TCP && d.Ports.Proto != monban.UDP:
			left = append(left, *d)
			continue
		case d.Limit.N > 0 || !d.Until.IsZero():
			left = append(left, *d)
		}
		proto, tail := d.Ports.Proto.String(), "to any port "+numbers(d.Ports, ":")
		if d.Protocol != 0 {
			proto, tail = fmt.Sprint(uint8(d.Protocol)), "to any"
		}
		add := func(on, from string) {
			lines = append(lines, strings.Join(strings.Fields(fmt.Sprintf("pass in %s proto %s from %s %s", on, proto, from, tail)), " "))
		}
		if all {
			add("", "any")
			continue
		}
		var list []string
		for _, r := range ranges {
			if _, ok := r.Prefix(); ok {
				list = append(list, r.String())
			} else {
				list = append(list, strings.Replace(r.String(), "-", " - ", 1))
			}
		}
		if len(list) > 0 {
			add("", "{ "+strings.Join(list, ", ")+" }")
		}
		for _, a := range d.To {
			if a.Kind == monban.ByInterface {
				add("on "+a.Name, "any")
			}
		}
	}
	return lines, left
}
