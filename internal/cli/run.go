package cli

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/claims"
	"github.com/monban-dev/monban/conflict"
	"github.com/monban-dev/monban/host"
	"github.com/monban-dev/monban/internal/child"
	"github.com/monban-dev/monban/internal/gather"
	"github.com/monban-dev/monban/internal/lease"
	"github.com/monban-dev/monban/internal/privilege"
	"github.com/monban-dev/monban/internal/report"
)

// The exit codes of a command that could not be run, as env(1) and the shells
// have them.
const (
	exitNotExecutable = 126
	exitNotFound      = 127
)

type runOptions struct {
	name    string
	portEnv string
	listen  string
}

func (a *app) runCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use: "run [--] COMMAND [ARGUMENT…]",
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("for") && !lease.ValidName(o.name) {
				return report.BadLeaseName(o.name, lease.MaxName)
			}
			return a.run(cmd.Context(), &o, args)
		},
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false) // what follows the command's name is the command's
	flags.StringVar(&o.name, "for", "", "")
	flags.StringVar(&o.portEnv, "port-env", "PORT", "")
	flags.StringVar(&o.listen, "listen", "", "")
	flags.Lookup("listen").NoOptDefVal = "127.0.0.1"
	return cmd
}

// run starts a command with a port of its own, and explains if it could not open
// its door.
func (a *app) run(ctx context.Context, o *runOptions, args []string) error {
	if len(args) == 0 {
		return report.NoCommand()
	}
	if a.langFlag == "" {
		a.lang = envLang(a.sys.Getenv) // not the --lang of the command
	}
	if !validEnvName(o.portEnv) {
		return report.BadPortEnv(o.portEnv)
	}
	addr, err := listenAddr(o.listen)
	if err != nil {
		return err
	}
	path, err := exec.LookPath(args[0])
	if err != nil && !errors.Is(err, exec.ErrDot) {
		return a.cannotStart(args[0], err)
	}
	// The command has all that root has. What it says is read, and its end explained,
	// with less.
	keep := append(toSurvey(), privilege.Kill, privilege.DACOverride, privilege.FOwner)
	if caller(a.sys.Getenv) != os.Geteuid() {
		keep = append(keep, privilege.SetUID, privilege.SetGID)
	}
	a.lower(keep...)
	name := o.name
	if name == "" {
		name = commandName(args)
	}
	p, err := a.newPicker(name, 1, "")
	if err != nil {
		return err
	}
	data, err := p.pick(ctx)
	if err != nil {
		return err
	}
	port := data.Leases[0].Port
	r := &execution{app: a, args: args, report: report.Run{Command: args, Name: name, Port: port}, began: time.Now()}
	if a.verbose {
		report.RunNote(a.sys.Stderr, r.report, o.portEnv, a.lang)
	}
	c := &child.Command{
		Path: path, Args: args, Env: child.SetEnv(os.Environ(), o.portEnv, strconv.Itoa(int(port))),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}
	r.env = c.Env
	if addr.IsValid() {
		if c.Listen, err = listenOn(ctx, netip.AddrPortFrom(addr, port)); err != nil {
			return r.cannotListen(ctx, addr, err)
		}
	}
	result, err := child.Run(c)
	if c.Listen != nil {
		c.Listen.Close() // who holds it now is in the command's way, and not we
	}
	var bad *child.StartError
	if errors.As(err, &bad) {
		if errors.Is(err, child.ErrListen) {
			return report.ListenUnsupported()
		}
		return a.cannotStart(args[0], bad.Err)
	}
	if err != nil {
		return err
	}
	return r.ended(ctx, result)
}

func validEnvName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) && (name[0] < '0' || name[0] > '9')
}

func listenAddr(text string) (netip.Addr, error) {
	if text == "" {
		return netip.Addr{}, nil
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, report.BadListenAddress(text)
	}
	return addr, nil
}

// listenOn opens a TCP door: [::] is both families, as servers have it.
func listenOn(ctx context.Context, at netip.AddrPort) (*os.File, error) {
	network := "tcp6"
	switch {
	case at.Addr().Is4():
		network = "tcp4"
	case at.Addr().IsUnspecified():
		network = "tcp"
	}
	l, err := new(net.ListenConfig).Listen(ctx, network, at.String())
	if err != nil {
		return nil, err
	}
	defer l.Close()
	return l.(*net.TCPListener).File()
}

