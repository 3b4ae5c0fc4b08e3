package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/monban-dev/monban/internal/netnstest"
)

// The ports of the tests: sshd's, and one below 1024 that nothing knows.
const oldPort, newPort = 22, 1011

// A sshRoom is a machine with an sshd of its own: /etc, /run, /var/lib, the network
// and the processes are the test's.
type sshRoom struct {
	*room
	// addrs are where sshd listens.
	addrs []string
	// start is the longest that sshd has taken to start and to read its files.
	start time.Duration
}

// longTrial is the time of a trial that is done something in, or to, on a machine with
// not much else to do; during gives it more. shortTrial is the shortest that monban
// offers, for those that nothing but the end of is waited for.
const (
	longTrial  = 15 * time.Second
	shortTrial = "5s"
)

// newSSHRoom makes the machine and starts sshd. files are put below /etc first;
// addrs are where sshd listens then, for the tests to knock at.
func newSSHRoom(t *testing.T, files map[string]string, addrs ...string) *sshRoom {
	t.Helper()
	netnstest.Need(t, "sshd")
	r := &sshRoom{room: newRoom(t, true), addrs: addrs}
	r.ownEtc()
	for name, text := range files {
		r.write("/etc/"+name, text)
	}
	r.run("/usr/sbin/sshd")
	// When it answers, it has opened all its doors, and a SIGHUP does not end it any more.
	eventually(t, "sshd answers", func() bool { return r.answers(oldPort, true) })
	r.measure()
	return r
}

// measure takes the time of a start.
func (r *sshRoom) measure() {
	r.t.Helper()
	began := time.Now()
	r.command("root", "/usr/sbin/sshd", "-t").Run() // the tests have files that it does not understand
	r.start = max(r.start, time.Since(began))
}

// ownEtc gives the room files of its own that begin as the machine's.
func (r *sshRoom) ownEtc() {
	r.t.Helper()
	layers := r.subdir("etc", "root")
	r.run("mount", "-t", "tmpfs", "tmpfs", layers)
	r.run("mkdir", layers+"/up", layers+"/work")
	r.run("mount", "-t", "overlay", "overlay", "-o", fmt.Sprintf("lowerdir=/etc,upperdir=%[1]s/up,workdir=%[1]s/work", layers), "/etc")
	r.run("mount", "-t", "tmpfs", "tmpfs", "/var/lib")
	r.run("mkdir", "-p", "/run/sshd")
	r.run("sh", "-c", "rm -f /etc/ssh/sshd_config.d/*; ssh-keygen -A >/dev/null")
}

// write writes a file of the room.
func (r *sshRoom) write(path, text string) {
	r.t.Helper()
	cmd := r.command("root", "sh", "-c", `mkdir -p "$(dirname "$0")" && cat >"$0"`, path)
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("%s: %v %s", path, err, out)
	}
}

// everything is what a move may change: the files of /etc with their owners and
// modes, the rules, and who listens.
func (r *sshRoom) everything() string {
	r.t.Helper()
	return r.run("sh", "-c", `cd /etc
for d in ssh ufw monban systemd; do find $d -type f -exec stat -c '%n %a %u %g' {} + -exec sha256sum {} + 2>/dev/null; find $d ! -type f 2>/dev/null; done | sort
ls -A /var/lib/monban 2>/dev/null | grep -v '^move.lock$'
nft list ruleset | sed 's/packets [0-9]* bytes [0-9]*//; s/expires [0-9a-z]*//g'
ss -Htln | awk '{print $4}' | sort`)
}

// moveAnswer is what monban move --json says.
type moveAnswer struct {
	Outcome string `json:"outcome"`
	New     int    `json:"new_port"`
	Way     string `json:"way"`
	Steps   []struct {
		Step    string `json:"step"`
		Closing bool   `json:"closing"`
	} `json:"steps"`
	Refused []struct{ Reason, Text string }
	Notes   []struct{ Reason, Text string }
}

// move runs monban move and wants an exit code.
func (r *sshRoom) move(code int, args ...string) moveAnswer {
	r.t.Helper()
	return r.interrupted(code, 0, "", args...)
}

// interrupted is move with a script that is run before a step.
func (r *sshRoom) interrupted(code, at int, script string, args ...string) moveAnswer {
	r.t.Helper()
	a, got, said := r.attempt(at, script, args...)
	if got != code {
		r.t.Fatalf("monban move %v: exit %d, want %d\n%s", args, got, code, said)
	}
	return a
}

