package report

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook"
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

func sortedDoors(doors []monban.Door) []*monban.Door {
	out := make([]*monban.Door, len(doors))
	for i := range doors {
		out[i] = &doors[i]
	}
	// The usual case. A stable sort takes a millisecond to find out, for 10,000.
	if !slices.IsSortedFunc(out, (*monban.Door).Compare) {
		slices.SortStableFunc(out, (*monban.Door).Compare)
	}
	return out
}

// entry is one line of the table: the doors of one service on one port.
type entry struct {
	doors []*monban.Door
}

func (e entry) first() *monban.Door { return e.doors[0] }

func (e entry) owner() *monban.Owner {
	if len(e.first().Owners) == 0 {
		return nil
	}
	return &e.first().Owners[0]
}

// CountEntries returns how many lines the list of doors has for them.
func CountEntries(doors []monban.Door) int { return len(entries(doors)) }

// entryKey is what the doors of one entry have in common.
type entryKey struct {
	port                     monban.Port
	state                    monban.DoorState
	device, netns, container string
	// The holder: the topmost process, or what is known where none can be seen.
	pid     int
	uid     uint32
	unnamed monban.Hidden
	kernel  string
	addr    netip.Addr
}

func keyOf(d *monban.Door) entryKey {
	k := entryKey{port: d.Bind.Port, state: d.State, device: d.Bind.Device, netns: d.Bind.NetNS, container: d.To.Container}
	switch {
	case k.container != "":
	case len(d.Owners) > 0:
		k.pid = d.Owners[0].PID
	default:
		k.uid, k.unnamed, k.kernel = d.UID, d.Unnamed, d.Kernel
		// Whether one program holds two addresses cannot be seen; only the two
		// wildcards are one service as good as always.
		if !d.Bind.Wildcard() {
			k.addr = d.Bind.Addr
		}
	}
	return k
}

// entries groups doors so that one service on 0.0.0.0 and [::] is one entry:
// same port, state, device and namespace, and the same holder. Doors whose
// holder cannot be seen are put together only with those of the same user.
func entries(doors []monban.Door) []entry {
	out := make([]entry, 0, len(doors))
	sorted := sortedDoors(doors)
	for len(sorted) > 0 {
		n := 1
		for n < len(sorted) && sorted[n].Bind.Port == sorted[0].Bind.Port && sorted[n].Bind.NetNS == sorted[0].Bind.NetNS {
			n++
		}
		out = appendEntries(out, sorted[:n:n])
		sorted = sorted[n:]
	}
	return out
}

// appendEntries groups the doors of one port.
func appendEntries(out []entry, doors []*monban.Door) []entry {
	if len(doors) == 1 { // the usual case
		return append(out, entry{doors})
	}
	at := make(map[entryKey]int, len(doors))
	for _, d := range doors {
		key := keyOf(d)
		if i, ok := at[key]; ok {
			out[i].doors = append(out[i].doors, d)
			continue
		}
		at[key] = len(out)
		out = append(out, entry{[]*monban.Door{d}})
	}
	return out
}

