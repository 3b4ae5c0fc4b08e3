package integration

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/monban-dev/monban/internal/netnstest"
)

// TestFreeSystemd frees ports that a real systemd has, in a container made of
// this machine's own files.
func TestFreeSystemd(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "systemd-nspawn")
	results := bootSystemd(newRoom(t, true), freeUnits(), freeLook)
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(results, name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(text))
	}
	asked := func(name, code string) freed {
		t.Helper()
		if got := read(name + ".code"); got != code {
			t.Errorf("%s: exit %s, want %s", name, got, code)
		}
		return decodeFreed(t, []byte(read(name+".json")))
	}
	command := func(f freed, want string) {
		t.Helper()
		if len(f.Steps) != 1 || strings.Join(f.Steps[0].Command, " ") != want {
			t.Errorf("%+v, want %s", f.Steps, want)
		}
	}

	web := asked("web", "0")
	command(web, "systemctl stop web.service")
	if web.Outcome != "freed" || read("web.state") != "inactive" {
		t.Errorf("%s, the service is %s", web.Outcome, read("web.state"))
	}

	held := asked("held", "0")
	command(held, "systemctl stop held.socket held.service")
	if held.Outcome != "freed" || read("held.state") != "inactive\ninactive" {
		t.Errorf("%s, the units are %s", held.Outcome, read("held.state"))
	}
	if len(held.Steps) == 1 && len(held.Steps[0].Also) != 1 {
		t.Errorf("%+v, want 7071 to close as well", held.Steps[0].Also)
	}

	ssh := asked("ssh", "4")
	if ssh.Outcome != "refused" || ssh.Reason != "lifeline" || read("ssh.state") != "active" {
		t.Errorf("%+v, the socket unit is %s", ssh, read("ssh.state"))
	}

	back := asked("back", "4")
	switch {
	case back.Outcome == "failed" && back.Reason == "still-open" && len(back.Steps) == 1 && strings.Contains(back.Steps[0].Output, "canceled"):
		// The other start came while systemd was still stopping the unit.
	case back.Outcome != "failed" || back.Reason != "came-back" || len(back.Fix) == 0 ||
		!slices.Equal(back.Fix[0].Command, []string{"systemctl", "stop", "back.service"}):
		t.Errorf("%+v", back)
	}

	// A cgroup that is only called like a unit: the unit is not stopped for it.
	fake := asked("fake", "4")
	if fake.Outcome != "refused" || fake.Reason != "changed" || read("fake.state") != "active" {
		t.Errorf("%+v, the unit is %s", fake, read("fake.state"))
	}

	// A user's own manager, commanded by root and by that user.
	root := asked("byroot", "0")
	command(root, "systemctl --user --machine=www-data@.host stop mine.service")
	user := asked("byuser", "0")
	command(user, "systemctl --user stop mine.service")
	if root.Outcome != "freed" || user.Outcome != "freed" || read("mine.state") != "inactive\ninactive" {
		t.Errorf("%s, %s; the unit was %s", root.Outcome, user.Outcome, read("mine.state"))
	}
	if other := asked("byother", "4"); other.Reason != "privilege" {
		t.Errorf("%+v", other)
	}

	if nobody := asked("nobody", "4"); nobody.Reason != "privilege" || read("fake.state") != "active" {
		t.Errorf("%+v", nobody)
	}
	if own := asked("own", "4"); own.Reason != "ancestor" && own.Reason != "own-unit" {
		t.Errorf("%+v, want to be told that this runs inside", own)
	}
}

func freeUnits() map[string]string {
	serve := func(door string) string {
		return "[Service]\nExecStart=/programs/fixture serve " + door + "\nUser=nobody\nRestart=always\nRestartSec=10ms\n"
	}
	return map[string]string{
		"look.target": "[Unit]\nRequires=basic.target look.service\nAllowIsolate=yes\n",
		"look.service": `[Unit]
Wants=web.service other.service held.socket ssh.socket back.service poke.service
After=basic.target web.service other.service held.socket ssh.socket back.service
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
StandardOutput=file:/results/log
StandardError=file:/results/log
ExecStart=/programs/fixture with tcp:127.0.0.1:8099 -- /bin/sh -eux /results/look.sh
`,
		"web.service":   serve("tcp:[::]:8080"),
		"other.service": serve("tcp:127.0.0.1:8084"),
		"held.socket":   "[Socket]\nListenStream=127.0.0.1:7070\nListenStream=127.0.0.1:7071\n",
		"held.service":  "[Service]\nExecStart=/programs/fixture linger\n",
		"ssh.socket":    "[Socket]\nListenStream=22\nAccept=yes\n",
		"ssh@.service":  "[Service]\nExecStart=/bin/false\nStandardInput=socket\n",
		"back.service":  serve("tcp:127.0.0.1:8082"),
		"poke.service":  "[Service]\nExecStart=/bin/sh -c 'while :; do systemctl start back.service; sleep 0.05; done'\n",
	}
}

const freeLook = `cd /results
up() { until ss -Htln | grep -q ":$1 "; do sleep 0.05; done; }
ask() {
	name=$1 port=$2
	shift 2
	set +e
	"$@" /programs/monban-static free "$port" --json --yes >"$name.json"
	echo $? >"$name.code"
	set -e
}
for port in 8080 8082 8084 7070 22; do up $port; done
systemctl start held.service
ask web 8080
systemctl is-active web.service >web.state || true
ask held 7070
systemctl is-active held.socket held.service >held.state || true
ask ssh 22
systemctl is-active ssh.socket >ssh.state || true
ask back 8082
groups=/sys/fs/cgroup
if test -d $groups/systemd; then groups=$groups/systemd; fi
mkdir -p $groups/fake/other.service
sh -c "echo \$\$ >$groups/fake/other.service/cgroup.procs; exec /programs/fixture serve tcp:127.0.0.1:8083" &
up 8083
ask fake 8083
systemctl is-active other.service >fake.state || true
cat >/etc/systemd/user/mine.service <<-end
	[Service]
	ExecStart=/programs/fixture serve tcp:127.0.0.1:8085
	Restart=always
end
mine="systemctl --user --machine=www-data@.host"
systemctl start user@33.service
$mine start mine.service
up 8085
ask byother 8085 setpriv --reuid=65534 --regid=65534 --clear-groups
ask byroot 8085
$mine is-active mine.service >mine.state || true
$mine start mine.service
up 8085
ask byuser 8085 setpriv --reuid=33 --regid=33 --clear-groups env XDG_RUNTIME_DIR=/run/user/33
$mine is-active mine.service >>mine.state || true
ask nobody 8084 setpriv --reuid=65534 --regid=65534 --clear-groups
ask own 8099
`
