package host

import (
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/monban-dev/monban"
)

func TestParseRange(t *testing.T) {
	for text, want := range map[string]string{
		"32768\t60999": "32768-60999", "1024 65535": "1024-65535", "5000\t5000": "5000",
		"": "", "1": "", "1 2 3": "", "2 1": "", "1 65536": "", "1 2/tcp": "", "-1 5": "", "a b": "",
	} {
		r, err := parseRange(text)
		if want == "" {
			if err == nil || r != (monban.PortRange{}) {
				t.Errorf("parseRange(%q) = %v, %v", text, r, err)
			}
		} else if err != nil || r.String() != want {
			t.Errorf("parseRange(%q) = %v, %v, want %s", text, r, err, want)
		}
	}
}

func TestParseFirst(t *testing.T) {
	for text, want := range map[string]int{
		"1024": 1024, "0": 0, "65535": 65535, "65536": 65535, "80": 80,
		"": -1, "65537": -1, "-1": -1, "x": -1, "1 2": -1,
	} {
		n, err := parseFirst(text)
		if want < 0 {
			if err == nil || n != 0 {
				t.Errorf("parseFirst(%q) = %d, %v", text, n, err)
			}
		} else if err != nil || int(n) != want {
			t.Errorf("parseFirst(%q) = %d, %v, want %d", text, n, err, want)
		}
	}
}

func TestParseReserved(t *testing.T) {
	for text, want := range map[string]string{
		"": "[]", "\n": "[]", "8080\n": "[8080]", "8080,9000-9010\n": "[8080 9000-9010]", "1-65535\n": "[1-65535]",
		"80,\n": "", ",80\n": "", "80/tcp\n": "", "9-8\n": "", "70000\n": "", "http\n": "", "1 2\n": "",
	} {
		list, err := parseReserved(text)
		if want == "" {
			if err == nil || list != nil {
				t.Errorf("parseReserved(%q) = %v, %v", text, list, err)
			}
		} else if err != nil || fmt.Sprint(list) != want {
			t.Errorf("parseReserved(%q) = %v, %v, want %s", text, list, err, want)
		}
	}
}

func TestUserName(t *testing.T) {
	const passwd = "root:x:0:0:root:/root:/bin/bash\n# 7:x:7:\nbroken\nhanako:x:1000:1000::/home/hanako:/bin/sh\n:x:5:5:::\ntoor:x:0:0::/root:/bin/sh\nlast:x:9:9::/:/bin/sh"
	for uid, want := range map[int]string{0: "root", 1000: "hanako", 9: "last", 7: "", 5: "", 1: "", -1: ""} {
		if got := userName(passwd, uid); got != want {
			t.Errorf("uid %d is %q, want %q", uid, got, want)
		}
	}
}

