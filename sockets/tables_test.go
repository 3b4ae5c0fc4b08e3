package sockets

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/netnstest"
)

// brief writes down of a row what the tables tell.
func brief(r *row) string {
	return fmt.Sprintf("%v %v %v<-%v v6only=%v uid=%d inode=%d pid=%d %s", r.proto, r.stage, r.local, r.remote, r.v6only, r.uid, r.inode, r.pid, r.kernel)
}

func compare(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Recorded from Linux 6.18 on x86-64: they can only be read where the kernel
// would write them so.
const (
	procTCP = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode                                                     
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1077 1 0000000000000000 100 0 0 10 0                           
   1: 0100007F:1F90 0200007F:A6B4 01 00000000:00000000 00:00000000 00000000  1000        0 31337 1 0000000000000000 20 4 30 10 -1                         
   2: 0100007F:1F90 0300007F:A6B5 06 00000000:00000000 03:00001770 00000000     0        0 0 3 0000000000000000                                           
`
	procUDP6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  712: 00000000000000000000000001000000:0035 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 2001 2 0000000000000000 0
  713: 0000000000000000FFFF00000100007F:0202 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 2002 2 0000000000000000 0
`
)

func littleEndian() bool { return binary.NativeEndian.Uint16([]byte{1, 0}) == 1 }

func TestReadProc(t *testing.T) {
	if !littleEndian() {
		netnstest.Skip(t, "needs a little-endian machine, of which the recording is")
	}
	var got []string
	add := func(r *row) { got = append(got, brief(r)) }
	if err := procTables()[0].read(strings.NewReader(procTCP), add); err != nil {
		t.Error(err)
	}
	if err := procTables()[3].read(strings.NewReader(procUDP6), add); err != nil {
		t.Error(err)
	}
	compare(t, got, []string{
		"tcp 1 0.0.0.0:22<-0.0.0.0:0 v6only=off uid=0 inode=1077 pid=0 ",
		"tcp 3 127.0.0.1:8080<-127.0.0.2:42676 v6only=off uid=1000 inode=31337 pid=0 ",
		"tcp 4 127.0.0.1:8080<-127.0.0.3:42677 v6only=off uid=0 inode=0 pid=0 ",
		"udp 2 [::1]:53<-[::]:0 v6only=unknown uid=101 inode=2001 pid=0 ",
		"udp 2 [::ffff:127.0.0.1]:514<-[::]:0 v6only=unknown uid=0 inode=2002 pid=0 ",
	})
}

func TestReadProcErrors(t *testing.T) {
	heading, lines, _ := strings.Cut(procTCP, "\n")
	heading += "\n"
	line, _, _ := strings.Cut(lines, "\n")
	for _, text := range []string{
		"", "\n", "what is this\n", line + "\n",
		heading + "\n",
		heading + "   0: 00000000:0016 00000000:0000 0A\n",
		heading + strings.Replace(line, "0A", "XX", 1),
		heading + strings.Replace(line, "00000000:0016", "0000000:00016", 1),
		heading + strings.Replace(line, "00000000:0016", "0000000G:0016", 1),
		heading + strings.Replace(line, "0016", "001X", 1),
		heading + strings.Replace(line, "1077", "-1", 1),
		heading + strings.Repeat("x", 100_000),
	} {
		if err := procTables()[0].read(strings.NewReader(text), func(*row) {}); err == nil {
			t.Errorf("no error for %.200q", text)
		}
	}
}

func FuzzReadProc(f *testing.F) {
	f.Add(procTCP, false)
	f.Add(procUDP6, true)
	f.Fuzz(func(t *testing.T, text string, v6 bool) {
		table := procTable{name: "tcp", proto: monban.TCP, v6: v6}
		table.read(strings.NewReader(text), func(r *row) {
			if !r.local.IsValid() || !r.remote.IsValid() || r.local.Addr().Is6() != v6 {
				t.Errorf("row %+v", r)
			}
		})
	})
}

// winRow builds a row of a Windows table.
func winRow(t winTable, local, remote string, state, scope uint32, pid uint32) []byte {
	b := make([]byte, t.size)
	put := func(at string, addr, port int) {
		ap := netip.MustParseAddrPort(at)
		copy(b[addr:], ap.Addr().AsSlice())
		binary.BigEndian.PutUint16(b[port:], ap.Port())
		if t.v6 {
			binary.LittleEndian.PutUint32(b[addr+16:], scope)
		}
	}
	put(local, t.local, t.localPort)
	if t.remotePort != 0 {
		put(remote, t.remote, t.remotePort)
		binary.LittleEndian.PutUint32(b[t.state:], state)
	}
	binary.LittleEndian.PutUint32(b[t.pid:], pid)
	return b
}

func winBytes(rows ...[]byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(rows)))
	return append(b, slices.Concat(rows...)...)
}

