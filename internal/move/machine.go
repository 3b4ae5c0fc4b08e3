package move

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/guard"
)

// Machine is the machine on which a move is carried out.
type Machine struct {
	Store Store
	Guard guard.Store
	// Program is monban itself, an absolute path: what puts everything back.
	Program string
	Boot    guard.Manager
	// Look looks at some ports anew: doors with their owners, the rules and the
	// network.
	Look func(ports ...uint16) *monban.Snapshot
	// Tell is told of each step before it is done; nil is nobody.
	Tell func(Step)
	// Wait is how long a banner may take to come.
	Wait time.Duration
}

// StepError says which step failed. Everything has been put back, unless Undone
// says otherwise.
type StepError struct {
	Step   Step
	Err    error
	Undone error // why it could not be put back
}

// Error implements error.
func (e *StepError) Error() string { return e.Step.Code + ": " + e.Err.Error() }

// Unwrap returns what the step said.
func (e *StepError) Unwrap() error { return e.Err }

// CommandError says what a program said that failed.
type CommandError struct {
	Command []string
	Output  string
	Err     error
}

// Error implements error.
func (e *CommandError) Error() string {
	text := strings.Join(e.Command, " ") + ": " + e.Err.Error()
	if e.Output != "" {
		text += ": " + e.Output
	}
	return text
}

// Unwrap returns what the system said.
func (e *CommandError) Unwrap() error { return e.Err }

// commandTime bounds one program; ufw takes a second, systemd less.
const commandTime = time.Minute

// Run runs a program, without a shell and with plain messages, and returns what it
// wrote. The directory that sshd wants before it says anything is made for it.
func Run(argv []string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	if resolved, err := lookPath(argv[0]); err == nil {
		cmd.Path, cmd.Err = resolved, nil
	}
	cmd.WaitDelay = time.Second
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		said := strings.TrimSpace(stderr.String())
		if said == "" {
			said = strings.TrimSpace(string(out))
		}
		const most = 2000
		return out, &CommandError{argv, said[:min(len(said), most)], err}
	}
	return out, nil
}

// lookPath finds a system program also where the user's PATH has no sbin.
func lookPath(name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, dir := range [...]string{"/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/bin"} {
		if info, err := os.Stat(dir + "/" + name); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return dir + "/" + name, nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, exec.ErrNotFound)
}

// Ask asks sshd about its configuration: -t or -T. sshd answers only where its
// empty directory is there, which the service makes when it starts.
func (t *Truth) Ask(letter string) ([]byte, error) {
	if t.Way != BySSHD {
		if err := os.Mkdir("/run/sshd", 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, err
		}
	}
	return Run(t.asking(letter))
}

// AskSocket asks systemd about a socket unit.
func AskSocket(unit string) (Socket, error) {
	out, err := Run([]string{"systemctl", "show", unit, "--property=Listen", "--property=Accept", "--property=Triggers"})
	if err != nil {
		return Socket{}, err
	}
	s, ok := parseSocket(out)
	if !ok {
		return s, fmt.Errorf("%s: %q is not understood", unit, out)
	}
	final := filepath.Join(etcUnits, unit+".d", finalName)
	if s.Final, err = os.ReadFile(final); errors.Is(err, fs.ErrNotExist) {
		s.Final, err = nil, nil
	}
	return s, err
}

// AskZones asks firewalld about its active zones.
func AskZones() ([]Zone, error) {
	out, err := Run([]string{"firewall-cmd", "--get-active-zones"})
	if err != nil {
		return nil, err
	}
	var zones []Zone
	for _, name := range parseZones(out) {
		z := Zone{Name: name}
		for _, q := range [...]struct {
			what string
			to   *[]string
		}{{"services", &z.Services}, {"ports", &z.Ports}, {"rich-rules", &z.Rich}} {
			out, err := Run([]string{"firewall-cmd", "--zone=" + name, "--list-" + q.what})
			if err != nil {
				return nil, err
			}
			if q.what == "rich-rules" {
				for line := range strings.Lines(string(out)) {
					*q.to = append(*q.to, strings.TrimSpace(line))
				}
			} else {
				*q.to = strings.Fields(string(out))
			}
		}
		zones = append(zones, z)
	}
	return zones, nil
}

func (m *Machine) command(argv []string) error {
	_, err := Run(argv)
	return err
}
