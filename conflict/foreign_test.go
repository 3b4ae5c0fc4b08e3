package conflict

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/monban-dev/monban"
)

// windowsPC is a Windows machine with these doors, seen by Hana.
func windowsPC(doors ...monban.Door) *monban.Snapshot {
	s := empty(doors...)
	s.Host = monban.Host{OS: "windows", UID: -1, User: `PC\hana`, BindV6Only: monban.On, IPv6: monban.On,
		Caps: monban.Caps{BindService: monban.On}, Ephemeral: monban.PortRange{First: 49152, Last: 65535},
		Excluded:   []monban.PortRange{{First: 50000, Last: 50059, Proto: monban.TCP}},
		Interfaces: []monban.Interface{{Index: 7, Name: "Ethernet", Up: true, Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}}}}
	return s
}

// aMac is a Mac with these doors, seen by the user 501.
func aMac(doors ...monban.Door) *monban.Snapshot {
	s := empty(doors...)
	s.Host = monban.Host{OS: "darwin", UID: 501, User: "hana", BindV6Only: monban.Off, IPv6: monban.On, Unprivileged: 1024,
		Caps: monban.Caps{BindService: monban.Off}, Ephemeral: monban.PortRange{First: 49152, Last: 65535}, Interfaces: mac()}
	for i := range s.Doors {
		s.Doors[i].UID = 501
	}
	return s
}

// owned is a listener of a program.
func owned(addr string, port uint16, o monban.Owner) monban.Door { return listener(addr, port, o) }

