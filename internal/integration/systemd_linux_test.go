package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/monban-dev/monban/internal/integration/peers"
	"github.com/monban-dev/monban/internal/netnstest"
)

// TestSystemd boots a real systemd in a container made of this machine's own
// files. A unit of it looks with ss and monban, and the machine powers itself
// off; what they saw is judged here.
func TestSystemd(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "systemd-nspawn")
	r := newRoom(t, true)
	results := bootSystemd(r, units(), look)
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(results, name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(text))
	}

	e := parse(t, []byte(read("status.json")))
	same(t, "ss", peers.Keys(ssRows(t, read("ss"))), monbanRows(t, []byte(read("status.json"))))

	checkUnit(t, e, 8080, "web.service", "fixture", read("web.pid"))
	checkUnit(t, e, 7070, "held.socket", "systemd", "1")
	checkUnit(t, e, 22, "ssh.socket", "systemd", "1")

	again := parse(t, []byte(read("restarted.json")))
	if read("web.pid") == read("restarted.pid") {
		t.Error("web.service was not restarted")
	}
	checkUnit(t, again, 8080, "web.service", "fixture", read("restarted.pid"))

	// Reading must never start anything: a connection to the socket of a stopped
	// Docker would.
	if state := read("docker.state"); state != "inactive" {
		t.Errorf("docker.service is %s after looking", state)
	}
	if _, err := os.Stat(filepath.Join(results, "docker-was-started")); err == nil {
		t.Error("looking has started docker.service")
	}
	if !e.hasGap("docker", "Containers and their published ports") {
		t.Errorf("a stopped Docker is no gap: %+v", e.Gaps)
	}
	if e.Host.Container != "systemd-nspawn" || !e.hasGap("host", "inside a container") {
		t.Errorf("container %q, gaps %+v; want systemd-nspawn, and a word about the outside", e.Host.Container, e.Gaps)
	}
}

func checkUnit(t *testing.T, e envelope, port int, unit, name, pid string) {
	t.Helper()
	doors := e.find("tcp", port)
	if len(doors) == 0 {
		t.Errorf("no door %d", port)
	}
	for _, d := range doors {
		if len(d.Owners) == 0 {
			t.Errorf("%s: no owner", d)
			continue
		}
		o := d.Owners[0]
		if o.Unit != unit || o.Name != name || strconv.Itoa(o.PID) != pid {
			t.Errorf("%s: unit %q, program %q, process %d; want %s, %s, %s", d, o.Unit, o.Name, o.PID, unit, name, pid)
		}
	}
}

// units are the files of the machine's /etc/systemd/system. Docker's are ours,
// with the names and the socket of the real ones.
func units() map[string]string {
	return map[string]string{
		"look.target": `[Unit]
Requires=basic.target look.service
AllowIsolate=yes
`,
		"look.service": `[Unit]
Wants=web.service held.socket ssh.socket docker.socket
After=basic.target web.service held.socket ssh.socket docker.socket
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
StandardOutput=file:/results/log
StandardError=file:/results/log
ExecStart=/bin/sh -eux /results/look.sh
`,
		"web.service": `[Service]
ExecStart=/programs/fixture serve tcp:[::]:8080
User=nobody
Restart=always
RestartSec=10ms
`,
		"held.socket": `[Socket]
ListenStream=127.0.0.1:7070
`,
		"held.service": `[Service]
ExecStart=/bin/false
`,
		"ssh.socket": `[Socket]
ListenStream=22
Accept=yes
`,
		"ssh@.service": `[Service]
ExecStart=/bin/false
StandardInput=socket
`,
		"docker.socket": `[Socket]
ListenStream=/run/docker.sock
`,
		"docker.service": `[Service]
ExecStart=/bin/touch /results/docker-was-started
`,
	}
}

// look is what runs inside, as root, once everything is up.
const look = `cd /results
until ss -Htln | grep -q :8080; do sleep 0.05; done
systemctl show --property=MainPID --value web.service >web.pid
# While systemd starts something, its children have all its sockets for a moment.
rest() { for i in $(seq 2400); do if ! systemctl list-jobs --no-legend | grep -qv ' look\.'; then return; fi; sleep 0.05; done; }
rest
while :; do
	ss -Htulnpe >ss
	/programs/monban-static --json >status.json
	ss -Htulnpe | cmp -s ss - && break
done
/programs/monban-static >status.txt
kill -9 "$(cat web.pid)"
until systemctl show --property=MainPID --value web.service >restarted.pid &&
	! grep -qx -e 0 -f web.pid restarted.pid && ss -Htln | grep -q :8080; do sleep 0.05; done
/programs/monban-static --json >restarted.json
systemctl is-active docker.service >docker.state || true
`

// bootSystemd boots a machine with the given units, of which look.service runs
// look and powers it off, and returns the directory with what look left.
func bootSystemd(r *room, units map[string]string, look string) (results string) {
	r.t.Helper()
	results = r.subdir("results", "root")
	r.file("results/look.sh", look)
	program(r.t, "fixture")
	programs := filepath.Dir(program(r.t, "monban-static"))

	tree := overlay(r)
	for name, text := range units {
		r.file(filepath.Join("system", name), text)
	}
	// In cgroups of its own: beside each other, two machines would have the same.
	cmd := r.command("root", "sh", "-ec", `group=$1; shift
for top in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
	if test -w $top/cgroup.procs; then mkdir $top/$group; echo $$ >$top/$group/cgroup.procs; fi
done
exec "$@"`, "sh", ownCgroup(r.t),
		"timeout", "--signal=KILL", "1200", "systemd-nspawn", "--quiet", "--directory="+tree, "--register=no", "--keep-unit",
		"--private-network", "--link-journal=no", "--resolv-conf=off", "--timezone=off",
		"--bind="+results+":/results", "--bind-ro="+programs+":/programs",
		"--bind-ro="+filepath.Join(r.dir, "system")+":/etc/systemd/system",
		"--boot", "--", "--unit=look.target")
	console, err := cmd.CombinedOutput()
	r.t.Cleanup(func() {
		if r.t.Failed() {
			log, _ := os.ReadFile(filepath.Join(results, "log"))
			r.t.Logf("console: %s\nlook: %s", console, log)
		}
	})
	if err != nil {
		r.t.Fatalf("systemd-nspawn: %v", err)
	}
	return results
}

// overlay mounts this machine's files in the room, to be changed without
// changing them.
func overlay(r *room) string {
	r.t.Helper()
	layers := r.subdir("layers", "root")
	r.subdir("system", "root")
	r.run("mount", "-t", "tmpfs", "tmpfs", layers)
	for _, d := range []string{"up", "work", "tree"} {
		r.run("mkdir", filepath.Join(layers, d))
	}
	r.run("mount", "-t", "overlay", "overlay", "-o",
		fmt.Sprintf("lowerdir=/,upperdir=%[1]s/up,workdir=%[1]s/work", layers), layers+"/tree")
	return layers + "/tree"
}