// attempt runs monban move with a script that is run before a step, and returns its
// exit code, and what it said, too.
func (r *sshRoom) attempt(at int, script string, args ...string) (a moveAnswer, code int, said string) {
	r.t.Helper()
	monban := program(r.t, "monban-static")
	argv := append([]string{strconv.Itoa(at), script, monban, "move"}, append(args, "--json")...)
	cmd := r.command("root", program(r.t, "interrupted"), argv...)
	// The session that these tests are run over is none of the machine's.
	cmd.Env = append(cmd.Env, "SSH_CONNECTION=", "SUDO_USER=", "PATH=/usr/sbin:/usr/bin:/sbin:/bin")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		r.t.Fatal(err)
	}
	var e struct{ Data moveAnswer }
	if code >= 0 {
		if err := json.Unmarshal(stdout.Bytes(), &e); err != nil {
			r.t.Fatalf("monban move %v: %v\n%s%s", args, err, stdout.Bytes(), stderr.Bytes())
		}
	}
	return e.Data, code, stdout.String() + stderr.String()
}

// answers reports whether an SSH server's banner comes from a port of every address of
// the room's sshd. Where one ought to come it is waited for.
func (r *sshRoom) answers(port int, want bool) bool {
	all := true
	r.ns.Do(func() {
		for _, addr := range r.addrs {
			all = all && sshBanner(net.Dialer{Timeout: patience(want)}, net.JoinHostPort(addr, strconv.Itoa(port)))
		}
	})
	return all
}

// sshBanner reports whether an SSH server answers in the dialer's time.
func sshBanner(d net.Dialer, address string) bool {
	c, err := d.Dial("tcp", address)
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(d.Timeout))
	text := make([]byte, 8)
	n, _ := c.Read(text)
	return strings.HasPrefix(string(text[:n]), "SSH-2.0")
}

