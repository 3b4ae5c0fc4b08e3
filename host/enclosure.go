package host

import (
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// The kinds of enclosure that have a name in the kernel's own release.
const (
	wsl1 = "wsl1"
	wsl2 = "wsl2"
)

// container returns the kind of container this process runs in, "" for none.
//
// A marker that an engine leaves in the file system names the kind but proves
// nothing: a virtual machine whose disk was made from a container image has
// /.dockerenv too. So a marker counts only where a namespace differs from the
// kernel's initial one, or an engine's files are mounted over /etc.
func (f files) container(virtual string) string {
	separate, hidden := f.separate()
	if separate == monban.Off {
		if f.engineFile() == "" {
			return ""
		}
		return f.mountedOver()
	}
	if kind := f.marker(); kind != "" {
		return kind
	}
	if !hidden || virtual == wsl1 || virtual == wsl2 { // each WSL distribution has a process namespace
		return ""
	}
	if kind := f.mountedOver(); kind != "" {
		return kind
	}
	return "container"
}

// engineFile returns the kind of the engine that has left a file here.
func (f files) engineFile() string {
	switch {
	case f.getenv("KUBERNETES_SERVICE_HOST") != "" && f.exists("var/run/secrets/kubernetes.io/serviceaccount"):
		return "kubernetes"
	case f.exists("run/.containerenv"):
		return "podman"
	case f.exists(".dockerenv"):
		return "docker"
	}
	return ""
}

// marker returns the kind that the surroundings claim, the most specific first.
func (f files) marker() string {
	// systemd as pid 1 of a container notes there, at every start, what it was
	// told. An engine's file may lie in an image or a copied root for ever.
	if word, err := f.root.ReadFile("run/systemd/container"); err == nil {
		return containerWord(string(word))
	}
	if kind := f.engineFile(); kind != "" {
		return kind
	}
	// Other inits have it in their environment, which only root may read.
	if env, err := f.root.ReadFile("proc/1/environ"); err == nil {
		if kind := containerWord(environ(string(env), "container")); kind != "" {
			return kind
		}
	}
	if text, err := f.root.ReadFile(self + "cgroup"); err == nil {
		return cgroupKind(string(text))
	}
	return ""
}

// containerWord reads the value of $container of a container's pid 1
// (https://systemd.io/CONTAINER_INTERFACE).
func containerWord(word string) string {
	word = strings.TrimSpace(word)
	switch word {
	case "wsl": // said in Host.Virtual
		return ""
	case "lxc", "lxc-libvirt", "systemd-nspawn", "docker", "podman", "rkt", "":
		return word
	case "oci": // podman before 4
		return "container"
	}
	return "container"
}

// environ returns the value of a variable in the text of /proc/PID/environ.
func environ(text, name string) string {
	for item := range strings.SplitSeq(text, "\x00") {
		if key, value, _ := strings.Cut(item, "="); key == name {
			return value
		}
	}
	return ""
}

// cgroupKind reads /proc/PID/cgroup (cgroups(7)): engines name the groups of
// their containers.
func cgroupKind(text string) string {
	kind := ""
	for line := range strings.Lines(text) {
		_, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		_, path, _ := strings.Cut(rest, ":")
		for part := range strings.SplitSeq(path, "/") {
			switch {
			case part == "kubepods", strings.HasPrefix(part, "kubepods.slice"):
				return "kubernetes" // the part below it is docker's or containerd's
			case part == "docker", strings.HasPrefix(part, "docker-") && strings.HasSuffix(part, ".scope"):
				kind = "docker"
			case strings.HasPrefix(part, "libpod-"):
				kind = "podman"
			case part == "lxc", strings.HasPrefix(part, "lxc.payload."):
				kind = "lxc"
			}
		}
	}
	return kind
}

// mountedOver returns the kind of engine that has mounted files of its own over
// those of /etc, which every OCI engine does. The list of all mounts is only read
// where there is such a file: the kernel takes 0.1 ms to write that of a bare
// machine, a twentieth of a hello-world.
func (f files) mountedOver() string {
	if f.mounted != nil && !slices.ContainsFunc(overEtc(), func(name string) bool { return f.mounted(name) != monban.Off }) {
		return ""
	}
	text, _ := f.root.ReadFile(self + "mountinfo") // no evidence where it cannot be read
	return mountKind(string(text))
}

// overEtc are the files that engines mount over those of an image.
func overEtc() []string { return []string{"etc/hosts", "etc/hostname", "etc/resolv.conf"} }

// mountKind reads /proc/PID/mountinfo (proc_pid_mountinfo(5)). Field 4 is the path
// of the mounted file on its own file system, field 5 is where it is mounted.
func mountKind(text string) string {
	kind := ""
	for line := range strings.Lines(text) {
		fields := strings.SplitN(line, " ", 6)
		if len(fields) < 6 {
			continue
		}
		root, point := fields[3], fields[4]
		if !slices.Contains(overEtc(), strings.TrimPrefix(point, "/")) {
			continue
		}
		switch {
		case point == "/etc/hosts" && strings.Contains(root, "/pods/") && strings.HasSuffix(root, "/etc-hosts"):
			return "kubernetes" // the kubelet's; the engine's own mounts stand beside it
		case hasContainer(root, "overlay-containers"):
			kind = "podman"
		case hasContainer(root, "containers"):
			kind = "docker"
		}
	}
	return kind
}

// hasContainer reports whether path has a directory dir that holds one named by
// the 64 hexadecimal digits of a container.
func hasContainer(path, dir string) bool {
	_, rest, found := strings.Cut(path, "/"+dir+"/")
	id, _, _ := strings.Cut(rest, "/")
	return found && len(id) == 64 && strings.Trim(id, "0123456789abcdef") == ""
}

// separate tells whether this process lives in other namespaces than those the
// kernel started with, and in particular whether processes are hidden from it.
// It is unknown where the namespaces cannot be read. One that differs is enough:
// to read a link takes as long as to read a small file.
//
// The mount, network and user namespaces are left out: sandboxes, services with
// PrivateNetwork and tests have their own on the bare machine too.
func (f files) separate() (separate monban.Flag, hidden bool) {
	// PROC_*_INIT_INO in include/linux/proc_ns.h, unchanged since Linux 3.8.
	for _, initial := range [...]struct{ name, link string }{
		{"pid", "pid:[4026531836]"},
		{"uts", "uts:[4026531838]"},
		{"ipc", "ipc:[4026531839]"},
		{"cgroup", "cgroup:[4026531835]"},
	} {
		link, err := f.root.ReadLink(self + "ns/" + initial.name)
		if err != nil {
			continue
		}
		if link != initial.link {
			return monban.On, initial.name == "pid" // which is asked first
		}
		separate = monban.Off
	}
	return separate, false
}

// initialNetwork tells whether the network namespace is the one the machine
// started with. The kernel shows the sysctls that are not a namespace's own in
// the initial one only (net_core_table in net/core/sysctl_net_core.c).
func (f files) initialNetwork() monban.Flag {
	switch {
	case f.exists("proc/sys/net/core/netdev_max_backlog"):
		return monban.On
	case f.exists("proc/sys/net/core/somaxconn"):
		return monban.Off
	}
	return monban.FlagUnknown
}

// subsystem returns which Windows Subsystem for Linux this is, "" for none.
func (f files) subsystem(release string) string {
	switch {
	case strings.Contains(release, "microsoft-standard"): // 5.15.90.1-microsoft-standard-WSL2
		return wsl2
	case strings.HasSuffix(release, "-Microsoft"): // 4.4.0-19041-Microsoft
		return wsl1
	case f.exists("proc/sys/fs/binfmt_misc/WSLInterop"), f.exists("proc/sys/fs/binfmt_misc/WSLInterop-late"):
		return wsl2 // with a kernel of one's own, which WSL1 cannot have
	}
	return ""
}

// virtual returns the kind of virtual machine this is, "" for none or unknown.
func (f files) virtual() string {
	if kind := firmware(f.line("sys/class/dmi/id/sys_vendor"), f.line("sys/class/dmi/id/product_name")); kind != "" {
		return kind
	}
	if f.line("sys/hypervisor/type") == "xen" && !strings.Contains(f.line("proc/xen/capabilities"), "control_d") {
		return "xen" // and not the machine that runs the others
	}
	return ""
}

// line returns a one-line file, "" where there is none.
func (f files) line(name string) string {
	text, _ := f.root.ReadFile(name) // a machine without DMI or Xen has no such file
	return strings.TrimSpace(string(text))
}

// firmware names the kind of virtual machine by what its firmware (DMI, SMBIOS)
// says of the system's maker and product.
func firmware(vendor, product string) string {
	switch {
	case vendor == "Microsoft Corporation" && product == "Virtual Machine":
		return "hyper-v"
	case strings.HasPrefix(vendor, "VMware"):
		return "vmware"
	case vendor == "innotek GmbH", product == "VirtualBox":
		return "virtualbox"
	case product == "KVM":
		return "kvm"
	case vendor == "QEMU": // with KVM or without
		return "qemu"
	case vendor == "Xen":
		return "xen"
	case strings.HasPrefix(vendor, "Parallels"):
		return "parallels"
	case product == "BHYVE":
		return "bhyve"
	case vendor == "Amazon EC2" && !strings.Contains(product, ".metal"):
		return "amazon"
	case vendor == "Google" && product == "Google Compute Engine":
		return "google"
	case vendor == "DigitalOcean":
		return "digitalocean"
	case strings.HasPrefix(product, "OpenStack"):
		return "openstack"
	case strings.HasPrefix(product, "Apple Virtualization"):
		return "apple"
	}
	return ""
}
