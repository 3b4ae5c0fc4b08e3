package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/monban-dev/monban/internal/integration/peers"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/sys/unix"
)

// envelope is monban's JSON, declared here once more from its contract: the
// tests must not share the mistakes of the program.
type envelope struct {
	Monban   int
	Verb     string
	Host     struct{ OS, Arch, NetNS, Container string }
	Findings []finding
	Gaps     []gap
	Data     struct {
		Doors      []door
		Containers []json.RawMessage
		Ports      []portView
	}
}

type finding struct {
	Kind, Severity, Proto, Address string
	Port                           int
	Why                            string
}

type gap struct{ Source, Error, Hides string }

type door struct {
	Proto, Address  string
	Port            int
	Device, State   string
	V6Only          bool
	Class, Assigned string
	UID             int
	Inode           uint64
	NetNS           string
	Owners          []owner
	To              *struct {
		Address   string
		Port      int
		Container string
	}
}

type owner struct {
	PID       int
	Name, Exe string
	Deleted   bool
	Command   []string
	User      string
	UID       int
	Unit      string
	Container *struct {
		ID, Name, Image, Project, Service string
	}
	Parents []struct {
		PID  int
		Name string
	}
}

type portView struct {
	Port     int
	Class    string
	Registry []struct{ Proto, Name string }
	Practice []struct{ Name string }
	Doors    []door
}

// view runs `monban --json` in the room as root.
func (r *room) view(args ...string) envelope {
	r.t.Helper()
	return r.viewAs("root", args...)
}

func (r *room) viewAs(as string, args ...string) envelope {
	r.t.Helper()
	return parse(r.t, r.monban(as, append([]string{"--json"}, args...)...))
}

// parse checks a JSON answer against its schema and decodes it.
func parse(t testing.TB, text []byte) envelope {
	t.Helper()
	if !utf8.Valid(text) {
		t.Errorf("not UTF-8: %q", text)
	}
	var e envelope
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, text)
	}
	if e.Monban != 1 {
		t.Errorf("envelope version %d, want 1", e.Monban)
	}
	validate(t, e.Verb, text)
	return e
}

// schemas is where the published ones are, and what they call themselves.
const (
	schemaDir = "../../docs/schema"
	schemaURL = "https://monban.dev/schema/"
)

// validate checks an answer against the published schemas: its frame, and its
// data by its verb.
func validate(t testing.TB, verb string, text []byte) {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	files, err := filepath.Glob(filepath.Join(schemaDir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no schemas: %v", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(content))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if err := compiler.AddResource(schemaURL+filepath.Base(file), schema); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	object, ok := instance.(map[string]any)
	if !ok {
		t.Fatalf("not an object: %s", text)
	}
	for name, part := range map[string]any{"envelope": object, verb: object["data"]} {
		schema, err := compiler.Compile(schemaURL + name + ".json")
		if err != nil {
			t.Errorf("schema %s: %v", name, err)
			continue
		}
		if err := schema.Validate(part); err != nil {
			t.Errorf("schema %s: %v\n%s", name, err, text)
		}
	}
}

func (d door) String() string { return fmt.Sprintf("%s %s:%d %s", d.Proto, d.Address, d.Port, d.State) }

// find returns the doors on one port.
func (e envelope) find(proto string, port int) (found []door) {
	for _, d := range e.Data.Doors {
		if d.Proto == proto && d.Port == port {
			found = append(found, d)
		}
	}
	return found
}

// hasGap reports whether a gap from the source says the words.
func (e envelope) hasGap(source, words string) bool {
	return slices.ContainsFunc(e.Gaps, func(g gap) bool {
		return strings.Contains(g.Source, source) && strings.Contains(g.Hides, words)
	})
}

// sameAsPeers checks that monban shows the rows of ss with the same processes,
// and the TCP listeners of lsof with the same processes.
func (r *room) sameAsPeers() envelope {
	r.t.Helper()
	// Daemons start and end helpers as they like, which have all their doors for a
	// moment: so they are stopped, and beside those that cannot be it is a moment in
	// which nothing changed that is compared.
	defer r.still()()
	var ss []peers.Row
	var text []byte
	var lsof []string
	eventually(r.t, "the daemons come to rest", func() bool {
		before := r.ss()
		text = r.monban("root", "--json")
		lsof, ss = peers.Lsof(r.lsof()), r.ss()
		return slices.Equal(peers.Keys(before), peers.Keys(ss))
	})
	e := parse(r.t, text)
	own := monbanRows(r.t, text)
	same(r.t, "ss", peers.Keys(ss), own)
	for _, said := range peers.Differences("lsof", lsof, "monban", peers.AsLsof(own)) {
		r.t.Error(said)
	}
	return e
}

// still stops every process in the room's network but its keeper, and a container
// engine, which monban asks. What it returns lets them go on.
func (r *room) still() (goOn func()) {
	r.t.Helper()
	stopped := map[int]bool{}
	goOn = func() {
		for pid := range stopped {
			unix.Kill(pid, unix.SIGCONT) // an error means that it has ended
		}
	}
	eventually(r.t, "every process is stopped", func() bool {
		dirs, _ := filepath.Glob("/proc/[0-9]*")
		all := true
		for _, dir := range dirs {
			pid, err := strconv.Atoi(filepath.Base(dir))
			if ns, errNS := os.Readlink(dir + "/ns/net"); err != nil || errNS != nil || ns != r.ns.Name() || pid == r.pid {
				continue
			}
			stat, err := os.ReadFile(dir + "/stat")
			name, rest, ok := strings.Cut(string(stat), ") ")
			if err != nil || !ok || strings.HasSuffix(name, "(dockerd") || strings.HasSuffix(name, "(containerd") || strings.ContainsRune("TtZX", rune(rest[0])) {
				continue
			}
			stopped[pid], all = true, false
			unix.Kill(pid, unix.SIGSTOP)
		}
		return all
	})
	return goOn
}

// ss asks ss for what listens, and for UDP.
func (r *room) ss() []peers.Row {
	r.t.Helper()
	return ssRows(r.t, r.run("ss", peers.SSArgs()...))
}

// lsof asks lsof who listens on TCP. Its status is 1 if nobody does.
func (r *room) lsof() string {
	r.t.Helper()
	out, err := r.command("root", "lsof", peers.LsofArgs()...).Output()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		r.t.Fatal(err)
	}
	return string(out)
}

func ssRows(t testing.TB, text string) []peers.Row {
	t.Helper()
	rows, err := peers.SS(text)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func monbanRows(t testing.TB, text []byte) []peers.Row {
	t.Helper()
	rows, err := peers.Monban(text)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// same checks monban's rows against the keys of another's.
func same(t testing.TB, peer string, want []string, own []peers.Row) {
	t.Helper()
	for _, said := range peers.Differences(peer, want, "monban", peers.Keys(own)) {
		t.Error(said)
	}
}
