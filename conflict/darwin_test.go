package conflict

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/monban-dev/monban"
)

// mac is a Mac with one address beside loopback.
func mac() []monban.Interface {
	return []monban.Interface{
		{Index: 1, Name: "lo0", Up: true, Loopback: true, Addrs: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8"),
			netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("fe80::1/64")}},
		{Index: 4, Name: "en0", Up: true, Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}},
	}
}

// macSocket reads "0.0.0.0", "[::]", "[::]v6only", "::ffff:127.0.0.1", each with
// options behind a space: "reuseaddr", "reuseport", "uid=502", "time-wait", "udp".
func macSocket(t *testing.T, text string) (*Socket, netip.Addr) {
	t.Helper()
	words := strings.Fields(text)
	place, v6only := strings.CutSuffix(words[0], "v6only")
	addr := netip.MustParseAddr(strings.Trim(place, "[]"))
	s := socketAt(monban.Bind{Addr: addr, Port: monban.Port{Num: 8080, Proto: monban.TCP}, V6Only: monban.FlagOf(v6only)})
	s.uid, s.state = 501, listening
	for _, w := range words[1:] {
		switch w {
		case "reuseaddr":
			s.reuseAddr = true
		case "reuseport":
			s.reusePort = true
		case "uid=502":
			s.uid = 502
		case "root":
			s.uid = 0
		case "time-wait":
			s.state = timeWait
		case "udp":
			s.proto, s.state = monban.UDP, closed
		default:
			t.Fatalf("%q", w)
		}
	}
	return s, addr
}

// TestDarwinPairs: what comes of every place beside every other one. A row is the
// holder, a column the one who comes later; X is EADDRINUSE.
func TestDarwinPairs(t *testing.T) {
	places := []string{"0.0.0.0", "[::]", "[::]v6only", "127.0.0.1", "::1", "::ffff:127.0.0.1"}
	for _, tt := range []struct {
		name          string
		first, second string
		want          [6]string
	}{
		{"no options", "", "", [6]string{
			"X..X.X", // [::] leaves IPv4 to whoever has 0.0.0.0, and opens
			"XXXXXX",
			".XX.X.",
			"XX.X.X",
			".XX.X.",
			"XX.X.X",
		}},
		{"the later one sets SO_REUSEADDR", "", " reuseaddr", [6]string{
			"X.....", // a specific address beside a wildcard: M2
			"XXX...",
			".XX...",
			"...X.X",
			"....X.",
			"...X.X",
		}},
		{"of the holder it does not count", " reuseaddr", "", [6]string{
			"X..X.X", "XXXXXX", ".XX.X.", "XX.X.X", ".XX.X.", "XX.X.X",
		}},
		{"both set SO_REUSEPORT", " reuseport", " reuseport", [6]string{
			"......", "......", "......", "......", "......", "......",
		}},
		{"another user, who shares with nobody", " uid=502", " reuseaddr", [6]string{
			"X..X.X", // 0.0.0.0 itself is refused for the address, not for the user
			"XXXXXX",
			".XX.X.",
			"XX.X.X",
			".XX.X.",
			"XX.X.X",
		}},
		{"another user, and both set SO_REUSEPORT", " uid=502 reuseport", " reuseport", [6]string{
			"...X.X", // wildcards are shared beyond users, addresses are not
			"...XXX",
			"....X.",
			"X..X.X",
			".XX.X.",
			"X..X.X",
		}},
		{"root asks nobody", " uid=502", " root reuseaddr", [6]string{
			"X.....", "XXX...", ".XX...", "...X.X", "....X.", "...X.X",
		}},
		{"connections in TIME_WAIT", " time-wait", "", [6]string{
			"X..X.X", "XXXXXX", ".XX.X.", "XX.X.X", ".XX.X.", "XX.X.X",
		}},
		{"and with SO_REUSEADDR", " time-wait", " reuseaddr", [6]string{
			"......", "......", "......", "......", "......", "......",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for i, first := range places {
				for k, second := range places {
					holder, _ := macSocket(t, first+tt.first)
					s, addr := macSocket(t, second+tt.second)
					d := darwin{interfaces: mac(), open: []*Socket{holder}}
					errno, blame := d.bind(s, false, addr, 8080)
					want := NoError
					if tt.want[i][k] == 'X' {
						want = EADDRINUSE
					}
					if errno != want || (blame == holder) != (want == EADDRINUSE) {
						t.Errorf("%s beside %s: %q, want %q", second+tt.second, first+tt.first, errno, want)
					}
				}
			}
		})
	}
}

