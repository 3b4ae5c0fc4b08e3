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

// maxSpans is how many spans become a program of their own. The kernel checks a
// program in time that grows with the square of its length, so for more of them
// it is only given the run from the first to the last.
const maxSpans = 128

// PortFilter returns a program that makes the kernel itself leave out sockets
// whose local port is not looked for. Spans must be ascending and disjoint; none
// means every port. Some sockets that lie between spans may come all the same.
// Root is not needed to use it.
//
// To land exactly at the end accepts a socket; to land one word behind it
// rejects. The kernel takes a jump for no only if its target lies on the path
// of the jumps for yes, which is why the acceptance of a span is a jump of its
// own.
func PortFilter(spans []Span) []byte {
	if len(spans) > maxSpans {
		spans = []Span{{spans[0].First, spans[len(spans)-1].Last}}
	}
	end := len(spans) * sizeSpan
	b := make([]byte, 0, end)
	toReject := func() uint16 { return uint16(end - len(b) + sizeOp) }
	for i, s := range spans {
		ne := binary.NativeEndian
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
