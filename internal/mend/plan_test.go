package mend

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/conflict"
)

// world is a handful of files in which "NAME PORT" asks for a port and
// "=NAME PORT" is a place that has to agree with it.
type world struct {
	files map[string]Source
	snap  monban.Snapshot
	// reread changes what is read from the edited files.
	reread func([]monban.Claim, []monban.Gap) ([]monban.Claim, []monban.Gap)
	leased map[uint16]bool
}

func newWorld(files map[string]string) *world {
	w := &world{files: map[string]Source{}, leased: map[uint16]bool{}}
	for name, text := range files {
		w.files[name] = Source{Path: "/" + name, Data: []byte(text)}
	}
	w.snap.Host = monban.Host{OS: "linux", Ephemeral: monban.PortRange{First: 32768, Last: 60999}, Unprivileged: 1024, BindV6Only: monban.Off, IPv6: monban.On,
		NonlocalBind4: monban.Off, NonlocalBind6: monban.Off, Caps: monban.Caps{BindService: monban.On}}
	w.snap.TrafficOf = []monban.PortRange{{First: 0, Last: 65535}}
	return w
}

// read is the reader of the little language.
func (w *world) read(edited map[string][]byte) ([]monban.Claim, []monban.Gap) {
	var claims []monban.Claim
	agree := map[string][]monban.Pos{}
	names := make([]string, 0, len(w.files))
	for name := range w.files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		data := w.files[name].Data
		if e, ok := edited[w.files[name].Path]; ok {
			data = e
		}
		for i, line := range strings.Split(string(data), "\n") {
			who, num, ok := strings.Cut(line, " ")
			if !ok {
				continue
			}
			pos := monban.Pos{File: name, Line: i + 1, Col: len(who) + 2, Len: len(num)}
			if mention, ok := strings.CutPrefix(who, "="); ok {
				agree[mention+num] = append(agree[mention+num], pos)
				continue
			}
			n, _ := strconv.Atoi(num)
			claims = append(claims, monban.Claim{Name: who, By: who, Listen: true, UID: -1, Pos: pos, Program: monban.Program{Exes: []string{who}},
				Bind: monban.Bind{Port: monban.Port{Num: uint16(n), Proto: monban.TCP}, Addr: netip.IPv4Unspecified(), V6Only: monban.Off, ReuseAddr: monban.On, ReusePort: monban.Off}})
		}
	}
	for i := range claims {
		claims[i].Agree = agree[claims[i].By+strconv.Itoa(int(claims[i].Bind.Port.Num))]
	}
	return claims, nil
}

func (w *world) plan() *Plan {
	claims, gaps := w.read(nil)
	q := &Question{Claims: claims, Gaps: gaps, Snapshot: &w.snap,
		File: func(name string) Source { return w.files[name] },
		Read: func(edited map[string][]byte) ([]monban.Claim, []monban.Gap) {
			claims, gaps := w.read(edited)
			if w.reread != nil {
				return w.reread(claims, gaps)
			}
			return claims, gaps
		},
		Numbers: Numbers{Chooser: conflict.NewChooser(&w.snap, claims), Host: &w.snap.Host, Leased: func(n uint16) bool { return w.leased[n] },
			Home: func(*monban.Claim) (uint16, uint32) { return 0, 7 }},
	}
	return Make(q)
}

// String says what a plan does in a line.
func (p *Plan) String() string {
	var out []string
	for _, m := range p.Moves {
		text := fmt.Sprintf("%s %d>%d %s", p.Before[m.Claims[0]].Claim.Name, m.From, m.To, m.Reason)
		if m.Leased {
			text += " leased"
		}
		for _, pos := range m.Stay {
			text += " stay " + pos.String()
		}
		out = append(out, text)
	}
	for _, l := range p.Left {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s left %s %s", p.Before[l.Claim].Claim.Name, l.Obstacle, l.File)))
	}
	return strings.Join(out, "; ")
}

func (w *world) set(name string, change func(*Source)) *world {
	src := w.files[name]
	change(&src)
	w.files[name] = src
	return w
}

func door(port uint16, name string) monban.Door {
	return monban.Door{Bind: monban.Bind{Port: monban.Port{Num: port, Proto: monban.TCP}, Addr: netip.IPv4Unspecified(), V6Only: monban.Off}, State: monban.Listen,
		Inode: uint64(port), Owners: []monban.Owner{{PID: 100, Name: name, Exe: "/usr/bin/" + name, Command: []string{name}}}}
}

