package report

import (
	"net/netip"
	"testing"

	"github.com/monban-dev/monban"
)

// TestSourcesJoined: this machine's own addresses are no hole in what a rule lets
// in, and other holes stay.
func TestSourcesJoined(t *testing.T) {
	v := &view{Result: Result{Snapshot: &monban.Snapshot{Host: monban.Host{Interfaces: []monban.Interface{
		{Addrs: []netip.Prefix{netip.MustParsePrefix("10.9.0.1/24"), netip.MustParsePrefix("10.9.0.2/24"), netip.MustParsePrefix("fe80::1/64")}},
		{Addrs: []netip.Prefix{netip.MustParsePrefix("10.20.0.1/24")}}}}}}}
	for _, tt := range []struct {
		sources []string
		want    string
	}{
		{[]string{"10.0.0.0-10.9.0.0", "10.9.0.3-10.20.0.0", "10.20.0.2-10.255.255.255"}, "10.0.0.0/8"},
		{[]string{"10.9.0.0", "10.9.0.3-10.9.0.255"}, "10.9.0.0/24"},
		{[]string{"fe80::", "fe80::2-fe80::ffff:ffff:ffff:ffff"}, "fe80::/64"},
		{[]string{"10.9.0.0", "10.9.0.4"}, "10.9.0.0 10.9.0.4"},
		{[]string{"10.20.0.0", "10.20.0.3"}, "10.20.0.0 10.20.0.3"},
		{[]string{"10.8.0.0", "10.8.0.2"}, "10.8.0.0 10.8.0.2"},
		{[]string{"10.0.0.0/8"}, "10.0.0.0/8"},
	} {
		var sources []monban.AddrRange
		for _, s := range tt.sources {
			var r monban.AddrRange
			if err := r.UnmarshalText([]byte(s)); err != nil {
				t.Fatal(err)
			}
			sources = append(sources, r)
		}
		before := sources[0]
		if got := v.sourcesText(sources, 9); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.sources, got, tt.want)
		}
		if sources[0] != before {
			t.Errorf("%v: the sources themselves have changed", tt.sources)
		}
	}
}
