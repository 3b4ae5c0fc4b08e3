package move

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/monban-dev/monban"
)

func door(port uint16, addr string, owners ...monban.Owner) monban.Door {
	return monban.Door{Bind: monban.Bind{Port: monban.Port{Num: port, Proto: monban.TCP}, Addr: netip.MustParseAddr(addr)}, State: monban.Listen, Owners: owners}
}

func sshd(args string) monban.Owner {
	return monban.Owner{PID: 812, Name: "sshd", Exe: "/usr/sbin/sshd", Unit: "ssh.service", Command: []string{"sshd: /usr/sbin/sshd " + args + " [listener] 0 of 10-100 startups"}}
}

// TestFind: who listens for SSH is who the kernel says, and those whom monban cannot
// tell to listen elsewhere are refused by name.
func TestFind(t *testing.T) {
	session := sshd("-D")
	session.Command, session.Parents = []string{"sshd: hana@pts/0"}, []monban.Parent{{PID: 812, Name: "sshd"}}
	inside := sshd("-D")
	inside.Container = "abc"
	for _, test := range []struct {
		name    string
		doors   []monban.Door
		way     Way
		old     uint16
		refused string
	}{
		{"sshd", []monban.Door{door(22, "0.0.0.0", sshd("-D")), door(22, "::", sshd("-D"))}, BySSHD, 22, ""},
		{"elsewhere already", []monban.Door{door(2222, "0.0.0.0", sshd("-D"))}, BySSHD, 2222, ""},
		{"at two ports", []monban.Door{door(2200, "0.0.0.0", sshd("-D")), door(22, "::", sshd("-D"))}, BySSHD, 22, ""},
		{"a forwarded port", []monban.Door{door(6010, "127.0.0.1", session), door(8022, "0.0.0.0", sshd("-D"))}, BySSHD, 8022, ""},
		{"only a forwarded port", []monban.Door{door(6010, "127.0.0.1", session)}, "", 0, "nobody"},
		{"systemd", []monban.Door{door(22, "::", monban.Owner{PID: 1, Name: "systemd", Unit: "ssh.socket"}, sshd("-D"))}, BySocket, 22, ""},
		{"dropbear", []monban.Door{door(2022, "::", monban.Owner{PID: 9, Name: "dropbear"})}, "", 0, "dropbear"},
		{"tinysshd", []monban.Door{door(22, "::", monban.Owner{PID: 9, Name: "tinysshd"})}, "", 0, "tinysshd"},
		{"docker-proxy", []monban.Door{{Bind: door(22, "::").Bind, State: monban.Listen, Owners: []monban.Owner{{PID: 9, Name: "docker-proxy"}}, To: monban.Target{Container: "abc"}}}, "", 0, "container"},
		{"published without a proxy", []monban.Door{{Bind: door(22, "::").Bind, State: monban.Forwarded, To: monban.Target{Container: "abc"}}}, "", 0, "container"},
		{"in a container", []monban.Door{door(22, "::", inside)}, "", 0, "container"},
		{"a stranger", []monban.Door{door(22, "::", monban.Owner{PID: 9, Name: "endlessh"})}, "", 0, "stranger"},
		{"unseen", []monban.Door{door(22, "::")}, "", 0, "unnamed"},
		{"nobody", nil, "", 0, "nobody"},
		{"-p", []monban.Door{door(22, "::", sshd("-D -p 22"))}, BySSHD, 22, "command-line"},
		{"-Dp22", []monban.Door{door(22, "::", sshd("-Dp22"))}, BySSHD, 22, "command-line"},
		{"-o", []monban.Door{door(22, "::", sshd("-o ListenAddress=[::]:22"))}, BySSHD, 22, "command-line"},
		{"-o of something else", []monban.Door{door(22, "::", sshd("-o UsePAM=no"))}, BySSHD, 22, ""},
		{"relative", []monban.Door{door(22, "::", sshd("-f sshd_config"))}, BySSHD, 22, "relative-config"},
	} {
		got, refused := Find(&monban.Snapshot{Doors: test.doors})
		reason := ""
		if refused != nil {
			reason = refused.Reason
		}
		if reason != test.refused || reason == "" && (got.Way != test.way || got.Old != test.old) {
			t.Errorf("%s: %s at %d, refused %q; want %s at %d, %q", test.name, got.Way, got.Old, reason, test.way, test.old, test.refused)
		}
	}
}

