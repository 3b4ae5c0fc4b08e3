package conflict

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook"
)

// door makes a door in one line: "tcp 127.0.0.1:5173 node 7".
func door(t *testing.T, s string, opts ...func(*monban.Door)) monban.Door {
	t.Helper()
	var proto, at, name string
	var pid int
	if n, _ := fmt.Sscan(s, &proto, &at, &name, &pid); n < 2 {
		t.Fatalf("bad door %q", s)
	}
	p, err := monban.ParseProto(proto)
	if err != nil {
		t.Fatal(err)
	}
	ap := netip.MustParseAddrPort(at)
	d := monban.Door{State: monban.Listen, Bind: monban.Bind{Addr: ap.Addr(), Port: monban.Port{Num: ap.Port(), Proto: p},
		V6Only: monban.FlagOf(ap.Addr().Is6() && !ap.Addr().IsUnspecified())}}
	if p == monban.UDP {
		d.State = monban.Bound
	}
	if name != "" {
		d.Owners = []monban.Owner{{PID: pid, Name: name, Exe: "/usr/bin/" + name, Command: []string{name},
			Parents: []monban.Parent{{PID: 1, Name: "systemd"}}}}
	}
	for _, o := range opts {
		o(&d)
	}
	return d
}

func unit(u string) func(*monban.Door) { return func(d *monban.Door) { d.Owners[0].Unit = u } }

func child(of int, name string) func(*monban.Door) {
	return func(d *monban.Door) {
		d.Owners[0].Parents = []monban.Parent{{PID: of, Name: name}, {PID: 1, Name: "systemd"}}
	}
}

func to(port uint16, container string) func(*monban.Door) {
	return func(d *monban.Door) { d.To = monban.Target{Port: port, Container: container} }
}

func hidden(h monban.Hidden) func(*monban.Door) { return func(d *monban.Door) { d.Unnamed = h } }

func kernelOwned(feature string) func(*monban.Door) {
	return func(d *monban.Door) { d.Unnamed, d.Kernel = monban.HiddenKernel, feature }
}

func v6only(d *monban.Door)  { d.Bind.V6Only = monban.On }
func orphan(d *monban.Door)  { d.Owners[0].Orphan = true }
func deleted(d *monban.Door) { d.Owners[0].Deleted = true }

func testHost() monban.Host {
	return monban.Host{OS: "linux", UID: 1000, Unprivileged: 1024, BindV6Only: monban.Off, IPv6: monban.On,
		Ephemeral: monban.PortRange{First: 32768, Last: 60999},
		Caps:      monban.Caps{BindService: monban.Off, NetRaw: monban.Off},
		Interfaces: []monban.Interface{
			{Index: 1, Name: "lo", Up: true, Loopback: true, Addrs: prefixes("127.0.0.1/8", "::1/128")},
			{Index: 2, Name: "eth0", Up: true, Addrs: prefixes("192.0.2.1/24", "2001:db8::1/64")},
		}}
}

