package child

import (
	"errors"
	"io"
	"os"
	"time"
)

// tail keeps the end of what is written to it.
type tail struct{ buf []byte }

func (t *tail) add(p []byte) {
	t.buf = append(t.buf, p...)
	if len(t.buf) > 2*maxSaid {
		t.buf = append(t.buf[:0], t.buf[len(t.buf)-maxSaid:]...)
	}
}

func (t *tail) bytes() []byte { return t.buf[max(0, len(t.buf)-maxSaid):] }

// listener hears what the command writes to its stderr, without standing in its
// way where that could be noticed.
type listener struct {
	// w is the write end of a pipe that stands for stderr, and r is the other
	// end; nil where the command has stderr itself.
	r, w *os.File
	out  *os.File // stderr
	done chan struct{}
	tail tail
	// file and from are where the command's words can be read afterwards.
	file *os.File
	from int64
}

// listen decides how to hear. A terminal must stay one, and a device is none of
// our business. What goes to a file is read from there. Only in front of a pipe
// or a socket there is a pipe of our own, which nobody can tell from it.
func listen(stderr *os.File) *listener {
	l := &listener{}
	info, err := stderr.Stat()
	switch {
	case err != nil:
	case info.Mode().IsRegular():
		l.openFile(stderr, info.Size())
	case info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0:
		l.openPipe(stderr)
	}
	return l
}

func (l *listener) heard() bool { return l.file != nil || l.r != nil }

func (l *listener) openPipe(stderr *os.File) {
	// Writing to descriptor 2 itself, Go would end this process with SIGPIPE
	// when nobody reads any more.
	out, err := duplicate(stderr)
	if err != nil {
		return
	}
	r, w, err := os.Pipe()
	if err != nil {
		out.Close()
		return
	}
	l.r, l.w, l.out, l.done = r, w, out, make(chan struct{})
}

// started is called when the command has its own descriptors.
func (l *listener) started() {
	if l.r == nil {
		return
	}
	l.w.Close()
	go func() {
		defer close(l.done)
		if err := l.pass(); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			l.r.Close() // nobody listens to the command: it is to learn that, too
		}
	}()
}

// pass copies what the command says. It returns nil at the end of it.
func (l *listener) pass() error {
	buf := make([]byte, 32<<10)
	for {
		n, err := l.r.Read(buf)
		if n > 0 {
			l.tail.add(buf[:n])
			if _, err := l.out.Write(buf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			l.r.Close()
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// linger is how long to wait for the end of the pipe when the command has ended.
// What it said is in there already; only a process that the command left behind,
// and that has the pipe open, makes us wait.
const linger = 50 * time.Millisecond

// ended returns what the command said. Processes that it left behind go on
// writing to where they always did.
func (l *listener) ended() []byte {
	switch {
	case l.file != nil:
		defer l.file.Close()
		return readTail(l.file, l.from)
	case l.r == nil:
		return nil
	}
	_ = l.r.SetReadDeadline(time.Now().Add(linger)) // a pipe can
	<-l.done
	l.rest()
	l.leave()
	l.out.Close()
	return l.tail.bytes()
}

// readTail reads the end of a file from an offset on.
func readTail(f *os.File, from int64) []byte {
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	from = max(from, info.Size()-maxSaid)
	b, err := io.ReadAll(io.NewSectionReader(f, from, max(0, info.Size()-from)))
	if err != nil {
		return nil
	}
	return b
}

// same reports whether two descriptors lead to the same place: what goes through
// both has to stay in order.
func same(a, b *os.File) bool {
	ai, err := a.Stat()
	if err != nil {
		return false
	}
	bi, err := b.Stat()
	return err == nil && os.SameFile(ai, bi)
}
