package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/monban-dev/monban/conflict"
	"github.com/monban-dev/monban/internal/netnstest"
)

// proof says how a cause is shown to be true: by provoking it here for real, by
// another test of this package that does, or by a reason why Linux cannot.
type proof struct {
	provoke func(*testing.T, *room)
	test    string
	reason  string
}

func proofs() map[conflict.Cause]proof {
	return map[conflict.Cause]proof{
		conflict.L1:  {provoke: causeSameAddress},
		conflict.L2:  {provoke: causeOverlap},
		conflict.L3:  {provoke: causeDualStack},
		conflict.L4:  {provoke: causeTwoLoopbacks},
		conflict.L5:  {provoke: causeSharedPort},
		conflict.L6:  {provoke: causeSharingOptions},
		conflict.L7:  {provoke: causeTimeWait},
		conflict.L8:  {provoke: causeLent},
		conflict.L9:  {provoke: causeBound},
		conflict.L10: {provoke: causePrivileged},
		conflict.L11: {reason: "the kernel of the tests has no SELinux; the messages are in conflict/testdata/complaints"},
		conflict.L12: {provoke: causeSandbox},
		conflict.L13: {provoke: causeMissingAddress},
		conflict.L14: {provoke: causeNoIPv6},
		conflict.L15: {test: "TestCheckSystemd"},
		conflict.L16: {provoke: causeRespawn},
		conflict.L17: {provoke: causeOrphan},
		conflict.L18: {provoke: causeKernel},
		conflict.L19: {provoke: causeOtherUser},
		conflict.L20: {provoke: causeOtherNamespace},
		conflict.L21: {provoke: causeAsksTwice},
		conflict.L22: {test: "TestCheckHealthyMachine"},
		conflict.L23: {provoke: causeSocketFile},
		conflict.L24: {provoke: causeRedirect},
		conflict.L25: {provoke: causeLimit},
		conflict.L26: {provoke: causeConnectionsLeft},

		conflict.D1:  {test: "TestDocker"},
		conflict.D2:  {test: "TestDocker"},
		conflict.D3:  {test: "TestDocker"},
		conflict.D4:  {provoke: causeProjectTwice},
		conflict.D5:  {test: "TestDockerRestart"},
		conflict.D6:  {test: "TestDocker"},
		conflict.D7:  {provoke: causeRootless},
		conflict.D8:  {reason: "Docker has a socket for each port that it publishes; what there is without one is L24"},
		conflict.D9:  {test: "TestCheckSystemd"},
		conflict.D10: {provoke: causeHostPort},
		conflict.D11: {provoke: causeNodePort},
		conflict.D12: {reason: "takes a cluster of k3s; the scheduler's message is in conflict/testdata/complaints"},
		conflict.D13: {provoke: causeForward},
		conflict.D14: {provoke: causeForwardedElsewhere},
		conflict.D15: {reason: "Docker Desktop's helpers are not on Linux; the message is in conflict/testdata/complaints"},

		conflict.B1: {provoke: causeBlockedByBrowsers},
		conflict.B2: {test: "TestDocker"},
		conflict.B3: {provoke: causeOtherLocalhost},
	}
}

// TestCauses provokes every cause that Linux can have, with the kernel as the
// judge, and wants monban to name it. There is none without a proof.
func TestCauses(t *testing.T) {
	t.Parallel()
	table := proofs()
	for _, info := range conflict.Causes() {
		p, ok := table[info.ID]
		delete(table, info.ID)
		switch {
		case info.OS == "darwin" || info.OS == "windows":
			// Their rules are tested on tables in package conflict.
			if ok {
				t.Errorf("%s happens on %s only", info.ID, info.OS)
			}
		case p.provoke != nil:
			t.Run(string(info.ID), func(t *testing.T) {
				t.Parallel()
				p.provoke(t, newRoom(t, true))
			})
		case p.test != "":
			if !testNames(t, p.test, string(info.ID)) {
				t.Errorf("%s: %s does not look for it", info.ID, p.test)
			}
		case p.reason == "":
			t.Errorf("%s: neither provoked nor a reason why not", info.ID)
		}
	}
	for id := range table {
		t.Errorf("%s is no cause", id)
	}
}

