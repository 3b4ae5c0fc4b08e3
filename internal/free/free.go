// Package free makes a door free: it plans what to stop, proves right before it
// acts that this is still the same program, acts through whatever supervises the
// program, and watches whether the door stays free.
//
// [Make] is a pure judgement over a snapshot: what to stop, or why not. It never
// plans against pid 1, the kernel, a container engine or its forwarders, the way
// in (sshd), or an ancestor of this process. [Plan.Prepare] finds supervisors
// that the snapshot does not tell of and takes hold of the processes, so that a
// pid which has come to mean another process can never be hit. [Plan.Act] acts,
// and [Watch] looks whether somebody opens the door again.
//
// Programs are run by argument vectors and never by a shell, for a bounded time,
// and only so much of what they write is kept. It acts on Linux; elsewhere Prepare
// returns [errors.ErrUnsupported].
package free

import (
	"net/netip"
	"strings"
	"time"

	"github.com/monban-dev/monban"
)

// Question is which door is to become free.
type Question struct {
	Port monban.Port // one transport
	// Addr limits it to the doors bound to exactly this address, an IPv4 one also
	// in its IPv6 form; the zero Addr is every address.
	Addr netip.Addr
	// PID limits it to the doors which this process holds; 0 is every process.
	PID int
	// Grace is how long a process gets between SIGTERM and SIGKILL.
	Grace time.Duration
}

// Asks reports whether d is one of the doors that q is about.
func (q Question) Asks(d *monban.Door) bool {
	if d.Bind.Port != q.Port || d.Bind.NetNS != "" {
		return false
	}
	if q.Addr.IsValid() && q.Addr.Unmap() != d.Bind.Addr.Unmap() {
		return false
	}
	if q.PID == 0 {
		return true
	}
	for i := range d.Owners {
		if d.Owners[i].PID == q.PID {
			return true
		}
	}
	return false
}

// Action is a way to make a program let go of a door.
type Action string

// The actions.
const (
	StopUnit      Action = "stop-unit"      // systemctl stop
	StopContainer Action = "stop-container" // docker stop, podman stop
	StopChild     Action = "stop-child"     // through another supervisor, such as supervisorctl
	Signal        Action = "signal"         // SIGTERM, and SIGKILL after the grace period
)

// Step is one thing to be done.
type Step struct {
	Action Action
	// Name is the unit, the container, or the program.
	Name string
	// Supervisor is who is told: "systemd", "docker", "podman", "supervisord",
	// "runit", "s6", "daemontools", "pm2"; "" for a signal.
	Supervisor string
	// Command is what is run, as an argument vector; empty for a signal.
	Command []string
	// Processes hold the doors, the topmost first.
	Processes []monban.Owner
	// Container is the ID of the container to stop; "" is none.
	Container string
	// User is whose service manager runs the unit; "" is the machine's.
	User  string
	Grace time.Duration
	// Session says that Signal ends a whole ssh session, of which the door is
	// only a part.
	Session bool
	// Doors are those that become free, and Also those of other ports that close
	// with them.
	Doors, Also []monban.Door

	held []*process // of Signal, one for each of Processes
	unit string     // of StopUnit: the service whose control group is the proof
}

// Reason is a machine code that says why nothing is done, or why it failed.
type Reason string

// The reasons not to do it.
const (
	IsInit       Reason = "init"        // pid 1 holds it
	IsKernel     Reason = "kernel"      // the kernel holds it, there is no process
	IsForwarder  Reason = "forwarder"   // a forwarder of a container engine or an editor
	IsLifeline   Reason = "lifeline"    // sshd, a service manager, a container engine
	IsManager    Reason = "manager"     // a supervisor holds it for one of its programs
	IsAncestor   Reason = "ancestor"    // this command runs below the holder
	IsSession    Reason = "session"     // this very session came in through the door
	IsOwnUnit    Reason = "own-unit"    // this command runs inside the unit or container
	IsContainer  Reason = "container"   // a container whose engine could not be asked
	IsRule       Reason = "rule"        // no process: a rule of the packet filter leads on from here
	IsHidden     Reason = "hidden"      // nobody can say who holds it
	IsPrivileged Reason = "privilege"   // it takes more privilege
	IsResolver   Reason = "resolver"    // systemd-resolved's stub listener
	IsOtherUser  Reason = "other-user"  // the supervisor belongs to another user, who could trick whoever commands it
	IsChanged    Reason = "changed"     // it is not what it was when it was looked at
	IsBeyond     Reason = "unsupported" // the kernel does not let it be held (before Linux 5.3)
	IsSilent     Reason = "supervisor"  // the supervisor could not be asked
)

// Refusal is why one door will not be made free.
type Refusal struct {
	Reason Reason
	Door   monban.Door
	// Name and PID are of the process that stands in the way; PID 0 is none.
	Name string
	PID  int
	User string // of IsOtherUser and IsPrivileged: whose it is; "" is not known
	// Output is what a program said that was asked.
	Output string
	// Fix is what to do instead.
	Fix []monban.Fix
}

// Plan is the answer to a Question.
type Plan struct {
	Question Question
	// Programs are the doors that are asked about, by the program behind them. A
	// plan is made for one program: with more than one it has no steps, and the
	// question has to be narrowed.
	Programs [][]monban.Door
	Steps    []Step
	// Refused is not empty when nothing may be done.
	Refused []Refusal
}

// Doors returns the doors that are asked about.
func (p *Plan) Doors() []monban.Door {
	var all []monban.Door
	for _, doors := range p.Programs {
		all = append(all, doors...)
	}
	return all
}

// Ready reports whether there is something to do, and nothing against it.
func (p *Plan) Ready() bool { return len(p.Steps) > 0 && len(p.Refused) == 0 && len(p.Programs) == 1 }

// Self is what has to be known about this process, so that it never saws off the
// branch it sits on.
type Self struct {
	UID int
	// Ancestors are this process, then its ancestors, nearest first.
	Ancestors []int
	// Groups are the control groups it is in, as paths.
	Groups []string
	// SSHPort is the port of this machine that the session came in by
	// (SSH_CONNECTION); 0 is none.
	SSHPort uint16
}

// inside reports whether this process is in a control group of the given name.
func (s Self) inside(name string) bool {
	if name == "" {
		return false
	}
	for _, group := range s.Groups {
		for part := range strings.SplitSeq(group, "/") {
			if part == name || len(name) == 64 && strings.Contains(part, name) {
				return true
			}
		}
	}
	return false
}
