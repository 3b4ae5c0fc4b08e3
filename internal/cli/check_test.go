package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/monban-dev/monban"
)

// check runs monban check and returns what it wrote and its exit code.
func check(t *testing.T, sys System, args ...string) (out, errs string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	sys.Stdin, sys.Stdout, sys.Stderr = strings.NewReader(""), &stdout, &stderr
	sys.Getenv = func(string) string { return "" }
	code = Run(context.Background(), sys, append([]string{"check"}, args...))
	return stdout.String(), stderr.String(), code
}

// TestCheckGolden checks a project against a saved machine, in both languages, in
// a pipe and on a terminal.
func TestCheckGolden(t *testing.T) {
	screens := map[string]System{"pipe": {}, "narrow": {Terminal: true, Width: 80}}
	for screen, sys := range screens {
		for _, lang := range []string{"en", "ja"} {
			file := "check." + screen + "." + lang + ".txt"
			t.Run(file, func(t *testing.T) {
				got, errs, code := check(t, sys, "testdata/shop", "--load", officeFile, "--lang", lang, "-v")
				if code != exitFound || errs != "" {
					t.Errorf("exit %d, %s", code, errs)
				}
				golden(t, filepath.Join("testdata", "golden", file), got)
			})
		}
	}
}

func TestCheckJSON(t *testing.T) {
	for _, args := range [][]string{
		{"testdata/shop"}, {"testdata/shop", "--lang", "ja"}, {"testdata/shop/claims.yaml"}, {"--system"}, {"testdata/golden"},
	} {
		for _, load := range [][]string{{"--load", officeFile}, {}} {
			t.Run(strings.Join(append(args, load...), " "), func(t *testing.T) {
				out, errs, code := check(t, System{}, append(append([]string{"--json"}, args...), load...)...)
				if code != exitOK && code != exitFound && code != exitIncomplete || errs != "" {
					t.Errorf("exit %d, %s", code, errs)
				}
				validate(t, out)
			})
		}
	}
}

// TestCheckContract looks at every field of the answer that other programs rely
// on.
func TestCheckContract(t *testing.T) {
	out, _, _ := check(t, System{}, "--json", "testdata/shop", "--load", officeFile)
	var e struct {
		Data struct {
			Claims []struct {
				Name, By, Proto, Address, File, Outcome, Stage, Errno, Cause, Why string
				Port, Line                                                        int
				Against                                                           []string
			}
		}
		Findings []struct{ Kind string }
	}
	if err := json.Unmarshal([]byte(out), &e); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range e.Data.Claims {
		got = append(got, strings.Join([]string{c.Name, c.Proto, netip.AddrPortFrom(netip.MustParseAddr(c.Address), uint16(c.Port)).String(),
			strings.TrimPrefix(c.File, "testdata/shop/"), c.Outcome, c.Stage, c.Errno, c.Cause, strings.Join(c.Against, ",")}, " "))
	}
	for _, want := range []string{
		"api tcp 0.0.0.0:8000 claims.yaml ok    ",
		"docs tcp [::1]:8000 claims.yaml ok    ",
		"admin tcp 127.0.0.1:8000 claims.yaml fails bind EADDRINUSE L2 api",
		"low tcp 0.0.0.0:443 claims.yaml fails bind EACCES L10 ",
		"web tcp 0.0.0.0:8081 compose.yaml running    ",
		"db tcp 0.0.0.0:5432 compose.yaml unknown    3100",
		"cache tcp 127.0.0.1:6379 compose.yaml fails bind EADDRINUSE L2 1300",
		"mail tcp 0.0.0.0:8025 compose.yaml fails bind EADDRINUSE D4 testdata/shop/compose.yaml:18",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, strings.Join(got, "\n"))
		}
	}
	if !slices.ContainsFunc(e.Findings, func(f struct{ Kind string }) bool { return f.Kind == string(monban.ClaimEphemeral) }) {
		t.Error("no warning about a port of outgoing connections")
	}
}

// TestSARIF validates against what SARIF 2.1.0 demands of the parts that are
// used, written down in testdata/sarif.json, and that the places are right.
func TestSARIF(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("testdata/sarif.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"testdata/shop"}, {"testdata/shop", "--lang", "ja"}, {"--system"}, {"testdata/golden"}} {
		out, errs, _ := check(t, System{}, append(args, "--format", "sarif", "--load", officeFile)...)
		instance, err := jsonschema.UnmarshalJSON(strings.NewReader(out))
		if err != nil {
			t.Fatalf("%v: %v %s", args, err, errs)
		}
		if err := schema.Validate(instance); err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
		checkRules(t, out)
	}
	out, _, _ := check(t, System{}, "testdata/shop", "--format", "sarif", "--load", officeFile)
	for _, want := range []string{`"uri": "testdata/shop/compose.yaml"`, `"startLine": 18`, `"ruleId": "D4"`, `"uriBaseId": "%SRCROOT%"`, `"relatedLocations"`} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s", want)
		}
	}
}

