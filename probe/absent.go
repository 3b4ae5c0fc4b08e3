package probe

// In a sweep most addresses may have nobody, and each pass over them costs as much as
// the first. So only hosts that have answered are asked again and again, once it is
// unlikely enough that one is there and was unlucky with every question.

// absent reports whether a door is of a host that is not asked in this pass: nobody
// can, it is taken to be absent, or a router could not reach it a moment ago.
func (f *flow) absent(door uint64) bool {
	host := door / uint64(len(f.grid.ports))
	return f.sweep && (f.unreachable.has(host) || !f.alive.has(host) && (f.pass > f.sought || f.unreached.has(host)))
}

// seek decides, when a pass begins, whether it asks the hosts too that have not
// answered: the first two do.
func (f *flow) seek() {
	if f.sought == f.pass-1 && (f.pass <= 2 || f.missedHosts() >= goodEnough) {
		f.sought = f.pass
	}
}

// missedHosts estimates how many open doors there are of hosts that have not answered
// at all. One of which k doors answer is missed if each of them was unlucky in each
// pass, which has the chance u to the k; so for every such host that was seen there are
// u^k/(1-u^k) that were not (Horvitz and Thompson).
func (f *flow) missedHosts() (sum float64) {
	if !f.sweep || f.news == 0 {
		return 0
	}
	u := f.unlucky(f.sought)
	first := f.from / uint64(len(f.grid.ports))
	for h := first; h < first+f.hosts(); h++ {
		if !f.alive.has(h) {
			continue
		}
		opened, answered := f.grid.openAt(h)
		if opened == 0 {
			continue
		}
		all := 1.0
		for range answered {
			if all *= u; all < 1e-15 {
				break
			}
		}
		if all >= 1 {
			return float64(f.open)
		}
		sum += float64(opened) * all / (1 - all)
	}
	return sum
}