func TestWindowsTables(t *testing.T) {
	tables := winTables()
	tcp, tcp6, udp, udp6 := tables[0], tables[1], tables[2], tables[3]
	var got []string
	for _, tt := range []struct {
		table winTable
		b     []byte
	}{
		{tcp, winBytes(
			winRow(tcp, "0.0.0.0:80", "0.0.0.0:0", 2, 0, 4),
			winRow(tcp, "0.0.0.0:445", "0.0.0.0:0", 2, 0, 4),
			winRow(tcp, "192.0.2.1:3389", "198.51.100.7:50000", 5, 0, 1234),
			winRow(tcp, "192.0.2.1:3389", "198.51.100.7:50001", 11, 0, 0),
			winRow(tcp, "192.0.2.1:5000", "0.0.0.0:0", 100, 0, 77),
			winRow(tcp, "192.0.2.1:5001", "198.51.100.7:1", 1, 0, 77))},
		{tcp6, winBytes(
			winRow(tcp6, "[::]:135", "[::]:0", 2, 0, 900),
			winRow(tcp6, "[fe80::1]:135", "[::]:0", 2, 7, 900),
			winRow(tcp6, "[fe80::1]:135", "[::]:0", 2, 7<<24, 900))},
		{udp, winBytes(winRow(udp, "0.0.0.0:53", "", 0, 0, 2000), winRow(udp, "10.0.0.1:137", "", 0, 0, 4))},
		{udp6, winBytes(winRow(udp6, "[::1]:53", "", 0, 0, 2000))},
		{udp6, winBytes()},
		{udp6, []byte{0, 0, 0, 0}},
	} {
		if err := tt.table.read(tt.b, func(r *row, raw []byte) {
			if len(raw) != tt.table.size {
				t.Errorf("row of %d bytes", len(raw))
			}
			got = append(got, brief(r))
		}); err != nil {
			t.Errorf("%s: %v", tt.table.name, err)
		}
	}
	compare(t, got, []string{
		"tcp 1 0.0.0.0:80<-0.0.0.0:0 v6only=off uid=0 inode=0 pid=4 http.sys",
		"tcp 1 0.0.0.0:445<-0.0.0.0:0 v6only=off uid=0 inode=0 pid=4 srv2.sys",
		"tcp 3 192.0.2.1:3389<-198.51.100.7:50000 v6only=off uid=0 inode=0 pid=1234 ",
		"tcp 4 192.0.2.1:3389<-198.51.100.7:50001 v6only=off uid=0 inode=0 pid=0 ",
		"tcp 2 192.0.2.1:5000<-0.0.0.0:0 v6only=off uid=0 inode=0 pid=77 ",
		"tcp 5 192.0.2.1:5001<-198.51.100.7:1 v6only=off uid=0 inode=0 pid=77 ",
		"tcp 1 [::]:135<-[::]:0 v6only=unknown uid=0 inode=0 pid=900 ",
		"tcp 1 [fe80::1%7]:135<-[::]:0 v6only=unknown uid=0 inode=0 pid=900 ",
		"tcp 1 [fe80::1%7]:135<-[::]:0 v6only=unknown uid=0 inode=0 pid=900 ",
		"udp 2 0.0.0.0:53<-invalid AddrPort v6only=off uid=0 inode=0 pid=2000 ",
		"udp 2 10.0.0.1:137<-invalid AddrPort v6only=off uid=0 inode=0 pid=4 netbt.sys",
		"udp 2 [::1]:53<-invalid AddrPort v6only=unknown uid=0 inode=0 pid=2000 ",
	})
	for _, b := range [][]byte{nil, {1, 0}, {1, 0, 0, 0}, winBytes(make([]byte, tcp.size-1)), {255, 255, 255, 255, 0, 0, 0, 0}} {
		if err := tcp.read(b, func(r *row, _ []byte) { t.Errorf("row %+v", r) }); err == nil {
			t.Errorf("no error for %d bytes", len(b))
		}
	}
}