// watch has the fixture knock at both ports all the time; stop returns the longest
// time in which neither answered, 0 where that was no outage.
func (r *sshRoom) watch() (stop func() time.Duration) {
	r.t.Helper()
	until := r.file("watched", "")
	args := []string{"watch", until}
	for _, port := range []int{oldPort, newPort} {
		var server []string
		for _, addr := range r.addrs {
			server = append(server, net.JoinHostPort(addr, strconv.Itoa(port)))
		}
		args = append(args, strings.Join(server, ","))
	}
	cmd := r.command("root", program(r.t, "fixture"), args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	stop = sync.OnceValue(func() time.Duration {
		os.Remove(until)
		err := cmd.Wait()
		n, errText := strconv.ParseInt(strings.TrimSpace(out.String()), 10, 64)
		if err := errors.Join(err, errText); err != nil {
			r.t.Errorf("watching: %v %s", err, &out)
		}
		if r.measure(); time.Duration(n) <= 20*r.start {
			return 0
		}
		return time.Duration(n)
	})
	r.t.Cleanup(func() { stop() })
	return stop
}

// outage is for how long a machine may answer at neither port: while sshd starts
// anew after its SIGHUP, on a machine with other things to do; or for as long as it
// takes to start twenty times, where that is more. A person who knocks notices
// nothing, because a client's second SYN comes after a second.
const outage = 4 * time.Second

func (r *sshRoom) want(what string, old, new bool) {
	r.t.Helper()
	if wrong := r.differs(what, old, new); wrong != "" {
		r.t.Error(wrong)
	}
}

func (r *sshRoom) differs(what string, old, new bool) string {
	if a, b := r.answers(oldPort, old), r.answers(newPort, new); a != old || b != new {
		return fmt.Sprintf("%s: port %d answers: %v, port %d: %v; want %v and %v\n%s", what, oldPort, a, newPort, b, old, new, r.run("ss", "-Htlnp"))
	}
	return ""
}

// over is settled for a trial of some length.
func (r *sshRoom) over(time.Duration) {
	r.t.Helper()
	r.settled()
}

// settled waits until the trial is over, one way or the other.
func (r *sshRoom) settled() {
	r.t.Helper()
	eventually(r.t, "the record of the trial goes", func() bool {
		_, err := os.Lstat(fmt.Sprintf("/proc/%d/root/var/lib/monban/move.json", r.pid))
		return errors.Is(err, fs.ErrNotExist)
	})
}

// endSSHD ends sshd. While that starts anew, after SIGHUP, its pid file is away and it
// may lose a signal. One that nobody has waited for has no exe.
const endSSHD = "while ls -l /proc/[0-9]*/exe 2>/dev/null | grep -q '/sshd$'; do pkill -x sshd; sleep 0.05; done; "

const newText = "1011"

// moveConfigs are configurations with the traps of sshd_config.
func moveConfigs() []struct {
	name  string
	files map[string]string
	addrs []string
} {
	both := []string{"127.0.0.1", "::1"}
	const base = "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM no\n"
	type files = map[string]string
	return []struct {
		name  string
		files map[string]string
		addrs []string
	}{
		{"as installed", nil, both},
		{"Match at the end", files{"ssh/sshd_config": base + "Match User nobody\n\tX11Forwarding no\n"}, both},
		{"no line end", files{"ssh/sshd_config": base + "Port 22"}, both},
		{"drop-in", files{"ssh/sshd_config": base + "Match all\n", "ssh/sshd_config.d/50-cloud-init.conf": "# by cloud-init\nPort 22 # usual\n"}, both},
		{"twice", files{"ssh/sshd_config": base + "Port 22\n", "ssh/sshd_config.d/a.conf": "port=22\n"}, both},
		{"include after Match", files{"ssh/sshd_config": "Port\t22\nMatch Address 192.0.2.0/24\n\tX11Forwarding no\nInclude /etc/ssh/late/*.conf\n",
			"ssh/late/x.conf": "PermitTTY yes\n"}, both},
		{"ListenAddress with port", files{"ssh/sshd_config": "ListenAddress 127.0.0.1:22\nListenAddress [::1]:22\nPort 4444\nUsePAM no\n"}, both},
		{"ListenAddress without port", files{"ssh/sshd_config": "ListenAddress 127.0.0.1\nListenAddress ::1\n"}, both},
		{"one family", files{"ssh/sshd_config": "AddressFamily inet\nPort \"22\"\r\n"}, []string{"127.0.0.1"}},
		{"another port stays", files{"ssh/sshd_config": "Port 2200\nPort 22\n"}, both},
	}
}

// TestMoveConfigs moves a real sshd with every kind of configuration: on trial, back
// by the timer with every byte as it was, and again with a confirmation.
func TestMoveConfigs(t *testing.T) {
	t.Parallel()
	for _, test := range moveConfigs() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newSSHRoom(t, test.files, test.addrs...)
			before := r.everything()
			if a := r.move(0, "ssh", newText, "--dry-run"); a.Outcome != "planned" || r.everything() != before {
				t.Fatalf("a dry run: %+v", a)
			}
			stop := r.watch()
			during(t, longTrial, func(limit time.Duration) string {
				if a, code, said := r.attempt(0, "", "ssh", newText, "--yes", "--timeout", limit.String()); code != 0 || a.Outcome != "on-trial" || a.Way != "sshd" {
					return said
				}
				if wrong := r.differs("on trial", true, true); wrong != "" {
					return wrong
				}
				if a, code, said := r.attempt(0, "", "ssh", "1012", "--yes", "--timeout", shortTrial); code != 4 || a.Refused[0].Reason != "trial" {
					return "a second move: " + said
				}
				if a, code, said := r.attempt(0, "", "confirm"); code != 4 || a.Refused[0].Reason != "session" {
					return "confirmed by nobody: " + said
				}
				return ""
			}, r.over)
			r.settled()
			r.want("after the timer", true, false)
			if after := r.everything(); after != before {
				t.Errorf("not as it was:\n%s\nbut\n%s", before, after)
			}

			r.move(0, "ssh", newText, "--yes", "--timeout", "1h")
			if a := r.move(0, "confirm", "--same-session"); a.Outcome != "confirmed" {
				t.Errorf("%+v", a)
			}
			if longest := stop(); longest > outage {
				t.Errorf("for %v neither port answered", longest)
			}
			r.want("confirmed", false, true)
			// What the files say, sshd does when it starts.
			r.run("sh", "-c", endSSHD+"/usr/sbin/sshd")
			r.waitFor("tcp 1011")
			r.want("started anew", false, true)
			if test.name == "another port stays" && !r.answers(2200, true) {
				t.Error("port 2200 is gone")
			}
			if left := r.run("sh", "-c", "find /etc -name '*monban*'; ls -A /var/lib/monban"); strings.TrimSpace(left) != "move.lock" {
				t.Errorf("there is left: %s", left)
			}
		})
	}
}

