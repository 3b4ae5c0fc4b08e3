package yaml

import (
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const bom = "\ufeff"

// decode returns the characters of a stream as UTF-8, without the byte order
// mark before them (section 5.2). UTF-16 is told by that mark: it is what
// redirection in Windows PowerShell 5 writes. UTF-32 is not read; nothing writes
// it.
func decode(data []byte) (string, *Error) {
	var order binary.ByteOrder
	switch {
	case len(data) >= 2 && data[0] == 0xfe && data[1] == 0xff:
		order = binary.BigEndian
	case len(data) >= 2 && data[0] == 0xff && data[1] == 0xfe:
		order = binary.LittleEndian
	default:
		text := strings.TrimPrefix(string(data), bom)
		return text, valid(text)
	}
	var b strings.Builder
	for data = data[2:]; len(data) >= 2; data = data[2:] {
		r := rune(order.Uint16(data))
		if utf16.IsSurrogate(r) {
			if data = data[2:]; len(data) >= 2 {
				r = utf16.DecodeRune(r, rune(order.Uint16(data)))
			}
			if utf16.IsSurrogate(r) || r == utf8.RuneError { // not the first of a pair
				return "", broken(b.String(), b.Len())
			}
		}
		b.WriteRune(r)
	}
	if len(data) > 0 {
		return "", broken(b.String(), b.Len())
	}
	return b.String(), valid(b.String())
}

// valid looks for a character that is not printable (section 5.1).
func valid(text string) *Error {
	for i := 0; i < len(text); {
		c := text[i]
		if c >= ' ' && c < 0x7f || c == '\n' || c == '\t' || c == '\r' {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size <= 1, r < 0xa0 && r != 0x85, r == 0xfffe, r == 0xffff:
			return broken(text, i)
		}
		i += size
	}
	return nil
}

// broken is the error of a character at an offset.
func broken(text string, at int) *Error {
	before := text[:at]
	return &Error{Problem: NotText, Line: strings.Count(before, "\n") + 1, Column: at - strings.LastIndexByte(before, '\n')}
}
