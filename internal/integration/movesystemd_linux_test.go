package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/monban-dev/monban/internal/netnstest"
)

// moveScript is what the look of each machine begins with: a monban where nobody
// else may write, a /etc/systemd/system to write in, and words for the tests.
const moveScript = `cd /results
mkdir /run/units
cp -a /etc/systemd/system/. /run/units/
mount --bind /run/units /etc/systemd/system
install -m 755 /programs/monban-static /usr/bin/monban
rm -f /etc/ssh/sshd_config.d/*; ssh-keygen -A >/dev/null
banner() { timeout 240 /bin/bash -c 'exec 3<>/dev/tcp/127.0.0.1/'$1' && head -c 7 <&3' 2>/dev/null | grep -q SSH-2.0; }
now() { for p in 22 1011; do if banner $p; then echo -n "$p "; fi; done; }
everything() { (cd /etc; for d in ssh systemd/system; do find $d -type f -exec stat -c '%n %a %u %g' {} + -exec sha256sum {} +; find $d ! -type f; done | sort
	ls -A /run/systemd/system | grep -v '^transient$' || true; ls -A /var/lib/monban | grep -v '^move.lock$' || true; ss -Htln | awk '{print $4}' | grep -v ':5355' | sort); }
wait_over() { for i in $(seq 2400); do
	if [ ! -e /var/lib/monban/move.json ]; then case $(systemctl is-active monban-move-back.service) in activating | deactivating | reloading) ;; *) return 0 ;; esac; fi; sleep 0.1; done
	{ echo "not over"; systemctl status monban-move-back.service ssh.socket ssh.service; cat /var/lib/monban/move.json; } >&2; return 1; }
# The longest time without an answer is written when the file "watch" is gone.
watch() { touch /run/watch; /programs/fixture watch /run/watch 127.0.0.1:22 127.0.0.1:1011 >$1 & watcher=$!; }
unwatch() { rm -f /run/watch; wait $watcher; began=$(date +%s%N); /usr/sbin/sshd -t || true; echo $(($(date +%s%N) - began)) >>starts; }
# A trial of $1 seconds is begun by $2 and looked at by $3; where that failed and took
# longer, it was over, and there is another one of four times as many.
try() { for limit in $1 $(($1 * 4)) $(($1 * 16)); do
	trial=$(date +%s)
	if $2 && $3; then return 0; fi
	if [ $(($(date +%s) - trial)) -lt $limit ]; then echo "failed within $limit s" >&2; return 1; fi
	wait_over; done
	echo "no trial was long enough" >&2; return 1; }
closed() { while ss -Htln | grep -q ":$1 "; do sleep 0.05; done; }
rm -rf /var/lib/monban
mkdir -p /var/lib/monban
`

// killed begins a move that is killed before each of its steps in turn, and each
// time waits for the timer.
const killedScript = `everything >before
n=1
while [ $n -le $STEPS ]; do
	watch outage.$n
	/programs/interrupted $n 'kill -9 $1' /usr/bin/monban move ssh 1011 --yes --timeout 5s >killed.$n 2>&1 || true
	# What was killed before the timer was armed is put back by the next run.
	if [ -e /var/lib/monban/move.json ] && ! systemctl is-active -q monban-move-back.timer; then sleep 5; monban move ssh 22 --yes >/dev/null || true; fi
	wait_over
	unwatch
	systemctl reset-failed monban-move-back.service 2>/dev/null || true
	now >after.$n
	everything >everything.$n
	cmp before everything.$n >differs.$n 2>&1 || diff before everything.$n >differs.$n || true
	n=$((n+1))
done
`

