package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// The memory of a scan of 65,536 addresses × 100 doors, in each form of output. Of
// the bench's doors the first is one of them.
const (
	wideNet    = "10.66.0.0/16"
	mostMemory = 64 << 10 // KiB: the bar
)

// memoryCase is who is there.
type memoryCase struct {
	name  string
	rules string // of the far side's input chain
	rate  string // options for the rate
	found int    // open doors
}

func memoryCases() []memoryCase {
	return []memoryCase{
		// Into silence monban sends at the rate that a small router bears, which takes
		// a quarter of an hour for 13 million packets.
		{"nobody there", "drop", " --rate 0", 0},
		{"1 % of the hosts", "ip daddr & 0.0.0.127 != 0.0.0.5 drop", "", 1 << 16 / 128},
		{"a door at every address", "", "", 1 << 16},
	}
}

func memory(ctx context.Context, monban string) (missed []string, err error) {
	for _, c := range memoryCases() {
		rules := ""
		if c.rules != "" {
			rules = "ip daddr " + wideNet + " " + c.rules
		}
		pl, err := build(ctx, path{rules: rules})
		if err != nil {
			return nil, err
		}
		bad, err := c.measure(ctx, pl, monban)
		pl.close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		missed = append(missed, bad...)
	}
	return missed, nil
}

func (c *memoryCase) measure(ctx context.Context, pl *place, monban string) (missed []string, err error) {
	for _, line := range []string{
		"-n " + pl.near + " route add " + wideNet + " via " + target,
		"-n " + pl.far + " route add local " + wideNet + " dev lo",
	} {
		if out, err := exec.CommandContext(ctx, "ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("ip %s: %w\n%s", line, err, out)
		}
	}
	// How each form says that the door is open.
	forms := []struct{ name, open string }{{"text", "  1/tcp"}, {"json", `"state":"open"`}, {"jsonl", `"state":"open"`}, {"nmap-xml", `state="open"`}}
	for _, form := range forms {
		line := monban + " scan " + wideNet + " -p 1-100 --i-am-authorised --format " + form.name + c.rate
		cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", pl.near}, strings.Fields(line)...)...)
		// Into a file: what this process has at its peak counts as the peak of those it
		// starts (fs/exec.c, exec_mmap).
		out, err := os.CreateTemp("", "monban-bench-")
		if err != nil {
			return nil, err
		}
		defer os.Remove(out.Name())
		defer out.Close()
		var errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = out, &errs
		began := time.Now()
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("monban: %w\n%s", err, errs.String())
		}
		took := time.Since(began)
		usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage) // from wait4
		if !ok {
			return nil, errors.New("the system does not say how much memory a process took")
		}
		found, err := count(out, form.open)
		if err != nil {
			return nil, err
		}
		fmt.Printf("memory, %-24s %-8s %5.1f MB, %6.1f s, %d doors found\n", c.name, form.name, float64(usage.Maxrss)/1024, took.Seconds(), found)
		if found != c.found {
			missed = append(missed, fmt.Sprintf("memory, %s, %s: %d doors found, want %d", c.name, form.name, found, c.found))
		}
		if usage.Maxrss > mostMemory {
			missed = append(missed, fmt.Sprintf("memory, %s, %s: %.1f MB, bar 64", c.name, form.name, float64(usage.Maxrss)/1024))
		}
	}
	return missed, nil
}

// count returns how often a file says a word.
func count(f *os.File, word string) (n int, err error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	buf := make([]byte, 1<<16)
	kept := 0 // the end of what was read before, in which a word may begin
	for {
		got, err := f.Read(buf[kept:])
		text := buf[:kept+got]
		n += bytes.Count(text, []byte(word))
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
		kept = copy(buf, text[max(0, len(text)-len(word)+1):])
	}
}
