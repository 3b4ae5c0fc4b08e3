package identify_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/probe/identify"
)

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
			t.Parallel()
			target := serve(t, serveLines)
			id := &identify.Identifier{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, network, address)
				if err != nil {
					return nil, err
				}
				time.Sleep(300 * time.Millisecond)
				near, far := net.Pipe()
				go later(c, far)
				go later(far, c)
				return near, nil
			}}
			if s := ask(t, id, target); s.Protocol != want || s.Grade != monban.GradeIdentified {
				t.Errorf("got %+v", s)
			}
		})
	}
}

// later copies from one side of a line to the other, 150 ms late.
func later(to, from net.Conn) {
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
			line <- piece{buf[:n], time.Now().Add(150 * time.Millisecond)}
		}
		if err != nil {
			return
		}
	}
}
