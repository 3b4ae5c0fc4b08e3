package owners

import (
	"strings"
	"testing"
)

const (
	id1 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	id2 = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
)

func TestParseCgroup(t *testing.T) {
	for _, test := range []struct {
		name, in string
		want     place
	}{
		{"nothing", "", place{}},
		{"root of both versions", "9:name=systemd:/\n4:memory:/\n0::/\n", place{}},
		{"a service", "0::/system.slice/nginx.service\n", place{unit: "nginx.service"}},
		{"version 1", "3:cpu:/\n1:name=systemd:/system.slice/nginx.service\n0::/system.slice/nginx.service\n", place{unit: "nginx.service"}},
		{"an instance in a slice", "0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n", place{unit: "postgresql@15-main.service"}},
		{"below a service", "0::/system.slice/docker.service/init\n", place{unit: "docker.service"}},
		{"pid 1", "0::/init.scope\n", place{unit: "init.scope"}},
		{"a login", "0::/user.slice/user-1000.slice/session-3.scope\n", place{unit: "session-3.scope"}},
		{"a user's service", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/syncthing.service\n", place{unit: "syncthing.service"}},
		{"a user's manager", "0::/user.slice/user-1000.slice/user@1000.service/init.scope\n", place{unit: "user@1000.service"}},
		{"a user's application", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-firefox\\x2desr-7.scope\n",
			place{unit: `app-gnome-firefox\x2desr-7.scope`}},
		{"an escaped kernel name", "0::/system.slice/_cpu.service\n", place{unit: "cpu.service"}},
		{"from another namespace", "0::/../../system.slice/nginx.service\n", place{unit: "nginx.service"}},
		{"from beside", "0::/../docker-" + id1 + ".scope\n", place{container: id1}},

		{"docker, systemd", "0::/system.slice/docker-" + id1 + ".scope\n", place{container: id1}},
		{"docker, cgroupfs", "0::/docker/" + id1 + "\n", place{container: id1}},
		{"docker, version 1", "12:pids:/docker/" + id1 + "\n1:name=systemd:/docker/" + id1 + "\n0::/\n", place{container: id1}},
		{"docker, not in systemd's tree", "12:pids:/docker/" + id1 + "\n1:name=systemd:/system.slice/docker.service\n", place{container: id1}},
		{"systemd in docker", "0::/docker/" + id1 + "/system.slice/nginx.service\n", place{container: id1}},
		{"docker in docker", "0::/docker/" + id1 + "/docker/" + id2 + "\n", place{container: id1}},
		{"rootless docker", "0::/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" + id1 + ".scope\n", place{container: id1}},
		{"podman", "0::/machine.slice/libpod-" + id1 + ".scope/container\n", place{container: id1}},
		{"podman's monitor", "0::/machine.slice/libpod-conmon-" + id1 + ".scope\n", place{container: id1}},
		{"podman in a unit", "0::/system.slice/web.service/libpod-payload-" + id1 + "\n", place{container: id1}},
		{"cri-o", "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod12.slice/crio-" + id1 + ".scope\n", place{container: id1}},
		{"containerd", "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podab.slice/cri-containerd-" + id1 + ".scope\n", place{container: id1}},
		{"containerd, cgroupfs", "11:cpu:/kubepods/burstable/pod1234/" + id1 + "\n", place{container: id1}},
		{"containerd, mixed", "0::/kubepods-besteffort-pod12.slice:cri-containerd:" + id1 + "\n", place{container: id1}},
		{"lxc", "0::/lxc/web\n", place{container: "web"}},
		{"lxc, new", "0::/lxc.payload.web-1/system.slice/nginx.service\n", place{container: "web-1"}},
		{"lxc, proxmox", "0::/lxc/101/ns/system.slice/ssh.service\n", place{container: "101"}},
		{"lxc's monitor", "0::/lxc.monitor.web\n", place{}},
		{"the lxc service", "0::/system.slice/lxc.service\n", place{unit: "lxc.service"}},
		{"nspawn by unit", "0::/machine.slice/systemd-nspawn@my\\x2dbox.service/payload/system.slice/x.service\n",
			place{unit: `systemd-nspawn@my\x2dbox.service`, container: "my-box"}},
		{"nspawn by machined", "0::/machine.slice/machine-my\\x2dbox.scope\n", place{container: "my-box"}},
		{"a virtual machine", "0::/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/emulator\n", place{unit: `machine-qemu\x2d1\x2dvm.scope`}},

		{"63 digits", "0::/docker/" + id1[1:] + "\n", place{}},
		{"65 digits", "0::/docker/" + id1 + "0\n", place{}},
		{"capital digits", "0::/docker/" + strings.ToUpper(id1) + "\n", place{}},
		{"a path with colons", "0::/system.slice/a:b:c.service\n", place{unit: "a:b:c.service"}},
		{"only a suffix", "0::/.service\n", place{}},
		{"broken lines", "x\n::\n0:/a.service\n\n0::/system.slice/ok.service", place{unit: "ok.service"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := parseCgroup([]byte(test.in)); got != test.want {
				t.Errorf("%q\ngot  %+v\nwant %+v", test.in, got, test.want)
			}
		})
	}
}

func FuzzParseCgroup(f *testing.F) {
	f.Add([]byte("0::/machine.slice/systemd-nspawn@my\\x2dbox.service/payload\n"))
	f.Add([]byte("1:name=systemd:/docker/" + id1 + "\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := parseCgroup(b)
		if p.unit != "" && !isUnit(p.unit) {
			t.Errorf("%q is no unit", p.unit)
		}
		if strings.Contains(p.container, "/") && !strings.Contains(string(b), `\x2f`) && !strings.Contains(string(b), `\x2F`) {
			t.Errorf("container %q", p.container)
		}
	})
}

func TestUnescapeUnit(t *testing.T) {
	for in, want := range map[string]string{"": "", "a": "a", `a\x2db`: "a-b", `\x`: `\x`, `\x2`: `\x2`, `\xzz`: `\xzz`, `a\x41\x42`: "aAB"} {
		if got := unescapeUnit(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
