package firewall

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban/internal/netlink"
)

func origin(from, to netip.AddrPort) (client, knocked netip.AddrPort, err error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER)
	if err != nil {
		return client, knocked, err
	}
	defer c.Close()
	const seq = 1
	if err := c.Send(appendOrigin(nil, seq, from, to)); err != nil {
		return client, knocked, err
	}
	for found := false; !found; {
		b, err := c.Receive()
		if err != nil {
			return client, knocked, err
		}
		done, err := netlink.Answers(b, seq, func(typ uint16, body []byte) (err error) {
			found = typ == newConnection
			if found {
				client, knocked, err = parseOrigin(body)
			}
			return err
		})
		switch {
		case err != nil:
			return client, knocked, err
		case done && !found:
			return client, knocked, errors.New("no answer about a connection")
		}
	}
	return client, knocked, nil
}
