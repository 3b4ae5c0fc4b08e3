package report

import (
	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook"
)

type portsWire struct {
	Ports []portWire `json:"ports"`
	// Quiet counts the ports that were asked for and left out of a long list.
	Quiet int `json:"quiet"`
}

type portWire struct {
	Port        uint16         `json:"port"`
	Class       monban.Class   `json:"class"`
	Registry    []registryWire `json:"registry"`
	Practice    []practiceWire `json:"practice"`
	Risk        []riskWire     `json:"risk"`
	Doors       []doorWire     `json:"doors"`
	Connections trafficWire    `json:"connections"`
	Bind        []bindWire     `json:"bind"`
	Ephemeral   bool           `json:"ephemeral"`
	Reserved    bool           `json:"reserved"`
	Blocked     bool           `json:"browser_blocked"`
}

type registryWire struct {
	Proto       monban.Proto `json:"proto"`
	Name        string       `json:"name"`
	Aliases     []string     `json:"aliases"`
	Description string       `json:"description"`
}

type practiceWire struct {
	Name   string `json:"name"`
	Note   string `json:"note"`
	Source string `json:"source"`
}

type riskWire struct {
	Severity monban.Severity `json:"severity"`
	Text     string          `json:"text"`
	Remedy   string          `json:"remedy"`
	Source   string          `json:"source"`
}

type trafficWire struct {
	Established int        `json:"established"`
	TimeWait    int        `json:"time_wait"`
	Peers       []peerWire `json:"peers"`
}

type peerWire struct {
	Address string `json:"address"`
	Count   int    `json:"count"`
}

type bindWire struct {
	Proto   monban.Proto   `json:"proto"`
	Address string         `json:"address"`
	Outcome monban.Outcome `json:"outcome"`
	Errno   string         `json:"errno"`
	Cause   string         `json:"cause"`
	Also    []string       `json:"also,omitempty"`
	Fix     []fixWire      `json:"fix"`
}

func (ps Ports) wire(v *view) any {
	out := portsWire{Ports: []portWire{}}
	for _, pv := range ps.Ports {
		if len(ps.Ports) > completeList && v.quiet(pv) {
			out.Quiet++
			continue
		}
		out.Ports = append(out.Ports, v.port(pv))
	}
	return out
}

func (v *view) port(pv PortView) portWire {
	w := portWire{
		Port: pv.Port.Num, Class: pv.Port.Class(),
		Registry: []registryWire{}, Practice: []practiceWire{}, Risk: []riskWire{}, Bind: []bindWire{},
		Doors:     v.doors(pv.Doors),
		Ephemeral: v.ephemeral(pv.Port), Reserved: v.reserved(pv.Port), Blocked: portbook.BrowserBlocked(pv.Port.Num),
	}
	for _, e := range v.Book.Assigned(pv.Port) {
		w.Registry = append(w.Registry, registryWire{e.Port.Proto, e.Name, nonNil(e.Aliases), e.Description})
	}
	for _, u := range v.practice(pv.Port) {
		w.Practice = append(w.Practice, practiceWire{u.Title().In(v.style.Lang.String()), u.Note.In(v.style.Lang.String()), u.Source})
	}
	for _, r := range v.Book.Risks(pv.Port) {
		w.Risk = append(w.Risk, riskWire{r.Severity, r.Text.In(v.style.Lang.String()), r.Remedy.In(v.style.Lang.String()), r.Source})
	}
	w.Connections.Peers = []peerWire{}
	for _, t := range pv.Traffic {
		w.Connections.Established += t.Established
		w.Connections.TimeWait += t.TimeWait
		for _, peer := range t.Peers {
			w.Connections.Peers = append(w.Connections.Peers, peerWire{peer.Addr.String(), peer.Count})
		}
	}
	for _, j := range pv.Bind {
		w.Bind = append(w.Bind, bindWire{j.Bind.Port.Proto, addrText(j.Bind), j.Outcome, j.Errno, j.Cause, j.Also, v.fixes(j.Fix)})
	}
	return w
}