// TestForeignCauses asks on Windows and macOS about one bind at a time. A port
// with a "u" behind it is of UDP; the bind's options stand behind the address.
func TestForeignCauses(t *testing.T) {
	httpd := monban.Owner{PID: 900, Name: "httpd.exe", User: "hana"}
	system := monban.Owner{PID: 4, Name: "System"}
	http := owned("::", 80, system)
	http.Kernel = "http.sys"
	smb := owned("::", 445, system)
	smb.Kernel = "smb"
	gone := listener("0.0.0.0", 8080)
	gone.Unnamed = monban.HiddenGone
	hidden := listener("0.0.0.0", 8080)
	hidden.Unnamed = monban.HiddenPrivilege
	v6only := owned("::", 8080, httpd)
	v6only.Bind.V6Only = monban.On
	busy := func(snap *monban.Snapshot, port uint16, established, timeWait int, locals ...string) *monban.Snapshot {
		tr := monban.Traffic{Port: monban.Port{Num: port, Proto: monban.TCP}, Established: established, TimeWait: timeWait}
		for _, l := range locals {
			tr.Locals = append(tr.Locals, netip.MustParseAddr(l))
		}
		snap.Traffic = append(snap.Traffic, tr)
		return snap
	}
	unseen := windowsPC()
	unseen.Gaps = []monban.Gap{{Source: "netsh excludedportrange tcp", Err: "failed", Hides: monban.HidesHost}}
	noV6 := aMac()
	noV6.Host.IPv6 = monban.Off
	noV6.Host.Interfaces = noV6.Host.Interfaces[1:]
	for _, tt := range []struct {
		name string
		snap *monban.Snapshot
		want string // address, port, options
		is   string // outcome, errno, cause
		stop string // a command or code that has to be among the fixes
	}{
		{"windows: free", windowsPC(), "0.0.0.0 80", "ok", ""},
		{"windows: the same address", windowsPC(owned("0.0.0.0", 8080, httpd)), "0.0.0.0 8080", "fails WSAEADDRINUSE W1", "taskkill /PID 900"},
		{"windows: an excluded range, and nobody there", windowsPC(), "0.0.0.0 50001", "fails WSAEACCES W2", ""},
		{"windows: of another transport", windowsPC(), "0.0.0.0 50001u", "ok", ""},
		{"windows: whether it is excluded was not seen", unseen, "0.0.0.0 8080", "unknown", ""},
		{"windows: SO_REUSEADDR against one who shares not", windowsPC(owned("0.0.0.0", 8080, monban.Owner{PID: 9, Name: "x.exe", User: "SYSTEM"})), "0.0.0.0 8080 reuseaddr", "unknown", ""},
		{"windows: beside another user's wildcard", windowsPC(owned("0.0.0.0", 8080, monban.Owner{PID: 9, Name: "x.exe", User: "SYSTEM"})), "127.0.0.1 8080", "fails WSAEACCES W3", ""},
		{"windows: beside one's own wildcard its options decide", windowsPC(owned("0.0.0.0", 8080, httpd)), "127.0.0.1 8080", "unknown", ""},
		{"windows: http.sys", windowsPC(http), "0.0.0.0 80", "fails WSAEACCES W4", FixStopKernel},
		{"windows: http.sys and a specific address", windowsPC(http), "192.0.2.1 80", "fails WSAEACCES W4", FixStopKernel},
		{"windows: file sharing is no web server", windowsPC(smb), "0.0.0.0 445", "fails WSAEADDRINUSE W1", FixStopKernel},
		{"windows: svchost", windowsPC(owned("0.0.0.0", 5040, monban.Owner{PID: 7, Name: "svchost.exe", Unit: "CDPSvc"})), "0.0.0.0 5040", "fails WSAEADDRINUSE W7", "sc stop CDPSvc"},
		{"windows: portproxy", windowsPC(owned("0.0.0.0", 8080, monban.Owner{PID: 7, Name: "svchost.exe", Unit: "iphlpsvc"})), "0.0.0.0 8080", "fails WSAEADDRINUSE W8", ""},
		{"windows: WSL", windowsPC(owned("127.0.0.1", 3000, monban.Owner{PID: 7, Name: "wslrelay.exe", User: "hana"})), "127.0.0.1 3000", "fails WSAEADDRINUSE W9", ""},
		{"windows: its process has ended", windowsPC(gone), "0.0.0.0 8080", "fails WSAEADDRINUSE W12", ""},
		{"windows: Docker Desktop", windowsPC(owned("0.0.0.0", 8080, monban.Owner{PID: 7, Name: "com.docker.backend.exe"})), "0.0.0.0 8080", "fails WSAEADDRINUSE D1", ""},
		{"windows: kubectl", windowsPC(owned("127.0.0.1", 8080, monban.Owner{PID: 7, Name: "kubectl.exe"})), "127.0.0.1 8080", "fails WSAEADDRINUSE D13", FixCloseForward},
		{"windows: wildcards of two families", windowsPC(v6only), "0.0.0.0 8080", "ok", ""},
		{"windows: 127.0.0.2 is there", windowsPC(), "127.0.0.2 8080", "ok", ""},
		{"windows: an address that is not", windowsPC(), "192.0.2.9 8080", "fails WSAEADDRNOTAVAIL L13", FixWildcard},
		{"windows: a connection was lent it", busy(windowsPC(), 50100, 1, 0, "192.0.2.1"), "0.0.0.0 50100", "unknown", ""},
		{"windows: TIME_WAIT is in nobody's way", busy(windowsPC(), 8080, 0, 3, "192.0.2.1"), "0.0.0.0 8080", "ok", ""},
		{"windows: both take what they want", windowsPC(func() monban.Door { d := owned("0.0.0.0", 8080, httpd); d.Bind.ReuseAddr = monban.On; return d }()), "0.0.0.0 8080 reuseaddr", "ok W11", ""},
		{"windows: SCTP", windowsPC(), "0.0.0.0 80s", "unknown system", ""},

		{"mac: free", aMac(), "0.0.0.0 8080", "ok", ""},
		{"mac: every address below 1024", aMac(), "0.0.0.0 80", "ok", ""},
		{"mac: one address below 1024", aMac(), "127.0.0.1 80", "fails EACCES M4", ""},
		{"mac: AirPlay", aMac(owned("0.0.0.0", 5000, monban.Owner{PID: 600, Name: "ControlCenter", UID: 501})), "0.0.0.0 5000", "fails EADDRINUSE M1", ""},
		{"mac: AirPlay, and Flask on loopback", aMac(owned("0.0.0.0", 5000, monban.Owner{PID: 600, Name: "ControlCenter", UID: 501})), "127.0.0.1 5000 reuseaddr", "ok M2", ""},
		{"mac: launchd", aMac(owned("0.0.0.0", 8022, monban.Owner{PID: 1, Name: "launchd"})), "0.0.0.0 8022", "fails EADDRINUSE M6", ""},
		{"mac: Docker Desktop", aMac(owned("0.0.0.0", 8080, monban.Owner{PID: 7, Name: "com.docker.backend"})), "0.0.0.0 8080", "fails EADDRINUSE M7", ""},
		{"mac: nobody can be named", aMac(hidden), "0.0.0.0 8080", "fails EADDRINUSE M8", "sudo monban 8080"},
		{"mac: mDNSResponder", aMac(owned("0.0.0.0", 5300, monban.Owner{PID: 7, Name: "mDNSResponder"})), "0.0.0.0 5300", "fails EADDRINUSE M9", ""},
		{"mac: a connection was lent it", busy(aMac(), 50100, 1, 0, "192.0.2.1"), "0.0.0.0 50100", "fails EADDRINUSE M10", ""},
		{"mac: and SO_REUSEADDR helps, if the user is the same", busy(aMac(), 50100, 1, 0, "192.0.2.1"), "0.0.0.0 50100 reuseaddr", "unknown", ""},
		{"mac: TIME_WAIT", busy(aMac(), 8080, 0, 2, "127.0.0.1"), "127.0.0.1 8080", "fails EADDRINUSE L7", FixReuseAddr},
		{"mac: 127.0.0.2", aMac(), "127.0.0.2 8080", "fails EADDRNOTAVAIL M5", ""},
		{"mac: an address that is not here", aMac(), "192.0.2.9 8080", "fails EADDRNOTAVAIL L13", ""},
		{"mac: no IPv6", noV6, "::1 8080", "fails EADDRNOTAVAIL L14", FixUseIPv4},
		{"mac: the other loopback", aMac(owned("::1", 5173, monban.Owner{PID: 7, Name: "node"})), "127.0.0.1 5173", "ok L4", FixExplicitAddress},
		{"mac: [::] has IPv4", aMac(owned("::", 8080, monban.Owner{PID: 7, Name: "node"})), "0.0.0.0 8080 reuseaddr", "fails EADDRINUSE L3", ""},
		{"mac: [::] stands aside for 0.0.0.0", aMac(owned("0.0.0.0", 8080, monban.Owner{PID: 7, Name: "node"})), ":: 8080", "ok", ""},
		{"mac: kubectl", aMac(owned("127.0.0.1", 8080, monban.Owner{PID: 7, Name: "kubectl"})), "127.0.0.1 8080", "fails EADDRINUSE D13", FixCloseForward},
		{"mac: SO_REUSEPORT of the holder is not told", aMac(owned("0.0.0.0", 8080, monban.Owner{PID: 7, Name: "node"})), "0.0.0.0 8080 reuseport", "unknown", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			words := strings.Fields(tt.want)
			want := monban.Bind{Addr: netip.MustParseAddr(words[0]), Port: monban.Port{Proto: monban.TCP},
				ReuseAddr: monban.FlagOf(slices.Contains(words, "reuseaddr")), ReusePort: monban.FlagOf(slices.Contains(words, "reuseport"))}
			num, udp := strings.CutSuffix(words[1], "u")
			num, sctp := strings.CutSuffix(num, "s")
			fmt.Sscan(num, &want.Port.Num)
			if udp {
				want.Port.Proto = monban.UDP
			}
			if sctp {
				want.Port.Proto = monban.SCTP
			}
			j := CanBind(want, tt.snap)
			got := strings.TrimSpace(verdictOf(j) + " " + j.Cause)
			if j.Outcome == monban.OutcomeUnknown && j.Reason == "" {
				t.Error("unknown for no reason")
			}
			if tt.is == "unknown system" {
				got += " " + j.Reason
			}
			if got != tt.is {
				t.Errorf("%s, want %s; reason %q", got, tt.is, j.Reason)
			}
			found := tt.stop == ""
			for _, f := range j.Fix {
				found = found || f.Code == tt.stop || strings.Join(f.Command, " ") == tt.stop
			}
			if !found {
				t.Errorf("fixes %+v, want %q", j.Fix, tt.stop)
			}
			for _, f := range j.Fix {
				if len(f.Command) > 0 && (f.Command[0] == "systemctl" || f.Command[0] == "sysctl" || tt.snap.Host.OS == "windows" && (f.Command[0] == "kill" || f.Command[0] == "sudo")) {
					t.Errorf("%s has no %q", tt.snap.Host.OS, f.Command)
				}
			}
		})
	}
}

