package sockets

import (
	"context"
	"net"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
)

// TestReadShareOptions reads the options of sockets of this process, which may
// trace itself, and of nobody's.
func TestReadShareOptions(t *testing.T) {
	for _, want := range []struct{ addr, port int }{{0, 0}, {1, 0}, {0, 1}, {1, 1}} {
		lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) {
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, want.addr)
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, want.port)
			})
		}}
		lc.SetMultipathTCP(false)
		ln, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		file, err := ln.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			t.Fatal(err)
		}
		d := monban.Door{Inode: info.Sys().(*syscall.Stat_t).Ino, Owners: []monban.Owner{{PID: os.Getpid()}}}
		ReadShareOptions([]*monban.Door{&d})
		if d.Bind.ReuseAddr != monban.FlagOf(want.addr == 1) || d.Bind.ReusePort != monban.FlagOf(want.port == 1) {
			t.Errorf("SO_REUSEADDR %d, SO_REUSEPORT %d: read %v, %v", want.addr, want.port, d.Bind.ReuseAddr, d.Bind.ReusePort)
		}
	}
	for _, d := range []monban.Door{{Inode: 1, Owners: []monban.Owner{{PID: os.Getpid()}}}, {Inode: 7}, {Owners: []monban.Owner{{PID: 1 << 30}}, Inode: 7}} {
		ReadShareOptions([]*monban.Door{&d})
		if d.Bind.ReuseAddr != monban.FlagUnknown || d.Bind.ReusePort != monban.FlagUnknown {
			t.Errorf("options of nobody's socket: %+v", d.Bind)
		}
	}
}
