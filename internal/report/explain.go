package report

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
)

// Explanation is what pasted error messages mean.
type Explanation struct {
	Complaints []Explained
	// More reports that the text may have more complaints than were read.
	More bool
	// Diff is what changed at the ports of the messages since a saved view; nil
	// if it was not asked for.
	Diff *Difference
}

// Explained is one error message, read and put beside what is open now.
type Explained struct {
	Text    string // the line it was found in, raw; "" is a judgement that no text led to
	Program string // the program that said it; "" is unknown
	Proto   monban.Proto
	Addr    netip.Addr // zero if the message names none
	Port    uint16     // 0 if the message names none
	HasPort bool
	Errno   string
	OS      string // the system it comes from, where the text proves it
	File    string // a file the message itself names
	Line    int
	// Causes are cause ids, the likeliest first.
	Causes []string
	// Also are those of Causes that were seen on top of the first.
	Also []string
	// Remote reports that the address is the other end of a connection.
	Remote bool
	// HolderPID and HolderName are who has the port, where the text says so.
	HolderPID  int
	HolderName string
	// Elsewhere reports that the message comes from another system than this
	// machine's: what is open here says nothing about it.
	Elsewhere bool
	// Socket is what became of the file of a Unix socket; SocketOwners have it
	// open.
	Socket       SocketFile
	SocketOwners []monban.Owner
	// Certain reports that the first cause was seen here and is not a guess.
	Certain bool
	Against []monban.Door
	Fix     []monban.Fix
	// Missing is what could not be seen and would decide.
	Missing []monban.Gap
}

// SocketFile is what became of the file of a Unix socket, as a machine code.
type SocketFile string

// The codes; "" is not known.
const (
	SocketMissing  SocketFile = "missing"
	SocketForeign  SocketFile = "foreign"
	SocketInUse    SocketFile = "in-use"
	SocketLeftOver SocketFile = "left-over"
)

func (e Explanation) hideSecrets(m masker) Data {
	out := make([]Explained, len(e.Complaints))
	for i, c := range e.Complaints {
		c.Text = maskLine(c.Text)
		c.SocketOwners = m.owners(c.SocketOwners)
		c.Against, c.Fix, c.Missing = m.doors(c.Against), maskFixes(c.Fix), maskGaps(c.Missing)
		out[i] = c
	}
	hidden := Explanation{Complaints: out, More: e.More}
	if e.Diff != nil {
		diff := e.Diff.masked(m)
		hidden.Diff = &diff
	}
	return hidden
}

type explanationWire struct {
	Complaints []explainedWire `json:"complaints"`
	More       bool            `json:"more"`
	Diff       *differenceWire `json:"diff,omitempty"`
}

type explainedWire struct {
	Text    string       `json:"text"`
	Program string       `json:"program"`
	OS      string       `json:"os"`
	Proto   monban.Proto `json:"proto"`
	Address string       `json:"address"`
	Port    *uint16      `json:"port"`
	Errno   string       `json:"errno"`
	File    string       `json:"file"`
	Line    int          `json:"line"`
	Remote  bool         `json:"remote"`
	Holder  holderWire   `json:"holder_named"`
	Certain bool         `json:"certain"`
	Causes  []causeWire  `json:"causes"`
	Also    []string     `json:"also,omitempty"`
	Holders []doorWire   `json:"holders"`
	Socket  *socketWire  `json:"socket,omitempty"`
	Fix     []fixWire    `json:"fix"`
}

// socketWire is about the file of a Unix socket.
type socketWire struct {
	State  SocketFile  `json:"state"`
	Owners []ownerWire `json:"owners"`
}

type holderWire struct {
	PID  int    `json:"pid"`
	Name string `json:"name"`
}

type causeWire struct {
	ID    string   `json:"id"`
	Title string   `json:"title"`
	Why   string   `json:"why"`
	Fix   []string `json:"fix"`
}

