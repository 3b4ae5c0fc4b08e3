package report

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/monban-dev/monban"
)

// Pick is what became of `monban pick`.
type Pick struct {
	Action string // [Picked], [Listed] or [Released]
	File   string // where the leases are kept
	// Range and Haven are where a port was, or would have been, chosen, and why
	// there: the machine code of package conflict. They are zero for lists.
	Range  monban.PortRange
	Haven  string
	Leases []Lease
}

// The actions.
const (
	Picked   = "pick"
	Listed   = "list"
	Released = "release"
)

// Lease is a port that is kept for a project.
type Lease struct {
	Port         uint16
	Name         string // "" is none
	Nth          int    // from 0
	Dir          string // the work tree
	Since, Until time.Time
	New          bool
	// Doors are open at the port now.
	Doors []monban.Door
}

func (pk Pick) hideSecrets(m masker) Data {
	out := make([]Lease, len(pk.Leases))
	for i, l := range pk.Leases {
		l.Name = maskText(l.Name)
		l.Doors = m.doors(l.Doors)
		out[i] = l
	}
	pk.Leases = out
	return pk
}

type pickWire struct {
	Action string      `json:"action"`
	File   string      `json:"file"`
	Range  *havenWire  `json:"range,omitempty"`
	Leases []leaseWire `json:"leases"`
}

type havenWire struct {
	First uint16 `json:"first"`
	Last  uint16 `json:"last"`
	Kind  string `json:"kind"`
	Why   string `json:"why"`
}

type leaseWire struct {
	Port  uint16     `json:"port"`
	Name  string     `json:"name"`
	Nth   int        `json:"nth"`
	Dir   string     `json:"dir"`
	Since time.Time  `json:"since"`
	Until time.Time  `json:"until"`
	New   bool       `json:"new"`
	Doors []doorWire `json:"doors"`
}

func (pk Pick) wire(v *view) any {
	out := pickWire{Action: pk.Action, File: pk.File, Leases: []leaseWire{}}
	if pk.Haven != "" {
		out.Range = &havenWire{pk.Range.First, pk.Range.Last, pk.Haven, pk.havenSentence(v.Snapshot, v.style.Lang)}
	}
	for _, l := range pk.Leases {
		out.Leases = append(out.Leases, leaseWire{l.Port, l.Name, l.Nth, l.Dir, l.Since, l.Until, l.New, v.doors(l.Doors)})
	}
	return out
}

// text writes the ports, one a line and nothing else, so that a script can take
// them as they are. A list is a table.
func (pk Pick) text(p *printer, v *view) {
	if pk.Action == Listed {
		pk.table(p, v)
		return
	}
	for _, l := range pk.Leases {
		p.line(span{plain, fmt.Sprint(l.Port)})
	}
}

func (pk Pick) table(p *printer, v *view) {
	if len(pk.Leases) == 0 {
		p.paragraph(span{}, p.f("No port is leased.", "割り当て中のポートはありません。"))
		return
	}
	cols := []column{
		{title: p.f("PORT", "ポート")},
		{title: p.f("FOR", "用途"), min: 8},
		{title: p.f("FOLDER", "フォルダー"), min: 16, rank: 1},
		{title: p.f("LEFT", "残り"), rank: 2},
		{title: p.f("NOW", "いま"), min: 12},
	}
	var g group
	for i := range pk.Leases {
		l := &pk.Leases[i]
		g.rows = append(g.rows, []cell{{bold, fmt.Sprint(l.Port)}, {plain, orDash(l.title())}, {plain, l.Dir}, {dim, v.left(l.Until)}, v.leaseState(l)})
	}
	p.table(cols, []group{g})
	v.gapsText(p)
}

// title is the name of a lease, with its number from the second on.
func (l *Lease) title() string {
	if l.Nth == 0 {
		return l.Name
	}
	return fmt.Sprintf("%s #%d", l.Name, l.Nth+1)
}

