package portbook

import (
	"compress/gzip"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook/internal/registry"
)

// source returns the rows of the checked-in CSV, the slow truth.
func source(t testing.TB) []registry.Row {
	t.Helper()
	f, err := os.Open("data/registry.csv.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	rows, _, err := registry.ReadCSV(z)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestBuiltinIsIntact(t *testing.T) {
	if _, err := registry.Verify(builtinRegistry); err != nil {
		t.Fatal(err)
	}
	if n := len(builtinRegistry); n > 1_200_000 {
		t.Errorf("the builtin registry has %d bytes", n)
	}
	b := Builtin()
	if b.Rows() < 12_000 {
		t.Errorf("%d rows", b.Rows())
	}
	if b.Version() != "2026-09-17" {
		t.Errorf("version %q", b.Version())
	}
}

// TestAssignedEverywhere compares every number of every transport with the rows
// of the source.
func TestAssignedEverywhere(t *testing.T) {
	b := Builtin()
	want := map[uint16][]Entry{}
	for _, r := range source(t) {
		e := Entry{Port: r.Port, Description: r.Description, Unauthorized: r.Unauthorized}
		if len(r.Names) > 0 {
			e.Name, e.Aliases = r.Names[0], r.Names[1:]
		}
		want[r.Port.Num] = append(want[r.Port.Num], e)
	}
	rows := 0
	for n := range 1 << 16 {
		num := uint16(n)
		if got := b.Assigned(monban.Port{Num: num}); !sameEntries(got, want[num]) {
			t.Fatalf("port %d: %v, want %v", num, got, want[num])
		}
		for _, proto := range monban.Protos() {
			p := monban.Port{Num: num, Proto: proto}
			var one []Entry
			for _, e := range want[num] {
				if e.Port == p {
					one = append(one, e)
				}
			}
			if got := b.Assigned(p); !sameEntries(got, one) {
				t.Fatalf("%s: %v, want %v", p, got, one)
			}
			name := ""
			if len(one) > 0 {
				name = one[0].Name
			}
			if got := b.Name(p); got != name {
				t.Fatalf("name of %s: %q, want %q", p, got, name)
			}
			rows += len(one)
		}
	}
	if rows != b.Rows() {
		t.Errorf("%d rows seen, Rows says %d", rows, b.Rows())
	}
}

func sameEntries(a, b []Entry) bool {
	return slices.EqualFunc(a, b, func(x, y Entry) bool {
		return x.Port == y.Port && x.Name == y.Name && x.Description == y.Description &&
			x.Unauthorized == y.Unauthorized && slices.Equal(x.Aliases, y.Aliases)
	})
}

func TestAssigned(t *testing.T) {
	for _, tt := range []struct {
		port    string
		name    string
		aliases []string
	}{
		{"22/tcp", "ssh", nil},
		{"42/tcp", "name", []string{"nameserver"}},
		{"66/tcp", "sql-net", []string{"sql*net"}},
		{"80/tcp", "http", []string{"www", "www-http"}},
		{"113/tcp", "auth", []string{"ident"}},
		{"443/tcp", "https", nil},
		{"512/udp", "biff", []string{"comsat"}},
		{"514/tcp", "shell", nil},
		{"514/udp", "syslog", nil},
		{"1701/udp", "l2tp", []string{"l2f"}},
		{"2049/tcp", "nfs", []string{"shilp"}},
		{"2640/tcp", "ami-control", nil}, // given to another since 2015
		{"3306/tcp", "mysql", nil},
		{"6000/tcp", "x11", nil},
		{"6063/udp", "x11", nil},
		{"6667/tcp", "ircu", nil},
		{"9200/tcp", "wap-wsp", nil},
		{"38412/sctp", "ng-control", nil},
	} {
		p, err := monban.ParsePort(tt.port)
		if err != nil {
			t.Fatal(err)
		}
		got := Builtin().Assigned(p)
		if len(got) != 1 || got[0].Name != tt.name || !slices.Equal(got[0].Aliases, tt.aliases) {
			t.Errorf("%s: %+v, want %s %v", tt.port, got, tt.name, tt.aliases)
		}
	}
	if e := Builtin().Assigned(monban.Port{Num: 5555, Proto: monban.TCP}); len(e) != 1 || e[0].Unauthorized == "" {
		t.Errorf("5555/tcp has no note on unauthorized use: %+v", e)
	}
	for _, num := range []uint16{4, 5173, 8123, 9042, 49152, 65535} {
		if e := Builtin().Assigned(monban.Port{Num: num}); e != nil {
			t.Errorf("%d is assigned: %+v", num, e)
		}
	}
}

// TestNameRoundTrip looks every name of the registry up again.
func TestNameRoundTrip(t *testing.T) {
	b := Builtin()
	for _, r := range source(t) {
		for _, name := range r.Names {
			if !slices.ContainsFunc(b.Lookup(name), func(x monban.PortRange) bool { return x.Contains(r.Port) }) {
				t.Fatalf("Lookup(%q) = %v: lacks %s", name, b.Lookup(name), r.Port)
			}
		}
	}
}

func TestNameDoesNotAllocate(t *testing.T) {
	b := Builtin()
	if n := testing.AllocsPerRun(100, func() {
		b.Name(monban.Port{Num: 443, Proto: monban.TCP})
		b.Name(monban.Port{Num: 5173})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { sink = Builtin() }); n > 1 {
		t.Errorf("Builtin makes %v allocations", n)
	}
}

var sink *Book

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "registry.bin")
	if _, err := Open(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := Open(dir); err == nil {
		t.Error("a directory is opened")
	}
	for _, content := range []string{"", "monbanPB", builtinRegistry[:len(builtinRegistry)-1], builtinRegistry + "x"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if b, err := Open(path); !errors.Is(err, ErrBroken) || b != nil {
			t.Errorf("%d bytes: %v", len(content), err)
		}
	}
	if err := Install(path, []byte(builtinRegistry)); err != nil {
		t.Fatal(err)
	}
	b, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if b.Rows() != Builtin().Rows() || b.Name(monban.Port{Num: 22}) != "ssh" || len(b.Practice(monban.Port{Num: 9200})) == 0 {
		t.Error("the opened book differs from the builtin one")
	}
}

// TestOneWrongByte changes single bytes: each change is found.
func TestOneWrongByte(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	blob := []byte(builtinRegistry)
	for range 300 {
		i, old := random.IntN(len(blob)), byte(0)
		old, blob[i] = blob[i], blob[i]^byte(1+random.IntN(255))
		if _, err := registry.Verify(string(blob)); !errors.Is(err, ErrBroken) {
			t.Fatalf("byte %d changed from %#x to %#x: %v", i, old, blob[i], err)
		}
		blob[i] = old
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte("monbanPB\x01\x00\x00\x00"))
	path := filepath.Join(f.TempDir(), "registry.bin")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if b, err := Open(path); (err != nil) != (b == nil) {
			t.Fatalf("%v with %v", b, err)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "registry.bin")
	if err := Install(path, []byte(builtinRegistry)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Open(path); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkName(b *testing.B) {
	book := Builtin()
	for i := 0; b.Loop(); i++ {
		book.Name(monban.Port{Num: uint16(i), Proto: monban.TCP})
	}
}

func BenchmarkLookup(b *testing.B) {
	book := Builtin()
	for b.Loop() {
		book.Lookup("postgresql")
	}
}

func BenchmarkSearch(b *testing.B) {
	book := Builtin()
	for b.Loop() {
		book.Search("mail server", 20)
	}
}

func BenchmarkNearest(b *testing.B) {
	book := Builtin()
	for b.Loop() {
		book.Nearest("postgress", 3)
	}
}

func BenchmarkPractice(b *testing.B) {
	book := Builtin()
	for i := 0; b.Loop(); i++ {
		book.Practice(monban.Port{Num: uint16(i), Proto: monban.TCP})
	}
}
