package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/monban-dev/monban/internal/netnstest"
)

// TestGuardAtBoot boots a real systemd twice: the first time a policy is confirmed
// there, and what that wrote is carried over to the second machine, where the
// policy has to be in force before the network is. Then somebody takes the table
// away, and the check that runs after boot has to notice.
func TestGuardAtBoot(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "systemd-nspawn")
	read := func(dir, name string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	// The program lies where nobody else may write, as an installed one does.
	first := bootSystemd(newRoom(t, true), map[string]string{"look.target": lookTarget, "look.service": lookService}, `cd /results
mount -o remount,bind,rw /etc/systemd/system
install -m 755 /programs/monban-static /usr/bin/monban
printf 'monban: 1\ndoors:\n  - {port: 22, to: 192.0.2.0/24, for: administrators}\n' >/etc/monban.yaml
monban guard apply --yes --timeout 1h -f /etc/monban.yaml
monban guard confirm >confirmed
monban guard status >status
mkdir keep
cp -a /etc/systemd/system/monban-guard.service /etc/systemd/system/monban-guard-verify.service keep/
ls /etc/systemd/system/sysinit.target.wants /etc/systemd/system/multi-user.target.wants >wants
cp /var/lib/monban/guard.json keep/
stat -c '%a %U' /var/lib/monban/guard.json >mode
monban guard off --yes
ls /etc/systemd/system >left
`)
	if text := read(first, "confirmed"); !strings.Contains(text, "loaded at every boot") {
		t.Errorf("confirm said: %s", text)
	}
	if text := read(first, "mode"); text != "600 root\n" {
		t.Errorf("the saved policy is %s", text)
	}
	if text := read(first, "wants"); strings.Count(text, "monban-guard") != 2 {
		t.Errorf("switched on are: %s", text)
	}
	if text := read(first, "left"); strings.Contains(text, "monban") {
		t.Errorf("after off there is still: %s", text)
	}

	keep := filepath.Join(first, "keep")
	second := newRoom(t, true)
	units := map[string]string{
		"look.target": lookTarget,
		// It waits for the guard as network-pre.target does.
		"look.service": strings.Replace(lookService, "After=basic.target", "After=basic.target network-pre.target monban-guard.service\nWants=network-pre.target monban-guard.service", 1),
	}
	for _, name := range []string{"monban-guard.service", "monban-guard-verify.service"} {
		units[name] = read(keep, name)
	}
	// /usr/bin and /var/lib are those of the first start of this machine.
	units["seed.service"] = `[Unit]
DefaultDependencies=no
Before=monban-guard.service
After=local-fs.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'install -m 755 /programs/monban-static /usr/bin/monban; mkdir -p /var/lib/monban; install -m 600 /system-keep/guard.json /var/lib/monban/guard.json'
`
	units["seed.service"] = strings.Replace(units["seed.service"], "/system-keep/guard.json", "/etc/systemd/system/guard.json", 1)
	units["guard.json"] = read(keep, "guard.json")
	units["monban-guard.service"] = strings.Replace(units["monban-guard.service"], "[Unit]\n", "[Unit]\nRequires=seed.service\nAfter=seed.service\n", 1)
	results := bootSystemd(second, units, `cd /results
systemctl show --property=ActiveState --property=Result --property=Before --property=CapabilityBoundingSet monban-guard.service >state
systemctl show --property=ActiveEnterTimestampMonotonic --value monban-guard.service >guard.at
systemctl show --property=ActiveEnterTimestampMonotonic --value network-pre.target >network.at
nft list table inet monban >table
monban guard status >status
systemctl start monban-guard-verify.service
nft flush ruleset
systemctl start monban-guard-verify.service || echo failed >noticed
`)
	for _, want := range []string{"ActiveState=active", "Result=success", "CapabilityBoundingSet=cap_net_admin\n", "network-pre.target"} {
		if text := read(results, "state"); !strings.Contains(text, want) {
			t.Errorf("the unit is not %s:\n%s", want, text)
		}
	}
	if text := read(results, "table"); !strings.Contains(text, "tcp . 22 . 192.0.2.0/24 : accept") {
		t.Errorf("after boot the rules are:\n%s", text)
	}
	if before, after := strings.TrimSpace(read(results, "guard.at")), strings.TrimSpace(read(results, "network.at")); len(before) > len(after) || len(before) == len(after) && before > after {
		t.Errorf("the policy came at %s, the network's target at %s", before, after)
	}
	if read(results, "noticed") != "failed\n" {
		t.Error("nobody noticed that the rules are gone")
	}
}

const (
	lookTarget = `[Unit]
Requires=basic.target look.service
AllowIsolate=yes
`
	lookService = `[Unit]
After=basic.target
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
StandardOutput=file:/results/log
StandardError=file:/results/log
ExecStart=/bin/sh -eux /results/look.sh
`
)
