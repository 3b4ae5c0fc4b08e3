package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const target = "10.88.0.2"

// place is the namespaces of one case: near looks, far is looked at, and middle
// has the relay.
type place struct {
	near, middle, far string
	started           []*exec.Cmd
}

// ports are the open ones, spread over the whole range, the same for every run.
func ports() (out []int) {
	for i := range openPorts {
		out = append(out, 1+(i*1637+i*i*7)%65535)
	}
	return out
}

func portList() string {
	var words []string
	for _, p := range ports() {
		words = append(words, strconv.Itoa(p))
	}
	return strings.Join(words, ", ")
}

func build(ctx context.Context, p path) (pl *place, err error) {
	id := fmt.Sprintf("monban-bench-%d-", os.Getpid())
	pl = &place{near: id + "near", middle: id + "middle", far: id + "far"}
	defer func() {
		if err != nil {
			pl.close()
		}
	}()
	lines := []string{
		"netns add " + pl.near, "netns add " + pl.far,
		"-n " + pl.near + " link set lo up", "-n " + pl.far + " link set lo up",
	}
	if p.relay {
		lines = append(lines, "netns add "+pl.middle,
			"-n "+pl.near+" link add near type veth peer name left netns "+pl.middle,
			"-n "+pl.far+" link add far type veth peer name right netns "+pl.middle,
			"-n "+pl.middle+" link set left up promisc on", "-n "+pl.middle+" link set right up promisc on")
	} else {
		lines = append(lines, "-n "+pl.near+" link add near type veth peer name far netns "+pl.far)
	}
	lines = append(lines, "-n "+pl.near+" address add 10.88.0.1/24 dev near", "-n "+pl.far+" address add "+target+"/24 dev far",
		"-n "+pl.near+" link set near up", "-n "+pl.far+" link set far up",
		"-n "+pl.near+" route add default via "+target) // masscan does not start without
	for _, line := range lines {
		if out, err := exec.CommandContext(ctx, "ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			return pl, fmt.Errorf("ip %s: %w\n%s", line, err, out)
		}
	}
	// The relay hands frames on as they are, so their checksums have to be whole.
	for ns, device := range map[string]string{pl.near: "near", pl.far: "far"} {
		cmd := exec.CommandContext(ctx, "ip", "netns", "exec", ns, "ethtool", "-K", device, "tx", "off")
		if out, err := cmd.CombinedOutput(); p.relay && err != nil {
			return pl, fmt.Errorf("ethtool: %w\n%s", err, out)
		}
	}
	if p.rules != "" {
		if err := pl.nft(ctx, pl.far, "table inet t {\nchain in { type filter hook input priority 0; "+p.rules+"; }\n}\n"); err != nil {
			return pl, err
		}
	}
	if p.relay {
		if p.loss > 0 {
			for _, device := range []string{"left", "right"} {
				rules := fmt.Sprintf("table netdev %[1]s {\nchain in { type filter hook ingress device %[1]q priority 0; meta protocol ip numgen random mod 100 < %[2]d drop; }\n}\n", device, p.loss)
				if err := pl.nft(ctx, pl.middle, rules); err != nil {
					return pl, err
				}
			}
		}
		if err := pl.self(ctx, pl.middle, "-relay"); err != nil {
			return pl, err
		}
	}
	if err := pl.self(ctx, pl.far, "-listen"); err != nil {
		return pl, err
	}
	if err := pl.self(ctx, pl.near, "-listen"); err != nil {
		return pl, err
	}
	time.Sleep(300 * time.Millisecond)
	return pl, nil
}

func (pl *place) nft(ctx context.Context, ns, rules string) error {
	cmd := exec.CommandContext(ctx, "ip", "netns", "exec", ns, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w\n%s%s", err, out, rules)
	}
	return nil
}

// self starts this program in a namespace.
func (pl *place) self(ctx context.Context, ns string, args ...string) error {
	exe, err := filepath.EvalSymlinks("/proc/self/exe")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", ns, exe}, args...)...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	pl.started = append(pl.started, cmd)
	return nil
}

func (pl *place) close() {
	for _, cmd := range pl.started {
		_ = cmd.Process.Kill() // what has ended does not mind
		_ = cmd.Wait()
	}
	for _, ns := range []string{pl.near, pl.middle, pl.far} {
		_ = exec.Command("ip", "netns", "delete", ns).Run() // one may not be there
	}
}

// serve opens the bench's ports and keeps them.
func serve(ctx context.Context) error {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	for _, p := range ports() {
		l, err := lc.Listen(ctx, "tcp4", fmt.Sprintf("0.0.0.0:%d", p))
		if err != nil {
			return err
		}
		defer l.Close()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Close()
			}
		}()
	}
	<-ctx.Done()
	return nil
}
