package host

import "github.com/monban-dev/monban"

// Numbers of capabilities (include/uapi/linux/capability.h).
const (
	capNetBindService = 10
	capNetAdmin       = 12
	capNetRaw         = 13
	capSysPtrace      = 19
	capSysAdmin       = 21
)

// initialUserNS is the user namespace that the kernel starts with: PROC_USER_INIT_INO
// in include/linux/proc_ns.h.
const initialUserNS = "user:[4026531837]"

// capsOf reads a set of capabilities. Those over the network count only in the
// user namespace that the network namespace belongs to (ns_capable(net->user_ns)
// in the kernel's inet_bind and rtnetlink); ownsNet tells whether that is ours.
func capsOf(effective uint64, ownsNet func() monban.Flag) monban.Caps {
	has := func(bit int) monban.Flag { return monban.FlagOf(effective>>bit&1 == 1) }
	c := monban.Caps{
		BindService: has(capNetBindService),
		Ptrace:      has(capSysPtrace),
		NetAdmin:    has(capNetAdmin),
		NetRaw:      has(capNetRaw),
		SysAdmin:    has(capSysAdmin),
	}
	for _, flag := range []*monban.Flag{&c.BindService, &c.NetAdmin, &c.NetRaw} {
		if *flag == monban.On {
			*flag = ownsNet()
		}
	}
	return c
}

// unlessOff is for a capability over other processes that is held in a user
// namespace of one's own: it counts for the processes inside and for no other,
// so nobody can say On.
func unlessOff(f monban.Flag) monban.Flag {
	if f == monban.Off {
		return monban.Off
	}
	return monban.FlagUnknown
}
