package owners

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
)

// nameKernel says of doors without an owner which part of the kernel is behind
// them, where there is evidence: a tunnel interface that has the port, nfsd's own
// list, the tree of a storage target. Otherwise it says nothing. No module is
// loaded by asking.
//
// Evidence for exactly that port makes the door the kernel's, whatever processes
// may not be looked at: a port has one holder. Where only a module is there, every
// process has to have been seen; all tells so.
func (l *look) nameKernel(doors []*monban.Door, all bool) {
	var known []feature
	asked := false
	for _, d := range doors {
		if d.Bind.NetNS != "" && d.Bind.NetNS != l.proc.link("thread-self/ns/net") {
			continue // what is read here is about this namespace
		}
		if !asked {
			known, asked = l.features(), true
		}
		for _, f := range known {
			if f.port == d.Bind.Port && (f.exact || all) {
				d.Kernel = f.name
			}
		}
	}
}

// features returns what the kernel has opened for itself, as far as it tells.
func (l *look) features() []feature {
	list := tunnelFeatures()
	if b, err := l.root.regular("proc/fs/nfsd/portlist", maxFile); err == nil {
		list = append(list, parsePortlist(b)...)
	}
	for _, f := range [...]struct {
		path, name string
		proto      monban.Proto
	}{
		// 0, which is not added, is a port chosen at random.
		{"proc/sys/fs/nfs/nlm_tcpport", "lockd", monban.TCP},
		{"proc/sys/fs/nfs/nlm_udpport", "lockd", monban.UDP},
		{"proc/sys/fs/nfs/nfs_callback_tcpport", "nfs-callback", monban.TCP},
		{"sys/kernel/config/dlm/cluster/tcp_port", "dlm", monban.TCP},
	} {
		if b, err := l.root.regular(f.path, maxFile); err == nil {
			list = appendFeature(list, f.name, parsePort(string(b)), f.proto)
		}
	}
	// The portals of an iSCSI target are directories named ADDRESS:PORT.
	portals, _ := filepath.Glob(filepath.Join(l.rootPath, "sys/kernel/config/target/iscsi/*/tpgt_*/np/*"))
	for _, path := range portals {
		if i := strings.LastIndexByte(path, ':'); i >= 0 {
			list = appendFeature(list, "iscsi-target", parsePort(path[i+1:]), monban.TCP)
		}
	}
	ports, _ := filepath.Glob(filepath.Join(l.rootPath, "sys/kernel/config/nvmet/ports/*"))
	for _, path := range ports {
		dir := strings.TrimPrefix(path, l.rootPath)
		kind, _ := l.root.regular(strings.TrimPrefix(dir, "/")+"/addr_trtype", maxFile)
		id, _ := l.root.regular(strings.TrimPrefix(dir, "/")+"/addr_trsvcid", maxFile)
		if strings.TrimSpace(string(kind)) == "tcp" {
			list = appendFeature(list, "nvme-target", parsePort(string(id)), monban.TCP)
		}
	}
	// These two say only that they are there, and have one port that every
	// client expects.
	if l.exists("sys/module/ksmbd") {
		list = append(list, feature{name: "ksmbd", port: monban.Port{Num: 445, Proto: monban.TCP}})
	}
	if l.exists("sys/module/rdma_rxe") {
		list = append(list, feature{name: "rdma-rxe", port: monban.Port{Num: 4791, Proto: monban.UDP}})
	}
	return list
}

// appendFeature adds exact evidence, unless the port is 0: not known.
func appendFeature(list []feature, name string, port uint16, proto monban.Proto) []feature {
	if port == 0 {
		return list
	}
	return append(list, feature{name, monban.Port{Num: port, Proto: proto}, true})
}

func (l *look) exists(name string) bool {
	var st unix.Stat_t
	return unix.Fstatat(int(l.root), name, &st, 0) == nil
}

// tunnelFeatures returns the ports of tunnel interfaces, all of them UDP.
func tunnelFeatures() []feature {
	answer, err := syscall.NetlinkRIB(syscall.RTM_GETLINK, syscall.AF_UNSPEC)
	if err != nil {
		return nil
	}
	var list []feature
	for _, t := range parseLinks(answer) {
		if t.kind == "wireguard" {
			t.port = wireguardPort(t.ifname)
		}
		list = appendFeature(list, t.kind, t.port, monban.UDP)
	}
	return list
}

// wireguardPort asks for the listen port of a WireGuard interface, which takes
// CAP_NET_ADMIN; 0 is not known. It is only called when there is such an
// interface: to ask for a family that is not loaded loads it.
func wireguardPort(ifname string) uint16 {
	const (
		getFamily = 3 // CTRL_CMD_GETFAMILY
		getDevice = 0 // WG_CMD_GET_DEVICE
	)
	conn, err := dialGeneric()
	if err != nil {
		return 0
	}
	defer conn.Close()
	answer, err := conn.ask(unix.GENL_ID_CTRL, unix.NLM_F_REQUEST, getFamily, unix.CTRL_ATTR_FAMILY_NAME, unix.WG_GENL_NAME)
	if err != nil {
		return 0
	}
	family := parseFamilyID(answer)
	if family == 0 {
		return 0
	}
	answer, err = conn.ask(family, unix.NLM_F_REQUEST|unix.NLM_F_DUMP, getDevice, wgDeviceIfname, ifname)
	if err != nil {
		return 0
	}
	defer clear(answer) // the kernel sends the private key along
	return parseWireguardPort(answer, family)
}

// generic is a generic netlink socket.
type generic struct{ *os.File }

func dialGeneric() (generic, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_GENERIC)
	if err != nil {
		return generic{}, err
	}
	// The kernel answers before send returns; this is for the case it does not.
	timeout := unix.NsecToTimeval(int64(100 * time.Millisecond))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		unix.Close(fd)
		return generic{}, err
	}
	return generic{os.NewFile(uintptr(fd), "netlink")}, nil
}

// ask sends one request with one string attribute and returns the first
// datagram of the answer.
func (c generic) ask(family, flags uint16, command uint8, attr uint16, value string) ([]byte, error) {
	size := attributeHeaderSize + len(value) + 1
	b := make([]byte, nlmsgHeader+genlHeader+align4(size))
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], family)
	binary.NativeEndian.PutUint16(b[6:], flags)
	b[nlmsgHeader], b[nlmsgHeader+1] = command, 1
	binary.NativeEndian.PutUint16(b[nlmsgHeader+genlHeader:], uint16(size))
	binary.NativeEndian.PutUint16(b[nlmsgHeader+genlHeader+2:], attr)
	copy(b[nlmsgHeader+genlHeader+attributeHeaderSize:], value)
	if _, err := c.Write(b); err != nil {
		return nil, err
	}
	answer := make([]byte, 64<<10)
	n, err := c.Read(answer)
	if err != nil {
		return nil, err
	}
	return answer[:n], nil
}
