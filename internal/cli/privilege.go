package cli

import "github.com/monban-dev/monban/internal/privilege"

// keep gives up all capabilities but those named, and those of what is executed. A
// kernel or a build that cannot is no reason not to go on; `monban version` says so.
func (a *app) keep(list ...privilege.Capability) {
	if a.sys.Keep != nil {
		_ = a.sys.Keep(list...)
	}
}

// lower is keep for verbs that go on to execute programs which need more.
func (a *app) lower(list ...privilege.Capability) {
	if a.sys.Lower != nil {
		_ = a.sys.Lower(list...)
	}
}

// toLook is what it takes to see who has a door of this machine, and its rules.
func toLook() []privilege.Capability {
	return []privilege.Capability{privilege.SysPtrace, privilege.DACReadSearch, privilege.NetAdmin, privilege.BPF, privilege.Perfmon}
}

// toSurvey is what it takes to see everything there is to see, names of BPF programs
// and other network namespaces among it, and what a view says that this user may do:
// open low ports and raw sockets. What had been given up before would be denied there.
func toSurvey() []privilege.Capability {
	return append(toLook(), privilege.SysAdmin, privilege.NetBindService, privilege.NetRaw)
}

// toWrite is what it takes to put a new file in each of these places: nothing where
// its directory is the user's own.
func toWrite(paths ...string) []privilege.Capability {
	for _, path := range paths {
		if !ownDirectory(path) {
			return []privilege.Capability{privilege.DACOverride, privilege.FOwner}
		}
	}
	return nil
}

// toChange is what it takes to write a file anew with all that it has, whosever it is.
func toChange() []privilege.Capability {
	return []privilege.Capability{privilege.DACOverride, privilege.FOwner, privilege.Chown, privilege.FSetID, privilege.SetFCap,
		privilege.SysAdmin} // SysAdmin for attributes of other security modules (cap_inode_setxattr)
}