// TestMoveKilled kills monban before each step, and at moments of chance. The
// machine answers all the time, and afterwards everything is as it was, or, once
// it was confirmed, the move is finished.
func TestMoveKilled(t *testing.T) {
	t.Parallel()
	plan := newSSHRoom(t, nil, "127.0.0.1", "::1").move(0, "ssh", newText, "--dry-run")
	trial := slices.IndexFunc(plan.Steps, func(s struct {
		Step    string `json:"step"`
		Closing bool   `json:"closing"`
	}) bool {
		return s.Closing
	})
	if trial < 5 || len(plan.Steps) < trial+5 {
		t.Fatalf("%+v", plan.Steps)
	}
	const kill = "kill -9 $1"
	begin := []string{"ssh", newText, "--yes", "--timeout"}
	for at := 1; at <= trial; at++ {
		t.Run("begin "+plan.Steps[at-1].Step, func(t *testing.T) {
			t.Parallel()
			r := newSSHRoom(t, nil, "127.0.0.1", "::1")
			before := r.everything()
			stop := r.watch()
			r.interrupted(-1, at, kill, append(slices.Clip(begin), shortTrial)...)
			// Before it is armed nothing else has been done; the next run clears up.
			if at == 2 {
				time.Sleep(5 * time.Second) // the trial's
				if a := r.move(4, "ssh", "22", "--yes"); a.Refused[0].Reason != "same-port" || a.Notes[0].Reason != "put-back" {
					t.Errorf("the next run: %+v", a)
				}
			}
			r.settled()
			r.unharmed(stop, before)
		})
	}
	for at := trial + 1; at <= len(plan.Steps); at++ {
		t.Run("close "+plan.Steps[at-1].Step, func(t *testing.T) {
			t.Parallel()
			r := newSSHRoom(t, nil, "127.0.0.1", "::1")
			before := r.everything()
			stop := r.watch()
			during(t, longTrial, func(limit time.Duration) string {
				if _, code, said := r.attempt(0, "", append(slices.Clip(begin), limit.String())...); code != 0 {
					return said
				}
				if _, code, said := r.attempt(at-trial, kill, "confirm", "--same-session"); code != -1 {
					return "it was not killed: " + said
				}
				return ""
			}, r.over)
			r.settled()
			if at == trial+1 { // not confirmed yet
				r.unharmed(stop, before)
				return
			}
			if longest := stop(); longest > outage {
				t.Errorf("for %v neither port answered", longest)
			}
			r.want("finished by the timer", false, true)
		})
	}
	for i := range 6 {
		t.Run(fmt.Sprint("chance ", i), func(t *testing.T) {
			t.Parallel()
			r := newSSHRoom(t, nil, "127.0.0.1", "::1")
			before := r.everything()
			stop := r.watch()
			cmd := r.command("root", "timeout", "-s", "KILL", fmt.Sprintf("0.%02d", 5+i*7), program(t, "monban-static"), "move", "ssh", newText, "--yes", "--timeout", shortTrial)
			cmd.Run() // it is killed, or has done all
			time.Sleep(5 * time.Second)
			r.move(0, "rollback", "--trial", "none") // waits for whoever is at work
			if out, _ := r.command("root", "ls", "/var/lib/monban/move.json").Output(); len(out) > 0 {
				r.move(4, "ssh", "22", "--yes") // puts back what no timer was armed for
			}
			r.settled()
			r.unharmed(stop, before)
		})
	}
}

// unharmed wants everything to be as it was, and to have answered all the time.
func (r *sshRoom) unharmed(stop func() time.Duration, before string) {
	r.t.Helper()
	r.want("put back", true, false)
	if longest := stop(); longest > outage && !strings.Contains(r.t.Name(), "sshd_gone") || longest > 3*outage {
		r.t.Errorf("for %v neither port answered", longest)
	}
	if after := r.everything(); after != before {
		r.t.Errorf("not as it was:\n%s\nbut\n%s", before, after)
	}
}