func FuzzWindowsTables(f *testing.F) {
	for i, table := range winTables() {
		f.Add(winBytes(make([]byte, table.size)), uint8(i))
	}
	f.Fuzz(func(t *testing.T, b []byte, which uint8) {
		table := winTables()[which%4]
		n := 0
		err := table.read(b, func(r *row, _ []byte) {
			if n++; !r.local.IsValid() {
				t.Errorf("row %+v", r)
			}
		})
		if err != nil && n > 0 {
			t.Errorf("%v after %d rows", err, n)
		}
	})
}

// pcbFixture builds the records of one macOS socket as XNU's get_pcblist_n does:
// sizes are those of macOS 13, kinds that are passed over among them.
type pcbFixture struct {
	local, remote netip.AddrPort
	family        uint32
	vflag         byte
	flags, state  uint32
	uid, pid      uint32
}

func (p pcbFixture) records(tcp bool) []byte {
	record := func(kind, size uint32) []byte {
		b := make([]byte, (size+7)&^7)
		binary.LittleEndian.PutUint32(b, size)
		binary.LittleEndian.PutUint32(b[4:], kind)
		return b
	}
	in := record(pcbInet, 104)
	binary.BigEndian.PutUint16(in[16:], p.remote.Port())
	binary.BigEndian.PutUint16(in[18:], p.local.Port())
	binary.LittleEndian.PutUint32(in[36:], p.flags)
	in[44] = p.vflag
	put := func(b []byte, a netip.Addr) {
		if s := a.AsSlice(); len(s) == 4 {
			copy(b[12:], s)
		} else {
			copy(b, s)
		}
	}
	put(in[48:64], p.remote.Addr())
	put(in[64:80], p.local.Addr())
	so := record(pcbSocket, 104)
	binary.LittleEndian.PutUint32(so[40:], p.family)
	binary.LittleEndian.PutUint32(so[64:], p.uid)
	binary.LittleEndian.PutUint32(so[68:], p.pid)
	b := slices.Concat(in, so, record(0x02, 32), record(0x04, 32), record(0x08, 136))
	if tcp {
		tp := record(pcbTCP, 204)
		binary.LittleEndian.PutUint32(tp[36:], p.state)
		b = append(b, tp...)
	}
	return b
}

func pcbTable(tcp bool, list ...pcbFixture) []byte {
	gen := make([]byte, pcbGen)
	binary.LittleEndian.PutUint32(gen, pcbGen)
	binary.LittleEndian.PutUint32(gen[4:], uint32(len(list)))
	b := slices.Clone(gen)
	for _, p := range list {
		b = append(b, p.records(tcp)...)
	}
	return append(b, gen...)
}

