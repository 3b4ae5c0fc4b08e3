package bpfiter

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Iterator is the loaded program. It is gone with the last of its descriptors.
type Iterator struct{ link int }

// Open loads the program. An error means that the kernel cannot be asked in this
// way, or not by this user.
func Open() (*Iterator, error) {
	btf, release, err := kernelTypes()
	if err != nil {
		return nil, err
	}
	l, err := readLayout(btf)
	release()
	if err != nil {
		return nil, err
	}
	link, err := l.load()
	if err != nil {
		return nil, err
	}
	return &Iterator{link}, nil
}

// Close unloads the program.
func (it *Iterator) Close() error { return unix.Close(it.link) }

// Sockets returns the open sockets of the processes that the caller's process
// namespace shows, as they are now: those whose inode is wanted, since there may be
// a million.
func (it *Iterator) Sockets(wanted func(inode uint64) bool) ([]Socket, error) {
	attr := iterCreate{Link: uint32(it.link)}
	fd, err := bpf(unix.BPF_ITER_CREATE, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	if err != nil {
		return nil, fmt.Errorf("opening the iterator: %w", err)
	}
	defer unix.Close(fd)
	return readAll(fd, wanted)
}

// kernelTypes returns the BTF of the running kernel.
func kernelTypes() (btf []byte, release func(), err error) {
	f, err := os.Open("/sys/kernel/btf/vmlinux")
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	const most = 64 << 20
	if info.Size() <= 0 || info.Size() > most {
		return nil, nil, fmt.Errorf("/sys/kernel/btf/vmlinux has %d bytes", info.Size())
	}
	// Mapped, since Linux 6.16, nothing is copied.
	if b, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_POPULATE); err == nil {
		return b, func() { _ = unix.Munmap(b) }, nil
	}
	b, err := os.ReadFile("/sys/kernel/btf/vmlinux")
	return b, func() {}, err
}

// load loads the program and links it to the iterator.
func (l *layout) load() (link int, err error) {
	code := l.program()
	// These instructions may be used under the MIT licence, too: the kernel hands
	// bpf_seq_write to programs that the GPL allows only.
	license := []byte("Dual MIT/GPL\x00")
	attr := progLoad{
		Type: unix.BPF_PROG_TYPE_TRACING, Count: uint32(len(code) / insnSize),
		Code: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(code)))), License: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(license)))),
		AttachType: unix.BPF_TRACE_ITER, AttachID: l.iterator,
	}
	copy(attr.Name[:], "monban_sockets")
	prog, err := bpf(unix.BPF_PROG_LOAD, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	runtime.KeepAlive(code)
	runtime.KeepAlive(license)
	if err != nil {
		return 0, fmt.Errorf("loading the iterator: %w", err)
	}
	defer unix.Close(prog)
	linkAttr := linkCreate{Prog: uint32(prog), AttachType: unix.BPF_TRACE_ITER}
	link, err = bpf(unix.BPF_LINK_CREATE, unsafe.Pointer(&linkAttr), unsafe.Sizeof(linkAttr))
	if err != nil {
		return 0, fmt.Errorf("linking the iterator: %w", err)
	}
	return link, nil
}

// The arguments of bpf(2), from the start of union bpf_attr
// (include/uapi/linux/bpf.h) to the last that is used.
type progLoad struct {
	Type, Count                             uint32
	Code, License                           uint64
	LogLevel, LogSize                       uint32
	LogBuf                                  uint64
	KernelVersion, Flags                    uint32
	Name                                    [16]byte
	Interface, AttachType, BTF, FuncInfoLen uint32
	FuncInfo                                uint64
	FuncInfoCount, LineInfoLen              uint32
	LineInfo                                uint64
	LineInfoCount, AttachID                 uint32
	AttachFD, _                             uint32
}

type linkCreate struct{ Prog, Target, AttachType, Flags uint32 }

type iterCreate struct{ Link, Flags uint32 }

func bpf(cmd int, attr unsafe.Pointer, size uintptr) (fd int, err error) {
	for {
		r, _, errno := unix.Syscall(unix.SYS_BPF, uintptr(cmd), uintptr(attr), size)
		switch errno {
		case 0:
			return int(r), nil
		case unix.EINTR, unix.EAGAIN: // the verifier was interrupted
		default:
			return 0, errno
		}
	}
}

// readAll reads the records. The kernel goes over the tasks while they are read.
func readAll(fd int, wanted func(uint64) bool) ([]Socket, error) {
	var list []Socket
	buf := make([]byte, 32<<10) // as much as the kernel has ready at a time
	have := 0
	for {
		n, err := unix.Read(fd, buf[have:])
		switch {
		case err == unix.EINTR, err == unix.EAGAIN: // a million tasks without a socket
			continue
		case err != nil:
			return nil, os.NewSyscallError("read", err)
		case n == 0:
			return list, nil
		}
		have += n
		at := 0
		for ; have-at >= recordSize; at += recordSize {
			if s := parseRecord(buf[at:]); s.PID > 0 && wanted(s.Inode) {
				list = append(list, s)
			}
		}
		have = copy(buf, buf[at:have])
	}
}

func parseRecord(b []byte) Socket {
	ne := binary.NativeEndian
	return Socket{Inode: ne.Uint64(b), PID: int(int32(ne.Uint32(b[8:]))), FD: int(ne.Uint32(b[12:]))}
}
