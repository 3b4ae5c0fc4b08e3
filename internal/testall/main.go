// Testall sets up what the tests of monban need and runs all of them:
//
//	go run ./internal/testall
//
// As root on Debian it first installs the packages that the tests start real
// daemons from, only those that are missing, without starting or enabling any
// service. Without root it runs what it can and lists at the end which tests
// were skipped and why. With MONBAN_NO_SKIP=1, as in CI, a skipped test is a
// failure.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

func main() {
	fuzz := flag.Duration("fuzztime", 3*time.Second, "how long each fuzz target runs; 0 leaves fuzzing out")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	ok := run(ctx, *fuzz)
	stop()
	if !ok {
		os.Exit(1)
	}
}

// A step is one part of the whole. Its error is its failure; what it prints
// goes to standard output as it comes.
type step struct {
	name string
	do   func(context.Context) error
}

// run does every step, also after a failure, and reports whether all passed.
func run(ctx context.Context, fuzz time.Duration) bool {
	var tests tally
	steps := []step{
		{"packages", installPackages},
		{"gofmt", checkFormat},
		{"vet", func(ctx context.Context) error { return command(ctx, nil, "go", "vet", "./...") }},
		{"cross-build", crossBuild},
		{"tests", func(ctx context.Context) error { return goTest(ctx, &tests) }},
	}
	if fuzz > 0 {
		steps = append(steps, step{"fuzz", func(ctx context.Context) error { return fuzzAll(ctx, fuzz) }})
	}
	start := time.Now()
	ok := true
	var times []string
	for _, s := range steps {
		fmt.Printf("\n== %s\n", s.name)
		begin := time.Now()
		err := s.do(ctx)
		outcome := "ok"
		if err != nil {
			ok, outcome = false, "FAILED: "+err.Error()
		}
		line := fmt.Sprintf("%-12s %7.1f s  %s", s.name, time.Since(begin).Seconds(), outcome)
		fmt.Println("== " + line)
		times = append(times, line)
	}
	fmt.Printf("\n== in all %.1f s\n", time.Since(start).Seconds())
	for _, line := range times {
		fmt.Println(line)
	}
	tests.printSkipped(os.Stdout)
	fmt.Printf("\n%d passed, %d failed, %d skipped\n", tests.passed, tests.failed, len(tests.skipped))
	return ok
}
