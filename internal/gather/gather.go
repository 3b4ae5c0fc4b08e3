// Package gather asks each source once and puts the answers together into one
// snapshot. A source that fails is a gap in it and never hides the others.
package gather

import (
	"context"
	"slices"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/firewall"
	"github.com/monban-dev/monban/host"
	"github.com/monban-dev/monban/owners"
	"github.com/monban-dev/monban/sockets"
)

// Want says what a snapshot is needed for, so that a small question stays cheap.
type Want struct {
	// Ports limits the doors to these; empty is every port.
	Ports []monban.PortRange
	// Traffic are the ports whose connections are to be counted; empty is none.
	Traffic []monban.PortRange
	// Host is what to read of the machine itself, besides its identity.
	Host host.Parts
	// AllNamespaces asks for the doors of every network namespace.
	AllNamespaces bool
	// Rules asks for what says who can reach the doors that are found: the packet
	// filter's ruleset, and the network.
	Rules bool
	// Translations says that of the rules only those matter that change where
	// packets go to: who comes in is not asked.
	Translations bool
	// Restarts asks the engines when they start the containers behind the doors
	// of these ports by themselves.
	Restarts []monban.PortRange
	// Stopped asks for the containers that do not run and will be started so.
	Stopped bool
}

// Whole is want for every port and everything about the machine: what a saved
// snapshot has to hold.
func (want Want) Whole() Want {
	want.Ports = nil
	want.Traffic = []monban.PortRange{{First: 0, Last: 65535}}
	want.Host = host.All
	want.Rules, want.Translations = true, false
	want.Restarts, want.Stopped = want.Traffic, true
	return want
}

// Snapshot looks at this machine.
func Snapshot(ctx context.Context, want Want) *monban.Snapshot {
	snap := &monban.Snapshot{At: time.Now(), TrafficOf: want.Traffic, DoorsOf: want.Ports}
	var hostGaps, socketGaps, containerGaps, ruleGaps []monban.Gap
	// Only engines are worth waiting for beside the rest. To start a thread takes
	// as long as to read what is left, and `monban 443` is measured beside a
	// hello-world.
	containers := owners.AskContainers(ctx)
	snap.Host, hostGaps = host.Read(host.Identity | want.Host)
	snap.Doors, snap.Traffic, socketGaps = look(want)
	ownerGaps := owners.Name(ctx, snap.Doors, owners.Options{})
	snap.Containers, containerGaps = containers()
	snap.Doors, snap.Containers = owners.Join(snap.Doors, snap.Containers)
	snap.Doors = wanted(snap.Doors, want.Ports)
	for _, g := range restarts(ctx, snap, want) {
		// What kept an engine from telling what runs is said once.
		if !slices.ContainsFunc(containerGaps, func(o monban.Gap) bool { return o.Source == g.Source && o.Err == g.Err }) {
			containerGaps = append(containerGaps, g)
		}
	}
	if want.Rules {
		ruleGaps = rules(snap, want)
	}
	for _, gaps := range [][]monban.Gap{socketGaps, ownerGaps, containerGaps, ruleGaps, hostGaps} {
		snap.Gaps = append(snap.Gaps, gaps...)
	}
	return snap
}

// restarts asks when engines start containers by themselves: those behind the
// doors of the ports, and those that do not run. Where no container has to do
// with it, nobody is asked.
func restarts(ctx context.Context, snap *monban.Snapshot, want Want) (gaps []monban.Gap) {
	if len(snap.Containers) > 0 && len(want.Restarts) > 0 {
		var behind []*monban.Container
		for i := range snap.Doors {
			d := &snap.Doors[i]
			if !contains(want.Restarts, d.Bind.Port) {
				continue
			}
			ids := []string{d.To.Container}
			for k := range d.Owners {
				ids = append(ids, d.Owners[k].Container)
			}
			for _, id := range ids {
				if c := snap.Container(id); c != nil && !slices.Contains(behind, c) {
					behind = append(behind, c)
				}
			}
		}
		gaps = owners.Restarts(ctx, behind)
	}
	if want.Stopped {
		var more []monban.Gap
		snap.Stopped, more = owners.Stopped(ctx)
		gaps = append(gaps, more...)
	}
	return gaps
}

