package identify_test

import (
	"bufio"
	"context"
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

// wire returns what connects to a server that is not behind a network but behind
// pipes, each way of which takes some time. In a bubble of synctest nothing depends
// on how busy the machine is: the clock stands while anybody has something to do.
func wire(delay time.Duration, connected func(server net.Conn)) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		time.Sleep(2 * delay)
		near, a := net.Pipe()
		b, far := net.Pipe()
		go later(b, a, delay)
		go later(a, b, delay)
		connected(far)
		return near, nil
	}
}

// apart serves each connection by itself.
func apart(f func(c net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		go func() {
			defer c.Close()
			f(c)
		}()
	}
}

// TestFar asks servers behind a line with a round trip of 300 ms.
func TestFar(t *testing.T) {
	lines := func(greeting string, answers map[string]string) func(c net.Conn) {
		return func(c net.Conn) {
			_, _ = io.WriteString(c, greeting)
			scan := bufio.NewScanner(c)
			for scan.Scan() {
				answer, ok := answers[strings.TrimSpace(scan.Text())]
				if !ok {
					answer = "ERROR\r\n"
				}
				if _, err := io.WriteString(c, answer); err != nil {
					return
				}
			}
		}
	}
	for want, serveLines := range map[string]func(c net.Conn){
		"smtp":      lines("220 mail.example ESMTP\r\n", map[string]string{"EHLO monban.invalid": "250-mail.example\r\n250 SIZE\r\n"}),
		"memcached": lines("", map[string]string{"version": "VERSION 1.6.18\r\n"}),
		"redis":     lines("", map[string]string{"*1": "", "$4": "", "PING": "+PONG\r\n", "*2": "", "INFO": "", "$6": "", "server": "$6\r\n# Serv\r\n"}),
	} {
		t.Run(want, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				defer time.Sleep(time.Minute) // for what is under way still
				id := &identify.Identifier{Dial: wire(150*time.Millisecond, apart(serveLines))}
				if s := ask(t, id, nowhere()); s.Protocol != want || s.Grade != monban.GradeIdentified {
					t.Errorf("got %+v", s)
				}
			})
		})
	}
}

// nowhere is the address of a server behind pipes, at a port that suggests nothing.
func nowhere() netip.AddrPort { return netip.MustParseAddrPort("192.0.2.1:61234") }

// later copies from one side of a line to the other, with a delay.
func later(to, from net.Conn, delay time.Duration) {
	type piece struct {
		data []byte
		at   time.Time
	}
	line := make(chan piece, 1000)
	go func() {
		defer to.Close()
		for p := range line {
			time.Sleep(time.Until(p.at))
			if _, err := to.Write(p.data); err != nil {
				break
			}
		}
		for range line { // what is still under way is lost
		}
	}()
	defer close(line)
	for {
		buf := make([]byte, 4096)
		n, err := from.Read(buf)
		if n > 0 {
			line <- piece{buf[:n], time.Now().Add(delay)}
		}
		if err != nil {
			return
		}
	}
}
