package host

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/monban-dev/monban/internal/netlink"
	"github.com/monban-dev/monban/internal/netnstest"
)

// The recorded answers are those of Linux 6.18 on a little-endian machine.
func needLittleEndian(t testing.TB) {
	t.Helper()
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		netnstest.Skip(t, "needs a little-endian machine: netlink is in the machine's own order")
	}
}

// messages calls each with the payload of every message of a recorded datagram.
func messages(datagram []byte, each func(payload []byte) error) (done bool, err error) {
	return netlink.Answers(datagram, 0, func(_ uint16, payload []byte) error { return each(payload) })
}

// decode returns one line for each decoded message of a recorded answer.
func decode(t testing.TB, name string, one func([]byte) (string, error)) (lines []string) {
	t.Helper()
	ended := false
	for _, datagram := range recorded(t, name) {
		done, err := messages(datagram, func(b []byte) error {
			text, err := one(b)
			if text != "" {
				lines = append(lines, text)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		ended = ended || done
	}
	if !ended {
		t.Error("the answer has no end")
	}
	return lines
}

func TestRecordedLinks(t *testing.T) {
	needLittleEndian(t)
	got := decode(t, "link", func(b []byte) (string, error) {
		l, err := parseLink(b)
		if strings.HasPrefix(l.Name, "ifb") {
			return "", err
		}
		return fmt.Sprintf("%s kind=%s up=%v loopback=%v v6=%v forwards=%v,%v", l.Name, l.Kind, l.Up, l.Loopback, l.has6, l.forwards4, l.forwards6), err
	})
	slices.Sort(got)
	want := []string{
		"br0 kind=bridge up=true loopback=false v6=true forwards=false,false",
		"down0 kind=bridge up=false loopback=false v6=true forwards=false,false",
		"eth0 kind=veth up=true loopback=false v6=true forwards=false,false",
		"lo kind= up=true loopback=true v6=true forwards=false,false",
		"ptp0 kind=bridge up=true loopback=false v6=true forwards=false,false",
		"tun0 kind=tun up=false loopback=false v6=true forwards=false,false",
		"vx0 kind=vxlan up=false loopback=false v6=true forwards=false,false",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestRecordedAddresses(t *testing.T) {
	needLittleEndian(t)
	got := decode(t, "address", func(b []byte) (string, error) {
		a, err := parseAddress(b)
		if a.prefix.Addr().IsLinkLocalUnicast() {
			return "", err // made from a random hardware address
		}
		return fmt.Sprint(a.prefix, " ", a.usable), err
	})
	slices.Sort(got)
	want := []string{
		"127.0.0.1/8 true", "192.0.2.1/24 true", "192.0.2.7/24 true", "198.51.100.1/32 true",
		"2001:db8:1::1/128 true", "2001:db8::1/64 true", "203.0.113.9/32 true", "::1/128 true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestRecordedRoutes(t *testing.T) {
	needLittleEndian(t)
	route := func(b []byte) (string, error) {
		hops, err := parseRoute(b)
		var words []string
		for _, h := range hops {
			if h.table != 254 { // main
				continue
			}
			words = append(words, strings.TrimSpace(fmt.Sprint(h.dst, " via ", h.gateway, " ", h.kind)))
		}
		return strings.Join(words, " + "), err
	}
	got := append(decode(t, "route", route), decode(t, "route6", route)...)
	got = slices.DeleteFunc(got, func(line string) bool { return strings.HasPrefix(line, "fe80::/64") })
	slices.Sort(got)
	want := []string{
		"0.0.0.0/0 via 192.0.2.254",
		"10.0.0.0/8 via 192.0.2.2 + 10.0.0.0/8 via invalid IP",
		"10.1.0.0/16 via invalid IP nowhere",
		"10.2.0.0/16 via invalid IP nowhere",
		"10.3.0.0/16 via 2001:db8::9",
		"10.5.0.0/16 via 192.0.2.3",
		"192.0.2.0/24 via invalid IP",
		"198.51.100.2/32 via invalid IP",
		"2001:db8:1::1/128 via invalid IP",
		"2001:db8:1::2/128 via invalid IP",
		"2001:db8:2::/48 via 2001:db8::2 + 2001:db8:2::/48 via 2001:db8::3",
		"2001:db8:3::/48 via invalid IP nowhere",
		"2001:db8::/64 via invalid IP",
		"::/0 via 2001:db8::254",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestCut cuts recorded answers everywhere: nothing may be read beyond the end,
// and what is missing is never taken for what was there.
func TestCut(t *testing.T) {
	needLittleEndian(t)
	for _, name := range []string{"link", "address", "route", "route6"} {
		datagram := recorded(t, name)[0]
		for end := range len(datagram) {
			// The copy has no capacity behind its end.
			n := 0
			done, err := messages(slices.Clip(slices.Clone(datagram[:end])), func(b []byte) error {
				n++
				parseLink(b)
				parseAddress(b)
				parseRoute(b)
				return nil
			})
			if done || err == nil && n*16 > end {
				t.Fatalf("%s cut at %d: done %v, %v, %d messages", name, end, done, err, n)
			}
		}
	}
}
