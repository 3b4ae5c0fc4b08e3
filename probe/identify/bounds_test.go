package identify_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/probe/identify"
)

// certificate is one for a name, signed by itself.
func certificate(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestHostileTLS does the same inside TLS, and where TLS itself is hostile.
func TestHostileTLS(t *testing.T) {
	config := &tls.Config{Certificates: []tls.Certificate{certificate(t, "door.example")}}
	demanding := config.Clone()
	demanding.ClientAuth = tls.RequireAnyClientCert
	demanding12 := demanding.Clone()
	demanding12.MaxVersion = tls.VersionTLS12
	for name, test := range map[string]struct {
		config *tls.Config
		serve  func(c net.Conn)
		want   string
	}{
		"silent":                  {config, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, ""},
		"echo":                    {config, func(c net.Conn) { _, _ = io.Copy(c, c) }, "echo"},
		"random bytes":            {config, func(c net.Conn) { _, _ = io.Copy(c, rand.Reader) }, ""},
		"hangs up":                {config, func(net.Conn) {}, ""},
		"wants a certificate":     {demanding, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, ""},
		"wants a certificate 1.2": {demanding12, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			s := ask(t, &identify.Identifier{Patience: 3 * time.Second}, serve(t, func(raw net.Conn) {
				c := tls.Server(raw, test.config)
				if c.Handshake() == nil {
					test.serve(c)
					c.Close()
				}
			}))
			if s.Protocol != test.want || !s.TLS || s.Certificate.Subject != "CN=door.example" || len(s.Certificate.Names) != 1 {
				t.Errorf("got %+v, want %q", s, test.want)
			}
			if d := time.Since(start); d > 5*time.Minute {
				t.Errorf("took %v", d)
			}
		})
	}
}

// TestHostileUDP: for UDP too, nothing but an answer is one.
func TestHostileUDP(t *testing.T) {
	for name, test := range map[string]struct {
		answer func(asked []byte) []byte
		want   string
	}{
		"echo":   {func(asked []byte) []byte { return asked }, "echo"},
		"silent": {func([]byte) []byte { return nil }, ""},
		"random": {func(asked []byte) []byte {
			b := make([]byte, len(asked))
			_, _ = rand.Read(b)
			return b
		}, ""},
		"empty": {func([]byte) []byte { return []byte{} }, ""},
		"zeros": {func(asked []byte) []byte { return make([]byte, 2*len(asked)) }, ""},
		"bits":  {func(asked []byte) []byte { asked[2] |= 0x80; return append(asked, 0) }, ""}, // like a DNS response
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			go func() {
				buf := make([]byte, 4096)
				for {
					n, from, err := c.ReadFrom(buf)
					if err != nil {
						return
					}
					if answer := test.answer(append([]byte(nil), buf[:n]...)); answer != nil {
						_, _ = c.WriteTo(answer, from)
					}
				}
			}()
			id := &identify.Identifier{Patience: 3 * time.Second}
			s, err := id.Identify(t.Context(), c.LocalAddr().(*net.UDPAddr).AddrPort(), monban.UDP)
			if err != nil || s.Protocol != test.want {
				t.Errorf("got %+v, %v, want %q", s, err, test.want)
			}
		})
	}
}

// TestPerHost counts the connections that a host has at a time.
func TestPerHost(t *testing.T) {
	const bound = 5
	var now, most atomic.Int64
	var targets []netip.AddrPort
	for range 6 {
		targets = append(targets, serve(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }))
	}
	id := &identify.Identifier{PerHost: bound, Patience: 300 * time.Millisecond, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			now.Add(-1)
			return nil, err
		}
		return &counting{Conn: c, closed: sync.OnceFunc(func() { now.Add(-1) })}, nil
	}}
	var wg sync.WaitGroup
	for _, target := range targets {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			if s, err := id.Identify(ctx, target, monban.TCP); err != nil || s.Grade != monban.GradeUnknown {
				t.Errorf("got %+v, %v", s, err)
			}
		})
	}
	wg.Wait()
	if n := most.Load(); n > bound || n < 2 {
		t.Errorf("%d connections at a time, want at most %d", n, bound)
	}
	if n := now.Load(); n != 0 {
		t.Errorf("%d connections are left open", n)
	}
}