func (v *view) leaseState(l *Lease) cell {
	if len(l.Doors) == 0 {
		return cell{dim, v.style.Lang.pick("not open", "開いていません")}
	}
	return cell{green, v.style.Lang.say("open: %s", "使用中: %s", v.who(&l.Doors[0]))}
}

// left says how much time there is until t, in one unit.
func (v *view) left(t time.Time) string {
	d := t.Sub(v.Snapshot.At)
	return v.age(v.Snapshot.At.Add(-d))
}

// PickNotes writes what a user should know about the ports that were picked:
// where they lie when that is not the usual place, and who else is there.
func PickNotes(w io.Writer, pk Pick, snap *monban.Snapshot, lang Lang) {
	note := func(text string) { fmt.Fprintf(w, "monban: %s\n", safe(maskText(text))) }
	for i := range pk.Leases {
		if pk.Leases[i].New && pk.unusual(snap) {
			note(pk.havenSentence(snap, lang))
			break
		}
	}
	v := &view{Result: Result{Snapshot: snap}, style: Style{Lang: lang}}
	for i := range pk.Leases {
		if l := &pk.Leases[i]; !l.New {
			if d := l.stranger(); d != nil {
				note(lang.say(
					"%[1]d is this project's, but %[2]s from %[3]s has it open now. To get another port: monban pick --release %[1]d",
					"%[1]d はこのプロジェクト用のポートですが、いま %[2]s(フォルダー: %[3]s)が使っています。別のポートにするには: monban pick --release %[1]d",
					l.Port, v.who(d), d.Owners[0].Dir))
			}
		}
	}
	for _, g := range snap.Gaps {
		if g.Hides == monban.HidesDoors || g.Hides == monban.HidesTraffic {
			note(v.gapSentence(g))
		}
	}
}

// unusual reports whether the choice needs a word: all of a default Linux needs
// none, and neither does a range that was asked for and is not lent.
func (pk Pick) unusual(snap *monban.Snapshot) bool {
	switch pk.Haven {
	case "dynamic":
		return pk.Range.First != 61000 || pk.Range.Last != 65535
	case "asked":
		return overlaps(pk.Range, snap.Host.Ephemeral)
	}
	return true
}

func overlaps(a, b monban.PortRange) bool {
	return b.Last > 0 && a.First <= b.Last && b.First <= a.Last
}

// havenSentence says where a port is chosen, and why there.
func (pk Pick) havenSentence(snap *monban.Snapshot, lang Lang) string {
	dash := lang.pick("%d–%d", "%d~%d")
	r := fmt.Sprintf(dash, pk.Range.First, pk.Range.Last)
	lent := fmt.Sprintf(dash, snap.Host.Ephemeral.First, snap.Host.Ephemeral.Last)
	say := func(en, ja string) string { return lang.say(en, ja, r, lent) }
	switch pk.Haven {
	case "asked":
		if !overlaps(pk.Range, snap.Host.Ephemeral) {
			return say("Chosen from %[1]s, as asked.", "指定された範囲 %[1]s から選びました。")
		}
		return say("Chosen from %[1]s, as asked; outgoing connections may take a port there at any time (this machine lends them %[2]s).",
			"指定された範囲 %[1]s から選びました。ただし、このマシンは %[2]s を外向きの接続に使うため、ポートが先に使われることがあります。")
	case "dynamic":
		return say("Chosen from %[1]s: the dynamic ports that this machine does not lend to outgoing connections (those get %[2]s).",
			"%[1]s から選びました。このマシンが外向きの接続に使わない動的ポートです(外向きの接続は %[2]s)。")
	case "registered":
		return say("Chosen from %[1]s: this machine lends %[2]s to outgoing connections, so no dynamic port is safe from them; ports that no known service uses were preferred.",
			"%[1]s から選びました。このマシンは %[2]s を外向きの接続に使うため、動的ポートは避け、既知のサービスが使わない番号を選びました。")
	case "none":
		return say("Chosen from %[1]s, and not safe: this machine lends %[2]s to outgoing connections, which may take the port at any time.",
			"%[1]s から選びましたが、安全ではありません。このマシンは %[2]s を外向きの接続に使うため、ポートが先に使われることがあります。")
	default:
		return say("Chosen from %[1]s, which a default Linux does not lend to outgoing connections; what this machine lends could not be read.",
			"Linux の既定で外向きの接続に使われない %[1]s から選びました。このマシンの設定は読めませんでした。")
	}
}

