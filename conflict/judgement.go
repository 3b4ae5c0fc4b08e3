package conflict

import "github.com/monban-dev/monban"

// The stages of a [monban.Judgement]. A stream socket can pass bind(2) and fail
// at listen(2), where the kernel asks again.
const (
	StageSocket = "socket"
	StageBind   = "bind"
	StageListen = "listen"
)

// The reasons of a [monban.Judgement] whose outcome is unknown.
const (
	// ReasonSystem: the rules of this operating system are not modelled.
	ReasonSystem = "system"
	// ReasonDoors: whole sockets could not be seen.
	ReasonDoors = "doors"
	// ReasonTraffic: the connections of this port were not counted.
	ReasonTraffic = "traffic"
	// ReasonOptions: options of the sockets in the way, or the order in which
	// they were opened, decide; the kernel does not tell them.
	ReasonOptions = "options"
	// ReasonHost: a fact about the machine is missing: its addresses, its
	// privileged range, its default for IPV6_V6ONLY, what this user may do.
	ReasonHost = "host"
	// ReasonNamespace: the door is wanted in another network namespace than the
	// one that was looked at.
	ReasonNamespace = "namespace"
)

// CanBind judges bind(2) and, for TCP, listen(2) of want by the user who made
// the snapshot, against the doors and traffic in it. An option of want that is
// FlagUnknown counts as Off, except V6Only, which falls back to the machine's
// default (net.ipv6.bindv6only).
//
// With Starts the Cause may be set all the same: the door opens, and yet will
// not do what people expect of it. D8 and L24: what arrives is led elsewhere
// before it reaches the door. L4: the other loopback address of the same port
// belongs to somebody else.
func CanBind(want monban.Bind, snap *monban.Snapshot) monban.Judgement {
	return monban.Judgement{Bind: want}
}
