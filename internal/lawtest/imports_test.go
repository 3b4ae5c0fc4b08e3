package lawtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// layer is one row of the import law. Paths are relative to the module; "." is
// the root package, and "x/..." is x and all below it. A package may always
// import the internal packages below itself.
type layer struct {
	what     string   // what its packages are, for messages
	packages []string // its members
	module   []string // what they may import of this module
	others   []string // what they may import of other modules
	why      string   // what to do instead of breaking the row
}

const (
	xsys  = "golang.org/x/sys/..."
	xtext = "golang.org/x/text/..."
	xterm = "golang.org/x/term"
)

// The packages that answer for one noun each.
func sourcePackages() []string {
	return []string{"host", "sockets", "owners", "claims", "firewall", "probe/..."}
}
func judgementPackages() []string { return []string{"conflict", "exposure", "policy"} }

const neverEachOther = "Sources and judgements never import each other, so that each can be read, tested and used alone. " +
	"What two of them exchange is a value in the root package; who needs both is internal/gather (sources) or internal/cli (all)."

// law is the import law of CONTRIBUTING.md, the first matching row first.
func law() []layer {
	return []layer{
		{
			what: "the domain", packages: []string{"."},
			why: "The root package is values only: it imports the standard library and does no I/O. What reads belongs into a source, " +
				"what decides into a judgement.",
		},
		{
			what: "the generator of the port book", packages: []string{"portbook/gen"},
			module: []string{".", "portbook", "portbook/internal/..."}, others: []string{"github.com/goccy/go-yaml/..."},
			why: "The generator may import the port book and nothing that looks at a machine.",
		},
		{
			what: "the port book", packages: []string{"portbook/..."}, module: []string{"."},
			why: "The port book knows numbers and no machine: it imports the root package only.",
		},
		{
			what: "a part of a source or judgement", packages: below(sourcePackages(), judgementPackages()), module: []string{".", "portbook", "internal/netlink"}, others: []string{xsys},
			why: neverEachOther,
		},
		{
			what: "the messages of netlink", packages: []string{"internal/netlink"}, others: []string{xsys},
			why: "Several sources ask the kernel by netlink; they share how its messages are made up, and nothing about what is asked.",
		},
		{
			what: "when the machine started", packages: []string{"internal/boottime"}, others: []string{xsys},
			why: "Who names a process and who ends it date it alike, or one would not believe the other. It knows clocks and no processes.",
		},
		{
			what: "the reader of YAML", packages: []string{"internal/yaml"},
			why: "It turns bytes into a tree and knows no ports. A source and the policy's file read with it.",
		},
		{
			what: "a source", packages: sourcePackages(), module: []string{".", "portbook", "internal/netlink", "internal/yaml", "internal/boottime"},
			others: []string{xsys, "github.com/mdlayher/netlink/..."},
			why:    neverEachOther,
		},
		{
			what: "a judgement", packages: judgementPackages(), module: []string{".", "portbook"},
			why: neverEachOther + " A judgement is a pure function over values.",
		},
		{
			what: "the gatherer", packages: []string{"internal/gather"}, module: append(sourcePackages(), ".", "portbook"),
			why: "gather asks the sources and returns a Snapshot. It judges nothing and prints nothing: that is for internal/cli to join.",
		},
		{
			what: "what acts", packages: []string{"internal/free"}, module: []string{".", "portbook", "conflict", "internal/boottime"}, others: []string{xsys},
			why: "It acts on what conflict judged about a Snapshot. What it has to see of the machine again, its caller hands to it as a function.",
		},
		{
			what: "the leases", packages: []string{"internal/lease"}, others: []string{xsys},
			why: "The leases are a file of the user's: what a port is fit for is judged elsewhere, and internal/cli joins the two.",
		},
		{
			what: "the policy's file", packages: []string{"internal/policyfile"}, module: []string{".", "portbook", "internal/yaml"},
			why: "It turns bytes into a Policy and back. What the policy means is judged by package policy, a pure function over that value, which therefore needs no YAML.",
		},
		{
			what: "files that outlast a power failure", packages: []string{"internal/durable"},
			why: "It knows files and nothing of what is in them.",
		},
		{
			what: "the keeping of a policy", packages: []string{"internal/guard"}, module: []string{".", "firewall", "policy", "internal/durable"}, others: []string{xsys},
			why: "It is the order of the steps that must not be broken off half-way: compile, record, change the kernel, save. The verbs only start them.",
		},
		{
			what: "the moving of SSH", packages: []string{"internal/move"},
			module: []string{".", "portbook", "conflict", "exposure", "policy", "firewall", "internal/guard", "internal/edit", "internal/durable"},
			why:    "It is the order of the steps that must not lock anybody out: record, arm, open, verify, close. What it has to see of the machine again, its caller hands to it as a function.",
		},
		{
			what: "the changing of files", packages: []string{"internal/edit"}, others: []string{xsys},
			why: "It knows files and no ports: what is to be written comes from internal/mend, and internal/cli joins the two.",
		},
		{
			what: "the mending of files", packages: []string{"internal/mend"}, module: []string{".", "portbook", "conflict"},
			why: "It plans, over claims and bytes that are handed to it, and touches nothing.",
		},
		{
			what: "the giving up of privileges", packages: []string{"internal/privilege"}, others: []string{xsys},
			why: "It knows the process it is in and nothing else: internal/cli says when, and what is needed later.",
		},
		{
			what: "the running of a command", packages: []string{"internal/child"}, others: []string{xsys},
			why: "It knows processes and no ports: internal/cli joins the two.",
		},
		{
			what: "the report", packages: []string{"internal/report"}, module: []string{".", "portbook"},
			others: []string{xtext, "github.com/spf13/pflag"},
			why:    "report shows values of the root package. What it is to show is a value there, made by a source or a judgement and handed over by internal/cli.",
		},
		{
			what: "the verbs", packages: []string{"internal/cli"},
			module: append(append(sourcePackages(), judgementPackages()...), ".", "portbook", "internal/gather", "internal/lease", "internal/child", "internal/report", "internal/free", "internal/edit", "internal/mend", "internal/policyfile", "internal/guard", "internal/move", "internal/privilege"),
			others: []string{xsys, xterm, "github.com/spf13/cobra", "github.com/spf13/pflag"},
			why:    "The verbs join everything that users run; tools and tests import them and not the other way round.",
		},
		{
			what: "the program", packages: []string{"cmd/monban"}, module: []string{"internal/cli"},
			why: "main is ten lines: it imports internal/cli and nothing else, so that everything can be tested without a process.",
		},
		{
			what: "the namespaces for tests", packages: []string{"internal/netnstest"}, others: []string{xsys},
			why: "Every package's tests use netnstest, so it imports none of them.",
		},
		{
			what: "a tool for people who work on monban", packages: []string{"internal/bench/...", "internal/testall", "internal/mangen", "internal/integration/...", "internal/lawtest"},
			module: []string{"./..."}, others: []string{xsys, "github.com/goccy/go-yaml/..."},
			why: "Tools may import everything of this module.",
		},
	}
}

