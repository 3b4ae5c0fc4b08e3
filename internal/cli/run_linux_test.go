package cli

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/monban-dev/monban/conflict"
	"github.com/monban-dev/monban/internal/report"
)

// TestRunNamesHolder: a message that names no port is about the one that the
// command was given, if somebody has that; a door that was opened since the
// command began may be its own.
func TestRunNamesHolder(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).AddrPort().Port()
	said := conflict.ReadComplaint("OSError: [Errno 98] Address already in use")
	if len(said) != 1 || said[0].HasPort {
		t.Fatalf("%+v", said)
	}
	for _, tt := range []struct {
		began time.Time
		named bool
	}{
		{time.Now().Add(time.Hour), true}, // this very process has it, and is older
		{time.Now().Add(-24 * time.Hour), false},
	} {
		r := &execution{app: &app{}, args: []string{"shop"}, began: tt.began, report: report.Run{Port: port}}
		r.explain(t.Context(), said)
		got := r.report.Explained[0]
		if got.HasPort != tt.named || tt.named && (got.Port != port || got.Addr != netip.IPv4Unspecified() || len(got.Against) != 1) {
			t.Errorf("began %v: %+v, want the port named: %v", tt.began, got, tt.named)
		}
	}
}
