package tlspeek

import (
	"crypto/hmac"
)

// run12 is the rest of a handshake of TLS 1.2, RFC 5246 section 7.3 with RFC
// 8422. An older one gets as far as the certificate.
func (h *handshake) run12() error {
	var group uint16
	var share []byte
	for done := false; !done; {
		kind, whole, body, err := h.c.message()
		if err != nil {
			return err
		}
		h.transcript = append(h.transcript, whole...)
		switch kind {
		case typeCertificate:
			if h.peer.Certificate, err = leaf(body, tls12); err != nil {
				return err
			}
		case typeServerKeyExchange:
			r := reader{b: body}
			if r.number(1) == 3 { // a named curve
				group, share = uint16(r.number(2)), r.vector(1)
			}
		case typeCertRequest:
			h.peer.Asked = true
		case typeServerHelloDone:
			done = true
		}
	}
	private := h.keys.private(group)
	if h.hello.version != tls12 || h.hash == nil || private == nil {
		return errCipher
	}
	shared, err := agree(private, share)
	if err != nil {
		return err
	}
	if h.peer.Asked {
		if err := h.send(message(typeCertificate, []byte{0, 0, 0})); err != nil {
			return err
		}
	}
	public := private.PublicKey().Bytes()
	if err := h.send(message(typeClientKeyExchange, append([]byte{byte(len(public))}, public...))); err != nil {
		return err
	}
	client, server := h.keys.random[:], h.hello.random
	var master []byte
	if h.hello.masterSecret {
		master = h.prf(shared, "extended master secret", h.sum(), 48)
	} else {
		master = h.prf(shared, "master secret", append(append([]byte(nil), client...), server...), 48)
	}
	block := reader{b: h.prf(master, "key expansion", append(append([]byte(nil), server...), client...), 2*h.keyLen+8)}
	clientKey, serverKey := block.take(h.keyLen), block.take(h.keyLen)
	clientIV, serverIV := block.take(4), block.take(4)
	if _, err := h.c.Conn.Write(record(recordChangeCipher, tls12, []byte{1})); err != nil {
		return err
	}
	h.c.out.iv = clientIV
	if h.c.out.aead, err = newGCM(clientKey); err != nil {
		return err
	}
	if err := h.send(message(typeFinished, h.prf(master, "client finished", h.sum(), 12))); err != nil {
		return err
	}
	return h.finish12(serverKey, serverIV)
}

// finish12 reads the server's last messages: a ticket perhaps, in clear, then
// the change to its keys and Finished.
func (h *handshake) finish12(key, iv []byte) (err error) {
	for {
		kind, data, err := h.c.next()
		if err != nil {
			return err
		}
		if kind == recordChangeCipher {
			break
		}
		if h.c.flight += len(data); kind != recordHandshake || h.c.flight > maxFlight {
			return errMalformed
		}
	}
	h.c.in.iv = iv
	if h.c.in.aead, err = newGCM(key); err != nil {
		return err
	}
	_, err = h.expect(typeFinished)
	return err
}

// prf is the pseudorandom function of RFC 5246 section 5.
func (h *handshake) prf(secret []byte, label string, seed []byte, length int) (out []byte) {
	seed = append([]byte(label), seed...)
	a := seed
	for len(out) < length {
		a = h.mac(secret, a)
		out = append(out, h.mac(secret, append(append([]byte(nil), a...), seed...))...)
	}
	return out[:length]
}

func (h *handshake) mac(key, data []byte) []byte {
	m := hmac.New(h.hash, key)
	m.Write(data)
	return m.Sum(nil)
}
