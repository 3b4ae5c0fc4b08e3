package identify_test

import (
	"context"
	"crypto/rand"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/probe/identify"
)

// serve answers every connection to a port of loopback with f, until the test
// ends.
func serve(t *testing.T, f func(c net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c)
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func ask(t *testing.T, id *identify.Identifier, target netip.AddrPort) monban.Service {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	s, err := id.Identify(ctx, target, monban.TCP)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestHostile wants of every server that does not play by rules: an end in
// time, and no name.
func TestHostile(t *testing.T) {
	const patience = 3 * time.Second // for what this machine says to itself, whatever else it does
	tests := map[string]struct {
		serve func(c net.Conn)
		want  string // the protocol; "" is unknown
	}{
		"echo":     {func(c net.Conn) { _, _ = io.Copy(c, c) }, "echo"},
		"silent":   {func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, ""},
		"hangs up": {func(net.Conn) {}, ""},
		"endless banner": {func(c net.Conn) {
			for {
				if _, err := c.Write([]byte("welcome to the machine ")); err != nil {
					return
				}
			}
		}, ""},
		"endless lines": {func(c net.Conn) {
			for {
				if _, err := c.Write([]byte("220-welcome\r\n")); err != nil {
					return
				}
			}
		}, ""},
		"random bytes": {func(c net.Conn) { _, _ = io.Copy(c, rand.Reader) }, ""},
		"drip": {func(c net.Conn) {
			for {
				if _, err := c.Write([]byte("2")); err != nil {
					return
				}
				time.Sleep(50 * time.Millisecond)
			}
		}, ""},
		"random answer": {func(c net.Conn) {
			buf := make([]byte, 4096)
			for {
				n, err := c.Read(buf)
				if err != nil {
					return
				}
				_, _ = rand.Read(buf[:n])
				if _, err := c.Write(buf[:n]); err != nil {
					return
				}
			}
		}, ""},
		"echo in capitals": {func(c net.Conn) {
			buf := make([]byte, 4096)
			for {
				n, err := c.Read(buf)
				if err != nil {
					return
				}
				if _, err := io.WriteString(c, strings.ToUpper(string(buf[:n]))); err != nil {
					return
				}
			}
		}, ""},
		"bait": {func(c net.Conn) {
			_, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
			_, _ = io.Copy(io.Discard, c)
		}, "likely ssh"},
		"HTTP 400 to everything": {func(c net.Conn) {
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
		}, "http"},
		"HTTP to all but HTTP": {func(c net.Conn) {
			buf := make([]byte, 4096)
			if n, _ := c.Read(buf); !strings.HasPrefix(string(buf[:n]), "GET ") {
				_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
				return
			}
			_, _ = c.Read(buf)
		}, "likely http"},
		"a GB": {func(c net.Conn) {
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
			_, _ = io.CopyN(c, rand.Reader, 1<<30)
		}, "http"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			s := ask(t, &identify.Identifier{Patience: patience}, serve(t, test.serve))
			got := s.Protocol
			if s.Grade == monban.GradeLikely {
				got = "likely " + got
			}
			if got != test.want || (s.Grade == monban.GradeUnknown) != (test.want == "") {
				t.Errorf("got %+v, want %q", s, test.want)
			}
			if d := time.Since(start); d > 5*time.Minute {
				t.Errorf("took %v", d)
			}
		})
	}
}

// TestSlowStart: the first byte comes after three seconds, in protocols of both
// kinds.
func TestSlowStart(t *testing.T) {
	slow := map[string]func(c net.Conn){
		"pop3": func(c net.Conn) {
			time.Sleep(3 * time.Second)
			_, _ = io.WriteString(c, "+OK ready\r\n")
			_, _ = c.Read(make([]byte, 100))
			_, _ = io.WriteString(c, "+OK\r\nUSER\r\n.\r\n")
			_, _ = c.Read(make([]byte, 100))
		},
		"http": func(c net.Conn) {
			_, _ = c.Read(make([]byte, 4096))
			time.Sleep(3 * time.Second)
			_, _ = io.WriteString(c, "HTTP/1.0 200 OK\r\nServer: slow/1.0\r\n\r\n")
		},
	}
	for want, f := range slow {
		t.Run(want, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				defer time.Sleep(time.Minute) // for what is under way still
				id := &identify.Identifier{Dial: wire(0, apart(f))}
				if s := ask(t, id, nowhere()); s.Protocol != want || s.Grade != monban.GradeIdentified {
					t.Errorf("got %+v", s)
				}
			})
		})
	}
}

// TestRefused: nothing was asked, and that is an error.
func TestRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := l.Addr().(*net.TCPAddr).AddrPort()
	l.Close()
	if s, err := new(identify.Identifier).Identify(t.Context(), target, monban.TCP); err == nil {
		t.Errorf("a closed port: %+v", s)
	}
}
