package owners

import (
	"net/netip"
	"testing"

	"github.com/monban-dev/monban"
)

// bind writes a Bind as tests need it: "tcp 127.0.0.1:53", with a device behind
// "%".
func bind(t testing.TB, proto, at string) monban.Bind {
	t.Helper()
	p, err := monban.ParseProto(proto)
	if err != nil {
		t.Fatal(err)
	}
	addr, err := netip.ParseAddrPort(at)
	if err != nil {
		t.Fatal(err)
	}
	b := monban.Bind{Port: monban.Port{Num: addr.Port(), Proto: p}, Addr: addr.Addr()}
	if b.Addr.Is4() {
		b.V6Only = monban.Off
	}
	return b
}

func TestSocketUnit(t *testing.T) {
	on := func(b monban.Bind) monban.Bind { b.V6Only = monban.On; return b }
	off := func(b monban.Bind) monban.Bind { b.V6Only = monban.Off; return b }
	device := func(b monban.Bind, name string) monban.Bind { b.Device = name; return b }
	for _, test := range []struct {
		name      string
		files     []string
		bind      monban.Bind
		ok, plain bool
	}{
		{"a number is IPv6", []string{"[Socket]\nListenStream=22\n"}, bind(t, "tcp", "[::]:22"), true, false},
		{"a number without IPv6", []string{"[Socket]\nListenStream=22\n"}, bind(t, "tcp", "0.0.0.0:22"), true, true},
		{"a number is not an address", []string{"[Socket]\nListenStream=22\n"}, bind(t, "tcp", "127.0.0.1:22"), false, false},
		{"another port", []string{"[Socket]\nListenStream=22\n"}, bind(t, "tcp", "[::]:2222"), false, false},
		{"another transport", []string{"[Socket]\nListenStream=22\n"}, bind(t, "udp", "[::]:22"), false, false},
		{"datagrams", []string{"[Socket]\nListenDatagram=69\n"}, bind(t, "udp", "[::]:69"), true, false},
		{"SCTP", []string{"[Socket]\nListenSequentialPacket=69\n"}, bind(t, "sctp", "[::]:69"), true, false},
		{"SCTP, named", []string{"[Socket]\nListenStream=69\nSocketProtocol=sctp\n"}, bind(t, "sctp", "[::]:69"), true, false},
		{"MPTCP is TCP", []string{"[Socket]\nListenStream=69\nSocketProtocol=mptcp\n"}, bind(t, "tcp", "[::]:69"), true, false},
		{"UDP-Lite is not UDP", []string{"[Socket]\nListenDatagram=69\nSocketProtocol=udplite\n"}, bind(t, "udp", "[::]:69"), false, false},
		{"an IPv4 address", []string{"[Socket]\nListenStream=127.0.0.53:53\n"}, bind(t, "tcp", "127.0.0.53:53"), true, false},
		{"an IPv6 address", []string{"[Socket]\nListenStream=[::1]:631\n"}, bind(t, "tcp", "[::1]:631"), true, false},
		{"a zone", []string{"[Socket]\nListenStream=[fe80::1%eth0]:80\n"}, bind(t, "tcp", "[fe80::1%eth0]:80"), true, false},
		{"another zone", []string{"[Socket]\nListenStream=[fe80::1%eth0]:80\n"}, bind(t, "tcp", "[fe80::1%eth1]:80"), false, false},
		{"all of IPv4", []string{"[Socket]\nListenStream=0.0.0.0:80\n"}, bind(t, "tcp", "0.0.0.0:80"), true, false},
		{"all of IPv4 is not IPv6", []string{"[Socket]\nListenStream=0.0.0.0:80\n"}, bind(t, "tcp", "[::]:80"), false, false},
		{"only IPv6, and it is", []string{"[Socket]\nListenStream=80\nBindIPv6Only=ipv6-only\n"}, on(bind(t, "tcp", "[::]:80")), true, false},
		{"only IPv6, and it is not", []string{"[Socket]\nListenStream=80\nBindIPv6Only=ipv6-only\n"}, off(bind(t, "tcp", "[::]:80")), false, false},
		{"both, and it is not", []string{"[Socket]\nListenStream=80\nBindIPv6Only=both\n"}, on(bind(t, "tcp", "[::]:80")), false, false},
		{"both, unknown", []string{"[Socket]\nListenStream=80\nBindIPv6Only=both\n"}, bind(t, "tcp", "[::]:80"), true, false},
		{"its device", []string{"[Socket]\nListenStream=80\nBindToDevice=eth0\n"}, device(bind(t, "tcp", "[::]:80"), "eth0"), true, false},
		{"another device", []string{"[Socket]\nListenStream=80\nBindToDevice=eth0\n"}, device(bind(t, "tcp", "[::]:80"), "eth1"), false, false},
		{"the second line", []string{"[Socket]\nListenStream=/run/x\nListenStream=vsock::22\nListenStream=80\n"}, bind(t, "tcp", "[::]:80"), true, false},
		{"spaces and comments", []string{"# x\n[Unit]\nListenStream=1\n[Socket]\n ; y\n  ListenStream  =  80  \n"}, bind(t, "tcp", "[::]:80"), true, false},
		{"another section", []string{"[Unit]\nListenStream=80\n[Install]\nListenStream=80\n"}, bind(t, "tcp", "[::]:80"), false, false},
		{"a joined line", []string{"[Socket]\nListenStream=\\\n# between\n80\n"}, bind(t, "tcp", "[::]:80"), true, false},
		{"a specifier", []string{"[Socket]\nListenStream=%i\n"}, bind(t, "tcp", "[::]:80"), false, false},
		{"a drop-in adds", []string{"[Socket]\nListenStream=22\n", "[Socket]\nListenStream=2222\n"}, bind(t, "tcp", "[::]:22"), true, false},
		{"a drop-in replaces", []string{"[Socket]\nListenStream=22\n", "[Socket]\nListenStream=\nListenStream=2222\n"}, bind(t, "tcp", "[::]:22"), false, false},
		{"what it replaces by", []string{"[Socket]\nListenStream=22\n", "[Socket]\nListenStream=\nListenStream=2222\n"}, bind(t, "tcp", "[::]:2222"), true, false},
		{"an empty line of another kind", []string{"[Socket]\nListenStream=22\n", "[Socket]\nListenDatagram=\n"}, bind(t, "tcp", "[::]:22"), false, false},
		{"port 0", []string{"[Socket]\nListenStream=0\n"}, bind(t, "tcp", "[::]:0"), false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			u := socketUnit{name: "x.socket"}
			for _, f := range test.files {
				u.read([]byte(f))
			}
			if ok, plain := u.asksFor(test.bind); ok != test.ok || plain != test.plain {
				t.Errorf("got %v, %v, want %v, %v; listens %+v", ok, plain, test.ok, test.plain, u.listen)
			}
		})
	}
}

func FuzzSocketUnit(f *testing.F) {
	f.Add([]byte("[Socket]\nListenStream=22\nListenDatagram=[::1]:5\\\n3\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var u socketUnit
		u.read(b)
		for _, l := range u.listen {
			if l.port == 0 || l.kind == "" {
				t.Errorf("%+v", l)
			}
		}
	})
}
