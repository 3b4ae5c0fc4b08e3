package host

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/monban-dev/monban"
)

// machine is a Linux machine as files. A value that begins with "-> " is a
// symbolic link.
type machine map[string]string

func (m machine) root() fileSystem {
	root := fstest.MapFS{}
	for name, text := range m {
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			root[name] = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
			continue
		}
		root[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return root
}

// with returns m with more files; an empty name in gone is a removed one.
func (m machine) with(more machine) machine {
	m = maps.Clone(m)
	maps.Copy(m, more)
	return m
}

func (m machine) without(names ...string) machine {
	m = maps.Clone(m)
	for _, name := range names {
		delete(m, name)
	}
	return m
}

// bare is a machine that is no container, seen by root.
func bare() machine {
	return machine{
		"etc/passwd":                "root:x:0:0:root:/root:/bin/bash\nhanako:x:1000:1000::/home/hanako:/bin/sh\n",
		"proc/sys/kernel/hostname":  "gate\n",
		"proc/sys/kernel/osrelease": "6.1.0-13-amd64\n",
		"proc/thread-self/status":   "Name:\tmonban\nUid:\t0\t0\t0\t0\nCapPrm:\t0000000000000000\nCapEff:\t000001ffffffffff\n",
		"proc/thread-self/cgroup":   "0::/user.slice/user-1000.slice/session-2.scope\n",
		"proc/1/environ":            "HOME=/\x00TERM=linux\x00",

		"proc/thread-self/ns/net":    "-> net:[4026531840]",
		"proc/thread-self/ns/pid":    "-> pid:[4026531836]",
		"proc/thread-self/ns/user":   "-> user:[4026531837]",
		"proc/thread-self/ns/uts":    "-> uts:[4026531838]",
		"proc/thread-self/ns/ipc":    "-> ipc:[4026531839]",
		"proc/thread-self/ns/cgroup": "-> cgroup:[4026531835]",

		"proc/thread-self/mountinfo": "27 1 254:0 / / rw,relatime - ext4 /dev/vda1 rw\n",

		"proc/sys/net/core/somaxconn":                  "4096\n",
		"proc/sys/net/core/netdev_max_backlog":         "1000\n",
		"proc/sys/net/ipv4/ip_local_port_range":        "32768\t60999\n",
		"proc/sys/net/ipv4/ip_local_reserved_ports":    "\n",
		"proc/sys/net/ipv4/ip_unprivileged_port_start": "1024\n",
		"proc/sys/net/ipv4/ip_nonlocal_bind":           "0\n",
		"proc/sys/net/ipv6/ip_nonlocal_bind":           "0\n",
		"proc/sys/net/ipv6/bindv6only":                 "0\n",
	}
}

// inside is bare with the namespaces that every engine makes.
func inside() machine {
	return bare().with(machine{
		"proc/thread-self/ns/net":    "-> net:[4026532321]",
		"proc/thread-self/ns/pid":    "-> pid:[4026532320]",
		"proc/thread-self/ns/uts":    "-> uts:[4026532318]",
		"proc/thread-self/ns/ipc":    "-> ipc:[4026532319]",
		"proc/thread-self/ns/cgroup": "-> cgroup:[4026532322]",
		"proc/thread-self/cgroup":    "0::/\n",
		"proc/1/environ":             "HOME=/root\x00",
	}).without("proc/sys/net/core/netdev_max_backlog")
}

// read looks at a machine as Read does, without the network.
func read(m machine, env map[string]string) (monban.Host, []monban.Gap) {
	v := view{Host: monban.Host{UID: 0, Unprivileged: firstUnprivileged}}
	f := files{
		root:    m.root(),
		getenv:  func(name string) string { return env[name] },
		ownsNet: func() monban.Flag { return monban.Off },
	}
	if f.identity(&v) {
		f.ranges(&v)
		f.caps(&v)
		f.strangers(&v)
		f.person(&v)
	}
	v.enclosed()
	return v.Host, v.gaps
}

func TestBare(t *testing.T) {
	h, gaps := read(bare(), nil)
	want := monban.Host{
		Name: "gate", Kernel: "6.1.0-13-amd64", User: "root", NetNS: "net:[4026531840]",
		Ephemeral:    monban.PortRange{First: 32768, Last: 60999},
		Unprivileged: 1024, BindV6Only: monban.Off, NonlocalBind4: monban.Off, NonlocalBind6: monban.Off,
		Caps: monban.Caps{BindService: monban.On, Ptrace: monban.On, NetAdmin: monban.On, NetRaw: monban.On, SysAdmin: monban.On},
	}
	if got, want := fmt.Sprintf("%+v", h), fmt.Sprintf("%+v", want); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if len(gaps) != 0 {
		t.Errorf("gaps %v", gaps)
	}
}

// hosts is a line of mountinfo: a file mounted over one of those in /etc.
func mountLine(from, over string) string {
	return "900 880 254:1 " + from + " " + over + " rw,relatime - ext4 /dev/vda1 rw\n"
}

const id64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestEnclosure(t *testing.T) {
	pod := map[string]string{"KUBERNETES_SERVICE_HOST": "10.96.0.1"}
	docker := mountLine("/var/lib/docker/containers/"+id64+"/hostname", "/etc/hostname")
	const release, wsl2Kernel = "proc/sys/kernel/osrelease", "5.15.167.4-microsoft-standard-WSL2\n"
	for _, test := range []struct {
		name               string
		machine            machine
		env                map[string]string
		container, virtual string
		hostNetwork        monban.Flag
	}{
		{name: "bare", machine: bare()},
		{name: "a virtual machine made from a container image", machine: bare().with(machine{".dockerenv": ""})},
		{name: "a bare machine in a private network", machine: bare().with(machine{"proc/thread-self/ns/net": "-> net:[4026532999]"})},
		{name: "docker", machine: inside().with(machine{".dockerenv": ""}), container: "docker", hostNetwork: monban.Off},
		{name: "docker with the host's network", container: "docker", hostNetwork: monban.On,
			machine: inside().with(machine{".dockerenv": "", "proc/sys/net/core/netdev_max_backlog": "1000\n"})},
		{name: "docker with every namespace of the host", container: "docker", hostNetwork: monban.On,
			machine: bare().with(machine{".dockerenv": "", "proc/thread-self/mountinfo": docker})},
		{name: "docker whose namespaces cannot be read", container: "docker", hostNetwork: monban.Off,
			machine: inside().with(machine{".dockerenv": ""}).without("proc/thread-self/ns/pid", "proc/thread-self/ns/uts",
				"proc/thread-self/ns/ipc", "proc/thread-self/ns/cgroup")},
		{name: "docker without its marker", container: "docker", hostNetwork: monban.Off,
			machine: inside().with(machine{"proc/thread-self/mountinfo": docker})},
		{name: "docker on a file system of its own", container: "docker", hostNetwork: monban.Off,
			machine: inside().with(machine{"proc/thread-self/mountinfo": mountLine("/containers/"+id64+"/hosts", "/etc/hosts")})},
		{name: "podman", machine: inside().with(machine{"run/.containerenv": "engine=\"podman-4.3.1\"\n"}), container: "podman", hostNetwork: monban.Off},
		{name: "podman without its marker", container: "podman", hostNetwork: monban.Off,
			machine: inside().with(machine{"proc/thread-self/mountinfo": mountLine("/containers/storage/overlay-containers/"+id64+"/userdata/hosts", "/etc/hosts")})},
		{name: "a pod of docker", env: pod, container: "kubernetes", hostNetwork: monban.Off,
			machine: inside().with(machine{".dockerenv": "", "var/run/secrets/kubernetes.io/serviceaccount/token": "x"})},
		{name: "the variable of a pod, but not one", env: pod, machine: bare()},
		{name: "a pod without an account", env: pod, container: "kubernetes", hostNetwork: monban.Off,
			machine: inside().with(machine{"proc/thread-self/mountinfo": docker + mountLine("/var/lib/kubelet/pods/7a/etc-hosts", "/etc/hosts")})},
		{name: "lxc", machine: inside().with(machine{"run/systemd/container": "lxc\n"}), container: "lxc", hostNetwork: monban.Off},
		{name: "nspawn, by its first process", container: "systemd-nspawn", hostNetwork: monban.Off,
			machine: inside().with(machine{"proc/1/environ": "PATH=/bin\x00container=systemd-nspawn\x00"})},
		{name: "an engine nobody knows", machine: inside().with(machine{"run/systemd/container": "crane\n"}), container: "container", hostNetwork: monban.Off},
		{name: "by the control group alone", container: "docker", hostNetwork: monban.Off,
			machine: inside().with(machine{"proc/thread-self/cgroup": "12:pids:/docker/" + id64 + "\n0::/docker/" + id64 + "\n"})},
		{name: "hidden processes and nothing else", machine: inside(), container: "container", hostNetwork: monban.Off},
		{name: "a name of its own and nothing else", machine: bare().with(machine{"proc/thread-self/ns/uts": "-> uts:[4026532999]"})},
		{name: "wsl1", machine: bare().with(machine{release: "4.4.0-19041-Microsoft\n"}), virtual: "wsl1"},
		{name: "wsl2", machine: inside().with(machine{release: wsl2Kernel}), virtual: "wsl2"},
		{name: "wsl2 with systemd", virtual: "wsl2",
			machine: inside().with(machine{release: wsl2Kernel, "run/systemd/container": "wsl\n"})},
		{name: "wsl2 with a kernel of one's own", virtual: "wsl2",
			machine: inside().with(machine{"proc/sys/fs/binfmt_misc/WSLInterop": "enabled\n"})},
		{name: "docker in wsl2", container: "docker", virtual: "wsl2", hostNetwork: monban.Off,
			machine: inside().with(machine{release: wsl2Kernel, ".dockerenv": ""})},
		{name: "azure is not wsl", machine: bare().with(machine{release: "5.15.0-1050-azure\n",
			"sys/class/dmi/id/sys_vendor": "Microsoft Corporation\n", "sys/class/dmi/id/product_name": "Virtual Machine\n"}), virtual: "hyper-v"},
		{name: "qemu", machine: bare().with(machine{"sys/class/dmi/id/sys_vendor": "QEMU\n",
			"sys/class/dmi/id/product_name": "Standard PC (Q35 + ICH9, 2009)\n"}), virtual: "qemu"},
		{name: "hardware", machine: bare().with(machine{"sys/class/dmi/id/sys_vendor": "LENOVO\n", "sys/class/dmi/id/product_name": "20XW\n"})},
		{name: "xen guest", machine: bare().with(machine{"sys/hypervisor/type": "xen\n", "proc/xen/capabilities": ""}), virtual: "xen"},
		{name: "xen's own machine", machine: bare().with(machine{"sys/hypervisor/type": "xen\n", "proc/xen/capabilities": "control_d\n"})},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, gaps := read(test.machine, test.env)
			if h.Container != test.container || h.Virtual != test.virtual || h.HostNetwork != test.hostNetwork {
				t.Errorf("container %q, virtual %q, host network %v; want %q, %q, %v",
					h.Container, h.Virtual, h.HostNetwork, test.container, test.virtual, test.hostNetwork)
			}
			kind := test.container
			if strings.HasPrefix(test.virtual, "wsl") {
				kind = strings.TrimSpace(kind + " " + test.virtual)
			}
			var want []monban.Gap
			if kind != "" {
				want = []monban.Gap{{Source: "host", Err: kind, Hides: monban.HidesOutside}}
			}
			if !slices.Equal(gaps, want) {
				t.Errorf("gaps %+v, want %+v", gaps, want)
			}
		})
	}
}

