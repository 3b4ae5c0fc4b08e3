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