// checkRules follows each result to its rule, and sees that the rule is about all
// results and not about the first: GitHub shows it beside each.
func checkRules(t *testing.T, text string) {
	t.Helper()
	var log struct {
		Runs []struct {
			Tool struct {
				Driver struct {
					Rules []struct {
						ID              string
						FullDescription struct{ Text string }
					}
				}
			}
			Results []struct {
				RuleID    string
				RuleIndex int
				Message   struct{ Text string }
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &log); err != nil {
		t.Fatal(err)
	}
	for _, r := range log.Runs[0].Results {
		if rules := log.Runs[0].Tool.Driver.Rules; r.RuleIndex >= len(rules) || rules[r.RuleIndex].ID != r.RuleID {
			t.Errorf("result of %s has the index of another rule", r.RuleID)
		} else if why := rules[r.RuleIndex].FullDescription.Text; why == "" || strings.HasPrefix(r.Message.Text, why) && strings.HasPrefix(r.RuleID, "claim-") {
			t.Errorf("rule %s is described as %q, which one result says", r.RuleID, why)
		}
	}
}

// TestCheckHostile puts hostile text into files and programs.
func TestCheckHostile(t *testing.T) {
	evil := "\x1b]0;owned\a\x1b[31m\u202egnp\u009b5m"
	dir := t.TempDir()
	const quoted = `"\u001b]0;owned\u0007\u001b[31m\u202egnp\u009b5m"`
	file := filepath.Join(dir, "claims.yaml")
	text := "claims:\n  - {name: " + quoted + ", port: 7000}\n  - {name: " + quoted + ", port: 7000}\n  - {name: x, port: 5432}\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	snap := office()
	for i := range snap.Doors {
		for k := range snap.Doors[i].Owners {
			snap.Doors[i].Owners[k].Name = evil
		}
	}
	saved := filepath.Join(dir, "evil.json")
	saveSnapshot(t, saved, snap)
	for _, more := range [][]string{{"-v"}, {"--json"}, {"--format", "sarif"}, {"--lang", "ja", "-v"}} {
		out, errs, code := check(t, System{Terminal: true, Width: 90}, append(more, "--load", saved, file)...)
		if code != exitFound {
			t.Errorf("exit %d, %s", code, errs)
		}
		if i := strings.IndexFunc(stripColours(out), func(r rune) bool {
			return r < ' ' && r != '\n' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x202e
		}); i >= 0 {
			t.Errorf("check %v lets %q through", more, out[max(0, i-20):min(len(out), i+20)])
		}
	}
}

// TestCheckBrokenYAML says in Japanese what is wrong, in the words of the YAML
// reader too: nothing of a sentence stays English.
func TestCheckBrokenYAML(t *testing.T) {
	dir := t.TempDir()
	english := regexp.MustCompile(`[a-z]{3,} [a-z]{2,}`)
	broken := 0
	for i, text := range []string{
		"claims:\n  - {name: a, port: 1\n  foo", "claims:\n\t- x\n", "claims: [1, 2\n", "claims: \"x\n", "a: b: c\n", "claims:\n  - a\n b\n",
		"claims: *nobody\n", "claims: \"\\q\"\n", "a: 'x\n---\n", "? a: b\n- c\n", "claims: %x\n", "a: !<x\n", "claims: \x01\n", "a: \xff\xff\n", "- a\nb: c\n",
		"a:\n  b: 1\n c: 2\n", "a: |x\n", "key\nother: 1\n", "[a]: {b\n", "a: &\n", "claims: \"\\xzz\"\n",
	} {
		file := filepath.Join(dir, fmt.Sprint(i), "claims.yaml")
		if err := errors.Join(os.Mkdir(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
		_, errs, code := check(t, System{}, file, "--lang", "ja", "--load", officeFile)
		said := strings.ReplaceAll(errs, file, "")
		if code == exitUsage {
			broken++
		}
		if english.MatchString(said) {
			t.Errorf("%q: %s", text, said)
		}
	}
	if broken < 12 {
		t.Errorf("only %d of the texts are refused", broken)
	}
}
