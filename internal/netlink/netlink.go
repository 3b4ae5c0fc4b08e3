// Package netlink has what the families of netlink have in common (netlink(7)):
// messages, attributes, and a connection. What they mean is known by who asks:
// sockets/internal/diag, firewall/internal/nfnl and host.
//
// Messages are made and taken apart without I/O, on every system; only [Conn]
// talks to a kernel. It is not built on a general library, which keeps every
// message of an answer: see package diag for what that costs.
package netlink

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
)

// Flags of a request (include/uapi/linux/netlink.h).
const (
	Request = 0x1
	Dump    = 0x300
)

const (
	sizeHeader = 16 // struct nlmsghdr
	sizeAttr   = 4  // struct nlattr

	typeNoop  = 1
	typeError = 2
	typeDone  = 3

	flagDumpIntr = 0x10
	attrFlags    = 0xc000 // NLA_F_NESTED, NLA_F_NET_BYTEORDER
)

var (
	// ErrInterrupted says that what was asked for changed while the kernel told
	// it. Asking again helps.
	ErrInterrupted = errors.New("changed while it was read")
	// ErrFormat says that the kernel's answer is not what was expected.
	ErrFormat = errors.New("malformed netlink message")
)

// AppendHeader appends the header of a message whose body of the given size
// follows.
func AppendHeader(b []byte, typ, flags uint16, seq uint32, body int) []byte {
	ne := binary.NativeEndian
	b = ne.AppendUint32(b, uint32(sizeHeader+body))
	b = ne.AppendUint16(b, typ)
	b = ne.AppendUint16(b, flags)
	b = ne.AppendUint32(b, seq)
	return ne.AppendUint32(b, 0) // port id of the sender: the kernel knows it
}

// AppendAttr appends an attribute, padded.
func AppendAttr(b []byte, kind uint16, value []byte) []byte {
	ne := binary.NativeEndian
	b = ne.AppendUint16(b, uint16(sizeAttr+len(value)))
	b = ne.AppendUint16(b, kind)
	b = append(b, value...)
	return append(b, make([]byte, align(len(value))-len(value))...)
}

// Answers takes one datagram apart and calls f for every message in it that answers
// the question number seq. done reports that the answer is complete. An error that
// the kernel answers with is a syscall.Errno.
func Answers(b []byte, seq uint32, f func(typ uint16, body []byte) error) (done bool, err error) {
	ne := binary.NativeEndian
	for len(b) > 0 {
		if len(b) < sizeHeader {
			return false, fmt.Errorf("%w: %d bytes where a header should be", ErrFormat, len(b))
		}
		size := int(ne.Uint32(b))
		if size < sizeHeader || size > len(b) {
			return false, fmt.Errorf("%w: length %d in %d bytes", ErrFormat, size, len(b))
		}
		typ, flags, msgSeq, body := ne.Uint16(b[4:]), ne.Uint16(b[6:]), ne.Uint32(b[8:]), b[sizeHeader:size]
		b = b[min(align(size), len(b)):]
		if msgSeq != seq {
			continue // the rest of an answer that was given up
		}
		if flags&flagDumpIntr != 0 {
			return false, ErrInterrupted
		}
		switch typ {
		case typeNoop:
		case typeError, typeDone:
			return true, status(typ, body)
		default:
			if err := f(typ, body); err != nil {
				return false, err
			}
		}
	}
	return false, nil
}

// status reads the negative errno that ends an answer. NLMSG_DONE may lack it.
func status(typ uint16, body []byte) error {
	if len(body) < 4 {
		if typ == typeDone {
			return nil
		}
		return fmt.Errorf("%w: error of %d bytes", ErrFormat, len(body))
	}
	code := int32(binary.NativeEndian.Uint32(body))
	if code < 0 && code > -4096 {
		return syscall.Errno(-code)
	}
	if code != 0 && typ == typeError {
		return fmt.Errorf("%w: error code %d", ErrFormat, code)
	}
	return nil
}

// Attrs calls f for every attribute in b, in order. Bytes behind the last one that
// are too few for another are an error.
func Attrs(b []byte, f func(kind uint16, value []byte) error) error {
	ne := binary.NativeEndian
	for len(b) > 0 {
		if len(b) < sizeAttr {
			return fmt.Errorf("%w: %d bytes where an attribute should be", ErrFormat, len(b))
		}
		size := int(ne.Uint16(b))
		if size < sizeAttr || size > len(b) {
			return fmt.Errorf("%w: attribute of length %d in %d bytes", ErrFormat, size, len(b))
		}
		if err := f(ne.Uint16(b[2:])&^attrFlags, b[sizeAttr:size]); err != nil {
			return err
		}
		b = b[min(align(size), len(b)):]
	}
	return nil
}

func align(n int) int { return (n + 3) &^ 3 }