func (e Explanation) wire(v *view) any {
	out := explanationWire{Complaints: []explainedWire{}, More: e.More}
	for _, c := range e.Complaints {
		w := explainedWire{
			Text: c.Text, Program: c.Program, OS: c.OS, Proto: c.Proto, Errno: c.Errno, File: c.File, Line: c.Line,
			Remote: c.Remote, Certain: c.Certain, Holder: holderWire{c.HolderPID, c.HolderName},
			Causes: []causeWire{}, Also: c.Also, Holders: v.doors(c.Against), Fix: v.fixes(c.Fix),
		}
		if c.Addr.IsValid() {
			w.Address = c.Addr.String()
		}
		if c.HasPort {
			w.Port = &c.Port
		}
		if c.Socket != "" {
			w.Socket = &socketWire{c.Socket, v.owners(c.SocketOwners)}
		}
		for _, id := range c.Causes {
			title, why, fixes := v.causeText(id, c)
			w.Causes = append(w.Causes, causeWire{id, title, why, nonNil(fixes)})
		}
		out.Complaints = append(out.Complaints, w)
	}
	if e.Diff != nil {
		diff := v.difference(*e.Diff)
		out.Diff = &diff
	}
	return out
}

func (e Explanation) text(p *printer, v *view) {
	if len(e.Complaints) == 0 {
		p.paragraph(span{}, p.f(
			"No error about a port was recognised in this text. Paste the whole message, with the line that names the address or port.",
			"この文章からポートに関するエラーを読み取れませんでした。アドレスやポート番号が書かれた行を含めて、メッセージ全体を貼り付けてください。"))
		return
	}
	for i, c := range e.Complaints {
		if i > 0 {
			p.blank()
		}
		v.explainedText(p, c)
	}
	if e.More {
		p.blank()
		p.paragraph(span{dim, ""}, p.f(
			"Only the first %d messages were read; pass the rest by itself.",
			"読み取ったのは最初の %d 件だけです。残りは分けて渡してください。", len(e.Complaints)))
	}
	if e.Diff != nil {
		p.blank()
		e.Diff.changes(p, v)
	}
	v.gapsText(p)
}

// openAt returns the doors that are open where the program wanted to open one.
func (v *view) openAt(c Explained) []monban.Door {
	if !c.HasPort || c.Remote {
		return nil
	}
	any := func(a netip.Addr) bool { return !a.IsValid() || a.IsUnspecified() }
	var out []monban.Door
	for _, d := range v.Snapshot.Doors {
		p := d.Bind.Port
		if p.Num == c.Port && (c.Proto == monban.AnyProto || c.Proto == p.Proto) && (any(c.Addr) || any(d.Bind.Addr) || c.Addr == d.Bind.Addr) {
			out = append(out, d)
		}
	}
	return out
}

