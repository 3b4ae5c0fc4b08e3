package owners

import (
	"context"
	"time"
)

// homeSockets are the sockets of Docker Desktop, Colima and OrbStack.
func homeSockets() []string {
	return []string{".docker/run/docker.sock", ".colima/default/docker.sock", ".orbstack/run/docker.sock"}
}

// loggedIn returns nobody: the engines of macOS keep their sockets at home.
func loggedIn() []int { return nil }

// awake returns nil: none of the engines of macOS has launchd listen for it.
func awake(context.Context, engine) error { return nil }

// daemonStarted returns nothing: the daemons run in virtual machines.
func daemonStarted(string) time.Time { return time.Time{} }
