package move

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/guard"
	"github.com/monban-dev/monban/policy"
)

// Plan is all that a move does, and what it takes to put it back.
type Plan struct {
	Truth  Truth  `json:"truth"`
	New    uint16 `json:"new"`
	Files  []File `json:"files"`
	Socket Socket `json:"socket"`
	// Wanted is what sshd -T has to say during the trial, and Left afterwards.
	Wanted []netip.AddrPort `json:"wanted"`
	Left   []netip.AddrPort `json:"left"`
	// Guard are the policies of monban guard, nil where it is not in force.
	Guard *Policies `json:"guard,omitempty"`
	Gates []Gate    `json:"gates"`
}

// Policies are what monban guard keeps: as it was, with both doors, and with the
// new one alone.
type Policies struct {
	Before guard.Record `json:"before"`
	Both   guard.Record `json:"both"`
	After  guard.Record `json:"after"`
}

// Seen is everything that a plan is made from.
type Seen struct {
	Snap  *monban.Snapshot // with rules and the network
	Truth Truth
	New   uint16
	Facts Facts
	// Config are the claims of sshd's own configuration, System those of every
	// file on this machine.
	Config, System []monban.Claim
	Read           func(path string) ([]byte, error)
	// Effective is what sshd -T says. Socket is the socket unit.
	Effective []byte
	Socket    Socket
	// Saved is the policy that monban guard keeps, if its rules are in force.
	Saved *guard.Record
	// PolicyFile is the file that it came from, as it is to be after the move;
	// nil where it is not to be changed.
	PolicyFile *File
	// Fronts are other firewalls in charge, Zones those of firewalld.
	Fronts []string
	Zones  []Zone
	Now    time.Time
}

// Make makes the plan of a move, or says what is in the way.
func Make(s *Seen) (*Plan, []Refusal, []Note) {
	p := &Plan{Truth: s.Truth, New: s.New, Socket: s.Socket, Gates: []Gate{}, Files: []File{}}
	refused := CheckPort(&s.Truth, s.New, s.Snap, s.System, &s.Facts)
	var err *Refusal
	switch s.Truth.Way {
	case BySocket:
		err = p.bySocket()
	default:
		err = p.byConfig(s)
	}
	if err != nil {
		refused = append(refused, *err)
	}
	if err := p.guard(s); err != nil {
		refused = append(refused, *err)
	}
	more, notes := p.firewall(s)
	if len(refused) == 0 { // else it is about a port that is not taken anyway
		refused = more
	}
	if s.PolicyFile != nil && p.Guard != nil {
		p.Files = append(p.Files, *s.PolicyFile)
	}
	return p, refused, append(notes, p.notes(s)...)
}

// bySocket moves the lines of a socket unit.
func (p *Plan) bySocket() *Refusal {
	moved, _ := p.Socket.at(p.Truth.Old, p.New)
	if len(moved) == 0 {
		return refuse("socket-unclear", p.Truth.Unit, strings.Join(p.Socket.Listen, ", "))
	}
	return nil
}

// byConfig moves the lines of sshd's configuration. What sshd says of it, what
// was read in its files and what it has open have to be the same, because a reload
// puts all of it in force.
func (p *Plan) byConfig(s *Seen) *Refusal {
	now := effective(s.Effective)
	read, open := ports(claimed(s.Config)), append([]uint16{s.Truth.Old}, s.Truth.Others...)
	slices.Sort(open)
	switch {
	case !slices.Equal(ports(now), read):
		return refuse("config-unclear", s.Truth.Config, list(ports(now)), list(read))
	case !slices.Equal(ports(now), slices.Compact(open)):
		return refuse("stale", s.Truth.Config, list(ports(now)), list(open))
	}
	files, err := Rewrite(s.Truth.Config, s.Config, s.Truth.Old, s.New, s.Read)
	if err != nil {
		return refuse("config", err.Error())
	}
	p.Files = files
	for _, at := range now {
		p.Wanted = append(p.Wanted, at)
		if at.Port() != s.Truth.Old {
			p.Left = append(p.Left, at)
			continue
		}
		at = netip.AddrPortFrom(at.Addr(), s.New)
		p.Wanted, p.Left = append(p.Wanted, at), append(p.Left, at)
	}
	return nil
}

func list(ports []uint16) string {
	var out []string
	for _, n := range ports {
		out = append(out, strconv.Itoa(int(n)))
	}
	return strings.Join(out, ", ")
}

