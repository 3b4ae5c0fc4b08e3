package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/monban-dev/monban"
)

// Status is every open door of the machine.
type Status struct {
	Doors []monban.Door
	Sort  SortKey
	// Hidden is how many doors the user's own filter left out.
	Hidden int
}

// SortKey is a column to sort the doors by.
type SortKey string

// The sort keys.
const (
	SortPort    SortKey = "port"
	SortAddress SortKey = "address"
	SortProgram SortKey = "program"
	SortPID     SortKey = "pid"
	SortUser    SortKey = "user"
	SortSince   SortKey = "since"
)

// SortKeys lists the sort keys.
func SortKeys() []SortKey {
	return []SortKey{SortPort, SortAddress, SortProgram, SortPID, SortUser, SortSince}
}

type statusWire struct {
	Doors []doorWire `json:"doors"`
}

func (s Status) wire(v *view) any { return statusWire{v.doors(s.Doors)} }

func (s Status) hideSecrets(m masker) Data {
	s.Doors = m.doors(s.Doors)
	return s
}

func (s Status) text(p *printer, v *view) {
	all := entries(s.Doors)
	s.sort(v, all)
	const clients = 3
	groups := [...]group{
		{title: p.f("Well-known ports, 0–1023", "ウェルノウンポート 0–1023")},
		{title: p.f("Registered ports, 1024–49151", "登録済みポート 1024–49151")},
		{title: p.f("Dynamic ports, 49152–65535", "動的ポート 49152–65535")},
		clients: {title: p.f("Probably clients: UDP on ephemeral ports", "おそらくクライアント: 一時ポート上の UDP")},
	}
	flat := s.Sort != "" && s.Sort != SortPort
	if flat {
		groups[0].title = ""
	}
	floors := make([]uint8, len(all))
	var count [len(groups)]int
	for i, e := range all {
		switch {
		case v.probableClient(e.first()):
			floors[i] = clients
		case !flat:
			floors[i] = uint8(e.first().Bind.Port.Class() - monban.WellKnown)
		}
		count[floors[i]]++
	}
	for i := range groups {
		groups[i].rows = make([][]cell, 0, count[i])
	}
	cols, render := v.statusColumns(p)
	for i, e := range all {
		g := &groups[floors[i]]
		g.rows = append(g.rows, render(e))
	}
	if len(all) > 0 {
		if left := p.table(cols, groups[:]); left > 0 {
			p.line(span{dim, p.f("(%d columns do not fit here; --wide shows everything)", "(幅が足りないため %d 列を省略しています。--wide ですべて表示します)", left)})
		}
		p.blank()
	}
	s.closing(p, v, all)
	v.findingsText(p)
	v.gapsText(p)
}

func (s Status) sort(v *view, all []entry) {
	by := func(e entry) string { return "" }
	switch s.Sort {
	case SortAddress:
		by = func(e entry) string { return fmt.Sprint(e.first().Bind.Scope()) + e.first().Bind.Addr.String() }
	case SortProgram:
		by = func(e entry) string {
			if o := e.owner(); o != nil {
				return strings.ToLower(o.Name)
			}
			return "\xff"
		}
	case SortPID:
		by = func(e entry) string {
			if o := e.owner(); o != nil {
				return fmt.Sprintf("%10d", o.PID)
			}
			return "\xff"
		}
	case SortUser:
		by = func(e entry) string {
			if o := e.owner(); o != nil {
				return userName(o)
			}
			return v.uidName(e.first())
		}
	case SortSince:
		by = func(e entry) string {
			if o := e.owner(); o != nil && !o.Started.IsZero() {
				return o.Started.UTC().Format(time.RFC3339Nano)
			}
			return "\xff"
		}
	default:
		return
	}
	slices.SortStableFunc(all, func(a, b entry) int { return strings.Compare(by(a), by(b)) })
}

