package report

import (
	"strings"

	"github.com/monban-dev/monban"
)

// startedBy says in a few words how a program came to run: the service unit,
// the container, or the most telling of its ancestors.
func (v *view) startedBy(o *monban.Owner) string {
	l := v.style.Lang
	if c := v.Snapshot.Container(o.Container); c != nil {
		if c.Project != "" {
			return l.pick("compose ", "Compose ") + c.Project + "/" + c.Service
		}
		return l.pick("container ", "コンテナ ") + containerName(c)
	}
	if o.Container != "" {
		return l.pick("container ", "コンテナ ") + o.Container[:min(12, len(o.Container))]
	}
	// A scope holds what a session or a terminal started; it started nothing.
	if o.Unit != "" && !strings.HasSuffix(o.Unit, ".scope") {
		return o.Unit
	}
	if parent, kind := starter(o.Parents); kind != launchNone {
		return launcherName(l, kind) + " (" + parent.Name + ")"
	}
	switch {
	case o.Orphan:
		return l.pick("(its parent is gone)", "(親プロセス終了)")
	case len(o.Parents) == 0:
		return "-"
	case o.Parents[0].PID == 1: // adopted: who started it has ended
		return l.pick("unknown", "不明")
	default:
		return o.Parents[0].Name
	}
}

// starter returns the most telling ancestor: the nearest that is not a terminal
// or a shell, for cron and supervisors run their programs by a shell; else the
// nearest terminal.
func starter(parents []monban.Parent) (terminal monban.Parent, kind launch) {
	for _, parent := range parents {
		switch k := launcher(parent.Name); {
		case k == launchNone:
		case k != launchTerminal:
			return parent, k
		case kind == launchNone:
			terminal, kind = parent, k
		}
	}
	return terminal, kind
}

// launch is a kind of program that starts others.
type launch uint8

const (
	launchNone launch = iota
	launchCron
	launchSupervisor
	launchEditor
	launchTerminal
)

// launcher recognises programs that start others by their executable's name.
func launcher(name string) launch {
	name = strings.TrimPrefix(strings.ToLower(name), "-") // a login shell
	switch name {
	case "cron", "crond", "anacron", "atd", "fcron":
		return launchCron
	case "supervisord", "runsv", "runsvdir", "s6-supervise", "s6-svscan", "monit", "god", "circusd", "pm2",
		"nodemon", "foreman", "honcho", "overmind", "hivemind", "air", "watchexec", "entr", "daphne", "xinetd", "inetd",
		"tini", "dumb-init", "supervise", "daemontools", "openrc", "supervise-daemon":
		return launchSupervisor
	case "code", "code-server", "idea", "pycharm", "webstorm", "goland", "phpstorm", "cursor", "zed":
		return launchEditor
	case "bash", "zsh", "fish", "sh", "dash", "ksh", "tcsh", "nu", "pwsh", "powershell.exe", "cmd.exe", "tmux", "screen",
		"sshd", "sshd-session", "login", "su", "sudo", "gnome-terminal-server", "konsole", "xterm", "alacritty", "kitty", "wezterm-gui":
		return launchTerminal
	}
	if strings.HasPrefix(name, "tmux:") || strings.HasPrefix(name, "screen") {
		return launchTerminal
	}
	return launchNone
}

func launcherName(l Lang, k launch) string {
	switch k {
	case launchCron:
		return l.pick("cron", "cron")
	case launchSupervisor:
		return l.pick("supervisor", "スーパーバイザー")
	case launchEditor:
		return l.pick("editor", "エディター")
	default:
		return l.pick("terminal", "端末")
	}
}

// parentChain writes the ancestors, nearest first.
func parentChain(o *monban.Owner) string {
	names := make([]string, 0, len(o.Parents))
	for _, p := range o.Parents {
		names = append(names, p.Name)
	}
	return strings.Join(names, " ← ")
}
