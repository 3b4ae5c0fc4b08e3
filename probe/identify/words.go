package identify

import (
	"bytes"
	"strings"
)

// begins tells how bytes that are still coming agree with how they have to
// begin.
func begins(said []byte, with string) match {
	n := min(len(said), len(with))
	switch {
	case string(said[:n]) != with[:n]:
		return no
	case n < len(with):
		return more
	default:
		return yes
	}
}

// firstLine returns the first line without its end, and no text that is not
// printable: a banner is for people. It is more while the line has no end and
// is not too long to be one.
func firstLine(said []byte) (string, match) {
	i := bytes.IndexByte(said, '\n')
	if i < 0 {
		if len(said) > 1024 || !printable(said) {
			return "", no
		}
		return "", more
	}
	line := bytes.TrimSuffix(said[:i], []byte("\r"))
	if len(line) > 1024 || !printable(line) {
		return "", no
	}
	return string(line), yes
}

// printable reports whether there are no control characters but tabs and the
// ends of lines. Bytes above ASCII may be UTF-8 or an older encoding.
func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' && c != '\r' && c != '\n' || c == 0x7f {
			return false
		}
	}
	return true
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

// versionAfter returns the word after name, if it looks like a version: it begins
// with a digit, after a "v" perhaps.
func versionAfter(text, name string) string {
	_, rest, ok := strings.Cut(text, name)
	if !ok {
		return ""
	}
	rest = strings.TrimLeft(rest, " /-_(")
	return leadingVersion(rest)
}

// leadingVersion returns the version that a text begins with, or "".
func leadingVersion(text string) string {
	text = strings.TrimPrefix(text, "v")
	if text == "" || !isDigit(text[0]) {
		return ""
	}
	end := strings.IndexFunc(text, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune(".-+_~:", r))
	})
	if end >= 0 {
		text = text[:end]
	}
	return strings.TrimRight(text, ".-+_~:")
}

// productSlashVersion reads "nginx/1.22.1 (Debian)".
func productSlashVersion(text string) (product, version string) {
	product, rest, ok := strings.Cut(text, "/")
	if !ok || strings.ContainsAny(product, " (") {
		product, rest, _ = strings.Cut(text, " ")
		return product, leadingVersion(rest)
	}
	return product, leadingVersion(rest)
}
