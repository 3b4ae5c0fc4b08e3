package free

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"
)

// maxOutput is how much is kept of what a program writes, in bytes.
const maxOutput = 8 << 10

// tail keeps the end of what is written to it.
type tail struct {
	max int
	b   []byte
	cut bool
}

// Write implements io.Writer. It never fails, so that a talkative program is
// neither blocked nor killed.
func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if over := len(t.b) - t.max; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
		t.cut = true
	}
	return len(p), nil
}

// run runs a program and returns the end of what it wrote, its two streams
// together.
func run(ctx context.Context, limit time.Duration, keep int, argv []string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no end after %v", limit))
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	out := tail{max: keep}
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second // its children may keep the pipe
	err := cmd.Run()
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	// The pipe stayed with a child that goes on, as a client's daemon does.
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	return out.b, err
}
