package diag

import "encoding/binary"

// Span is a run of port numbers, both ends included.
type Span struct{ First, Last uint16 }

// The operations of the filter language (struct inet_diag_bc_op) used here. Each
// has a jump for yes and one for no, forward and in bytes.
const (
	opJump      = 1 // takes the jump for no
	opPortGE    = 2 // local port ≥ the operand, which is in the next word
	opPortLE    = 3
	sizeOp      = 4
	sizeCompare = 2 * sizeOp
	sizeSpan    = 2*sizeCompare + sizeOp
)

// MaxSpans is how many spans [PortFilter] takes: a jump and the attribute that
// carries the program have 16-bit lengths.
const MaxSpans = 3000

// PortFilter returns a program that makes the kernel itself leave out sockets
// whose local port lies in none of the spans, which must be ascending and
// disjoint. The empty program lets everything pass; it is returned for no spans,
// and for more than [MaxSpans]. Root is not needed to use it.
//
// To land exactly at the end accepts a socket; to land one word behind it
// rejects. The kernel takes a jump for no only if its target lies on the path
// of the jumps for yes, which is why the acceptance of a span is a jump of its
// own.
func PortFilter(spans []Span) []byte {
	if len(spans) == 0 || len(spans) > MaxSpans {
		return nil
	}
	end := len(spans) * sizeSpan
	b := make([]byte, 0, end)
	for i, s := range spans {
		ne := binary.NativeEndian
		toReject := func() uint16 { return uint16(end - len(b) + sizeOp) }

		// Spans ascend: below this one is below the rest.
		no := toReject()
		b = append(b, opPortGE, sizeCompare)
		b = ne.AppendUint16(b, no)
		b = append(b, 0, 0)
		b = ne.AppendUint16(b, s.First)

		no = sizeCompare + sizeOp // the next span
		if i == len(spans)-1 {
			no = toReject()
		}
		b = append(b, opPortLE, sizeCompare)
		b = ne.AppendUint16(b, no)
		b = append(b, 0, 0)
		b = ne.AppendUint16(b, s.Last)

		toAccept := uint16(end - len(b))
		b = append(b, opJump, sizeOp)
		b = ne.AppendUint16(b, toAccept)
	}
	return b
}
