package tlspeek

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/binary"
	"errors"
)

// The protocol versions.
const (
	tls10 = 0x0301
	tls12 = 0x0303
	tls13 = 0x0304
)

// The handshake messages, RFC 8446 section 4 and RFC 5246 section 7.4.
const (
	typeClientHello       = 1
	typeServerHello       = 2
	typeNewSessionTicket  = 4
	typeCertificate       = 11
	typeServerKeyExchange = 12
	typeCertRequest       = 13
	typeServerHelloDone   = 14
	typeClientKeyExchange = 16
	typeFinished          = 20
)

// The extensions.
const (
	extGroups        = 10
	extPointFormats  = 11
	extSignatures    = 13
	extMasterSecret  = 23
	extVersions      = 43
	extKeyShare      = 51
	extRenegotiation = 0xff01
)

const (
	groupP256   = 23
	groupX25519 = 29
)

// offered lists the cipher suites, those that can be finished with first.
func offered() []uint16 {
	return []uint16{
		0x1301, 0x1302, // TLS 1.3 with AES-128-GCM-SHA256, AES-256-GCM-SHA384
		0xc02b, 0xc02f, 0xc02c, 0xc030, // ECDHE-ECDSA and -RSA with the same
		// Only to see the certificate: CBC, and RSA without ECDHE.
		0xc009, 0xc013, 0xc00a, 0xc014, 0xc023, 0xc027, 0x009c, 0x009d, 0x002f, 0x0035, 0x000a,
	}
}

// signatures lists what servers may sign with: nothing is verified, so all there
// is, down to SHA-1.
func signatures() []uint16 {
	return []uint16{0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0804, 0x0805, 0x0806, 0x0809, 0x080a, 0x080b, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201}
}

// keys are the client's for one connection.
type keys struct {
	random  [32]byte
	session [32]byte
	x25519  *ecdh.PrivateKey
	p256    *ecdh.PrivateKey
}

func newKeys() (k keys, err error) {
	// Since Go 1.24 rand.Read does not fail.
	_, _ = rand.Read(k.random[:])
	_, _ = rand.Read(k.session[:])
	if k.x25519, err = ecdh.X25519().GenerateKey(rand.Reader); err != nil {
		return k, err
	}
	k.p256, err = ecdh.P256().GenerateKey(rand.Reader)
	return k, err
}

// private returns the key of a group, or nil.
func (k *keys) private(group uint16) *ecdh.PrivateKey {
	switch group {
	case groupX25519:
		return k.x25519
	case groupP256:
		return k.p256
	}
	return nil
}

// clientHello is the message with its handshake header.
func clientHello(k *keys) []byte {
	body := binary.BigEndian.AppendUint16(nil, tls12)
	body = append(body, k.random[:]...)
	body = append(body, 32)
	body = append(body, k.session[:]...)
	body = vector16(body, words(offered()))
	body = append(body, 1, 0) // no compression
	var ext []byte
	ext = extension(ext, extGroups, vector16(nil, words([]uint16{groupX25519, groupP256})))
	ext = extension(ext, extPointFormats, []byte{1, 0})
	ext = extension(ext, extSignatures, vector16(nil, words(signatures())))
	ext = extension(ext, extMasterSecret, nil)
	ext = extension(ext, extRenegotiation, []byte{0})
	ext = extension(ext, extVersions, append([]byte{8}, words([]uint16{tls13, tls12, 0x0302, tls10})...))
	var shares []byte
	for _, group := range []uint16{groupX25519, groupP256} {
		shares = binary.BigEndian.AppendUint16(shares, group)
		shares = vector16(shares, k.private(group).PublicKey().Bytes())
	}
	ext = extension(ext, extKeyShare, vector16(nil, shares))
	return message(typeClientHello, vector16(body, ext))
}

// ClientHello is a first message as this package sends it, in its record.
func ClientHello() ([]byte, error) {
	k, err := newKeys()
	if err != nil {
		return nil, err
	}
	return record(recordHandshake, tls10, clientHello(&k)), nil
}

func words(list []uint16) (b []byte) {
	for _, w := range list {
		b = binary.BigEndian.AppendUint16(b, w)
	}
	return b
}

// vector16 appends bytes behind their length of 16 bits.
func vector16(b, data []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
	return append(b, data...)
}

func extension(b []byte, id uint16, data []byte) []byte {
	return vector16(binary.BigEndian.AppendUint16(b, id), data)
}

func message(kind byte, body []byte) []byte {
	return append([]byte{kind, byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, body...)
}

// errMalformed is a message of TLS that is none.
var errMalformed = errors.New("tls: malformed message")

// A reader takes a message apart. Its first error stays.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.b) {
		r.bad = true
		return nil
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}

// number takes n bytes as a number.
func (r *reader) number(n int) (v int) {
	for _, b := range r.take(n) {
		v = v<<8 | int(b)
	}
	return v
}

// vector takes bytes behind their length of n bytes.
func (r *reader) vector(n int) []byte { return r.take(r.number(n)) }

// serverHello is what matters of that message.
type serverHello struct {
	version      uint16
	random       []byte
	suite        uint16
	group        uint16 // of the server's share, in TLS 1.3
	share        []byte
	masterSecret bool // extended, RFC 7627
	retry        bool // a HelloRetryRequest
}

// retryRandom is SHA-256 of "HelloRetryRequest", RFC 8446 section 4.1.3.
const retryRandom = "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c"

func parseServerHello(body []byte) (serverHello, error) {
	r := reader{b: body}
	h := serverHello{version: uint16(r.number(2))}
	h.random = r.take(32)
	r.vector(1)
	h.suite = uint16(r.number(2))
	r.number(1)
	if len(r.b) > 0 {
		ext := reader{b: r.vector(2)}
		for len(ext.b) > 0 && !ext.bad {
			id, data := ext.number(2), reader{b: ext.vector(2)}
			switch id {
			case extVersions:
				h.version = uint16(data.number(2))
			case extMasterSecret:
				h.masterSecret = true
			case extKeyShare:
				h.group = uint16(data.number(2))
				if len(data.b) > 0 {
					h.share = data.vector(2)
				}
			}
			r.bad = r.bad || data.bad
		}
		r.bad = r.bad || ext.bad
	}
	if r.bad || h.version < 0x0300 || h.version > tls13 {
		return serverHello{}, errMalformed
	}
	h.retry = string(h.random) == retryRandom
	return h, nil
}

// leaf returns the first certificate of a Certificate message.
func leaf(body []byte, version uint16) ([]byte, error) {
	r := reader{b: body}
	if version == tls13 {
		r.vector(1) // the request's context
	}
	list := reader{b: r.vector(3)}
	der := list.vector(3)
	if r.bad || list.bad {
		return nil, errMalformed
	}
	return der, nil
}