// commandName is what a command's port is kept for when nobody says: its
// program and the words after it, up to the first that is an option or may be
// something to keep secret.
func commandName(args []string) string {
	const words = 3
	name := filepath.Base(args[0])
	for _, arg := range args[1:min(len(args), words)] {
		if arg == "" || arg[0] == '-' || strings.ContainsAny(arg, "=:@") || !lease.ValidName(name+" "+arg) {
			break
		}
		name += " " + arg
	}
	if !lease.ValidName(name) {
		return "run"
	}
	return name
}

// cannotStart says why a command was not run.
func (a *app) cannotStart(name string, err error) error {
	problem, code := report.CannotStart(name, err), exitNotExecutable
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		problem, code = report.NoSuchCommand(name, err), exitNotFound
	case errors.Is(err, fs.ErrPermission):
		problem = report.NotExecutable(name, err)
	}
	report.WriteProblem(a.sys.Stderr, problem, a.lang)
	return shownError{code}
}

// execution is one command and what is to be said about it.
type execution struct {
	app    *app
	args   []string
	env    []string
	began  time.Time
	report report.Run
}

// ended reports how the command ended. It is explained if it failed on its own,
// and there is reason to believe that a port was why.
func (r *execution) ended(ctx context.Context, result child.Result) error {
	r.report.Status, r.report.Signal = result.Status, result.Signal
	snap := identity(nil)
	if result.Status != 0 && !result.Interrupted {
		if said := conflict.ReadComplaint(string(result.Said)); len(said) > 0 {
			snap = r.explain(ctx, said)
		} else if result.Signal == 0 {
			snap = r.suspect(ctx)
		}
	}
	r.show(snap)
	if result.Status == 0 {
		return nil
	}
	return shownError{result.Status}
}

// explain puts what the command said beside what is open now. A message that
// names no port is taken to be about a door that the command wanted, and that
// cannot be opened for the very reason.
func (r *execution) explain(ctx context.Context, said []conflict.Complaint) *monban.Snapshot {
	wants := r.wants()
	var ports []monban.PortRange
	for _, w := range wants {
		ports = append(ports, onePort(w.Port.Num))
	}
	for _, c := range said {
		if c.HasPort {
			ports = append(ports, onePort(c.Port))
		}
	}
	snap := look(ctx, ports)
	for _, c := range said {
		if !c.HasPort && !c.Remote && c.Errno != "" {
			for i, w := range wants {
				j := conflict.CanBind(w, snap)
				if j.Outcome != monban.Fails || j.Errno != c.Errno || r.ownDoing(&j) || c.HasPort && w.Port.Num != c.Port {
					continue
				}
				// Of 0.0.0.0 and [::] it is rather the one that somebody has. Where
				// somebody has another address of the port, nobody knows which one
				// the command wanted.
				if plain := j.Cause == string(conflict.L1); plain || !c.HasPort {
					c.Port, c.HasPort, c.Proto = w.Port.Num, true, w.Port.Proto
					if plain || i < len(wants)-assumed {
						c.Addr = w.Addr
					}
					if plain {
						break
					}
				}
			}
		}
		r.report.Explained = append(r.report.Explained, explained(c, snap))
	}
	r.report.Said = true
	return snap
}

// assumed is how many of the wants are of the leased port: they come last.
const assumed = 2

// wants are the doors that the command most likely wanted: those of its command
// line, and the leased port at either wildcard.
func (r *execution) wants() []monban.Bind {
	var out []monban.Bind
	asked, _ := claims.FromCommand(r.args, r.env)
	for _, c := range asked {
		if c.UpTo == 0 { // else it takes another one
			out = append(out, c.Bind)
		}
	}
	for _, addr := range [assumed]netip.Addr{netip.IPv6Unspecified(), netip.IPv4Unspecified()} {
		out = append(out, monban.Bind{Port: monban.Port{Num: r.report.Port, Proto: monban.TCP}, Addr: addr})
	}
	return out
}

