package main

import (
	"io"
	"strings"
	"testing"
)

func TestTally(t *testing.T) {
	const stream = `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"--- PASS: TestA\n"}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0.1}
{"Action":"run","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Test":"TestB","Output":"=== RUN   TestB\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:7: needs root\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"--- SKIP: TestB (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestB","Elapsed":0}
{"Action":"pass","Package":"p","Elapsed":0.2}
{"Action":"skip","Package":"no/tests","Elapsed":0}
`
	var got tally
	var out strings.Builder
	if err := got.read(strings.NewReader(stream), &out); err != nil {
		t.Fatal(err)
	}
	if got.passed != 1 || got.failed != 0 {
		t.Errorf("passed %d, failed %d; want 1 and 0", got.passed, got.failed)
	}
	want := skip{"p.TestB", "b_test.go:7: needs root"}
	if len(got.skipped) != 1 || got.skipped[0] != want {
		t.Errorf("skipped %v, want %v", got.skipped, want)
	}
	if err := got.verdict(false); err != nil {
		t.Errorf("a skip fails where it may not: %v", err)
	}
	if err := got.verdict(true); err == nil {
		t.Error("a skip passes in CI")
	}
}

// A test that brings its whole process down has no "fail" line of its own.
func TestTallyCrash(t *testing.T) {
	const stream = `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"panic: out of doors\n"}
{"Action":"fail","Package":"p","Elapsed":0.2}
`
	var got tally
	var out strings.Builder
	if err := got.read(strings.NewReader(stream), &out); err != nil {
		t.Fatal(err)
	}
	if err := got.verdict(false); err == nil {
		t.Error("a crashed package passes")
	}
	if !strings.Contains(out.String(), "out of doors") {
		t.Errorf("the panic is not shown: %q", out.String())
	}
}

func TestTallyNothing(t *testing.T) {
	var got tally
	if err := got.read(strings.NewReader(""), io.Discard); err != nil {
		t.Fatal(err)
	}
	if err := got.verdict(false); err == nil {
		t.Error("no test at all passes")
	}
}
