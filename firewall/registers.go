package firewall

import (
	"slices"

	"github.com/monban-dev/monban"
)

// registers is what is known to be in the registers of nf_tables' little machine
// while a rule is read: 64 bytes, which the kernel calls NFT_REG32_00 to
// NFT_REG32_15, four at a time NFT_REG_1 to NFT_REG_4.
type registers struct{ cells []cell }

// cell is a run of bytes with one origin. Load.Len is their number.
type cell struct {
	at   int
	load monban.Load
}

const registerBytes = 64

// place returns where register r begins; r is one of enum nft_registers.
func place(r uint32) (int, bool) {
	switch {
	case r >= 1 && r <= 4:
		return int(r-1) * 16, true
	case r >= 8 && r < 24:
		return int(r-8) * 4, true
	}
	return 0, false
}

// put says that the loads lie one behind the other from byte at on.
func (r *registers) put(at int, loads ...monban.Load) {
	end := at
	for _, l := range loads {
		end += l.Len
	}
	end = (end + 3) &^ 3
	r.cells = slices.DeleteFunc(r.cells, func(c cell) bool { return c.at < end && c.at+c.load.Len > at })
	for _, l := range loads {
		r.cells = append(r.cells, cell{at, l})
		at += l.Len
	}
}

// get returns what the n bytes from at on are, or false where that is not known.
func (r *registers) get(at, n int) ([]monban.Load, bool) {
	var out []monban.Load
	for n > 0 {
		i := slices.IndexFunc(r.cells, func(c cell) bool { return c.at <= at && at < c.at+c.load.Len })
		if i < 0 {
			return nil, false
		}
		l, skip := r.cells[i].load, at-r.cells[i].at
		take := min(n, l.Len-skip)
		if take < l.Len {
			if l = part(l, skip, take); l.Len == 0 {
				return nil, false
			}
		}
		out = append(out, l)
		at, n = at+take, n-take
	}
	return out, true
}

// name returns what is loaded at a place, for people, other where that is not known.
func (r *registers) name(at int, other string) string {
	i := slices.IndexFunc(r.cells, func(c cell) bool { return c.at <= at && at < c.at+c.load.Len })
	if i < 0 || r.cells[i].load.Name == "" {
		return other
	}
	return r.cells[i].load.Name
}

// part returns some bytes of a load, the zero Load where they cannot be told.
func part(l monban.Load, skip, n int) monban.Load {
	if l.Little || l.Field == monban.FieldOther || l.Field == monban.FieldRandom {
		return monban.Load{}
	}
	if l.Mask != nil {
		l.Mask, l.Xor = l.Mask[skip:skip+n], l.Xor[skip:skip+n]
	}
	if l.Field == monban.FieldConstant {
		l.Value = l.Value[skip : skip+n]
	} else {
		l.Offset += skip
	}
	l.Len = n
	return l
}

// key returns the loads of a set's key of n bytes: each part begins at a multiple
// of four.
func (r *registers) key(at, n int) ([]monban.Load, bool) {
	var out []monban.Load
	for end := at + n; at < end; {
		i := slices.IndexFunc(r.cells, func(c cell) bool { return c.at == at })
		if i < 0 {
			// A part of a longer load, such as two addresses loaded at once.
			loads, ok := r.get(at, min(4, end-at))
			if !ok {
				return nil, false
			}
			out, at = append(out, loads...), at+4
			continue
		}
		l := r.cells[i].load
		if l.Len > end-at {
			loads, ok := r.get(at, end-at)
			if !ok {
				return nil, false
			}
			return append(out, loads...), true
		}
		out = append(out, l)
		at += (l.Len + 3) &^ 3
	}
	return out, true
}

// reversed returns b backwards.
func reversed(b []byte) []byte {
	out := slices.Clone(b)
	slices.Reverse(out)
	return out
}
