//go:build unix

package move

import (
	"net/netip"
	"testing"

	"github.com/monban-dev/monban"
)

// TestBindable: sshd is not told to listen anew at an address that has gone.
func TestBindable(t *testing.T) {
	for addr, want := range map[string]bool{"0.0.0.0": true, "::": true, "127.0.0.1": true, "192.0.2.77": false, "fe80::1": true, "fe80::1%nowhere": false} {
		truth := Truth{Way: BySSHD, Binds: []monban.Bind{{Port: monban.Port{Num: 22, Proto: monban.TCP}, Addr: netip.MustParseAddr(addr)}}}
		if err := truth.bindable(); (err == nil) != want {
			t.Errorf("%s: %v", addr, err)
		}
	}
}
