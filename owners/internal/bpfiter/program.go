package bpfiter

import "encoding/binary"

// recordSize is the size of what the program writes for a socket: its inode (8
// bytes), the process (4) and the number of the file (4).
const recordSize = 16

// Registers.
const (
	r0 = iota
	r1
	r2
	r3
	r6 = iota + 2
	r7
	r8
	r9
	fp
)

// Codes of instructions (Documentation/bpf/standardization/instruction-set.rst).
const (
	loadHalf   = 0x69 // dst = *(u16 *)(src + off)
	loadWord   = 0x61
	loadDouble = 0x79
	storeWord  = 0x63 // *(u32 *)(dst + off) = src
	storeDW    = 0x7b
	andImm     = 0x57
	addImm     = 0x07
	movImm     = 0xb7
	movReg     = 0xbf
	jumpEqual  = 0x15 // to off, if dst == imm
	jumpOther  = 0x55 // to off, if dst != imm
	jump       = 0x05
	call       = 0x85
	exit       = 0x95

	seqWrite    = 127 // bpf_seq_write(seq, data, len)
	currentTask = 158 // bpf_get_current_task_btf(), since Linux 5.11
)

// The context of task_file: pointers to the iteration, the task and the file, with
// the file's number between the last two (struct bpf_iter__task_file).
const (
	ctxMeta = 0
	ctxTask = 8
	ctxFD   = 16
	ctxFile = 24
)

// maxLevel is how deep process namespaces may lie in each other for the program.
// The kernel allows 32.
const maxLevel = 8

// program returns the instructions: for a file that is a socket, write a record.
//
// The kernel lets the program follow pointers of its types without asking whether
// they lead anywhere: what cannot be read is 0. The places it reads from have to
// be constant, so the number of a process in the caller's namespace is read by one
// of several instructions.
func (l *layout) program() []byte {
	var p assembler
	p.op(movReg, r6, r1, 0, 0)
	p.op(loadDouble, r7, r6, ctxTask, 0)
	p.endIf(jumpEqual, r7, 0)
	p.op(loadDouble, r8, r6, ctxFile, 0)
	p.endIf(jumpEqual, r8, 0)
	p.op(loadWord, r9, r6, ctxFD, 0)
	p.op(storeWord, fp, r9, -4, 0)
	p.op(loadDouble, r8, r8, l.fileInode, 0)
	p.op(loadHalf, r9, r8, l.inodeMode, 0)
	p.op(andImm, r9, 0, 0, 0xf000) // S_IFMT
	p.endIf(jumpOther, r9, 0xc000) // S_IFSOCK
	p.op(loadDouble, r9, r8, l.inodeNum, 0)
	p.op(storeDW, fp, r9, -16, 0)
	p.op(loadDouble, r8, r7, l.taskLeader, 0)
	p.op(loadDouble, r8, r8, l.taskPID, 0)
	p.op(call, 0, 0, 0, currentTask)
	p.op(loadDouble, r9, r0, l.taskPID, 0)
	p.op(loadWord, r9, r9, l.pidLevel, 0)
	for level := range maxLevel {
		p.op(jumpOther, r9, 0, 3, int32(level))
		p.op(loadWord, r9, r8, l.pidNumbers+int16(level*upidSize), 0)
		p.op(storeWord, fp, r9, -8, 0)
		p.op(jump, 0, 0, int16(4*(maxLevel-1-level)+1), 0)
	}
	p.endIf(jump, 0, 0) // the caller lies too deep
	p.op(loadDouble, r1, r6, ctxMeta, 0)
	p.op(loadDouble, r1, r1, 0, 0) // meta->seq
	p.op(movReg, r2, fp, 0, 0)
	p.op(addImm, r2, 0, 0, -recordSize)
	p.op(movImm, r3, 0, 0, recordSize)
	p.op(call, 0, 0, 0, seqWrite)
	return p.end()
}

// assembler writes instructions. All jumps lead to the end.
type assembler struct {
	code  []byte
	jumps []int
}

func (a *assembler) op(code, dst, src byte, off int16, imm int32) {
	le := binary.NativeEndian
	a.code = append(a.code, code, dst|src<<4)
	a.code = le.AppendUint16(a.code, uint16(off))
	a.code = le.AppendUint32(a.code, uint32(imm))
}

// endIf ends the program where a comparison with a number holds.
func (a *assembler) endIf(code, reg byte, number int32) {
	a.jumps = append(a.jumps, len(a.code))
	a.op(code, reg, 0, 0, number)
}

const insnSize = 8

func (a *assembler) end() []byte {
	for _, at := range a.jumps {
		binary.NativeEndian.PutUint16(a.code[at+2:], uint16((len(a.code)-at)/insnSize-1))
	}
	a.op(movImm, r0, 0, 0, 0)
	a.op(exit, 0, 0, 0, 0)
	return a.code
}
