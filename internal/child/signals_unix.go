//go:build unix

package child

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// passed are the signals that Run passes on, and those of job control. Not among
// them are the uncatchable ones, those that tell of a fault of this process,
// SIGCHLD, SIGPIPE, and SIGURG and SIGPROF, which the Go runtime uses.
func passed() []unix.Signal {
	return []unix.Signal{
		unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGVTALRM,
		unix.SIGWINCH, unix.SIGIO, unix.SIGXCPU, unix.SIGXFSZ,
		unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGCONT,
	}
}

// catch asks for the signals that are the command's, and for news of it.
func catch() chan os.Signal {
	c := make(chan os.Signal, 64)
	signal.Notify(c, unix.SIGCHLD)
	for _, sig := range passed() {
		// What nohup(1) or a shell in the background has made ignored stays so,
		// for the command as well. The last two are ignored by default.
		if !signal.Ignored(sig) || sig == unix.SIGWINCH || sig == unix.SIGCONT {
			signal.Notify(c, sig)
		}
	}
	return c
}

// shared reports whether the command has a signal already, because the terminal
// sent it to the whole foreground group. A second Ctrl-C would make many
// programs give up their orderly end. Who sent a signal is told by siginfo alone,
// which Go does not show and whose way through signalfd(2) the runtime bars (it
// unblocks SIGINT in its threads); so in the foreground of a terminal these
// signals count as the terminal's.
func shared(sig unix.Signal) bool {
	switch sig {
	case unix.SIGINT, unix.SIGQUIT, unix.SIGTSTP, unix.SIGWINCH:
		return foreground()
	}
	return false
}

// foreground reports whether this process is in the foreground group of its
// terminal.
func foreground() bool {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
