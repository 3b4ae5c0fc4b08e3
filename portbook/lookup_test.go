package portbook

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/monban-dev/monban"
)

func TestLookup(t *testing.T) {
	for _, tt := range []struct{ name, want string }{
		{"http", "80"}, // tcp, udp and sctp: the whole number
		{"HTTP", "80"},
		{"www-http", "80/tcp 80/udp"},
		{"mysql", "3306"},
		{"MySQL", "3306"},
		{"redis", "6379"},
		{"postgres", "5432/tcp"},
		{"postgresql", "5432"},
		{"elasticsearch", "9200/tcp"},
		{"syslog", "514/udp"}, // 514/tcp is the remote shell
		{"shell", "514/tcp"},
		{"x11", "6000-6063"},
		{"ircu", "6665-6669"},
		{"vnc", "5900-5910/tcp"},
		{"home-assistant", "8123/tcp"},
		{"home assistant", "8123/tcp"},
		{"rdp", "3389"},
		{"redis-server", "6379-6380/tcp 26379/tcp"},
		{"Sqlservr", "1433/tcp"},
		{"nodeport", "30000-32767"},
		{"nosuchservice", ""},
		{"", ""},
		{"\x00\xff", ""},
	} {
		var got []string
		for _, r := range Builtin().Lookup(tt.name) {
			got = append(got, r.String())
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("Lookup(%q) = %q, want %q", tt.name, s, tt.want)
		}
	}
}

func TestLookupFindsEveryUse(t *testing.T) {
	for i := range uses {
		u := &uses[i]
		names := append(slices.Clone(u.Aliases), u.Name, strings.ToUpper(u.Name))
		for _, name := range names {
			if !slices.ContainsFunc(Builtin().Lookup(name), func(r monban.PortRange) bool {
				return r.First <= u.Ports.First && u.Ports.Last <= r.Last
			}) {
				t.Errorf("Lookup(%q) = %v, lacks %s", name, Builtin().Lookup(name), u.Ports)
			}
		}
	}
}

func TestNearest(t *testing.T) {
	b := Builtin()
	for _, tt := range []struct{ name, first string }{
		{"mysqll", "mysql"}, {"htttp", "http"}, {"sssh", "ssh"}, {"redus", "redis"}, {"postgress", "postgres"},
		{"elastisearch", "elasticsearch"}, {"htpt", "http"}, {"MongDB", "mongodb"},
	} {
		got := b.Nearest(tt.name, 3)
		if len(got) == 0 || got[0] != tt.first {
			t.Errorf("Nearest(%q) = %q, want %s first", tt.name, got, tt.first)
		}
		for _, name := range got {
			if b.Lookup(name) == nil {
				t.Errorf("Nearest(%q) offers %q, which Lookup does not know", tt.name, name)
			}
		}
	}
	for _, name := range []string{"", strings.Repeat("x", 1000), "zzzzqqqqxxxxjjjj"} {
		if got := b.Nearest(name, 3); got != nil {
			t.Errorf("Nearest(%.20q) = %q", name, got)
		}
	}
	if got := b.Nearest("http", 0); got != nil {
		t.Errorf("none asked for, got %q", got)
	}
}

// TestDistance compares with the plain recursive definition on random words.
func TestDistance(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	word := func() string {
		b := make([]byte, random.IntN(7))
		for i := range b {
			b[i] = "abAB"[random.IntN(4)]
		}
		return string(b)
	}
	for range 3000 {
		a, b, limit := word(), word(), random.IntN(8)
		want := min(slowDistance(strings.ToLower(a), strings.ToLower(b)), limit+1)
		if got := distance(a, b, limit); min(got, limit+1) != want {
			t.Fatalf("distance(%q, %q, %d) = %d, want %d", a, b, limit, got, want)
		}
	}
}

func slowDistance(a, b string) int {
	if a == "" || b == "" {
		return len(a) + len(b)
	}
	change := 1
	if a[len(a)-1] == b[len(b)-1] {
		change = 0
	}
	shortA, shortB := a[:len(a)-1], b[:len(b)-1]
	d := min(slowDistance(shortA, shortB)+change, slowDistance(shortA, b)+1, slowDistance(a, shortB)+1)
	if len(a) > 1 && len(b) > 1 && a[len(a)-1] == b[len(b)-2] && a[len(a)-2] == b[len(b)-1] {
		d = min(d, slowDistance(a[:len(a)-2], b[:len(b)-2])+1)
	}
	return d
}

func TestSearch(t *testing.T) {
	b := Builtin()
	for _, tt := range []struct {
		query string
		first string
		layer Layer
	}{
		{"redis", "Redis", Practice},
		{"REDIS", "Redis", Practice},
		{"9200", "Elasticsearch", Practice},
		{"wap-wsp", "wap-wsp", Registry},
		{"printer", "printer", Registry},
		{"ghostcat", "Tomcat AJP", Practice},
		{"メール", "SMTP", Practice},
		{"データベース", "Db2 discovery", Practice},
		{"kubernetes api", "Kubernetes API", Practice},
	} {
		got := b.Search(tt.query, 5)
		if len(got) == 0 || got[0].Name != tt.first || got[0].Layer != tt.layer {
			t.Errorf("Search(%q): %+v", tt.query, got)
		}
	}
	for _, query := range []string{"", "  ", "qqqqqqqq", strings.Repeat("a ", 1000), "redis qqqqqqqq"} {
		if got := b.Search(query, 5); len(got) != 0 {
			t.Errorf("Search(%.20q): %+v", query, got)
		}
	}
	if got := b.Search("a", 7); len(got) != 7 {
		t.Errorf("%d hits, want 7", len(got))
	}
	if got := b.Search("redis", 0); len(got) != 0 {
		t.Errorf("none asked for: %+v", got)
	}
	if got := b.Search("redis", -1); len(got) != 0 {
		t.Errorf("fewer than none asked for: %+v", got)
	}
}

// TestSearchFindsEveryName: whatever has a name is found by it.
func TestSearchFindsEveryName(t *testing.T) {
	b := Builtin()
	random := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		row := random.IntN(b.registry.Len())
		name, port := b.registry.Name(row), b.registry.Port(row)
		if name == "" {
			continue
		}
		if !slices.ContainsFunc(b.Search(name, 1000), func(h Hit) bool { return h.Ports.Contains(port) && h.Layer == Registry }) {
			t.Errorf("Search(%q) lacks %s", name, port)
		}
	}
}

func FuzzSearch(f *testing.F) {
	f.Add("mysql")
	f.Add("データ ベース\xff")
	b := Builtin()
	f.Fuzz(func(t *testing.T, query string) {
		for _, h := range b.Search(query, 50) {
			if h.Ports.Last < h.Ports.First || h.Layer == 0 {
				t.Fatalf("%+v", h)
			}
		}
		b.Lookup(query)
		b.UsesOf(query, query)
		if len(b.Nearest(query, 2)) > 2 {
			t.Fatal("more than asked for")
		}
	})
}