// TestPredictForeign: claims against each other and against what is open.
func TestPredictForeign(t *testing.T) {
	system := owned("::", 80, monban.Owner{PID: 4, Name: "System"})
	system.Kernel = "http.sys"
	httpd := monban.Program{Exes: []string{"httpd.exe"}, Config: "C:/xampp/apache/conf/httpd.conf"}
	iis := monban.Program{Exes: []string{"System", "iisexpress.exe"}, Units: []string{"W3SVC"}}
	mysql := func(dir string) monban.Program {
		return monban.Program{Exes: []string{"mysqld.exe"}, Config: "C:/" + dir + "/my.ini"}
	}
	brew := func(name string) monban.Program {
		return monban.Program{Exes: []string{name}, Config: "/opt/homebrew/etc/" + name + ".conf"}
	}
	for _, tt := range []struct {
		name   string
		snap   *monban.Snapshot
		claims []monban.Claim
		want   []string // outcome, errno, cause, rivals
	}{
		{"windows: XAMPP beside IIS and another MySQL", windowsPC(system),
			[]monban.Claim{claim("apache", "0.0.0.0", 80, httpd), claim("iis", "::", 80, iis), claim("apache", "0.0.0.0", 443, httpd),
				claim("mariadb", "0.0.0.0", 3306, mysql("xampp")), claim("mysql", "0.0.0.0", 3306, mysql("mysql8")),
				claim("mysql", "127.0.0.1", 3306, mysql("x")), claim("x", "0.0.0.0", 50001, monban.Program{})},
			[]string{"fails WSAEACCES W4 [1]", "running  []", "ok  []", "ok  []", "fails WSAEADDRINUSE W1 [3]", "unknown  [3]", "fails WSAEACCES W2 []"}},
		{"windows: a file asks twice", windowsPC(),
			[]monban.Claim{claim("apache", "0.0.0.0", 80, httpd), claim("apache", "0.0.0.0", 80, httpd)},
			[]string{"ok  []", "fails WSAEADDRINUSE L21 [0]"}},
		{"windows: nginx takes what it wants, and is refused", windowsPC(),
			[]monban.Claim{claim("apache", "0.0.0.0", 80, httpd), claim("nginx", "0.0.0.0", 80, monban.Program{})},
			[]string{"ok  []", "fails WSAEACCES W3 [0]"}},
		{"windows: nginx twice", windowsPC(),
			[]monban.Claim{claim("nginx", "0.0.0.0", 80, brew("a")), claim("nginx", "0.0.0.0", 80, brew("b"))},
			[]string{"ok  []", "ok  []"}},
		{"windows: sites of IIS share", windowsPC(),
			[]monban.Claim{claim("iis", "::", 8081, iis), claim("iis", "::", 8081, iis)},
			[]string{"ok  []", "ok  []"}},
		{"windows: the same program runs already, from elsewhere", windowsPC(owned("0.0.0.0", 3306, monban.Owner{PID: 12, Name: "mysqld.exe", Exe: `C:\xampp\mysql\bin\mysqld.exe`,
			Command: []string{`C:\xampp\mysql\bin\mysqld.exe`, `--defaults-file=C:\second\my.ini`}})),
			[]monban.Claim{claim("mariadb", "0.0.0.0", 3306, mysql("xampp"))}, []string{"fails WSAEADDRINUSE L22 []"}},
		{"mac: 0.0.0.0 and then [::] do, and not a third", aMac(),
			[]monban.Claim{claim("a", "0.0.0.0", 8080, brew("a")), claim("b", "::", 8080, brew("b")), claim("c", "0.0.0.0", 8080, brew("c"))},
			[]string{"ok  []", "ok  []", "fails EADDRINUSE L1 [0 1]"}},
		{"mac: loopback beside every address", aMac(),
			[]monban.Claim{claim("a", "0.0.0.0", 8080, brew("a")), claim("b", "127.0.0.1", 8080, brew("b"))},
			[]string{"ok  []", "ok  []"}},
		{"mac: a range", aMac(owned("0.0.0.0", 9200, monban.Owner{PID: 3, Name: "x"})),
			[]monban.Claim{func() monban.Claim { c := claim("e", "0.0.0.0", 9200, brew("e")); c.UpTo = 9201; return c }()}, []string{"ok  []"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for i := range tt.claims {
				if tt.snap.Host.OS == "darwin" {
					tt.claims[i].UID = 501
				}
				if tt.claims[i].Bind.Addr == netip.IPv6Unspecified() {
					tt.claims[i].Bind.V6Only = monban.Off
				}
			}
			var got []string
			for _, c := range Predict(tt.claims, tt.snap) {
				got = append(got, fmt.Sprintf("%s %s %v", verdictOf(c.Judgement), c.Judgement.Cause, c.Rivals))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