func (v *view) explainedText(p *printer, c Explained) {
	if c.Text != "" {
		p.line(span{dim, "> "}, span{dim, clip(c.Text, p.width-2)})
		p.paragraph(span{bold, ""}, v.complaintSentence(c))
	} else { // nobody said it: it was judged
		p.line(span{bold, place(monban.Bind{Port: monban.Port{Num: c.Port, Proto: c.Proto}, Addr: c.Addr}) + "/" + c.Proto.String() + "  " + c.Errno})
	}
	if c.Remote && len(c.Causes) == 0 {
		p.paragraph(span{}, v.style.Lang.pick(
			"This is the other side of the door: the program wanted to connect, and nobody answered. It is not a port conflict; start the server it wants to reach, or correct the address.",
			"これはドアの反対側の問題です。プログラムは接続しようとしましたが、応答する相手がいませんでした。ポートの競合ではありません。接続先のサーバーを起動するか、アドレスを確認してください。"))
		return
	}
	if c.HolderName != "" || c.HolderPID != 0 {
		p.paragraph(p.label("Says the text", "文中の持ち主"), holderText(c))
	}
	v.socketText(p, c)
	held := c.Against
	if len(held) == 0 && strings.HasSuffix(c.Errno, "EACCES") && !c.Elsewhere {
		held = v.openAt(c) // not to blame, but in the way once the right is there
	}
	for i := range held {
		d := &held[i]
		p.paragraph(p.label("Held here by", "いまの持ち主"), place(d.Bind)+"/"+d.Bind.Port.Proto.String()+"  "+v.who(d))
		if i == 0 || len(d.Owners) == 0 || len(held[i-1].Owners) == 0 || held[i-1].Owners[0].PID != d.Owners[0].PID { // once is enough
			v.ownerText(p, d)
		}
	}
	switch {
	case c.Elsewhere:
		p.paragraph(p.label("Held here by", "いまの持ち主"), p.f(
			"not asked: the message comes from %s, and this machine is another one.",
			"調べていません。%s のメッセージで、このマシンとは別の環境のものです。", osName(c.OS)))
	case len(held) == 0 && c.HasPort && !c.Certain:
		p.paragraph(p.label("Held here by", "いまの持ち主"), p.f(
			"nobody, as far as can be seen now: it may have been freed meanwhile, or the message comes from another machine.",
			"いま確認できる範囲ではいません。既に解放されたか、別のマシンのメッセージかもしれません。"))
	}
	for i, id := range c.Causes {
		const most = 3
		if i == most && !v.style.Verbose {
			break
		}
		title, why, fixes := v.causeText(id, c)
		if title == "" {
			continue
		}
		lead := p.label("Cause", "原因")
		also := slices.Contains(c.Also, id)
		switch {
		case also:
			lead = p.label("and", "さらに")
		case i > 0:
			lead = p.label("or perhaps", "または")
		}
		text := fmt.Sprintf("%s  [%s]", title, id)
		if i == 0 && c.Certain || also {
			text += p.f("  (seen here)", "  (ここで確認)")
		}
		p.paragraph(lead, text)
		if id == "D5" {
			if seen := v.restartSentence(c.Fix); seen != "" {
				p.paragraph(span{plain, pad("", 14)}, seen)
			}
		}
		p.paragraph(span{plain, pad("", 14)}, why)
		switch {
		case also: // what to do stands with the first
		case i == 0 && len(c.Fix) > 0:
			v.fixesText(p, c.Fix, pad("", 14))
		default:
			for _, fix := range fixes {
				p.paragraph(span{green, pad("", 14) + "→ "}, fix)
			}
		}
		if c.Certain && (i+1 == len(c.Causes) || !slices.Contains(c.Also, c.Causes[i+1])) {
			break // what was seen needs no guesses beside it
		}
	}
	for _, g := range c.Missing {
		if g.Hides != monban.HidesOutside {
			p.paragraph(p.label("Not seen", "未確認"), v.gapSentence(g))
		}
	}
}

// socketText says what became of the file of a Unix socket.
func (v *view) socketText(p *printer, c Explained) {
	lead := p.label("The file", "ファイル")
	switch c.Socket {
	case SocketMissing:
		p.paragraph(lead, p.f("%s is not there now.", "%s は、いまはありません。", c.File))
	case SocketForeign:
		p.paragraph(lead, p.f("%s is a file of another kind, and no socket.", "%s はソケットではなく、別の種類のファイルです。", c.File))
	case SocketInUse:
		p.paragraph(lead, p.f("%s is in use.", "%s は使用中です。", c.File))
		for i := range c.SocketOwners {
			o := &c.SocketOwners[i]
			p.paragraph(p.label("Held here by", "いまの持ち主"), v.style.Lang.say("%s (pid %d)", "%s(pid %d)", o.Name, o.PID))
		}
	case SocketLeftOver:
		p.paragraph(lead, p.f("%s is left over: no program in this network namespace has it open. It can be deleted: rm %s",
			"%s は残骸です。このネットワーク名前空間で開いているプログラムはありません。削除できます: rm %s", c.File, shellLine([]string{c.File})))
	}
}