// below returns the patterns for the internal packages of the given ones.
func below(lists ...[]string) (patterns []string) {
	for _, list := range lists {
		for _, p := range list {
			patterns = append(patterns, strings.TrimSuffix(p, "/...")+"/internal/...")
		}
	}
	return patterns
}

// forTests are the further modules that tests may import, and the packages of
// this module that only tests may.
func forTests() (modules, packages []string) {
	return []string{
		"github.com/google/go-cmp/...", "pgregory.net/rapid", "github.com/rogpeppe/go-internal/...",
		"github.com/santhosh-tekuri/jsonschema/...", "github.com/goccy/go-yaml/...", "golang.org/x/tools/txtar", xsys, xterm, "golang.org/x/net/...",
		"github.com/yuin/goldmark/...",                                                                       // an oracle of Markdown
		"go.yaml.in/yaml/v3",                                                                                 // an oracle of YAML
		"github.com/compose-spec/compose-go/...", "github.com/moby/moby/...", "github.com/docker/docker/...", // oracles
	}, []string{"internal/netnstest", "internal/integration/..."}
}

// stdlib is a rule for packages of the standard library: who may import them
// outside tests. It binds everything but the tools.
type stdlib struct {
	packages []string
	allowed  []string
	why      string
}

func stdlibLaw() []stdlib {
	return []stdlib{
		{[]string{"os", "os/...", "net", "net/http/...", "io/fs", "io/ioutil", "syscall"}, append([]string{"portbook/...", "internal/gather", "internal/lease", "internal/child", "internal/free", "internal/edit", "internal/guard", "internal/move", "internal/durable", "internal/privilege", "internal/netlink", "internal/report", "internal/cli", "cmd/monban"}, withBelow(sourcePackages())...),
			"The root package and the judgements do no I/O: a source reads, and hands over a value."},
		{[]string{"net/http/..."}, []string{"internal/cli"},
			"net/http costs a quarter of the start-up of a Go program (0.6 ms). Only `monban ports update` needs it; the Docker socket is two GETs by hand."},
		{[]string{"os/exec"}, []string{"host", "internal/free", "internal/move", "internal/cli"},
			"A source asks the kernel, not a program: what programs write changes with their version and language. host needs netsh.exe, because Windows has no documented call; internal/free tells supervisors to stop what they run; internal/move asks sshd, systemd and firewalls in charge."},
		{[]string{"regexp/..."}, nil,
			"Compiling regular expressions costs start-up time, and a parser by hand says what it accepts. strings.Cut does most of it."},
		{[]string{"log/...", "expvar", "net/http/pprof", "plugin", "testing/...", "flag"}, nil,
			"Results and errors are returned; what a run prints is decided in internal/cli."},
		{[]string{"unsafe"}, []string{"host", "sockets", "owners", "owners/internal/bpfiter", "firewall", "probe/...", "internal/privilege"},
			"Bytes of the kernel are decoded with encoding/binary after their length is checked. Where a system call needs a pointer, a source may use unsafe; and so may what gives up privileges, whose system call is to be made in every thread, for which there is no wrapper."},
		{[]string{"C"}, nil, "monban is one static binary without cgo."},
	}
}