// stranger returns a door at the port of a lease whose program was certainly not
// started in the lease's work tree. What a container engine or nobody known has
// open may well be the project's.
func (l *Lease) stranger() *monban.Door {
	for i := range l.Doors {
		d := &l.Doors[i]
		if len(d.Owners) == 0 || d.To.Port != 0 {
			return nil
		}
		for _, o := range d.Owners {
			if o.Container != "" || o.Dir == "" || o.Dir == "/" || o.Dir == l.Dir || strings.HasPrefix(o.Dir, l.Dir+string(filepath.Separator)) {
				return nil
			}
		}
	}
	if len(l.Doors) == 0 {
		return nil
	}
	return &l.Doors[0]
}

// Count is how many ports have one thing in their way, by its machine code of
// package conflict.
type Count struct {
	Code string
	N    int
}

// NoFreePort says that every port of a range is taken, and by what.
func NoFreePort(r monban.PortRange, why []Count) error {
	var en, ja []string
	for _, c := range why {
		word := obstacleWord(c.Code)
		en = append(en, fmt.Sprintf("%d %s", c.N, word[0]))
		ja = append(ja, fmt.Sprintf("%s %d", word[1], c.N))
	}
	return &Problem{
		en: fmt.Sprintf("no port is free in %s: %s. monban pick --list shows the leases, --range looks elsewhere", r, strings.Join(en, ", ")),
		ja: fmt.Sprintf("%s に空いているポートがありません(%s)。monban pick --list で割り当てを確認するか、--range で別の範囲を指定してください", r, strings.Join(ja, "、")),
	}
}

func obstacleWord(code string) [2]string {
	switch code {
	case "open":
		return [2]string{"open", "使用中"}
	case "busy":
		return [2]string{"used by connections", "接続が使用中"}
	case "claimed":
		return [2]string{"named in this project's files", "このプロジェクトの設定ファイルに記載"}
	case "reserved":
		return [2]string{"reserved by the administrator", "管理者が予約"}
	case "excluded":
		return [2]string{"excluded by the system", "システムが除外"}
	case "privileged":
		return [2]string{"privileged", "特権ポート"}
	case "browser-blocked":
		return [2]string{"refused by browsers", "ブラウザーが拒否"}
	case "known":
		return [2]string{"of known services", "既知のサービス用"}
	default:
		return [2]string{"leased", "割り当て済み"}
	}
}

// OnlyForPicking says that a flag is for picking and not for lists or releases.
func OnlyForPicking(flag string) error {
	return usageProblem("%s does not go with --list or --release", "%s は --list や --release と一緒には使えません", flag)
}

// OneOf says that two flags exclude each other.
func OneOf(a, b string) error {
	return usageProblem("%s and %s do not go together", "%s と %s は同時に指定できません", a, b)
}

// PickTakesFlags says that pick takes no argument, and what may have been meant.
func PickTakesFlags(arg string) error {
	return usageProblem("monban pick takes no argument, but got %[1]q; a name goes with --for, a range with --range", "monban pick に引数は指定できません: %[1]q。名前は --for、範囲は --range で指定してください", arg)
}

// BadLeaseName says what a name may be.
func BadLeaseName(name string, most int) error {
	return usageProblem("--for %[1]q: want a name of at most %[2]d bytes, printable and not only digits", "--for に %[1]q は指定できません。%[2]d バイト以内で、数字だけではない、表示できる文字の名前を指定してください", name, most)
}

