package exposure

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/monban-dev/monban"
)

// model is a set that is easy to believe.
type model map[int]bool

func randomSet(rng *rand.Rand) (set, model) {
	s, m := set{}, model{}
	for range rng.IntN(5) {
		first := rng.IntN(400)
		last := first + rng.IntN(200)
		part := span(first, last)
		s.add(&part)
		for i := first; i <= last; i++ {
			m[i] = true
		}
	}
	return s, m
}

func (m model) same(s *set) bool {
	n := 0
	for i := range 700 {
		if s.has(i) != m[i] {
			return false
		}
	}
	s.runs(func(first, last int) { n += last - first + 1 })
	return n == len(m) && s.empty() == (len(m) == 0)
}

// TestSet compares operations on random sets with those on maps.
func TestSet(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		a, ma := randomSet(rng)
		b, mb := randomSet(rng)
		if !ma.same(&a) {
			t.Fatalf("%v is not %v", a, ma)
		}
		both, either, without := model{}, maps.Clone(ma), maps.Clone(ma)
		inside := true
		for i := range mb {
			either[i] = true
			delete(without, i)
			if ma[i] {
				both[i] = true
			}
		}
		for i := range ma {
			inside = inside && mb[i]
		}
		x := and(&a, &b)
		if !both.same(&x) || meets(&a, &b) != (len(both) > 0) || within(&a, &b) != inside {
			t.Fatalf("%v and %v: %v", a, b, x)
		}
		x = a
		x.add(&b)
		if !either.same(&x) {
			t.Fatalf("%v and %v together: %v", a, b, x)
		}
		x = a
		x.remove(&b)
		if !without.same(&x) || !ma.same(&a) {
			t.Fatalf("%v without %v: %v", a, b, x)
		}
		y := x
		if !equal(&x, &y) || x.hash() != y.hash() {
			t.Fatalf("%v is not itself", x)
		}
	}
}

// TestSpace cuts addresses at random places and puts them together again.
func TestSpace(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		c := &cutter{family: monban.IPv4}
		var prefixes []netip.Prefix
		for range 1 + rng.IntN(20) {
			a := netip.AddrFrom4([4]byte{byte(rng.IntN(256)), byte(rng.IntN(256)), byte(rng.IntN(256)), byte(rng.IntN(256))})
			p := netip.PrefixFrom(a, rng.IntN(33)).Masked()
			prefixes = append(prefixes, p)
			c.prefix(p)
		}
		s := c.space()
		all := s.all()
		if got := fmt.Sprint(s.ranges(&all)); got != "[0.0.0.0/0]" {
			t.Fatalf("everything is %s", got)
		}
		for _, p := range prefixes {
			atoms := s.prefix(p)
			if got := s.ranges(&atoms); !slices.Equal(got, []monban.AddrRange{monban.RangeOf(p)}) {
				t.Fatalf("%s is %v", p, got)
			}
			if !atoms.has(s.example(&atoms)) {
				t.Fatalf("%s: an example from outside", p)
			}
		}
	}
}
