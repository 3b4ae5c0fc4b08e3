package conflict

import "github.com/monban-dev/monban"

// elsewhere judges a claim where the system's rules are not modelled, by what
// holds on every system: one address of a port goes to one program, and nobody
// is in the way at a port that nobody has. Everything between stays unknown.
func (p *prediction) elsewhere(c *monban.Claim, doors []monban.Door, done *monban.Checked) {
	j, h := &done.Judgement, &p.snap.Host
	want := j.Bind
	if want.Port.Proto != monban.TCP && want.Port.Proto != monban.UDP || !want.Addr.IsValid() || h.OS == "" || h.OS == "linux" {
		return
	}
	inUse, refused, cause := string(EADDRINUSE), string(EACCES), L1
	if h.OS == "windows" {
		inUse, refused, cause = "WSAEADDRINUSE", "WSAEACCES", W1
	}
	fail := func(errno string, cause Cause) {
		j.Outcome, j.Stage, j.Errno, j.Reason, j.Cause = monban.Fails, StageBind, errno, "", string(cause)
		j.Fix = []monban.Fix{p.editPort(c, want)}
	}
	for _, r := range h.Excluded {
		if r.Contains(want.Port) {
			fail(refused, W2)
			return
		}
	}
	for i := range doors {
		if d := &doors[i]; d.State != monban.Forwarded && d.Bind.Addr == want.Addr && want.ReusePort != monban.On {
			j.Against = append(j.Against, *d)
		}
	}
	for _, i := range p.plain[want.Port] {
		if other := &p.out[i]; other.Judgement.Bind.Addr == want.Addr && want.ReusePort != monban.On {
			done.Rivals = append(done.Rivals, i)
		}
	}
	switch {
	case len(j.Against) > 0 && holds(c, &j.Against[0], p.snap) == cannotTell:
		j.Reason, j.Missing = ReasonOwners, gaps(p.snap, monban.HidesOwners)
	case len(j.Against) > 0 && sameSoftware(c, &j.Against[0]):
		fail(inUse, L22)
	case len(j.Against) > 0:
		fail(inUse, cause)
	case len(done.Rivals) > 0 && oneProgram(c, &p.out[done.Rivals[0]].Claim):
		fail(inUse, L21)
	case len(done.Rivals) > 0:
		fail(inUse, cause)
	case len(doors) == 0 && len(p.plain[want.Port]) == 0 && len(gaps(p.snap, monban.HidesDoors)) == 0 && (h.OS == "windows" || want.Port.Num >= 1024):
		j.Outcome, j.Reason = monban.Starts, ""
	}
	if j.Outcome != monban.Fails {
		p.plain[want.Port] = append(p.plain[want.Port], len(p.out))
	}
}
