package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban/internal/integration/peers"
)

// A machine is a set of processes with doors, what is measured on it, and the
// bars that hold there.
type machine struct {
	Name, What string
	Fixtures   [][]string // one process each
	Tree       string     // a directory to fill with configuration files; "" is none
	Plan       plan
	Bars       []bar
}

// A bar says that one command's median is at most so many times another's, or,
// with no other, that its memory is at most so many MB or its median so many ms.
type bar struct {
	Name, Than string
	AtMost     float64
	Time       bool
}

// The names of what is measured.
const (
	text  = "monban"
	jsonV = "monban --json"
	one   = "monban 443"
	ss    = "ss -Htulnp"
	lsof  = "lsof -nP -iTCP -sTCP:LISTEN"
	hello = "hello-world"
	check = "monban check"
)

func machines(dir string) []machine {
	program := filepath.Join(dir, "monban")
	monban := command{text, []string{program}}
	monbanJSON := command{jsonV, []string{program, "--json"}}
	start := []command{{one, []string{program, "443"}}, {hello, []string{filepath.Join(dir, "hello")}}}
	tree := filepath.Join(dir, "tree")
	others := []command{
		{ss, []string{"ss", "-Htulnp"}},
		{lsof, []string{"lsof", "-nP", "-iTCP", "-sTCP:LISTEN"}},
	}
	list := append([]command{monban, monbanJSON}, others...)
	return []machine{
		{
			Name: "start", What: "50 listeners in 50 processes: what starting costs",
			Fixtures: listeners(50, 1),
			Plan:     plan{Rounds: 100, Commands: start},
			Bars:     []bar{{Name: one, Than: hello, AtMost: 2}},
		},
		{
			Name: "small", What: "50 listeners in 50 processes",
			Fixtures: listeners(50, 1),
			Plan:     plan{Rounds: 40, Commands: list},
		},
		{
			Name: "listeners", What: "10,000 listeners in 100 processes, and 2,000 idle processes",
			Fixtures: append(listeners(100, 100), []string{"crowd", "2000"}),
			Plan:     plan{Rounds: 11, Commands: list},
			Bars:     []bar{{Name: text, Than: ss, AtMost: 0.45}, {Name: text, Than: lsof, AtMost: 0.25}},
		},
		{
			Name: "connections", What: "1,000 listeners and 100,000 connections (200,000 sockets) in 100 processes",
			Fixtures: connected(100, 10, 1000),
			Plan:     plan{Rounds: 7, Commands: list},
			Bars:     []bar{{Name: text, Than: ss, AtMost: 0.3}, {Name: text, AtMost: 32}},
		},
		{
			Name: "check", What: "2,000 configuration files with 5,000 claims, beside 50 listeners",
			Fixtures: listeners(50, 1),
			Tree:     tree,
			Plan:     plan{Rounds: 20, Commands: []command{{check, []string{program, "check", tree}}}},
			Bars:     []bar{{Name: check, AtMost: 150, Time: true}},
		},
	}
}

// listeners spreads doors over processes.
func listeners(processes, each int) (fixtures [][]string) {
	for i := range processes {
		fixtures = append(fixtures, []string{"many", "-first", strconv.Itoa(1024 + i*each), "-listen", strconv.Itoa(each)})
	}
	return fixtures
}

// connected gives each process an address of its own, so that all have the whole
// range of ephemeral ports: one address would be short of 100,000.
func connected(processes, doors, pairs int) (fixtures [][]string) {
	for i := range processes {
		fixtures = append(fixtures, []string{"many", "-addr", fmt.Sprintf("127.0.1.%d", i+1), "-first", "1024",
			"-listen", strconv.Itoa(doors), "-pairs", strconv.Itoa(pairs)})
	}
	return fixtures
}

// run makes the machine, measures, and returns the bars that were missed.
func (m machine) run(ctx context.Context, dir string) (missed []string, err error) {
	if m.Tree != "" {
		if err := plant(m.Tree); err != nil {
			return nil, err
		}
	}
	keeper, err := start(ctx, m, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, keeper.close()) }()
	fmt.Printf("\n## %s\n\n", m.What)
	doors, err := verify(ctx, keeper, filepath.Join(dir, "monban"))
	if err != nil {
		return nil, err
	}
	// What starting 2,100 processes leaves behind for the kernel to do is no
	// part of what is measured.
	time.Sleep(2 * time.Second)
	results, err := keeper.measure(ctx, m.Plan, dir)
	if err != nil {
		return nil, err
	}
	results.print(os.Stdout)
	fmt.Printf("\nss, lsof and monban show the same %d sockets with the same processes.\n", doors)
	for _, b := range m.Bars {
		line, ok := b.check(results)
		fmt.Println(line)
		if !ok {
			missed = append(missed, m.Name+": "+line)
		}
	}
	return missed, nil
}

