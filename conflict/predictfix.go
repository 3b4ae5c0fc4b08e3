package conflict

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
)

// explain gives a failure its cause and what to do about it, the smallest first.
func (p *prediction) explain(c *monban.Claim, a *attempt, done *monban.Checked) {
	j := &done.Judgement
	if j.Outcome != monban.Fails {
		return
	}
	if j.Cause == "" && len(done.Rivals) > 0 {
		j.Cause = string(p.rivalCause(c, a, done.Rivals[0]))
		j.Fix = p.rivalFixes(c, a, done)
		return
	}
	if len(j.Against) > 0 && sameSoftware(c, &j.Against[0]) {
		j.Cause = string(L22)
	}
}

// sameSoftware reports whether another copy of the claim's program has a door.
func sameSoftware(c *monban.Claim, d *monban.Door) bool {
	if len(d.Owners) == 0 || d.To.Container != "" || d.Owners[0].Container != "" {
		return false
	}
	o := &d.Owners[0]
	return o.PID != 1 && hasExe(&c.Program, o) && !isRuntime(o.Name) && sameInstallation(&c.Program, o)
}

// rivalCause names why an earlier claim is in the way.
func (p *prediction) rivalCause(c *monban.Claim, a *attempt, rival int) Cause {
	r := &p.out[rival].Claim
	switch {
	case c.Program.Project != "" && c.Program.Project == r.Program.Project:
		return D4
	case c.By == "kubernetes" && r.By == "kubernetes":
		if strings.HasPrefix(c.Name, "service/") && strings.HasPrefix(r.Name, "service/") {
			return D11
		}
		return D10
	case oneProgram(c, r):
		return L21
	case a.want.Port.Proto == monban.UDP && (a.sock.reuseAddr || a.sock.reusePort):
		return L6
	}
	other := p.out[rival].Judgement.Bind
	at := a.socket(other, 0).at
	switch {
	case at.v6 != a.sock.at.v6 && (at.any() || a.sock.at.any()):
		return L3
	case at.addr != a.sock.at.addr:
		return L2
	}
	return L1
}

// oneProgram reports whether two claims come from one configuration of one
// program. Each item of monban's own claims file is a program of its own.
func oneProgram(c, r *monban.Claim) bool {
	if c.By != r.By || c.By == "claims" {
		return false
	}
	if c.Program.Config != "" || r.Program.Config != "" {
		return c.Program.Config == r.Program.Config
	}
	return c.Name == r.Name && c.Pos.File == r.Pos.File
}

// rivalFixes orders what can be done about an earlier claim.
func (p *prediction) rivalFixes(c *monban.Claim, a *attempt, done *monban.Checked) []monban.Fix {
	num := strconv.Itoa(int(a.want.Port.Num))
	edit := p.editPort(c, a.want)
	switch Cause(done.Judgement.Cause) {
	case L21, D4:
		if n := p.copies(c); n > 0 {
			last := strconv.Itoa(min(int(a.want.Port.Num)+n, 65535))
			return []monban.Fix{{Code: FixWriteRange, Args: []string{c.Pos.String(), num, last}}}
		}
		if c.Pos.Line > 0 && !c.Default {
			return []monban.Fix{{Code: FixDeleteLine, Args: []string{c.Pos.String()}}, edit}
		}
	case L3:
		if settlesV6Only(c.By) {
			return []monban.Fix{edit, {Code: FixV6Only, Args: []string{num}}}
		}
	case L2:
		if a.want.Wildcard() {
			return []monban.Fix{{Code: FixOtherAddress, Args: []string{num}}, edit}
		}
	}
	return []monban.Fix{edit}
}

// settlesV6Only reports whether a format has a setting for IPV6_V6ONLY. Who has a
// Spring or a Node.js server is not helped by the name of a socket option.
func settlesV6Only(by string) bool {
	switch by {
	case "nginx", "haproxy", "systemd", "lighttpd", "claims":
		return true
	}
	return false
}

// copies counts the claims before c that the same place in a file makes for the
// same door: the copies of a Compose service (scale, deploy.replicas).
func (p *prediction) copies(c *monban.Claim) (n int) {
	for i := range p.out {
		if o := &p.out[i].Claim; c.Pos.Line > 0 && o.Pos == c.Pos && o.Name == c.Name && o.Bind == c.Bind {
			n++
		}
	}
	return n
}

// mover is a program that has to move from a port, with all of its doors there.
type mover struct {
	by, config string
	port       monban.Port
}

// editPort is [FixOtherPort] where it is known what line to change.
func (p *prediction) editPort(c *monban.Claim, want monban.Bind) monban.Fix {
	who := mover{c.By, cmp.Or(c.Program.Config, c.Program.Project, c.Pos.File), want.Port}
	f, moved := p.moves[who]
	if !moved {
		f = otherPort(want, &p.snap.Host, p.open)
		if n, err := strconv.Atoi(f.Args[1]); err == nil {
			p.open.add(monban.Port{Num: uint16(n), Proto: want.Port.Proto}) // the next one gets another
		}
		p.moves[who] = f
	}
	if c.Pos.File == "" {
		return f
	}
	return monban.Fix{Code: FixEditPort, Args: append(slices.Clone(f.Args), c.Pos.String())}
}

// settle names the claims behind the doors in the way: a running program's claim
// may stand after the one it is in the way of.
func (p *prediction) settle() {
	type place struct {
		port   monban.Port
		addr   netip.Addr
		device string
		inode  uint64
	}
	at := func(d *monban.Door) place { return place{d.Bind.Port, d.Bind.Addr, d.Bind.Device, d.Inode} }
	running := map[place][]int{}
	for i := range p.out {
		for k := range p.out[i].Own {
			d := at(&p.out[i].Own[k])
			running[d] = append(running[d], i)
		}
	}
	if len(running) == 0 {
		return
	}
	for i := range p.out {
		done := &p.out[i]
		if done.Judgement.Outcome == monban.Running || done.Judgement.Outcome == monban.Starts {
			continue
		}
		for k := range done.Judgement.Against {
			for _, r := range running[at(&done.Judgement.Against[k])] {
				if !slices.Contains(done.Rivals, r) {
					done.Rivals = append(done.Rivals, r)
				}
			}
		}
	}
}
