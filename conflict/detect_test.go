package conflict_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/monban-dev/monban/conflict"
)

// detector is where a cause is found out. It is in the functions that name it from
// what they see; or else it is told by a message only, for a reason: nothing that
// can be looked at shows it.
type detector struct {
	in     string // functions, "conflict.causeOf"
	reason string
}

func detectors() map[conflict.Cause]detector {
	const (
		verdict = "conflict.attempt.causeOf"
		mac     = "conflict.foreign.causeOf"
		windows = "conflict.windowsHolder"
	)
	return map[conflict.Cause]detector{
		conflict.L1: {in: verdict}, conflict.L2: {in: verdict}, conflict.L3: {in: verdict}, conflict.L6: {in: verdict}, conflict.L9: {in: verdict}, conflict.L15: {in: verdict}, conflict.L17: {in: verdict},
		conflict.L18: {in: verdict}, conflict.L19: {in: verdict}, conflict.D1: {in: verdict}, conflict.D3: {in: verdict}, conflict.D6: {in: verdict}, conflict.D13: {in: verdict},
		conflict.L4: {in: "conflict.attempt.free conflict.foreign.free"}, conflict.L5: {in: "conflict.attempt.free conflict.prediction.shared"}, conflict.L20: {in: "conflict.attempt.free"},
		conflict.L24: {in: "conflict.attempt.free conflict.Diagnosis.remote conflict.holderCause"}, conflict.D8: {in: "conflict.attempt.free"},
		conflict.L7: {in: "conflict.leftBy conflict.attempt.busy"}, conflict.L8: {in: "conflict.leftBy conflict.attempt.busy"}, conflict.L26: {in: "conflict.leftBy conflict.attempt.busy"},
		conflict.L10: {in: "conflict.attempt.refused conflict.Diagnosis.forbidden"},
		conflict.L11: {reason: "the policy is asked at bind(2) and says no by EACCES alone; the audit log's line tells it"},
		conflict.L12: {reason: "a filter is asked at bind(2) only; EPERM, which no rule about ports gives, tells it"},
		conflict.L13: {in: "conflict.attempt.notHere conflict.foreign.notHere conflict.Diagnosis.noAddress"}, conflict.L14: {in: "conflict.attempt.refused conflict.attempt.notHere conflict.Diagnosis.noAddress"},
		conflict.L16: {in: "report.Free.sentence"},
		conflict.L21: {in: "conflict.prediction.rivalCause"}, conflict.L22: {in: "conflict.prediction.explain conflict.Diagnosis.sameService"},
		conflict.L23: {reason: "a Unix socket has no port; the message names its file, which cli.lookAtSocket then looks at"},
		conflict.L25: {reason: "the limit was reached at that moment, or the number is in the message"},

		conflict.M1: {in: mac}, conflict.M2: {in: "conflict.foreign.free"}, conflict.M3: {in: "conflict.inspection.handedOut"}, conflict.M4: {in: "conflict.foreign.explain"}, conflict.M5: {in: "conflict.foreign.notHere"},
		conflict.M6: {in: mac}, conflict.M7: {in: mac}, conflict.M8: {in: mac}, conflict.M9: {in: mac}, conflict.M10: {in: "conflict.foreign.leftBy"},

		conflict.W1: {in: windows}, conflict.W2: {in: "conflict.foreign.explain conflict.Diagnosis.forbidden"}, conflict.W3: {in: windows}, conflict.W4: {in: windows}, conflict.W6: {in: "conflict.foreign.leftBy"},
		conflict.W5: {reason: "registrations of URLs are no sockets; the messages of http.sys tell it"},
		conflict.W7: {in: windows}, conflict.W8: {in: windows}, conflict.W9: {in: windows}, conflict.W10: {in: "conflict.Diagnosis.unseen"}, conflict.W11: {in: "conflict.foreign.free"}, conflict.W12: {in: windows},
		conflict.W13: {reason: "it is the wording of Docker Desktop around another cause"},
		conflict.W14: {reason: "it is never a bind error; said where a message blames one"},

		conflict.D2: {in: "conflict.Diagnosis.sameService"}, conflict.D4: {in: "conflict.prediction.rivalCause"}, conflict.D5: {in: "conflict.restarted conflict.Diagnosis.also conflict.attempt.free"},
		conflict.D7: {reason: "the engine says so itself; what is seen of the port and of the user is L10"},
		conflict.D9: {in: "conflict.Diagnosis.unseen"}, conflict.D10: {in: "conflict.prediction.rivalCause"}, conflict.D11: {in: "conflict.prediction.rivalCause"},
		conflict.D12: {reason: "the load balancer of k3s has no socket on the node, and its rules are those of any hostPort: seen here it is L24"},
		conflict.D14: {in: "conflict.elsewhereForwarded"},
		conflict.D15: {reason: "the helper is a file and a process of another system; the message of Docker Desktop tells it"},

		conflict.B1: {reason: "the list is the browsers' own: check warns of each port on it, explain knows their messages"},
		conflict.B2: {in: "report.view.findingSentence"}, conflict.B3: {in: "conflict.Diagnosis.remote"},
	}
}

