package report

import (
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

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

// TestUnreadRules: a policy made without the firewall's rules says so, in both
// languages, and one made with them does not.
func TestUnreadRules(t *testing.T) {
	for _, lang := range []Lang{EN, JA} {
		snap := &monban.Snapshot{}
		if got := ImportText(nil, Result{Snapshot: snap}, Style{Lang: lang}); strings.Contains(got, "sudo") {
			t.Error(got)
		}
		snap.Gaps = []monban.Gap{{Source: "nf_tables", Hides: monban.HidesRules}}
		if got := ImportText(nil, Result{Snapshot: snap}, Style{Lang: lang}); !strings.Contains(got, "sudo") || !strings.HasSuffix(got, "doors: []\ndefault: closed\n") {
			t.Error(got)
		}
	}
}

// TestAskedFromItself: a scan of this machine by this machine says that firewalls
// let loopback pass.
func TestAskedFromItself(t *testing.T) {
	for lang, word := range map[Lang]string{EN: "loopback", JA: "ループバック"} {
		for _, inside := range []bool{true, false} {
			var b strings.Builder
			if err := Write(&b, Result{Verb: "scan", Snapshot: &monban.Snapshot{}, Data: Scan{Inside: inside, Seen: slices.Values([]Seen(nil))}}, Style{Lang: lang}); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(b.String(), word) != inside {
				t.Errorf("inside %v: %s", inside, b.String())
			}
		}
	}
}

// TestLeaseErrorWords: what the system says of the file of leases is said in the
// reader's language.
func TestLeaseErrorWords(t *testing.T) {
	for _, err := range []error{LeasesUnreadable("leases", fs.ErrPermission), LeasesNotSaved("leases", &fs.PathError{Op: "mkdir", Path: "/x", Err: syscall.EACCES})} {
		var b strings.Builder
		WriteProblem(&b, err, JA)
		if text := b.String(); !strings.Contains(text, "アクセスが許可されていません") {
			t.Error(text)
		}
	}
}

// TestStatusOnTrial: while a first policy is on trial, nobody is told that monban
// keeps no door closed.
func TestStatusOnTrial(t *testing.T) {
	for lang, free := range map[Lang]string{EN: "keeps no door closed", JA: "どのドアも閉じていません"} {
		v := &view{Result: Result{Snapshot: &monban.Snapshot{}}, style: Style{Lang: lang}}
		for left, want := range map[time.Duration]bool{0: true, 5 * time.Second: false} {
			if text := v.guardOutcome(Guard{Outcome: GuardNoPolicy, State: GuardState{Left: left}}); strings.Contains(text, free) != want {
				t.Errorf("%v left: %s", left, text)
			}
		}
	}
}

// TestReachCounts: a TCP socket that does not listen is nobody's way in, a door
// that was not judged is unknown.
func TestReachCounts(t *testing.T) {
	door := func(proto monban.Proto, state monban.DoorState) entry {
		return entry{doors: []*monban.Door{{Bind: monban.Bind{Port: monban.Port{Num: 9, Proto: proto}}, State: state}}}
	}
	_, _, nobody, unknown := new(view).reachCounts([]entry{door(monban.TCP, monban.Bound), door(monban.UDP, monban.Bound), door(monban.TCP, monban.Listen)})
	if nobody != 1 || unknown != 2 {
		t.Errorf("nobody %d, unknown %d, want 1 and 2", nobody, unknown)
	}
}

// TestStoppedAnswering: the sentence says when, as far as it is known.
func TestStoppedAnswering(t *testing.T) {
	const host = "10.0.0.9"
	for _, tt := range []struct {
		last   *LastAnswer
		en, ja string
	}{
		{nil, "stopped answering during the scan", "スキャンの途中で"},
		{&LastAnswer{Seconds: 1.5}, "stopped answering 1.50 s into the scan:", "スキャン開始から 1.50 秒後を最後に"},
		{&LastAnswer{Seconds: 1.5, Probes: 812}, "1.50 s into the scan, when 812 probes had been sent:", "1.50 秒後、プローブを 812 個送ったところを最後に"},
	} {
		for lang, want := range map[Lang]string{EN: tt.en, JA: tt.ja} {
			v := &view{Result: Result{Data: Scan{Stopped: map[string]*LastAnswer{host: tt.last}}}, style: Style{Lang: lang}}
			got := v.sightingsGap(monban.Gap{Source: host, Err: "stopped answering", Count: 7})
			if !strings.Contains(got, want) || !strings.Contains(got, "7") || strings.Contains(got, "%!") {
				t.Errorf("%s", got)
			}
		}
	}
}

// TestAllButLinkLocal: a link answers its own neighbours' link-local addresses only,
// and whoever lacks no others is everyone in words.
func TestAllButLinkLocal(t *testing.T) {
	span := func(first, last string) monban.AddrRange {
		return monban.AddrRange{First: netip.MustParseAddr(first), Last: netip.MustParseAddr(last)}
	}
	low, high := span("::2", "::fffe:ffff:ffff"), span("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
	for _, tt := range []struct {
		name    string
		sources []monban.AddrRange
		want    bool
	}{
		{"with the own link", []monban.AddrRange{low, span("::1:0:0:0", "fe80::ffff:ffff:ffff:ffff"), high}, true},
		{"without it", []monban.AddrRange{low, span("::1:0:0:0", "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), high}, true},
		{"a network is missing", []monban.AddrRange{low, span("::1:0:0:0", "2001:db8::"), span("2001:db9::", "fe80::ffff:ffff:ffff:ffff"), high}, false},
		{"private networks are missing", []monban.AddrRange{low, span("::1:0:0:0", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), span("fe80::", "fe80::ffff:ffff:ffff:ffff"), high}, false},
		{"the first are missing", []monban.AddrRange{span("2000::", "fe80::ffff:ffff:ffff:ffff"), high}, false},
		{"the last are missing", []monban.AddrRange{low, span("::1:0:0:0", "fe80::ffff:ffff:ffff:ffff")}, false},
		{"the own link alone", []monban.AddrRange{span("fe80::", "fe80::ffff:ffff:ffff:ffff")}, false},
		{"nobody", nil, false},
	} {
		if got := allButLinkLocal(tt.sources); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}