func prefixes(s ...string) (out []netip.Prefix) {
	for _, p := range s {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func testContainers() []monban.Container {
	return []monban.Container{
		{ID: "c1", Name: "db", Image: "postgres:16", Engine: "docker"},
		{ID: "c2", Name: "web", Image: "acme/shop", Engine: "docker", Project: "shop", Service: "web"},
	}
}

func TestInspect(t *testing.T) {
	manyHidden := make([]monban.Door, 100)
	for i := range manyHidden {
		manyHidden[i] = door(t, fmt.Sprintf("tcp 127.0.0.1:%d", 2000+i), hidden(monban.HiddenPrivilege))
	}
	for _, c := range []struct {
		name  string
		doors []monban.Door
		want  string // "kind severity port service", in order; * is any severity, ? is Likely
	}{
		{"one server on both loopbacks", []monban.Door{
			door(t, "tcp 127.0.0.1:5173 node 7"), door(t, "tcp [::1]:5173 node 7")}, ""},
		{"two dev servers share localhost", []monban.Door{
			door(t, "tcp 127.0.0.1:5173 node 7", child(6, "bash")), door(t, "tcp [::1]:5173 node 8", child(6, "bash"))},
			"split-loopback medium 5173"},
		{"an unnamed one is no stranger", []monban.Door{
			door(t, "tcp 127.0.0.1:631", hidden(monban.HiddenPrivilege)), door(t, "tcp [::1]:631 cupsd 7")},
			"unnamed-owner info 631"},
		{"socket unit and its service", []monban.Door{
			door(t, "tcp 127.0.0.1:631 systemd 1", unit("cups.socket")), door(t, "tcp [::1]:631 cupsd 7", unit("cups.service"))}, ""},
		{"two socket units of pid 1", []monban.Door{
			door(t, "tcp 127.0.0.1:631 systemd 1", unit("a.socket")), door(t, "tcp [::1]:631 systemd 1", unit("b.socket"))},
			"split-loopback medium 631"},
		{"docker-proxy twice for one container", []monban.Door{
			door(t, "tcp 0.0.0.0:8081 docker-proxy 7", to(80, "c2")), door(t, "tcp [::]:8081 docker-proxy 8", to(80, "c2"), v6only)}, ""},
		{"docker-proxy for two containers", []monban.Door{
			door(t, "tcp 0.0.0.0:8081 docker-proxy 7", to(80, "c2")), door(t, "tcp [::]:8081 docker-proxy 8", to(81, "c1"), v6only)},
			"split-wildcard medium 8081"},
		{"docker-proxy, engine unasked", []monban.Door{
			door(t, "tcp 0.0.0.0:8081 docker-proxy 7", to(80, "")), door(t, "tcp [::]:8081 docker-proxy 8", to(80, ""), v6only)}, ""},
		{"two specific addresses are chosen on purpose", []monban.Door{
			door(t, "tcp 127.0.0.1:5432 postgres 7"), door(t, "tcp 192.0.2.1:5432 docker-proxy 8", to(5432, "c1"))}, ""},
		{"wildcard and specific", []monban.Door{
			door(t, "tcp 0.0.0.0:80 nginx 7"), door(t, "tcp 127.0.0.1:80 apache2 8")}, "split-wildcard medium 80"},
		{"dual-stack wildcard and IPv4", []monban.Door{
			door(t, "tcp [::]:80 nginx 7"), door(t, "tcp 127.0.0.1:80 apache2 8")}, "split-wildcard medium 80"},
		{"IPv6-only wildcard and IPv4", []monban.Door{
			door(t, "tcp [::]:80 nginx 7", v6only), door(t, "tcp 127.0.0.1:80 apache2 8")}, ""},
		{"two wildcards of two programs", []monban.Door{
			door(t, "tcp 0.0.0.0:80 nginx 7"), door(t, "tcp [::]:80 apache2 8", v6only)}, "split-wildcard medium 80"},
		{"two wildcards, one program", []monban.Door{
			door(t, "tcp 0.0.0.0:80 nginx 7"), door(t, "tcp [::]:80 nginx 7", v6only)}, ""},
		{"two resolvers with an address each", []monban.Door{
			door(t, "udp 127.0.0.53:53 systemd-resolved 7"), door(t, "udp 192.0.2.1:53 dnsmasq 8")}, ""},
		{"shared by strangers", []monban.Door{
			door(t, "tcp 0.0.0.0:3000 a 7"), door(t, "tcp 0.0.0.0:3000 b 8")}, "shared-port medium 3000"},
		{"shared by workers", []monban.Door{
			door(t, "tcp 0.0.0.0:3000 gunicorn 7", child(6, "gunicorn")), door(t, "tcp 0.0.0.0:3000 gunicorn 8", child(6, "gunicorn"))}, ""},
		{"shared by master and worker", []monban.Door{
			door(t, "tcp 0.0.0.0:3000 a 7"), door(t, "tcp 0.0.0.0:3000 b 8", child(7, "a"))}, ""},
		{"mDNS is made to be shared", []monban.Door{
			door(t, "udp 0.0.0.0:5353 avahi-daemon 7"), door(t, "udp 0.0.0.0:5353 chrome 8")}, ""},
		{"one finding for a hundred unnamed", manyHidden, "unnamed-owner info 2000"},
		{"kernel sockets", []monban.Door{
			door(t, "udp 0.0.0.0:4789", kernelOwned("vxlan")), door(t, "tcp 0.0.0.0:2049", kernelOwned("nfsd")),
			door(t, "tcp 0.0.0.0:7", kernelOwned(""))},
			"unnamed-owner low 7, unnamed-owner info 2049, unnamed-owner info 4789"},
		{"not asked is no finding", []monban.Door{door(t, "tcp 127.0.0.1:80", hidden(monban.HiddenNotAsked))}, ""},
		{"redis for everybody", []monban.Door{
			door(t, "tcp 0.0.0.0:6379 redis-server 7"), door(t, "tcp [::]:6379 redis-server 7", v6only)}, "wide-service * 6379 Redis"},
		{"mysql", []monban.Door{door(t, "tcp 0.0.0.0:3306 mariadbd 7")}, "wide-service high 3306 MariaDB"},
		{"redis elsewhere", []monban.Door{door(t, "tcp 0.0.0.0:7001 redis-server 7")}, "wide-service * 7001 Redis"},
		{"redis on loopback", []monban.Door{door(t, "tcp 127.0.0.1:6379 redis-server 7")}, ""},
		{"a known stranger on a database's port", []monban.Door{door(t, "tcp 0.0.0.0:6379 nginx 7")}, ""},
		{"an unknown stranger on a database's port", []monban.Door{door(t, "tcp 0.0.0.0:6379 myserver 7")}, ""},
		{"hidden on a database's port", []monban.Door{door(t, "tcp 0.0.0.0:6379", hidden(monban.HiddenPrivilege))},
			"wide-service low 6379 Redis?, unnamed-owner info 6379"},
		{"a runtime on a web port", []monban.Door{door(t, "tcp 0.0.0.0:8080 java 7")}, ""},
		{"published database", []monban.Door{door(t, "tcp 0.0.0.0:5555 docker-proxy 7", to(5432, "c1"))}, "wide-service * 5555 PostgreSQL"},
		{"published something else", []monban.Door{door(t, "tcp 0.0.0.0:5555 docker-proxy 7", to(5432, "c2"))}, ""},
		{"a container's own process", []monban.Door{door(t, "tcp 0.0.0.0:5432 postgres 7",
			func(d *monban.Door) { d.Owners[0].Container = "c2" })}, "wide-service * 5432 PostgreSQL"},
		{"server in the ephemeral range", []monban.Door{
			door(t, "tcp 0.0.0.0:40000 a 7"), door(t, "tcp [::]:40000 a 7", v6only)}, "ephemeral-server low 40000"},
		{"language servers whisper", []monban.Door{
			door(t, "tcp 127.0.0.1:40001 code 7"), door(t, "tcp 127.0.0.1:40002 code 7"), door(t, "tcp 127.0.0.1:40003 gopls 8")},
			"ephemeral-server info 40001, ephemeral-server info 40003"},
		{"rpc.statd asks for any port", []monban.Door{
			door(t, "tcp 0.0.0.0:40001 rpc.statd 7"), door(t, "tcp [::]:40009 rpc.statd 7")}, "ephemeral-server info 40001"},
		{"UDP clients are no servers", []monban.Door{door(t, "udp 0.0.0.0:40001 a 7"), door(t, "udp 127.0.0.1:40001 b 8")}, ""},
		{"upgraded and not restarted", []monban.Door{
			door(t, "tcp 0.0.0.0:80 nginx 7", deleted, unit("nginx.service")),
			door(t, "tcp 0.0.0.0:443 nginx 7", deleted, unit("nginx.service"))}, "deleted-exe low 80"},
		{"left over", []monban.Door{door(t, "tcp 127.0.0.1:3000 node 7", orphan)}, "orphan-holder low 3000"},
		{"a container that listens to itself", []monban.Door{door(t, "tcp 0.0.0.0:5555 docker-proxy 7", to(8080, "c2")),
			door(t, "tcp 127.0.0.1:8080 node 9", inside("c2"))}, "container-loopback medium 5555"},
		{"a container that listens to others as well", []monban.Door{door(t, "tcp 0.0.0.0:5555 docker-proxy 7", to(8080, "c2")),
			door(t, "tcp 127.0.0.1:8080 node 9", inside("c2")), door(t, "tcp [::]:8080 node 9", inside("c2"))}, ""},
		{"another container that listens to itself", []monban.Door{door(t, "tcp 0.0.0.0:5555 docker-proxy 7", to(8080, "c2")),
			door(t, "tcp 127.0.0.1:8080 node 9", inside("c1"))}, ""},
		{"two namespaces are two machines", []monban.Door{door(t, "tcp 127.0.0.1:80 a 7"),
			door(t, "tcp [::1]:80 b 8", func(d *monban.Door) { d.Bind.NetNS = "net:[7]" })}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			snap := &monban.Snapshot{Host: testHost(), Doors: c.doors, Containers: testContainers()}
			got := findingsText(Inspect(snap, portbook.Builtin()))
			if !alike(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
			slices.Reverse(snap.Doors)
			if again := findingsText(Inspect(snap, portbook.Builtin())); again != got {
				t.Errorf("in the reverse order %q, not %q", again, got)
			}
		})
	}
}

// inside is a door in a container's network.
func inside(container string) func(*monban.Door) {
	return func(d *monban.Door) { d.Bind.NetNS, d.Owners[0].Container = "net:[7]", container }
}

func findingsText(found []monban.Finding) string {
	var lines []string
	for _, f := range found {
		line := fmt.Sprintf("%s %s %d %s", f.Kind, f.Severity, f.Bind.Port.Num, f.Service)
		if f.Likely {
			line += "?"
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	return strings.Join(lines, ", ")
}

// alike compares; a * in want stands for any one word.
func alike(got, want string) bool {
	return slices.EqualFunc(strings.Fields(got), strings.Fields(want), func(g, w string) bool { return w == "*" || g == w })
}

// TestHandedOut: macOS gives [::] a number of its range that somebody has on
// 127.0.0.1, and only there is that what happened.
func TestHandedOut(t *testing.T) {
	book := portbook.Builtin()
	for _, tt := range []struct {
		os, wide, other string
		want            Cause
	}{
		{"darwin", "tcp [::]:50000 node 7", "tcp 127.0.0.1:50000 java 8", M3},
		{"darwin", "tcp [::]:3000 node 7", "tcp 127.0.0.1:3000 java 8", ""}, // somebody chose it
		{"darwin", "tcp 0.0.0.0:50000 node 7", "tcp 127.0.0.1:50000 java 8", ""},
		{"linux", "tcp [::]:50000 node 7", "tcp 127.0.0.1:50000 java 8", ""},
	} {
		snap := &monban.Snapshot{Host: monban.Host{OS: tt.os, Ephemeral: monban.PortRange{First: 49152, Last: 65535}},
			Doors: []monban.Door{door(t, tt.wide), door(t, tt.other)}}
		found := Inspect(snap, book)
		i := slices.IndexFunc(found, func(f monban.Finding) bool { return f.Kind == monban.SplitWildcard })
		if i < 0 || found[i].Cause != string(tt.want) {
			t.Errorf("%s %s: %+v, want %q", tt.os, tt.wide, found, tt.want)
		}
	}
}
