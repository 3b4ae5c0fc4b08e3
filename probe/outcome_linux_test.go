package probe_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/monban-dev/monban/probe"
)

// TestResetAfterAccept looks at doors that say yes and reset the connection as soon
// as it stands, as a listener does whose queue is full and that says so
// (net.ipv4.tcp_abort_on_overflow), or a program that does not like the address. The
// reset is there before anybody has looked at the socket. A closed door resets the
// SYN, and that is another error: ECONNREFUSED.
func TestResetAfterAccept(t *testing.T) {
	p := newPair(t)
	want := p.listen(t, 20)
	p.rules(t, "table inet t { chain c { type filter hook input priority 0; tcp flags & (syn|rst|ack) == ack reject with tcp reset\n}\n}\n")
	for _, engine := range []probe.Engine{probe.Connect, probe.Raw} {
		r := scan(t, p.near, probe.Question{TCP: want, Engine: engine}, "10.77.0.2", "fd77::2")
		if d := cmp.Diff(append(slices.Clone(want), want...), openPorts(r)); d != "" {
			t.Errorf("%v (-want +got):\n%s", engine, d)
		}
	}
}