// guard makes the policies with both doors and with the new one.
func (p *Plan) guard(s *Seen) *Refusal {
	if s.Saved == nil {
		return nil
	}
	old := monban.Port{Num: s.Truth.Old, Proto: monban.TCP}
	new := monban.Port{Num: s.New, Proto: monban.TCP}
	all := Policies{Before: *s.Saved, Both: *s.Saved, After: *s.Saved}
	all.Both.Policy.Doors, all.After.Policy.Doors = nil, nil
	for _, d := range s.Saved.Policy.Doors {
		moved := d
		moved.Ports = monban.PortRange{First: s.New, Last: s.New, Proto: monban.TCP}
		all.Both.Policy.Doors = append(all.Both.Policy.Doors, d)
		alone := d.Ports.First == old.Num && d.Ports.Last == old.Num
		if !d.Ports.Contains(old) || !alone {
			all.After.Policy.Doors = append(all.After.Policy.Doors, d)
		}
		if d.Ports.Contains(old) && !d.Ports.Contains(new) {
			all.Both.Policy.Doors = append(all.Both.Policy.Doors, moved)
			all.After.Policy.Doors = append(all.After.Policy.Doors, moved)
		}
	}
	if len(all.Both.Policy.Doors) > len(s.Saved.Policy.Doors) {
		p.Guard = &all
	}
	return nil
}

// firewall sees to it that whoever comes in at the old port comes in at the new one.
func (p *Plan) firewall(s *Seen) (refused []Refusal, notes []Note) {
	rules := s.Snap.Rules
	if rules == nil {
		return nil, []Note{{"rules-unseen", nil}}
	}
	if p.Guard != nil {
		compiled, err := policy.Compile(&p.Guard.Both.Policy, s.Now)
		if err != nil {
			return []Refusal{{"guard", []string{err.Error()}}}, nil
		}
		rules = withTable(rules, compiled.Table(monban.TableInet, policy.TableName))
	}
	b := barrier(&s.Truth, s.New, s.Snap, rules)
	port := strconv.Itoa(int(s.New))
	if b.Unknown {
		notes = append(notes, Note{"undecided", []string{port}})
	}
	if len(b.More) > 0 {
		notes = append(notes, Note{"wider", []string{port, strconv.Itoa(int(s.Truth.Old))}})
	}
	if len(b.Who) == 0 {
		return nil, notes
	}
	blocked := []Refusal{{"blocked", []string{port, b.text(), b.Rule.String(), strconv.Itoa(int(s.Truth.Old))}}}
	switch {
	case slices.Contains(s.Fronts, "ufw"):
		gates, ok := ufwGates(s.Facts.UFW, s.Truth.Old, s.New)
		if !ok || len(gates) == 0 {
			return blocked, notes
		}
		p.Gates = gates
	case slices.Contains(s.Fronts, "firewalld"):
		if p.Gates = firewalldGates(s.Zones, s.Truth.Old, s.New); len(p.Gates) == 0 {
			return blocked, notes
		}
	default:
		return blocked, notes
	}
	return nil, notes
}

// notes are what the person has to know, or to do, beside.
func (p *Plan) notes(s *Seen) []Note {
	var out []Note
	add := func(code string, args ...string) { out = append(out, Note{code, args}) }
	port, old := strconv.Itoa(int(s.New)), strconv.Itoa(int(s.Truth.Old))
	if names, unsure := Squatters(s.New, &s.Snap.Host, &s.Facts); len(names) > 0 || unsure {
		add("squatters", port, strings.Join(names, ", "))
	}
	if s.Facts.Jail && s.Facts.JailPorts != "" && !covers(strings.Split(s.Facts.JailPorts, ","), s.New) {
		add("fail2ban", port, s.Facts.JailPorts)
	}
	if len(s.Truth.Others) > 0 {
		add("others", list(s.Truth.Others), old)
	}
	if len(p.Gates) > 0 {
		look := "ufw status numbered"
		if p.Gates[0].Do[0] == "firewall-cmd" {
			look = "firewall-cmd --list-all-zones"
		}
		add("old-rule", old, look)
	}
	if s.Saved != nil && p.Guard != nil && s.PolicyFile == nil {
		add("policy-file", s.Saved.File, old, port)
	}
	add("elsewhere", old, port)
	return out
}