// suspect judges the doors that the command most likely wanted, where it said
// nothing that could be read. A door in the way that was opened after the command
// started may be its own and explains nothing.
func (r *execution) suspect(ctx context.Context) *monban.Snapshot {
	wants := r.wants()
	var ports []monban.PortRange
	for _, w := range wants {
		ports = append(ports, onePort(w.Port.Num))
	}
	for again := true; ; again = false {
		snap := look(ctx, ports)
		var found []report.Explained
		nobodys := false
		for _, w := range wants {
			j := conflict.CanBind(w, snap)
			if j.Outcome == monban.Fails && !r.ownDoing(&j) && !r.told(w.Port.Num) {
				found = append(found, judged(w, &j))
				nobodys = nobodys || slices.ContainsFunc(j.Against, func(d monban.Door) bool { return len(d.Owners) == 0 })
			}
		}
		// What the command has started may have ended during the look, when its door
		// was seen and before it was asked whose that is: it is gone the next time.
		if !nobodys || !again {
			r.report.Explained = append(r.report.Explained, found...)
			return snap
		}
	}
}

// clockTick is how much earlier than it was the start of a process may seem: the
// kernel counts it in ticks of 10 ms, and the clocks are read one after the other.
const clockTick = 100 * time.Millisecond

// ownDoing reports whether the command itself, or what it started, may be in the
// way: then that is not why it failed.
func (r *execution) ownDoing(j *monban.Judgement) bool {
	if j.Errno != "EADDRINUSE" {
		return false
	}
	for _, d := range j.Against {
		for _, o := range d.Owners {
			if o.Started.IsZero() || o.Started.Before(r.began.Add(-clockTick)) {
				return false
			}
		}
		if len(d.Owners) == 0 {
			return false
		}
	}
	return true // also connections that it has had itself
}

// look asks everything about some ports, and what is open beside them.
func look(ctx context.Context, ports []monban.PortRange) *monban.Snapshot {
	snap := gather.Snapshot(ctx, gather.Want{Ports: ports, Traffic: ports, Restarts: ports, Stopped: true, Host: host.Ranges | host.Caps | host.Network})
	gather.AddNeighbours(snap, ports)
	return snap
}

func (r *execution) told(num uint16) bool {
	for _, e := range r.report.Explained {
		if e.Port == num {
			return true
		}
	}
	return false
}

// judged is a judgement in the shape of an explained message.
func judged(b monban.Bind, j *monban.Judgement) report.Explained {
	e := report.Explained{Proto: b.Port.Proto, Addr: b.Addr, Port: b.Port.Num, HasPort: true, Errno: j.Errno,
		Against: j.Against, Fix: j.Fix, Missing: j.Missing, Certain: j.Cause != ""}
	if j.Cause != "" {
		e.Causes = []string{j.Cause}
	}
	return e
}

// cannotListen explains why the door that was to be handed over did not open.
func (r *execution) cannotListen(ctx context.Context, addr netip.Addr, err error) error {
	b := monban.Bind{Port: monban.Port{Num: r.report.Port, Proto: monban.TCP}, Addr: addr, ReuseAddr: monban.On}
	snap := look(ctx, []monban.PortRange{onePort(b.Port.Num)})
	if j := conflict.CanBind(b, snap); j.Outcome == monban.Fails {
		r.report.Explained = append(r.report.Explained, judged(b, &j))
	}
	r.report.Status, r.report.NotStarted = exitFailed, true
	r.show(snap)
	return report.CannotListen(netip.AddrPortFrom(addr, r.report.Port).String(), err)
}

// show writes the report to stderr: stdout is the command's. With JSON there is
// one line in any case; people are told only what helps.
func (r *execution) show(snap *monban.Snapshot) {
	a := r.app
	s := a.style()
	if s.Format == report.Text {
		if len(r.report.Explained) == 0 {
			return
		}
		s.Width, s.Color = 0, false
		if f, ok := a.sys.Stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			s.Color = !a.noColor && a.sys.Getenv("NO_COLOR") == "" && a.sys.Getenv("TERM") != "dumb"
			if w, _, err := term.GetSize(int(f.Fd())); err == nil {
				s.Width = w
			}
		}
	}
	book, gaps := a.book()
	snap.Gaps = append(snap.Gaps, gaps...)
	// The command's status is the answer; where stderr is gone, nobody reads it.
	_ = report.Write(a.sys.Stderr, report.Result{Verb: "run", Snapshot: snap, Book: book, Data: r.report}, s)
}
