package owners

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/monban-dev/monban"
)

// attr and message write netlink, for the tests of what reads it.
func attr(kind uint16, value ...byte) []byte {
	b := make([]byte, 4, 4+align4(len(value)))
	binary.NativeEndian.PutUint16(b, uint16(4+len(value)))
	binary.NativeEndian.PutUint16(b[2:], kind)
	b = append(b, value...)
	return append(b, make([]byte, align4(len(b))-len(b))...)
}

func message(kind uint16, body ...byte) []byte {
	b := make([]byte, nlmsgHeader)
	binary.NativeEndian.PutUint32(b, uint32(nlmsgHeader+len(body)))
	binary.NativeEndian.PutUint16(b[4:], kind)
	b = append(b, body...)
	return append(b, make([]byte, align4(len(b))-len(b))...)
}

// link writes one interface as RTM_GETLINK answers.
func link(name, kind string, up bool, data []byte) []byte {
	body := make([]byte, ifinfomsg)
	if up {
		binary.NativeEndian.PutUint32(body[8:], 0x1043)
	}
	info := slices.Concat(attr(iflaInfoKind, []byte(kind+"\x00")...), attr(iflaInfoData|0x8000, data...))
	return message(rtmNewLink, slices.Concat(body, attr(iflaIfname, []byte(name+"\x00")...), attr(iflaLinkinfo, info...))...)
}

func port16(n uint16) []byte { return binary.BigEndian.AppendUint16(nil, n) }

func TestParseLinks(t *testing.T) {
	b := slices.Concat(
		link("lo", "", true, nil),
		link("vx0", "vxlan", true, slices.Concat(attr(1, 5, 0, 0, 0), attr(iflaVxlanPort, port16(4789)...))),
		link("vx1", "vxlan", false, attr(iflaVxlanPort, port16(8472)...)),
		link("gv0", "geneve", true, attr(iflaGenevePort, port16(6081)...)),
		link("bu0", "bareudp", true, attr(iflaBareudpPort, port16(6635)...)),
		link("wg0", "wireguard", true, nil),
		link("br0", "bridge", true, attr(iflaVxlanPort, port16(1)...)),
		link("vx2", "vxlan", true, attr(iflaVxlanPort, 1)),
		message(nlmsgDone, 0, 0, 0, 0),
	)
	want := []tunnel{{"vxlan", "vx0", 4789}, {"geneve", "gv0", 6081}, {"bareudp", "bu0", 6635}, {"wireguard", "wg0", 0}, {"vxlan", "vx2", 0}}
	if got := parseLinks(b); !slices.Equal(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	// Cut anywhere it must not fail, nor find more.
	for i := range b {
		if got := parseLinks(b[:i]); len(got) > len(want) {
			t.Errorf("cut at %d: %+v", i, got)
		}
	}
}

func TestParseGenericNetlink(t *testing.T) {
	genl := make([]byte, genlHeader)
	family := message(0x10, slices.Concat(genl, attr(2, []byte("wireguard\x00")...), attr(ctrlAttrFamilyID, binary.NativeEndian.AppendUint16(nil, 33)...))...)
	if got := parseFamilyID(family); got != 33 {
		t.Errorf("family %d", got)
	}
	if got := parseFamilyID(message(nlmsgError, make([]byte, 20)...)); got != 0 {
		t.Errorf("an error is family %d", got)
	}
	device := message(33, slices.Concat(genl, attr(wgDeviceIfname, []byte("wg0\x00")...), attr(3, make([]byte, 32)...),
		attr(wgDeviceListenPort, binary.NativeEndian.AppendUint16(nil, 51820)...))...)
	if got := parseWireguardPort(device, 33); got != 51820 {
		t.Errorf("port %d", got)
	}
	if got := parseWireguardPort(device, 34); got != 0 {
		t.Errorf("another family's message has port %d", got)
	}
}

func FuzzNetlink(f *testing.F) {
	f.Add(link("vx0", "vxlan", true, attr(iflaVxlanPort, port16(4789)...)), uint16(33))
	f.Fuzz(func(t *testing.T, b []byte, family uint16) {
		for _, l := range parseLinks(b) {
			if l.kind == "" {
				t.Errorf("%+v", l)
			}
		}
		parseFamilyID(b)
		parseWireguardPort(b, family)
	})
}

func TestParsePortlist(t *testing.T) {
	got := parsePortlist([]byte("tcp 2049\nudp 2049\nrdma 20049\ntcp 0\ntcp x\n\ntcp 1 2\n"))
	want := []feature{{"nfsd", monban.Port{Num: 2049, Proto: monban.TCP}, true}, {"nfsd", monban.Port{Num: 2049, Proto: monban.UDP}, true}}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestSystemFeature(t *testing.T) {
	for port, want := range map[string]string{"80/tcp": "http.sys", "5985/tcp": "http.sys", "445/tcp": "smb", "139/tcp": "netbt",
		"137/udp": "netbt", "138/udp": "netbt", "445/udp": "", "4789/udp": ""} {
		p, err := monban.ParsePort(port)
		if err != nil {
			t.Fatal(err)
		}
		if got := systemFeature(p, true); got != want {
			t.Errorf("%s: %q, want %q", port, got, want)
		}
	}
	if got := systemFeature(monban.Port{Num: 80, Proto: monban.TCP}, false); got != "" {
		t.Errorf("without the driver: %q", got)
	}
}

func TestParseProcargs2(t *testing.T) {
	b := slices.Concat(binary.NativeEndian.AppendUint32(nil, 3), []byte("/usr/bin/node\x00\x00\x00\x00node\x00\x00--port=1\x00SECRET=1\x00"))
	exe, argv, ok := parseProcargs2(b)
	if !ok || exe != "/usr/bin/node" || !slices.Equal(argv, []string{"node", "", "--port=1"}) {
		t.Errorf("got %q, %q, %v", exe, argv, ok)
	}
	for i := range len(b) - len("SECRET=1\x00") {
		if exe, argv, ok := parseProcargs2(b[:i]); ok || exe != "" || argv != nil {
			t.Errorf("cut at %d: %q, %q, %v", i, exe, argv, ok)
		}
	}
}

func FuzzParseProcargs2(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00/x\x00\x00y\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if exe, argv, ok := parseProcargs2(b); !ok && (exe != "" || argv != nil) {
			t.Errorf("not ok, and yet %q, %q", exe, argv)
		}
	})
}

func TestParseVnodePath(t *testing.T) {
	b := make([]byte, 2*(152+1024))
	copy(b[152:], "/Users/me/app\x00rest")
	if got := parseVnodePath(b); got != "/Users/me/app" {
		t.Errorf("got %q", got)
	}
	if got := parseVnodePath(b[:1000]); got != "" {
		t.Errorf("cut: %q", got)
	}
	if got := parseVnodePath(make([]byte, 2*(152+1024))); got != "" {
		t.Errorf("empty: %q", got)
	}
}
