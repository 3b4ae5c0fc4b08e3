// Scan measures `monban scan` with its peers beside it (nmap, masscan, zmap from
// Debian), on paths that it makes itself of network namespaces, and compares the
// medians with the project's bars:
//
//	go run ./internal/bench/scan
//
// It needs root, iproute2, nft and the peers. Nothing leaves the namespaces.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	only := flag.String("case", "", "only the cases whose name begins so")
	runs := flag.Int("runs", 20, "runs of monban for each case")
	load := flag.Int("load", 0, "busy loops beside each run, which want a processor for themselves")
	loop := flag.Bool("loop", false, "be one of them: how the program starts itself")
	relay := flag.Bool("relay", false, "forward between the two links of this namespace: how the program starts itself")
	listen := flag.Bool("listen", false, "open the bench's ports: how the program starts itself")
	blast := flag.Duration("blast", 0, "send as fast as a bare loop can: how the program starts itself")
	to := flag.String("to", "", "the link address that -blast sends to")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	var err error
	switch {
	case *relay:
		err = forward(ctx)
	case *listen:
		err = serve(ctx)
	case *loop:
		for ctx.Err() == nil {
		}
	case *blast > 0:
		err = bare(*to, *blast)
	default:
		err = run(ctx, *only, *runs, *load)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// openPorts is how many doors of the target are open.
const openPorts = 40

func run(ctx context.Context, only string, runs, load int) error {
	if os.Geteuid() != 0 {
		return errors.New("needs root: it makes namespaces")
	}
	dir, err := os.MkdirTemp("", "monban-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // nobody runs from it too
		return err
	}
	monban := filepath.Join(dir, "monban")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", monban, "./cmd/monban")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	var missed []string
	known := only == "" || only == "rate" || only == "memory"
	for _, c := range cases() {
		if !strings.HasPrefix(c.name, only) {
			continue
		}
		known = true
		bad, err := c.measure(ctx, monban, runs, load)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		missed = append(missed, bad...)
	}
	if only == "" || only == "rate" {
		bad, err := rates(ctx, monban)
		if err != nil {
			return fmt.Errorf("rate: %w", err)
		}
		missed = append(missed, bad...)
	}
	if only == "" || only == "memory" {
		bad, err := memory(ctx, monban)
		if err != nil {
			return fmt.Errorf("memory: %w", err)
		}
		missed = append(missed, bad...)
	}
	if !known {
		return fmt.Errorf("no case has a name that begins with %q", only)
	}
	if len(missed) > 0 {
		return fmt.Errorf("bars missed:\n  %s", strings.Join(missed, "\n  "))
	}
	fmt.Println("\nevery bar is kept")
	return nil
}

// path is what lies between scanner and target.
type path struct {
	relay bool   // 40 ± 10 ms there and back, by a relay
	loss  int    // percent, each way
	rules string // of the target's input chain
}

// peer is another program's way to do the same.
type peer struct {
	name  string
	line  string // %s is the target
	runs  int
	ratio float64 // the bar: monban's median is at most this part of the peer's
}

type scanCase struct {
	name  string
	path  path
	peers []peer
	bound time.Duration // the bar for limits: at most this, 0 is none
	per   float64       // most probes a port, 0 is none
	line  string        // arguments of monban scan
	user  string        // options of setpriv and prlimit before monban
	runs  int           // at most
}

func cases() []scanCase {
	const masscan = "masscan %s -p1-65535 --rate 30000 --retries 2 -oG -"
	limit := func(n int) path {
		return path{rules: fmt.Sprintf("tcp flags syn limit rate over %d/second burst 5 packets drop", n)}
	}
	quiet := func(loss int) path {
		return path{relay: true, loss: loss, rules: "tcp dport != { " + portList() + " } drop"}
	}
	return []scanCase{
		{name: "clean", peers: []peer{{"nmap -T4", "nmap -n -Pn -sS -T4 -p- %s", 5, 0.4}}},
		{name: "far 0%", path: path{relay: true}, peers: []peer{{"masscan", masscan, 1, 0.3}}},
		{name: "far 2%", path: path{relay: true, loss: 2}, peers: []peer{{"masscan", masscan, 1, 0.3}}},
		{name: "far 5%", path: path{relay: true, loss: 5}, peers: []peer{{"masscan", masscan, 1, 0.3}}, per: 1.5},
		{name: "limit 20000/s", path: limit(20_000), bound: 65535 * time.Second / 20_000 * 14 / 10},
		{name: "limit 2000/s", path: limit(2_000), bound: 65535 * time.Second / 2_000 * 14 / 10, runs: 10},
		{name: "quiet 0%", path: quiet(0), peers: []peer{{"masscan", masscan, 1, 0.5}}},
		{name: "quiet 5%", path: quiet(5), peers: []peer{{"masscan", masscan, 1, 0.5}}},
		{name: "loopback, nobody", line: "127.0.0.1", user: "--nofile=1024 setpriv --reuid=65534 --regid=65534 --clear-groups",
			peers: []peer{{"nmap -sT", "prlimit --nofile=1024 setpriv --reuid=65534 --regid=65534 --clear-groups nmap -n -Pn -sT -p- 127.0.0.1", 3, 1}}},
	}
}