// testNames reports whether a test of this package, or a function that it calls,
// has the words in a string.
func testNames(t *testing.T, test, words string) bool {
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	functions := map[string][]*ast.FuncDecl{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok {
				functions[f.Name.Name] = append(functions[f.Name.Name], f)
			}
		}
	}
	found, seen := false, map[string]bool{}
	var look func(name string)
	look = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		for _, f := range functions[name] {
			ast.Inspect(f, func(n ast.Node) bool {
				switch x := n.(type) {
				case *ast.BasicLit:
					found = found || x.Kind == token.STRING && slices.Contains(strings.Fields(strings.Trim(x.Value, "`\"")), words)
				case *ast.SelectorExpr:
					look(x.Sel.Name)
					if id, ok := x.X.(*ast.Ident); ok && id.Name == "conflict" {
						found = found || x.Sel.Name == words
					}
				case *ast.CallExpr:
					if id, ok := x.Fun.(*ast.Ident); ok {
						look(id.Name)
					}
				}
				return true
			})
		}
	}
	look(test)
	return found
}

// try opens a door as a program of the user would, and returns what it said when
// it could not.
func (r *room) try(as, verb string, door string) (said string) {
	r.t.Helper()
	cmd := r.command(as, program(r.t, "fixture"), verb, door)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	if err != nil && !strings.HasPrefix(stderr.String(), "fixture: ") {
		r.t.Fatalf("%s: %v %s", cmd, err, stderr.Bytes())
	}
	return strings.TrimSpace(stderr.String())
}

// refused tries a door and wants it to be refused with the error.
func (r *room) refused(as, door, words string) (said string) {
	r.t.Helper()
	said = r.try(as, "doors", door)
	if !strings.HasSuffix(said, words) {
		r.t.Errorf("%s as %s: the kernel says %q, want %q", door, as, said, words)
	}
	return said
}

// opens tries a door and wants it to open.
func (r *room) opens(as, door string) {
	r.t.Helper()
	if said := r.try(as, "doors", door); said != "" {
		r.t.Errorf("%s as %s: %s", door, as, said)
	}
}

const inUse, denied = "address already in use", "permission denied"

// bind is the judgement of `monban PORT` about an address.
type bind struct{ Proto, Address, Outcome, Errno, Cause string }

// judged wants `monban PORT` to say of a plain bind what comes of it.
func (r *room) judged(as, port, address, want string, flags ...string) {
	r.t.Helper()
	number, proto, _ := strings.Cut(port, "/")
	if proto == "" {
		proto = "tcp"
	}
	text := r.monban(as, append([]string{"--json", number + "/" + proto}, flags...)...)
	var answer struct {
		Data struct{ Ports []struct{ Bind []bind } }
	}
	parse(r.t, text)
	if err := json.Unmarshal(text, &answer); err != nil || len(answer.Data.Ports) != 1 {
		r.t.Fatalf("%v\n%s", err, text)
	}
	for _, b := range answer.Data.Ports[0].Bind {
		if b.Address == address {
			if got := strings.Join(strings.Fields(b.Outcome+" "+b.Errno+" "+b.Cause), " "); got != want {
				r.t.Errorf("%s port %s: %s, want %s", address, port, got, want)
			}
			return
		}
	}
	r.t.Errorf("nothing is said of %s: %s", address, text)
}

// explained wants monban explain to name the cause of a text first, and the others
// anywhere.
func (r *room) explained(text string, want conflict.Cause, others ...conflict.Cause) {
	r.t.Helper()
	out := r.asked(func() []byte {
		cmd := r.command("root", program(r.t, "monban"), "explain", "--json", "-")
		cmd.Stdin = strings.NewReader(text)
		return output(r.t, cmd)
	})
	parse(r.t, out)
	var answer struct {
		Data struct {
			Complaints []struct{ Causes []struct{ ID string } }
		}
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		r.t.Fatal(err)
	}
	if c := answer.Data.Complaints; len(c) != 1 || len(c[0].Causes) == 0 || c[0].Causes[0].ID != string(want) {
		r.t.Errorf("%q is explained by %+v, want %s first", text, c, want)
	} else {
		for _, other := range others {
			if !slices.Contains(c[0].Causes, struct{ ID string }{string(other)}) {
				r.t.Errorf("%q is explained by %+v, want %s among them", text, c, other)
			}
		}
	}
}

