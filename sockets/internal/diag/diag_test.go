package diag

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"syscall"
	"testing"

	"github.com/monban-dev/monban/internal/netlink"
)

// What the tests need of struct nlmsghdr and its types.
const (
	typeNoop     = 1
	typeError    = 2
	typeDone     = 3
	flagDumpIntr = 0x10
)

// message builds a netlink message, padded.
func message(typ, flags uint16, seq uint32, body []byte) []byte {
	b := append(netlink.AppendHeader(nil, typ, flags, seq, len(body)), body...)
	return append(b, make([]byte, -len(body)&3)...)
}

func attr(typ uint16, value ...byte) []byte { return netlink.AppendAttr(nil, typ, value) }

// listener is [::1]:443 on interface 3, of user 1000.
func listener(attrs ...byte) []byte {
	b := make([]byte, sizeSocket)
	b[0], b[1] = INET6, byte(Listen)
	binary.BigEndian.PutUint16(b[4:], 443)
	b[23] = 1
	ne := binary.NativeEndian
	ne.PutUint32(b[40:], 3)
	ne.PutUint32(b[44:], 7)
	ne.PutUint32(b[48:], 9)
	ne.PutUint32(b[64:], 1000)
	ne.PutUint32(b[68:], 4242)
	return append(b, attrs...)
}

