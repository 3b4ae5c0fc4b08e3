package move

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/conflict"
	"github.com/monban-dev/monban/portbook"
)

// CheckPort says why SSH cannot, or should not, move to a port. claims are what
// files on this machine ask for.
func CheckPort(t *Truth, num uint16, snap *monban.Snapshot, claims []monban.Claim, f *Facts) []Refusal {
	var out []Refusal
	add := func(reason string, args ...string) { out = append(out, Refusal{reason, args}) }
	port := monban.Port{Num: num, Proto: monban.TCP}
	text := strconv.Itoa(int(num))
	switch {
	case num == 0:
		add("port-0")
		return out
	case num == t.Old:
		add("same-port", text)
		return out
	case slices.Contains(t.Others, num):
		add("already", text, strconv.Itoa(int(t.Old)))
		return out
	}
	others := slices.DeleteFunc(slices.Clone(claims), func(c monban.Claim) bool { return c.By == "sshd" })
	switch conflict.NewChooser(snap, others).Obstacle(num, conflict.Asked) {
	case conflict.PortOpen:
		add("busy", text, holderOf(snap, num))
	case conflict.PortBusy:
		// Sessions that came in by the port, as before an earlier move, are in
		// nobody's way: sshd and systemd set SO_REUSEADDR.
		for _, b := range t.Binds {
			b.Port.Num, b.ReuseAddr = num, monban.On
			if conflict.CanBind(b, snap).Outcome == monban.Fails {
				add("connected", text)
				break
			}
		}
	case conflict.PortClaimed:
		i := slices.IndexFunc(others, func(c monban.Claim) bool { return c.Bind.Port.Num <= num && max(c.UpTo, c.Bind.Port.Num) >= num })
		add("claimed", text, others[max(i, 0)].Name, others[max(i, 0)].Pos.String())
	case conflict.PortExcluded, conflict.PortPrivileged:
		add("not-allowed", text)
	}
	h := &snap.Host
	reserved := slices.ContainsFunc(h.Reserved, func(r monban.PortRange) bool { return r.Contains(monban.Port{Num: num}) })
	if h.Ephemeral.Last != 0 && num >= h.Ephemeral.First && num <= h.Ephemeral.Last && !reserved {
		add("ephemeral", text, fmt.Sprintf("%d-%d", h.Ephemeral.First, h.Ephemeral.Last))
	}
	if f.Enforcing && num != 22 && !covers(f.Labelled, num) {
		add("selinux", text)
	}
	if translated(snap, port) {
		add("translated", text)
	}
	return out
}

// InFront says whether what arrives at t's port comes from another one, or is led
// elsewhere: then the door that people know is not sshd's own.
func InFront(t *Truth, snap *monban.Snapshot, forwarded []monban.Door) *Refusal {
	old := monban.Port{Num: t.Old, Proto: monban.TCP}
	if translated(snap, old) {
		return refuse("translated", strconv.Itoa(int(t.Old)))
	}
	for i := range forwarded {
		d := &forwarded[i]
		own := !d.To.Addr.IsValid() || snap.Host.HasAddr(d.To.Addr)
		if d.Bind.Port.Proto == monban.TCP && d.To.Port == t.Old && own {
			return refuse("in-front", d.Bind.Port.String(), strconv.Itoa(int(t.Old)))
		}
	}
	return nil
}

// translated reports whether rules lead packets for a port elsewhere before
// anybody who listens gets them.
func translated(snap *monban.Snapshot, port monban.Port) bool {
	if snap.Rules == nil || !conflict.TranslatedPorts(snap.Rules)(port.Num) {
		return false
	}
	empty := *snap
	empty.Doors, empty.Traffic = nil, nil
	for _, addr := range []string{"0.0.0.0", "::"} {
		b := monban.Bind{Port: port, Addr: mustAddr(addr), V6Only: monban.On}
		if conflict.Cause(conflict.CanBind(b, &empty).Cause) == conflict.L24 {
			return true
		}
	}
	return false
}

func holderOf(snap *monban.Snapshot, num uint16) string {
	for i := range snap.Doors {
		if d := &snap.Doors[i]; d.Bind.Port.Num == num && len(d.Owners) > 0 {
			return d.Owners[0].Name
		}
	}
	return ""
}

// Squatters says who could take a port while sshd is down: local users, where it
// takes no privilege. unknown is set where users are kept elsewhere, too.
func Squatters(num uint16, h *monban.Host, f *Facts) (names []string, unknown bool) {
	if num < h.Unprivileged {
		return nil, false
	}
	return f.Others, f.Unsure
}

// Propose chooses a port that outgoing connections cannot take; below the first
// unprivileged one where other users could take it. taken are claims of files.
func Propose(snap *monban.Snapshot, claims []monban.Claim, f *Facts, t *Truth, start uint32) (uint16, bool) {
	chooser := conflict.NewChooser(snap, claims)
	book := portbook.Builtin()
	haven := conflict.FindHaven(&snap.Host)
	low := (len(f.Others) > 0 || f.Unsure) && snap.Host.Unprivileged > 1
	if low {
		haven = conflict.Haven{Range: monban.PortRange{First: 1, Last: snap.Host.Unprivileged - 1}, Kind: conflict.Asked}
	}
	num, _, ok := chooser.Choose(haven, start, func(num uint16) bool {
		for _, proto := range [...]monban.Proto{monban.TCP, monban.UDP} {
			p := monban.Port{Num: num, Proto: proto}
			if low && (len(book.Assigned(p)) > 0 || len(book.Practice(p)) > 0) {
				return true
			}
		}
		return len(CheckPort(t, num, snap, claims, f)) > 0
	})
	return num, ok
}