// claimed wants monban check of a file to end in the outcomes, one for each
// claim: "fails EADDRINUSE L6".
func (r *room) claimed(name, text string, want ...string) {
	r.t.Helper()
	c, _ := r.check(r.file(name, text))
	var got []string
	for _, claim := range c.Data.Claims {
		got = append(got, strings.Join(strings.Fields(claim.Outcome+" "+claim.Errno+" "+claim.Cause), " "))
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("check says %q of %s, want %q; %v %+v", got, name, want, c.Data.Claims, c.Gaps)
	}
}

// oneClaim is a claims file with one item.
func oneClaim(fields string) string { return "claims:\n  - {name: it, " + fields + "}\n" }

func causeSameAddress(_ *testing.T, r *room) {
	r.start("root", "serve", "tcp:0.0.0.0:8080")
	r.explained(r.refused("root", "tcp:0.0.0.0:8080", inUse), conflict.L1)
	r.judged("root", "8080", "0.0.0.0", "fails EADDRINUSE L1")
}

func causeOverlap(_ *testing.T, r *room) {
	r.start("root", "serve", "tcp:127.0.0.1:8080")
	r.explained(r.refused("root", "tcp:0.0.0.0:8080", inUse), conflict.L2)
	r.judged("root", "8080", "0.0.0.0", "fails EADDRINUSE L2")
}

func causeDualStack(_ *testing.T, r *room) {
	r.start("root", "serve", "tcp:[::]:8080")
	r.explained(r.refused("root", "tcp:0.0.0.0:8080", inUse), conflict.L3)
	r.judged("root", "8080", "0.0.0.0", "fails EADDRINUSE L3")
}

func causeTwoLoopbacks(t *testing.T, r *room) {
	r.start("root", "serve", "tcp:[::1]:5173")
	r.claimed("claims.yaml", oneClaim("address: 127.0.0.1, port: 5173"), "ok L4")
	r.start("nobody", "serve", "tcp:127.0.0.1:5173")
	if e := r.view(); !slices.ContainsFunc(e.Findings, func(f finding) bool { return f.Kind == "split-loopback" && f.Port == 5173 }) {
		t.Errorf("no finding: %+v", e.Findings)
	}
}

func causeSharedPort(t *testing.T, r *room) {
	r.start("root", "serve", "tcp,reuse:127.0.0.1:8080")
	r.claimed("claims.yaml", oneClaim("address: 127.0.0.1, port: 8080, reuseport: true"), "ok L5")
	r.start("root", "serve", "tcp,reuse:127.0.0.1:8080")
	if e := r.view(); !slices.ContainsFunc(e.Findings, func(f finding) bool { return f.Kind == "shared-port" && f.Port == 8080 }) {
		t.Errorf("no finding: %+v", e.Findings)
	}
	// Two claims that would share it, and nobody has it yet.
	r.claimed("two.yaml", "claims:\n  - {name: a, address: 127.0.0.1, port: 8081, reuseport: true}\n  - {name: b, address: 127.0.0.1, port: 8081, reuseport: true}\n",
		"ok", "ok L5")
}

func causeSharingOptions(_ *testing.T, r *room) {
	r.start("root", "serve", "udp,reuseaddr:0.0.0.0:5353")
	r.refused("root", "udp,reuse:0.0.0.0:5353", inUse)
	r.claimed("claims.yaml", oneClaim("proto: udp, address: 0.0.0.0, port: 5353, reuseport: true"), "fails EADDRINUSE L6")
	r.opens("root", "udp,reuseaddr:0.0.0.0:5353")
	r.claimed("same.yaml", oneClaim("proto: udp, address: 0.0.0.0, port: 5353, reuseaddr: true"), "ok")
}

// python runs a script in the room and leaves it running once it has said "ready".
// closed() waits until the first end of a connection that was closed is in TIME_WAIT.
func (r *room) python(script string) {
	r.t.Helper()
	netnstest.Need(r.t, "python3")
	const waiting = `def closed():
	while b" 06 " not in open("/proc/self/net/tcp", "rb").read(): time.sleep(0.01)
`
	cmd := r.command("root", "python3", "-c", "import socket, struct, time\n"+waiting+script+"\nprint('ready', flush=True)\ntime.sleep(3600)")
	startReady(r.t, cmd)
	r.running = append(r.running, cmd)
}

