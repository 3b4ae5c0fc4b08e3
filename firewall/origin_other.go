//go:build !linux

package firewall

import (
	"errors"
	"net/netip"
)

func origin(netip.AddrPort, netip.AddrPort) (client, knocked netip.AddrPort, err error) {
	return client, knocked, errors.ErrUnsupported
}
