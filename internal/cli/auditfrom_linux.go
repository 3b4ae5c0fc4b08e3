package cli

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban/internal/report"
	"github.com/monban-dev/monban/sockets"
)

// namespacePath is the file of a network namespace that is named as ip-netns(8)
// does, by a path, or by the process that is in it.
func namespacePath(name string) string {
	switch {
	case strings.Contains(name, "/"):
		return name
	case strings.Trim(name, "0123456789") == "":
		return "/proc/" + name + "/ns/net"
	}
	return "/run/netns/" + name
}

// runIn runs this program once more inside a network namespace and returns what it
// writes. A scan has many threads, and a namespace belongs to each: so one thread
// goes there, starts the program, and never comes back.
func (a *app) runIn(ctx context.Context, name string, args []string) (out []byte, err error) {
	path := namespacePath(name)
	entered := sockets.InNetNS(path, func() { out, err = a.again(ctx, args) })
	if entered != nil {
		absent := errors.Is(entered, fs.ErrNotExist) || errors.Is(entered, unix.EINVAL) // EINVAL: another kind of file
		return nil, &namespaceError{path, entered, absent}
	}
	return out, err
}

// again runs this program, in the namespaces of the thread that calls it, to its
// end: it must not outlive the thread.
func (a *app) again(ctx context.Context, args []string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	cmd.Args[0] = "monban"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if a.sys.StderrTerminal {
		cmd.Stderr = os.Stderr // for its progress
	}
	if err := cmd.Run(); err != nil {
		if text := strings.TrimPrefix(strings.TrimSpace(stderr.String()), "monban: "); text != "" {
			err = errors.New(text)
		}
		return nil, report.CannotScan(err)
	}
	return stdout.Bytes(), nil
}
