package lawtest

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestNoWorkBeforeMain wants packages whose import costs nothing and changes
// nothing. A package-level variable is what Go has no constant for, a table or
// an error: the compiler computes it and nobody changes it.
func TestNoWorkBeforeMain(t *testing.T) {
	byDir := make(map[string][]source)
	for _, s := range sources(t) {
		if !s.test && !tool(s.dir) {
			byDir[s.dir] = append(byDir[s.dir], s)
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(byDir)) {
		var files []*ast.File
		for _, s := range byDir[dir] {
			files = append(files, s.file)
		}
		for _, c := range stateOf(byDir[dir][0].pos, files) {
			t.Errorf("%s: %s", byDir[dir][0].at(c.node), c.text)
		}
	}
}

// complaint is something that costs start-up or is state.
type complaint struct {
	node ast.Node
	text string
}

// checker looks at one package, all its systems at once.
type checker struct {
	scope *types.Scope
	info  *types.Info
	found []complaint
}

// stateOf returns what is wrong with the package-level names of a package.
func stateOf(set *token.FileSet, files []*ast.File) []complaint {
	c := checker{info: &types.Info{Types: make(map[ast.Expr]types.TypeAndValue), Uses: make(map[*ast.Ident]types.Object)}}
	// What other packages declare is not needed, and the files for several
	// systems declare the same names: the errors that come of both are expected.
	config := types.Config{Importer: noImporter{}, Error: func(error) {}}
	pkg, _ := config.Check("x", set, files, c.info)
	c.scope = pkg.Scope()
	for _, f := range files {
		for _, d := range f.Decls {
			c.declaration(d)
		}
		ast.Inspect(f, c.changes)
	}
	return c.found
}

type noImporter struct{}

func (noImporter) Import(string) (*types.Package, error) {
	return nil, errors.New("not needed")
}

func (c *checker) complain(n ast.Node, text string) {
	c.found = append(c.found, complaint{n, text})
}

func (c *checker) declaration(d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil && d.Name.Name == "init" {
			c.complain(d, "init runs whenever the package is imported. Let the caller call a function, or write the value down.")
		}
	case *ast.GenDecl:
		if d.Tok != token.VAR {
			return
		}
		for _, spec := range d.Specs {
			c.variable(spec.(*ast.ValueSpec))
		}
	}
}

func (c *checker) variable(v *ast.ValueSpec) {
	name := v.Names[0].Name
	if v.Type != nil && c.isMap(v.Type) {
		c.mapFound(v, name)
		return
	}
	if v.Type != nil && holdsState(v.Type) {
		c.complain(v, name+" is state of a package. Keep it in a value that its user makes.")
	}
	for _, value := range v.Values {
		ast.Inspect(value, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncLit:
				return false // runs only when it is called
			case *ast.CompositeLit:
				if c.isMap(n) {
					c.mapFound(n, name)
				}
			case *ast.CallExpr:
				switch {
				case c.isMap(n):
					c.mapFound(n, name)
				case !c.free(n):
					c.complain(n, name+" is computed by a call at every start of the program. Compute it where it is needed, or write the result down.")
				}
			}
			return true
		})
	}
}

func (c *checker) mapFound(n ast.Node, name string) {
	c.complain(n, name+" is a map at package level: it is built at every start, and anybody can change it. Use a switch, or a sorted array and slices.BinarySearch.")
}

func (c *checker) isMap(e ast.Expr) bool {
	t := c.info.TypeOf(e)
	if t == nil {
		return false
	}
	_, ok := t.Underlying().(*types.Map)
	return ok
}

// holdsState reports whether a type is made to be changed.
func holdsState(t ast.Expr) bool {
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if index, ok := t.(*ast.IndexExpr); ok {
		t = index.X
	}
	pkg, _, _ := strings.Cut(types.ExprString(t), ".")
	return pkg == "sync" || pkg == "atomic"
}

// free reports whether a call is a conversion or makes an error, which the
// compiler does. An address of netip's is made at every start, by an init whose
// page of code has to be mapped for it.
func (c *checker) free(call *ast.CallExpr) bool {
	if f := c.info.Types[call.Fun]; f.IsType() || f.IsBuiltin() {
		return true
	}
	switch types.ExprString(call.Fun) {
	case "errors.New", "fmt.Errorf":
		return true
	}
	return false
}

// changes finds assignments to package-level variables.
func (c *checker) changes(n ast.Node) bool {
	var targets []ast.Expr
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			targets = n.Lhs
		}
	case *ast.IncDecStmt:
		targets = []ast.Expr{n.X}
	case *ast.RangeStmt:
		if n.Tok == token.ASSIGN {
			targets = []ast.Expr{n.Key, n.Value}
		}
	}
	for _, target := range targets {
		id := root(target)
		if id == nil {
			continue
		}
		if v, ok := c.info.Uses[id].(*types.Var); ok && v.Parent() == c.scope {
			c.complain(n, id.Name+" is a package-level variable that changes. Keep it in a value that its user makes.")
		}
	}
	return true
}

// root returns the variable that an assignment to e changes a part of.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// TestStateIsFound proves that each rule can be broken.
func TestStateIsFound(t *testing.T) {
	for _, test := range []struct{ code, want string }{
		{"func init() {}", "init runs"},
		{"var m map[string]int", "map at package level"},
		{"var m = map[string]int{}", "map at package level"},
		{"var m = make(map[string]int)", "map at package level"},
		{"type set map[string]bool\nvar m = set{}", "map at package level"},
		{"type set map[string]bool\nvar m set", "map at package level"},
		{"var t = []any{map[string]int{}}", "map at package level"},
		{"var m = f()\nfunc f() map[int]int { return nil }", "map at package level"},
		{"var re = regexp.MustCompile(`x`)", "computed by a call"},
		{"var x = f()\nfunc f() int { return 1 }", "computed by a call"},
		{"var a = [...]int{f()}\nfunc f() int { return 1 }", "computed by a call"},
		{"var once sync.Once", "state"},
		{"var n atomic.Int64", "state"},
		{"var p *atomic.Pointer[int]", "state"},
		{"var n int\nfunc f() { n = 1 }", "changes"},
		{"var n int\nfunc f() { n++ }", "changes"},
		{"var s struct{ n int }\nfunc f() { s.n += 1 }", "changes"},
		{"var a [2]int\nfunc f() { a[0] = 1 }", "changes"},
		{"var p = new(int)\nfunc f() { *p = 1 }", "changes"},
		{"var n int\nfunc f() { for n = range 3 {} }", "changes"},
		{"var n int\nfunc f() { func() { n = 1 }() }", "changes"},

		{"var errX = errors.New(\"x\")", ""},
		{"var names = [...]string{\"a\"}", ""},
		{"var b = []byte(\"x\")", ""},
		{"type id int\nvar x = id(1)", ""},
		{"var n int\nfunc f() { n := 1; n = 2; _ = n }", ""},
		{"var n int\nfunc f() { var n int; n = 2; _ = n }", ""},
		{"var n int\nfunc f(n int) { n = 2 }", ""},
		{"var n int\ntype s struct{ n int }\nfunc (s *s) f() { s.n = 2 }", ""},
		{"func f() { m := map[string]int{}; m[\"\"] = 1 }", ""},
		{"var g = func(m map[string]int) { g2(map[int]int{}) }", ""},
	} {
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, "x.go", "package x\n"+test.code, 0)
		if err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, c := range stateOf(set, []*ast.File{file}) {
			texts = append(texts, c.text)
		}
		got := strings.Join(texts, "\n")
		if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s\n%q, want %q", test.code, got, test.want)
		}
	}
}
