// Package owners says who is behind a door: the process that holds a socket, its
// program, user, unit, working directory and project; the kernel feature behind
// a socket that no process holds; and the containers of this machine with the
// ports they publish.
//
// It reads and never disturbs. No socket is opened to a port, nothing is
// started: an engine's API socket that a service manager holds for a stopped
// daemon is left alone, because to connect is to start it. Only regular files
// are opened. A process that ends while it is looked at is normal and is not an
// error.
//
// What could not be seen is said twice: beside each door ([monban.Door].Unnamed)
// and once for all of them in a [monban.Gap].
package owners

import (
	"context"
	"slices"

	"github.com/monban-dev/monban"
)

// Options says where to look. The zero value is this machine.
type Options struct {
	// Root is the directory that stands for "/" on Linux: the process table is
	// read from Root/proc, unit files from Root/etc/systemd/system and so on.
	// "" is "/".
	Root string

	// many is from how many open files of the machine on the kernel is asked by
	// its iterator; 0 is manyFiles. It is for the tests.
	many int
}

// Name fills in Owners, Unnamed, Kernel and To of doors, in place. Every process
// that holds a socket is found, not only the first: the topmost ancestor stands
// first.
//
// On Linux a door is recognised by its Inode, in whatever network namespace it
// is; on Windows and macOS by the PID of the Owner that the socket table gave.
// To see the processes of other users takes CAP_SYS_PTRACE on Linux,
// administrator rights on Windows, root on macOS. Doors with the same owners
// share one Owners slice: it is to be read, not written.
//
// It returns the error of a cancelled context as a gap, like everything else
// that kept it from looking.
func Name(ctx context.Context, doors []monban.Door, o Options) []monban.Gap {
	return name(ctx, doors, o)
}

// Containers asks the container engines of this machine, Docker and Podman, with
// root's sockets and those of users, what they run and what they publish. An
// engine that is not there is no gap. One that is asleep, that may not be asked,
// or that does not answer within 2 s is.
func Containers(ctx context.Context) ([]monban.Container, []monban.Gap) {
	return AskContainers(ctx)()
}

// AskContainers begins what [Containers] does and returns at once. answer waits
// for the end of it. Where no engine is, nothing is begun and nothing is waited
// for.
func AskContainers(ctx context.Context) (answer func() ([]monban.Container, []monban.Gap)) {
	return askContainers(ctx)
}

// Restarts asks the engines of containers when they start them by themselves, and
// fills in Restart, in place. Only those are asked about that an engine told of:
// their Socket is known. All of it takes 2 s at most; what has not been
// answered by then is a gap.
func Restarts(ctx context.Context, containers []*monban.Container) []monban.Gap {
	return restarts(ctx, containers)
}

// Stopped returns the containers that do not run now and that Docker will start
// by itself: those that it is about to start again, and those with the restart
// policy "always", which are started whenever the daemon is, also after somebody
// has stopped them. A container that was stopped stays so with "unless-stopped",
// and one that has never been started does with any policy; Podman leaves it to
// a service of the machine. They are asked for like [Containers].
func Stopped(ctx context.Context) ([]monban.Container, []monban.Gap) { return stopped(ctx) }

// Join ties doors and containers together and returns both, extended. The
// arguments are left as they were.
//
// A door held by a forwarding helper (docker-proxy, rootlessport, conmon, …), or
// by a process that could not be named, gets a To with the Container that has
// published it. An Owner inside a container gets the full ID that the engine
// knows. A container that only an Owner speaks of is added with its ID alone. A
// published port that no helper holds becomes a door of state Forwarded.
func Join(doors []monban.Door, containers []monban.Container) ([]monban.Door, []monban.Container) {
	j := join{doors: slices.Clone(doors), containers: slices.Clone(containers), listened: make(map[publishedAt]bool)}
	j.run()
	return j.doors, j.containers
}