// BadCount says how many ports may be picked at once.
func BadCount(n, most int) error {
	return usageProblem("--count %[1]d: want 1 to %[2]d", "--count に %[1]d は指定できません。1 から %[2]d までです", n, most)
}

// BadPickRange says which ranges ports can be picked from.
func BadPickRange(text string) error {
	return usageProblem("--range %s: want TCP ports from 1 on, such as 8000-8999", "--range %s は指定できません。8000-8999 のように、1 以上の TCP ポートの範囲を指定してください", text)
}

// NoSuchLease says that there is nothing to give back.
func NoSuchLease(what, dir string) error {
	return usageProblem("no lease %[1]q in %[2]s; monban pick --list shows those there are", "%[2]s に %[1]q の割り当てはありません。monban pick --list で一覧を表示します", what, dir)
}

// NoDirectory says that the current directory is gone or hidden.
func NoDirectory(err error) error {
	return &Problem{en: fmt.Sprintf("the current directory cannot be used: %v", err), ja: fmt.Sprintf("現在のディレクトリーを使えません: %v", err), err: err}
}

// NoLeaseHome says that there is no place to keep leases.
func NoLeaseHome(err error) error {
	return &Problem{en: "there is no place to keep the leases: set HOME or XDG_STATE_HOME",
		ja: "割り当てを保存する場所がありません。HOME または XDG_STATE_HOME を設定してください", err: err}
}

// NoLeaseUser says that the user behind sudo is not known.
func NoLeaseUser(err error) error {
	return &Problem{en: fmt.Sprintf("cannot act for the user who called sudo (%v)", err),
		ja: fmt.Sprintf("sudo を実行したユーザーとして操作できません(%v)", err), err: err}
}

// LeasesRefused says that the file of leases cannot be trusted. Nothing is lost:
// it is left as it is.
func LeasesRefused(path string, err error) error {
	return &Problem{
		en:  fmt.Sprintf("the leases in %s are not used: %v. Nothing was changed; put that right, or move the file away to start anew", path, pathless(err)),
		ja:  fmt.Sprintf("%s の割り当ては使えません: %v。何も変更していません。原因を直すか、ファイルを別の場所に移すと新しく始められます", path, pathless(err)),
		err: err,
	}
}

// LeasesBusy says that somebody holds the lock for too long.
func LeasesBusy(path string, err error) error {
	return &Problem{en: fmt.Sprintf("another monban has been writing %s for too long; try again", path),
		ja: fmt.Sprintf("別の monban が %s の書き込みを続けています。もう一度実行してください", path), err: err}
}

// LeasesUnreadable says that the system does not let the leases be read.
func LeasesUnreadable(path string, err error) error {
	return &Problem{en: fmt.Sprintf("cannot read the leases in %s: %v; to keep them elsewhere, set XDG_STATE_HOME to a directory of your own", path, pathless(err)),
		ja: fmt.Sprintf("%s の割り当てを読めません: %v。別の場所に保存するには、XDG_STATE_HOME に自分のディレクトリーを設定してください", path, JA.errorText(pathless(err).Error())), err: err}
}

// LeasesNotSaved says that a change was not saved. The leases are as before.
func LeasesNotSaved(path string, err error) error {
	return &Problem{en: fmt.Sprintf("cannot save the leases in %s: %v; they are as before, and no port was given. To keep them elsewhere, set XDG_STATE_HOME to a directory of your own", path, pathless(err)),
		ja: fmt.Sprintf("%s に割り当てを保存できません: %v。以前の割り当てはそのままで、ポートは割り当てていません。別の場所に保存するには、XDG_STATE_HOME に自分のディレクトリーを設定してください", path, JA.errorText(pathless(err).Error())), err: err}
}

// LeasesUnsupported says that leases do not work on this system.
func LeasesUnsupported(err error) error {
	return &Problem{en: "ports cannot be leased on this system", ja: "このシステムではポートの割り当てを使えません", err: err}
}
