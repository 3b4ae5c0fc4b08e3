package conflict

import "github.com/monban-dev/monban"

// elsewhere judges a claim by the rules of Windows or macOS.
func (p *prediction) elsewhere(c *monban.Claim, want monban.Bind, who asker, view *monban.Snapshot, done *monban.Checked) {
	f := newForeign(want, who, view, p.open)
	f.use = winUseOf(c)
	for _, i := range p.started[want.Port] {
		if other := &p.out[i]; !shareHTTPSys(c, &other.Claim) {
			f.addClaim(i, &other.Claim, other.Judgement.Bind, p.asker(&other.Claim).uid)
		}
	}
	j, m := f.judge()
	done.Judgement = j
	for _, o := range m.against {
		if o.claim >= 0 {
			done.Rivals = append(done.Rivals, o.claim)
		}
	}
	switch {
	case j.Outcome == monban.Fails && len(j.Against) == 0 && len(done.Rivals) > 0:
		done.Judgement.Cause = string(f.rivalCause(c, &p.out[done.Rivals[0]], m.errno))
	case len(j.Against) > 0 && j.Outcome == monban.Fails && sameSoftware(c, &j.Against[0]):
		done.Judgement.Cause = string(L22)
	case j.Outcome == monban.OutcomeUnknown && len(done.Rivals) > 0 && len(j.Against) == 0 && j.Reason == ReasonOptions:
		done.Judgement.Reason = ReasonRivals
	}
	p.hidden(c, done)
	p.forgive(c, done)
	if done.Judgement.Outcome != monban.Fails {
		p.started[want.Port] = append(p.started[want.Port], len(p.out))
	}
}

// shareHTTPSys reports whether both claims are web sites of the server in the
// kernel of Windows, which tells them apart by their names and paths.
func shareHTTPSys(c, r *monban.Claim) bool { return c.By == "iis" && r.By == "iis" }

// rivalCause names why an earlier claim is in the way.
func (f *foreign) rivalCause(c *monban.Claim, rival *monban.Checked, errno Errno) Cause {
	r := &rival.Claim
	switch {
	case c.Program.Project != "" && c.Program.Project == r.Program.Project:
		return D4
	case oneProgram(c, r):
		return L21
	case f.windows() && errno == EACCES:
		return W3
	case f.windows():
		return W1
	}
	return f.overlap(&monban.Door{Bind: rival.Judgement.Bind})
}