func TestPCBList(t *testing.T) {
	const pfINET = 2
	ap := netip.MustParseAddrPort
	scoped := netip.AddrPortFrom(netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 3: 5, 15: 1}), 546)
	tcp := pcbTable(true,
		pcbFixture{ap("0.0.0.0:80"), ap("0.0.0.0:0"), pfINET, inpIPv4, 0, 1, 0, 400},
		pcbFixture{ap("[::]:8080"), ap("[::]:0"), pfINET6, inpIPv4 | inpIPv6, 0, 1, 501, 401},
		pcbFixture{ap("[::]:8081"), ap("[::]:0"), pfINET6, inpIPv6, inpV6Only, 1, 501, 402},
		pcbFixture{ap("127.0.0.1:8080"), ap("127.0.0.1:50000"), pfINET6, inpIPv4, 0, 4, 501, 401},
		pcbFixture{ap("192.0.2.1:50001"), ap("198.51.100.1:443"), pfINET, inpIPv4, 0, 10, 501, 0},
		pcbFixture{ap("127.0.0.1:9000"), ap("0.0.0.0:0"), pfINET, inpIPv4, 0, 0, 501, 403})
	udp := pcbTable(false,
		pcbFixture{ap("0.0.0.0:5353"), ap("0.0.0.0:0"), pfINET, inpIPv4, 0, 0, 65, 200},
		pcbFixture{ap("192.0.2.1:60000"), ap("192.0.2.53:53"), pfINET, inpIPv4, 0, 0, 501, 201},
		pcbFixture{scoped, ap("[::]:0"), pfINET6, inpIPv6, 0, 0, 0, 202})
	var got []string
	add := func(r *row) { got = append(got, brief(r)) }
	if err := readPCBList(monban.TCP, tcp, add); err != nil {
		t.Error(err)
	}
	if err := readPCBList(monban.UDP, udp, add); err != nil {
		t.Error(err)
	}
	compare(t, got, []string{
		"tcp 1 0.0.0.0:80<-0.0.0.0:0 v6only=off uid=0 inode=0 pid=400 ",
		"tcp 1 [::]:8080<-[::]:0 v6only=off uid=501 inode=0 pid=401 ",
		"tcp 1 [::]:8081<-[::]:0 v6only=on uid=501 inode=0 pid=402 ",
		"tcp 3 [::ffff:127.0.0.1]:8080<-[::ffff:127.0.0.1]:50000 v6only=off uid=501 inode=0 pid=401 ",
		"tcp 4 192.0.2.1:50001<-198.51.100.1:443 v6only=off uid=501 inode=0 pid=0 ",
		"tcp 2 127.0.0.1:9000<-0.0.0.0:0 v6only=off uid=501 inode=0 pid=403 ",
		"udp 2 0.0.0.0:5353<-0.0.0.0:0 v6only=off uid=65 inode=0 pid=200 ",
		"udp 3 192.0.2.1:60000<-192.0.2.53:53 v6only=off uid=501 inode=0 pid=201 ",
		"udp 2 [fe80::1%5]:546<-[::]:0 v6only=on uid=0 inode=0 pid=202 ",
	})
	if err := readPCBList(monban.TCP, pcbTable(true), func(r *row) { t.Errorf("row %+v", r) }); err != nil {
		t.Errorf("no sockets at all: %v", err)
	}
}