func withBelow(packages []string) []string { return append(below(packages), packages...) }

// tool reports whether a package is only for people who work on monban.
func tool(dir string) bool {
	return matchesAny([]string{"portbook/gen", "internal/netnstest", "internal/bench/...", "internal/testall", "internal/mangen", "internal/integration/...", "internal/lawtest"}, dir)
}

func TestImportLaw(t *testing.T) {
	for _, s := range sources(t) {
		row := rowOf(s.dir)
		if row == nil {
			t.Errorf("%s: package %s has no place in the import law. Add it to law in internal/lawtest/imports_test.go and to the layout in CONTRIBUTING.md.", s.name, s.dir)
			continue
		}
		for _, spec := range s.file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if complaint := judge(*row, s.dir, imported, s.test); complaint != "" {
				t.Errorf("%s: %s", s.at(spec), complaint)
			}
		}
	}
}

func rowOf(dir string) *layer {
	for _, row := range law() {
		if matchesAny(row.packages, dir) {
			return &row
		}
	}
	return nil
}

// judge says what is wrong with an import, "" for nothing.
func judge(row layer, dir, imported string, test bool) string {
	modules, packages := forTests()
	if rel, ok := inModule(imported); ok {
		own := rel == dir || strings.HasPrefix(rel, strings.TrimPrefix(dir+"/", "./")+"internal/")
		everything := len(row.module) == 1 && row.module[0] == "./..."
		if own && dir != "." || everything || matchesAny(row.module, rel) || test && (rel == dir || matchesAny(packages, rel)) {
			return ""
		}
		return fmt.Sprintf("package %s (%s) imports %s. %s", dir, row.what, rel, row.why)
	}
	first, _, _ := strings.Cut(imported, "/")
	if strings.Contains(first, ".") {
		if matchesAny(row.others, imported) || test && matchesAny(modules, imported) {
			return ""
		}
		if test {
			return fmt.Sprintf("a test of package %s imports %s. A module that tests may use is named in forTests in internal/lawtest/imports_test.go.", dir, imported)
		}
		return fmt.Sprintf("package %s (%s) imports %s, another module. Where the standard library will not do, name it in law in internal/lawtest/imports_test.go.", dir, row.what, imported)
	}
	if test || tool(dir) {
		return ""
	}
	for _, rule := range stdlibLaw() {
		if matchesAny(rule.packages, imported) && !matchesAny(rule.allowed, dir) {
			return fmt.Sprintf("package %s (%s) imports %q. %s", dir, row.what, imported, rule.why)
		}
	}
	return ""
}

// inModule returns the path of a package relative to the module.
func inModule(imported string) (string, bool) {
	if imported == module {
		return ".", true
	}
	return strings.CutPrefix(imported, module+"/")
}

