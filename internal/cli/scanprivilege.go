package cli

import (
	"github.com/monban-dev/monban/internal/privilege"
	"github.com/monban-dev/monban/probe"
)

// settle gives up what the scan does not need any more, when its sockets are open and
// before it reads the first byte that a stranger has sent. A scan of this machine
// looks at its processes afterwards; and where the state of a scan that is broken off
// has to be left in a directory of somebody else's, it is.
func (j *scanJob) settle() {
	if j.app.sys.Keep == nil {
		return
	}
	var keep []privilege.Capability
	if j.question.Engine != probe.Connect { // a thread that keeps a pace hurries while it sleeps most of the time
		keep = append(keep, privilege.SysNice)
	}
	if j.own {
		keep = append(keep, privilege.SysPtrace, privilege.DACReadSearch, privilege.NetAdmin, privilege.BPF, privilege.Perfmon)
	}
	if !ownDirectory(j.statePath()) {
		keep = append(keep, privilege.DACOverride, privilege.FOwner)
	}
	// A kernel or a build that cannot is no reason not to scan.
	_ = j.app.sys.Keep(keep...)
}
