// Package child runs a command in the place of this process, as far as two
// processes can look like one: the command has the same terminal, process group,
// descriptors and environment, gets the signals that are meant for it, and its
// end is reported. Nothing is done to what it may do: it is neither traced nor
// confined.
//
// # The stage
//
// A program that is handed a listening socket finds its own process id in
// LISTEN_PID (sd_listen_fds(3)), which nobody knows before the process is there.
// So the child first runs this program once more: argv is StageArg and what to
// do. This stage sets the variable to its own id and becomes the command by
// exec(2), which keeps the id.
package child

import (
	"errors"
	"os"
	"strings"
)

// StageArg is the first argument of this program where it is to call [Stage]
// instead of anything else.
const StageArg = "__stage"

// Command is what to run.
type Command struct {
	Path                  string   // of the executable
	Args                  []string // argv, with the name first
	Env                   []string
	Stdin, Stdout, Stderr *os.File
	// Listen is a listening socket that becomes descriptor 3 of the command, by
	// the protocol of sd_listen_fds(3); nil is none.
	Listen *os.File
}

// Result is how a command ended.
type Result struct {
	// Status is the exit status; 128 and the number of the signal where one
	// ended the command, as shells have it.
	Status int
	// Signal is the number of the signal that ended the command; 0 is none.
	Signal int
	// Interrupted reports that the command was asked to end, by a signal passed
	// on to it or from the terminal.
	Interrupted bool
	// Said is the end of what the command wrote to Stderr; Heard reports whether
	// that could be listened to. A terminal is left to the command alone.
	Said  []byte
	Heard bool
}

// StartError says that a command could not be started.
type StartError struct {
	Path string
	Err  error
}

// Error implements error.
func (e *StartError) Error() string { return "start " + e.Path + ": " + e.Err.Error() }

// Unwrap returns what the system said.
func (e *StartError) Unwrap() error { return e.Err }

// ErrListen says that this system cannot hand over a listening socket.
var ErrListen = errors.New("no way to hand over a listening socket on this system")

// maxSaid bounds what is remembered of the command's stderr.
const maxSaid = 64 << 10

// SetEnv returns env with one variable set, in the place of any others of the
// name; an empty value removes it.
func SetEnv(env []string, name, value string) []string {
	out := make([]string, 0, len(env)+1)
	for _, kv := range env {
		if key, _, _ := strings.Cut(kv, "="); key != name {
			out = append(out, kv)
		}
	}
	if value != "" {
		out = append(out, name+"="+value)
	}
	return out
}
