package firewall

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/netlink"
)

// Filters notices what sees the packets of doors besides the rules of [Read]: tc
// filters and BPF programs on the interfaces, BPF programs on the cgroups of the
// doors' owners, which are told apart by their process IDs, those that choose a
// socket for what arrives (sk_lookup), and policies of IPsec. What they do with a
// packet is not known. BPF programs at netfilter's own hooks are not seen: the kernel
// tells of no link to what namespace it belongs. Virtual services of IPVS are a gap that names them. It
// needs CAP_NET_ADMIN; the names of BPF programs need CAP_SYS_ADMIN. XDP is a fact
// of an interface (monban.Interface.Program).
func Filters(interfaces []monban.Interface, doors []monban.Door) ([]monban.Filter, []monban.Gap) {
	return filters(interfaces, doors)
}

// Parts of struct tcmsg (include/uapi/linux/rtnetlink.h), and where filters are
// attached (pkt_sched.h).
const (
	sizeTC       = 20
	clsactIn     = 0xfffffff2
	clsactOut    = 0xfffffff3
	attrTCKind   = 1
	attrTCBlock  = 13 // TCA_INGRESS_BLOCK
	attrTCOption = 2
	attrBPFName  = 7 // TCA_BPF_NAME
)

// tcMessage is the answer to a question about qdiscs or filters.
type tcMessage struct {
	index  int32
	handle uint32
	kind   string
	name   string // of a BPF program
	// block: its filters are those of a block that several interfaces share.
	block bool
}

func parseTC(b []byte) (tcMessage, error) {
	if len(b) < sizeTC {
		return tcMessage{}, fmt.Errorf("%w: tc object of %d bytes", netlink.ErrFormat, len(b))
	}
	ne := binary.NativeEndian
	m := tcMessage{index: int32(ne.Uint32(b[4:])), handle: ne.Uint32(b[8:])}
	err := netlink.Attrs(b[sizeTC:], func(kind uint16, value []byte) error {
		switch kind {
		case attrTCKind:
			m.kind = cString(value)
		case attrTCBlock:
			m.block = true
		case attrTCOption:
			if m.kind != "bpf" {
				return nil // the kind comes first (tcf_fill_node)
			}
			return netlink.Attrs(value, func(kind uint16, value []byte) error {
				if kind == attrBPFName {
					m.name = cString(value)
				}
				return nil
			})
		}
		return nil
	})
	return m, err
}

// tcRequest is the body of a question about the filters of an interface.
func tcRequest(index int, parent uint32) []byte {
	b := make([]byte, sizeTC)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	binary.NativeEndian.PutUint32(b[12:], parent)
	return b
}

func cString(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}

// Parts of struct xfrm_userpolicy_info and struct xfrm_user_tmpl
// (include/uapi/linux/xfrm.h).
const (
	sizePolicy      = 168
	policySource    = 16 // of the selector
	policyFamily    = 40
	policySourceLen = 43
	policyDir       = 160 // 0 is in, 1 out, 2 forward
	policyAction    = 161 // 0 allows, 1 blocks
	attrTemplates   = 5   // XFRMA_TMPL
	sizeTemplate    = 64
	templateMay     = 50 // optional
)

// parsePolicy decodes a policy of IPsec. It is none where it is not about what comes
// in, or lets in what has no protection.
func parsePolicy(b []byte) (f monban.Filter, ok bool, err error) {
	if len(b) < sizePolicy {
		return f, false, fmt.Errorf("%w: policy of %d bytes", netlink.ErrFormat, len(b))
	}
	blocks, asks := b[policyAction] == 1, false
	err = netlink.Attrs(b[sizePolicy:], func(kind uint16, value []byte) error {
		for ; kind == attrTemplates && len(value) >= sizeTemplate; value = value[sizeTemplate:] {
			asks = asks || value[templateMay] == 0
		}
		return nil
	})
	const out = 1
	if err != nil || b[policyDir] == out || b[policyDir] > 2 || !blocks && !asks {
		return f, false, err
	}
	n := 4
	if binary.NativeEndian.Uint16(b[policyFamily:]) != 2 { // AF_INET
		n = 16
	}
	addr, _ := netip.AddrFromSlice(b[policySource : policySource+n])
	f = monban.Filter{Kind: "xfrm", Name: "policy", From: netip.PrefixFrom(addr, int(b[policySourceLen])).Masked()}
	if blocks {
		f.Name = "block"
	}
	return f, f.From.IsValid(), nil
}

// unifiedCgroup returns the path that /proc/PID/cgroup has for the unified
// hierarchy, which BPF programs are attached to; "" where it has none, or one
// outside of what this process can see.
func unifiedCgroup(text string) string {
	for line := range strings.Lines(text) {
		if path, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok && !strings.Contains(path, "..") {
			return path
		}
	}
	return ""
}

// parseIPVS reads the virtual services in /proc/net/ip_vs, such as
// "tcp 192.0.2.1:80"; lines of real servers begin with "  ->".
func parseIPVS(text string) (services []string) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] == "->" {
			continue
		}
		switch f[0] {
		case "TCP", "UDP", "SCTP":
			services = append(services, strings.ToLower(f[0])+" "+ipvsAddr(f[1]))
		case "FWM":
			services = append(services, "mark 0x"+strings.TrimLeft(f[1], "0"))
		}
	}
	return services
}

// ipvsAddr turns "C0000201:0050" and "[2001:0db8:…]:0050" into what people write.
func ipvsAddr(text string) string {
	host, port := text, ""
	if i := strings.LastIndexByte(text, ':'); i >= 0 {
		host, port = text[:i], text[i+1:]
	}
	var n uint16
	if _, err := fmt.Sscanf(port, "%04X", &n); err != nil {
		return text
	}
	var v4 uint32
	if inner, ok := strings.CutPrefix(host, "["); ok {
		if a, err := netip.ParseAddr(strings.TrimSuffix(inner, "]")); err == nil {
			return netip.AddrPortFrom(a, n).String()
		}
	} else if _, err := fmt.Sscanf(host, "%08X", &v4); err == nil {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, v4))), n).String()
	}
	return text
}
