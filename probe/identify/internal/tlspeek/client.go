package tlspeek

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"net"
)

// Peer is what a server showed in its handshake.
type Peer struct {
	// Spoke reports that the server speaks TLS: it sent a ServerHello or an alert.
	Spoke bool
	// Version is the one the server chose, "TLS 1.3"; "" if it refused before.
	Version string
	// Certificate is the leaf in DER; nil if none was shown.
	Certificate []byte
	// Asked reports that the server asked for a certificate of the client's.
	Asked bool
}

// errCipher ends a handshake that went as far as this client can.
var errCipher = errors.New("tls: the server chose a cipher that is only recognised")

// Client goes inside TLS over c. What was seen of the server until then is
// returned beside an error as well. c is not closed, and its deadline is the
// caller's.
func Client(c net.Conn) (*Conn, Peer, error) {
	h := handshake{c: &Conn{Conn: c}}
	err := h.run()
	h.peer.Spoke = h.c.heard
	if err != nil {
		return nil, h.peer, err
	}
	return h.c, h.peer, nil
}

// A handshake is one in progress.
type handshake struct {
	c          *Conn
	peer       Peer
	keys       keys
	hello      serverHello
	transcript []byte // every message so far
	hash       func() hash.Hash
	keyLen     int
}

func (h *handshake) run() (err error) {
	if h.keys, err = newKeys(); err != nil {
		return err
	}
	first := clientHello(&h.keys)
	if _, err := h.c.Conn.Write(record(recordHandshake, tls10, first)); err != nil {
		return err
	}
	h.transcript = first
	body, err := h.expect(typeServerHello)
	if err != nil {
		h.c.heard = h.c.heard && isAlert(err)
		return err
	}
	if h.hello, err = parseServerHello(body); err != nil {
		h.c.heard = false
		return err
	}
	h.peer.Version = versionName(h.hello.version)
	switch h.hello.suite {
	case 0x1301, 0xc02b, 0xc02f:
		h.hash, h.keyLen = sha256.New, 16
	case 0x1302, 0xc02c, 0xc030:
		h.hash, h.keyLen = sha512.New384, 32
	}
	if h.hello.version == tls13 {
		return h.run13()
	}
	return h.run12()
}

func isAlert(err error) bool {
	var alert *AlertError
	return errors.As(err, &alert)
}

func versionName(v uint16) string {
	switch v {
	case 0x0300:
		return "SSL 3.0"
	default:
		return fmt.Sprintf("TLS 1.%d", v-tls10)
	}
}

// expect reads the next message and wants it to be of a kind.
func (h *handshake) expect(want byte) ([]byte, error) {
	kind, whole, body, err := h.c.message()
	if err != nil {
		return nil, err
	}
	if kind != want {
		return nil, errMalformed
	}
	h.transcript = append(h.transcript, whole...)
	return body, nil
}

// send seals a message.
func (h *handshake) send(m []byte) error {
	h.transcript = append(h.transcript, m...)
	_, err := h.c.Conn.Write(h.c.out.seal(recordHandshake, m))
	return err
}

func (h *handshake) sum() []byte {
	s := h.hash()
	s.Write(h.transcript)
	return s.Sum(nil)
}

// run13 is the rest of a handshake of TLS 1.3.
func (h *handshake) run13() error {
	private := h.keys.private(h.hello.group)
	if h.hello.retry || h.hash == nil || private == nil {
		return errCipher
	}
	shared, err := agree(private, h.hello.share)
	if err != nil {
		return err
	}
	// The key schedule, RFC 8446 section 7.1.
	zero := make([]byte, h.hash().Size())
	early, err := hkdf.Extract(h.hash, zero, nil)
	if err != nil {
		return err
	}
	secret, err := hkdf.Extract(h.hash, shared, h.derive(early, "derived", h.hash().Sum(nil)))
	if err != nil {
		return err
	}
	hello := h.sum()
	client, server := h.derive(secret, "c hs traffic", hello), h.derive(secret, "s hs traffic", hello)
	if h.c.in, err = h.half13(server); err != nil {
		return err
	}
	requested, context, err := h.flight13()
	if err != nil {
		return err
	}
	master, err := hkdf.Extract(h.hash, zero, h.derive(secret, "derived", h.hash().Sum(nil)))
	if err != nil {
		return err
	}
	flight := h.sum()
	if _, err := h.c.Conn.Write(record(recordChangeCipher, tls12, []byte{1})); err != nil {
		return err
	}
	if h.c.out, err = h.half13(client); err != nil {
		return err
	}
	if requested {
		// "No certificate": the context, and an empty list.
		body := append(append([]byte{byte(len(context))}, context...), 0, 0, 0)
		if err := h.send(message(typeCertificate, body)); err != nil {
			return err
		}
	}
	mac := hmac.New(h.hash, h.expand(client, "finished", nil, h.hash().Size()))
	mac.Write(h.sum())
	if err := h.send(message(typeFinished, mac.Sum(nil))); err != nil {
		return err
	}
	if h.c.in, err = h.half13(h.derive(master, "s ap traffic", flight)); err != nil {
		return err
	}
	h.c.out, err = h.half13(h.derive(master, "c ap traffic", flight))
	return err
}

// flight13 reads the server's messages up to Finished. That they can be read at
// all proves the keys.
func (h *handshake) flight13() (requested bool, context []byte, err error) {
	for {
		kind, whole, body, err := h.c.message()
		if err != nil {
			return false, nil, err
		}
		h.transcript = append(h.transcript, whole...)
		switch kind {
		case typeCertRequest:
			r := reader{b: body}
			context, requested = r.vector(1), true
			h.peer.Asked = true
			if r.bad {
				return false, nil, errMalformed
			}
		case typeCertificate:
			if h.peer.Certificate, err = leaf(body, tls13); err != nil {
				return false, nil, err
			}
		case typeFinished:
			return requested, context, nil
		}
	}
}

func agree(private *ecdh.PrivateKey, share []byte) ([]byte, error) {
	public, err := private.Curve().NewPublicKey(share)
	if err != nil {
		return nil, err
	}
	return private.ECDH(public)
}

// expand is HKDF-Expand-Label.
func (h *handshake) expand(secret []byte, label string, context []byte, length int) []byte {
	info := binary.BigEndian.AppendUint16(nil, uint16(length))
	info = append(info, byte(len(label)+6))
	info = append(info, "tls13 "+label...)
	info = append(info, byte(len(context)))
	out, err := hkdf.Expand(h.hash, secret, string(append(info, context...)), length)
	if err != nil {
		return make([]byte, length) // only for lengths that are never asked for
	}
	return out
}

// derive is Derive-Secret, of a transcript's hash.
func (h *handshake) derive(secret []byte, label string, transcript []byte) []byte {
	return h.expand(secret, label, transcript, h.hash().Size())
}

func (h *handshake) half13(secret []byte) (half, error) {
	aead, err := newGCM(h.expand(secret, "key", nil, h.keyLen))
	return half{aead: aead, iv: h.expand(secret, "iv", nil, 12), v13: true}, err
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