func causeTimeWait(_ *testing.T, r *room) {
	r.python(`s = socket.create_server(("127.0.0.1", 8080))
c = socket.create_connection(("127.0.0.1", 8080))
a, _ = s.accept()
a.close()
c.recv(1)
c.close()
s.close()
closed()`)
	r.explained(r.refused("root", "tcp:0.0.0.0:8080", inUse), conflict.L7)
	r.judged("root", "8080", "0.0.0.0", "fails EADDRINUSE L7")
	r.opens("root", "tcp,reuseaddr:0.0.0.0:8080")
}

func causeLent(_ *testing.T, r *room) {
	r.python(`s = socket.create_server(("127.0.0.1", 900))
c = socket.socket()
c.setsockopt(0, 51, struct.pack("I", 40000 << 16 | 40000)) # IP_LOCAL_PORT_RANGE: the kernel has no choice
c.connect(("127.0.0.1", 900))`)
	r.explained(r.refused("root", "tcp:0.0.0.0:40000", inUse), conflict.L8)
	r.judged("root", "40000", "0.0.0.0", "fails EADDRINUSE L8")
}

func causeBound(_ *testing.T, r *room) {
	r.start("root", "serve", "bound:0.0.0.0:5432")
	r.explained(r.refused("root", "tcp:0.0.0.0:5432", inUse), conflict.L9)
	r.judged("root", "5432", "0.0.0.0", "fails EADDRINUSE L9")
}

func causePrivileged(_ *testing.T, r *room) {
	r.explained(r.refused("nobody", "tcp:0.0.0.0:80", denied), conflict.L10)
	r.judged("nobody", "80", "0.0.0.0", "fails EACCES L10")
	r.judged("root", "80", "0.0.0.0", "ok")
}

// causeRootless runs RootlessKit, which opens the ports of rootless Docker and Podman.
func causeRootless(t *testing.T, r *room) {
	for _, name := range []string{"rootlesskit", "slirp4netns", "newuidmap"} {
		netnstest.Need(t, name)
	}
	// A user who has further users of his own, and may make an interface in a
	// namespace of his own: in this room only.
	r.run("sh", "-c", `set -e
mount -t tmpfs tmpfs /mnt
mkdir -m 777 /mnt/run
mkdir /mnt/net
mknod /mnt/net/tun c 10 200
chmod 666 /mnt/net/tun
mount --bind /mnt/net /dev/net
cp -a /etc /mnt/etc
echo nobody:100000:65536 | tee /mnt/etc/subuid >/mnt/etc/subgid
mount --bind /mnt/etc /etc`)
	// The program inside waits for the end of its input: were it quicker than the
	// opening of the port, it would take the one who is to open it along.
	publish := func() (string, error) {
		cmd := r.command("nobody", "env", "HOME=/mnt/run", "XDG_RUNTIME_DIR=/mnt/run", "rootlesskit", "--state-dir=/mnt/run/kit",
			"--net=slirp4netns", "--disable-host-loopback", "--port-driver=builtin", "--publish=0.0.0.0:80:80/tcp", "cat")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		var out []byte
		go func() {
			defer close(ended)
			out, err = cmd.CombinedOutput()
		}()
		eventually(t, "the port is open or refused", func() bool {
			select {
			case <-ended:
				return true
			default:
				return len(r.missing([]string{"tcp 80"})) == 0
			}
		})
		in.Close()
		<-ended
		return string(out), err
	}
	said, err := publish()
	_, message, ok := strings.Cut(said, "failed to expose port ")
	if err == nil || !ok {
		t.Fatalf("%v: %s", err, said)
	}
	r.explained("Error: rootlessport "+message[strings.Index(message, ": ")+2:], conflict.D7)
	r.judged("nobody", "80", "0.0.0.0", "fails EACCES L10")

	r.ns.SetSysctl("net.ipv4.ip_unprivileged_port_start", "80")
	if said, err := publish(); err != nil {
		t.Errorf("%v: %s", err, said)
	}
	r.judged("nobody", "80", "0.0.0.0", "ok")
}