// TestMoveFailures injects what can go wrong. Each time it is told, and everything
// is as it was.
func TestMoveFailures(t *testing.T) {
	t.Parallel()
	fixture := program(t, "fixture")
	take := fixture + " serve tcp:[::]:" + newText + " >/dev/null 2>&1 & until ss -Htln | grep -q :" + newText + "; do sleep 0.05; done"
	for _, test := range []struct {
		name          string
		files         map[string]string
		prepare       string // after sshd's start
		at            int    // before this step,
		script        string // this happens
		code          int
		outcome, why  string
		keepsTheOther bool // what the script did to /etc is still there
	}{
		{name: "busy", prepare: take, code: 4, outcome: "refused", why: "busy"},
		{name: "busy meanwhile", at: 5, script: take, code: 4, outcome: "failed", why: "failed"},
		{name: "busy meanwhile in one family", at: 5, script: strings.ReplaceAll(take, "[::]", "127.0.0.1"), code: 4, outcome: "failed", why: "failed"},
		{name: "not understood", prepare: "echo Nonsense 1 >>/etc/ssh/sshd_config", code: 4, outcome: "refused", why: "sshd-test"},
		{name: "not understood meanwhile", at: 4, script: "echo Nonsense 1 >/etc/ssh/sshd_config.d/bad.conf", code: 4, outcome: "failed", why: "failed", keepsTheOther: true},
		{name: "another port meanwhile", at: 4, script: "echo Port 4000 >/etc/ssh/sshd_config.d/more.conf", code: 4, outcome: "failed", why: "failed", keepsTheOther: true},
		{name: "Port inside Match", prepare: "printf 'Match User x\\nPort 22\\n' >>/etc/ssh/sshd_config", code: 4, outcome: "refused", why: "sshd-test"},
		{name: "changed since it started", prepare: "echo Port 4000 >/etc/ssh/sshd_config.d/more.conf", code: 4, outcome: "refused", why: "stale"},
		{name: "unreadable", prepare: "rm /etc/ssh/sshd_config && mkdir /etc/ssh/sshd_config", code: 4, outcome: "refused", why: "config"},
		{name: "mounted", prepare: "cp /etc/ssh/sshd_config /run/c && mount --bind /run/c /etc/ssh/sshd_config", code: 4, outcome: "refused", why: "config"},
		{name: "two names", prepare: "ln /etc/ssh/sshd_config /etc/ssh/second", code: 4, outcome: "refused", why: "config"},
		{name: "no room for the record", prepare: "mkdir -p /var/lib/monban && mount -t tmpfs -o size=4k tmpfs /var/lib/monban && cat /dev/zero >/var/lib/monban/full 2>/dev/null; true",
			code: 4, outcome: "failed", why: "failed"},
		{name: "ephemeral", prepare: "echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start; echo 1000 2000 >/proc/sys/net/ipv4/ip_local_port_range", code: 4, outcome: "refused", why: "ephemeral"},
		{name: "reserved", prepare: "echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start; echo 1000 2000 >/proc/sys/net/ipv4/ip_local_port_range; echo 1011 >/proc/sys/net/ipv4/ip_local_reserved_ports", outcome: "on-trial"},
		{name: "redirected", prepare: "nft 'table ip n { chain c { type nat hook prerouting priority dstnat; tcp dport 1011 redirect to :80; }; }'", code: 4, outcome: "refused", why: "translated"},
		{name: "in front", prepare: "nft 'table ip n { chain c { type nat hook prerouting priority dstnat; tcp dport 2222 redirect to :22; }; }'", code: 4, outcome: "refused", why: "in-front"},
		{name: "closed by rules", prepare: "set -e; ip link add eth0 type veth peer name eth1; ip addr add 192.0.2.1/24 dev eth0; ip link set eth0 up; ip link set eth1 up; nft 'table inet f { chain c { type filter hook input priority 0; policy drop; iif lo accept; tcp dport 22 accept; }; }'",
			code: 4, outcome: "refused", why: "blocked"},
		{name: "claimed", prepare: "mkdir -p /etc/redis && printf 'port 1011\\n' >/etc/redis/redis.conf", code: 4, outcome: "refused", why: "claimed"},
		{name: "sshd gone", at: 6, script: endSSHD, code: 4, outcome: "failed", why: "failed"},
		{name: "hung up", at: 4, script: "kill -HUP $1; exec sleep 60 >/dev/null 2>&1", code: -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newSSHRoom(t, test.files, "127.0.0.1", "::1")
			if test.prepare != "" {
				r.run("sh", "-c", test.prepare)
			}
			before := r.everything()
			stop := r.watch()
			// What fails is put back at once; and the other two wait.
			timeout := "1m"
			if test.outcome != "failed" {
				timeout = shortTrial
			}
			a := r.interrupted(test.code, test.at, test.script, "ssh", newText, "--yes", "--timeout", timeout)
			if test.code >= 0 && a.Outcome != test.outcome || test.why != "" && (len(a.Refused) == 0 || a.Refused[0].Reason != test.why) {
				t.Errorf("%+v, want %s (%s)", a, test.outcome, test.why)
			}
			r.settled()
			switch {
			case test.script != "" && strings.Contains(test.script, "fixture"):
				r.run("sh", "-c", "pid=$(ss -Htlnp | grep fixture | sed 's/.*pid=\\([0-9]*\\).*/\\1/' | sort -u); kill $pid; while ss -Htln | grep -q :1011; do sleep 0.05; done")
			case test.keepsTheOther:
				r.run("sh", "-c", "rm -f /etc/ssh/sshd_config.d/bad.conf /etc/ssh/sshd_config.d/more.conf")
			case strings.HasPrefix(test.name, "busy"):
				r.want("busy", true, false)
				stop()
				return
			}
			r.unharmed(stop, before)
		})
	}
}