// TestMoveSystemd moves SSH under a real systemd: sshd as a service, and as what a
// socket unit starts, with one service for all connections, as Debian 12 and Ubuntu
// have it. The timer is systemd's own; monban is killed before each step.
func TestMoveSystemd(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "systemd-nspawn")
	netnstest.Need(t, "sshd")
	program(t, "interrupted")
	for _, test := range []struct {
		name, unit, way string
		start           string
		steps           string
	}{
		{"service", "ssh.service", "sshd", "systemctl start ssh.service", "6"},
		// A connection has been made, so the service runs beside its socket.
		{"socket", "ssh.socket", "socket", "systemctl start ssh.socket; banner 22; systemctl is-active ssh.service", "6"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			look := moveScript + test.start + `
everything >first
monban move ssh 1011 --dry-run --json >dry.json
everything | cmp first -
begin() { monban move ssh 1011 --yes --timeout ${limit}s --json >begun.json || { cat begun.json >&2; return 1; }; }
look() {
	now >trial.ports
	systemctl list-timers --all >timers
	monban move confirm >unproven 2>&1 || echo $? >unproven.code
	[ "$(cat trial.ports)" = "22 1011 " ]
}
try 12 begin look
wait_over
now >timer.ports
everything >second
# What a boot does: no timer, and the unit that is wanted.
monban move ssh 1011 --yes --timeout 1h >hour || { cat hour >&2; systemctl status ssh.socket ssh.service >&2; exit 1; }
readlink -e /etc/systemd/system/multi-user.target.wants/monban-move-back.service >wanted
systemctl stop monban-move-back.timer
systemctl start monban-move-back.service
everything >booted
` + strings.ReplaceAll(killedScript, "$STEPS", test.steps) + `
watch outage.confirm
monban move ssh 1011 --yes --timeout 1h >/dev/null
SSH_CONNECTION='192.0.2.9 50000 192.0.2.1 1011' monban move confirm --json >confirmed.json
unwatch
now >confirmed.ports
ls -A /var/lib/monban /run/systemd/system /etc/systemd/system >left
systemctl stop ssh.socket ssh.service 2>/dev/null || true
closed 1011
` + strings.Replace(test.start, "banner 22; systemctl is-active ssh.service", "true", 1) + `
now >restarted.ports
`
			results := bootSystemd(newRoom(t, true), map[string]string{"look.target": lookTarget,
				"look.service": lookService}, look)
			read := func(name string) string {
				t.Helper()
				text, err := os.ReadFile(filepath.Join(results, name))
				if err != nil {
					t.Fatal(err)
				}
				return strings.TrimSpace(string(text))
			}
			answer := func(name string) (a moveAnswer) {
				t.Helper()
				var e struct{ Data *moveAnswer }
				e.Data = &a
				if err := json.Unmarshal([]byte(read(name)), &e); err != nil {
					t.Fatal(err)
				}
				return a
			}
			if a := answer("begun.json"); a.Outcome != "on-trial" || a.Way != test.way {
				t.Errorf("%+v", a)
			}
			for name, want := range map[string]string{"trial.ports": "22 1011", "timer.ports": "22", "confirmed.ports": "1011", "restarted.ports": "1011", "unproven.code": "4"} {
				if got := read(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if got := read("timers"); !strings.Contains(got, "monban-move-back.timer") {
				t.Errorf("timers: %s", got)
			}
			for _, name := range []string{"second", "booted"} {
				if first, then := read("first"), read(name); first != then {
					t.Errorf("%s: not as it was:\n%s", name, difference(first+"\n", then+"\n"))
				}
			}
			if got := read("wanted"); got != "/etc/systemd/system/monban-move-back.service" {
				t.Errorf("at boot %q is wanted", got)
			}
			for n := '1'; string(n) <= test.steps; n++ {
				at := "killed " + read("killed."+string(n))
				if got := read("after." + string(n)); got != "22" {
					t.Errorf("%s: afterwards %q answer", at, got)
				}
				if got := read("differs." + string(n)); got != "" {
					t.Errorf("%s: not as it was:\n%s", at, got)
				}
				if got := read("outage." + string(n)); tooLong(t, got, read("starts")) {
					t.Errorf("%s: for %s ns neither port answered", at, got)
				}
			}
			if got := read("left"); strings.Contains(got, "monban") {
				if !strings.Contains(got, "/var/lib/monban:\nmove.lock") || strings.Count(got, "monban") != 1 {
					t.Errorf("there is left:\n%s", got)
				}
			}
		})
	}
}

// TestMoveSystemdClosing kills monban before each step of closing the old door: the
// timer goes on with it. And what a socket unit cannot open is put back by systemd at
// once, with no monban alive and the timer far away.
func TestMoveSystemdClosing(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "systemd-nspawn")
	netnstest.Need(t, "sshd")
	program(t, "interrupted")
	for _, steps := range []string{"1 2 3", "4 5 6"} {
		t.Run("step "+steps, func(t *testing.T) {
			t.Parallel()
			closing(t, steps)
		})
	}
}

