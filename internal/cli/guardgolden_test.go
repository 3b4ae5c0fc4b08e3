package cli

import (
	"net/netip"
	"testing"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/report"
)

// shownGuards are results of guard with every outcome, reason and note.
func shownGuards() map[string]report.Guard {
	ranges := func(list ...string) (out []monban.AddrRange) {
		for _, s := range list {
			out = append(out, monban.RangeOf(netip.MustParsePrefix(s)))
		}
		return out
	}
	port := func(n uint16) monban.PortRange { return monban.PortRange{First: n, Last: n, Proto: monban.TCP} }
	any := []monban.Audience{{Kind: monban.Anybody}}
	p := &monban.Policy{Doors: []monban.PolicyDoor{
		{Ports: port(443), To: any, For: "website"},
		{Ports: port(22), To: []monban.Audience{{Kind: monban.ToAddresses, Ranges: ranges("192.0.2.0/24")}, {Kind: monban.ByName, Name: "bastion.example", Ranges: ranges("198.51.100.7/32")},
			{Kind: monban.ByInterface, Name: "wg0"}}, Limit: monban.Rate{N: 10, Per: time.Minute}, For: "administrators"},
		{Ports: port(5432), To: []monban.Audience{{Kind: monban.ThisMachine}}},
		{Ports: port(3000), To: []monban.Audience{{Kind: monban.ThisNetwork, Ranges: ranges("10.0.0.0/24")}}, For: "Grafana"},
		{Protocol: 50, To: []monban.Audience{{Kind: monban.ToAddresses, Ranges: ranges("203.0.113.5/32")}}, For: "the other end"},
	}}
	redis := monban.Door{Bind: monban.Bind{Port: monban.Port{Num: 6379, Proto: monban.TCP}, Addr: netip.IPv4Unspecified()},
		Owners: []monban.Owner{{PID: 812, Name: "redis-server", User: "redis"}}}
	changes := []report.GuardChange{
		{Ports: port(443), Gain: ranges("0.0.0.0/0", "::/0"), AllGain: true},
		{Ports: port(22), Lose: ranges("203.0.113.0/24"), Gain: ranges("192.0.2.0/24"), GainBy: []string{"wg0"}, Device: "eth0"},
		{Ports: port(6379), Lose: ranges("0.0.0.0/0", "::/0"), AllLose: true, Doors: []monban.Door{redis}},
		{Protocol: 50, Lose: ranges("198.51.100.0/24")},
	}
	reasons := func(list ...[]string) (out []report.GuardRefusal) {
		for _, r := range list {
			out = append(out, report.GuardRefusal{Reason: r[0], Args: r[1:]})
		}
		return out
	}
	notes := func(list ...[]string) (out []report.GuardNote) {
		for _, n := range list {
			out = append(out, report.GuardNote{Code: n[0], Args: n[1:]})
		}
		return out
	}
	const file = "monban.yaml"
	differs := []report.GuardDifference{{Missing: true, Line: "open4: tcp 443 0.0.0.0/0 accept"}, {Line: "open4: tcp 80 0.0.0.0/0 accept"}}
	in := report.GuardState{Table: true, Saved: true, Boot: true, Manager: "systemd"}
	return map[string]report.Guard{
		"guard-plan": {Action: "plan", Outcome: report.GuardDiffers, File: file, Policy: p, Changes: changes, Differences: differs,
			Notes: append(notes([]string{"beside", "firewalld"}, []string{"closed-elsewhere", "443/tcp", "inet firewalld filter_IN_public handle 72: reject"},
				[]string{"closed-to", "22/tcp", "ip filter INPUT: policy drop", "192.0.2.128/25"}, []string{"undecided", "3000/tcp"}, []string{"no-listener", "5432/tcp"},
				[]string{"session", "192.0.2.7", "22/tcp"}, []string{"session-closed", "192.0.2.7", "22/tcp", "ip filter INPUT: policy drop"}, []string{"trial-running", "42"}, []string{"cut-allowed"}),
				report.GuardNote{Code: "open-there", Args: []string{"firewalld"}, Commands: [][]string{{"firewall-cmd", "--zone=public", "--add-port=443/tcp"},
					{"firewall-cmd", "--zone=public", `--add-rich-rule=rule family="ipv4" source address="192.0.2.0/24" port port="22" protocol="tcp" accept`}}},
				report.GuardNote{Code: "look-there", Args: []string{"ufw"}, Commands: [][]string{{"ufw", "status", "numbered"}}})},
		"guard-plan-same":  {Action: "plan", Outcome: report.GuardSame, File: file, Policy: p},
		"guard-plan-blind": {Action: "plan", Outcome: report.GuardUnknown, File: file, Policy: p},
		"guard-native": {Action: "plan", File: file, Policy: p, System: "windows", Native: []string{"netsh advfirewall set allprofiles firewallpolicy blockinbound,allowoutbound"},
			Refused: reasons([]string{"unsupported"}), Notes: notes([]string{"left-out", "22/tcp"}, []string{"native-others"})},
		"guard-trial":     {Action: "apply", Outcome: report.GuardOnTrial, File: file, Policy: p, PlanShown: true, State: report.GuardState{Table: true, Left: time.Minute}},
		"guard-declined":  {Action: "apply", Outcome: report.GuardDeclined, File: file, Policy: p, PlanShown: true},
		"guard-confirmed": {Action: "confirm", Outcome: report.GuardConfirmed, State: in},
		"guard-confirmed-not-at-boot": {Action: "confirm", Outcome: report.GuardConfirmed, State: report.GuardState{Table: true, Saved: true},
			Notes: notes([]string{"boot", "/home/hana/monban: others may write (mode 0775, owner 1000)"})},
		"guard-left":        {Action: "off", Outcome: report.GuardLeft, Refused: reasons([]string{"left", "remove /etc/systemd/system/monban-guard.service: read-only file system"})},
		"guard-unsaved":     {Action: "confirm", Outcome: report.GuardUnsaved, Policy: p, File: file, Refused: reasons([]string{"not-saved", "/var/lib/monban/guard.json", "read-only file system"})},
		"guard-loaded":      {Action: "apply", Outcome: report.GuardLoaded, State: in, PlanShown: true},
		"guard-rolled-back": {Action: "rollback", Outcome: report.GuardRolledBack},
		"guard-off":         {Action: "off", Outcome: report.GuardOff},
		"guard-edited":      {Action: "open", Outcome: report.GuardEdited, File: "/srv/our doors.yaml", Named: true, Changes: changes[:1]},
		"guard-no-policy":   {Action: "status", Outcome: report.GuardNoPolicy},
		"guard-first-trial": {Action: "status", Outcome: report.GuardNoPolicy, State: report.GuardState{Table: true, Left: 42 * time.Second}},
		"guard-drift":       {Action: "status", Outcome: report.GuardDiffers, File: file, Policy: p, State: in, Differences: differs},
		"guard-gone":        {Action: "status", Outcome: report.GuardDiffers, File: file, Policy: p, State: report.GuardState{Saved: true}, Differences: differs, Notes: notes([]string{"unsaved", file}, []string{"not-at-boot"})},
		"guard-refused": {Action: "apply", Outcome: report.GuardRefused, File: file, PlanShown: true, Refused: reasons(
			[]string{"cuts-session", "192.0.2.7", "22/tcp"}, []string{"last-administrator", "22/tcp"}, []string{"trial"}, []string{"no-trial"}, []string{"same-session"}, []string{"old-session"}, []string{"inside-session"}, []string{"busy", "/run/monban"}, []string{"failed", "nf_tables, message 7: no buffer space available"}, []string{"may-cut-session", "192.0.2.9", "22/tcp"}, []string{"unclear-session"},
			[]string{"changed"}, []string{"touched"}, []string{"foreign"}, []string{"unproven", "after that trial a port was reached: false"}, []string{"privilege", "operation not permitted"},
			[]string{"nothing-saved"}, []string{"no-record", "/run/monban"},
			[]string{"cannot-save", "no space left on device"})},
	}
}

func TestGuardGolden(t *testing.T) { goldenShown(t, "guard", shownGuards()) }
