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

	sizeHeader = 16 // struct nlmsghdr
	sizeFamily = 4  // struct nfgenmsg
	sizeAttr   = 4  // struct nlattr

	typeNoop  = 1
	typeError = 2
	typeDone  = 3

	flagRequest  = 0x1
	flagDumpIntr = 0x10
	flagDump     = 0x300
)

// ErrChanged says that the ruleset changed while it was read. Asking again
// helps.
var ErrChanged = errors.New("the ruleset changed while it was read")

// errFormat says that the kernel's answer is not what this package understands.
var errFormat = errors.New("malformed nf_tables message")

// appendRequest appends a question. family 0 is every family.
func appendRequest(b []byte, k Kind, family uint8, seq uint32, attrs []byte) []byte {
	ne := binary.NativeEndian
	flags := uint16(flagRequest | flagDump)
	if k == gen {
		flags = flagRequest
	}
	b = ne.AppendUint32(b, uint32(sizeHeader+sizeFamily+len(attrs)))
	b = ne.AppendUint16(b, subsystem<<8|uint16(k))
	b = ne.AppendUint16(b, flags)
	b = ne.AppendUint32(b, seq)
	b = ne.AppendUint32(b, 0)      // port id of the sender: the kernel knows it
	b = append(b, family, 0, 0, 0) // version 0, resource id
	return append(b, attrs...)
}

// AppendString appends an attribute that holds a NUL-terminated string.
func AppendString(b []byte, kind uint16, s string) []byte {
	ne := binary.NativeEndian
	b = ne.AppendUint16(b, uint16(sizeAttr+len(s)+1))
	b = ne.AppendUint16(b, kind)
	b = append(append(b, s...), 0)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// parse takes one datagram apart and calls f with the family and the attributes
// of every object in it that answers the question number seq.
func parse(b []byte, k Kind, seq uint32, f func(family uint8, attrs []byte) error) (done bool, err error) {
	ne := binary.NativeEndian
	for len(b) > 0 {
		if len(b) < sizeHeader {
			return false, fmt.Errorf("%w: %d bytes where a header should be", errFormat, len(b))
		}
		size := int(ne.Uint32(b))
		if size < sizeHeader || size > len(b) {
			return false, fmt.Errorf("%w: length %d in %d bytes", errFormat, size, len(b))
		}
		typ, flags, msgSeq, body := ne.Uint16(b[4:]), ne.Uint16(b[6:]), ne.Uint32(b[8:]), b[sizeHeader:size]
		b = b[min(align(size), len(b)):]
		if msgSeq != seq {
			continue // the rest of an answer that was given up
		}
		if flags&flagDumpIntr != 0 {
			return false, ErrChanged
		}
		switch typ {
		case typeNoop:
		case typeError, typeDone:
			return true, status(body)
		case subsystem<<8 | uint16(k.answer()):
			if len(body) < sizeFamily {
				return false, fmt.Errorf("%w: object of %d bytes", errFormat, len(body))
			}
			if err := f(body[0], body[sizeFamily:]); err != nil {
				return false, err
			}
			if k == gen {
				return true, nil
			}
		default:
			return false, fmt.Errorf("%w: type %#x", errFormat, typ)
		}
	}
	return false, nil
}

// status reads the negative errno that ends an answer.
func status(body []byte) error {
	if len(body) < 4 {
		return nil
	}
	code := int32(binary.NativeEndian.Uint32(body))
	switch {
	case code == 0:
		return nil
	case code < 0 && code > -4096:
		if errno := syscall.Errno(-code); errno == syscall.EINTR {
			return ErrChanged // nf_tables ends a dump so when the generation moved on
		} else {
			return errno
		}
	}
	return fmt.Errorf("%w: error code %d", errFormat, code)
}

// Attrs calls f for every attribute in b, in order.
func Attrs(b []byte, f func(kind uint16, value []byte) error) error {
	ne := binary.NativeEndian
	for len(b) >= sizeAttr {
		size := int(ne.Uint16(b))
		if size < sizeAttr || size > len(b) {
			return fmt.Errorf("%w: attribute of length %d in %d bytes", errFormat, size, len(b))
		}
		const flags = 0xc000 // NLA_F_NESTED, NLA_F_NET_BYTEORDER
		if err := f(ne.Uint16(b[2:])&^flags, b[sizeAttr:size]); err != nil {
			return err
		}
		b = b[min(align(size), len(b)):]
	}
	return nil
}

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

func align(n int) int { return (n + 3) &^ 3 }
