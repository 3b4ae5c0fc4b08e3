package report

import (
	"slices"
	"strings"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook"
)

// Imported is a door that is open now, and the entry that would keep it open.
type Imported struct {
	Entry string // one line of the policy file
	Doors []monban.Door
	Risks []portbook.Risk
	// Connections are established at the port now.
	Connections int
	// Client: most likely a program's own socket for questions to others, whose
	// answers come in without an entry.
	Client bool
	// Closed: nobody outside reaches it now.
	Closed bool
}

// ImportText returns a policy file with the given entries, and beside each a
// comment about who is behind the door and why it may not be needed.
func ImportText(list []Imported, r Result, s Style) string {
	v := &view{Result: r, style: s}
	if !s.ShowSecrets {
		m := newMasker()
		v.Snapshot = hideSecrets(r.Snapshot, m)
	}
	l := s.Lang
	say := l.say
	var b strings.Builder
	comment := func(indent, text string) {
		for _, part := range wrap(safe(maskText(text)), 100) {
			b.WriteString(indent + "# " + part + "\n")
		}
	}
	comment("", say("The doors that were open to the outside on %s. Take out what is not needed, and narrow \"to\" where not everybody has to come in: a prefix such as 192.0.2.0/24, this-network, local, if:eth0.",
		"%s の時点で外に開いていたドアです。不要な行は消し、全員に開ける必要のないドアは to を絞ってください(192.0.2.0/24 のようなプレフィックス、this-network、local、if:eth0 など)。",
		v.Snapshot.At.Format("2006-01-02 15:04")))
	if slices.ContainsFunc(v.Snapshot.Gaps, func(g monban.Gap) bool { return g.Hides == monban.HidesRules }) {
		comment("", say("The firewall's rules could not be read (sudo lets them be), so it is not known who reaches which of these doors now: some may be closed already, and an entry would say that they may be open.",
			"ファイアウォールのルールを読めなかったため(sudo を付けると読めます)、いま誰に届くかは分かりません。既に閉じられているドアも、開けてよいものとして書かれている可能性があります。"))
	}
	comment("", say("Protocols without ports (ESP, GRE, OSPF …) pass; one that an entry names, such as {proto: esp, to: 192.0.2.7}, only from those whom it lists.",
		"ポートのないプロトコル(ESP、GRE、OSPF など)はそのまま通ります。{proto: esp, to: 192.0.2.7} のような項目を書くと、そのプロトコルは書いた相手からだけ通ります。"))
	b.WriteString("monban: 1\n")
	if len(list) == 0 {
		b.WriteString("doors: []\ndefault: closed\n")
		return b.String()
	}
	b.WriteString("doors:\n")
	for i := range list {
		e := &list[i]
		var names []string
		for j := range e.Doors {
			if name := v.who(&e.Doors[j]); len(names) == 0 || names[len(names)-1] != name {
				names = append(names, name)
			}
		}
		text := strings.Join(names, "; ")
		if e.Doors[0].Bind.Port.Proto == monban.TCP {
			text += say(plural(e.Connections, "; %d connection now", "; %d connections now"), "。いまの接続は %d 件", e.Connections)
		}
		comment("  ", text)
		switch {
		case e.Client:
			comment("  ", say("Most likely this program's own questions to others: answers come in without an entry. Left out.",
				"プログラムが外に問い合わせるためのソケットのようです。応答は指定がなくても届くため、外しています。"))
			b.WriteString("  # - " + e.Entry + "\n")
			continue
		case e.Closed:
			comment("  ", say("Nobody outside this machine can reach it now, so it is left out.", "いまこのマシンの外からは届かないため、外しています。"))
			b.WriteString("  # - " + e.Entry + "\n")
			continue
		case len(e.Risks) > 0:
			comment("  ", say("Risk when everybody can reach it: %s %s", "誰でも届く場合の危険: %s%s", e.Risks[0].Text.In(l.String()), e.Risks[0].Remedy.In(l.String())))
		case e.Doors[0].Bind.Port.Proto == monban.TCP && e.Connections == 0:
			comment("  ", say("Nobody is connected: perhaps nobody needs it from outside.", "接続がないため、外からは不要かもしれません。"))
		}
		b.WriteString("  - " + e.Entry + "\n")
	}
	b.WriteString("default: closed\n")
	return b.String()
}

// UnknownGuard says that guard has no such verb.
func UnknownGuard(word string) error {
	return usageProblem("monban guard has no command %q; see monban guard --help", "monban guard に %q というコマンドはありません。monban guard --help を見てください", word)
}
