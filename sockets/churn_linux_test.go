package sockets

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban/internal/netnstest"
)

// TestChurn reads the tables while sockets come and go around 1,000 that stay,
// many of them in the same hash bucket. Whatever stays must be there each time,
// and nothing twice.
func TestChurn(t *testing.T) {
	ns := netnstest.New(t)
	stay := make(map[uint64]bool)
	ns.Do(func() {
		for i := range 1000 {
			stay[churnSocket(t, i, nil)] = true
		}
	})
	var stop atomic.Bool
	var wg sync.WaitGroup
	for g := range 2 {
		wg.Go(func() {
			ns.Do(func() {
				for i := 0; !stop.Load(); i++ {
					churnSocket(t, g+i, &stop)
				}
			})
		})
	}
	deadline := time.Now().Add(3 * time.Second)
	for n := 0; n < 100 && time.Now().Before(deadline) && !t.Failed(); n++ {
		doors, gaps := Doors(Options{NetNS: ns.Path()})
		noGaps(t, gaps)
		seen := make(map[uint64]bool, len(doors))
		stayed := 0
		for _, d := range doors {
			if seen[d.Inode] {
				t.Errorf("twice: %+v", d)
			}
			seen[d.Inode] = true
			if stay[d.Inode] {
				stayed++
			}
		}
		if stayed != len(stay) {
			t.Errorf("read %d: %d of %d that stay", n, stayed, len(stay))
		}
	}
	stop.Store(true)
	wg.Wait()
}

// churnSocket opens the i-th kind of socket and returns its inode. With stop it
// closes it again.
func churnSocket(t *testing.T, i int, stop *atomic.Bool) uint64 {
	typ, listen := unix.SOCK_STREAM, true
	switch i % 3 {
	case 0:
		typ, listen = unix.SOCK_DGRAM, false
	case 1:
		listen = false
	}
	fd, err := unix.Socket(unix.AF_INET, typ|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Error(err)
		return 0
	}
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 7000 + i%7}); err != nil {
		t.Error(fmt.Errorf("bind: %w", err))
	}
	if listen {
		if err := unix.Listen(fd, 1); err != nil {
			t.Error(fmt.Errorf("listen: %w", err))
		}
	}
	if stop != nil {
		unix.Close(fd)
		return 0
	}
	t.Cleanup(func() { unix.Close(fd) })
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		t.Error(err)
	}
	return st.Ino
}