func TestPCBListErrors(t *testing.T) {
	one := pcbFixture{netip.MustParseAddrPort("0.0.0.0:80"), netip.MustParseAddrPort("0.0.0.0:0"), 2, inpIPv4, 0, 1, 0, 400}
	good := pcbTable(true, one)
	edit := func(at int, v uint32) []byte {
		b := slices.Clone(good)
		binary.LittleEndian.PutUint32(b[at:], v)
		return b
	}
	const in, so = pcbGen, pcbGen + 104
	for name, b := range map[string][]byte{
		"empty":               nil,
		"no heading":          good[1:],
		"record of 0":         edit(in, 0),
		"record too long":     edit(in, uint32(len(good))),
		"short inpcb":         edit(in, pcbInetMin-8),
		"short socket":        edit(so, pcbSocketMin-8),
		"no socket":           edit(so+4, 0x4000),
		"no inpcb":            edit(in+4, 0x4000),
		"negative process":    edit(so+68, 1<<31),
		"UDP records":         pcbTable(false, one),
		"cut in the middle":   good[:len(good)-pcbGen-100],
		"cut in a header":     good[:pcbGen+4],
		"sockets not to find": append(slices.Clone(edit(4, 3)[:pcbGen]), good[:pcbGen]...),
	} {
		if err := readPCBList(monban.TCP, b, func(*row) {}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzPCBList(f *testing.F) {
	one := pcbFixture{netip.MustParseAddrPort("[::1]:80"), netip.MustParseAddrPort("[::]:0"), pfINET6, inpIPv6, 0, 1, 0, 400}
	f.Add(pcbTable(true, one), true)
	f.Add(pcbTable(false, one, one), false)
	f.Fuzz(func(t *testing.T, b []byte, tcp bool) {
		proto := monban.UDP
		if tcp {
			proto = monban.TCP
		}
		n := 0
		readPCBList(proto, b, func(r *row) {
			if n++; !r.local.IsValid() || !r.remote.IsValid() || r.pid < 0 {
				t.Errorf("row %+v", r)
			}
		})
		if n*pcbInetMin > len(b) {
			t.Errorf("%d sockets in %d bytes", n, len(b))
		}
	})
}

func TestReadMountInfo(t *testing.T) {
	text := `25 30 0:23 / /proc rw,nosuid - proc proc rw,hidepid=invisible
36 35 0:4 net:[4026532201] /run/netns/blue rw shared:5 master:1 - nsfs nsfs rw
37 35 0:4 mnt:[4026532202] /run/mnt rw - nsfs nsfs rw
38 35 0:4 net:[4026532203] /run/netns/a\040b rw - nsfs nsfs rw
`
	mounts, hidden, err := readMountInfo(strings.NewReader(text))
	want := []Namespace{{ID: "net:[4026532201]", Path: "/run/netns/blue"}, {ID: "net:[4026532203]", Path: "/run/netns/a b"}}
	if err != nil || !hidden || !slices.Equal(mounts, want) {
		t.Errorf("got %+v, %v, %v", mounts, hidden, err)
	}
	for options, want := range map[string]bool{"rw": false, "rw,hidepid=0": false, "rw,hidepid=off,gid=3": false,
		"rw,gid=3,hidepid=2": true, "hidepid=ptraceable": true, "rw,hidepid=1": true} {
		if got := hidesProcesses(options); got != want {
			t.Errorf("options %q: %v", options, got)
		}
	}
	for _, text := range []string{"x\n", "25 30 0:23 / /proc rw proc proc rw\n", "25 30 - proc proc rw\n", "25 30 0:23 / /proc rw - proc\n"} {
		if mounts, hidden, err := readMountInfo(strings.NewReader(text)); err == nil || mounts != nil || hidden {
			t.Errorf("%q: %v, %v, %v", text, mounts, hidden, err)
		}
	}
}

func FuzzReadMountInfo(f *testing.F) {
	f.Add("36 35 0:4 net:[4026532201] /run/netns/blue rw shared:5 master:1 - nsfs nsfs rw\n")
	f.Add("25 30 0:23 / /proc rw,nosuid - proc proc rw,hidepid=2\n")
	f.Fuzz(func(t *testing.T, text string) {
		mounts, hidden, err := readMountInfo(strings.NewReader(text))
		if err != nil && (mounts != nil || hidden) {
			t.Errorf("%v beside %v, %v", err, mounts, hidden)
		}
		for _, m := range mounts {
			if !strings.HasPrefix(m.ID, "net:[") || m.Path == "" || m.Own || m.PID != 0 {
				t.Errorf("mount %+v", m)
			}
		}
	})
}

func TestRelease(t *testing.T) {
	for release, want := range map[string]bool{"6.18.44-fc-v595": true, "6.8": true, "6.8-rc1": true, "6.8.0-31-generic": true, "7.0.1": true,
		"6.7.12": false, "6.1.0-13-amd64": false, "5.14.0-427.el9": false, "4.4.0-19041-Microsoft": false, "": false, "6": false, "x.y": false} {
		if got := listsBound(release); got != want {
			t.Errorf("%q: %v", release, got)
		}
	}
	for release, want := range map[string]bool{"4.15.0-20-generic": true, "3.10.0-1160.el7": true, "4.17": false, "6.18.44": false, "": true} {
		if got := loadsToAnswer(release); got != want {
			t.Errorf("%q loads: %v", release, got)
		}
	}
}
