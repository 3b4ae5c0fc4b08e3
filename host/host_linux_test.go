package host

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/netlink"
	"github.com/monban-dev/monban/internal/netnstest"
)

// look reads inside a namespace and wants no gap about the machine.
func look(t testing.TB, ns *netnstest.NS, parts Parts) (h monban.Host) {
	t.Helper()
	ns.Do(func() {
		var gaps []monban.Gap
		h, gaps = Read(parts)
		for _, g := range gaps {
			if g.Hides != monban.HidesOutside {
				t.Errorf("gap %+v", g)
			}
		}
	})
	return h
}

func TestIdentity(t *testing.T) {
	ns := netnstest.New(t)
	h := look(t, ns, Person)
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		t.Fatal(err)
	}
	if name, release := unix.ByteSliceToString(uts.Nodename[:]), unix.ByteSliceToString(uts.Release[:]); h.Name != name || h.Kernel != release {
		t.Errorf("name %q, kernel %q, want %q, %q", h.Name, h.Kernel, name, release)
	}
	if h.OS != "linux" || h.UID != os.Geteuid() || h.NetNS != ns.Name() {
		t.Errorf("os %q, uid %d, namespace %q, want %q", h.OS, h.UID, h.NetNS, ns.Name())
	}
	if h.Ephemeral != (monban.PortRange{}) || h.Caps != (monban.Caps{}) || h.Interfaces != nil {
		t.Errorf("more than was asked for: %+v", h)
	}
}

