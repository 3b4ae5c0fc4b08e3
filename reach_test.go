package monban

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

// TestAddrRange: prefixes are recognised, and the text form is read back.
func TestAddrRange(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.0-10.255.255.255":                    "10.0.0.0/8",
		"10.0.0.1-10.255.255.255":                    "10.0.0.1-10.255.255.255",
		"0.0.0.0-255.255.255.255":                    "0.0.0.0/0",
		"10.0.0.4-10.0.0.7":                          "10.0.0.4/30",
		"10.0.0.4-10.0.0.8":                          "10.0.0.4-10.0.0.8",
		"10.0.0.4":                                   "10.0.0.4",
		"2001:db8::-2001:db8::ffff":                  "2001:db8::/112",
		"2001:db8::/32":                              "2001:db8::/32",
		"2001:db8::1-2001:db8::ffff":                 "2001:db8::1-2001:db8::ffff",
		"127.255.255.255-128.0.0.0":                  "127.255.255.255-128.0.0.0",
		"::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": "::/0",
	} {
		var r AddrRange
		if err := r.UnmarshalText([]byte(text)); err != nil || r.String() != want {
			t.Errorf("%s: %s, %v; want %s", text, r, err, want)
		}
	}
	var r AddrRange
	if r.UnmarshalText([]byte("10.0.0.0-x")) == nil || r.UnmarshalText([]byte("")) == nil {
		t.Error("nonsense is a range")
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		var b [16]byte
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		p := netip.PrefixFrom(netip.AddrFrom16(b), rng.IntN(128)).Masked() // 128 is one address
		if got, ok := RangeOf(p).Prefix(); !ok || got != p {
			t.Fatalf("%s became %s", p, got)
		}
	}
}
