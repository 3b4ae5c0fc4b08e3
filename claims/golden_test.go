package claims

import (
	"flag"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/monban-dev/monban"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write what the readers say into testdata")

// TestGolden reads every testdata/*/*.txtar: a small tree of files, and in
// "-- want --" what it asks for. Words in the comment at the top are settings:
// "system" reads it as a machine, "dir=D" as the project in D, "root=/" says
// where the tree is, "env=K=V" sets a variable, "paths=a,b" names paths.
func TestGolden(t *testing.T) {
	names, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.ToSlash(name[len("testdata/"):]), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			tree, want := treeOf(archive)
			got := readGolden(t, string(archive.Comment), tree)
			if got == want {
				return
			}
			if *update {
				setWant(archive, got)
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Errorf("%s (-want +got):\n%s", name, cmp.Diff(want, got))
		})
	}
}

// treeOf returns the files of an archive and what is expected of them. A file
// whose text is "-> target" is a symbolic link.
func treeOf(archive *txtar.Archive) (fstest.MapFS, string) {
	tree, want := fstest.MapFS{}, ""
	for _, f := range archive.Files {
		switch target, link := strings.CutPrefix(string(f.Data), "-> "); {
		case f.Name == "want":
			want = string(f.Data)
		case link:
			tree[f.Name] = &fstest.MapFile{Data: []byte(strings.TrimSpace(target)), Mode: fs.ModeSymlink | 0o777}
		default:
			tree[f.Name] = &fstest.MapFile{Data: f.Data, Mode: 0o644}
		}
	}
	return tree, want
}

func setWant(archive *txtar.Archive, want string) {
	for i := range archive.Files {
		if archive.Files[i].Name == "want" {
			archive.Files[i].Data = []byte(want)
			return
		}
	}
	archive.Files = append(archive.Files, txtar.File{Name: "want", Data: []byte(want)})
}

func readGolden(t *testing.T, settings string, tree fstest.MapFS) string {
	t.Helper()
	p := Place{FS: tree}
	env := map[string]string{}
	var paths []string
	system := false
	for _, word := range strings.Fields(settings) {
		switch key, value, _ := strings.Cut(word, "="); key {
		case "system":
			system, p.Root = true, "/"
		case "root":
			p.Root = value
		case "dir":
			p.Dir = value
		case "env":
			k, v, _ := strings.Cut(value, "=")
			env[k] = v
		case "paths":
			paths = strings.Split(value, ",")
		}
	}
	p.Env = func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	if system {
		return show(System(p))
	}
	found, gaps, err := Read(p, paths...)
	if err != nil {
		return fmt.Sprintf("error %v\n", err)
	}
	checkPlaces(t, p, found)
	return show(found, gaps)
}

// checkPlaces checks that the bytes at each position are a port's number or
// name: what fix is going to replace.
func checkPlaces(t *testing.T, p Place, found []monban.Claim) {
	t.Helper()
	for _, c := range found {
		for _, pos := range append([]monban.Pos{c.Pos}, c.Agree...) {
			if pos.Len == 0 {
				continue
			}
			name, ok := p.inside(pos.File)
			if !ok {
				t.Errorf("%v is not in the tree", pos)
				continue
			}
			data, err := fs.ReadFile(p.FS, path.Clean(name))
			if err != nil {
				t.Error(err)
				continue
			}
			rows := strings.Split(strings.TrimPrefix(string(data), "\ufeff"), "\n")
			if pos.Line > len(rows) || pos.Col-1+pos.Len > len(rows[pos.Line-1]) {
				t.Errorf("%+v is outside the file", pos)
				continue
			}
			text := rows[pos.Line-1][pos.Col-1:][:pos.Len]
			if r, err := monban.ParsePortRange(text); err == nil && !r.Contains(monban.Port{Num: c.Bind.Port.Num}) {
				t.Errorf("%+v says %q and not %d", pos, text, c.Bind.Port.Num)
			}
		}
	}
}

// show writes claims and gaps one a line.
func show(found []monban.Claim, gaps []monban.Gap) string {
	var b strings.Builder
	for _, c := range found {
		b.WriteString(showClaim(c))
		b.WriteByte('\n')
	}
	for _, g := range gaps {
		fmt.Fprintf(&b, "gap %s: %s\n", g.Source, g.Err)
	}
	return b.String()
}

func showClaim(c monban.Claim) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s [%s]:%d", c.By, c.Bind.Port.Proto, c.Bind.Addr, c.Bind.Port.Num)
	if c.UpTo != 0 {
		fmt.Fprintf(&b, "-%d", c.UpTo)
	}
	fmt.Fprintf(&b, " %s", c.Pos)
	if c.Pos.Col != 0 {
		fmt.Fprintf(&b, ":%d+%d", c.Pos.Col, c.Pos.Len)
	}
	for _, p := range c.Agree {
		fmt.Fprintf(&b, " =%s:%d+%d", p, p.Col, p.Len)
	}
	if c.Name != c.By {
		fmt.Fprintf(&b, " %q", c.Name)
	}
	if c.Bind.Addr.Is6() && c.Bind.Wildcard() {
		fmt.Fprintf(&b, " v6only=%s", c.Bind.V6Only)
	}
	for _, option := range []struct {
		name string
		flag monban.Flag
	}{{"reuseaddr", c.Bind.ReuseAddr}, {"reuseport", c.Bind.ReusePort}} {
		switch option.flag {
		case monban.On:
			b.WriteString(" " + option.name)
		case monban.FlagUnknown:
			b.WriteString(" " + option.name + "?")
		}
	}
	if c.UID != 0 {
		fmt.Fprintf(&b, " uid=%d", c.UID)
	}
	if c.Bind.Device != "" {
		fmt.Fprintf(&b, " dev=%s", c.Bind.Device)
	}
	if c.AtBoot != monban.FlagUnknown {
		b.WriteString(" boot=" + c.AtBoot.String())
	}
	if c.Tolerates != monban.ToleratesNothing {
		b.WriteString(" tolerates-" + c.Tolerates.String())
	}
	for _, option := range []struct {
		name string
		on   bool
	}{{"default", c.Default}, {"oripv4", c.OrIPv4}, {"freebind", c.FreeBind}, {"nolisten", !c.Listen && c.Bind.Port.Proto == monban.TCP}} {
		if option.on {
			b.WriteString(" " + option.name)
		}
	}
	return b.String()
}

// short is a claim without what rarely matters.
func short(c monban.Claim) string {
	text := socketText(c.Bind.Port.Proto.String(), c.Bind.Addr, c.Bind.Port.Num, false) + " " + c.Pos.String()
	if c.Bind.Addr == any6() && c.Bind.V6Only == monban.On {
		text += " v6only"
	}
	if c.Default {
		text += " default"
	}
	return text
}

func loopback() []netip.Addr { return []netip.Addr{loop4(), loop6()} }

func socketText(proto string, addr netip.Addr, port uint16, v6only bool) string {
	text := fmt.Sprintf("%s [%s]:%d", proto, addr, port)
	if addr == any6() && v6only {
		text += " v6only"
	}
	return text
}
