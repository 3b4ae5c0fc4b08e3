package conflict

import (
	"slices"
	"strconv"
	"time"

	"github.com/monban-dev/monban"
)

// How it is known that an engine starts a container by itself: the third of
// [FixNoRestart]'s Args.
const (
	RestartEnded   = "ended"   // it did when the container had ended, fourth: so many times
	RestartEngine  = "engine"  // it did when its daemon was started, fourth: so many seconds later
	RestartSoon    = "soon"    // it is about to
	RestartStopped = "stopped" // it will when its daemon is started
)

// withDaemon bounds how long after the start of the daemon a container can have
// been started by it. The daemon starts its containers before it answers anybody,
// all of them side by side; a minute is for slow machines with many.
const withDaemon = time.Minute

// startedAgain reports whether the engine is known to have started the running
// container of a door by itself, and how to end that. A restart policy alone says
// nothing of it: most containers that have one were started by somebody.
func startedAgain(c *monban.Container) (fix monban.Fix, ok bool) {
	r := &c.Restart
	if c.Restart.Policy == "" || c.Restart.Policy == "no" {
		return fix, false
	}
	switch late := r.Started.Sub(r.Engine); {
	case r.Count > 0:
		return noRestart(c, RestartEnded, r.Count), true
	case r.Engine.IsZero() || r.Started.IsZero() || r.Policy == "on-failure": // which a daemon does not start again
		return fix, false
	// The kernel tells the start of a process in hundredths of a second.
	case r.Created.Before(r.Engine) && late > -time.Second && late < withDaemon:
		return noRestart(c, RestartEngine, int(max(0, late).Round(time.Second)/time.Second)), true
	}
	return fix, false
}

// willStart returns how to keep the engine from starting a container that does
// not run and publishes want's port; ok is false where there is none. own reports
// whether a container is the very one that the port is wanted for.
func willStart(want monban.Bind, snap *monban.Snapshot, own func(*monban.Container) bool) (fix monban.Fix, ok bool) {
	for i := range snap.Stopped {
		c := &snap.Stopped[i]
		if !slices.ContainsFunc(c.Published, func(p monban.Published) bool { return overlaps(want, p.Host) }) || own != nil && own(c) {
			continue
		}
		how := RestartStopped
		if c.Restart.State == "restarting" {
			how = RestartSoon
		}
		return noRestart(c, how, 0), true
	}
	return fix, false
}

func noRestart(c *monban.Container, how string, n int) monban.Fix {
	name := c.Name
	if name == "" {
		name = c.ID[:min(len(c.ID), 12)]
	}
	fix := monban.Fix{Code: FixNoRestart, Args: []string{name, c.Restart.Policy, how, strconv.Itoa(n), c.Engine}}
	if c.Engine == "docker" || c.Engine == "podman" {
		fix.Command = []string{c.Engine, "update", "--restart=no", name}
	}
	return fix
}

// restarted adds to a failure that the container in the way was started by its
// engine.
func restarted(j *monban.Judgement, d *monban.Door, snap *monban.Snapshot) {
	c := containerOf(d, snap)
	if c == nil {
		return
	}
	if fix, ok := startedAgain(c); ok {
		j.Also = append(j.Also, string(D5))
		j.Fix = append(j.Fix, fix)
	}
}
