//go:build !unix

package child

import (
	"errors"
	"os"
	"os/signal"
)

// Run starts a command and returns when it has ended. A console sends Ctrl-C to
// every process in it, so there is no signal to pass on. The error is a
// *StartError, and then nothing was started.
func Run(c *Command) (Result, error) {
	if c.Listen != nil {
		return Result{}, &StartError{c.Path, ErrListen}
	}
	ctrlC := make(chan os.Signal, 1)
	signal.Notify(ctrlC, os.Interrupt) // the command decides whether it ends
	defer signal.Stop(ctrlC)
	l := listen(c.Stderr)
	stderr, stdout := c.Stderr, c.Stdout
	if l.w != nil {
		if same(stdout, stderr) {
			stdout = l.w
		}
		stderr = l.w
	}
	p, err := os.StartProcess(c.Path, c.Args, &os.ProcAttr{Env: c.Env, Files: []*os.File{c.Stdin, stdout, stderr}})
	if err != nil {
		return Result{}, &StartError{c.Path, err}
	}
	l.started()
	state, err := p.Wait()
	if err != nil {
		return Result{}, &StartError{c.Path, err}
	}
	return Result{Status: state.ExitCode(), Interrupted: len(ctrlC) > 0, Said: l.ended(), Heard: l.heard()}, nil
}

// Stage is for Unix.
func Stage([]string) int { return 2 }

func duplicate(*os.File) (*os.File, error) { return nil, errors.ErrUnsupported }

func (l *listener) openFile(*os.File, int64) {}

func (l *listener) rest() {}

func (l *listener) leave() { l.r.Close() }
