package cli

// deepen makes the stack of its goroutine large enough for a whole view, by a call
// of deep that is never made: a function's frame is counted when it is entered.
// The stack would else be moved four times on the way, deeper each time, and to
// adjust every frame of it took a thirtieth of the time of `monban 443`.
//
//go:noinline
func deepen(deep bool) byte {
	if !deep {
		return 0
	}
	var frame [56 << 10]byte // with it, the next size is 64 KiB
	fill(frame[:])
	return frame[len(frame)/2]
}

//go:noinline
func fill(b []byte) {
	for i := range b {
		b[i] = byte(i)
	}
}
