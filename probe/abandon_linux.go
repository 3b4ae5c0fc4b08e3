package probe

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// abandon closes packet sockets without waiting for it, if the kernel can do that,
// and returns false if it cannot.
//
// To close one takes a grace period of the kernel (net/packet/af_packet.c,
// packet_release), 12 to 32 ms with two idle processors: a tenth of the time of a scan
// of one host, and a program that ends waits for it too. But a descriptor that is on
// its way through a Unix socket which nobody can reach any more, because it waits in
// its own queue, is closed by the kernel, and since Linux 6.8 by a worker of its own
// (net/unix/garbage.c, unix_gc).
func abandon(kernel string, fds []int) bool {
	var major, minor int
	if n, _ := fmt.Sscanf(kernel, "%d.%d", &major, &minor); n < 2 || major < 6 || major == 6 && minor < 8 {
		return false
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	out, in := pair[0], pair[1]
	err = unix.Sendmsg(out, []byte{0}, unix.UnixRights(append([]int{in}, fds...)...), nil, 0)
	if err == nil {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
	unix.Close(in)
	unix.Close(out) // the collector looks when a Unix socket is closed
	return err == nil
}
