package conflict

import (
	"net/netip"
	"strconv"
	"testing"

	"github.com/monban-dev/monban"
)

func bindOf(proto monban.Proto, addr string, port uint16) monban.Bind {
	return monban.Bind{Port: monban.Port{Num: port, Proto: proto}, Addr: netip.MustParseAddr(addr)}
}

func TestDiagnose(t *testing.T) {
	const inUse = "listen tcp 0.0.0.0:8080: bind: address already in use"
	door := func(b monban.Bind, s monban.DoorState, owners ...monban.Owner) []monban.Door {
		return []monban.Door{{Bind: b, State: s, Owners: owners}}
	}
	inside := func(doors []monban.Door) []monban.Door {
		doors[0].Bind.NetNS = "net:[4026532000]"
		return doors
	}
	linux := monban.Host{OS: "linux", NetNS: "net:[4026531840]", Unprivileged: 1024, Ephemeral: monban.PortRange{First: 32768, Last: 60999},
		Interfaces: []monban.Interface{{Name: "lo", Addrs: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8")}}}}
	hidden := door(bindOf(monban.TCP, "0.0.0.0", 8080), monban.Listen)
	hidden[0].Unnamed = monban.HiddenPrivilege
	user, owner := linux, linux
	user.UID, owner.UID = 1000, 0 // the hidden door is root's
	kernel := door(bindOf(monban.TCP, "0.0.0.0", 8080), monban.Listen)
	kernel[0].Unnamed = monban.HiddenKernel

	tests := []struct {
		name    string
		text    string
		snap    monban.Snapshot
		cause   Cause
		certain bool
		against int
		missing int
		judge   func(monban.Bind) monban.Judgement
	}{
		{name: "the same place", text: inUse, cause: L1, certain: true, against: 1,
			snap: monban.Snapshot{Host: linux, Doors: door(bindOf(monban.TCP, "0.0.0.0", 8080), monban.Listen, monban.Owner{PID: 7, Name: "python3"})}},
		{name: "a specific address", text: inUse, cause: L2, certain: true, against: 1,
			snap: monban.Snapshot{Host: linux, Doors: door(bindOf(monban.TCP, "127.0.0.1", 8080), monban.Listen, monban.Owner{PID: 7})}},
		{name: "the IPv6 wildcard", text: inUse, cause: L3, certain: true, against: 1,
			snap: monban.Snapshot{Host: linux, Doors: door(bindOf(monban.TCP, "::", 8080), monban.Listen, monban.Owner{PID: 7})}},
		{name: "the same service", text: "nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)", cause: L22, certain: true, against: 1,
			snap: monban.Snapshot{Host: linux, Doors: door(bindOf(monban.TCP, "0.0.0.0", 80), monban.Listen, monban.Owner{PID: 7, Name: "nginx"})}},
		{name: "another user's", text: inUse, cause: L19, certain: true, against: 1, snap: monban.Snapshot{Host: user, Doors: hidden}},
		{name: "a protected one of the same user", text: inUse, cause: L1, certain: true, against: 1, snap: monban.Snapshot{Host: owner, Doors: hidden}},
		{name: "the kernel's", text: inUse, cause: L18, certain: true, against: 1, snap: monban.Snapshot{Host: linux, Doors: kernel}},
		{name: "bound only", text: inUse, cause: L9, certain: true, against: 1,
			snap: monban.Snapshot{Host: linux, Doors: door(bindOf(monban.TCP, "0.0.0.0", 8080), monban.Bound, monban.Owner{PID: 7})}},
		{name: "a socket unit", text: "ssh.socket: Failed to create listening socket ([::]:22): Address already in use", cause: L15, certain: true, against: 1,
			snap: monban.Snapshot{Host: linux, Doors: door(bindOf(monban.TCP, "::", 22), monban.Listen, monban.Owner{PID: 1, Name: "systemd", Unit: "ssh.socket"})}},
		{name: "a forward", text: inUse, cause: D13, certain: true, against: 1,
			snap: monban.Snapshot{Host: linux, Doors: door(bindOf(monban.TCP, "0.0.0.0", 8080), monban.Listen, monban.Owner{PID: 7, Name: "ssh", Command: []string{"ssh", "-L", "*:8080:web:80", "jump"}})}},
		{name: "udp is not tcp", text: inUse, cause: L7, missing: 1,
			snap: monban.Snapshot{Host: linux, Doors: door(bindOf(monban.UDP, "0.0.0.0", 8080), monban.Bound, monban.Owner{PID: 7})}},
		{name: "only TIME_WAIT", text: inUse, cause: L7,
			snap: monban.Snapshot{Host: linux, Traffic: []monban.Traffic{{Port: monban.Port{Num: 8080, Proto: monban.TCP}, TimeWait: 3}}}},
		{name: "an outgoing connection", text: "listen tcp :43110: bind: address already in use", cause: L8,
			snap: monban.Snapshot{Host: linux, Traffic: []monban.Traffic{{Port: monban.Port{Num: 43110, Proto: monban.TCP}, Established: 1}}}},
		{name: "counted, and nothing left", text: inUse, cause: L1,
			snap: monban.Snapshot{Host: linux, TrafficOf: []monban.PortRange{{First: 8080, Last: 8080}}}},
		{name: "counted, and nothing left, from a configuration", cause: L21,
			text: "nginx: [emerg] bind() to 0.0.0.0:8080 failed (98: Address already in use)",
			snap: monban.Snapshot{Host: linux, TrafficOf: []monban.PortRange{{First: 8080, Last: 8080}}}},
		{name: "ssh's port, and nobody there", text: "listen tcp 0.0.0.0:22: bind: address already in use", cause: L1,
			snap: monban.Snapshot{Host: linux, TrafficOf: []monban.PortRange{{First: 22, Last: 22}}}},
		{name: "a connection that outlived its listener", text: inUse, cause: L26,
			snap: monban.Snapshot{Host: linux, Traffic: []monban.Traffic{{Port: monban.Port{Num: 8080, Proto: monban.TCP}, Established: 1, TimeWait: 3}}}},
		{name: "doors out of sight", text: inUse, cause: L1, missing: 2,
			snap: monban.Snapshot{Host: linux, Gaps: []monban.Gap{{Source: "sock_diag", Hides: monban.HidesDoors}}}},
		{name: "privileged", text: "listen tcp :443: bind: permission denied", cause: L10, snap: monban.Snapshot{Host: linux}},
		{name: "not privileged", text: "listen tcp :8443: bind: permission denied", cause: L12, snap: monban.Snapshot{Host: linux}},
		{name: "no such address", text: "listen tcp 198.51.100.7:80: bind: cannot assign requested address", cause: L13, certain: true, snap: monban.Snapshot{Host: linux}},
		{name: "no IPv6", text: "nginx: [emerg] socket() [::]:80 failed (97: Address family not supported by protocol)", cause: L14, certain: true,
			snap: monban.Snapshot{Host: monban.Host{OS: "linux", IPv6: monban.Off}}},
		{name: "IPv6 off on the interfaces, every address", cause: L14,
			text: "nginx: [emerg] bind() to [::]:80 failed (99: Cannot assign requested address)",
			snap: monban.Snapshot{Host: monban.Host{OS: "linux", IPv6: monban.Off, BindV6Only: monban.Off}}},
		{name: "IPv6 off on the interfaces, one address", cause: L14, certain: true,
			text: "nginx: [emerg] bind() to [::1]:80 failed (99: Cannot assign requested address)",
			snap: monban.Snapshot{Host: monban.Host{OS: "linux", IPv6: monban.Off, BindV6Only: monban.Off}}},
		{name: "a redirect", text: inUse, cause: L24, against: 1,
			snap: monban.Snapshot{Host: linux, Doors: door(bindOf(monban.TCP, "0.0.0.0", 8080), monban.Forwarded)}},
		{name: "a socket behind a redirect", text: inUse, cause: L1, certain: true, against: 2,
			snap: monban.Snapshot{Host: linux, Doors: append(door(bindOf(monban.TCP, "0.0.0.0", 8080), monban.Forwarded),
				door(bindOf(monban.TCP, "0.0.0.0", 8080), monban.Listen, monban.Owner{PID: 7})...)}},
		{name: "another system", text: "listen tcp :8080: bind: Only one usage of each socket address (protocol/network address/port) is normally permitted.", cause: W1, missing: 1,
			snap: monban.Snapshot{Host: linux, Doors: hidden}},
		{name: "an excluded range", text: "listen tcp :50051: bind: An attempt was made to access a socket in a way forbidden by its access permissions.", cause: W2, certain: true,
			snap: monban.Snapshot{Host: monban.Host{OS: "windows", Excluded: []monban.PortRange{{First: 50000, Last: 50059}}}}},
		{name: "the other loopback", text: "connect ECONNREFUSED 127.0.0.1:5173", cause: B3, certain: true, against: 1,
			snap: monban.Snapshot{Host: linux, Doors: door(bindOf(monban.TCP, "::1", 5173), monban.Listen, monban.Owner{PID: 7})}},
		{name: "IPv4 only", text: "connect ECONNREFUSED ::1:5173", cause: B3, certain: true, against: 1,
			snap: monban.Snapshot{Host: linux, Doors: door(bindOf(monban.TCP, "0.0.0.0", 5173), monban.Listen, monban.Owner{PID: 7})}},
		{name: "in another namespace", text: inUse, cause: L1,
			snap: monban.Snapshot{Host: linux, TrafficOf: []monban.PortRange{{First: 8080, Last: 8080}}, Doors: inside(door(bindOf(monban.TCP, "0.0.0.0", 8080), monban.Listen, monban.Owner{PID: 7}))}},
		{name: "the other loopback of another namespace", text: "connect ECONNREFUSED 127.0.0.1:5173",
			snap: monban.Snapshot{Host: linux, Doors: inside(door(bindOf(monban.TCP, "::1", 5173), monban.Listen, monban.Owner{PID: 7}))}},
		{name: "it answers now", text: "connect ECONNREFUSED 127.0.0.1:5173", against: 1,
			snap: monban.Snapshot{Host: linux, Doors: door(bindOf(monban.TCP, "::", 5173), monban.Listen, monban.Owner{PID: 7})}},
		{name: "nobody there", text: "connect ECONNREFUSED 127.0.0.1:5173", snap: monban.Snapshot{Host: linux}},
		{name: "another machine", text: "connect ECONNREFUSED 198.51.100.7:8080", snap: monban.Snapshot{Host: linux, Doors: hidden}},
		{name: "itself", text: "nginx: [emerg] a duplicate listen 0.0.0.0:8080 in /etc/nginx/nginx.conf:4", cause: L21, snap: monban.Snapshot{Host: linux, Doors: hidden}},
		{name: "judged", text: inUse, cause: L5, certain: true, against: 1, snap: monban.Snapshot{Host: linux},
			judge: func(b monban.Bind) monban.Judgement {
				return monban.Judgement{Bind: b, Outcome: monban.Fails, Errno: "EADDRINUSE", Cause: "L5", Against: hidden}
			}},
		{name: "judged otherwise", text: inUse, cause: L7, missing: 1, snap: monban.Snapshot{Host: linux},
			judge: func(b monban.Bind) monban.Judgement {
				return monban.Judgement{Bind: b, Outcome: monban.Fails, Errno: "EACCES", Cause: "L10"}
			}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			list := ReadComplaint(tt.text)
			if len(list) != 1 {
				t.Fatalf("%d complaints in %q", len(list), tt.text)
			}
			d := Diagnose(list[0], &tt.snap, tt.judge)
			var cause Cause
			if len(d.Causes) > 0 {
				cause = d.Causes[0]
			}
			if cause != tt.cause || d.Certain != tt.certain || len(d.Against) != tt.against || len(d.Missing) != tt.missing {
				t.Errorf("cause %q certain %t against %d missing %d; want %q %t %d %d\n%+v", cause, d.Certain, len(d.Against), len(d.Missing),
					tt.cause, tt.certain, tt.against, tt.missing, d)
			}
		})
	}
}

// TestDiagnoseWithCanBind puts the two together, as monban explain does.
func TestDiagnoseWithCanBind(t *testing.T) {
	host := monban.Host{OS: "linux", UID: 1000, Unprivileged: 1024, IPv6: monban.On, BindV6Only: monban.Off,
		Caps:       monban.Caps{BindService: monban.Off},
		Interfaces: []monban.Interface{{Name: "lo", Up: true, Loopback: true, Addrs: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8"), netip.MustParsePrefix("::1/128")}}}}
	holder := monban.Door{Bind: bindOf(monban.TCP, "0.0.0.0", 8080), State: monban.Listen, Owners: []monban.Owner{{PID: 7, Name: "python3"}}}
	local := monban.Door{Bind: bindOf(monban.TCP, "127.0.0.1", 9000), State: monban.Listen, Owners: []monban.Owner{{PID: 9, Name: "php"}}}
	nginx := monban.Door{Bind: bindOf(monban.TCP, "0.0.0.0", 80), State: monban.Listen, Owners: []monban.Owner{{PID: 8, Name: "nginx"}}}
	for _, tt := range []struct {
		text    string
		cause   Cause
		against int
	}{
		{"listen tcp4 0.0.0.0:8080: bind: address already in use", L1, 1},
		{"listen tcp4 127.0.0.1:8080: bind: address already in use", L2, 1},
		{"OSError: [Errno 98] Address already in use: port 9000", L1, 1}, // wherever it was
		{"listen tcp :80: bind: permission denied", L10, -1},
		{"listen tcp 198.51.100.7:8080: bind: cannot assign requested address", L13, 0},
		{"nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)", L22, 1},
	} {
		snap := &monban.Snapshot{Host: host, Doors: []monban.Door{holder, nginx, local}}
		for _, p := range []uint16{80, 8080, 9000} {
			snap.Traffic = append(snap.Traffic, monban.Traffic{Port: monban.Port{Num: p, Proto: monban.TCP}})
		}
		d := Diagnose(ReadComplaint(tt.text)[0], snap, func(b monban.Bind) monban.Judgement { return CanBind(b, snap) })
		if len(d.Causes) == 0 || d.Causes[0] != tt.cause || tt.against >= 0 && len(d.Against) != tt.against {
			t.Errorf("%q: causes %v, against %d; want %s, %d\n%+v", tt.text, d.Causes, len(d.Against), tt.cause, tt.against, d)
		}
	}
}

// TestCauses holds the list of causes to unbroken numbers: no cause is left out or listed twice.
func TestCauses(t *testing.T) {
	var want []Cause
	for _, family := range []struct {
		letter string
		last   int
	}{{"L", 26}, {"M", 10}, {"W", 14}, {"D", 15}, {"B", 3}} {
		for i := 1; i <= family.last; i++ {
			want = append(want, Cause(family.letter+strconv.Itoa(i)))
		}
	}
	got := Causes()
	if len(got) != len(want) {
		t.Fatalf("%d causes, want %d", len(got), len(want))
	}
	for i, info := range got {
		if info.ID != want[i] {
			t.Errorf("cause %d is %s, want %s", i, info.ID, want[i])
		}
	}
}