func causeSandbox(_ *testing.T, r *room) {
	said := r.try("root", "forbidden", "tcp:127.0.0.1:8080")
	if !strings.HasSuffix(said, "operation not permitted") {
		r.t.Fatalf("the sandbox forbids nothing: %q", said)
	}
	r.explained(said, conflict.L12)
}

func causeMissingAddress(_ *testing.T, r *room) {
	r.explained(r.refused("root", "tcp:192.0.2.9:8080", "cannot assign requested address"), conflict.L13)
	r.claimed("claims.yaml", oneClaim("address: 192.0.2.9, port: 8080"), "fails EADDRNOTAVAIL L13")
}

func causeNoIPv6(_ *testing.T, r *room) {
	r.ns.SetSysctl("net.ipv6.conf.all.disable_ipv6", "1")
	r.explained(r.refused("root", "tcp:[::1]:8080", "cannot assign requested address"), conflict.L14)
	r.claimed("claims.yaml", oneClaim(`address: "::1", port: 8080`), "fails EADDRNOTAVAIL L14")
	r.opens("root", "tcp:[::]:8080") // of which the model says so, too
	r.claimed("any.yaml", oneClaim(`address: "::", port: 8080`), "ok")
}

func causeForwardedElsewhere(_ *testing.T, r *room) {
	r.claimed("devcontainer.json", `{"forwardPorts": [3000]}`, "ok")
	r.start("root", "serve", "tcp:127.0.0.1:3000")
	r.claimed("devcontainer.json", `{"forwardPorts": [3000]}`, "ok D14")
	r.claimed("devcontainer.json", `{"forwardPorts": [3000], "portsAttributes": {"3000": {"requireLocalPort": true}}}`,
		"fails EADDRINUSE L1")
}

func causeRespawn(t *testing.T, r *room) {
	_, pid := r.start("root", "keep-up", "tcp:127.0.0.1:8080")
	r.waitFor("tcp 8080")
	out, err := r.command("root", program(t, "monban"), "free", "8080", "--yes").Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 4 || !strings.Contains(string(out), "[L16]") {
		t.Errorf("%v\n%s", err, out)
	}
	r.run("kill", fmt.Sprint(pid))
}

func causeOrphan(_ *testing.T, r *room) {
	netnstest.Need(r.t, "python3")
	// A server in a terminal, which leaves its socket to a child and ends; then
	// the terminal is closed.
	cmd := r.command("root", "setsid", "python3", "-c", `import os, sys
job = os.fork()
if job == 0:
	os.setpgid(0, 0) # what an interactive shell does
	os.execv(sys.argv[1], sys.argv[1:])
os.waitpid(job, 0)`, program(r.t, "fixture"), "orphan", "tcp:0.0.0.0:8080")
	startReady(r.t, cmd)
	cmd.Wait()
	r.explained(r.refused("root", "tcp:0.0.0.0:8080", inUse), conflict.L17)
	r.judged("root", "8080", "0.0.0.0", "fails EADDRINUSE L17")
}

func causeKernel(_ *testing.T, r *room) {
	r.run("ip", "link", "add", "vx0", "type", "vxlan", "id", "7", "dstport", "4789", "local", "127.0.0.1")
	r.run("ip", "link", "set", "vx0", "up")
	r.explained(r.refused("root", "udp:0.0.0.0:4789", inUse), conflict.L18)
	r.judged("root", "4789/udp", "0.0.0.0", "fails EADDRINUSE L18")
}

func causeOtherUser(_ *testing.T, r *room) {
	r.start("root", "serve", "tcp:0.0.0.0:8080")
	r.refused("nobody", "tcp:0.0.0.0:8080", inUse)
	r.judged("nobody", "8080", "0.0.0.0", "fails EADDRINUSE L19")
}

// causeOtherNamespace: a holder in another network namespace is in nobody's way,
// and a view of them all says where it is.
func causeOtherNamespace(_ *testing.T, r *room) {
	cmd := r.command("root", "unshare", "--net", "sh", "-ec", `ip link set lo up; exec "$0" serve tcp:0.0.0.0:8080`, program(r.t, "fixture"))
	startReady(r.t, cmd)
	r.running = append(r.running, cmd)
	r.opens("root", "tcp:0.0.0.0:8080")
	r.judged("root", "8080", "0.0.0.0", "ok")
	saved := filepath.Join(r.dir, "all.json")
	r.monban("root", "--all-namespaces", "--save", saved)
	r.judged("root", "8080", "0.0.0.0", "ok L20", "--load", saved)
}