func TestAsking(t *testing.T) {
	truth, refused := Find(&monban.Snapshot{Doors: []monban.Door{door(22, "::", sshd("-De -f /etc/ssh/other -o UsePAM=no -4 -E /var/log/x"))}})
	if refused != nil {
		t.Fatal(refused)
	}
	if got, want := strings.Join(truth.asking("-T"), " "), "/usr/sbin/sshd -T -o UsePAM=no -4 -f /etc/ssh/other"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	plain := monban.Owner{PID: 7, Name: "sshd", Exe: "/opt/sbin/sshd (deleted)", Command: []string{"/opt/sbin/sshd", "-D"}}
	truth, _ = Find(&monban.Snapshot{Doors: []monban.Door{door(22, "::", plain)}})
	if got := strings.Join(truth.asking("-t"), " "); got != "/opt/sbin/sshd -t -f /etc/ssh/sshd_config" {
		t.Error(got)
	}
}

func TestSocket(t *testing.T) {
	s, ok := parseSocket([]byte("Listen=0.0.0.0:22 (Stream)\nListen=[::]:22 (Stream)\nListen=[::]:222 (Stream)\nListen=/run/ssh.sock (Stream)\nAccept=no\nTriggers=ssh.service\n"))
	if !ok || s.Service != "ssh.service" {
		t.Fatalf("%+v %v", s, ok)
	}
	moved, rest := s.at(22, 766)
	if !slices.Equal(moved, []string{"ListenStream=0.0.0.0:766", "ListenStream=[::]:766"}) || !slices.Equal(rest, []string{"ListenStream=[::]:222", "ListenStream=/run/ssh.sock"}) {
		t.Errorf("%q %q", moved, rest)
	}
	if s, ok := parseSocket([]byte("Listen=[::]:22 (Stream)\nAccept=yes\nTriggers=ssh@0.service\n")); !ok || s.Service != "" {
		t.Errorf("%+v %v", s, ok)
	}
	for _, text := range []string{"", "Listen=/run/x (FIFO)\n", "Listen=nonsense\n"} {
		if s, ok := parseSocket([]byte(text)); ok {
			t.Errorf("%q: %+v", text, s)
		}
	}
}

// TestUFWGates: what ufw does at the old port it does at the new one, in its order.
func TestUFWGates(t *testing.T) {
	root := fstest.MapFS{
		"etc/ufw/user.rules": {Data: []byte(`*filter
### tuple ### deny tcp 22 0.0.0.0/0 any 198.51.100.7 in comment=61
-A ufw-user-input -p tcp --dport 22 -s 198.51.100.7 -j DROP
### tuple ### limit tcp 22 0.0.0.0/0 any 0.0.0.0/0 OpenSSH - in
### tuple ### allow_log any 20:25 192.0.2.1 any 192.0.2.0/24 in_eth0
### tuple ### allow tcp 80,443 0.0.0.0/0 any 0.0.0.0/0 in
### tuple ### allow udp 22 0.0.0.0/0 any 0.0.0.0/0 in
### tuple ### deny tcp 22 0.0.0.0/0 any 0.0.0.0/0 out
`)},
		"etc/ufw/user6.rules": {Data: []byte("### tuple ### limit tcp 22 ::/0 any ::/0 OpenSSH - in\n### tuple ### allow tcp 22 ::/0 any 2001:db8::/32 in\n")},
	}
	gates, ok := ufwGates(ReadFacts(root).UFW, 22, 766)
	var got []string
	for _, g := range gates {
		got = append(got, strings.Join(g.Do, " "))
		if undo := "ufw delete " + strings.TrimPrefix(strings.Join(g.Do, " "), "ufw "); strings.Join(g.Undo, " ") != undo {
			t.Errorf("%q undoes %q", g.Undo, g.Do)
		}
	}
	want := []string{
		"ufw deny proto tcp from 198.51.100.7 to any port 766",
		"ufw limit proto tcp from any to any port 766",
		"ufw allow in on eth0 proto tcp from 192.0.2.0/24 to 192.0.2.1 port 766",
		"ufw allow proto tcp from 2001:db8::/32 to any port 766",
	}
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("%v %s", ok, diff)
	}
	if gates, ok := ufwGates([]string{"allow tcp 22 0.0.0.0/0 1024 0.0.0.0/0 in"}, 22, 766); ok {
		t.Errorf("a rule about source ports: %+v", gates)
	}
}

