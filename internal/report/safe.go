package report

import (
	"encoding/binary"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Process names, arguments, banners and file contents belong to whoever wrote
// them. Everything a person reads passes through safe exactly once, in
// [printer.emit]; everything a program reads passes through escapeJSON.

// safe makes s harmless on a terminal and on one line: control characters,
// bidirectional overrides, other invisible characters and invalid UTF-8 become
// visible escapes. It returns s itself when there is nothing to do.
func safe(s string) string {
	i := 0
	for i < len(s) && s[i] >= ' ' && s[i] < utf8.RuneSelf && s[i] != 0x7f {
		i++
	}
	if i == len(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteString(`\x`)
			writeHex(&b, rune(s[i]), 2)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case unicode.IsPrint(r):
			b.WriteString(s[i : i+n])
		case r < 0x100:
			b.WriteString(`\x`)
			writeHex(&b, r, 2)
		case r < 0x10000:
			b.WriteString(`\u`)
			writeHex(&b, r, 4)
		default:
			b.WriteString(`\U`)
			writeHex(&b, r, 8)
		}
		i += n
	}
	return b.String()
}

func writeHex(b *strings.Builder, r rune, digits int) {
	h := strconv.FormatUint(uint64(r), 16)
	b.WriteString(strings.Repeat("0", max(0, digits-len(h))))
	b.WriteString(h)
}

// jsonWriter passes JSON text on and writes every character that is neither
// printable nor white space as a \u escape, which means the same to a JSON
// reader: encoding/json leaves C1 controls and bidirectional overrides as they
// are, and a terminal obeys them.
type jsonWriter struct {
	w   io.Writer
	buf []byte
}

// Write implements io.Writer. p must not end inside a character, which holds
// for encoding/json: it writes whole values.
func (w *jsonWriter) Write(p []byte) (int, error) {
	w.buf = w.buf[:0]
	start := 0
	for i := 0; i < len(p); {
		if i+8 <= len(p) && plainASCII(binary.LittleEndian.Uint64(p[i:])) {
			i += 8
			continue
		}
		if p[i] < utf8.RuneSelf && p[i] != 0x7f {
			i++
			continue
		}
		r, n := utf8.DecodeRune(p[i:])
		if !unicode.IsPrint(r) {
			w.buf = append(w.buf, p[start:i]...)
			for _, u := range utf16.AppendRune(nil, r) {
				w.buf = append(w.buf, '\\', 'u')
				for shift := 12; shift >= 0; shift -= 4 {
					w.buf = append(w.buf, "0123456789abcdef"[u>>shift&0xf])
				}
			}
			start = i + n
		}
		i += n
	}
	if start == 0 {
		return w.w.Write(p)
	}
	w.buf = append(w.buf, p[start:]...)
	if _, err := w.w.Write(w.buf); err != nil {
		return 0, err
	}
	return len(p), nil
}

// plainASCII reports whether none of the eight bytes of w is 0x7f or above.
// encoding/json has escaped what is below 0x20, and with the high bits clear
// adding 1 sets one exactly where there is a 0x7f.
func plainASCII(w uint64) bool {
	const high, one = 0x8080808080808080, 0x0101010101010101
	return w&high == 0 && (w+one)&high == 0
}
