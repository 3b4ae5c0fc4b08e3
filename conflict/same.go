package conflict

import (
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// relation says whether two doors are the same program's.
type relation uint8

const (
	unsure relation = iota // one of them has no name
	related
	unrelated
)

// relate judges whether two doors belong to one program, in the sense in which
// people say so: nginx with its workers, both halves of docker-proxy, all that
// one unit or one container started.
func relate(a, b *monban.Door, snap *monban.Snapshot) relation {
	if a.Inode != 0 && a.Inode == b.Inode {
		return related
	}
	if ca, cb := behind(a, snap), behind(b, snap); ca != "" && cb != "" {
		if ca == cb {
			return related
		}
		return unrelated
	}
	if len(a.Owners) == 0 || len(b.Owners) == 0 {
		return unsure
	}
	for i := range a.Owners {
		for k := range b.Owners {
			if kin(&a.Owners[i], &b.Owners[k]) {
				return related
			}
		}
	}
	if forwarder(&a.Owners[0]) && forwarder(&b.Owners[0]) {
		return unsure // nobody said for which containers
	}
	return unrelated
}

// behind returns the container that answers at a door; "" if none is known.
func behind(d *monban.Door, snap *monban.Snapshot) string {
	if d.To.Container != "" {
		return d.To.Container
	}
	if c := containerOf(d, snap); c != nil {
		return c.ID
	}
	if len(d.Owners) > 0 {
		return d.Owners[0].Container
	}
	return ""
}

// kin reports whether two processes are parts of one program.
func kin(a, b *monban.Owner) bool {
	if a.PID == 1 || b.PID == 1 {
		// Pid 1 holds sockets for others: ssh.socket is ssh.service's.
		return service(a) == service(b) && (service(a) != "" || a.PID == b.PID)
	}
	if a.PID == b.PID {
		return true
	}
	if service(a) != "" && service(a) == service(b) {
		return true
	}
	if parent(a) == b.PID || parent(b) == a.PID {
		return !shell(a.Name) && !shell(b.Name)
	}
	// Workers of a master that is not seen here run the same file with the same
	// arguments. Two servers started from one shell differ in theirs, or at
	// least have the shell as their parent.
	return a.Exe != "" && a.Exe == b.Exe && parent(a) > 1 && parent(a) == parent(b) &&
		slices.Equal(a.Command, b.Command) && !shell(a.Parents[0].Name)
}

func parent(o *monban.Owner) int {
	if len(o.Parents) == 0 {
		return 0
	}
	return o.Parents[0].PID
}

// service is the name that a unit and its socket share. A scope is a place where
// a user starts many things, and the user's manager likewise.
func service(o *monban.Owner) string {
	name, kind, _ := cutLast(o.Unit, ".")
	if kind != "service" && kind != "socket" || strings.HasPrefix(name, "user@") {
		return ""
	}
	return name
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// shell reports whether a program starts others on a person's behalf, so that
// being started by it makes nobody kin.
func shell(name string) bool {
	switch strings.TrimPrefix(name, "-") {
	case "sh", "bash", "dash", "zsh", "fish", "ksh", "ash", "busybox", "tmux", "tmux: server", "screen", "sshd",
		"sshd-session", "login", "su", "sudo", "make", "systemd", "init", "cron", "crond", "supervisord", "code", "node":
		return true
	}
	return false
}