// causeAsksTwice: one configuration asks for the same door twice, and the real
// nginx does not start with it although nobody else is there.
func causeAsksTwice(t *testing.T, r *room) {
	nginx := netnstest.Need(t, "nginx")
	conf := r.file("nginx.conf", fmt.Sprintf(`daemon off; pid %s/nginx.pid; error_log stderr;
events {}
http {
	access_log off;
	server {
		listen 8080;
		listen [::]:8080 ipv6only=off;
	}
}
`, r.dir))
	c, code := r.check(conf)
	if n := len(c.Data.Claims); code != 1 || n != 2 || c.Data.Claims[n-1].Cause != "L21" || !against(c.Data.Claims[n-1], "nginx.conf:6") {
		t.Errorf("exit %d, %v", code, c.Data.Claims)
	}
	out, err := r.command("root", "timeout", "240", nginx, "-c", conf).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "bind() to [::]:8080 failed") {
		t.Errorf("nginx starts: %v\n%s", err, out)
	}
}

func causeSocketFile(t *testing.T, r *room) {
	file := filepath.Join(r.dir, "app.sock")
	if said := r.try("root", "unix", file); said != "" {
		t.Fatal(said)
	}
	said := r.try("root", "unix", file) // the first left it behind
	if !strings.HasSuffix(said, inUse) {
		t.Fatalf("a file left over: %q", said)
	}
	r.explained(said, conflict.L23)
	state := func() string {
		text := r.monban("root", "explain", "--json", said)
		var answer struct {
			Data struct {
				Complaints []struct {
					Socket struct {
						State  string
						Owners []owner
					}
				}
			}
		}
		parse(t, text)
		if err := json.Unmarshal(text, &answer); err != nil || len(answer.Data.Complaints) != 1 {
			t.Fatalf("%v %s", err, text)
		}
		s := answer.Data.Complaints[0].Socket
		if len(s.Owners) > 0 {
			return s.State + " " + s.Owners[0].Name
		}
		return s.State
	}
	if got := state(); got != "left-over" {
		t.Errorf("a file left over is %q", got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	r.fixture("root", "unix", file)
	if got := state(); got != "in-use fixture" {
		t.Errorf("a file in use is %q", got)
	}
}

// causeRedirect: a program opens the port without an error, and another one gets
// what arrives there.
func causeRedirect(_ *testing.T, r *room) {
	netnstest.Need(r.t, "nft")
	r.run("nft", "-f", r.file("rules.nft", `table inet x {
	chain pre {
		type nat hook prerouting priority dstnat;
		tcp dport 8080 redirect to :8081
	}
	chain out {
		type nat hook output priority -100;
		tcp dport 8080 redirect to :8081
	}
}
`))
	r.opens("root", "tcp:0.0.0.0:8080")
	r.judged("root", "8080", "0.0.0.0", "ok L24")
	r.judged("root", "8081", "0.0.0.0", "ok")
	r.claimed("shadow.yaml", oneClaim("port: 8080"), "ok L24")
	r.claimed("free.yaml", oneClaim("port: 8081"), "ok")
	r.explained("curl: (7) Failed to connect to 127.0.0.1 port 8080: Connection refused", conflict.L24)
	r.python(`here, there = socket.create_server(("127.0.0.1", 8080)), socket.create_server(("127.0.0.1", 8081))
c = socket.create_connection(("127.0.0.1", 8080))
there.settimeout(240)
there.accept()`)
}

func causeLimit(t *testing.T, r *room) {
	args := []string{"-c", `ulimit -n 16; exec "$0" doors "$@"`, program(t, "fixture")}
	for i := range 20 {
		args = append(args, fmt.Sprintf("tcp:127.0.0.1:%d", 8000+i))
	}
	out, err := r.command("root", "sh", args...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "too many open files") {
		t.Fatalf("%v %s", err, out)
	}
	r.explained(string(out), conflict.L25)
	r.explained("Error: listen tcp: address 127.0.0.1:99999: invalid port", conflict.L25)
}

// causeConnectionsLeft: a server that has closed its listener still talks to
// somebody.
func causeConnectionsLeft(_ *testing.T, r *room) {
	r.python(`s = socket.create_server(("127.0.0.1", 8080))
c = socket.create_connection(("127.0.0.1", 8080))
a, _ = s.accept()
s.close()`)
	r.explained(r.refused("root", "tcp:0.0.0.0:8080", inUse), conflict.L26)
	r.judged("root", "8080", "0.0.0.0", "fails EADDRINUSE L26")
}

func causeProjectTwice(t *testing.T, r *room) {
	r.subdir("shop", "root")
	r.file("shop/compose.yaml", "services:\n  web:\n    image: x\n    ports:\n      - \"8080:80\"\n")
	r.file("shop/compose.override.yaml", "services:\n  web:\n    ports:\n      - \"8080:8181\"\n")
	c, code := r.check(filepath.Join(r.dir, "shop"))
	if n := len(c.Data.Claims); code != 1 || n < 2 || !slices.ContainsFunc(c.Data.Claims, func(c checkedClaim) bool {
		return c.Cause == "D4" && c.Outcome == "fails" && strings.HasSuffix(c.File, "compose.override.yaml") && against(c, "compose.yaml:5")
	}) {
		t.Errorf("exit %d, %v", code, c.Data.Claims)
	}
}

func causeHostPort(_ *testing.T, r *room) {
	pod := "apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec:\n  containers:\n    - name: web\n      ports: [{containerPort: 80, hostPort: 8080}]\n"
	r.claimed("pods.yaml", fmt.Sprintf(pod, "a")+"---\n"+fmt.Sprintf(pod, "b"), "ok", "fails EADDRINUSE D10")
}

func causeNodePort(_ *testing.T, r *room) {
	service := "apiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec:\n  type: NodePort\n  ports: [{port: 80, nodePort: 30080}]\n"
	r.claimed("services.yaml", fmt.Sprintf(service, "a")+"---\n"+fmt.Sprintf(service, "b"), "ok", "fails EADDRINUSE D11")
}

// causeForward forwards a port with ssh, to the sshd beside it.
func causeForward(t *testing.T, r *room) {
	sshd := netnstest.Need(t, "sshd")
	netnstest.Need(t, "ssh")
	r.run("sh", "-ec", `cd "$0"; mkdir -p /run/sshd; ssh-keygen -q -t ed25519 -N '' -f host; ssh-keygen -q -t ed25519 -N '' -f key; cp key.pub keys`, r.dir)
	r.daemon("root", sshd, "-D", "-e", "-f", r.file("sshd_config", fmt.Sprintf(
		"Port 2222\nListenAddress 127.0.0.1\nHostKey %[1]s/host\nAuthorizedKeysFile %[1]s/keys\nStrictModes no\nPermitRootLogin yes\nUsePAM no\nPidFile none\n", r.dir)))
	r.waitFor("tcp 2222")
	r.daemon("root", "ssh", "-F", "none", "-N", "-L", "127.0.0.1:8080:127.0.0.1:2222", "-p", "2222", "-i", filepath.Join(r.dir, "key"),
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "root@127.0.0.1")
	r.waitFor("tcp 8080")
	r.explained(r.refused("root", "tcp:127.0.0.1:8080", inUse), conflict.D13)
	r.judged("root", "8080", "0.0.0.0", "fails EADDRINUSE D13")
}

func causeBlockedByBrowsers(t *testing.T, r *room) {
	r.opens("root", "tcp:127.0.0.1:6000")
	r.explained("Failed to load resource: net::ERR_UNSAFE_PORT http://localhost:6000/", conflict.B1)
	text := string(r.monban("root", "check", r.file("compose.yaml", "services:\n  web:\n    image: x\n    ports: [\"6000:80\"]\n")))
	if !strings.Contains(text, "6000") || !strings.Contains(text, "warning") {
		t.Errorf("no warning:\n%s", text)
	}
}

func causeOtherLocalhost(t *testing.T, r *room) {
	netnstest.Need(t, "curl")
	r.start("root", "serve", "tcp:[::1]:5173")
	out, err := r.command("root", "curl", "-sS", "http://127.0.0.1:5173/").CombinedOutput()
	if err == nil {
		t.Fatalf("somebody answers: %s", out)
	}
	r.explained(string(out), conflict.B3)
}