// statusColumns returns the columns of the door table and the function that
// fills them. On a terminal the headings carry the class; in a pipe it is a
// column, so that every line has the same shape.
func (v *view) statusColumns(p *printer) ([]column, func(entry) []cell) {
	terminal := p.width > 0
	cols := []column{{title: p.f("PORT", "ポート"), right: false}}
	class := !terminal || v.style.Wide
	if class {
		cols = append(cols, column{title: p.f("CLASS", "区分"), rank: 10})
	}
	cols = append(cols,
		column{title: p.f("ADDRESS", "アドレス"), min: 9},
	)
	reach := judged(v.Snapshot.Doors)
	if reach {
		cols = append(cols, column{title: p.f("WHO GETS IN", "届く範囲"), min: 15, rank: 1})
	}
	cols = append(cols,
		column{title: p.f("FOR", "用途"), min: 8, rank: 5},
		column{title: p.f("PROGRAM", "プログラム"), min: 14},
		column{title: p.f("PID", "PID"), right: true, rank: 2},
		column{title: p.f("USER", "ユーザー"), min: 6, rank: 3},
		column{title: p.f("STARTED BY", "起動元"), min: 12, rank: 4},
		column{title: p.f("SINCE", "経過"), rank: 6},
		column{title: p.f("WHERE", "場所"), min: 8, rank: 7},
	)
	if v.style.Wide {
		cols = append(cols,
			column{title: p.f("PARENTS", "親プロセス"), rank: 8},
			// The last, because it may be 128 KiB long and the last is not padded.
			column{title: p.f("COMMAND", "コマンド"), rank: 9})
	}
	behind := make(map[*monban.Owner][]cell)
	var space []cell // for the next rows
	render := func(e entry) []cell {
		d := e.first()
		if len(space) < len(cols) {
			space = make([]cell, 64*len(cols))
		}
		row := space[:0:len(cols)]
		space = space[len(cols):]
		row = append(row, cell{style: bold, text: d.Bind.Port.String()})
		if class {
			row = append(row, cell{style: plain, text: d.Bind.Port.Class().String()})
		}
		if reach {
			row = append(row, cell{style: plain, text: v.addressCell(e)}, v.reachCell(e))
		} else {
			row = append(row, cell{style: scopeStyle(e), text: v.addressCell(e)})
		}
		row = append(row, cell{style: plain, text: v.purpose(d)}, v.programCell(e))
		o := e.owner()
		if o == nil || d.To.Port != 0 {
			return append(row, v.ownerCells(d, o)...)
		}
		// The doors of one program have the same owners.
		rest, ok := behind[o]
		if !ok {
			rest = v.ownerCells(d, o)
			behind[o] = rest
		}
		return append(row, rest...)
	}
	return cols, render
}

// closing counts doors by how widely they are bound, and by who gets in where
// that could be judged; else it says that no firewall was considered.
func (s Status) closing(p *printer, v *view, all []entry) {
	var every, one, loopback int
	for _, e := range all {
		switch widest(e) {
		case monban.ScopeEvery:
			every++
		case monban.ScopeLoopback:
			loopback++
		default:
			one++
		}
	}
	if len(all) == 0 {
		if s.Hidden > 0 {
			p.paragraph(span{}, p.f("No door matches the filter (%d are open in all).", "条件に合うドアはありません(開いているドアは全部で %d)。", s.Hidden))
			return
		}
		p.paragraph(span{}, p.f("No door is open.", "開いているドアはありません。"))
		return
	}
	text := p.f(
		plural(len(all), "%d door", "%d doors")+": %d on every address, %d on one address of this machine, %d on loopback only (this machine itself).",
		"ドアは %d 個: 全アドレスで待ち受けるもの %d、特定の 1 アドレスで待ち受けるもの %d、ループバックのみ(このマシンの中だけ)%d。",
		len(all), every, one, loopback)
	if v.firewallSeen() {
		everyone, some, nobody, undecided := v.reachCounts(all)
		text = joined(p.lang, text, p.f("With its firewall, %d can be reached by everyone, %d by some, %d by nobody outside this machine",
			"ファイアウォールも含めて判定すると、誰でも届くもの %d、一部から届くもの %d、外からは届かないもの %d", everyone, some, nobody))
		if undecided > 0 {
			text += p.f("; %d cannot be told", "、判定できないもの %d", undecided)
		}
		text += p.f(".", "。")
	} else {
		text = joined(p.lang, text, p.f("No firewall was considered: it may close some of them.",
			"ファイアウォールは考慮していません。実際には閉じられている場合があります。"))
	}
	p.paragraph(span{}, text)
	s.hiddenText(p)
}

// firewallSeen reports whether who gets in was judged with the rules of the packet
// filter: they were read, and no part of them is missing.
func (v *view) firewallSeen() bool {
	return judged(v.Snapshot.Doors) && v.Snapshot.Rules != nil &&
		!slices.ContainsFunc(v.Snapshot.Gaps, func(g monban.Gap) bool { return g.Hides == monban.HidesRules })
}

func (s Status) hiddenText(p *printer) {
	if s.Hidden > 0 {
		p.paragraph(span{}, p.f("%d more do not match the filter.", "ほかに条件に合わないドアが %d 個あります。", s.Hidden))
	}
}