// probableClient reports whether d looks like the near end of a query rather
// than a service: a UDP socket on a port the kernel chose, for which no service
// is known.
func (v *view) probableClient(d *monban.Door) bool {
	h := &v.Snapshot.Host
	return d.Kernel == "" && d.Bind.Port.Proto == monban.UDP && d.State == monban.Bound &&
		h.Ephemeral.Last > 0 && h.Ephemeral.Contains(d.Bind.Port) && len(v.uses(d.Bind.Port)) == 0
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
		cols = append(cols, column{title: p.f("CLASS", "区分"), rank: 9})
	}
	cols = append(cols,
		column{title: p.f("ADDRESS", "アドレス"), min: 9},
	)
	reach := judged(v.Snapshot.Doors)
	if reach {
		cols = append(cols, column{title: p.f("WHO GETS IN", "届く範囲"), min: 9})
	}
	cols = append(cols,
		column{title: p.f("FOR", "用途"), min: 8, rank: 4},
		column{title: p.f("PROGRAM", "プログラム"), min: 14},
		column{title: p.f("PID", "PID"), right: true, rank: 1},
		column{title: p.f("USER", "ユーザー"), min: 6, rank: 2},
		column{title: p.f("STARTED BY", "起動元"), min: 12, rank: 3},
		column{title: p.f("SINCE", "経過"), rank: 5},
		column{title: p.f("WHERE", "場所"), min: 8, rank: 6},
	)
	if v.style.Wide {
		cols = append(cols,
			column{title: p.f("PARENTS", "親プロセス"), rank: 7},
			// The last, because it may be 128 KiB long and the last is not padded.
			column{title: p.f("COMMAND", "コマンド"), rank: 8})
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

// ownerColumns is how many columns [view.ownerCells] fills.
func (v *view) ownerColumns() int {
	if v.style.Wide {
		return 7
	}
	return 5
}

// ownerCells says who is behind a door, from the pid on. o is nil where nobody
// can be named.
func (v *view) ownerCells(d *monban.Door, o *monban.Owner) []cell {
	if o == nil {
		row := []cell{{style: dim, text: "-"}, {style: dim, text: v.uidName(d)}, {style: dim, text: "-"}, {style: dim, text: "-"}, {style: dim, text: v.targetText(d)}}
		for len(row) < v.ownerColumns() {
			row = append(row, cell{style: dim, text: "-"})
		}
		return row
	}
	row := []cell{{text: strconv.Itoa(o.PID)}, {text: userName(o)}, {text: v.startedBy(o)}, {text: v.age(o.Started)}, {style: dim, text: v.where(d, o)}}
	if v.style.Wide {
		row = append(row, cell{style: dim, text: orDash(parentChain(o))}, cell{text: orDash(strings.Join(o.Command, " "))})
	}
	return row
}

func scopeStyle(e entry) style {
	if widest(e) == monban.ScopeEvery {
		return yellow
	}
	return plain
}

// widest is the widest scope of an entry's doors. A door that is bound to one
// interface is no wider than an address.
func widest(e entry) monban.Scope {
	scope := monban.ScopeUnknown
	for _, d := range e.doors {
		own := d.Bind.Scope()
		if own == monban.ScopeEvery && d.Bind.Device != "" {
			own = monban.ScopeOne
		}
		if scope == monban.ScopeUnknown || own != monban.ScopeUnknown && own < scope {
			scope = own
		}
	}
	return scope
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// addressCell shows the addresses of one entry: "*" is every address of both
// families, as ss writes it.
func (v *view) addressCell(e entry) string {
	if b := &e.first().Bind; len(e.doors) == 1 && b.Device == "" && b.NetNS == "" && !b.Wildcard() {
		return hostText(b.Addr) // the usual case
	}
	var names []string
	var any4, any6 bool
	for _, d := range e.doors {
		switch {
		case d.Bind.Wildcard() && d.Bind.Addr.Is4():
			any4 = true
		case d.Bind.Wildcard():
			any6 = true
			any4 = any4 || d.Bind.V6Only == monban.Off
		default:
			names = append(names, hostText(d.Bind.Addr))
		}
	}
	if any4 && any6 {
		names = append([]string{"*"}, names...)
	} else if any4 {
		names = append([]string{"0.0.0.0"}, names...)
	} else if any6 {
		names = append([]string{"[::]"}, names...)
	}
	names = slices.Compact(names)
	if len(names) > 2 && !v.style.Wide {
		names = append(names[:1], fmt.Sprintf("+%d", len(names)-1))
	}
	text := strings.Join(names, " ")
	if dev := e.first().Bind.Device; dev != "" {
		text += "%" + dev
	}
	if ns := e.first().Bind.NetNS; ns != "" && ns != v.Snapshot.Host.NetNS {
		text += " " + ns
	}
	return text
}

func hostText(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}

// purpose says in a word what the number is for: the registry's name, and what
// is usually met there where that is something else. A program that is known for
// this number needs no "usually" beside it.
func (v *view) purpose(d *monban.Door) string {
	name := v.Book.Name(d.Bind.Port)
	uses := v.uses(d.Bind.Port)
	if len(uses) == 0 || name != "" && d.Bind.Port.Class() == monban.WellKnown {
		return orDash(name)
	}
	for _, u := range uses {
		if sameName(u.Name, name) {
			return name
		}
	}
	usual := v.style.Lang.pick("usually ", "通常 ") + uses[0].Title().In(v.style.Lang.String())
	switch use, ok := v.useOf(d, uses); {
	case ok:
		usual = use.Title().In(v.style.Lang.String())
	case v.elsewhere(d) != "":
		usual = v.elsewhere(d)
	case len(uses) > 1:
		usual += " …"
	}
	if name == "" {
		return usual
	}
	return name + " / " + usual
}

// uses are what is met at a port in practice on such a system, without the rows
// about a whole part of the number space.
func (v *view) uses(p monban.Port) []portbook.Use {
	os := v.Snapshot.Host.OS
	return slices.DeleteFunc(v.Book.Practice(p), func(u portbook.Use) bool { return u.Ports.Len() > 1000 || !u.MetOn(os) })
}

// sameName reports whether a use and a registry name are the same words.
func sameName(use, name string) bool {
	fold := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r == ' ' || r == '-' || r == '_' {
				return -1
			}
			return r
		}, s)
	}
	return name != "" && strings.EqualFold(fold(use), fold(name))
}

// useOf returns the use that the program behind d is known for.
func (v *view) useOf(d *monban.Door, uses []portbook.Use) (portbook.Use, bool) {
	for _, u := range uses {
		for _, o := range d.Owners {
			if u.RunBy(o.Name, o.Command) {
				return u, true
			}
		}
		if c := v.Snapshot.Container(d.To.Container); c != nil && u.InImage(c.Image) {
			return u, true
		}
	}
	return portbook.Use{}, false
}

