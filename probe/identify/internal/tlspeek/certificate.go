package tlspeek

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/monban-dev/monban"
)

// The DER tags that a certificate needs: X.690, RFC 5280.
const (
	tagOID         = 0x06
	tagUTF8        = 0x0c
	tagPrintable   = 0x13
	tagTeletex     = 0x14
	tagIA5         = 0x16
	tagUTCTime     = 0x17
	tagGeneralTime = 0x18
	tagBMP         = 0x1e
	tagSequence    = 0x30
	tagSet         = 0x31
)

var errCertificate = errors.New("malformed certificate")

// Leaf reads what people want to know of a certificate in DER, RFC 5280 section
// 4.1. It is not verified.
func Leaf(der []byte) (monban.Certificate, error) {
	outer := reader{b: der}
	_, cert := outer.element(tagSequence)
	_, tbs := cert.element(tagSequence)
	if tbs.peek() == 0xa0 {
		tbs.element(0xa0) // version
	}
	tbs.element(0x02) // serial number
	tbs.element(tagSequence)
	_, issuer := tbs.element(tagSequence)
	_, validity := tbs.element(tagSequence)
	_, subject := tbs.element(tagSequence)
	tbs.element(tagSequence) // public key
	if outer.bad || cert.bad || tbs.bad {
		return monban.Certificate{}, errCertificate
	}
	validity.any()
	kind, _, end := validity.any()
	c := monban.Certificate{}
	var err error
	if c.NotAfter, err = parseTime(kind, string(end.b)); err != nil {
		return monban.Certificate{}, errCertificate
	}
	if c.Issuer, err = name(issuer); err != nil {
		return monban.Certificate{}, err
	}
	if c.Subject, err = name(subject); err != nil {
		return monban.Certificate{}, err
	}
	for len(tbs.b) > 0 && !tbs.bad {
		if tag, _, content := tbs.any(); tag == 0xa3 {
			_, list := content.element(tagSequence)
			c.Names = alternatives(list)
		}
	}
	return c, nil
}

// any takes the next element of DER.
func (r *reader) any() (tag byte, whole []byte, content reader) {
	start := r.b
	tag = byte(r.number(1))
	length := r.number(1)
	if length >= 0x80 {
		n := length & 0x7f
		if n == 0 || n > 3 {
			r.bad = true
		}
		length = r.number(n)
	}
	content.b = r.take(length)
	if r.bad {
		return 0, nil, reader{bad: true}
	}
	return tag, start[:len(start)-len(r.b)], content
}

func (r *reader) element(want byte) (whole []byte, content reader) {
	tag, whole, content := r.any()
	if tag != want {
		r.bad = true
		return nil, reader{bad: true}
	}
	return whole, content
}

func (r *reader) peek() byte {
	if len(r.b) == 0 {
		return 0
	}
	return r.b[0]
}

func parseTime(tag byte, text string) (time.Time, error) {
	switch tag {
	case tagUTCTime:
		t, err := time.Parse("060102150405Z", text)
		if err == nil && t.Year() >= 2050 { // RFC 5280 section 4.1.2.5.1
			t = t.AddDate(-100, 0, 0)
		}
		return t, err
	case tagGeneralTime:
		return time.Parse("20060102150405Z", text)
	}
	return time.Time{}, errCertificate
}

// name writes a distinguished name as RFC 4514 does: the most specific part
// first.
func name(n reader) (string, error) {
	var parts []string
	for len(n.b) > 0 && !n.bad {
		_, set := n.element(tagSet)
		var values []string
		for len(set.b) > 0 && !set.bad {
			_, pair := set.element(tagSequence)
			_, id := pair.element(tagOID)
			tag, whole, value := pair.any()
			if pair.bad || id.bad {
				return "", errCertificate
			}
			values = append(values, attribute(oid(id.b), tag, value.b, whole))
		}
		if set.bad {
			return "", errCertificate
		}
		parts = append(parts, strings.Join(values, "+"))
	}
	if n.bad {
		return "", errCertificate
	}
	slices.Reverse(parts)
	return strings.Join(parts, ","), nil
}

// attribute is one "CN=example": RFC 4514 section 2.3 and 2.4.
func attribute(id string, tag byte, value, whole []byte) string {
	short := ""
	switch id {
	case "2.5.4.3":
		short = "CN"
	case "2.5.4.5":
		short = "SERIALNUMBER"
	case "2.5.4.6":
		short = "C"
	case "2.5.4.7":
		short = "L"
	case "2.5.4.8":
		short = "ST"
	case "2.5.4.9":
		short = "STREET"
	case "2.5.4.10":
		short = "O"
	case "2.5.4.11":
		short = "OU"
	case "2.5.4.17":
		short = "POSTALCODE"
	case "0.9.2342.19200300.100.1.25":
		short = "DC"
	case "0.9.2342.19200300.100.1.1":
		short = "UID"
	}
	text, ok := asText(tag, value)
	if short == "" || !ok {
		if short == "" {
			short = id
		}
		return short + "=#" + hex.EncodeToString(whole)
	}
	return short + "=" + escape(text)
}

func asText(tag byte, value []byte) (string, bool) {
	switch tag {
	case tagUTF8, tagPrintable, tagIA5, tagTeletex:
		return string(value), utf8.Valid(value)
	case tagBMP:
		if len(value)%2 != 0 {
			return "", false
		}
		units := make([]uint16, len(value)/2)
		for i := range units {
			units[i] = uint16(value[2*i])<<8 | uint16(value[2*i+1])
		}
		return string(utf16.Decode(units)), true
	}
	return "", false
}

func escape(text string) string {
	var b strings.Builder
	for i, r := range text {
		switch {
		case strings.ContainsRune(`,+"\<>;`, r),
			r == '#' && i == 0,
			r == ' ' && (i == 0 || i == len(text)-1):
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == 0:
			b.WriteString(`\00`)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// oid writes an object identifier with dots.
func oid(b []byte) string {
	var parts []string
	var value int64
	for _, c := range b {
		value = value<<7 | int64(c&0x7f)
		if c&0x80 != 0 {
			if value > 1<<40 {
				return ""
			}
			continue
		}
		if len(parts) == 0 {
			first := min(value/40, 2)
			parts = append(parts, strconv.FormatInt(first, 10), strconv.FormatInt(value-40*first, 10))
		} else {
			parts = append(parts, strconv.FormatInt(value, 10))
		}
		value = 0
	}
	return strings.Join(parts, ".")
}

// alternatives lists the names and addresses of the extension subjectAltName,
// RFC 5280 section 4.2.1.6.
func alternatives(extensions reader) (names []string) {
	for len(extensions.b) > 0 && !extensions.bad {
		_, ext := extensions.element(tagSequence)
		_, id := ext.element(tagOID)
		if oid(id.b) != "2.5.29.17" {
			continue
		}
		if ext.peek() == 0x01 {
			ext.any() // critical
		}
		_, octets := ext.element(0x04)
		_, list := octets.element(tagSequence)
		for len(list.b) > 0 && !list.bad {
			switch tag, _, content := list.any(); tag {
			case 0x81, 0x82, 0x86: // mail, DNS, URI
				names = append(names, string(content.b))
			case 0x87:
				if a, ok := netip.AddrFromSlice(content.b); ok {
					names = append(names, a.String())
				}
			}
		}
	}
	return names
}