// TestDarwinAlone: what is refused on an empty machine, and what only looks so.
func TestDarwinAlone(t *testing.T) {
	for _, tt := range []struct {
		want string
		port uint16
		root bool
		errn Errno
	}{
		{"0.0.0.0", 80, false, NoError}, // since macOS 10.14
		{"[::]", 443, false, NoError},
		{"127.0.0.1", 80, false, EACCES},
		{"::1", 80, false, EACCES},
		{"192.0.2.1", 80, false, EACCES},
		{"127.0.0.1", 80, true, NoError},
		{"127.0.0.2", 8080, false, EADDRNOTAVAIL}, // of 127.0.0.0/8 there is one
		{"127.0.0.2", 80, false, EADDRNOTAVAIL},   // the address is looked at before the privilege
		{"127.255.255.255", 8080, false, EADDRNOTAVAIL},
		{"192.0.2.1", 8080, false, NoError},
		{"192.0.2.255 udp", 8080, false, NoError},
		{"192.0.2.7", 8080, false, EADDRNOTAVAIL},
		{"::ffff:127.0.0.1", 8080, false, NoError},
		{"::ffff:127.0.0.1v6only", 8080, false, EADDRNOTAVAIL},
		{"fe80::1%lo0", 8080, false, NoError},
		{"fe80::1%en0", 8080, false, EADDRNOTAVAIL},
		{"fe80::1", 8080, false, EADDRNOTAVAIL},
		{"224.0.0.251", 5353, false, EAFNOSUPPORT}, // TCP
		{"224.0.0.251 udp", 5353, false, NoError},
		{"ff02::fb udp", 5353, false, NoError},
	} {
		s, addr := macSocket(t, tt.want)
		d := darwin{interfaces: mac()}
		if errno, _ := d.bind(s, tt.root, addr, tt.port); errno != tt.errn {
			t.Errorf("%s port %d root %v: %q, want %q", tt.want, tt.port, tt.root, errno, tt.errn)
		}
	}
}

// TestDarwinCrowds: the kernel looks at one of the others, the one that fits best.
func TestDarwinCrowds(t *testing.T) {
	for _, tt := range []struct {
		name string
		open []string // the newest first
		want string
		errn Errno
	}{
		{"0.0.0.0 hides 127.0.0.1 from [::]", []string{"127.0.0.1", "0.0.0.0"}, "[::]", NoError},
		{"but not the other way round", []string{"127.0.0.1"}, "[::]", EADDRINUSE},
		{"a server fits better than its connections", []string{"127.0.0.1 time-wait", "127.0.0.1 reuseport"}, "127.0.0.1 reuseport", NoError},
		{"the newest of two alike", []string{"127.0.0.1", "127.0.0.1 reuseport"}, "127.0.0.1 reuseport", EADDRINUSE},
		{"the newest of two alike shares", []string{"127.0.0.1 reuseport", "127.0.0.1"}, "127.0.0.1 reuseport", NoError},
		{"multicast is shared by SO_REUSEADDR", []string{"224.0.0.251 udp reuseaddr"}, "224.0.0.251 udp reuseaddr", NoError},
		{"and not otherwise", []string{"224.0.0.251 udp"}, "224.0.0.251 udp reuseaddr", EADDRINUSE},
		{"a unicast address is not", []string{"192.0.2.1 udp reuseaddr"}, "192.0.2.1 udp reuseaddr", EADDRINUSE},
	} {
		d := darwin{interfaces: mac()}
		for _, text := range tt.open {
			s, _ := macSocket(t, text)
			d.open = append(d.open, s)
		}
		s, addr := macSocket(t, tt.want)
		if errno, _ := d.bind(s, false, addr, 8080); errno != tt.errn {
			t.Errorf("%s: %q, want %q", tt.name, errno, tt.errn)
		}
	}
}
