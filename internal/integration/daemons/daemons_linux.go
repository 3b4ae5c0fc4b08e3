package daemons

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/monban-dev/monban"
)

// A Daemon is a server that can be started.
type Daemon struct {
	Name  string
	Needs string // the program it is, for a message where it is missing
	Doors []Door
	// Outside reports that it is to have an address outside 127.0.0.0/8: it answers
	// only from such a one, or treats those inside otherwise.
	Outside bool
	// Assigned reports that its address has to be one of an interface.
	Assigned bool
	// Client is what an ordinary client does with it, with @ADDR@ for its
	// address; nil is not known.
	Client []string
	start  func(r *room)
}

// A Door is one of a daemon's, and what has to be said of it.
type Door struct {
	Proto monban.Proto
	Port  uint16
	// Protocol is the right name, and Product what the server says it is; "" says
	// that it does not tell.
	Protocol, Product string
	// Unknown reports that the server does not answer strangers, or is not asked.
	Unknown bool
	// TLS reports that TLS is agreed on at this door, and Wrapped that it is
	// spoken from the first byte.
	TLS, Wrapped bool
	// Direct reports that the server looks at where a connection was made to: one
	// that a relay passes on would be answered otherwise.
	Direct bool
}

// All lists the daemons.
func All() []Daemon {
	var all []Daemon
	for _, list := range [][]Daemon{web(), developers(), mail(), data(), brokers(), names(), network(), files(), desktops()} {
		all = append(all, list...)
	}
	return all
}

// A Running is a daemon that was started.
type Running struct {
	Daemon
	Addr netip.Addr
	room *room
}

// A room is where one daemon runs. Its first error stays.
type room struct {
	ctx     context.Context
	dir     string
	addr    string
	running []*exec.Cmd
	inetds  []net.Listener
	binds   []string // "/from /to": what else is mounted before it starts
	ready   string   // what the log says when it is ready, beside open doors
	err     error
}

// patience is how long a daemon may take for anything: RabbitMQ has taken a minute to
// start, with everything else starting beside it.
const patience = 3 * time.Minute

// Start starts the daemon in dir, which must be empty and open to every user,
// and waits until its TCP doors take connections. The caller stops it, also
// after an error.
func (d Daemon) Start(ctx context.Context, dir string, addr netip.Addr) (*Running, error) {
	r := &room{ctx: ctx, dir: dir, addr: addr.String()}
	running := &Running{Daemon: d, Addr: addr, room: r}
	if d.start(r); r.err != nil {
		return running, fmt.Errorf("%s: %w", d.Name, r.err)
	}
	for _, door := range d.Doors {
		if err := r.wait(door); err != nil {
			return running, fmt.Errorf("%s: %w: %s", d.Name, err, r.logs())
		}
	}
	for end := time.Now().Add(patience); !strings.Contains(r.logs(), r.ready); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			return running, fmt.Errorf("%s does not say %q: %s", d.Name, r.ready, r.logs())
		}
	}
	return running, nil
}

// Serve lets an ordinary client do what it does with the daemon.
func (r *Running) Serve() error {
	if r.Client == nil {
		return nil
	}
	args := make([]string, len(r.Client))
	for i, a := range r.Client {
		args[i] = r.room.fill(a)
	}
	ctx, cancel := context.WithTimeout(r.room.ctx, patience)
	defer cancel()
	if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %q: %w: %s", r.Name, args, err, out)
	}
	return nil
}

// wait waits for a door to open, by the kernel's table: nothing may be sent, and
// some servers take one connection only.
func (r *room) wait(door Door) error {
	end := time.Now().Add(patience)
	for !open(r.addr, door) {
		if time.Now().After(end) {
			return fmt.Errorf("port %d/%s did not open", door.Port, door.Proto)
		}
		if err := r.ctx.Err(); err != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}

// open reports whether a socket has the port, at the address or at all of them.
func open(addr string, door Door) bool {
	a := netip.MustParseAddr(addr).As4()
	at := fmt.Sprintf("%02X%02X%02X%02X:%04X", a[3], a[2], a[1], a[0], door.Port) // also the end of a mapped one
	anywhere := fmt.Sprintf("00000000:%04X", door.Port)
	for _, family := range []string{"", "6"} {
		table, err := os.ReadFile("/proc/thread-self/net/" + door.Proto.String() + family)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(table)) {
			// sl: local_address rem_address st; 0A is LISTEN.
			f := strings.Fields(line)
			if len(f) > 3 && (strings.HasSuffix(f[1], at) || strings.HasSuffix(f[1], anywhere)) && (door.Proto == monban.UDP || f[3] == "0A") {
				return true
			}
		}
	}
	return false
}

// Stop ends the daemon and all its processes.
func (r *Running) Stop() {
	for _, l := range r.room.inetds {
		l.Close()
	}
	for _, cmd := range r.room.running {
		_ = cmd.Process.Kill() // unshare's --kill-child ends all that is in its namespace
	}
	for _, cmd := range r.room.running {
		_ = cmd.Wait() // its status is that of the kill
	}
}

