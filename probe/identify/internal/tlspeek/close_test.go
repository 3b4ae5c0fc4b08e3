package tlspeek_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/monban-dev/monban/probe/identify/internal/tlspeek"
)

// TestCloseWhileWriting closes a connection from another goroutine than the one
// that writes, as the end of a context does. The race detector is the judge.
func TestCloseWhileWriting(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{selfSigned(t, key, &key.PublicKey)}}
	for range 20 {
		client, server := net.Pipe()
		go func() {
			s := tls.Server(server, config)
			buf := make([]byte, 1<<14)
			for {
				if _, err := s.Read(buf); err != nil {
					s.Close()
					return
				}
			}
		}()
		if err := client.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		c, _, err := tlspeek.Client(client)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				if _, err := c.Write(make([]byte, 100)); err != nil {
					return
				}
			}
		}()
		c.Close()
		<-done
	}
}