// elsewhere names what the program behind d is known for at other numbers: an
// nginx at 8080 makes it no Tomcat. It is "" where that is not one thing, unless
// one of them has the program's name.
func (v *view) elsewhere(d *monban.Door) string {
	if len(d.Owners) == 0 || d.To != (monban.Target{}) {
		return ""
	}
	var best portbook.Use
	several := false
	for _, u := range v.Book.UsesOf(d.Owners[0].Name) {
		switch {
		case sameName(u.Name, d.Owners[0].Name):
			return u.Title().In(v.style.Lang.String())
		case best.Name == "" || strings.HasPrefix(best.Name, u.Name):
			best = u
		case !strings.HasPrefix(u.Name, best.Name): // Redis over TLS is Redis, too
			several = true
		}
	}
	if several || best.Name == "" {
		return ""
	}
	return best.Title().In(v.style.Lang.String())
}

func (v *view) programCell(e entry) cell {
	d, o := e.first(), e.owner()
	if c := v.Snapshot.Container(d.To.Container); c != nil {
		text := containerName(c)
		if c.Image != "" {
			text += " (" + c.Image + ")"
		}
		return cell{plain, fmt.Sprintf("%s :%d", text, d.To.Port)}
	}
	if o == nil {
		return cell{dim, v.unnamed(d)}
	}
	text := o.Name
	if c := v.Snapshot.Container(o.Container); c != nil && c.Name != "" {
		text += " (" + c.Name + ")"
	}
	if n := len(d.Owners) - 1; n > 0 {
		text += fmt.Sprintf(" +%d", n)
	}
	if o.Deleted {
		text += v.style.Lang.pick(" (deleted)", "(削除済み)")
	}
	if d.State == monban.Bound && d.Bind.Port.Proto == monban.TCP {
		text += v.style.Lang.pick(" (not listening)", "(待ち受けなし)")
	}
	return cell{plain, text}
}

// asRoot reports whether root looked: then more privilege is no advice. A
// process that has more capabilities than this root stays closed to it.
func (v *view) asRoot() bool { return v.Snapshot.Host.UID == 0 }

// own reports whether a door whose program may not be looked at belongs to the
// very user who looks: a process that protects itself, or was given rights.
func (v *view) own(d *monban.Door) bool { return int64(d.UID) == int64(v.Snapshot.Host.UID) }

// unnamed says, in the place of a program's name, why there is none.
func (v *view) unnamed(d *monban.Door) string {
	l := v.style.Lang
	if d.State == monban.Forwarded {
		return l.pick("(forwarded)", "(転送)")
	}
	switch d.Unnamed {
	case monban.HiddenPrivilege:
		switch {
		case v.asRoot():
			return l.pick("(protected)", "(保護中)")
		case v.Snapshot.Host.OS == "windows":
			return l.pick("(needs administrator)", "(要管理者権限)")
		case v.own(d):
			return l.pick("(protected; sudo)", "(保護中; 要 sudo)")
		}
		return l.pick("(another user's; sudo)", "(他ユーザー; 要 sudo)")
	case monban.HiddenNamespace:
		return l.pick("(outside this namespace)", "(名前空間の外)")
	case monban.HiddenKernel:
		if d.Kernel != "" {
			return l.pick("(kernel: ", "(カーネル: ") + d.Kernel + ")"
		}
		return l.pick("(kernel)", "(カーネル)")
	case monban.HiddenGone:
		return l.pick("(just ended)", "(終了直後)")
	default:
		return l.pick("(not visible)", "(確認できず)")
	}
}

func (v *view) uidName(d *monban.Door) string {
	if d.State == monban.Forwarded {
		return "-"
	}
	switch {
	case d.User != "":
		return d.User
	case d.UID == 0 && v.Snapshot.Host.OS != "windows":
		return "root"
	}
	return fmt.Sprintf("uid %d", d.UID)
}

func userName(o *monban.Owner) string {
	if o.User != "" {
		return o.User
	}
	return fmt.Sprint(o.UID)
}

func (v *view) targetText(d *monban.Door) string {
	if d.To.Port == 0 {
		return "-"
	}
	if !d.To.Addr.IsValid() {
		return fmt.Sprintf("→ :%d", d.To.Port)
	}
	return "→ " + netip.AddrPortFrom(d.To.Addr, d.To.Port).String()
}

func (v *view) where(d *monban.Door, o *monban.Owner) string {
	if d.To.Port != 0 {
		return v.targetText(d)
	}
	if o.Project != "" {
		return o.Project
	}
	return orDash(o.Dir)
}

// age says how long ago t was, in one unit.
func (v *view) age(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	d := v.Snapshot.At.Sub(t)
	l := v.style.Lang
	switch {
	case d < time.Minute:
		return l.say("%ds", "%d秒", max(0, int(d/time.Second)))
	case d < time.Hour:
		return l.say("%dmin", "%d分", int(d/time.Minute))
	case d < 48*time.Hour:
		return l.say("%dh", "%d時間", int(d/time.Hour))
	default:
		return l.say("%dd", "%d日", int(d/(24*time.Hour)))
	}
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
