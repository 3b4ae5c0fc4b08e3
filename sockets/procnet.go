package sockets

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"strconv"

	"github.com/monban-dev/monban"
)

// procTable is one of the files tcp, tcp6, udp and udp6 below /proc/net.
type procTable struct {
	name  string
	proto monban.Proto
	v6    bool
}

// procTables lists the tables of /proc/net that have ports.
func procTables() [4]procTable {
	return [4]procTable{
		{"tcp", monban.TCP, false}, {"tcp6", monban.TCP, true},
		{"udp", monban.UDP, false}, {"udp6", monban.UDP, true},
	}
}

// read calls f for every row of the table (get_tcp4_sock and its siblings in
// net/ipv4/tcp_ipv4.c). The row is only valid during the call. The table does
// not tell the interface of a socket, nor IPV6_V6ONLY.
func (t procTable) read(r io.Reader, f func(*row)) error {
	sc := bufio.NewScanner(r)
	if !sc.Scan() {
		if err := sc.Err(); err != nil {
			return fmt.Errorf("reading %s: %w", t.name, err)
		}
		return fmt.Errorf("%s has no heading", t.name)
	}
	if !bytes.Contains(sc.Bytes(), []byte("local_address")) {
		return fmt.Errorf("%s has the heading %.40q", t.name, sc.Bytes())
	}
	var s row
	for n := 2; sc.Scan(); n++ {
		if err := t.line(sc.Bytes(), &s); err != nil {
			return fmt.Errorf("%s line %d: %w", t.name, n, err)
		}
		f(&s)
	}
	if err := sc.Err(); err != nil {
		return fmt.Errorf("reading %s: %w", t.name, err)
	}
	return nil
}

// line reads one line: "sl: local remote st tx:rx tr:when retrans uid timeout
// inode …".
func (t procTable) line(b []byte, s *row) error {
	var field [10][]byte
	for i := range field {
		b = bytes.TrimLeft(b, " ")
		end := bytes.IndexByte(b, ' ')
		if end < 0 {
			end = len(b)
		}
		field[i], b = b[:end], b[end:]
		if end == 0 {
			return fmt.Errorf("%d fields: want at least %d", i, len(field))
		}
	}
	*s = row{proto: t.proto}
	var err error
	if s.local, err = t.addrPort(field[1]); err != nil {
		return err
	}
	if s.remote, err = t.addrPort(field[2]); err != nil {
		return err
	}
	state, err := strconv.ParseUint(string(field[3]), 16, 8)
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	uid, err := strconv.ParseUint(string(field[7]), 10, 32)
	if err != nil {
		return fmt.Errorf("uid: %w", err)
	}
	if s.inode, err = strconv.ParseUint(string(field[9]), 10, 64); err != nil {
		return fmt.Errorf("inode: %w", err)
	}
	s.stage, s.uid, s.identity = stageOf(uint8(state)), uint32(uid), s.inode
	if !t.v6 {
		s.v6only = monban.Off
	}
	return nil
}

// addrPort reads "0100007F:0016". An address is written as the words that the
// kernel has in memory, which is why the byte order of the machine comes in.
func (t procTable) addrPort(b []byte) (netip.AddrPort, error) {
	size := 4
	if t.v6 {
		size = 16
	}
	var raw [16]byte
	if len(b) != 2*size+5 || b[2*size] != ':' {
		return netip.AddrPort{}, fmt.Errorf("address %.40q", b)
	}
	if _, err := hex.Decode(raw[:size], b[:2*size]); err != nil {
		return netip.AddrPort{}, fmt.Errorf("address %.40q: %w", b, err)
	}
	for w := raw[:size]; len(w) > 0; w = w[4:] {
		binary.NativeEndian.PutUint32(w, binary.BigEndian.Uint32(w))
	}
	port, err := strconv.ParseUint(string(b[2*size+1:]), 16, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("port: %w", err)
	}
	addr := netip.AddrFrom16(raw)
	if !t.v6 {
		addr = netip.AddrFrom4([4]byte(raw[:4]))
	}
	return netip.AddrPortFrom(addr, uint16(port)), nil
}