// keeper holds the namespaces of a running machine.
type keeper struct {
	cmd *exec.Cmd
	in  io.Closer
	all []io.Closer // keeps the fixtures going; ended with the namespace
}

// start makes the namespaces and every process of the machine.
func start(ctx context.Context, m machine, dir string) (k *keeper, err error) {
	outside, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return nil, err
	}
	fixture := filepath.Join(dir, "fixture")
	cmd := exec.Command(fixture, "hold", outside)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID}
	in, err := ready(cmd)
	if err != nil {
		return nil, err
	}
	k = &keeper{cmd: cmd, in: in}
	defer func() {
		if err != nil {
			err = errors.Join(err, k.close())
		}
	}()
	if _, err := k.output(ctx, "ip", "link", "set", "lo", "up"); err != nil {
		return nil, err
	}
	for _, args := range m.Fixtures {
		in, err := ready(k.command(ctx, fixture, args...))
		if err != nil {
			return nil, err
		}
		k.all = append(k.all, in)
	}
	return k, nil
}

// ready starts a fixture and waits until it is. It ends when the returned pipe
// is closed.
func ready(cmd *exec.Cmd) (io.Closer, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		in.Close()
		return nil, fmt.Errorf("%s: said %q: %w: %s", cmd, line, cmd.Wait(), stderr.Bytes())
	}
	return in, nil
}

// close ends the machine: with its first process, the kernel ends all.
func (k *keeper) close() error {
	k.in.Close()
	err := k.cmd.Wait()
	for _, in := range k.all {
		in.Close()
	}
	return err
}

// command prepares a program to run in the machine.
func (k *keeper) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	enter := []string{"--target=" + strconv.Itoa(k.cmd.Process.Pid), "--net", "--mount", "--pid", "--", name}
	return exec.CommandContext(ctx, "nsenter", append(enter, args...)...)
}

func (k *keeper) output(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := k.command(ctx, name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", name, err, stderr.Bytes())
	}
	return out, nil
}

// measure starts bench once more, inside the machine: entering it is not part of
// what is measured.
func (k *keeper) measure(ctx context.Context, p plan, dir string) (results, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return results{}, err
	}
	file := filepath.Join(dir, "plan")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return results{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return results{}, err
	}
	out, err := k.output(ctx, self, "-inside", file)
	if err != nil {
		return results{}, err
	}
	var r results
	return r, json.Unmarshal(out, &r)
}

// verify checks that the programs to be compared do the same work.
func verify(ctx context.Context, k *keeper, monban string) (sockets int, err error) {
	ssText, err := k.output(ctx, "ss", peers.SSArgs()...)
	if err != nil {
		return 0, err
	}
	lsofText, err := k.output(ctx, "lsof", peers.LsofArgs()...)
	if err != nil {
		return 0, err
	}
	ownText, err := k.output(ctx, monban, "--json")
	if err != nil {
		return 0, err
	}
	rows, err := peers.SS(string(ssText))
	if err != nil {
		return 0, err
	}
	own, err := peers.Monban(ownText)
	if err != nil {
		return 0, err
	}
	said := append(peers.Differences("ss", peers.Keys(rows), "monban", peers.Keys(own)),
		peers.Differences("lsof", peers.Lsof(string(lsofText)), "monban", peers.AsLsof(own))...)
	if len(said) > 0 {
		return 0, fmt.Errorf("%d differences, such as: %s", len(said), said[0])
	}
	return len(rows), nil
}

// describe says what it is measured on.
func describe() string {
	var u unix.Utsname
	kernel := "unknown"
	if unix.Uname(&u) == nil {
		kernel = unix.ByteSliceToString(u.Release[:])
	}
	model := "unknown"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	load, _ := os.ReadFile("/proc/loadavg")
	return fmt.Sprintf("Linux %s, %d × %s, %s, load before %s", kernel, runtime.NumCPU(), model, runtime.Version(),
		strings.TrimSpace(string(load)))
}