type counting struct {
	net.Conn
	closed func()
}

func (c *counting) Close() error {
	c.closed()
	return c.Conn.Close()
}

// TestPrinters wants nothing sent to the ports where printers print it: neither
// to a silent one, nor to one that greets like a mail server. Their neighbours
// are asked, so that nothing sent is no accident.
func TestPrinters(t *testing.T) {
	var wg sync.WaitGroup
	for port := uint16(9099); port <= 9108; port++ {
		printer := port >= 9100 && port <= 9107
		for _, greeting := range []string{"", "220 printer.example ESMTP\r\n"} {
			wg.Go(func() {
				var sent, dialed, ended atomic.Int64
				target := serve(t, func(c net.Conn) {
					_, _ = io.WriteString(c, greeting)
					n, _ := io.Copy(io.Discard, c)
					sent.Add(n)
					ended.Add(1)
				})
				id := &identify.Identifier{Patience: 8 * time.Second, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
					c, err := new(net.Dialer).DialContext(ctx, network, target.String())
					if err == nil {
						dialed.Add(1)
					}
					return c, err
				}}
				s, err := id.Identify(t.Context(), netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port), monban.TCP)
				for end := time.Now().Add(time.Minute); ended.Load() < dialed.Load(); time.Sleep(10 * time.Millisecond) {
					if time.Now().After(end) {
						t.Errorf("port %d: %d of %d connections are not closed", port, dialed.Load()-ended.Load(), dialed.Load())
						break
					}
				}
				switch {
				case err != nil:
					t.Errorf("port %d: %v", port, err)
				case printer && (sent.Load() != 0 || s.Grade == monban.GradeIdentified || (s.Protocol == "smtp") != (greeting != "")):
					t.Errorf("port %d, which says %q: %+v after %d bytes", port, greeting, s, sent.Load())
				case !printer && sent.Load() == 0:
					t.Errorf("port %d is not asked", port)
				}
			})
		}
		if printer {
			id := &identify.Identifier{ListenPacket: func(context.Context, string, string) (net.PacketConn, error) {
				t.Errorf("port %d/udp is asked", port)
				return nil, net.ErrClosed
			}}
			if s, err := id.Identify(t.Context(), netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port), monban.UDP); err != nil || s.Grade != monban.GradeUnknown {
				t.Errorf("port %d/udp: %+v, %v", port, s, err)
			}
		}
	}
	wg.Wait()
}

// TestReadBudget counts what is read of servers that do not stop talking, plain
// and inside TLS, as a greeting and as an answer: 64 KiB a connection, and what
// TLS and its certificate add.
func TestReadBudget(t *testing.T) {
	config := &tls.Config{Certificates: []tls.Certificate{certificate(t, "talks.example")}}
	talk := func(c net.Conn, head string) {
		_, _ = io.WriteString(c, head)
		line := []byte(strings.Repeat("x", 1000) + "\r\n")
		for {
			if _, err := c.Write(line); err != nil {
				return
			}
		}
	}
	const body = "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n"
	for name, say := range map[string]func(c net.Conn){
		"greeting": func(c net.Conn) { talk(c, "") },
		"mail":     func(c net.Conn) { talk(c, "220 talks.example ESMTP\r\n") },
		"answer": func(c net.Conn) {
			_, _ = c.Read(make([]byte, 4096))
			talk(c, body)
		},
		"answer inside TLS": func(raw net.Conn) {
			if c := tls.Server(raw, config); c.Handshake() == nil {
				_, _ = c.Read(make([]byte, 4096))
				talk(c, body)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := serve(t, say)
			var most atomic.Int64
			id := &identify.Identifier{Patience: 8 * time.Second, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, network, address)
				return &metered{Conn: c, most: &most}, err
			}}
			s := ask(t, id, target)
			if n := most.Load(); n > 80<<10 || n < 1<<10 {
				t.Errorf("%d bytes were read of one connection; %+v", n, s)
			}
		})
	}
}

