package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// A tally counts the outcomes of tests from the output of `go test -json`.
type tally struct {
	passed, failed int
	skipped        []skip
	badPackages    []string
	said           map[string][]string // what each running test has printed
}

type skip struct{ test, why string }

// event is one line of `go test -json`, as `go doc test2json` has it.
type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64
}

// read counts the events of r, and shows one line a package and what failing
// tests printed on w.
func (t *tally) read(r io.Reader, w io.Writer) error {
	t.said = map[string][]string{}
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) == nil && e.Action != "" {
				t.count(e, w)
			} else {
				fmt.Fprintf(w, "%s", line)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the tests' output: %w", err)
		}
	}
}

func (t *tally) count(e event, w io.Writer) {
	name := e.Package + "." + e.Test
	switch e.Action {
	case "output":
		if strings.HasPrefix(e.Output, "=== ") {
			return // when it ran and paused: the events say that
		}
		t.said[name] = append(t.said[name], e.Output)
		return
	case "build-output":
		fmt.Fprint(w, e.Output)
		return
	case "pass", "fail", "skip":
	default:
		return
	}
	said := t.said[name]
	delete(t.said, name)
	if e.Test == "" {
		t.countPackage(e, said, w)
		return
	}
	switch e.Action {
	case "pass":
		t.passed++
	case "fail":
		t.failed++
		fmt.Fprint(w, strings.Join(said, ""))
	case "skip":
		t.skipped = append(t.skipped, skip{name, reason(said)})
	}
}

// countPackage ends a package. A "skip" here only says that it has no tests.
func (t *tally) countPackage(e event, said []string, w io.Writer) {
	switch e.Action {
	case "pass":
		fmt.Fprintf(w, "ok  \t%s\t%.1fs\n", e.Package, e.Elapsed)
	case "fail":
		t.badPackages = append(t.badPackages, e.Package)
		// A panic or a time-out is told in the package's own output, or in
		// that of a test which never ended.
		for name, lines := range t.said {
			if strings.HasPrefix(name, e.Package+".") {
				fmt.Fprint(w, strings.Join(lines, ""))
				delete(t.said, name)
			}
		}
		fmt.Fprint(w, strings.Join(said, ""))
		fmt.Fprintf(w, "FAIL\t%s\t%.1fs\n", e.Package, e.Elapsed)
	}
}

// reason picks the message of t.Skip out of what a test printed.
func reason(said []string) string {
	var why []string
	for _, line := range said {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "--- ") {
			continue
		}
		why = append(why, line)
	}
	if len(why) == 0 {
		return "no reason given"
	}
	return strings.Join(why, " ")
}

// verdict turns the counts into success or failure.
func (t *tally) verdict(skipFails bool) error {
	switch {
	case t.failed > 0 || len(t.badPackages) > 0:
		return fmt.Errorf("%d tests failed in %s", t.failed, strings.Join(t.badPackages, " "))
	case t.passed == 0:
		return errors.New("no test ran")
	case skipFails && len(t.skipped) > 0:
		return fmt.Errorf("%d tests were skipped, which is a failure here", len(t.skipped))
	}
	return nil
}

func (t *tally) printSkipped(w io.Writer) {
	if len(t.skipped) == 0 {
		return
	}
	fmt.Fprintf(w, "\nskipped:\n")
	for _, s := range t.skipped {
		fmt.Fprintf(w, "  %s\n      %s\n", s.test, s.why)
	}
}