// causeText is the text of a cause with the complaint's port in it.
func (v *view) causeText(id string, c Explained) (title, why string, fixes []string) {
	title, why, fixes = causeText(id, v.style.Lang)
	num := "PORT"
	if c.HasPort {
		num = strconv.Itoa(int(c.Port))
	}
	filled := make([]string, len(fixes))
	for i, fix := range fixes {
		filled[i] = fillWord(fix, num)
	}
	return fillWord(title, num), fillWord(why, num), filled
}

func osName(goos string) string {
	switch goos {
	case "windows":
		return "Windows"
	case "darwin":
		return "macOS"
	case "linux":
		return "Linux"
	}
	return goos
}

func (v *view) complaintSentence(c Explained) string {
	l := v.style.Lang
	who := v.complainer(c.Program)
	where := ""
	switch {
	case c.aboutFile():
		return l.say("%[1]s could not open the socket file %[2]s", "%[1]s がソケットファイル %[2]s を開けませんでした", who, c.File) + errnoIn(c.Errno) + l.pick(".", "。")
	case c.HasPort && c.Addr.IsValid():
		where = netip.AddrPortFrom(c.Addr, c.Port).String()
	case c.HasPort:
		where = l.say("port %d", "ポート %d", c.Port)
	case c.Addr.IsValid():
		where = c.Addr.String()
	default:
		where = l.pick("a port that the message does not name", "ポート(メッセージに番号の記載なし)")
	}
	if c.Proto != monban.AnyProto && (c.HasPort || c.Addr.IsValid()) {
		where += "/" + c.Proto.String()
	}
	text := l.say("%[1]s could not open %[2]s", "%[1]s が %[2]s を開けませんでした", who, where)
	if c.Remote {
		text = l.say("%[1]s could not reach %[2]s", "%[1]s が %[2]s に接続できませんでした", who, where)
	}
	text += errnoIn(c.Errno)
	if c.File != "" {
		text += ", " + c.File
		if c.Line > 0 {
			text += fmt.Sprintf(":%d", c.Line)
		}
	}
	return text + l.pick(".", "。")
}

// complainer names who said a message, for the beginning of a sentence: a language
// is not what runs, and a product has a name of its own.
func (v *view) complainer(program string) string {
	l := v.style.Lang
	languages := [...][2]string{{"go", "Go"}, {"java", "Java"}, {"perl", "Perl"}, {"php", "PHP"}, {"python", "Python"}, {"ruby", "Ruby"}, {"rust", "Rust"}}
	for _, known := range languages {
		if known[0] == program {
			return l.say("A %s program", "%s のプログラム", known[1])
		}
	}
	products := [...][2]string{{"apache", "Apache"}, {"docker", "Docker"}, {"haproxy", "HAProxy"}, {"kubernetes", "Kubernetes"}, {"mariadb", "MariaDB"},
		{"mongodb", "MongoDB"}, {"mysql", "MySQL"}, {"node", "Node.js"}, {"podman", "Podman"}, {"postgres", "PostgreSQL"}, {"redis", "Redis"}}
	for _, known := range products {
		if known[0] == program {
			return known[1]
		}
	}
	switch program {
	case "":
		return l.pick("A program", "プログラム")
	case "browser":
		return l.pick("The browser", "ブラウザー")
	}
	return program
}

// aboutFile reports whether the complaint is about a Unix socket and names its
// file.
func (c *Explained) aboutFile() bool {
	return len(c.Causes) > 0 && c.Causes[0] == "L23" && c.File != ""
}

func errnoIn(errno string) string {
	if errno == "" {
		return ""
	}
	return " (" + errno + ")"
}

func holderText(c Explained) string {
	if c.HolderPID == 0 {
		return c.HolderName
	}
	return strings.TrimSpace(fmt.Sprintf("%s (PID %d)", c.HolderName, c.HolderPID))
}
