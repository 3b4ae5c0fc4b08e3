package owners

import (
	"flag"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/monban-dev/monban"
)

// The machine that BenchmarkName looks at. For the one of docs/benchmarks.md:
//
//	go test -run '^$' -bench Name ./owners -owners.processes 100 -owners.listeners 100 -owners.idle 2000
var (
	benchProcesses = flag.Int("owners.processes", 10, "processes that hold sockets")
	benchListeners = flag.Int("owners.listeners", 100, "listening sockets of each")
	benchWanted    = flag.Int("owners.wanted", 1<<30, "how many of all the sockets are asked for")
	benchIdle      = flag.Int("owners.idle", 100, "processes without a socket beside them")
)

func BenchmarkName(b *testing.B) {
	var doors []monban.Door
	for range *benchProcesses {
		h := start(b, "listen", nil, strconv.Itoa(*benchListeners))
		for _, inode := range h.words() {
			doors = append(doors, monban.Door{Inode: number(b, inode), State: monban.Listen})
		}
	}
	for range *benchIdle {
		cmd := exec.CommandContext(b.Context(), "sleep", "3600")
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { cmd.Wait() }) // ended by the context
	}
	doors = doors[:min(*benchWanted, len(doors))]
	before := cpuTime(b)
	for b.Loop() {
		Name(b.Context(), doors, Options{})
		if d := &doors[len(doors)-1]; len(d.Owners) != 1 {
			b.Fatalf("%+v", d)
		}
	}
	// On a machine with other work the processor time tells more than the clock.
	b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N)/1000, "cpu-ms/op")
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "ms/op")
}

// cpuTime returns the processor time that this process has used.
func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func BenchmarkParseStat(b *testing.B) {
	line := []byte(statLine(812, "nginx", 'S', 1, 800, 700, 34816, 0x400040, 99887766))
	for b.Loop() {
		parseStat(line)
	}
}
