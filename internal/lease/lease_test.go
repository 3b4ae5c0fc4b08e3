package lease

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	osuser "os/user"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func at(day int) time.Time { return time.Date(2026, 11, day, 12, 0, 0, 0, time.UTC) }

func TestSamePurposeKeepsItsPort(t *testing.T) {
	web := Purpose{Dir: "/shop", Name: "web"}
	table := NewTable(nil, at(1))
	if _, ok := table.Use(web); ok {
		t.Fatal("a lease out of nothing")
	}
	table.Grant(web, 61000)
	table.Grant(Purpose{Dir: "/shop", Name: "web", Nth: 1}, 61001)
	table.Grant(Purpose{Dir: "/other", Name: "web"}, 61002)
	for day := 2; day < 2+3*30; day += 29 { // used in time, it never ends
		table = NewTable(table.All(), at(day))
		if l, ok := table.Use(web); !ok || l.Port != 61000 {
			t.Fatalf("day %d: %v %v", day, l, ok)
		}
	}
	if table.Has(61001) {
		t.Error("a lease nobody used for months is still there")
	}
	if table.Grant(web, 61005); table.Has(61000) || !table.Has(61005) {
		t.Error("a purpose has two ports")
	}
}

func TestUnnamedLeasesAreNeverShared(t *testing.T) {
	nobody := Purpose{Dir: "/shop"}
	table := NewTable(nil, at(1))
	table.Grant(nobody, 61000)
	if l, ok := table.Use(nobody); ok {
		t.Errorf("the next caller gets %v as well", l)
	}
	table.Grant(nobody, 61001)
	if len(table.All()) != 2 {
		t.Errorf("%v: want both", table.All())
	}
	if left := NewTable(table.All(), at(1).Add(UnnamedTerm)).All(); len(left) != 0 {
		t.Errorf("%v: want them expired", left)
	}
}

func TestRelease(t *testing.T) {
	table := NewTable(nil, at(1))
	for port := uint16(61005); port > 61000; port-- {
		table.Grant(Purpose{Dir: "/shop", Name: "n", Nth: int(port)}, port)
	}
	got := table.Release(func(l Lease) bool { return l.Port%2 == 1 })
	var ports []uint16
	for _, l := range got {
		ports = append(ports, l.Port)
	}
	if !slices.Equal(ports, []uint16{61001, 61003, 61005}) || len(table.All()) != 2 {
		t.Errorf("released %v, left %v", ports, table.All())
	}
}

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{
		"web": true, "npm run dev": true, "ウェブ": true, "8080x": true, "a/b": true, strings.Repeat("x", MaxName): true,
		"": false, "8080": false, "0": false, " web": false, "web ": false, "a\nb": false, "a\tb": false, "\x1b[31m": false,
		"a\u202eb": false, "\xff": false, strings.Repeat("x", MaxName+1): false,
	} {
		if got := ValidName(name); got != want {
			t.Errorf("ValidName(%q) = %v", name, got)
		}
	}
}

// TestFormat writes random leases and reads them.
func TestFormat(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		var want []Lease
		for _, port := range rng.Perm(1 << 16)[:rng.IntN(8)] {
			if port == 0 {
				continue
			}
			dir := make([]byte, rng.IntN(40))
			for i := range dir {
				dir[i] = byte(1 + rng.IntN(255)) // a path may hold any byte but 0
			}
			l := Lease{Port: uint16(port), Since: at(1 + rng.IntN(20)), Until: at(1 + rng.IntN(20))}
			l.Dir, l.Nth = filepath.Join(root(), string(dir)), rng.IntN(MaxNth)
			if rng.IntN(2) == 0 {
				l.Name = "web \"ポート\" \\"
			}
			want = append(want, l)
		}
		got, err := Decode(Encode(want))
		if err != nil || len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("%v, %v\nwant %v", got, err, want)
		}
	}
}