func TestParse(t *testing.T) {
	datagram := message(typeSockByFamily, 2, 5, listener(append(attr(8, 0), attr(attrV6Only, 1)...)...))
	datagram = append(datagram, message(typeSockByFamily, 2, 4, nil)...) // of an earlier question
	datagram = append(datagram, message(typeNoop, 0, 5, nil)...)
	datagram = append(datagram, message(typeDone, 2, 5, make([]byte, 4))...)
	var got []Socket
	var s Socket
	done, err := parse(datagram, 5, &s, func(s *Socket) { got = append(got, *s) })
	if !done || err != nil {
		t.Fatal(done, err)
	}
	want := Socket{Family: INET6, State: Listen, Local: netip.MustParseAddrPort("[::1]:443"), Remote: netip.MustParseAddrPort("[::]:0"),
		Interface: 3, Cookie: 9<<32 | 7, UID: 1000, Inode: 4242, V6Only: true, HasV6Only: true}
	if len(got) != 1 || !equal(got[0], want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func equal(a, b Socket) bool {
	same := slices.Equal(a.locals, b.locals)
	a.locals, b.locals = nil, nil
	return same && a.Family == b.Family && a.State == b.State && a.Local == b.Local && a.Remote == b.Remote && a.Interface == b.Interface &&
		a.Cookie == b.Cookie && a.UID == b.UID && a.Inode == b.Inode && a.V6Only == b.V6Only && a.HasV6Only == b.HasV6Only
}

func TestParseErrors(t *testing.T) {
	errno := func(code int32) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(code)) }
	overlong := message(typeSockByFamily, 2, 5, listener())
	binary.NativeEndian.PutUint32(overlong, uint32(len(overlong)+1))
	badFamily := listener()
	badFamily[0] = 99
	badAttr := attr(8, 0)
	badAttr[0] = 99
	for _, tt := range []struct {
		name string
		b    []byte
		want error
	}{
		{"error", message(typeError, 0, 5, errno(-2)), syscall.ENOENT},
		{"error at the end", message(typeDone, 0, 5, errno(-12)), syscall.ENOMEM},
		{"error without a code", message(typeError, 0, 5, nil), netlink.ErrFormat},
		{"error that is none", message(typeError, 0, 5, errno(7)), netlink.ErrFormat},
		{"interrupted", message(typeSockByFamily, flagDumpIntr, 5, listener()), ErrInterrupted},
		{"interrupted at the end", message(typeDone, flagDumpIntr, 5, errno(0)), ErrInterrupted},
		{"short header", make([]byte, 7), netlink.ErrFormat},
		{"length 0", make([]byte, 16), netlink.ErrFormat},
		{"length beyond the end", overlong, netlink.ErrFormat},
		{"short socket", message(typeSockByFamily, 0, 5, listener()[:71]), netlink.ErrFormat},
		{"family", message(typeSockByFamily, 0, 5, badFamily), netlink.ErrFormat},
		{"attribute beyond the end", message(typeSockByFamily, 0, 5, listener(badAttr...)), netlink.ErrFormat},
		{"short attribute", message(typeSockByFamily, 0, 5, listener(4)), netlink.ErrFormat},
		{"empty attribute", message(typeSockByFamily, 0, 5, listener(attr(attrV6Only)...)), netlink.ErrFormat},
		{"type", message(99, 0, 5, nil), netlink.ErrFormat},
	} {
		var s Socket
		_, err := parse(tt.b, 5, &s, func(*Socket) { t.Errorf("%s: a socket came out", tt.name) })
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestLocals(t *testing.T) {
	v4, v6 := make([]byte, 128), make([]byte, 128)
	binary.NativeEndian.PutUint16(v4, INET)
	copy(v4[4:], []byte{192, 0, 2, 1})
	binary.NativeEndian.PutUint16(v6, INET6)
	v6[8], v6[23] = 0xfd, 9
	var s Socket
	if err := s.parse(listener(attr(attrLocals, append(v4, v6...)...)...)); err != nil {
		t.Fatal(err)
	}
	var got []netip.Addr
	s.Locals(func(a netip.Addr) { got = append(got, a) })
	want := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("fd00::9")}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestPortFilter runs random programs on a model of the kernel's interpreter
// and checks them as the kernel does before it accepts one.
func TestPortFilter(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var spans []Span
		for next := rng.IntN(50); next < 65536 && len(spans) < 140; {
			last := min(next+rng.IntN(40), 65535)
			spans = append(spans, Span{uint16(next), uint16(last)})
			next = last + 2 + rng.IntN(900)
			if rng.IntN(20) == 0 {
				break
			}
		}
		prog := PortFilter(spans)
		audit(t, prog)
		for range 200 {
			port := uint16(rng.IntN(65536))
			if rng.IntN(2) == 0 { // near an edge
				sp := spans[rng.IntN(len(spans))]
				port = []uint16{sp.First, sp.Last, sp.First - 1, sp.Last + 1}[rng.IntN(4)]
			}
			want := slices.ContainsFunc(spans, func(s Span) bool { return s.First <= port && port <= s.Last })
			if len(spans) > maxSpans {
				want = spans[0].First <= port && port <= spans[len(spans)-1].Last
			}
			if got := run(prog, port); got != want {
				t.Fatalf("port %d in %v: %v", port, spans, got)
			}
		}
	}
	if prog := PortFilter(nil); len(prog) != 0 {
		t.Errorf("a program for every port: %x", prog)
	}
}

// run is inet_diag_bc_run.
func run(prog []byte, port uint16) bool {
	ne := binary.NativeEndian
	pc := 0
	for pc < len(prog) {
		yes := true
		switch prog[pc] {
		case opJump:
			yes = false
		case opPortGE:
			yes = port >= ne.Uint16(prog[pc+sizeOp+2:])
		case opPortLE:
			yes = port <= ne.Uint16(prog[pc+sizeOp+2:])
		}
		if yes {
			pc += int(prog[pc+1])
		} else {
			pc += int(ne.Uint16(prog[pc+2:]))
		}
	}
	return pc == len(prog)
}

// audit is inet_diag_bc_audit.
func audit(t *testing.T, prog []byte) {
	t.Helper()
	ne := binary.NativeEndian
	onPath := make(map[int]bool)
	for pc := 0; pc < len(prog); pc += int(prog[pc+1]) {
		onPath[pc] = true
	}
	onPath[len(prog)] = true
	for pc := 0; pc < len(prog); pc += int(prog[pc+1]) {
		left, least := len(prog)-pc, sizeCompare
		if prog[pc] == opJump {
			least = sizeOp
		}
		yes, no := int(prog[pc+1]), int(ne.Uint16(prog[pc+2:]))
		if prog[pc] == opJump {
			if no < least || no > left+sizeOp || no%4 != 0 {
				t.Fatalf("at %d: jump by %d with %d left", pc, no, left)
			}
		} else if left < least || no < least || no > left+sizeOp || no%4 != 0 {
			t.Fatalf("at %d: no by %d with %d left", pc, no, left)
		}
		if no < left && !onPath[pc+no] {
			t.Fatalf("at %d: no leads beside the path", pc)
		}
		if yes < least || yes > left+sizeOp || yes%4 != 0 {
			t.Fatalf("at %d: yes by %d with %d left", pc, yes, left)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(message(typeSockByFamily, 2, 5, listener(attr(attrV6Only, 1)...)))
	f.Add(message(typeTCPGetSock, 2, 5, listener(attr(attrLocals, make([]byte, 256)...)...)))
	f.Add(message(typeDone, 2, 5, make([]byte, 4)))
	f.Add(message(typeError, 0, 5, []byte{0xfe, 0xff, 0xff, 0xff}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s Socket
		n := 0
		done, err := parse(b, 5, &s, func(s *Socket) {
			n++
			if !s.Local.IsValid() || !s.Remote.IsValid() || s.Local.Addr().Zone() != "" {
				t.Errorf("invalid addresses: %+v", s)
			}
			s.Locals(func(a netip.Addr) {
				if !a.IsValid() {
					t.Error("invalid local address")
				}
			})
		})
		if done && err == nil && n*sizeSocket > len(b) {
			t.Errorf("%d sockets in %d bytes", n, len(b))
		}
	})
}