// TestJudge proves that the law can be broken.
func TestJudge(t *testing.T) {
	for _, test := range []struct {
		dir, imported string
		test          bool
		bad           string // a part of the complaint, "" for none
	}{
		{".", "strings", false, ""},
		{".", "os", false, "do no I/O"},
		{".", module + "/portbook", false, "values only"},
		{".", module + "/internal/cli", false, "values only"},
		{".", "golang.org/x/sys/unix", false, "another module"},
		{"portbook", module, false, ""},
		{"portbook", module + "/portbook/internal/registry", false, ""},
		{"portbook", module + "/host", false, "knows numbers"},
		{"host", module + "/portbook", false, ""},
		{"host", module + "/sockets", false, "never import each other"},
		{"host", module + "/sockets", true, "never import each other"},
		{"host", module + "/internal/netnstest", true, ""},
		{"host", module + "/internal/netnstest", false, "never import each other"},
		{"sockets", module + "/sockets/internal/diag", false, ""},
		{"owners", module + "/sockets/internal/diag", false, "never import each other"},
		{"sockets/internal/diag", module + "/owners", false, "never import each other"},
		{"conflict", module + "/owners", false, "never import each other"},
		{"conflict", "os", false, "no I/O"},
		{"conflict", "net/netip", false, ""},
		{"conflict", "golang.org/x/sys/unix", false, "another module"},
		{"conflict", "pgregory.net/rapid", true, ""},
		{"conflict", "pgregory.net/rapid", false, "another module"},
		{"claims", module + "/internal/yaml", false, ""},
		{"internal/yaml", "go.yaml.in/yaml/v3", false, "another module"},
		{"internal/yaml", "go.yaml.in/yaml/v3", true, ""},
		{"internal/yaml", module, false, "knows no ports"},
		{"internal/gather", module + "/owners", false, ""},
		{"internal/gather", module + "/conflict", false, "judges nothing"},
		{"internal/report", module + "/owners", false, "report shows"},
		{"internal/cli", module + "/conflict", false, ""},
		{"internal/cli", module + "/internal/bench", false, "The verbs"},
		{"internal/cli", "net/http", false, ""},
		{"owners", "net/http", false, "start-up"},
		{"owners", "regexp", false, "start-up"},
		{"owners", "os/exec", false, "asks the kernel"},
		{"cmd/monban", module + "/internal/report", false, "ten lines"},
		{"internal/mangen", module + "/internal/cli", false, ""},
		{"conflict", "example.com/new", true, "forTests"},
		{"internal/bench", "github.com/moby/moby/client", false, "another module"},
	} {
		got := judge(*rowOf(test.dir), test.dir, test.imported, test.test)
		if (got == "") != (test.bad == "") || !strings.Contains(got, test.bad) {
			t.Errorf("%s importing %s (test %v): %q, want %q", test.dir, test.imported, test.test, got, test.bad)
		}
	}
	if row := rowOf("utils"); row != nil {
		t.Errorf("a new package falls under %q", row.what)
	}
}

// linked are the other modules that cmd/monban may contain. Start-up is a bar:
// measure `monban 443` before and after, with internal/bench, and add the line
// only if it stays below twice a Go hello-world. compose-go (5.4 times), moby's
// client (2.2 times) and yaml/v3 (0.15 ms) serve as oracles in tests and are never
// linked.
func linked() []string {
	return []string{
		"github.com/spf13/cobra", "github.com/spf13/pflag",
		"github.com/inconshreveable/mousetrap", // cobra on Windows
		"golang.org/x/sys", "golang.org/x/term", "golang.org/x/text",
		"github.com/mdlayher/netlink", "github.com/mdlayher/socket", "golang.org/x/net", "golang.org/x/sync",
	}
}

// TestLinked asks the go command what is in the program, on each system.
func TestLinked(t *testing.T) {
	for _, system := range []string{"linux", "windows", "darwin"} {
		t.Run(system, func(t *testing.T) {
			t.Parallel()
			n := 0
			for _, p := range dependencies(t, system) {
				if p.Standard {
					continue
				}
				n++
				rel, own := inModule(p.ImportPath)
				switch {
				case own && tool(rel):
					t.Errorf("cmd/monban contains %s, which is for people who work on monban", rel)
				case !own && !matchesAny(linked(), p.Module.Path):
					t.Errorf("cmd/monban contains %s of the module %s. Measure the start-up, then see linked in internal/lawtest/imports_test.go.", p.ImportPath, p.Module.Path)
				}
			}
			if n < 10 {
				t.Errorf("go list names only %d packages", n)
			}
		})
	}
}

type dependency struct {
	ImportPath string
	Standard   bool
	Module     struct{ Path string }
}

func dependencies(t *testing.T, system string) (list []dependency) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Standard,Module", "./cmd/monban")
	cmd.Dir = moduleRoot(t)
	cmd.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var d dependency
		if err := dec.Decode(&d); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, d)
	}
}

// TestMainIsShort proves that the program stays a shell around internal/cli.
func TestMainIsShort(t *testing.T) {
	for _, s := range sources(t) {
		if s.dir != "cmd/monban" || s.test {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if f, ok := n.(*ast.FuncDecl); ok && (f.Name.Name != "main" || s.pos.Position(f.End()).Line-s.pos.Position(f.Pos()).Line > 10) {
				t.Errorf("%s: cmd/monban is a ten-line main. What %s does belongs into internal/cli.", s.at(f), f.Name.Name)
			}
			return true
		})
	}
}