func root() string {
	if runtime.GOOS == "windows" {
		return `C:\`
	}
	return "/"
}

func TestDamagedFilesAreRefused(t *testing.T) {
	whole := string(Encode([]Lease{
		{Purpose: Purpose{Dir: root(), Name: "a"}, Port: 61000, Since: at(1), Until: at(2)},
		{Purpose: Purpose{Dir: root(), Name: "b"}, Port: 61001, Since: at(1), Until: at(2)},
	}))
	if _, err := Decode([]byte(whole)); err != nil {
		t.Fatal(err)
	}
	for n := 1; n < len(whole); n++ {
		if leases, err := Decode([]byte(whole[:n])); err == nil || leases != nil {
			t.Errorf("%v from a file cut off after %d bytes", leases, n)
		}
	}
	replace := func(old, new string) string { return strings.Replace(whole, old, new, 1) }
	for name, text := range map[string]string{
		"another file":    "root:x:0:0:root:/root:/bin/bash\n",
		"newer version":   replace("leases 1", "leases 2"),
		"count":           replace("leases 1 2", "leases 1 +2"),
		"port 0":          replace("61000", "0"),
		"no port":         replace("61000", "70000"),
		"twice":           replace("61000", "61001"),
		"name":            replace(`"a"`, `"a\n"`),
		"digits":          replace(`"a"`, `"80"`),
		"no quotes":       replace(`"a"`, `a`),
		"relative":        replace(`"`+strings.ReplaceAll(root(), `\`, `\\`)+`"`, `"home"`),
		"nul":             replace(`"a"	"`, `"a"	"/\x00`),
		"ordinal":         replace("\t0\t", "\t1000\t"),
		"time":            replace("2026", "soon"),
		"more fields":     replace("\n61001", "\tx\n61001"),
		"too large":       strings.Repeat("x", maxFile+1),
		"nul bytes (ext)": strings.Repeat("\x00", 200) + "\n",
	} {
		if leases, err := Decode([]byte(text)); err == nil || leases != nil {
			t.Errorf("%s: accepted as %v", name, leases)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("monban leases 1 0\n"))
	f.Add(Encode([]Lease{{Purpose: Purpose{Dir: "/home/hana/shop", Name: "web"}, Port: 61000, Since: at(1), Until: at(2)}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		leases, err := Decode(data)
		if err != nil {
			if leases != nil {
				t.Fatal("leases with an error")
			}
			return
		}
		again, err := Decode(Encode(leases))
		if err != nil || !slices.EqualFunc(again, leases, func(a, b Lease) bool {
			return a.Purpose == b.Purpose && a.Port == b.Port && a.Until.Equal(b.Until)
		}) {
			t.Fatalf("%v became %v (%v)", leases, again, err)
		}
	})
}

func TestFind(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the places of Unix")
	}
	lookup := func(uid string) (*osuser.User, error) {
		if uid != "1000" {
			return nil, osuser.UnknownUserIdError(4242)
		}
		return &osuser.User{Uid: "1000", Gid: "100", HomeDir: "/home/hana"}, nil
	}
	for _, tt := range []struct {
		env     string
		euid    int
		path    string
		as      *user
		problem Problem
	}{
		{"HOME=/home/hana", 1000, "/home/hana/.local/state/monban/leases", nil, 0},
		{"HOME=/home/hana XDG_STATE_HOME=/state", 1000, "/state/monban/leases", nil, 0},
		{"HOME=/home/hana XDG_STATE_HOME=state", 1000, "/home/hana/.local/state/monban/leases", nil, 0}, // relative: ignored, says XDG
		{"HOME=/home/hana SUDO_UID=0", 1000, "/home/hana/.local/state/monban/leases", nil, 0},
		{"", 1000, "", nil, NoHome},
		{"HOME=here", 1000, "", nil, NoHome},
		{"HOME=/root", 0, rootFile, nil, 0},
		{"HOME=/root XDG_STATE_HOME=/state", 0, "/state/monban/leases", nil, 0},
		{"HOME=/root XDG_STATE_HOME=/home/hana/state", 0, rootFile, nil, 0},
		{"HOME=/root SUDO_UID=0", 0, rootFile, nil, 0},
		{"HOME=/root SUDO_UID=1000", 0, "/home/hana/.local/state/monban/leases", &user{1000, 100}, 0},
		{"HOME=/root SUDO_UID=1000 XDG_STATE_HOME=/state", 0, "/state/monban/leases", &user{1000, 100}, 0},
		{"HOME=/root SUDO_UID=4242", 0, "", nil, NoUser},
		{"HOME=/root SUDO_UID=-1", 0, "", nil, NoUser},
	} {
		getenv := func(name string) string {
			for _, kv := range strings.Fields(tt.env) {
				if v, ok := strings.CutPrefix(kv, name+"="); ok {
					return v
				}
			}
			return ""
		}
		f, err := find(getenv, tt.euid, lookup, func(path string) bool { return !strings.HasPrefix(path, "/home") })
		if tt.problem != 0 {
			var e *Error
			if !errors.As(err, &e) || e.Problem != tt.problem || f != nil {
				t.Errorf("%s as %d: %v, %v", tt.env, tt.euid, f, err)
			}
			continue
		}
		if err != nil || f.path != tt.path || !reflect.DeepEqual(f.as, tt.as) {
			t.Errorf("%s as %d: %+v, %v", tt.env, tt.euid, f, err)
		}
	}
}

func TestWorkTree(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("shop/.git/HEAD", "ref: refs/heads/main\n")
	write("shop/web/src/x", "")
	write("shop/lib/.git", "gitdir: ../.git/modules/lib\n")
	write("shop/lib/x/y", "")
	write("shop/odd/.git", "not a git file")
	write("shop/empty/.git/x", "")
	write("plain/x/y", "")
	if err := os.Symlink("shop/web", filepath.Join(dir, "link")); err != nil && runtime.GOOS != "windows" {
		t.Fatal(err)
	}
	tests := map[string]string{"shop": "shop", "shop/web/src": "shop", "shop/lib/x": "shop/lib", "shop/odd": "shop", "shop/empty": "shop", "plain/x": "plain/x"}
	if runtime.GOOS != "windows" {
		tests["link/src"] = "shop"
	}
	for in, want := range tests {
		got, err := WorkTree(filepath.Join(dir, in))
		if err != nil || got != filepath.Join(dir, want) {
			t.Errorf("%s: %s, %v; want %s", in, got, err, want)
		}
	}
	if got, err := WorkTree(filepath.Join(dir, "gone")); err == nil || got != "" {
		t.Errorf("a directory that is not there has the work tree %q", got)
	}
}

func TestFile(t *testing.T) {
	f := At(filepath.Join(t.TempDir(), "state", "monban", "leases"))
	if leases, err := f.Read(at(1)); err != nil || len(leases) != 0 {
		t.Fatalf("%v, %v", leases, err)
	}
	web := Purpose{Dir: root(), Name: "web"}
	grant := func(port uint16) error {
		return f.Update(t.Context(), at(1), func(table *Table) error { table.Grant(web, port); return nil })
	}
	if err := grant(61000); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(f.Path())
	if err != nil {
		t.Fatal(err)
	}
	// What changes nothing, or fails, writes nothing.
	before, _ := os.Stat(f.Path())
	if err := f.Update(t.Context(), at(1).Add(time.Minute), func(table *Table) error { table.Use(web); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := f.Update(t.Context(), at(1), func(table *Table) error { table.Grant(web, 61001); return os.ErrInvalid }); !errors.Is(err, os.ErrInvalid) {
		t.Fatal(err)
	}
	after, _ := os.Stat(f.Path())
	if now, _ := os.ReadFile(f.Path()); !bytes.Equal(now, first) || !os.SameFile(before, after) {
		t.Errorf("the file was written: %s", now)
	}
	if err := grant(61001); err != nil {
		t.Fatal(err)
	}
	if leases, err := f.Read(at(2)); err != nil || len(leases) != 1 || leases[0].Port != 61001 {
		t.Errorf("%v, %v", leases, err)
	}
	if runtime.GOOS != "windows" && after.Mode() != 0o600 {
		t.Errorf("mode %v", after.Mode())
	}
	if _, err := os.Lstat(f.Path() + ".new"); err == nil {
		t.Error("something is left over")
	}
}
