package report

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"golang.org/x/net/html"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook"
)

// hostile are names that mean something to a terminal, to HTML, to Markdown or to
// SARIF. None has a secret in it, which would be masked.
func hostile() []string {
	return []string{
		"<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "</style><svg/onload=alert(1)>", "&lt;b&gt;", "' onmouseover='x",
		"[click](http://evil.example/)", "![x](http://evil.example/i.png)", "`code` ``two``", "``", "` lead", "a|b|c", "**bold** _em_ ~~gone~~", "# heading", "1. list", "- list", "+ list", "1) list", "===",
		"http://evil.example/ https://evil.example www.evil.example", "someone@evil.example @user", "$x$", "line\n\n# next\r\n", "tab\there",
		"\x1b[31mred\x1b[0m", "\u202egnp.exe", "\x00\x7f\xff\xfe", "<https://evil.example>", "<!-- c -->", "[ref]: http://evil.example", "\\[x\\](y)", "a  \nb", "日本語](http://evil.example)", "~~~", "    indented",
	}
}

// hostileAudit is a report that has a name in every place that is not monban's.
func hostileAudit(name string) Result {
	owner := monban.Owner{PID: 7, Name: name, Exe: "/x/" + name, Command: []string{name}, User: name, Unit: name}
	rule := monban.RuleRef{Family: monban.TableInet, Table: name, Chain: name, Handle: 3, Text: "comment " + name}
	door := monban.Door{Bind: monban.Bind{Port: monban.Port{Num: 80, Proto: monban.TCP}, Addr: netip.IPv4Unspecified()}, State: monban.Listen,
		Owners: []monban.Owner{owner}, Reach: []monban.Reach{{Family: monban.IPv4, Device: name, Verdict: monban.VerdictOpen, Rule: rule,
			Conditions: []monban.Condition{{Kind: monban.ByRate, Text: name, Rule: rule}}}}}
	evidence := []monban.Evidence{{Source: name, Text: name}, {Source: "policy", Text: name, File: "dir/" + name, Line: 3}}
	kinds := []monban.Kind{monban.OverlayOpen, monban.IdlePermit, monban.AdminDoor, monban.ExposedService, monban.SeenOpen, monban.SeenShut, monban.DeletedExe}
	var findings []monban.Finding
	for _, k := range kinds {
		findings = append(findings, monban.Finding{Kind: k, Severity: monban.High, Bind: door.Bind, Doors: []monban.Door{door}, Service: name, Evidence: evidence,
			Fix: []monban.Fix{{Code: "limit-overlay", Args: []string{name}, Command: []string{name, "x"}}}})
	}
	target := netip.MustParseAddr("192.0.2.1")
	return Result{
		Verb: "audit", Book: portbook.Builtin(), Findings: findings,
		Snapshot: &monban.Snapshot{At: time.Unix(0, 0), Host: monban.Host{Name: name, OS: "linux", Kernel: name, User: name, NetNS: name},
			Doors: []monban.Door{door}, Gaps: []monban.Gap{{Source: name, Err: name, Hides: monban.HidesDoors}, {Source: name, Hides: monban.HidesReach, Count: 2}}},
		Data: Audit{Doors: []monban.Door{door}, FrontEnds: []string{name}, Policy: name, Release: name,
			Observer: &Observer{Namespace: name, File: name, Targets: []netip.Addr{target}},
			Compared: []monban.Comparison{{Target: target, Port: door.Bind.Port, Seen: monban.SightOpen, Computed: monban.VerdictClosed, Rule: rule,
				Doors: []monban.Door{door}, Differs: monban.SeenOpen}}},
	}
}

// TestAuditHostile writes names that would be markup into every format and reads
// them back with parsers that are not ours: nothing of them has become an element, a
// link, an attribute or a control character, and every one can still be read.
func TestAuditHostile(t *testing.T) {
	md := goldmark.New(goldmark.WithExtensions(extension.GFM))
	for _, lang := range []Lang{EN, JA} {
		for _, name := range append(hostile(), strings.Join(hostile(), " ")) {
			write := func(f Format) []byte {
				var b bytes.Buffer
				if err := Write(&b, hostileAudit(name), Style{Format: f, Lang: lang, Verbose: true, ShowSecrets: true}); err != nil {
					t.Fatal(err)
				}
				for _, r := range b.String() {
					if r < ' ' && r != '\n' || r == 0x7f || r == 0x202e || r == 0xfffd {
						t.Errorf("%q in %s of %q", r, f, name)
					}
				}
				return b.Bytes()
			}
			write(Text)
			readable(t, name, write(HTML), "html", append(textElements(),
				"html", "head", "meta", "title", "style", "body", "header", "nav", "main", "section", "article", "footer", "span", "div", "b", "a"))
			var out bytes.Buffer
			if err := md.Convert(write(Markdown), &out); err != nil {
				t.Fatal(err)
			}
			readable(t, name, out.Bytes(), "markdown", append(textElements(), "html", "head", "body", "strong"))
			var log sarifLog
			text := write(SARIF)
			if err := json.Unmarshal(text, &log); err != nil {
				t.Fatal(err)
			}
			for _, r := range log.Runs[0].Results {
				if strings.Contains(r.Message.Text, "](") {
					t.Errorf("a link in SARIF: %q", r.Message.Text)
				}
			}
		}
	}
}

func textElements() []string {
	return []string{"h1", "h2", "h3", "p", "ul", "li", "code", "table", "thead", "tbody", "tr", "th", "td"}
}

// readable parses HTML and looks that it has the given elements only, no attribute
// that does something, no link but to its own parts, and the name as text.
func readable(t *testing.T, name string, text []byte, format string, elements []string) {
	t.Helper()
	doc, err := html.Parse(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var words strings.Builder
	for n := range doc.Descendants() {
		switch n.Type {
		case html.TextNode:
			words.WriteString(n.Data)
		case html.CommentNode:
			t.Errorf("%s of %q: a comment %q", format, name, n.Data)
		case html.ElementNode:
			if !slices.Contains(elements, n.Data) {
				t.Errorf("%s of %q: an element %s", format, name, n.Data)
			}
			for _, a := range n.Attr {
				ok := slices.Contains([]string{"class", "id", "lang", "charset", "name", "content", "http-equiv", "align", "style"}, a.Key) || a.Key == "href" && strings.HasPrefix(a.Val, "#")
				if !ok {
					t.Errorf("%s of %q: %s has %s=%q", format, name, n.Data, a.Key, a.Val)
				}
			}
		}
	}
	fold := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	if want := fold(safe(name)); !strings.Contains(fold(words.String()), want) {
		t.Errorf("%s does not show %q: %q", format, want, fold(words.String()))
	}
}