// TestMissing takes each file away, and breaks it, and wants to be told.
func TestMissing(t *testing.T) {
	read := func(m machine) (monban.Host, map[string]bool) {
		h, gaps := read(m, nil)
		sources := make(map[string]bool)
		for _, g := range gaps {
			if g.Err == "" || g.Hides != monban.HidesHost {
				t.Errorf("gap %+v", g)
			}
			sources[g.Source] = true
		}
		return h, sources
	}
	for _, name := range []string{
		"proc/sys/kernel/hostname", "proc/sys/kernel/osrelease", "proc/thread-self/status", "proc/thread-self/ns/net",
		"proc/sys/net/ipv4/ip_local_port_range", "proc/sys/net/ipv4/ip_local_reserved_ports",
		"proc/sys/net/ipv4/ip_unprivileged_port_start", "proc/sys/net/ipv4/ip_nonlocal_bind",
		"proc/sys/net/ipv6/ip_nonlocal_bind", "proc/sys/net/ipv6/bindv6only",
	} {
		if _, sources := read(bare().without(name)); len(sources) != 1 || !sources["/"+name] {
			t.Errorf("without %s the gaps are %v", name, sources)
		}
	}
	for _, name := range []string{
		"proc/thread-self/status", "proc/sys/net/ipv4/ip_local_port_range", "proc/sys/net/ipv4/ip_local_reserved_ports",
		"proc/sys/net/ipv4/ip_unprivileged_port_start", "proc/sys/net/ipv4/ip_nonlocal_bind", "proc/sys/net/ipv6/bindv6only",
	} {
		if _, sources := read(bare().with(machine{name: "nonsense\n"})); len(sources) != 1 || !sources["/"+name] {
			t.Errorf("with a broken %s the gaps are %v", name, sources)
		}
	}
	if h, sources := read(machine{}); len(sources) != 1 || !sources["/proc"] || h.Unprivileged != 1024 {
		t.Errorf("without /proc: gaps %v, unprivileged from %d", sources, h.Unprivileged)
	}
	h, sources := read(bare().without("proc/sys/net/ipv6/bindv6only", "proc/sys/net/ipv6/ip_nonlocal_bind"))
	if h.IPv6 != monban.Off || len(sources) != 0 {
		t.Errorf("without IPv6 in the kernel: %v, gaps %v", h.IPv6, sources)
	}
	if _, sources := read(bare().without("etc/passwd")); len(sources) != 0 {
		t.Errorf("without users the gaps are %v", sources)
	}
}

func TestOwnUserNamespace(t *testing.T) {
	h, _ := read(bare().with(machine{"proc/thread-self/ns/user": "-> user:[4026532000]"}), nil)
	// The test's ownsNet says that the network is somebody else's.
	want := monban.Caps{BindService: monban.Off, NetAdmin: monban.Off, NetRaw: monban.Off}
	if h.Caps != want {
		t.Errorf("full capabilities in a user namespace are %+v, want %+v", h.Caps, want)
	}
	for _, owns := range []monban.Flag{monban.On, monban.Off, monban.FlagUnknown} {
		c := capsOf(1<<capNetRaw, func() monban.Flag { return owns })
		if c.NetRaw != owns || c.NetAdmin != monban.Off || c.BindService != monban.Off {
			t.Errorf("owns %v: %+v", owns, c)
		}
	}
}
