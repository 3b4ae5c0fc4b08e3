package owners

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// join carries out Join.
type join struct {
	doors      []monban.Door
	containers []monban.Container
	// listened are the published ports that a listener was found for.
	listened map[publishedAt]bool
}

// publishedAt is where a port is published.
type publishedAt struct {
	port monban.Port
	addr netip.Addr
}

func (j *join) run() {
	for i := range j.doors {
		j.nameContainers(&j.doors[i])
		j.forward(&j.doors[i])
	}
	j.addForwarded()
	j.addUnknown()
}

// nameContainers replaces shortened container IDs of owners by the full ones,
// and names the container that conmon is the monitor of.
func (j *join) nameContainers(d *monban.Door) {
	for i, o := range d.Owners {
		id := o.Container
		if of := conmonContainer(o.Command); of != "" && o.Name == "conmon" {
			id = of
		}
		j.setContainer(d, i, j.fullID(id))
	}
}

// setContainer writes to one owner of d, in a list of d's own: lists are shared.
func (j *join) setContainer(d *monban.Door, i int, id string) {
	if d.Owners[i].Container != id {
		d.Owners = slices.Clone(d.Owners)
		d.Owners[i].Container = id
	}
}

// fullID returns the ID of the one container that id is the beginning of, or id.
// Twelve digits are what Docker and Podman show.
func (j *join) fullID(id string) string {
	full := ""
	for _, c := range j.containers {
		switch {
		case c.ID == id || len(id) < 12:
			return id
		case !strings.HasPrefix(c.ID, id):
		case full != "":
			return id // two: neither is meant for sure
		default:
			full = c.ID
		}
	}
	if full == "" {
		return id
	}
	return full
}

// forward says where a door leads that a forwarder holds, or that a process of
// root holds which may not be looked at: the kernel gives a place to one holder
// only, so it is the engine that has published a port just there.
func (j *join) forward(d *monban.Door) {
	if d.State == monban.Forwarded || d.Bind.NetNS != "" {
		return // engines speak of their own network namespace
	}
	at := slices.IndexFunc(d.Owners, func(o monban.Owner) bool { return isForwarder(o.Name) })
	if at < 0 && (d.Kernel != "" || d.UID != 0 || !outOfSight(d.Unnamed)) {
		return
	}
	known := ""
	if at >= 0 && (d.Owners[at].Name == "conmon" || j.container(d.Owners[at].Container) != nil) {
		known = d.Owners[at].Container // conmon is there for one container
	}
	c, p := j.published(d, known, at < 0)
	if c == nil {
		return
	}
	if d.To.Port == 0 {
		d.To = monban.Target{Addr: p.Addr, Port: p.Target}
	}
	d.To.Container = c.ID
	if at >= 0 {
		j.setContainer(d, at, c.ID)
	}
	for _, p := range c.Published {
		if covers(d.Bind, p.Host) {
			j.listened[publishedAt{p.Host.Port, p.Host.Addr}] = true
		}
	}
}

// outOfSight reports whether a door has a holder that could not be seen.
func outOfSight(h monban.Hidden) bool {
	switch h {
	case monban.HiddenPrivilege, monban.HiddenNamespace, monban.HiddenUnreadable, monban.HiddenNotAsked:
		return true
	}
	return false
}

func (j *join) container(id string) *monban.Container {
	return (&monban.Snapshot{Containers: j.containers}).Container(id)
}

// published returns the container, and its port, whose published port d is the
// listener of; nil where there is none or more than one. known is the only
// container that it can be; "" is any. exact allows no other address, but one
// wildcard for the other.
func (j *join) published(d *monban.Door, known string, exact bool) (*monban.Container, *monban.Published) {
	var container *monban.Container
	var port *monban.Published
	for i := range j.containers {
		c := &j.containers[i]
		if known != "" && known != c.ID {
			continue
		}
		for k := range c.Published {
			p := &c.Published[k]
			if !covers(d.Bind, p.Host) || !leadsTo(d.To, p) {
				continue
			}
			if p.Host.Addr == d.Bind.Addr {
				return c, p
			}
			if exact && p.Host.Wildcard() != d.Bind.Wildcard() {
				continue
			}
			if container != nil && container != c {
				return nil, nil
			}
			container, port = c, p
		}
	}
	return container, port
}

// covers reports whether a socket at b takes what arrives at the place want.
// rootlesskit and conmon open one socket for both families where Docker tells of
// two published ports.
func covers(b, want monban.Bind) bool {
	if b.Port != want.Port {
		return false
	}
	have, addr := b.Addr.Unmap(), want.Addr.Unmap()
	switch {
	case have == addr:
		return true
	case have == netip.IPv6Unspecified():
		return addr.Is6() || b.V6Only != monban.On
	default:
		return have == netip.IPv4Unspecified() && addr.Is4()
	}
}

// leadsTo reports whether a forwarder that says it leads to target can be the
// listener of p. A stale docker-proxy leads to an address nobody has.
func leadsTo(target monban.Target, p *monban.Published) bool {
	if target.Port == 0 {
		return true
	}
	return target.Port == p.Target &&
		(!p.Addr.IsValid() || p.Addr.Is4() != target.Addr.Is4() || p.Addr == target.Addr)
}

// addForwarded adds a door for each published port without a listener: the
// kernel translates what arrives there.
func (j *join) addForwarded() {
	for _, c := range j.containers {
		for _, p := range c.Published {
			at := publishedAt{p.Host.Port, p.Host.Addr}
			if j.listened[at] {
				continue
			}
			j.listened[at] = true // the containers of a pod all tell of it
			j.doors = append(j.doors, monban.Door{Bind: p.Host, State: monban.Forwarded,
				To: monban.Target{Addr: p.Addr, Port: p.Target, Container: c.ID}})
		}
	}
}

// addUnknown adds the containers that only owners speak of.
func (j *join) addUnknown() {
	for _, d := range j.doors {
		for _, o := range d.Owners {
			if o.Container != "" && j.container(o.Container) == nil {
				j.containers = append(j.containers, monban.Container{ID: o.Container})
			}
		}
	}
}
