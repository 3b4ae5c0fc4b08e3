package probe

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mostThreads is how many threads one scan has at most.
const mostThreads = 4

// places knows on which processor each thread works, so that no two share one. On a
// busy machine the system is slow to notice: two threads that it had put together
// stayed so for half of a scan or all of it, beside another processor where only
// work of lower rank ran, and took twice as long (two processors, Linux 6.18).
type places struct {
	// cpu is the number of the processor, plus one; 0 is a thread that rests.
	cpu [mostThreads]atomic.Uint32
}

// settle notes where a thread is, and moves it if one before it works there.
func (p *places) settle(thread int) {
	at := processor()
	p.cpu[thread].Store(at)
	for i := range thread {
		if p.cpu[i].Load() == at {
			p.move(thread)
			return
		}
	}
}

// leave notes that a thread rests.
func (p *places) leave(thread int) { p.cpu[thread].Store(0) }

// move takes a thread to a processor where no other one of the scan is, and lets it
// go wherever it may from there. What the system refuses it does without.
func (p *places) move(thread int) {
	var may, free unix.CPUSet
	if unix.SchedGetaffinity(0, &may) != nil {
		return
	}
	free = may
	for i := range p.cpu {
		if at := p.cpu[i].Load(); at > 0 {
			free.Clear(int(at - 1))
		}
	}
	if free.Count() == 0 || unix.SchedSetaffinity(0, &free) != nil {
		return
	}
	_ = unix.SchedSetaffinity(0, &may)
	p.cpu[thread].Store(processor())
}

// processor returns the number of the one that the thread is on, plus one.
func processor() uint32 {
	var n uint32
	_, _, _ = unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&n)), 0, 0) // it cannot fail
	return n + 1
}