// metered is a connection that counts what was read of it, and keeps the most.
type metered struct {
	net.Conn
	n    int64
	most *atomic.Int64
}

func (c *metered) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.n += int64(n)
	for m := c.most.Load(); c.n > m && !c.most.CompareAndSwap(m, c.n); m = c.most.Load() {
	}
	return n, err
}

// TestOneAtATime: a server that serves one connection after the other is asked
// again when the one that listened is closed: for what its port suggests, and at
// any port for HTTP and TLS.
func TestOneAtATime(t *testing.T) {
	config := &tls.Config{Certificates: []tls.Certificate{certificate(t, "one.example")}}
	web := func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\nServer: one/1\r\nConnection: close\r\n\r\n")
		}
	}
	for name, test := range map[string]struct {
		serve func(c net.Conn)
		port  uint16 // 0 is nobody's
		want  string
	}{
		"memcached": {func(c net.Conn) {
			for scan := bufio.NewScanner(c); scan.Scan(); {
				if scan.Text() == "version" {
					_, _ = io.WriteString(c, "VERSION 1.6.18\r\n")
				}
			}
		}, 11211, "memcached|memcached|1.6.18"},
		"http": {web, 0, "http|one|1"},
		"https": {func(raw net.Conn) {
			if c := tls.Server(raw, config); c.Handshake() == nil {
				web(c)
				c.Close()
			}
		}, 0, "http|one|1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				defer time.Sleep(time.Minute) // for what is under way still
				queue := make(chan net.Conn, 1000)
				defer close(queue)
				go func() {
					for c := range queue {
						test.serve(c)
						c.Close()
					}
				}()
				at := nowhere()
				if test.port != 0 {
					at = netip.AddrPortFrom(at.Addr(), test.port)
				}
				id := &identify.Identifier{Patience: 3 * time.Second, Dial: wire(0, func(c net.Conn) { queue <- c })}
				s := ask(t, id, at)
				if got := s.Protocol + "|" + s.Product + "|" + s.Version; got != test.want || s.TLS != (name == "https") {
					t.Errorf("got %+v, want %s", s, test.want)
				}
			})
		})
	}
}

// TestNoDescriptors: what this machine is short of is waited for, and is not the
// door's fault.
func TestNoDescriptors(t *testing.T) {
	target := serve(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 4096))
		_, _ = io.WriteString(c, "HTTP/1.0 204 No Content\r\nServer: short/1\r\n\r\n")
	})
	var dials atomic.Int64
	id := &identify.Identifier{Patience: 30 * time.Second, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		if dials.Add(1)%3 != 0 {
			return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("socket", syscall.EMFILE)}
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	if s := ask(t, id, target); s.Product != "short" {
		t.Errorf("got %+v after %d dials", s, dials.Load())
	}
}

// TestCancelled ends with its context, at once.
func TestCancelled(t *testing.T) {
	target := serve(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	id := &identify.Identifier{Patience: time.Hour}
	s, err := id.Identify(ctx, target, monban.TCP)
	if d := time.Since(start); d > time.Minute || s.Grade != monban.GradeUnknown {
		t.Errorf("%+v, %v after %v", s, err, d)
	}
}

// aByteAtATime reads as one who is faster than what comes in. It never gives up.
type aByteAtATime struct{ net.Conn }

func (c aByteAtATime) Read(b []byte) (int, error)      { return c.Conn.Read(b[:min(len(b), 1)]) }
func (c aByteAtATime) SetReadDeadline(time.Time) error { return nil }

// TestWholeEvidence: what a server says in pieces is evidence as far as it comes, and
// not its first letter.
func TestWholeEvidence(t *testing.T) {
	const banner = "Welcome to what nobody has ever heard of. It says so in its own words.\r\n"
	id := &identify.Identifier{Patience: 30 * time.Second, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		return aByteAtATime{c}, err
	}}
	s := ask(t, id, serve(t, func(c net.Conn) { _, _ = c.Write([]byte(banner)) }))
	if s.Protocol != "" || s.Evidence != banner {
		t.Errorf("got %+v", s)
	}
}