func TestFirewalldGates(t *testing.T) {
	if got := parseZones([]byte("public (default)\n  interfaces: eth0\ntrusted\n  sources: 192.0.2.0/24\n")); !slices.Equal(got, []string{"public", "trusted"}) {
		t.Errorf("%q", got)
	}
	gates := firewalldGates([]Zone{{Name: "public", Services: []string{"dhcpv6-client", "ssh"}}, {Name: "work", Ports: []string{"22/tcp", "80/tcp"}},
		{Name: "dmz", Rich: []string{`rule family="ipv4" source address="192.0.2.0/24" service name="ssh" accept`, `rule service name="http" accept`}}, {Name: "drop"}}, 22, 766)
	var got []string
	for _, g := range gates {
		got = append(got, strings.Join(g.Do[2:], " "))
	}
	if diff := cmp.Diff([]string{"--zone=public --add-port=766/tcp", "--zone=work --add-port=766/tcp",
		`--zone=dmz --add-rich-rule=rule family="ipv4" source address="192.0.2.0/24" port port="766" protocol="tcp" accept`}, got); diff != "" {
		t.Error(diff)
	}
}

func TestFacts(t *testing.T) {
	root := fstest.MapFS{
		"etc/passwd": {Data: []byte("root:x:0:0::/root:/bin/bash\nwww-data:x:33:33::/:/bin/sh\nhana:x:1000:1000::/home/hana:/bin/bash\nken:x:1001:1001::/home/ken:/bin/zsh\n" +
			"git:x:1002:1002::/:/usr/sbin/nologin\nnobody:x:65534:65534::/:/bin/sh\n")},
		"etc/nsswitch.conf":                                       {Data: []byte("passwd: files\nhosts: sss\n")},
		"etc/fail2ban/jail.conf":                                  {Data: []byte("[DEFAULT]\nenabled = false\nbanaction = iptables-multiport\n[sshd]\nport    = ssh\n")},
		"etc/fail2ban/jail.d/defaults-debian.conf":                {Data: []byte("[sshd]\nenabled = true\n")},
		"sys/fs/selinux/enforce":                                  {Data: []byte("1")},
		"var/lib/selinux/targeted/active/ports.local":             {Data: []byte("# x\nportcon tcp 2222 system_u:object_r:ssh_port_t:s0\nportcon tcp 8000-8010 system_u:object_r:ssh_port_t:s0\nportcon tcp 9000 system_u:object_r:http_port_t:s0\n")},
		"usr/lib/systemd/system-generators/sshd-socket-generator": {},
	}
	f := ReadFacts(root, "root", "hana")
	want := Facts{Others: []string{"ken"}, Enforcing: true, Labelled: []string{"2222", "8000-8010"}, Jail: true, JailPorts: "ssh", Generator: true}
	if diff := cmp.Diff(want, f, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	for port, want := range map[uint16]bool{2222: true, 8005: true, 8011: false, 22: false} {
		if got := covers(f.Labelled, port); got != want {
			t.Errorf("%d: %v", port, got)
		}
	}
	root["etc/nsswitch.conf"].Data = []byte("passwd: files sss\n")
	root["etc/fail2ban/jail.local"] = &fstest.MapFile{Data: []byte("[DEFAULT]\nbanaction = nftables-allports\n")}
	if f := ReadFacts(root); !f.Unsure || f.JailPorts != "" || !f.Jail {
		t.Errorf("%+v", f)
	}
	if f := ReadFacts(fstest.MapFS{}); !f.Unsure {
		t.Error("without a list of users nobody knows that there are none")
	}
}

// TestPropose: a port that outgoing connections never take; below 1024 where another
// user could take it.
func TestPropose(t *testing.T) {
	snap := &monban.Snapshot{Host: monban.Host{OS: "linux", Ephemeral: monban.PortRange{First: 32768, Last: 60999}, Unprivileged: 1024, Caps: monban.Caps{BindService: monban.On}}}
	truth := &Truth{Old: 22}
	for start := range uint32(200) {
		alone, ok := Propose(snap, nil, &Facts{}, truth, start*7919)
		if !ok || alone < 61000 {
			t.Errorf("%d %v", alone, ok)
		}
		shared, ok := Propose(snap, nil, &Facts{Others: []string{"ken"}}, truth, start*7919)
		if !ok || shared >= 1024 || shared == 22 {
			t.Errorf("with others: %d %v", shared, ok)
		}
	}
	if _, ok := Propose(snap, nil, &Facts{Enforcing: true}, truth, 1); ok {
		t.Error("SELinux lets sshd have no port of them")
	}
	snap.Host.Reserved = []monban.PortRange{{First: 40000, Last: 40000}}
	for num, want := range map[uint16]string{40000: "", 40001: "ephemeral", 22: "same-port", 0: "port-0", 61022: ""} {
		reason := ""
		if r := CheckPort(truth, num, snap, nil, &Facts{}); len(r) > 0 {
			reason = r[0].Reason
		}
		if reason != want {
			t.Errorf("%d: %q, want %q", num, reason, want)
		}
	}
}

// TestStateKeeps: what is written to disk comes back as it was.
func TestStateKeeps(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	if got, err := s.Load(); got != nil || err != nil {
		t.Fatal(got, err)
	}
	now := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	want := &State{Monban: 1, ID: "x", At: now, Due: now.Add(time.Minute), Boot: "b", Stage: OnTrial, Plan: Plan{Truth: Truth{Way: BySSHD, Args: []string{"-D"}, Old: 22,
		Binds: []monban.Bind{{Port: monban.Port{Num: 22, Proto: monban.TCP}, Addr: netip.MustParseAddr("fe80::1%eth0"), V6Only: monban.On}}},
		New: 766, Files: []File{{Path: "/etc/x", Before: []byte("\xff\r\n"), Both: []byte{}, After: []byte("a")}}, Wanted: []netip.AddrPort{netip.MustParseAddrPort("[::]:22")}}}
	if err := s.save(want); err != nil {
		t.Fatal(err)
	}
	got, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	for _, test := range []struct {
		at   time.Time
		boot string
		over bool
	}{{now, "b", false}, {now.Add(time.Hour), "b", true}, {now, "c", true},
		// A machine whose clock is in the past at boot.
		{time.Unix(0, 0), "c", true}} {
		if got := want.Over(test.at, test.boot); got != test.over {
			t.Errorf("%v %s: %v", test.at, test.boot, got)
		}
	}
	if _, err := json.Marshal(want); err != nil {
		t.Error(err)
	}
}

// TestEffective reads what OpenSSH 9.2 writes.
func TestEffective(t *testing.T) {
	got := effective([]byte("port 22\nport 2222\naddressfamily any\nlistenaddress [::]:2222\nlistenaddress [::]:22\nlistenaddress 0.0.0.0:2222\nlistenaddress 0.0.0.0:22 rdomain x\nusepam no\n"))
	if len(got) != 4 || !slices.Equal(ports(got), []uint16{22, 2222}) {
		t.Errorf("%v", got)
	}
}
