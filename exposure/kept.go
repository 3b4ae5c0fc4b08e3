package exposure

import (
	"slices"

	"github.com/monban-dev/monban"
)

// KeptOut returns for each door that is wanted which sources surely do not come in,
// and by what: answers whose verdict is closed, one for each rule, of which Sources
// are those that it keeps out. Sources that come in at another address of the door,
// or perhaps, are not among them, nor are those that no packet comes from.
func KeptOut(s *monban.Snapshot, wanted func(*monban.Door) bool) [][]monban.Reach {
	out := make([][]monban.Reach, len(s.Doors))
	j := newJudge(s)
	if j.unseen || len(j.steering) > 0 {
		return out
	}
	for i := range s.Doors {
		d := &s.Doors[i]
		if d.State == monban.Bound && d.Bind.Port.Proto != monban.UDP || d.Bind.NetNS != "" && d.Bind.NetNS != s.Host.NetNS || !wanted(d) {
			continue
		}
		for _, f := range [...]monban.Family{monban.IPv4, monban.IPv6} {
			if !answers(d, f) {
				continue
			}
			for _, dev := range j.devs {
				out[i] = append(out[i], j.keptOut(d, f, dev)...)
			}
		}
	}
	return out
}

func (j *judge) keptOut(d *monban.Door, f monban.Family, dev *monban.Interface) []monban.Reach {
	zone := d.Bind.Addr.Zone()
	if d.Bind.Device != "" && d.Bind.Device != dev.Name || zone != "" && zone != dev.Name {
		return nil
	}
	v := j.view(f)
	total, found := j.total(v, d, dev)
	if !found || total == nil {
		return nil
	}
	p := v.program
	valid := j.sources(p, dev)
	type cause struct {
		rule monban.RuleRef
		why  monban.Reason
	}
	var causes []cause
	var kept []set
	add := func(o outcome, src set) {
		if src.empty() {
			return
		}
		c := cause{o.ref(), o.why}
		k := slices.Index(causes, c)
		if k < 0 {
			k = len(causes)
			causes, kept = append(causes, c), append(kept, set{})
		}
		kept[k].add(&src)
	}
	for i := range total.drops {
		o := total.drops[i]
		src := and(&o.src, valid)
		for _, in := range [...]*set{&total.open, &total.conditional, &total.unknown} {
			src.remove(in)
		}
		if o.by != nil {
			// Rules that ask alike are judged as one.
			for _, b := range o.by.block {
				mine := and(&src, &b.steps[0].atoms)
				src.remove(&mine)
				add(outcome{by: b, why: o.why}, mine)
			}
		}
		add(o, src)
	}
	var out []monban.Reach
	for k := range causes {
		out = append(out, monban.Reach{Family: f, Device: dev.Name, Verdict: monban.VerdictClosed, Sources: p.space.ranges(&kept[k]),
			Rule: causes[k].rule, Why: causes[k].why})
	}
	return out
}
