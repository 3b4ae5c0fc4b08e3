package owners

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/netnstest"
	"github.com/monban-dev/monban/owners/internal/bpfiter"
)

// TestIterate wants the kernel's iterator and /proc to tell the same of random
// processes: some share their sockets, and some have them in a thread only, which
// /proc shows where it is looked through thread by thread.
func TestIterate(t *testing.T) {
	needRoot(t)
	it, err := bpfiter.Open() // or Name would ask /proc, and nothing here would fail
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	holders := make(map[uint64][]int) // the inodes of sockets
	hidden := make(map[uint64]bool)   // in a thread's own table
	for range 25 {
		switch n := rand.IntN(10); n {
		case 0:
			h := start(t, "thread", nil)
			inode := h.inode()
			holders[inode], hidden[inode] = []int{h.pid}, true
		case 1, 2, 3:
			h := start(t, "serve", nil)
			words := h.words()
			pids := []int{h.pid}
			for _, w := range words[1:] {
				pid, err := strconv.Atoi(w)
				if err != nil {
					t.Fatal(err)
				}
				pids = append(pids, pid)
			}
			holders[number(t, words[0])] = pids
		default:
			h := start(t, "listen", nil, strconv.Itoa(1+rand.IntN(60)))
			for _, w := range h.words() {
				holders[number(t, w)] = []int{h.pid}
			}
		}
	}
	listed, err := it.Sockets(func(inode uint64) bool { return holders[inode] != nil })
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[uint64][]int)
	for _, s := range listed {
		found[s.Inode] = append(found[s.Inode], s.PID)
	}
	for inode, want := range holders {
		slices.Sort(want)
		slices.Sort(found[inode])
		got := slices.Compact(found[inode]) // a process may have two descriptors of one socket
		if !slices.Equal(got, want) {
			t.Errorf("the iterator has inode %d with %d, want %d", inode, got, want)
		}
	}
	var doors []monban.Door
	for inode := range holders {
		doors = append(doors, monban.Door{Inode: inode, State: monban.Listen})
	}
	iterated := append([]monban.Door(nil), doors...)
	walked := append([]monban.Door(nil), doors...)
	if gaps := Name(t.Context(), iterated, Options{many: 1}); len(gaps) > 0 {
		t.Errorf("iterator: %v", gaps)
	}
	Name(t.Context(), walked, Options{many: math.MaxInt})
	for i := range doors {
		inode := doors[i].Inode
		if !hidden[inode] {
			if d := cmp.Diff(walked[i].Owners, iterated[i].Owners); d != "" {
				t.Errorf("inode %d (-proc +iterator):\n%s", inode, d)
			}
		}
		got, want := make(map[string]bool), make(map[string]bool)
		for _, o := range iterated[i].Owners {
			got[strconv.Itoa(o.PID)] = true
		}
		for _, pid := range holders[inode] {
			want[strconv.Itoa(pid)] = true
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("inode %d (-want +iterator):\n%s", inode, d)
		}
	}
}

// TestIterateNested looks from a process namespace of its own, where processes have
// other numbers.
func TestIterateNested(t *testing.T) {
	needRoot(t)
	h := start(t, "nest", func(c *exec.Cmd) {
		c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS}
	})
	var listed []bpfiter.Socket
	if err := json.NewDecoder(h.out).Decode(&listed); err != nil {
		t.Fatal(err)
	}
	if len(listed) != 1 || listed[0].PID != 1 {
		t.Errorf("%+v, want one socket of pid 1", listed)
	}
}

// TestIterateRefused wants /proc to be asked where the kernel refuses the program:
// of somebody who may not load any.
func TestIterateRefused(t *testing.T) {
	needRoot(t)
	path := copySelf(t, t.TempDir(), "server")
	nobody := func(c *exec.Cmd) {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: netnstest.Nobody, Gid: netnstest.Nobody}}
	}
	h := start(t, "listen", func(c *exec.Cmd) {
		c.Path, c.Dir = path, "/"
		nobody(c)
	})
	v := nameAs(t, nobody, "many", strconv.FormatUint(h.inode(), 10))
	if len(v.Doors) != 1 || len(v.Doors[0].Owners) != 1 || v.Doors[0].Owners[0].PID != h.pid {
		t.Errorf("%+v, gaps %v", v.Doors, v.Gaps)
	}
}
