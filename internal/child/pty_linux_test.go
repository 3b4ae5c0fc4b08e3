package child

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// desk is a terminal with a shell of job control at it, which runs monban, which
// runs a command.
type desk struct {
	t      *testing.T
	master *os.File
	screen *bufio.Reader
	orders *os.File // to the shell: "fg", "bg"
	events *bufio.Reader
	shell  *exec.Cmd
}

func sitDown(t *testing.T, args ...string) *desk {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	ordersR, ordersW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	eventsR, eventsW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ordersW.Close(); eventsR.Close() })
	exe := self2(t)
	d := &desk{t: t, master: master, screen: bufio.NewReader(master), orders: ordersW, events: bufio.NewReader(eventsR)}
	d.shell = exec.CommandContext(t.Context(), exe, append([]string{"role:shell", exe, "role:run", t.TempDir() + "/result", exe}, args...)...)
	d.shell.Stdin, d.shell.Stdout, d.shell.Stderr = tty, tty, tty
	d.shell.ExtraFiles = []*os.File{ordersR, eventsW}
	d.shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := d.shell.Start(); err != nil {
		t.Fatal(err)
	}
	ordersR.Close()
	eventsW.Close()
	// Whatever goes wrong, a hung-up terminal ends everybody at it.
	timer := time.AfterFunc(2*time.Minute, func() { d.shell.Process.Kill(); master.Close(); eventsR.Close() })
	t.Cleanup(func() { timer.Stop(); d.shell.Process.Kill(); _ = d.shell.Wait() })
	return d
}

// playShell starts a job in the foreground and does what it is told.
func playShell(args []string) int {
	signal.Ignore(unix.SIGTTOU) // to take the terminal back
	// Caught, and not ignored, which the job would inherit.
	signal.Notify(make(chan os.Signal, 1), unix.SIGTTIN, unix.SIGTSTP, unix.SIGINT, unix.SIGQUIT)
	orders, events := bufio.NewScanner(os.NewFile(3, "orders")), os.NewFile(4, "events")
	unix.CloseOnExec(3)
	unix.CloseOnExec(4)
	background := len(args) > 0 && args[len(args)-1] == "&"
	if background {
		args = args[:len(args)-1]
	}
	job, err := os.StartProcess(args[0], args, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		Sys: &syscall.SysProcAttr{Setpgid: true, Foreground: !background, Ctty: 0}})
	if err != nil {
		return 1
	}
	for {
		var status unix.WaitStatus
		if _, err := unix.Wait4(job.Pid, &status, unix.WUNTRACED, nil); err != nil {
			return 1
		}
		if !status.Stopped() {
			fmt.Fprintln(events, "ended", status.ExitStatus())
			return 0
		}
		_ = unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, unix.Getpgrp())
		fmt.Fprintln(events, "stopped")
		if !orders.Scan() {
			return 1
		}
		if orders.Text() == "fg" {
			_ = unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, job.Pid)
		}
		_ = unix.Kill(-job.Pid, unix.SIGCONT)
	}
}

// playTyped says what is typed, and how it sees its terminal.
func playTyped() int {
	group, err := unix.IoctlGetInt(0, unix.TIOCGPGRP)
	fmt.Println("terminal", term.IsTerminal(0), term.IsTerminal(1), term.IsTerminal(2), "foreground", err == nil && group == unix.Getpgrp())
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		if in.Text() == "end" {
			return 6
		}
		fmt.Println("typed", in.Text())
	}
	return 1
}

func (d *desk) keys(s string) {
	d.t.Helper()
	if _, err := d.master.WriteString(s); err != nil {
		d.t.Fatal(err)
	}
}

// see waits for a line on the screen; the echo of what was typed is passed over.
func (d *desk) see(want string) {
	d.t.Helper()
	for {
		line, err := d.screen.ReadString('\n')
		if err != nil {
			d.t.Fatalf("waiting for %q: %v", want, err)
		}
		line = strings.TrimSpace(line)
		line = strings.TrimLeft(line, "^CZ\\") // the echo of a key
		if line == want || strings.HasSuffix(want, " ") && strings.HasPrefix(line, want) {
			return
		}
		if strings.HasPrefix(line, "got") {
			d.t.Errorf("%q before %q", line, want)
		}
	}
}

func (d *desk) event(want string) {
	d.t.Helper()
	line, err := d.events.ReadString('\n')
	if err != nil || strings.TrimSpace(line) != want {
		d.t.Fatalf("the shell says %q, %v; want %q", line, err, want)
	}
}

func TestKeysReachTheCommandOnce(t *testing.T) {
	d := sitDown(t, "role:signals")
	d.see("ready ")
	d.keys("\x03")
	d.see("got 2")
	d.keys("\x1c")
	d.see("got 3")
	if err := unix.IoctlSetWinsize(int(d.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 33, Col: 99}); err != nil {
		t.Fatal(err)
	}
	d.see("got 28")
	d.keys("end\n")
	d.event("ended 5") // and see has found nothing else on the way
}

func TestJobControl(t *testing.T) {
	d := sitDown(t, "role:typed")
	d.see("terminal true true true foreground true")
	d.keys("one\n")
	d.see("typed one")
	for _, word := range []string{"two", "three"} {
		d.keys("\x1a")
		d.event("stopped")
		fmt.Fprintln(d.orders, "fg")
		d.keys(word + "\n")
		d.see("typed " + word)
	}
	d.keys("end\n")
	d.event("ended 6")
}

// TestBackground stops a command that reads from the terminal, as the kernel
// does, until the shell gives it the terminal.
func TestBackground(t *testing.T) {
	d := sitDown(t, "role:typed", "&")
	d.see("terminal true true true foreground false")
	d.event("stopped")
	fmt.Fprintln(d.orders, "fg")
	d.keys("one\n")
	d.see("typed one")
	d.keys("end\n")
	d.event("ended 6")
}

// TestIgnoredStop wants a job to go on whose command does.
func TestIgnoredStop(t *testing.T) {
	d := sitDown(t, "role:signals") // it catches SIGTSTP and goes on
	d.see("ready ")
	d.keys("\x1a")
	d.see("got 20")
	d.keys("end\n")
	d.event("ended 5")
}