func closing(t *testing.T, steps string) {
	look := moveScript + `systemctl start ssh.socket; banner 22; systemctl is-active ssh.service
everything >before
take="/programs/fixture serve tcp:[::]:1011 >/dev/null 2>&1 & until ss -Htln | grep -q :1011; do sleep 0.05; done"
give() { kill $(ss -Htlnp | grep fixture | sed 's/.*pid=\([0-9]*\).*/\1/' | sort -u); closed 1011; }
watch outage.busy
/programs/interrupted 5 "$take" /usr/bin/monban move ssh 1011 --yes --timeout 60s --json >busy.json 2>/dev/null || echo $? >busy.code
unwatch; give; everything >busy.everything
watch outage.alone
/programs/interrupted 5 "$take; systemctl restart ssh.socket; kill -9 \$1" /usr/bin/monban move ssh 1011 --yes --timeout 60s >/dev/null 2>&1 || true
wait_over
unwatch; give; everything >alone.everything
for k in ` + steps + `; do
	begin() { monban move ssh 1011 --yes --timeout ${limit}s >begun.$k || { cat begun.$k >&2; return 1; }; }
	close() { code=0; /programs/interrupted $k 'kill -9 $1' /usr/bin/monban move confirm --same-session >killed.$k 2>&1 || code=$?; [ $code = 137 ]; }
	watch outage.$k
	try 10 begin close
	wait_over
	unwatch
	now >after.$k
	systemctl reset-failed monban-move-back.service 2>/dev/null || true
	if [ $k -gt 1 ]; then
		monban move ssh 22 --yes --timeout 1h >back.$k
		monban move confirm --same-session >/dev/null
		now >again.$k
	fi
done
`
	results := bootSystemd(newRoom(t, true), map[string]string{"look.target": lookTarget,
		"look.service": lookService}, look)
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(results, name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(text))
	}
	if got := read("busy.code"); got != "4" || !strings.Contains(read("busy.json"), `"outcome":"failed"`) {
		t.Errorf("a busy port: exit %s\n%s", got, read("busy.json"))
	}
	for _, name := range []string{"busy", "alone"} {
		if before, then := read("before"), read(name+".everything"); before != then {
			t.Errorf("%s: not as it was:\n%s", name, difference(before+"\n", then+"\n"))
		}
	}
	for _, k := range strings.Fields(steps) {
		want := "1011"
		if k == "1" {
			want = "22"
		} else if got := read("again." + k); got != "22" {
			t.Errorf("moved back after %s: %q answer", read("killed."+k), got)
		}
		if got := read("after." + k); got != want {
			t.Errorf("%s: %q answer, want %s", read("killed."+k), got, want)
		}
	}
	for _, name := range append([]string{"busy", "alone"}, strings.Fields(steps)...) {
		if got := read("outage." + name); tooLong(t, got, read("starts")) {
			t.Errorf("%s: for %s ns neither port answered", name, got)
		}
	}
}

// tooLong reports whether neither port answered for longer than may be, given how long
// sshd took to start each time. All are numbers of nanoseconds.
func tooLong(t *testing.T, outageText, starts string) bool {
	t.Helper()
	limit := outage.Nanoseconds()
	for _, text := range strings.Fields(starts) {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		limit = max(limit, 20*n)
	}
	n, err := strconv.ParseInt(outageText, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n > limit
}

// TestMoveBoot boots a real systemd twice: the first machine is switched off while a
// move is on trial, with an hour to go, and the second one begins with its disk. It
// comes up with sshd at both ports and puts everything back by itself.
func TestMoveBoot(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "systemd-nspawn")
	netnstest.Need(t, "sshd")
	read := func(dir, name string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	first := bootSystemd(newRoom(t, true), map[string]string{"look.target": lookTarget, "look.service": lookService}, moveScript+`systemctl start ssh.service
cp /etc/ssh/sshd_config before
monban move ssh 1011 --yes --timeout 1h >/dev/null
cmp -s before /etc/ssh/sshd_config && exit 1
cp -L /etc/systemd/system/multi-user.target.wants/monban-move-back.service back.service
tar -C / -cf keep.tar var/lib/monban etc/ssh usr/bin/monban
`)
	seed := "[Unit]\nDefaultDependencies=no\nAfter=local-fs.target\nBefore=ssh.service monban-move-back.service\n" +
		"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'rm -rf /var/lib/monban /etc/ssh; tar -C / -xf /etc/systemd/system/keep.tar'\n"
	second := bootSystemd(newRoom(t, true), map[string]string{
		"look.target":  lookTarget,
		"look.service": strings.Replace(lookService, "After=basic.target", "Wants=seed.service ssh.service monban-move-back.service\nAfter=basic.target seed.service ssh.service monban-move-back.service", 1),
		"seed.service": seed, "keep.tar": read(first, "keep.tar"), "monban-move-back.service": read(first, "back.service"),
	}, `cd /results
cp /etc/ssh/sshd_config after
ls -A /var/lib/monban >left
ss -Htln | awk '{print $4}' | grep -v :5355 | sort -u >open
`)
	if before, after := read(first, "before"), read(second, "after"); before != after {
		t.Errorf("sshd_config is not as it was:\n%s", difference(before, after))
	}
	if got := read(second, "open"); strings.Contains(got, ":1011") || !strings.Contains(got, ":22") {
		t.Errorf("open are\n%s", got)
	}
	if got := read(second, "left"); got != "move.lock\n" {
		t.Errorf("there is left: %s", got)
	}
}
