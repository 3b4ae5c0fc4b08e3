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
	var keep []privilege.Capability
	if j.question.Engine != probe.Connect { // a thread that keeps a pace hurries while it sleeps most of the time
		keep = append(keep, privilege.SysNice)
	}
	if j.own {
		keep = append(keep, toLook()...)
	}
	j.app.keep(append(keep, toWrite(j.statePath())...)...)
}