// TestDetectors: each cause is found out somewhere from what can be seen, or there
// is a reason why not. To offer it among others because a message might mean it
// does not count.
func TestDetectors(t *testing.T) {
	table := detectors()
	named := namings{t: t, said: map[string]map[string]bool{}}
	named.read("conflict", ".")
	named.read("report", "../internal/report")
	for _, info := range conflict.Causes() {
		d, ok := table[info.ID]
		delete(table, info.ID)
		switch {
		case !ok, d.in == "" && d.reason == "", d.in != "" && d.reason != "":
			t.Errorf("%s: neither a detector nor a reason why there is none, or both", info.ID)
		case d.reason != "" && !named.told(info.ID):
			t.Errorf("%s: no message tells it", info.ID)
		}
		for _, f := range strings.Fields(d.in) {
			if !named.said[f][string(info.ID)] {
				t.Errorf("%s: %s does not name it", info.ID, f)
			}
		}
	}
	for id := range table {
		t.Errorf("%s is no cause", id)
	}
}

// namings know which function names which causes, as "conflict.causeOf". The
// functions of the files that read messages count only as "message".
type namings struct {
	t    *testing.T
	said map[string]map[string]bool
}

func (n *namings) told(c conflict.Cause) bool { return n.said["message"][string(c)] }

func (n *namings) read(name, dir string) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(paths) == 0 {
		n.t.Fatalf("%s: %v", dir, err)
	}
	for _, path := range paths {
		base := filepath.Base(path)
		if strings.HasSuffix(base, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			n.t.Fatal(err)
		}
		// In complaint_diagnose.go a message is put beside what is seen.
		message := strings.HasPrefix(base, "complaint") && base != "complaint_diagnose.go"
		for _, decl := range file.Decls {
			f, isFunc := decl.(*ast.FuncDecl)
			switch {
			case message:
				n.inBody("message", decl)
			case isFunc:
				n.inBody(name+"."+receiver(f)+f.Name.Name, decl)
			}
		}
	}
}

// receiver is "attempt." for a method of *attempt, "" for a function.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	of := f.Recv.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	if name, ok := of.(*ast.Ident); ok {
		return name.Name + "."
	}
	return ""
}

// inBody notes the causes that a piece of code names as its result: what it only
// compares with does not count.
func (n *namings) inBody(who string, code ast.Node) {
	if n.said[who] == nil {
		n.said[who] = map[string]bool{}
	}
	ast.Inspect(code, func(node ast.Node) bool {
		switch x := node.(type) {
		case *ast.BinaryExpr:
			return x.Op != token.EQL && x.Op != token.NEQ
		case *ast.CaseClause:
			for _, s := range x.Body {
				n.inBody(who, s)
			}
			return false
		case *ast.CallExpr:
			if f, ok := x.Fun.(*ast.SelectorExpr); ok && (f.Sel.Name == "drop" || f.Sel.Name == "Contains") {
				return false
			}
		case *ast.Ident:
			n.said[who][x.Name] = true
		case *ast.BasicLit:
			if text, err := strconv.Unquote(x.Value); err == nil && x.Kind == token.STRING {
				for _, part := range strings.Split(text, "[")[1:] {
					id, _, _ := strings.Cut(part, "]")
					n.said[who][id] = true
				}
			}
		}
		return true
	})
}
