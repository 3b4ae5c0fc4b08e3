package probe

import (
	"sync"
	"time"
)

// budget is the ceiling of the whole scan, shared by its threads.
type budget struct {
	mu     sync.Mutex
	rate   float64
	tokens float64
	at     time.Duration
}

func newBudget(rate float64) *budget { return &budget{rate: rate} }

// take returns how many of n probes may be sent now. A thread may come with a time
// that is before that of the last one.
func (b *budget) take(n int, now time.Duration) int {
	if b.rate == 0 {
		return n
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if now > b.at {
		b.tokens = min(b.tokens+b.rate*(now-b.at).Seconds(), 2*allowance(b.rate))
		b.at = now
	}
	n = min(n, int(b.tokens))
	b.tokens -= float64(n)
	return n
}

// give returns probes that were taken and not sent.
func (b *budget) give(n int) {
	if b.rate != 0 && n > 0 {
		b.mu.Lock()
		b.tokens += float64(n)
		b.mu.Unlock()
	}
}
