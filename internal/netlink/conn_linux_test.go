package netlink

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// TestReceive asks for the interfaces with too little room: the answer that is lost
// is known to be, and the next one fits.
func TestReceive(t *testing.T) {
	c, err := Dial(unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.buf = c.buf[:64:64]
	ask := func(seq uint32) (n int, err error) {
		request := append(AppendHeader(nil, unix.RTM_GETLINK, Request|Dump, seq, unix.SizeofIfInfomsg), make([]byte, unix.SizeofIfInfomsg)...)
		if err := c.Send(request); err != nil {
			return 0, err
		}
		for {
			b, err := c.Receive()
			if err != nil {
				return n, err
			}
			done, err := Answers(b, seq, func(uint16, []byte) error { n++; return nil })
			if done || err != nil {
				return n, err
			}
		}
	}
	lost := 0
	for seq := range uint32(10) {
		n, err := ask(seq + 1)
		switch {
		case errors.Is(err, ErrInterrupted):
			lost++
			if err := c.Again(); err != nil {
				t.Fatal(err)
			}
			continue
		case err != nil:
			t.Fatal(err)
		}
		if lost == 0 || n == 0 {
			t.Errorf("%d interfaces, after %d answers that were lost", n, lost)
		}
		return
	}
	t.Error("the answer never fits")
}