// TestMoveSelf: the confirmation has to come over the new port.
func TestMoveSelf(t *testing.T) {
	t.Parallel()
	r := newSSHRoom(t, nil, "127.0.0.1", "::1")
	r.move(0, "ssh", newText, "--yes", "--timeout", "1h")
	confirm := func(port string, code int) string {
		t.Helper()
		cmd := r.command("root", program(t, "monban-static"), "move", "confirm", "--lang", "en")
		cmd.Env = append(cmd.Env, "SSH_CONNECTION=192.0.2.9 50000 192.0.2.1 "+port)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != code {
			t.Fatalf("over port %s: %v\n%s", port, err, out)
		}
		return string(out)
	}
	if out := confirm("22", 4); !strings.Contains(out, "not come in by the new port") {
		t.Error(out)
	}
	r.want("not confirmed", true, true)
	if out := confirm(newText, 0); !strings.Contains(out, "SSH is at port 1011 now") {
		t.Error(out)
	}
	r.want("confirmed", false, true)
}

// TestMoveOthers: whom monban cannot tell to listen elsewhere is named, with what to
// do instead, and left alone.
func TestMoveOthers(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "dropbear")
	r := &sshRoom{room: newRoom(t, true), addrs: []string{"127.0.0.1"}}
	r.ownEtc()
	if a := r.move(4, "ssh", newText, "--yes"); a.Refused[0].Reason != "nobody" {
		t.Errorf("without anybody: %+v", a)
	}
	r.run("sh", "-c", "dropbearkey -t ed25519 -f /run/key >/dev/null 2>&1; dropbear -r /run/key -p 22 -P /run/dropbear.pid")
	r.waitFor("tcp 22")
	if a := r.move(4, "ssh", newText, "--yes"); a.Refused[0].Reason != "dropbear" || !strings.Contains(a.Refused[0].Text, "/etc/default/dropbear") {
		t.Errorf("dropbear: %+v", a)
	}
	r.run("sh", "-c", "until [ -s /run/dropbear.pid ]; do sleep 0.05; done; kill $(cat /run/dropbear.pid); while ss -Htln | grep -q ':22 '; do sleep 0.05; done; /usr/sbin/sshd -p 22")
	r.waitFor("tcp 22")
	if a := r.move(4, "ssh", newText, "--yes"); a.Refused[0].Reason != "command-line" {
		t.Errorf("sshd -p: %+v", a)
	}
	cmd := r.command("nobody", program(t, "monban-static"), "move", "ssh", "--dry-run")
	if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 4 || !strings.Contains(string(out), "needs root") {
		t.Errorf("as nobody: %d %s", cmd.ProcessState.ExitCode(), out)
	}
	r.want("at the end", true, false)
}

// TestMoveStopped stops monban in the middle of its work, with its lock held. The
// timer's run ends it and puts everything back.
func TestMoveStopped(t *testing.T) {
	t.Parallel()
	r := newSSHRoom(t, nil, "127.0.0.1", "::1")
	before := r.everything()
	stop := r.watch()
	cmd := r.command("root", program(t, "interrupted"), "6", "kill -STOP $1", program(t, "monban-static"), "move", "ssh", newText, "--yes", "--timeout", shortTrial)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// nsenter stops along with what it started.
	eventually(t, "monban stops", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
		return err == nil && bytes.Contains(stat, []byte(") T "))
	})
	// The timer's run waits for it for some time more.
	time.Sleep(time.Until(began.Add(6 * time.Second)))
	r.want("stopped", true, true)
	r.settled()
	cmd.Process.Signal(syscall.SIGCONT)
	if err := cmd.Wait(); err == nil {
		t.Error("it was not ended")
	}
	r.unharmed(stop, before)
}