// TestRanges sets random sysctls and reads them back.
func TestRanges(t *testing.T) {
	ns := netnstest.New(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 30 {
		var want monban.Host
		// The kernel refuses a range that begins below the first unprivileged
		// port.
		want.Unprivileged = uint16(random.IntN(2000))
		want.Ephemeral.First = 2000 + uint16(random.IntN(30000))
		want.Ephemeral.Last = want.Ephemeral.First + 1 + uint16(random.IntN(30000))
		want.Reserved = randomRanges(random)
		want.BindV6Only = monban.FlagOf(random.IntN(2) == 1)
		want.NonlocalBind4 = monban.FlagOf(random.IntN(2) == 1)
		want.NonlocalBind6 = monban.FlagOf(random.IntN(2) == 1)

		ns.SetSysctl("net.ipv4.ip_local_port_range", "32768 60999")
		ns.SetSysctl("net.ipv4.ip_unprivileged_port_start", fmt.Sprint(want.Unprivileged))
		ns.SetSysctl("net.ipv4.ip_local_port_range", fmt.Sprintf("%d %d", want.Ephemeral.First, want.Ephemeral.Last))
		setReserved(ns, want.Reserved)
		ns.SetSysctl("net.ipv6.bindv6only", digit(want.BindV6Only))
		ns.SetSysctl("net.ipv4.ip_nonlocal_bind", digit(want.NonlocalBind4))
		ns.SetSysctl("net.ipv6.ip_nonlocal_bind", digit(want.NonlocalBind6))

		h := look(t, ns, Ranges|Network)
		if h.Ephemeral != want.Ephemeral || h.Unprivileged != want.Unprivileged || h.BindV6Only != want.BindV6Only ||
			h.NonlocalBind4 != want.NonlocalBind4 || h.NonlocalBind6 != want.NonlocalBind6 {
			t.Errorf("got %+v\nwant %+v", h, want)
		}
		if !slices.Equal(h.Reserved, want.Reserved) {
			t.Errorf("%d reserved ranges, want %d", len(h.Reserved), len(want.Reserved))
		}
	}
}

func digit(f monban.Flag) string {
	if f == monban.On {
		return "1"
	}
	return "0"
}

// randomRanges returns ascending ranges that do not touch: few, many, or as many
// as there can be.
func randomRanges(random *rand.Rand) (list []monban.PortRange) {
	step := []int{65535, 2000, 40, 3}[random.IntN(4)]
	for at := 1 + random.IntN(step); at < 65536; {
		last := min(at+random.IntN(step), 65535)
		list = append(list, monban.PortRange{First: uint16(at), Last: uint16(last)})
		at = last + 2 + random.IntN(step)
	}
	return list
}

func setReserved(ns *netnstest.NS, list []monban.PortRange) {
	words := make([]string, len(list))
	for i, r := range list {
		words[i] = r.String()
	}
	ns.SetSysctl("net.ipv4.ip_local_reserved_ports", strings.Join(words, ",")+"\n")
}

// TestEveryOtherPort has the longest list there can be: reading it in pieces
// would lose most of it without an error.
func TestEveryOtherPort(t *testing.T) {
	ns := netnstest.New(t)
	var want []monban.PortRange
	for n := 1; n < 65536; n += 2 {
		want = append(want, monban.PortRange{First: uint16(n), Last: uint16(n)})
	}
	setReserved(ns, want)
	if got := look(t, ns, Ranges).Reserved; !slices.Equal(got, want) {
		t.Errorf("%d reserved ports, want %d", len(got), len(want))
	}
	ns.Do(func() {
		text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_reserved_ports")
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("os.ReadFile gives %d bytes of it", len(text))
	})
}

func TestSwitches(t *testing.T) {
	ns := netnstest.New(t)
	ns.Run("ip", "link", "add", "br0", "type", "bridge")
	check := func(what string, forward4, forward6, ipv6 monban.Flag) {
		t.Helper()
		if h := look(t, ns, Network); h.Forward4 != forward4 || h.Forward6 != forward6 || h.IPv6 != ipv6 {
			t.Errorf("%s: forwarding %v, %v, IPv6 %v; want %v, %v, %v", what, h.Forward4, h.Forward6, h.IPv6, forward4, forward6, ipv6)
		}
	}
	check("a new namespace", monban.Off, monban.Off, monban.On)
	ns.SetSysctl("net.ipv4.ip_forward", "1")
	check("ip_forward", monban.On, monban.Off, monban.On)
	ns.SetSysctl("net.ipv4.ip_forward", "0")
	ns.SetSysctl("net.ipv4.conf.br0.forwarding", "1")
	check("one interface forwards IPv4", monban.On, monban.Off, monban.On)
	ns.SetSysctl("net.ipv4.conf.br0.forwarding", "0")
	ns.SetSysctl("net.ipv6.conf.all.forwarding", "1")
	check("forwarding of IPv6", monban.Off, monban.On, monban.On)
	ns.SetSysctl("net.ipv6.conf.all.forwarding", "0")
	if _, err := os.Stat("/proc/sys/net/ipv6/conf/all/force_forwarding"); err == nil { // Linux 6.17
		ns.SetSysctl("net.ipv6.conf.br0.force_forwarding", "1")
		check("one interface forwards IPv6", monban.Off, monban.On, monban.On)
		ns.SetSysctl("net.ipv6.conf.br0.force_forwarding", "0")
	}
	ns.SetSysctl("net.ipv6.conf.br0.disable_ipv6", "1")
	check("no IPv6 on one interface", monban.Off, monban.Off, monban.On)
	ns.SetSysctl("net.ipv6.conf.all.disable_ipv6", "1")
	check("no IPv6 on any interface", monban.Off, monban.Off, monban.Off)
}

// furnish makes one of everything in a namespace.
func furnish(t testing.TB) *netnstest.NS {
	t.Helper()
	ns, other := netnstest.New(t), netnstest.New(t)
	netnstest.Connect(ns, "eth0", other, "eth0")
	for _, line := range []string{
		"link add br0 type bridge",
		"link set br0 up",
		"link add vx0 type vxlan id 5 dstport 4789 local 127.0.0.1",
		"link add ptp0 type bridge",
		"link add down0 type bridge",
		"link set ptp0 up",
		"tuntap add mode tun name tun0",
		"address add 192.0.2.1/24 dev eth0",
		"address add 192.0.2.7/24 dev eth0",
		"address add 198.51.100.1 peer 198.51.100.2/32 dev ptp0",
		"address add 2001:db8::1/64 dev eth0 nodad",
		"address add 2001:db8:1::1 peer 2001:db8:1::2/128 dev ptp0",
		"address add 203.0.113.9/32 dev lo",
		"route add default via 192.0.2.254",
		"route add 10.0.0.0/8 nexthop via 192.0.2.2 weight 1 nexthop dev ptp0",
		"route add blackhole 10.1.0.0/16",
		"route add unreachable 10.2.0.0/16",
		"route add 10.3.0.0/16 via inet6 2001:db8::9 dev eth0",
		"route add 10.4.0.0/16 dev eth0 table 100",
		"-6 route add default via 2001:db8::254",
		"-6 route add 2001:db8:2::/48 nexthop via 2001:db8::2 nexthop via 2001:db8::3",
		"-6 route add blackhole 2001:db8:3::/48",
		"nexthop add id 7 via 192.0.2.3 dev eth0",
		"route add 10.5.0.0/16 nhid 7",
	} {
		ns.Run("ip", strings.Fields(line)...)
	}
	return ns
}

// ipLink is what "ip -json -details address" says of an interface.
type ipLink struct {
	Master   string
	Parent   string   `json:"link"`
	Index    int      `json:"ifindex"`
	Name     string   `json:"ifname"`
	Flags    []string `json:"flags"`
	LinkInfo struct {
		Kind string `json:"info_kind"`
	} `json:"linkinfo"`
	Addrs []struct {
		Local     netip.Addr `json:"local"`
		Bits      int        `json:"prefixlen"`
		Tentative bool       `json:"tentative"`
	} `json:"addr_info"`
}

func ipJSON[T any](t testing.TB, ns *netnstest.NS, args ...string) (v T) {
	t.Helper()
	text := ns.Run("ip", append([]string{"-json"}, args...)...)
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("ip %v: %v\n%s", args, err, text)
	}
	return v
}

