package identify

import "encoding/binary"

// A cursor reads a message from its beginning. Its first error stays: what is
// read after it is zero, so a decoder asks once, at its end.
type cursor struct {
	b      []byte
	failed bool
}

// bytes takes the next n bytes.
func (c *cursor) bytes(n int) []byte {
	if c.failed || n < 0 || n > len(c.b) {
		c.failed = true
		return nil
	}
	taken := c.b[:n]
	c.b = c.b[n:]
	return taken
}

func (c *cursor) u8() int {
	if b := c.bytes(1); b != nil {
		return int(b[0])
	}
	return 0
}

func (c *cursor) be16() int {
	if b := c.bytes(2); b != nil {
		return int(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (c *cursor) be32() uint32 {
	if b := c.bytes(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) le16() int {
	if b := c.bytes(2); b != nil {
		return int(binary.LittleEndian.Uint16(b))
	}
	return 0
}

func (c *cursor) le32() uint32 {
	if b := c.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// text takes bytes up to a NUL, and the NUL.
func (c *cursor) text() string {
	for i, b := range c.b {
		if b == 0 {
			s := string(c.b[:i])
			c.b = c.b[i+1:]
			return s
		}
	}
	c.failed = true
	return ""
}

// be16s and be32s append numbers in network order, le32s in the other.
func be16s(b []byte, n int) []byte { return binary.BigEndian.AppendUint16(b, uint16(n)) }

func be32s(b []byte, n uint32) []byte { return binary.BigEndian.AppendUint32(b, n) }

func le32s(b []byte, n uint32) []byte { return binary.LittleEndian.AppendUint32(b, n) }
