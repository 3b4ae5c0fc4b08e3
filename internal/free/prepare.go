package free

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/conflict"
)

// The codes of [monban.Fix] beside those of package conflict.
const (
	FixRemoveRule   = "remove-rule"        // the rule, in nft's words
	FixAtSupervisor = "stop-at-supervisor" // supervisor, the name it knows the program by ("" if unknown); command
	FixStopParent   = "stop-parent"        // name, pid: end the program that starts it again; command
	FixUnitStarter  = "unit-starter"       // unit: find out what starts it; command
	FixAsRoot       = "free-as-root"       // none; command
)

var (
	errGone      = errors.New("the process has ended")
	errPrivilege = errors.New("operation not permitted")
)

// Myself describes this process, whose environment is getenv. It returns
// [errors.ErrUnsupported] where nothing can be made free.
func Myself(getenv func(string) string) (Self, error) {
	self, err := myself()
	self.SSHPort = sshPort(getenv("SSH_CONNECTION"))
	return self, err
}

// Prepare completes a plan with what only the machine can tell: supervisors, who
// may be signalled, and whether the service managers agree about whose process
// it is. It takes hold of the processes that are to be signalled; Close lets go
// of them. It changes nothing on the machine.
func (p *Plan) Prepare(ctx context.Context, self Self) {
	if !p.Ready() {
		return
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		var r *Refusal
		switch s.Action {
		case Signal:
			if r = s.supervise(ctx, self); r == nil && s.Action == Signal {
				r = s.takeHold()
			}
		case StopUnit:
			r = s.proveUnit(ctx)
		}
		if r != nil {
			r.Door = s.Doors[0]
			p.Refused = append(p.Refused, *r)
			return
		}
	}
}

// Close lets go of the processes that Prepare took hold of.
func (p *Plan) Close() {
	for i := range p.Steps {
		for _, h := range p.Steps[i].held {
			h.close()
		}
		p.Steps[i].held = nil
	}
}

// supervise turns a signal into an order to the supervisor of the process, where
// there is one that would start it again.
func (s *Step) supervise(ctx context.Context, self Self) *Refusal {
	chain := family(s.Processes[0].PID)
	if len(chain) == 0 {
		return nil // gone: takeHold says so
	}
	if own := asSupervisor(chain[0]); own.kind != "" && own.kind != "runit" {
		// A supervisor that holds the port itself, for itself or for its
		// children (a cluster of pm2).
		return &Refusal{Reason: IsManager, Name: own.kind, PID: chain[0].pid,
			Fix: []monban.Fix{{Code: FixAtSupervisor, Args: []string{own.kind, ""}, Command: own.list()}}}
	}
	by, ok := supervisorOf(chain)
	switch {
	case !ok:
		return nil
	case slices.Contains(self.Ancestors, by.child):
		return &Refusal{Reason: IsAncestor, Name: s.Processes[0].Name, PID: by.child}
	case by.by.uid != self.UID:
		// Its files and its socket are its user's, who could make whoever
		// commands it do anything.
		return &Refusal{Reason: IsOtherUser, Name: by.kind, PID: by.by.pid, User: userOf(s.Processes, by.by.uid)}
	}
	var answer []byte
	if question := by.question(); question != nil {
		var err error
		// Its status is that of the worst of its programs.
		if answer, err = run(ctx, 5*time.Second, 4<<20, question); len(answer) == 0 && err != nil {
			return silent(by, err.Error())
		}
	}
	command, name, err := by.order(answer, int(s.Grace.Seconds()))
	if err != nil && by.kind == "supervisord" {
		command, name, err = by.orderStarting(ctx, answer)
	}
	if err != nil {
		return silent(by, err.Error())
	}
	s.Action, s.Supervisor, s.Command, s.Name = StopChild, by.kind, command, name
	return nil
}

// orderStarting asks supervisord for the process of each program that is just
// being started.
func (s supervision) orderStarting(ctx context.Context, status []byte) (command []string, name string, err error) {
	const most = 100
	names := starting(status)
	for _, name := range names[:min(len(names), most)] {
		answer, err := run(ctx, 5*time.Second, 256, append(s.supervisorctl(), "pid", name))
		if err == nil && strings.TrimSpace(string(answer)) == strconv.Itoa(s.child) {
			return append(s.supervisorctl(), "stop", name), name, nil
		}
	}
	return nil, "", errUnknownChild
}

func silent(by supervision, output string) *Refusal {
	return &Refusal{Reason: IsSilent, Name: by.kind, PID: by.by.pid, Output: output,
		Fix: []monban.Fix{{Code: FixAtSupervisor, Args: []string{by.kind, ""}, Command: by.list()}}}
}

// userOf returns the name of a user, if one of the processes is theirs.
func userOf(processes []monban.Owner, uid int) string {
	for _, o := range processes {
		if int(o.UID) == uid && o.User != "" {
			return o.User
		}
	}
	return strconv.Itoa(uid)
}

// takeHold opens the processes of a step and proves that they are those of the
// snapshot. One that has ended since, or let go, is none to be signalled.
func (s *Step) takeHold() *Refusal {
	inodes := s.inodes()
	s.Processes = slices.Clone(s.Processes)
	var refused *Refusal
	s.Processes = slices.DeleteFunc(s.Processes, func(o monban.Owner) bool {
		h, err := hold(&o)
		switch {
		case err == nil && h.holds(inodes):
			s.held = append(s.held, h)
			return false
		case err == nil:
			h.close()
		case errors.Is(err, errPrivilege):
			refused = &Refusal{Reason: IsPrivileged, Name: o.Name, PID: o.PID, User: o.User}
		case !errors.Is(err, errGone):
			pid := strconv.Itoa(o.PID)
			refused = &Refusal{Reason: IsBeyond, Name: o.Name, PID: o.PID, Output: err.Error(),
				Fix: []monban.Fix{{Code: conflict.FixStopProgram, Args: []string{o.Name, pid}, Command: []string{"kill", pid}}}}
		}
		return true
	})
	if refused == nil && len(s.Processes) == 0 {
		refused = &Refusal{Reason: IsChanged, Name: s.Name}
	}
	return refused
}

func (s *Step) inodes() []uint64 {
	var list []uint64
	for _, d := range s.Doors {
		if d.Inode != 0 {
			list = append(list, d.Inode)
		}
	}
	return list
}

// proveUnit asks systemd whether the holder really runs in the unit that is to
// be stopped: a control group can be called like another one's unit.
func (s *Step) proveUnit(ctx context.Context) *Refusal {
	if s.unit == "" {
		return nil // the socket of pid 1, named by the files of the machine
	}
	// The command without its end, "stop" and units: systemctl [--user --machine=…].
	question := append(slices.Clone(s.Command[:slices.Index(s.Command, "stop")]),
		"show", "--property=ControlGroup", "--", s.unit)
	answer, err := run(ctx, 5*time.Second, 64<<10, question)
	if err != nil {
		return &Refusal{Reason: IsSilent, Name: "systemd", Output: string(answer),
			Fix: []monban.Fix{{Code: conflict.FixStopUnit, Args: []string{s.unit}, Command: s.Command}}}
	}
	top := controlGroup(answer)
	for _, o := range s.Processes {
		if o.Unit == s.unit && !below(groups(o.PID), top) {
			return &Refusal{Reason: IsChanged, Name: o.Name, PID: o.PID}
		}
	}
	return nil
}