// confFlag reads a switch of an interface, which is also on where it is on for
// all but forwarding.
func confFlag(t testing.TB, ns *netnstest.NS, version int, device, name string) monban.Flag {
	t.Helper()
	on := ns.Sysctl(fmt.Sprintf("net/ipv%d/conf/%s/%s", version, device, name)) != "0"
	if name != "forwarding" {
		on = on || ns.Sysctl(fmt.Sprintf("net/ipv%d/conf/all/%s", version, name)) != "0"
	}
	return monban.FlagOf(on)
}

// checkLinks compares the interfaces of h with those that ip(8) shows.
func checkLinks(t testing.TB, ns *netnstest.NS, h monban.Host) {
	t.Helper()
	var want []monban.Interface
	for _, l := range ipJSON[[]ipLink](t, ns, "-details", "address") {
		i := monban.Interface{
			Index: l.Index, Name: l.Name, Kind: l.LinkInfo.Kind,
			Up:       slices.Contains(l.Flags, "UP"),
			Loopback: slices.Contains(l.Flags, "LOOPBACK"),
		}
		i.Master = l.Master
		i.IPv6 = monban.FlagOf(ns.Sysctl("net/ipv6/conf/"+l.Name+"/disable_ipv6") == "0")
		if i.Kind == "macvlan" {
			i.Parent = l.Parent
		}
		i.Forward4, i.Forward6 = confFlag(t, ns, 4, l.Name, "forwarding"), monban.FlagOf(ns.Sysctl("net.ipv6.conf.all.forwarding") != "0")
		i.AcceptLocal, i.RouteLocalnet = confFlag(t, ns, 4, l.Name, "accept_local"), confFlag(t, ns, 4, l.Name, "route_localnet")
		i.ValidMark = confFlag(t, ns, 4, l.Name, "src_valid_mark")
		switch max(ns.Sysctl("net.ipv4.conf.all.rp_filter"), ns.Sysctl("net/ipv4/conf/"+l.Name+"/rp_filter")) {
		case "0":
			i.ReversePath = monban.ReversePathOff
		case "1":
			i.ReversePath = monban.ReversePathStrict
		case "2":
			i.ReversePath = monban.ReversePathLoose
		}
		for _, a := range l.Addrs {
			if !a.Tentative {
				i.Addrs = append(i.Addrs, netip.PrefixFrom(a.Local, a.Bits))
			}
		}
		want = append(want, i)
	}
	slices.SortFunc(want, func(a, b monban.Interface) int { return cmp.Compare(a.Index, b.Index) })
	if len(want) < 2 {
		t.Fatalf("ip shows only %+v", want)
	}
	if len(h.Interfaces) != len(want) {
		t.Fatalf("%d interfaces, want %d", len(h.Interfaces), len(want))
	}
	for k := range want {
		if got, want := fmt.Sprintf("%+v", h.Interfaces[k]), fmt.Sprintf("%+v", want[k]); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestNetwork(t *testing.T) {
	ns := furnish(t)
	// Link-local addresses are tentative for a second; wait until they are not,
	// so that both looks see the same.
	waitForAddresses(t, ns)
	h := look(t, ns, Network)
	checkLinks(t, ns, h)
	kinds := map[string]string{}
	for _, i := range h.Interfaces {
		kinds[i.Name] = i.Kind
	}
	want := map[string]string{"lo": "", "eth0": "veth", "br0": "bridge", "vx0": "vxlan", "ptp0": "bridge", "down0": "bridge", "tun0": "tun"}
	for name := range kinds {
		if _, ours := want[name]; !ours { // modules put devices of their own into each namespace
			delete(kinds, name)
		}
	}
	if !maps.Equal(kinds, want) {
		t.Errorf("kinds %v, want %v", kinds, want)
	}
	checkRoutes(t, ns, h)
}

func waitForAddresses(t testing.TB, ns *netnstest.NS) {
	t.Helper()
	for range 300 {
		if ns.Run("ip", "-6", "address", "show", "tentative") == "" {
			return
		}
		unix.Nanosleep(&unix.Timespec{Nsec: 20e6}, nil)
	}
	t.Fatal("an address remains tentative")
}

// checkRoutes compares the routes of h with those that ip(8) shows.
func checkRoutes(t testing.TB, ns *netnstest.NS, h monban.Host) {
	t.Helper()
	type nextHop struct {
		Gateway string `json:"gateway"`
		Via     struct {
			Host string `json:"host"`
		} `json:"via"`
		Device string `json:"dev"`
	}
	type route struct {
		nextHop
		Type string    `json:"type"`
		Dst  string    `json:"dst"`
		Hops []nextHop `json:"nexthops"`
		// Metric is not told where it is 0.
		Metric uint32 `json:"metric"`
	}
	var want []string
	for family, everything := range map[string]string{"-4": "0.0.0.0/0", "-6": "::/0"} {
		for _, r := range ipJSON[[]route](t, ns, family, "-details", "route", "show", "table", "main") {
			kind := ""
			switch r.Type {
			case "blackhole", "unreachable", "prohibit":
				kind = monban.RouteNowhere
			case "throw":
				kind = monban.RouteThrow
			case "", "unicast":
			default:
				continue
			}
			switch {
			case r.Dst == "default":
				r.Dst = everything
			case !strings.Contains(r.Dst, "/"):
				r.Dst = fmt.Sprintf("%s/%d", r.Dst, netip.MustParseAddr(r.Dst).BitLen())
			}
			if len(r.Hops) == 0 {
				r.Hops = []nextHop{r.nextHop}
			}
			for _, hop := range r.Hops {
				want = append(want, fmt.Sprintln(r.Dst, hop.Gateway+hop.Via.Host, hop.Device, kind, r.Metric))
			}
		}
	}
	var got []string
	for _, r := range h.Routes {
		gateway := ""
		if r.Gateway.IsValid() {
			gateway = r.Gateway.String()
		}
		got = append(got, fmt.Sprintln(r.Dst, gateway, r.Device, r.Kind, r.Metric))
	}
	slices.Sort(want)
	slices.Sort(got)
	if len(want) < 12 || !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, ""), strings.Join(want, ""))
	}
}

