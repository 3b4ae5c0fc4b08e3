// Package nfnl speaks the nf_tables part of nfnetlink, the protocol by which
// Linux tells what its packet filter does (nft(8)).
//
// Messages are taken apart here without I/O, on every system; only [Conn] talks
// to a kernel. It is not built on a general library: google/nftables leaves out
// expressions that it does not know, and took 3 s for a set of 100,000 ranges
// that this package reads in the time the kernel needs to tell them.
package nfnl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"

	"github.com/monban-dev/monban/internal/netlink"
)

// Message types of nf_tables (include/uapi/linux/netfilter/nf_tables.h): the
// request, and after it the answer.
const (
	getTable   = 1
	newTable   = 0
	getChain   = 4
	newChain   = 3
	getRule    = 7
	newRule    = 6
	getSet     = 10
	newSet     = 9
	getElement = 13
	newElement = 12
	newGen     = 15
	getGen     = 16
)

// Kind is what to ask for.
type Kind uint8

// The kinds.
const (
	Tables   Kind = getTable
	Chains   Kind = getChain
	Rules    Kind = getRule
	Sets     Kind = getSet
	Elements Kind = getElement
	gen      Kind = getGen
)

// answer is the type of the messages that a question of kind k is answered with.
func (k Kind) answer() uint8 {
	if k == gen {
		return newGen
	}
	return uint8(k) - 1
}

const (
	subsystem = 10 // NFNL_SUBSYS_NFTABLES

	sizeFamily = 4 // struct nfgenmsg
)

// ErrChanged says that the ruleset changed while it was read. Asking again
// helps.
var ErrChanged = errors.New("the ruleset changed while it was read")

// appendRequest appends a question. family 0 is every family.
func appendRequest(b []byte, k Kind, family uint8, seq uint32, attrs []byte) []byte {
	flags := uint16(netlink.Request | netlink.Dump)
	if k == gen {
		flags = netlink.Request
	}
	b = netlink.AppendHeader(b, subsystem<<8|uint16(k), flags, seq, sizeFamily+len(attrs))
	b = append(b, family, 0, 0, 0) // version 0, resource id
	return append(b, attrs...)
}

// AppendString appends an attribute that holds a NUL-terminated string.
func AppendString(b []byte, kind uint16, s string) []byte {
	return netlink.AppendAttr(b, kind, append([]byte(s), 0))
}

// object is what the kernel tells of one object.
type object struct {
	family uint8
	// generation are the low 16 bits of the ruleset's that the object is of.
	generation uint16
	attrs      []byte
}

// parse takes one datagram apart and calls f for every object in it that answers
// the question number seq.
func parse(b []byte, k Kind, seq uint32, f func(*object) error) (done bool, err error) {
	done, err = netlink.Answers(b, seq, func(typ uint16, body []byte) error {
		if typ != subsystem<<8|uint16(k.answer()) {
			return fmt.Errorf("%w: type %#x", netlink.ErrFormat, typ)
		}
		if len(body) < sizeFamily {
			return fmt.Errorf("%w: object of %d bytes", netlink.ErrFormat, len(body))
		}
		return f(&object{body[0], binary.BigEndian.Uint16(body[2:]), body[sizeFamily:]})
	})
	// nf_tables ends a dump with EINTR when the generation moved on.
	if errors.Is(err, netlink.ErrInterrupted) || errors.Is(err, syscall.EINTR) {
		err = ErrChanged
	}
	return done, err
}

// Attrs calls f for every attribute in b, in order.
func Attrs(b []byte, f func(kind uint16, value []byte) error) error { return netlink.Attrs(b, f) }

// String reads a NUL-terminated string.
func String(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

// Uint32 reads a big-endian number, as nf_tables writes them; 0 where b is too
// short.
func Uint32(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return binary.BigEndian.Uint32(b)
}

// Uint64 is [Uint32] for 64 bits.
func Uint64(b []byte) uint64 {
	if len(b) < 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}
