package integration

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/exposure"
	"github.com/monban-dev/monban/firewall"
	"github.com/monban-dev/monban/host"
	"github.com/monban-dev/monban/internal/netnstest"
	show "github.com/monban-dev/monban/internal/report"
	"github.com/monban-dev/monban/portbook"
)

// large loads 10,000 rules and a set of 100,000 ranges, beside eight interfaces,
// and returns what is read of it with 1,000 doors.
func large(b *testing.B) (*netnstest.NS, *monban.Snapshot) {
	b.Helper()
	if os.Geteuid() != 0 {
		netnstest.Skip(b, "needs root")
	}
	netnstest.Need(b, "nft")
	rng := rand.New(rand.NewPCG(6, 6))
	ns := netnstest.New(b)
	for i := range 8 {
		ns.Run("ip", "link", "add", fmt.Sprintf("eth%d", i), "type", "veth", "peer", "name", fmt.Sprintf("p%d", i))
		ns.Run("ip", "link", "set", fmt.Sprintf("eth%d", i), "up")
		ns.Run("ip", "link", "set", fmt.Sprintf("p%d", i), "down")
		ns.AddAddr(fmt.Sprintf("eth%d", i), fmt.Sprintf("10.%d.0.1/24", i), fmt.Sprintf("2001:db8:%d::1/64", i))
	}
	ns.Run("ip", "route", "add", "default", "via", "10.0.0.2")
	ns.Run("ip", "-6", "route", "add", "default", "via", "2001:db8:0::2")
	var t strings.Builder
	t.WriteString("table inet big {\n set block { type ipv4_addr; flags interval; elements = {\n")
	for i := range 100_000 {
		at := uint32(i)*40_000 + 1<<24
		fmt.Fprintf(&t, "%d.%d.%d.%d-%d.%d.%d.%d,\n", byte(at>>24), byte(at>>16), byte(at>>8), byte(at), byte((at+99)>>24), byte((at+99)>>16), byte((at+99)>>8), byte(at+99))
	}
	t.WriteString("} }\n chain in { type filter hook input priority 0; policy drop;\n ct state established,related accept\n ip saddr @block drop\n")
	// What is unwanted first, as lists of it stand.
	for i := range 10_000 {
		a := netip.AddrFrom4([4]byte{byte(rng.IntN(200) + 1), byte(rng.IntN(256)), byte(rng.IntN(256)), 0})
		switch {
		case i < 2500:
			fmt.Fprintf(&t, "ip saddr %s/24 drop\n", a)
		case i%4 == 1:
			fmt.Fprintf(&t, "iifname \"eth%d\" tcp dport %d accept\n", rng.IntN(8), 1000+rng.IntN(1000))
		default:
			fmt.Fprintf(&t, "ip saddr %s/16 tcp dport %d accept\n", a, 1000+rng.IntN(1000))
		}
	}
	t.WriteString("}\n}\n")
	cmd := ns.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(t.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("nft: %v\n%.500s", err, out)
	}
	snap := &monban.Snapshot{}
	ns.Do(func() {
		snap.Host, _ = host.Read(host.Network)
		snap.Rules, snap.Gaps = firewall.Read(firewall.Options{})
	})
	if snap.Rules == nil {
		b.Fatal(snap.Gaps)
	}
	doors := 1000
	if n, err := strconv.Atoi(os.Getenv("MONBAN_BENCH_DOORS")); err == nil {
		doors = n
	}
	for i := range doors {
		d := monban.Door{State: monban.Listen, Bind: monban.Bind{Port: monban.Port{Num: uint16(1000 + i), Proto: monban.TCP}, Addr: netip.IPv6Unspecified(), V6Only: monban.Off}}
		snap.Doors = append(snap.Doors, d)
	}
	return ns, snap
}

// BenchmarkReach judges 1,000 doors.
func BenchmarkReach(b *testing.B) {
	_, snap := large(b)
	for b.Loop() {
		exposure.Judge(snap)
	}
}

// BenchmarkReachShown finds what is to be said about 1,000 judged doors, nearly all of
// whose sources are lists of 100,000 ranges, and says it.
func BenchmarkReachShown(b *testing.B) {
	_, snap := large(b)
	for i, reach := range exposure.Judge(snap) {
		snap.Doors[i].Reach = reach
	}
	book := portbook.Builtin()
	for b.Loop() {
		found := slices.Concat(exposure.Inspect(snap, book, nil), exposure.Idle(snap), exposure.Dead(snap))
		r := show.Result{Verb: "status", Snapshot: snap, Book: book, Findings: found, Data: show.Status{Doors: snap.Doors}}
		if err := show.Write(io.Discard, r, show.Style{Format: show.Text}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReadRules reads the same ruleset, and BenchmarkNftList has nft do it.
func BenchmarkReadRules(b *testing.B) {
	ns, _ := large(b)
	for b.Loop() {
		ns.Do(func() {
			if rules, gaps := firewall.Read(firewall.Options{}); rules == nil {
				b.Fatal(gaps)
			}
		})
	}
}

func BenchmarkNftList(b *testing.B) {
	ns, _ := large(b)
	for b.Loop() {
		ns.Run("nft", "list", "ruleset")
	}
}