// TestManyLinks needs several datagrams, and random addresses.
func TestManyLinks(t *testing.T) {
	ns := netnstest.New(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var batch strings.Builder
	for i := range 150 {
		fmt.Fprintf(&batch, "link add t%d type bridge\n", i)
		if random.IntN(2) == 0 {
			fmt.Fprintf(&batch, "link set t%d up\n", i)
		}
		for range random.IntN(4) {
			var a [4]byte
			a[0], a[1], a[2], a[3] = 10, byte(i), byte(random.IntN(256)), byte(1+random.IntN(250))
			fmt.Fprintf(&batch, "address add %s/%d dev t%d\n", netip.AddrFrom4(a), 20+random.IntN(13), i)
		}
		for range random.IntN(3) {
			fmt.Fprintf(&batch, "address add 2001:db8:%x::%x/%d dev t%d nodad\n", i, 1+random.IntN(60000), 48+random.IntN(81), i)
		}
	}
	cmd := ns.Command("ip", "-force", "-batch", "-") // a random address may come twice
	cmd.Stdin = strings.NewReader(batch.String())
	cmd.CombinedOutput()
	ns.Do(func() {
		for i := range 150 {
			for _, name := range [...]string{"rp_filter", "accept_local", "route_localnet", "src_valid_mark", "forwarding"} {
				value := strconv.Itoa(random.IntN(2))
				if name == "rp_filter" {
					value = strconv.Itoa(random.IntN(3))
				}
				if err := os.WriteFile(fmt.Sprintf("/proc/sys/net/ipv4/conf/t%d/%s", i, name), []byte(value), 0); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
	waitForAddresses(t, ns)
	h := look(t, ns, Network)
	if len(h.Interfaces) < 150 {
		t.Fatalf("%d interfaces", len(h.Interfaces))
	}
	checkLinks(t, ns, h)
}

// TestTooManyRoutes proves that the answer says so when it is cut.
func TestTooManyRoutes(t *testing.T) {
	ns := netnstest.New(t)
	var batch strings.Builder
	for i := range maxRoutes + 5 {
		fmt.Fprintf(&batch, "route add 10.%d.%d.%d/32 dev lo\n", i>>16, i>>8&255, i&255)
	}
	cmd := ns.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(batch.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ns.Do(func() {
		h, gaps := Read(Network)
		if len(h.Routes) != maxRoutes {
			t.Errorf("%d routes", len(h.Routes))
		}
		if !slices.ContainsFunc(gaps, func(g monban.Gap) bool { return g.Source == "rtnetlink routes" && g.Err == errRoutes{}.Error() }) {
			t.Errorf("gaps %v", gaps)
		}
	})
}

// TestWhileChanging reads while interfaces come and go: nothing may be there
// twice, and what does not change is always there.
func TestWhileChanging(t *testing.T) {
	ns := netnstest.New(t)
	ns.Run("ip", "link", "add", "br0", "type", "bridge")
	ns.AddAddr("br0", "192.0.2.1/24", "2001:db8::1/64")
	var batch strings.Builder
	for i := range 80 {
		fmt.Fprintf(&batch, "link add t%d type bridge\naddress add 10.0.%d.1/24 dev t%d\n", i%40, i%40, i%40)
		if i%40 == 39 {
			for k := range 40 {
				fmt.Fprintf(&batch, "link delete t%d\n", k)
			}
		}
	}
	cmd := ns.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(batch.String())
	done := make(chan error, 1)
	go func() {
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		done <- err
	}()
	reads := 0
	ns.Do(func() {
		for {
			select {
			case err := <-done:
				if err != nil {
					t.Error(err)
				}
				return
			default:
			}
			h, gaps := Read(Network)
			reads++
			for _, g := range gaps {
				if g.Err != errChanged.Error() && g.Hides != monban.HidesOutside {
					t.Errorf("gap %+v", g)
				}
			}
			seen := make(map[netip.Prefix]int)
			for k, i := range h.Interfaces {
				if k > 0 && h.Interfaces[k-1].Index >= i.Index {
					t.Errorf("interface %d after %d", i.Index, h.Interfaces[k-1].Index)
				}
				for _, a := range i.Addrs {
					seen[a]++
				}
			}
			for a, n := range seen {
				if n > 1 {
					t.Errorf("%s is there %d times", a, n)
				}
			}
			if len(gaps) == 0 && seen[netip.MustParsePrefix("192.0.2.1/24")] != 1 {
				t.Errorf("br0's address is missing among %v", seen)
			}
		}
	})
	if reads < 10 {
		t.Errorf("only %d reads", reads)
	}
	t.Logf("%d reads", reads)
}

// TestTentative proves against bind(2) that exactly the addresses in the answer
// can be bound.
func TestTentative(t *testing.T) {
	ns, other := netnstest.New(t), netnstest.New(t)
	netnstest.Connect(ns, "eth0", other, "eth0")
	ns.SetSysctl("net.ipv6.conf.eth0.dad_transmits", "60") // a minute
	ns.Run("ip", "address", "add", "2001:db8::1/64", "dev", "eth0")
	ns.Run("ip", "address", "add", "2001:db8::2/64", "dev", "eth0", "nodad")
	ns.Run("ip", "address", "add", "192.0.2.1/24", "dev", "eth0")
	h := look(t, ns, Network)
	for text, want := range map[string]bool{"2001:db8::1": false, "2001:db8::2": true, "192.0.2.1": true, "192.0.2.2": false, "::1": true} {
		addr := netip.MustParseAddr(text)
		ns.Do(func() {
			l, err := net.Listen("tcp", netip.AddrPortFrom(addr, 80).String())
			if err == nil {
				l.Close()
			}
			if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
				t.Error(err)
			}
			if bound := err == nil; bound != want || h.HasAddr(addr) != want {
				t.Errorf("%s: bind %v, HasAddr %v, want %v", addr, err, h.HasAddr(addr), want)
			}
		})
	}
}

// bindLow tries what CAP_NET_BIND_SERVICE is for.
func bindLow(t testing.TB) monban.Flag {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:80")
	switch {
	case err == nil:
		l.Close()
		return monban.On
	case errors.Is(err, unix.EACCES):
		return monban.Off
	}
	t.Fatal(err)
	return monban.FlagUnknown
}

func TestCapsAsRoot(t *testing.T) {
	ns := netnstest.New(t)
	caps := look(t, ns, Caps).Caps
	if caps.SysAdmin != monban.On {
		t.Errorf("%+v, though a namespace could be made", caps)
	}
	ns.Do(func() {
		if could := bindLow(t); caps.BindService != could {
			t.Errorf("BindService %v, but binding says %v", caps.BindService, could)
		}
	})
}

func TestCapsAsNobody(t *testing.T) {
	if !netnstest.Rerunning() {
		netnstest.New(t).Rerun(t, netnstest.Nobody)
		return
	}
	h, gaps := Read(Identity | Ranges | Caps | Person)
	off := monban.Caps{BindService: monban.Off, Ptrace: monban.Off, NetAdmin: monban.Off, NetRaw: monban.Off, SysAdmin: monban.Off}
	if h.Caps != off || h.UID != netnstest.Nobody || h.User != "nobody" {
		t.Errorf("caps %+v, uid %d, user %q", h.Caps, h.UID, h.User)
	}
	if could := bindLow(t); could != monban.Off {
		t.Errorf("nobody could bind port 80: %v", could)
	}
	for _, g := range gaps {
		if g.Hides != monban.HidesOutside {
			t.Errorf("nobody has a gap: %+v", g)
		}
	}
}

// TestCapsInUserNamespace runs this test again as the root of a user namespace,
// who has every capability and yet none over somebody else's network.
func TestCapsInUserNamespace(t *testing.T) {
	const again = "MONBAN_TEST_USERNS"
	if os.Getenv(again) != "" {
		h, _ := Read(Caps)
		could := bindLow(t)
		if h.Caps.BindService != could || h.Caps.NetAdmin != could || h.Caps.SysAdmin != monban.FlagUnknown {
			t.Errorf("%+v, but binding says %v", h.Caps, could)
		}
		if want := os.Getenv(again); could.String() != want {
			t.Errorf("binding says %v, want %s", could, want)
		}
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ns := netnstest.New(t)
	for _, test := range []struct {
		want    string
		options []string
	}{
		{"off", []string{"--user", "--map-root-user"}},
		{"on", []string{"--user", "--map-root-user", "--net", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"}},
	} {
		args := append(slices.Clone(test.options), exe, "-test.v", "-test.run=^"+t.Name()+"$")
		cmd := ns.Command("unshare", args...)
		cmd.Env = append(os.Environ(), again+"="+test.want)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
			t.Errorf("%v: %v\n%s", test.options, err, out)
		}
	}
}

// TestHiddenProcesses runs this test again in a process namespace, as every
// container is.
func TestHiddenProcesses(t *testing.T) {
	const again = "MONBAN_TEST_PIDNS"
	if os.Getenv(again) != "" {
		h, gaps := Read(Identity)
		if h.Container == "" || h.HostNetwork != monban.Off {
			t.Errorf("container %q, host network %v", h.Container, h.HostNetwork)
		}
		if !slices.Contains(gaps, monban.Gap{Source: "host", Err: h.Container, Hides: monban.HidesOutside}) {
			t.Errorf("gaps %v", gaps)
		}
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := netnstest.New(t).Command("unshare", "--pid", "--fork", "--mount-proc", exe, "-test.v", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), again+"=1")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
}

var record = flag.Bool("record", false, "write the kernel's answers to testdata")

// TestRecord keeps the answers of this kernel, for the tests on other systems.
func TestRecord(t *testing.T) {
	if !*record {
		return
	}
	ns := furnish(t)
	waitForAddresses(t, ns)
	ns.Do(func() {
		for _, table := range []struct {
			name    string
			kind    uint16
			request []byte
		}{
			{"link", unix.RTM_GETLINK, allLinks()},
			{"address", unix.RTM_GETADDR, make([]byte, unix.SizeofIfAddrmsg)},
			{"route", unix.RTM_GETROUTE, allRoutes(unix.AF_INET)},
			{"route6", unix.RTM_GETROUTE, allRoutes(unix.AF_INET6)},
		} {
			if err := os.WriteFile("testdata/"+table.name+".hex", answer(t, table.kind, table.request), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// answer returns the raw datagrams of an answer, one a line.
func answer(t testing.TB, kind uint16, request []byte) (lines []byte) {
	t.Helper()
	c, err := netlink.Dial(unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := unix.SetsockoptInt(c.FD(), unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1); err != nil {
		t.Fatal(err)
	}
	if err := c.Send(append(netlink.AppendHeader(nil, kind, netlink.Request|netlink.Dump, 0, len(request)), request...)); err != nil {
		t.Fatal(err)
	}
	for {
		b, err := c.Receive()
		if err != nil {
			t.Fatal(err)
		}
		lines = append(hex.AppendEncode(lines, b), '\n')
		done, err := messages(b, func([]byte) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		if done {
			return lines
		}
	}
}

func BenchmarkIdentityRangesCaps(b *testing.B) {
	for b.Loop() {
		Read(Identity | Ranges | Caps)
	}
}

func BenchmarkNetwork(b *testing.B) {
	for b.Loop() {
		Read(Network)
	}
}
