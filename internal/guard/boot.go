package guard

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/monban-dev/monban/internal/durable"
)

// Boot is what makes the saved policy come into force when the machine starts,
// before there is any network, and looks afterwards whether it did.
type Boot struct {
	// Root is "/", or another directory for tests.
	Root string
	// Program is the absolute path of monban itself.
	Program string
}

// Manager is what starts services on a machine.
type Manager string

// The managers that are known.
const (
	Systemd   Manager = "systemd"
	OpenRC    Manager = "openrc"
	NoManager Manager = ""
)

// Manager says which one starts services here.
func (b Boot) Manager() Manager {
	for _, m := range [...]struct {
		path string
		is   Manager
	}{{"run/systemd/system", Systemd}, {"run/openrc", OpenRC}} {
		if info, err := os.Stat(filepath.Join(b.Root, m.path)); err == nil && info.IsDir() {
			return m.is
		}
	}
	return NoManager
}

// files are the files of each manager and the links that switch them on.
func (b Boot) files(m Manager) (files map[string]string, links map[string]string) {
	program := b.Program
	switch m {
	case Systemd:
		return map[string]string{
				"etc/systemd/system/monban-guard.service":        strings.ReplaceAll(systemdUnit, "PROGRAM", program),
				"etc/systemd/system/monban-guard-verify.service": strings.ReplaceAll(systemdVerify, "PROGRAM", program),
			}, map[string]string{
				"etc/systemd/system/sysinit.target.wants/monban-guard.service":           "../monban-guard.service",
				"etc/systemd/system/multi-user.target.wants/monban-guard-verify.service": "../monban-guard-verify.service",
			}
	case OpenRC:
		return map[string]string{"etc/init.d/monban-guard": strings.ReplaceAll(openrcScript, "PROGRAM", program)},
			map[string]string{"etc/runlevels/boot/monban-guard": "/etc/init.d/monban-guard"}
	}
	return nil, nil
}

// Files are all that Install writes and Remove takes away.
func (b Boot) Files() []string {
	var out []string
	for _, m := range [...]Manager{Systemd, OpenRC} {
		files, links := b.files(m)
		for name := range files {
			out = append(out, filepath.Join(b.Root, name))
		}
		for name := range links {
			out = append(out, filepath.Join(b.Root, name))
		}
	}
	slices.Sort(out)
	return out
}

// Installed reports whether the saved policy is loaded at boot: all files and links of
// one manager are there, and so is the program that they name, which may have been
// another at the time.
func (b Boot) Installed() bool {
	for _, m := range [...]Manager{Systemd, OpenRC} {
		if b.complete(b.files(m)) {
			return true
		}
	}
	return false
}

func (b Boot) complete(files, links map[string]string) bool {
	for name := range links {
		if _, err := os.Lstat(filepath.Join(b.Root, name)); err != nil {
			return false
		}
	}
	for name := range files {
		text, err := os.ReadFile(filepath.Join(b.Root, name))
		if err != nil {
			return false
		}
		for line := range strings.Lines(string(text)) {
			command, ok := strings.CutPrefix(strings.TrimSpace(line), "ExecStart=")
			program, _, loads := strings.Cut(command, " guard apply --saved")
			if ok || loads {
				program, _, _ = strings.Cut(program, " ")
				if info, err := os.Stat(program); err != nil || info.Mode()&0o111 == 0 {
					return false
				}
			}
		}
	}
	return len(files) > 0
}

// Install writes the files and switches them on, and returns the manager:
// NoManager is none that is known, and nothing was done. It refuses a program
// that others may write: it would run as root.
func (b Boot) Install() (Manager, error) {
	m := b.Manager()
	if m == NoManager {
		return m, nil
	}
	if strings.ContainsAny(b.Program, " \t\n\"'\\%$") || !filepath.IsAbs(b.Program) {
		return m, &fs.PathError{Op: "boot", Path: b.Program, Err: errors.New("not a plain path")}
	}
	if err := Trusted(b.Program); err != nil {
		return m, err
	}
	files, links := b.files(m)
	for name, text := range files {
		mode := fs.FileMode(0o644)
		if m == OpenRC {
			mode = 0o755
		}
		if err := durable.Put(filepath.Join(b.Root, name), []byte(text), mode); err != nil {
			return m, err
		}
	}
	for name, target := range links {
		path := filepath.Join(b.Root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return m, err
		}
		if err := os.Symlink(target, path); err != nil && !errors.Is(err, fs.ErrExist) {
			return m, err
		}
	}
	return m, nil
}

// Remove takes the files of every manager away.
func (b Boot) Remove() error {
	var errs []error
	for _, path := range b.Files() {
		errs = append(errs, durable.Forget(path))
	}
	return errors.Join(errs...)
}

const systemdUnit = `# Written by "monban guard confirm"; "monban guard off" takes it away.
[Unit]
Description=Doors of this machine (monban guard)
Documentation=man:monban-guard(1)
DefaultDependencies=no
RequiresMountsFor=/var/lib/monban PROGRAM
Wants=network-pre.target
Before=network-pre.target sysinit.target shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
CapabilityBoundingSet=CAP_NET_ADMIN
ExecStart=PROGRAM guard apply --saved

[Install]
WantedBy=sysinit.target
`

const systemdVerify = `# Written by "monban guard confirm"; "monban guard off" takes it away.
[Unit]
Description=Check that the doors of this machine are as confirmed (monban guard)
Documentation=man:monban-guard(1)
After=monban-guard.service network-online.target nftables.service ufw.service firewalld.service docker.service

[Service]
Type=oneshot
CapabilityBoundingSet=CAP_NET_ADMIN
ExecStart=PROGRAM guard status

[Install]
WantedBy=multi-user.target
`

const openrcScript = `#!/sbin/openrc-run
# Written by "monban guard confirm"; "monban guard off" takes it away.

description="Doors of this machine (monban guard)"

depend() {
	need localmount
	before net
	keyword -stop
}

start() {
	ebegin "Loading the doors of this machine"
	PROGRAM guard apply --saved
	eend $?
}

status() {
	PROGRAM guard status
}
`