// Alive reports an error if one of the daemon's processes has ended.
func (r *Running) Alive() error {
	for _, cmd := range r.room.running {
		if err := syscall.Kill(cmd.Process.Pid, 0); err != nil {
			return fmt.Errorf("%s has ended: %s", r.Name, r.room.logs())
		}
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
		if _, rest, ok := strings.Cut(string(state), ") "); err == nil && ok && strings.HasPrefix(rest, "Z") {
			return fmt.Errorf("%s has ended: %s", r.Name, r.room.logs())
		}
	}
	return nil
}

// Logs returns the end of what the daemon wrote.
func (r *Running) Logs() string { return r.room.logs() }

func (r *room) logs() string {
	files, _ := filepath.Glob(filepath.Join(r.dir, "*.log"))
	var all strings.Builder
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil {
			fmt.Fprintf(&all, "%s: %s\n", filepath.Base(f), text[max(0, len(text)-1500):])
		}
	}
	return all.String()
}

func (r *room) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// file writes a file, with @ADDR@ and @DIR@ replaced.
func (r *room) file(name, content string) string {
	path := filepath.Join(r.dir, name)
	r.fail0(os.MkdirAll(filepath.Dir(path), 0o755))
	r.fail0(os.WriteFile(path, []byte(r.fill(content)), 0o644))
	return path
}

func (r *room) fail0(err error) {
	if err != nil {
		r.fail(err)
	}
}

func (r *room) fill(s string) string {
	return strings.NewReplacer("@ADDR@", r.addr, "@DIR@", r.dir).Replace(s)
}

// instead lets the daemon see a file of the room in another's place.
func (r *room) instead(of, content string) {
	r.binds = append(r.binds, r.file("instead"+of, content)+" "+of)
}

// subdir makes a directory that a user owns.
func (r *room) subdir(name, user string) string {
	path := filepath.Join(r.dir, name)
	r.fail0(os.MkdirAll(path, 0o755))
	if user != "root" {
		r.run("chown", user+":", path)
	}
	return path
}

// run runs a program to its end.
func (r *room) run(name string, args ...string) {
	r.runAs("root", name, args...)
}

func (r *room) runAs(user, name string, args ...string) {
	if r.err != nil {
		return
	}
	cmd := r.command(user, name, args)
	if out, err := cmd.CombinedOutput(); err != nil {
		r.fail(fmt.Errorf("%s: %w: %s", cmd, err, out))
	}
}

func (r *room) command(user, name string, args []string) *exec.Cmd {
	for i := range args {
		args[i] = r.fill(args[i])
	}
	if user != "root" {
		account, err := osuser.Lookup(user)
		if err != nil {
			r.fail(err)
			account = new(osuser.User)
		}
		args = append([]string{"--reuid=" + user, "--regid=" + account.Gid, "--init-groups", "--", name}, args...)
		name = "setpriv"
	}
	cmd := exec.CommandContext(r.ctx, name, args...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "HOME="+r.dir)
	return cmd
}

// daemon starts a program that stays. It has a process and a mount namespace of
// its own, with an empty /run: it ends with all its children. The shell stays
// their first process, because Postfix behaves otherwise when it is.
func (r *room) daemon(user, name string, args ...string) {
	if r.err != nil {
		return
	}
	path, err := exec.LookPath(name)
	if err != nil {
		r.fail(err)
		return
	}
	inner := r.command(user, path, args)
	shell := `mount -t tmpfs tmpfs /run && mkdir -p -m 755 /run/sshd /run/lock /run/samba && chmod 1777 /run /run/lock && `
	for _, b := range r.binds {
		shell += "mount --bind " + b + " && "
	}
	shell += `"$@"; exit $?`
	cmd := exec.CommandContext(r.ctx, "unshare", append([]string{"--pid", "--mount", "--mount-proc", "--fork", "--kill-child", "--", "sh", "-c", shell, "sh"}, inner.Args...)...)
	cmd.Dir, cmd.Env = inner.Dir, inner.Env
	log, err := os.Create(filepath.Join(r.dir, fmt.Sprintf("%s-%d.log", filepath.Base(name), len(r.running))))
	if err != nil {
		r.fail(err)
		return
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		r.fail(err)
		return
	}
	r.running = append(r.running, cmd)
}

// inetd listens, and starts a program for each connection as inetd does: the
// connection is its standard input and output.
func (r *room) inetd(port uint16, name string, args ...string) {
	if r.err != nil {
		return
	}
	if _, err := exec.LookPath(name); err != nil {
		r.fail(err)
		return
	}
	l, err := net.Listen("tcp", net.JoinHostPort(r.addr, fmt.Sprint(port)))
	if err != nil {
		r.fail(err)
		return
	}
	r.inetds = append(r.inetds, l)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if err := r.hand(c.(*net.TCPConn), name, args); err != nil && !errors.Is(err, net.ErrClosed) {
				fmt.Fprintln(os.Stderr, name, err)
			}
		}
	}()
}

func (r *room) hand(c *net.TCPConn, name string, args []string) error {
	defer c.Close()
	f, err := c.File()
	if err != nil {
		return err
	}
	defer f.Close()
	cmd := exec.CommandContext(r.ctx, name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = f, f, f
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // it ends when its peer leaves
	return nil
}
