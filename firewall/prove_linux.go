package firewall

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
)

// Times of a proof. The kernel counts in jiffies of up to 10 ms.
const (
	proofTrial = 300 * time.Millisecond
	// longestProof is the trial of the last attempt, on a machine that is so busy
	// that the shorter ones were over before they could be looked at.
	longestProof = 5 * time.Second
	// proofWait is how long an answer on loopback may take before it counts as
	// none; proofPatience how long it is waited for where one has to come.
	proofWait     = 100 * time.Millisecond
	proofPatience = 5 * time.Second
)

func prove() error {
	done := make(chan error)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and with it the
		// namespace. The main thread does not end, and /proc/self, by which anybody
		// else looks at this process's network, is its.
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			err := prove() // on another thread, because this one is taken
			runtime.UnlockOSThread()
			done <- err
			return
		}
		done <- proveInside()
	}()
	return <-done
}

func proveInside() error {
	const self = "/proc/thread-self/ns/net"
	host, err := os.Readlink(self)
	if err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return os.NewSyscallError("unshare", err)
	}
	switch inside, err := os.Readlink(self); {
	case err != nil:
		return err
	case inside == host:
		return errors.New("a new network namespace is the old one")
	}
	if err := loopbackUp(); err != nil {
		return err
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	addr := l.Addr().(*net.TCPAddr)
	reached := func(wait time.Duration) bool {
		c, err := net.DialTimeout("tcp4", addr.String(), wait)
		if err == nil {
			c.Close()
		}
		return err == nil
	}
	want := func(when string, open bool) error {
		wait := proofWait
		if open {
			wait = proofPatience
		}
		if reached(wait) != open {
			return fmt.Errorf("%w: %s a port was reached: %v", ErrUnproven, when, !open)
		}
		return nil
	}
	open, closed := proofTable(uint16(addr.Port)), proofTable(0)
	if err := loadNow(open); err != nil {
		return err
	}
	if err := want("with a policy that lets in", true); err != nil {
		return err
	}
	for trial := proofTrial; ; trial *= 2 {
		begun := time.Now()
		if err := tryOut(closed, trial, 0); err != nil {
			return err
		}
		ends := time.Now().Add(trial)
		err := want("during a trial that does not", false)
		// The kernel counts from some moment between the two: on a machine with
		// other things to do it may be over when tryOut has returned.
		late := time.Since(begun) > trial
		time.Sleep(time.Until(ends) + 20*time.Millisecond)
		if err == nil {
			break
		}
		if !late || trial > longestProof {
			return err
		}
	}
	if err := want("after that trial", true); err != nil {
		return err
	}
	switch err := settleTrial(confirm, true); {
	case err == nil:
		return fmt.Errorf("%w: a trial that has ended was confirmed", ErrUnproven)
	case !errors.Is(err, ErrNoTrial):
		return err
	}
	if err := tryOut(closed, time.Minute, 0); err != nil {
		return err
	}
	if err := settleTrial(confirm, true); err != nil {
		return err
	}
	return want("after a policy that does not let in was confirmed", false)
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP)
	return os.NewSyscallError("ioctl", unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr))
}

// proofTable is a small table of the same build as a policy's, which lets one TCP
// port in, or with 0 none, and does not except loopback.
func proofTable(port uint16) *monban.Ruleset {
	step := func(op monban.Op, set string, key ...monban.Load) monban.Step {
		return monban.Step{Op: op, Set: set, Key: key}
	}
	decide := func(k monban.ActionKind, chain string) monban.Step {
		return monban.Step{Op: monban.OpDecide, Action: monban.Action{Kind: k, Chain: chain}}
	}
	proto, dport := monban.Load{Field: monban.FieldL4Proto, Len: 1}, monban.Load{Field: monban.FieldDestPort, Len: 2}
	known := monban.Step{Op: monban.OpTest, Not: true, Within: []monban.Span{{First: make([]byte, 4), Last: make([]byte, 4)}},
		Key: []monban.Load{{Field: monban.FieldConnState, Len: 4, Mask: []byte{0, 0, 0, 2 | 4}, Xor: make([]byte, 4), Little: nativeLittle()}}}
	local := monban.Step{Op: monban.OpTest, Within: []monban.Span{{First: []byte{0, 0, 0, 2}, Last: []byte{0, 0, 0, 2}}},
		Key: []monban.Load{{Field: monban.FieldDestType, Len: 4, Little: nativeLittle()}}}
	v4 := monban.Step{Op: monban.OpTest, Within: []monban.Span{{First: []byte{2}, Last: []byte{2}}}, Key: []monban.Load{{Field: monban.FieldFamily, Len: 1}}}
	key := func(n uint16, rest byte) []byte {
		return []byte{6, 0, 0, 0, byte(n >> 8), byte(n), 0, 0, rest, rest, rest, rest}
	}
	open := monban.Set{Name: "open4-a", Fields: []int{1, 2, 4}, Interval: true, VerdictMap: true}
	if port != 0 {
		open.Elements = []monban.Element{{First: key(port, 0), Last: key(port, 0xff), Action: monban.Action{Kind: monban.ActAccept}}}
	}
	rule := func(steps ...monban.Step) monban.Rule { return monban.Rule{Steps: steps} }
	return &monban.Ruleset{Tables: []monban.Table{{Family: monban.TableInet, Name: ownTable,
		Sets: []monban.Set{{Name: trialName, Fields: []int{1}, VerdictMap: true}, {Name: setRunning, Fields: []int{1}}, open},
		Chains: []monban.Chain{
			{Name: "prerouting", Hook: monban.HookPrerouting, Type: "filter", Priority: -199, Policy: monban.Action{Kind: monban.ActAccept}, Rules: []monban.Rule{
				rule(known, decide(monban.ActAccept, "")),
				rule(local, decide(monban.ActGoto, selectName)),
			}},
			{Name: selectName, Rules: []monban.Rule{
				rule(step(monban.OpVerdict, trialName, monban.Load{Field: monban.FieldFamily, Len: 1})),
				rule(decide(monban.ActGoto, doorsChain+"-a")),
			}},
			{Name: doorsChain + "-a", Rules: []monban.Rule{
				rule(v4, step(monban.OpVerdict, "open4-a", proto, dport, monban.Load{Field: monban.FieldSource, Len: 4})),
				rule(decide(monban.ActDrop, "")),
			}},
		}}}}
}