// Step is one step of a move, in the order in which they are done.
type Step struct {
	Code string
	Args []string
	// Command is what is run, where a program is.
	Command []string
	// Closing: only after somebody has come in by the new port.
	Closing bool

	do func(m *Machine, s *State) error
}

// Steps returns all steps of a plan. boot is what starts services here.
func (p *Plan) Steps(timeout time.Duration, boot guard.Manager) []Step {
	seconds := strconv.Itoa(int(timeout.Seconds()))
	old, port := strconv.Itoa(int(p.Truth.Old)), strconv.Itoa(int(p.New))
	out := []Step{
		{Code: "record", do: (*Machine).record},
		{Code: "timer", Args: []string{seconds, string(boot)}, do: (*Machine).arm},
	}
	if p.Guard != nil {
		out = append(out, Step{Code: "guard", Args: []string{port, old}, do: (*Machine).guardBoth})
	}
	for i := range p.Gates {
		out = append(out, Step{Code: "gate", Command: p.Gates[i].Do, do: func(m *Machine, s *State) error { return m.command(s.Plan.Gates[i].Do) }})
	}
	if p.Guard != nil || len(p.Gates) > 0 {
		out = append(out, Step{Code: "reach", Args: []string{port, old}, do: (*Machine).reached})
	}
	for i := range p.Files {
		if f := &p.Files[i]; string(f.Both) != string(f.Before) {
			out = append(out, Step{Code: "edit", Args: []string{f.Path, strconv.Itoa(f.Line), f.Text}})
		}
	}
	if n := len(out); n > 0 && out[n-1].Code == "edit" {
		at := slices.IndexFunc(out, func(s Step) bool { return s.Code == "edit" })
		out[at].do = (*Machine).writeBoth // all of them at once
	}
	out = append(out, p.applying(boot, false)...)
	out = append(out, Step{Code: "verify", Args: []string{old, port}, do: (*Machine).verifyBoth})

	out = append(out, Step{Code: "confirm", Args: []string{port, seconds}, Closing: true, do: (*Machine).keep})
	for i := range p.Gates {
		if cmd := p.Gates[i].Keep; len(cmd) > 0 {
			out = append(out, Step{Code: "gate-keep", Command: cmd, Closing: true, do: func(m *Machine, s *State) error { return m.command(s.Plan.Gates[i].Keep) }})
		}
	}
	first := true
	for i := range p.Files {
		step := Step{Code: "close", Args: []string{p.Files[i].Path, old}, Closing: true}
		if first {
			step.do, first = (*Machine).writeAfter, false
		}
		out = append(out, step)
	}
	out = append(out, p.applying(boot, true)...)
	out = append(out, Step{Code: "verify-closed", Args: []string{port, old}, Closing: true, do: (*Machine).verifyAfter})
	if p.Guard != nil {
		out = append(out, Step{Code: "guard-close", Args: []string{old}, Closing: true, do: (*Machine).guardAfter})
	}
	return append(out, Step{Code: "disarm", Closing: true, do: (*Machine).disarm})
}

// applying are the steps that put what was written in force.
func (p *Plan) applying(boot guard.Manager, closing bool) []Step {
	var out []Step
	if p.Truth.Way != BySocket {
		test := (*Machine).testBoth
		if closing {
			test = (*Machine).testAfter
		}
		out = append(out, Step{Code: "test", Command: p.Truth.asking("-t"), Closing: closing, do: test})
	}
	if p.Truth.Way == BySSHD {
		step := Step{Code: "reload", Closing: closing, do: (*Machine).reload}
		if p.Truth.Unit != "" && boot == guard.Systemd {
			step.Command = []string{"systemctl", "reload", p.Truth.Unit}
		} else {
			step.Code = "hangup"
		}
		return append(out, step)
	}
	path, put := p.trialPath(), (*Machine).dropInBoth
	if closing {
		put = (*Machine).dropInAfter
		if p.Truth.Way == BySocket {
			path = p.finalPath()
		}
	}
	return append(out,
		Step{Code: "drop-in", Args: []string{path}, Closing: closing, do: put},
		Step{Code: "daemon-reload", Command: []string{"systemctl", "daemon-reload"}, Closing: closing, do: (*Machine).daemonReload},
		Step{Code: "restart", Command: []string{"systemctl", "restart", p.Truth.Unit}, Closing: closing, do: (*Machine).reload})
}