func TestCgroupKind(t *testing.T) {
	for text, want := range map[string]string{
		"0::/\n": "", "": "", "nonsense": "", "0::/init.scope\n": "",
		"0::/system.slice/docker.service\n":                                      "", // the engine itself
		"0::/system.slice/docker-" + id64 + ".scope\n":                           "docker",
		"5:cpu:/docker/" + id64 + "\n":                                           "docker",
		"0::/machine.slice/libpod-" + id64 + ".scope\n":                          "podman",
		"0::/lxc.payload.web/init.scope\n":                                       "lxc",
		"4:cpu:/lxc/web\n":                                                       "lxc",
		"0::/kubepods/besteffort/pod7a/" + id64 + "\n":                           "kubernetes",
		"3:cpu:/kubepods.slice/kubepods-pod7a.slice/docker-" + id64 + ".scope\n": "kubernetes",
	} {
		if got := cgroupKind(text); got != want {
			t.Errorf("cgroupKind(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestFirmware(t *testing.T) {
	for _, test := range [][3]string{
		{"", "", ""},
		{"Dell Inc.", "PowerEdge R650", ""},
		{"Microsoft Corporation", "Surface Laptop", ""},
		{"Microsoft Corporation", "Virtual Machine", "hyper-v"},
		{"VMware, Inc.", "VMware Virtual Platform", "vmware"},
		{"innotek GmbH", "VirtualBox", "virtualbox"},
		{"Red Hat", "KVM", "kvm"},
		{"QEMU", "Standard PC (i440FX + PIIX, 1996)", "qemu"},
		{"Xen", "HVM domU", "xen"},
		{"Amazon EC2", "t3.micro", "amazon"},
		{"Amazon EC2", "m5.metal", ""},
		{"Google", "Google Compute Engine", "google"},
		{"OpenStack Foundation", "OpenStack Nova", "openstack"},
		{"Apple Inc.", "Apple Virtualization Generic Platform", "apple"},
	} {
		if got := firmware(test[0], test[1]); got != test[2] {
			t.Errorf("firmware(%q, %q) = %q, want %q", test[0], test[1], got, test[2])
		}
	}
}

func TestNetshDynamicPorts(t *testing.T) {
	for text, want := range map[string]string{
		"\r\nProtocol tcp Dynamic Port Range\r\n---------------------------------\r\nStart Port      : 49152\r\nNumber of Ports : 16384\r\n\r\n": "49152-65535",
		// Japanese, in the code page 932 that the program writes.
		"\r\n\x83v\x83\x8d\x83g\x83R\x83\x8b tcp \x82\xcc\x93\xae\x93I\x83|\x81[\x83g\x82\xcc\x94\xcd\x88\xcd\r\n-----\r\n\x8aJ\x8en\x83|\x81[\x83g : 1025\r\n\x83|\x81[\x83g\x90\x94 : 64510\r\n": "1025-65534",
		"": "", "Start Port : 49152\n": "", "a: 1\nb: 2\nc: 3\n": "", "a: 60000\nb: 16384\n": "", "a: 1\nb: 0\n": "",
	} {
		r, err := parseDynamicPorts(text)
		if want == "" {
			if err == nil || r != (monban.PortRange{}) {
				t.Errorf("%q: %v, %v", text, r, err)
			}
		} else if err != nil || r.String() != want {
			t.Errorf("%q: %v, %v, want %s", text, r, err, want)
		}
	}
}

func TestNetshExcludedPorts(t *testing.T) {
	const head = "\r\nProtocol tcp Port Exclusion Ranges\r\n\r\nStart Port    End Port\r\n----------    --------\r\n"
	const foot = "\r\n* - Administered port exclusions.\r\n\r\n"
	for text, want := range map[string]string{
		head + foot: "[] []",
		head + "      5357        5357\r\n     49671       49770\r\n     50000       50059     *\r\n     61117       61216\r\n" + foot: "[50000-50059/tcp] [5357/tcp 49671-49770/tcp 61117-61216/tcp]",
		"": "", "The following command was not found: int ipv4.\r\n": "", head + "9 8\r\n": "", head + "1 99999\r\n": "",
	} {
		reserved, excluded, err := parseExcludedPorts(text, monban.TCP)
		if want == "" {
			if err == nil || reserved != nil || excluded != nil {
				t.Errorf("%q: %v, %v, %v", text, reserved, excluded, err)
			}
		} else if got := fmt.Sprint(reserved, excluded); err != nil || got != want {
			t.Errorf("%q: %s, %v, want %s", text, got, err, want)
		}
	}
}

// The fuzz targets look for panics, and for an error beside an answer.

func FuzzSysctls(f *testing.F) {
	for _, seed := range []string{"32768\t60999\n", "8080,9000-9010\n", "\n", "CapEff:\t000001ffffffffff\n", "root:x:0:0::/:\n",
		"A=b\x00container=lxc\x00", "0::/docker/" + id64 + "\n", mountLine("/containers/"+id64+"/hosts", "/etc/hosts")} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if r, err := parseRange(text); err != nil && r != (monban.PortRange{}) {
			t.Errorf("range %v and %v", r, err)
		}
		if n, err := parseFirst(text); err != nil && n != 0 {
			t.Errorf("port %v and %v", n, err)
		}
		if n, err := parseCapEff(text); err != nil && n != 0 {
			t.Errorf("capabilities %v and %v", n, err)
		}
		list, err := parseReserved(text)
		if err != nil && list != nil {
			t.Errorf("reserved %v and %v", list, err)
		}
		if err == nil {
			// What was understood can be written down and read again.
			again, err := parseReserved(strings.ReplaceAll(strings.Trim(fmt.Sprint(list), "[]"), " ", ","))
			if err != nil || !slices.Equal(list, again) {
				t.Errorf("%q: %v, again %v, %v", text, list, again, err)
			}
		}
		userName(text, 0)
		environ(text, "container")
		cgroupKind(text)
		mountKind(text)
	})
}

func FuzzNetsh(f *testing.F) {
	f.Add("Start Port      : 49152\r\nNumber of Ports : 16384\r\n")
	f.Add("----------    --------\r\n      5357        5357\r\n     50000       50059     *\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		if r, err := parseDynamicPorts(text); err != nil && r != (monban.PortRange{}) || r.Last < r.First {
			t.Errorf("dynamic %v, %v", r, err)
		}
		if a, b, err := parseExcludedPorts(text, monban.UDP); err != nil && (a != nil || b != nil) {
			t.Errorf("excluded %v, %v and %v", a, b, err)
		}
	})
}

func FuzzRTNetlink(f *testing.F) {
	for _, name := range []string{"link", "address", "route"} {
		for _, datagram := range recorded(f, name) {
			f.Add(datagram)
		}
	}
	f.Fuzz(func(t *testing.T, datagram []byte) {
		messages(datagram, func(b []byte) error {
			if l, err := parseLink(b); err != nil && (l.Name != "" || l.Index != 0 || l.Addrs != nil) {
				t.Errorf("link %+v and %v", l, err)
			}
			if a, err := parseAddress(b); err != nil && a != (address{}) || err == nil && !a.prefix.IsValid() {
				t.Errorf("address %+v and %v", a, err)
			}
			hops, err := parseRoute(b)
			if err != nil && hops != nil {
				t.Errorf("routes %+v and %v", hops, err)
			}
			for _, h := range hops {
				if !h.dst.IsValid() {
					t.Errorf("route to nowhere: %+v", h)
				}
			}
			return nil
		})
	})
}

// recorded returns the datagrams of an answer of the kernel, one a line in
// hexadecimal. TestRecord writes them.
func recorded(t testing.TB, name string) (datagrams [][]byte) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name + ".hex")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		datagram, err := hex.DecodeString(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		datagrams = append(datagrams, datagram)
	}
	return datagrams
}
