package bpfiter

import (
	"encoding/binary"
	"strings"
	"testing"
)

// types makes BTF: of structures, each a name and its members, a byte apart, and
// of the iterator's function.
func types(structures ...string) []byte {
	ne := binary.NativeEndian
	names := []byte{0}
	name := func(s string) uint32 {
		at := len(names)
		names = append(append(names, s...), 0)
		return uint32(at)
	}
	var list []byte
	word := func(words ...uint32) {
		for _, w := range words {
			list = ne.AppendUint32(list, w)
		}
	}
	word(0, kindInt<<24, 4, 32) // "", to be passed over
	for _, s := range structures {
		fields := strings.Fields(s)
		word(name(fields[0]), kindStruct<<24|uint32(len(fields)-1), 8)
		for i, f := range fields[1:] {
			word(name(f), 1, uint32(8*(i+1)))
		}
	}
	word(name("bpf_iter_task_file"), kindFunc<<24, 1)
	b := []byte{0x9f, 0xeb, 1, 0}
	for _, n := range []int{24, 0, len(list), len(list), len(names)} {
		b = ne.AppendUint32(b, uint32(n))
	}
	return append(append(b, list...), names...)
}

func kernel() []string {
	return []string{"file f_op f_inode", "inode i_mode i_uid i_ino", "task_struct group_leader thread_pid", "pid count level numbers"}
}

func TestLayout(t *testing.T) {
	l, err := readLayout(types(kernel()...))
	want := layout{iterator: 6, fileInode: 2, inodeMode: 1, inodeNum: 3, taskLeader: 1, taskPID: 2, pidLevel: 2, pidNumbers: 3}
	if err != nil || l != want {
		t.Errorf("%+v, %v, want %+v", l, err, want)
	}
	for i := range kernel() {
		less := kernel()
		less[i] = strings.Fields(less[i])[0] + " other"
		if l, err := readLayout(types(less...)); err == nil {
			t.Errorf("without %q: %+v", kernel()[i], l)
		}
	}
	whole := types(kernel()...)
	for n := range whole {
		if l, err := readLayout(whole[:n]); err == nil {
			t.Errorf("the first %d bytes: %+v", n, l)
		}
	}
}

func FuzzLayout(f *testing.F) {
	f.Add(types(kernel()...))
	f.Add(types())
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := readLayout(b)
		if err != nil {
			return
		}
		for _, field := range l.fields() {
			if *field.to < 0 {
				t.Errorf("%s of %s at %d", field.name, field.structure, *field.to)
			}
		}
		if code := l.program(); len(code)%insnSize != 0 {
			t.Errorf("%d bytes of code", len(code))
		}
	})
}
