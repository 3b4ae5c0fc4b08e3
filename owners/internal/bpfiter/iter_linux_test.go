package bpfiter

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestSockets compares what the iterator tells with what /proc does.
func TestSockets(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // else there may be no socket at all
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	it, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	before := links(t)
	got, err := it.Sockets(all)
	if err != nil {
		t.Fatal(err)
	}
	after := links(t)
	seen := make(map[Socket]bool)
	for _, s := range got {
		seen[s] = true
		if !before[s] && !after[s] {
			// It may have come and gone between, but a file table of a thread's own
			// is not looked for here.
			t.Logf("only the iterator has %+v", s)
		}
	}
	for s := range before {
		if after[s] && !seen[s] {
			t.Errorf("the iterator leaves out %+v", s)
		}
	}
	if len(got) == 0 {
		t.Error("no socket at all")
	}
}

func all(uint64) bool { return true }

func links(t *testing.T) map[Socket]bool {
	t.Helper()
	out := make(map[Socket]bool)
	names, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		target, err := os.Readlink(name)
		inode, ok := strings.CutPrefix(target, "socket:[")
		if err != nil || !ok {
			continue
		}
		parts := strings.Split(name, "/")
		n, _ := strconv.ParseUint(strings.TrimSuffix(inode, "]"), 10, 64)
		pid, _ := strconv.Atoi(parts[2])
		fd, _ := strconv.Atoi(parts[4])
		out[Socket{Inode: n, PID: pid, FD: fd}] = true
	}
	return out
}

func BenchmarkSockets(b *testing.B) {
	for b.Loop() {
		it, err := Open()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := it.Sockets(all); err != nil {
			b.Fatal(err)
		}
		it.Close()
	}
}

func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		it, err := Open()
		if err != nil {
			b.Fatal(err)
		}
		it.Close()
	}
}

func BenchmarkLayout(b *testing.B) {
	btf, release, err := kernelTypes()
	if err != nil {
		b.Fatal(err)
	}
	defer release()
	for b.Loop() {
		if _, err := readLayout(btf); err != nil {
			b.Fatal(err)
		}
	}
}