func TestWhichSideMoves(t *testing.T) {
	two := map[string]string{"1": "web 80\n", "2": "app 80\n=app 80\n"}
	for name, c := range map[string]struct {
		w    *world
		want string
	}{
		"nothing":         {newWorld(map[string]string{"1": "web 80\n", "2": "app 81\n"}), ""},
		"the later":       {newWorld(two), "app 80>8080 starts-later"},
		"the asker's own": {newWorld(two).set("1", func(s *Source) { s.Own = true }), "web 80>8080 own-files"},
		"both own": {newWorld(two).set("1", func(s *Source) { s.Own = true }).set("2", func(s *Source) { s.Own = true }),
			"app 80>8080 starts-later"},
		"the editable":     {newWorld(two).set("2", func(s *Source) { s.Obstacle = "hard-link" }), "web 80>8080 only-editable"},
		"the other":        {newWorld(two).set("1", func(s *Source) { s.Obstacle = "read-only"; s.Own = true }), "app 80>8080 only-editable"},
		"none is editable": {newWorld(two).set("1", func(s *Source) { s.Obstacle = "read-only" }).set("2", func(s *Source) { s.Obstacle = "hard-link" }), "app left hard-link 2"},
		"generated":        {newWorld(map[string]string{"1": "# do not edit\nweb 80\n", "2": "# Do not edit.\napp 80\n"}), "app left generated 2"},
		"three": {newWorld(map[string]string{"1": "web 80\n", "2": "app 80\n", "3": "api 80\n"}),
			"app 80>8080 starts-later; api 80>61007 starts-later leased"},
		"no custom":     {newWorld(map[string]string{"1": "web 7100\n", "2": "app 7100\n"}), "app 7100>61007 starts-later leased"},
		"custom leased": {func() *world { w := newWorld(two); w.leased[8080] = true; w.leased[61007] = true; return w }(), "app 80>61008 starts-later leased"},
		"custom open":   {func() *world { w := newWorld(two); w.snap.Doors = append(w.snap.Doors, door(8080, "x")); return w }(), "app 80>61007 starts-later leased"},
		"custom claimed": {newWorld(map[string]string{"1": "web 80\n", "2": "app 80\n", "3": "api 8080\n"}),
			"app 80>61007 starts-later leased"},
		"custom reserved": {func() *world {
			w := newWorld(two)
			w.snap.Host.Reserved = []monban.PortRange{{First: 8080, Last: 8080}}
			return w
		}(), "app 80>61007 starts-later leased"},
		"custom lent": {func() *world {
			w := newWorld(two)
			w.snap.Host.Ephemeral = monban.PortRange{First: 8000, Last: 60999}
			return w
		}(), "app 80>61007 starts-later leased"},
		"who runs stays": {func() *world { w := newWorld(two); w.snap.Doors = append(w.snap.Doors, door(80, "stranger")); return w }(),
			"web 80>8080 holder-runs; app 80>61007 holder-runs leased"},
		"no right": {func() *world {
			w := newWorld(map[string]string{"1": "web 80\n"})
			w.snap.Host.UID, w.snap.Host.Caps.BindService = 1000, monban.Off
			return w
		}(), "web 80>8080 needs-right"},
		"ssh stays":               {newWorld(map[string]string{"1": "app 22\n", "2": "sshd 22\n"}), "app 22>2222 only-editable"},
		"DNS stays":               {newWorld(map[string]string{"1": "a 53\n", "2": "b 53\n"}), "b left expected 2"},
		"a port of nodes":         {newWorld(map[string]string{"1": "a 30080\n", "2": "kubernetes 30080\n"}), "kubernetes 30080>30007 starts-later leased"},
		"another's mention stays": {newWorld(map[string]string{"1": "db 3306\n", "2": "x 3306\n", "3": "=db 3306\n=x 3306\n"}), "x 3306>3307 starts-later"},
	} {
		if got := c.w.plan().String(); got != c.want {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
	}
}

// TestSharedPlaceStays: where a client's setting could mean either of two
// databases, it goes on to mean the one that stays.
func TestSharedPlaceStays(t *testing.T) {
	client := monban.Pos{File: "client", Line: 1, Col: 6, Len: 4}
	one := monban.Claim{By: "db", Name: "db", Program: monban.Program{Config: "/a"}, Pos: monban.Pos{File: "a", Line: 1, Col: 4, Len: 4},
		Bind: monban.Bind{Port: monban.Port{Num: 3306, Proto: monban.TCP}}, Agree: []monban.Pos{client, {File: "a", Line: 9, Col: 1, Len: 4}}}
	two := one
	two.Program.Config, two.Pos.File = "/b", "b"
	move, stay := sidesOf([]monban.Claim{one, two}).places(sideOf(&two))
	if len(move) != 1 || move[0].File != "b" || len(stay) != 2 {
		t.Errorf("move %v, stay %v", move, stay)
	}
	// What stands in a program's own file is about that program.
	move, stay = sidesOf([]monban.Claim{one, two}).places(sideOf(&one))
	if len(move) != 2 || move[1].Line != 9 || len(stay) != 1 || stay[0] != client {
		t.Errorf("move %v, stay %v", move, stay)
	}
}

// TestProof spoils what is read from the edited files in every way: no plan may
// rely on an edit that did not do what it should.
func TestProof(t *testing.T) {
	type reread = func([]monban.Claim, []monban.Gap) ([]monban.Claim, []monban.Gap)
	moved := func(claims []monban.Claim, name string) int {
		return slices.IndexFunc(claims, func(c monban.Claim) bool { return c.Name == name && c.Bind.Port.Num != 80 })
	}
	for name, c := range map[string]struct {
		spoil reread
		want  string
	}{
		"no effect": {func(claims []monban.Claim, gaps []monban.Gap) ([]monban.Claim, []monban.Gap) {
			if i := moved(claims, "app"); i >= 0 {
				claims[i].Bind.Port.Num = 80
			}
			return claims, gaps
		}, "web 80>8080 only-editable"},
		"another address": {func(claims []monban.Claim, gaps []monban.Gap) ([]monban.Claim, []monban.Gap) {
			if i := moved(claims, "app"); i >= 0 {
				claims[i].Bind.Addr = netip.MustParseAddr("127.0.0.1")
			}
			return claims, gaps
		}, "web 80>8080 only-editable"},
		"another option": {func(claims []monban.Claim, gaps []monban.Gap) ([]monban.Claim, []monban.Gap) {
			if i := moved(claims, "app"); i >= 0 {
				claims[i].Bind.ReusePort = monban.On
			}
			return claims, gaps
		}, "web 80>8080 only-editable"},
		"gone": {func(claims []monban.Claim, gaps []monban.Gap) ([]monban.Claim, []monban.Gap) {
			if i := moved(claims, "app"); i >= 0 {
				return slices.Delete(claims, i, i+1), gaps
			}
			return claims, gaps
		}, "web 80>8080 only-editable"},
		"a gap": {func(claims []monban.Claim, gaps []monban.Gap) ([]monban.Claim, []monban.Gap) {
			if moved(claims, "app") >= 0 {
				gaps = append(gaps, monban.Gap{Hides: monban.HidesClaims})
			}
			return claims, gaps
		}, "web 80>8080 only-editable"},
		"less right": {func(claims []monban.Claim, gaps []monban.Gap) ([]monban.Claim, []monban.Gap) {
			if moved(claims, "app") >= 0 {
				claims[0].UID = 1000 // who may not open 80
			}
			return claims, gaps
		}, "web 80>8080 only-editable"},
		"nobody's does": {func(claims []monban.Claim, gaps []monban.Gap) ([]monban.Claim, []monban.Gap) {
			for i := range claims {
				claims[i].Bind.Port.Num = 80
			}
			return claims, gaps
		}, "app left unproven 2"},
		"a new conflict": {func(claims []monban.Claim, gaps []monban.Gap) ([]monban.Claim, []monban.Gap) {
			for i := range claims {
				if claims[i].Bind.Port.Num == 8080 {
					claims = append(claims, claims[i])
					break
				}
			}
			return claims, gaps
		}, "app left unproven 2"},
	} {
		w := newWorld(map[string]string{"1": "web 80\n", "2": "app 80\n"})
		w.reread = c.spoil
		if got := w.plan().String(); got != c.want {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
	}
}

func TestReplace(t *testing.T) {
	at := func(line, col, n int) monban.Pos { return monban.Pos{Line: line, Col: col, Len: n} }
	for _, c := range []struct {
		data  string
		edits []Edit
		want  string
		ok    bool
	}{
		{"a 80\r\nb 80\xff\r\n", []Edit{{at(2, 3, 2), "80", "8080"}, {at(1, 3, 2), "80", "81"}}, "a 81\r\nb 8080\xff\r\n", true},
		{"\ufeff80", []Edit{{at(1, 1, 2), "80", "8080"}}, "\ufeff8080", true},
		{"80 80", []Edit{{at(1, 1, 2), "80", "1"}, {at(1, 4, 2), "80", "2"}}, "1 2", true},
		{"80", []Edit{{at(1, 1, 2), "81", "8080"}}, "", false},
		{"80", []Edit{{at(1, 2, 2), "0", "8080"}}, "", false},
		{"80\n", []Edit{{at(2, 1, 1), "", "8080"}}, "", false},
		{"80", []Edit{{at(3, 1, 2), "80", "8080"}}, "", false},
		{"80", []Edit{{at(1, 1, 2), "80", "1"}, {at(1, 1, 2), "80", "2"}}, "", false},
		{"80", []Edit{{at(0, 1, 2), "80", "1"}}, "", false},
		{"80", []Edit{{at(1, 1, 0), "", "1"}}, "", false},
	} {
		if got, ok := Replace([]byte(c.data), c.edits); ok != c.ok || ok && string(got) != c.want {
			t.Errorf("%q: %q, %v", c.data, got, ok)
		}
	}
}

// FuzzReplace takes any edit back again.
func FuzzReplace(f *testing.F) {
	f.Add([]byte("a 80\r\nb\n"), 1, 3, 2, "8080")
	f.Add([]byte("\ufeff80"), 1, 1, 2, "8")
	f.Fuzz(func(t *testing.T, data []byte, line, col, n int, text string) {
		pos := monban.Pos{Line: line, Col: col, Len: n}
		from, ok := offset(data, pos)
		if !ok || strings.Contains(text, "\n") || text == "" {
			return
		}
		old := string(data[from : from+n])
		after, ok := Replace(data, []Edit{{pos, old, text}})
		if !ok {
			t.Fatal("refused")
		}
		pos.Len = len(text)
		if back, ok := Replace(after, []Edit{{pos, text, old}}); !ok || !bytes.Equal(back, data) {
			t.Errorf("%q became %q and then %q", data, after, back)
		}
	})
}

func TestPortAt(t *testing.T) {
	for text, want := range map[string]bool{"80": true, "080": true, "81": false, "http": true, "80-9": false, "8x": false, "a b": false, "$PORT": false} {
		if _, ok := portAt([]byte(text), monban.Pos{Line: 1, Col: 1, Len: len(text)}, 80); ok != want {
			t.Errorf("%q: %v", text, ok)
		}
	}
}

func TestPackaged(t *testing.T) {
	for file, want := range map[string]Obstacle{"/lib/systemd/system/ssh.socket": PackageUnit, "/usr/lib/systemd/system/x.service": PackageUnit, "/usr/share/x.conf": Package,
		"/etc/systemd/system/x.socket": "", "lib/x.conf": "", "/usr/local/etc/x.conf": ""} {
		if got := packaged(file); got != want {
			t.Errorf("%s: %q", file, got)
		}
	}
}

// BenchmarkMake plans for 5,000 claims of which 1,000 cannot start.
func BenchmarkMake(b *testing.B) {
	files := map[string]string{}
	for i := range 2500 {
		second := 5000 + i
		if i < 1000 {
			second = 2000 + i
		}
		files[fmt.Sprintf("%04d", i)] = fmt.Sprintf("a%d %d\nb%d %d\n", i, 2000+i, i, second)
	}
	w := newWorld(files)
	for b.Loop() {
		if p := w.plan(); len(p.Moves) != 1000 || len(p.Left) != 0 {
			b.Fatal(len(p.Moves), len(p.Left))
		}
	}
}

// BenchmarkMakeOnePort plans for many claims that all want one port: all but one
// of them move. The time for each is to be the same, however many there are.
func BenchmarkMakeOnePort(b *testing.B) {
	for _, n := range []int{500, 4000} {
		files := map[string]string{}
		for i := range n {
			files[fmt.Sprintf("%04d", i)] = fmt.Sprintf("a%d 2000\n", i)
		}
		w := newWorld(files)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if p := w.plan(); len(p.Moves) != n-1 || len(p.Left) != 0 {
					b.Fatal(len(p.Moves), len(p.Left))
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/claim")
		})
	}
}
