package claims

import (
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/monban-dev/monban"
	"golang.org/x/tools/txtar"
)

// FuzzReaders gives any text to any reader, in a tree where every include finds
// the same text again. Nothing may panic, hang, or claim what is not there.
func FuzzReaders(f *testing.F) {
	names, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	all := readers()
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			for i, r := range all {
				if r.is != nil && r.is(file.Name) {
					f.Add(uint8(i), file.Data)
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		r := all[int(which)%len(all)]
		name := sampleName(r)
		dir := path.Dir(name)
		tree := fstest.MapFS{name: {Data: data}, dir + "/other.conf": {Data: data}, dir + "/conf.d/a.conf": {Data: data}}
		s := &scan{files: &files{place: Place{FS: tree, Root: "/", Env: func(string) (string, bool) { return "80", true }}},
			names: newNames(Place{FS: tree}), main: name}
		started := time.Now()
		r.read(s)
		if took := time.Since(started); took > 2*time.Second {
			t.Errorf("%s took %v for %d bytes", r.by, took, len(data))
		}
		for _, c := range s.claims {
			checkClaim(t, tree, c)
		}
		for _, g := range s.gaps {
			if g.Source == "" || g.Err == "" || g.Hides != monban.HidesClaims {
				t.Errorf("%s: gap %+v", r.by, g)
			}
		}
	})
}

// sampleName returns a path that a reader takes.
func sampleName(r reader) string {
	if len(r.system) > 0 {
		name := strings.NewReplacer("?", "x", "*", "x").Replace(r.system[0])
		if r.is == nil || r.is(name) {
			return name
		}
	}
	for _, base := range []string{"x.conf", "application.properties", "application.yml", "launchSettings.json", "claims.yaml",
		"compose.yaml", "package.json", ".env", "Procfile", "vite.config.ts", "devcontainer.json", "x.yaml"} {
		if r.is != nil && r.is("etc/"+base) {
			return "etc/" + base
		}
	}
	return "etc/file"
}

// checkClaim checks what has to be true of every claim.
func checkClaim(t *testing.T, tree fs.FS, c monban.Claim) {
	t.Helper()
	if c.Name == "" || c.By == "" || !c.Bind.Addr.IsValid() || c.Bind.Port.Proto == monban.AnyProto || c.Bind.Port.Num == 0 && c.By != "claims" {
		t.Errorf("claim %+v", c)
	}
	for _, pos := range append([]monban.Pos{c.Pos}, c.Agree...) {
		if pos.File == "" || pos.Line < 0 || pos.Col < 0 || pos.Len < 0 || pos.Len > 0 && (pos.Line == 0 || pos.Col == 0) {
			t.Errorf("%s: position %+v", c.By, pos)
			continue
		}
		if pos.Len == 0 {
			continue
		}
		data, err := fs.ReadFile(tree, strings.TrimPrefix(pos.File, "/"))
		if err != nil {
			t.Errorf("%s: %v", c.By, err)
			continue
		}
		rows := strings.Split(string(withoutBOM(data)), "\n")
		if pos.Line > len(rows) || pos.Col-1+pos.Len > len(rows[pos.Line-1]) {
			t.Errorf("%s: position %+v is outside its file", c.By, pos)
		}
	}
}

// FuzzCommand gives any command line to FromCommand.
func FuzzCommand(f *testing.F) {
	f.Add("prometheus\x00--web.listen-address=:9090", "PORT=1")
	f.Add("python3\x00-m\x00http.server\x0080", "")
	f.Add("java\x00-Dserver.port=8080\x00-jar\x00x.jar", "SERVER_PORT=8081")
	f.Add("ssh\x00-L\x00127.0.0.1:1:x:2", "")
	f.Add("env\x00PORT=3\x00next\x00dev", "")
	f.Add("kubectl\x00port-forward\x00pod/x\x0080:80", "")
	f.Add("memcached\x00-p1\x00-U\x002", "")
	f.Fuzz(func(t *testing.T, argv, env string) {
		found, _ := FromCommand(strings.Split(argv, "\x00"), strings.Split(env, "\x00"))
		for _, c := range found {
			if c.Name == "" || !c.Bind.Addr.IsValid() || c.Bind.Port.Num == 0 {
				t.Errorf("claim %+v", c)
			}
		}
	})
}

// FuzzJSON checks that the parser of JSON never panics and gives nothing with an
// error.
func FuzzJSON(f *testing.F) {
	f.Add([]byte("{\"a\": [1, \"x\\u0041\", true], // c\n \"b\": null,}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if root, failed := readJSON(data); failed != nil && root != nil {
			t.Error("a value beside an error")
		}
	})
}