// rules reads the ruleset, and what the machine's network is where that has not
// been read and there is a door to judge, or a rule that makes one: interfaces and
// routes take as long as the rest of `monban 443`.
func rules(snap *monban.Snapshot, want Want) []monban.Gap {
	rules, gaps := firewall.Read(firewall.Options{Ports: want.Ports, Translations: want.Translations})
	snap.Rules = rules
	switch {
	case want.Translations:
		return gaps
	case len(snap.Doors) > 0 || rules.Translates():
	case rules != nil && len(gaps) == 0:
		return nil // nothing that a rule could hide
	default: // perhaps a rule makes a door
		return gaps
	}
	if want.Host&host.Network == 0 {
		network, missing := host.Read(host.Network)
		for _, g := range missing {
			if g.Hides != monban.HidesOutside {
				gaps = append(gaps, g)
			}
		}
		h := &snap.Host
		h.Interfaces, h.Routes = network.Interfaces, network.Routes
		h.PolicyRouting, h.RoutedByMark, h.RoutingRules, h.AnswersKeepMark = network.PolicyRouting, network.RoutedByMark, network.RoutingRules, network.AnswersKeepMark
		h.Forward4, h.Forward6, h.IPv6 = network.Forward4, network.Forward6, network.IPv6
		h.NonlocalBind4, h.NonlocalBind6 = network.NonlocalBind4, network.NonlocalBind6
	}
	if rules != nil {
		filters, missing := firewall.Filters(snap.Host.Interfaces, snap.Doors)
		snap.Filters, gaps = filters, append(gaps, missing...)
	}
	return gaps
}

// AddNeighbours adds the doors that snap, a look at some ports only, left out,
// without their owners, and those that are only published: where a port cannot be
// opened, a free one can then be named.
func AddNeighbours(snap *monban.Snapshot, ports []monban.PortRange) {
	others, _ := sockets.Doors(sockets.Options{}) // its gaps are those of the first look
	snap.DoorsOf = nil
	for _, d := range others {
		if !contains(ports, d.Bind.Port) {
			snap.Doors = append(snap.Doors, d)
		}
	}
	// What an engine has published has perhaps no socket.
	for i := range snap.Containers {
		for _, p := range snap.Containers[i].Published {
			if !contains(ports, p.Host.Port) {
				snap.Doors = append(snap.Doors, monban.Door{Bind: p.Host, State: monban.Forwarded,
					To: monban.Target{Addr: p.Addr, Port: p.Target, Container: snap.Containers[i].ID}})
			}
		}
	}
}

// look reads the socket tables: once, where doors and connections are wanted of
// the same ports.
func look(want Want) ([]monban.Door, []monban.Traffic, []monban.Gap) {
	if len(want.Traffic) > 0 && !want.AllNamespaces && slices.Equal(want.Ports, want.Traffic) {
		return sockets.Look(sockets.Options{Ports: want.Ports})
	}
	found, gaps := doors(want)
	if len(want.Traffic) == 0 {
		return found, nil, gaps
	}
	traffic, more := sockets.Traffic(sockets.Options{Ports: want.Traffic})
	return found, traffic, append(gaps, more...)
}

// doors reads the socket tables of this network namespace, or of all.
func doors(want Want) ([]monban.Door, []monban.Gap) {
	all, gaps := sockets.Doors(sockets.Options{Ports: want.Ports})
	if !want.AllNamespaces {
		return all, gaps
	}
	spaces, more := sockets.Namespaces()
	gaps = append(gaps, more...)
	for _, ns := range spaces {
		if ns.Own {
			continue
		}
		found, more := sockets.Doors(sockets.Options{Ports: want.Ports, NetNS: ns.Path})
		all = append(all, found...)
		gaps = append(gaps, more...)
	}
	return all, gaps
}

// wanted drops the published ports that Join found and nobody asked for.
func wanted(doors []monban.Door, ports []monban.PortRange) []monban.Door {
	if len(ports) == 0 {
		return doors
	}
	return slices.DeleteFunc(doors, func(d monban.Door) bool { return !contains(ports, d.Bind.Port) })
}

func contains(ports []monban.PortRange, p monban.Port) bool {
	return slices.ContainsFunc(ports, func(r monban.PortRange) bool { return r.Contains(p) })
}
