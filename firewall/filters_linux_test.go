package firewall

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/netnstest"
)

// loadBPF loads a program that answers with a constant.
func loadBPF(t *testing.T, kind uint32, name string, answer uint32) int {
	t.Helper()
	program := []uint64{0xb7 | uint64(answer)<<32, 0x95} // r0 = answer; exit
	licence := []byte("GPL\x00")
	attr := struct {
		kind, count                        uint32
		program, licence                   uint64
		logLevel, logSize                  uint32
		log                                uint64
		version, flags                     uint32
		name                               [16]byte
		ifindex, expected, btf, size, a, b uint32
	}{kind: kind, count: 2, program: uint64(uintptr(unsafe.Pointer(&program[0]))), licence: uint64(uintptr(unsafe.Pointer(&licence[0])))}
	copy(attr.name[:15], name)
	if kind == 30 { // BPF_PROG_TYPE_SK_LOOKUP wants to be told what for
		attr.expected = socketLookup
	}
	const load = 5
	fd, err := bpf(load, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(int(fd)) })
	return int(fd)
}

// TestFilters finds a filter of tc, a program at tcx and one on the cgroup of a
// door's owner; and says nothing where there are none.
func TestFilters(t *testing.T) {
	if os.Geteuid() != 0 {
		netnstest.Skip(t, "needs root: it attaches BPF programs")
	}
	netnstest.Need(t, "tc")
	ns := netnstest.New(t)
	ns.Run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
	var devices []monban.Interface
	ns.Do(func() {
		list, err := net.Interfaces()
		if err != nil {
			t.Error(err)
		}
		for _, i := range list {
			devices = append(devices, monban.Interface{Index: i.Index, Name: i.Name})
		}
	})
	child := exec.Command("sleep", "1000")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		child.Process.Kill()
		child.Wait()
	}()
	doors := []monban.Door{{Owners: []monban.Owner{{PID: child.Process.Pid}}}}
	see := func() (list []string) {
		ns.Do(func() {
			found, gaps := Filters(devices, doors)
			if len(gaps) > 0 {
				t.Errorf("gaps: %v", gaps)
			}
			for _, f := range found {
				list = append(list, f.String())
				if f.Kind == "cgroup" && !slices.Equal(f.PIDs, []int{child.Process.Pid}) {
					t.Errorf("%s is said to be that of %v", f, f.PIDs)
				}
			}
		})
		slices.Sort(list)
		return list
	}
	before := see()
	if slices.ContainsFunc(before, func(s string) bool { return strings.Contains(s, "eth") }) {
		t.Errorf("of a fresh interface it says %q", before)
	}

	const schedCLS, cgroupSKB = 3, 8
	ns.Run("tc", "qdisc", "add", "dev", "eth0", "clsact")
	if got := see(); !slices.Equal(got, before) {
		t.Errorf("an empty clsact: %q", got)
	}
	pin := filepath.Join(bpffs(t), "monban-test")
	prog := loadBPF(t, schedCLS, "gate_in", 2)
	pinBPF(t, prog, pin)
	defer os.Remove(pin)
	ns.Run("tc", "filter", "add", "dev", "eth0", "ingress", "bpf", "da", "object-pinned", pin)
	want := append([]string{"tc bpf monban-test:[*fsobj] on eth0"}, before...)
	ns.Do(func() {
		link := struct{ prog, target, kind, flags uint32 }{uint32(prog), uint32(devices[slices.IndexFunc(devices, func(i monban.Interface) bool { return i.Name == "eth1" })].Index), tcxIn, 0}
		attr := struct {
			prog, target, kind, flags uint32
			_                         [48]byte
		}{link.prog, link.target, link.kind, 0, [48]byte{}}
		const create = 28
		fd, err := bpf(create, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
		switch {
		case errors.Is(err, unix.EINVAL):
			t.Log("this kernel has no tcx")
		case err != nil:
			t.Error(err)
		default:
			t.Cleanup(func() { unix.Close(int(fd)) })
			want = append(want, "tcx gate_in on eth1")
		}
	})
	ns.Do(func() {
		const skLookup, create = 30, 28
		prog := loadBPF(t, skLookup, "steer", 1)
		space, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(space)
		attr := struct {
			prog, target, kind, flags uint32
			_                         [48]byte
		}{uint32(prog), uint32(space), socketLookup, 0, [48]byte{}}
		fd, err := bpf(create, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(int(fd)) })
		want = append(want, "sk_lookup steer")
	})
	if root := cgroup2(); root == "" {
		t.Log("no unified hierarchy is mounted")
	} else {
		dir := filepath.Join(root, "monban-test")
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			t.Fatal(err)
		}
		defer unix.Rmdir(dir)
		defer func() {
			child.Process.Kill()
			child.Wait()
		}()
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), strconv.AppendInt(nil, int64(child.Process.Pid), 10), 0o644); err != nil {
			t.Fatal(err)
		}
		fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		attr := struct{ target, prog, kind, flags, replace uint32 }{uint32(fd), uint32(loadBPF(t, cgroupSKB, "gate_cgroup", 1)), cgroupIn, 2, 0}
		const attach = 8
		if _, err := bpf(attach, unsafe.Pointer(&attr), unsafe.Sizeof(attr)); err != nil {
			t.Fatal(err)
		}
		want = append(want, "cgroup gate_cgroup")
	}
	slices.Sort(want)
	if got := see(); !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}

func cgroup2() string {
	for _, root := range [...]string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var fs unix.Statfs_t
		if unix.Statfs(root, &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC {
			return root
		}
	}
	return ""
}

// bpffs returns a BPF file system, its own where none is mounted.
func bpffs(t *testing.T) string {
	t.Helper()
	var fs unix.Statfs_t
	if unix.Statfs("/sys/fs/bpf", &fs) == nil && uint32(fs.Type) == unix.BPF_FS_MAGIC {
		return "/sys/fs/bpf"
	}
	dir := t.TempDir()
	if err := unix.Mount("bpf", dir, "bpf", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func pinBPF(t *testing.T, fd int, path string) {
	t.Helper()
	name := append([]byte(path), 0)
	attr := struct {
		path   uint64
		fd, fl uint32
	}{uint64(uintptr(unsafe.Pointer(&name[0]))), uint32(fd), 0}
	const pin = 6
	if _, err := bpf(pin, unsafe.Pointer(&attr), unsafe.Sizeof(attr)); err != nil {
		t.Fatal(err)
	}
}

// TestIPVS reads what the kernel writes (ip_vs_info_seq_show).
func TestIPVS(t *testing.T) {
	text := "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n" +
		"TCP  C0000201:0050 rr  \n  -> 0A000002:0050      Masq    1      0          0         \n" +
		"UDP  [2001:0db8:0000:0000:0000:0000:0000:0001]:0035 wrr \nFWM  0000002A rr  \n"
	want := []string{"tcp 192.0.2.1:80", "udp [2001:db8::1]:53", "mark 0x2A"}
	if got := parseIPVS(text); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
