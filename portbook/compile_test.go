package portbook

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook/internal/registry"
)

// ianaCSV writes the builtin registry the way IANA's file is: twelve columns,
// names before aliases, runs of numbers as ranges, fields of several lines, rows
// without a number at the end.
func ianaCSV(t testing.TB) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := csv.NewWriter(&buf)
	w.UseCRLF = true
	put := func(name, port, proto, description, modified, unauthorized, notes string) {
		w.Write([]string{name, port, proto, description, "[Some_One]", "[Some_One]", "2001-02", modified, "[RFC9999]", "",
			unauthorized, notes})
	}
	w.Write([]string{"Service Name", "Port Number", "Transport Protocol", "Description", "Assignee", "Contact",
		"Registration Date", "Modification Date", "Reference", "Service Code", "Unauthorized Use Reported", "Assignment Notes"})
	put("", "4", "tcp", "Unassigned", "", "", "")
	put("", "225-241", "", "Reserved", "", "", "")
	for _, r := range source(t) {
		port := fmt.Sprint(r.Port.Num)
		if len(r.Names) > 0 && r.Names[0] == "x11" {
			if r.Port.Num != 6000 {
				continue
			}
			port = "6000-6063"
		}
		names := r.Names
		if len(names) == 0 {
			names = []string{""}
		}
		for i, name := range names {
			description, notes := r.Description, "Defined TXT keys: <none>"
			if i > 0 {
				notes = "This entry is an alias to \"" + names[0] + "\".\nThis entry is now historic."
			}
			if r.Port.Num == 66 {
				description = strings.ReplaceAll(description, " ", "\n  ") + "\nIANA assigned this well-formed service name as a replacement for \"sql*net\"."
			}
			put(name, port, r.Port.Proto.String(), description, "", r.Unauthorized, notes)
		}
	}
	put("", "49152-65535", "", "Dynamic", "2026-10-01", "", "")
	for i := range 800 {
		put(fmt.Sprintf("dns-sd-%d", i), "", "tcp", "a service\nwithout a number", "2026-11-02", "", "")
	}
	w.Flush()
	return append([]byte("\ufeff"), buf.Bytes()...)
}

func TestCompile(t *testing.T) {
	blob, stats, err := Compile(bytes.NewReader(ianaCSV(t)))
	if err != nil {
		t.Fatal(err)
	}
	b := Builtin()
	if stats != (Stats{Date: "2026-11-02", Rows: b.Rows()}) {
		t.Errorf("%+v", stats)
	}
	path := filepath.Join(t.TempDir(), "registry.bin")
	if err := Install(path, blob); err != nil {
		t.Fatal(err)
	}
	renewed, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if renewed.Version() != "2026-11-02" {
		t.Errorf("version %q", renewed.Version())
	}
	for n := range 1 << 16 {
		p := monban.Port{Num: uint16(n)}
		if got, want := renewed.Assigned(p), b.Assigned(p); !sameEntries(got, want) {
			t.Fatalf("%d: %+v, want %+v", n, got, want)
		}
	}
	for _, name := range []string{"http", "www", "sql*net", "x11"} {
		if got, want := fmt.Sprint(renewed.Lookup(name)), fmt.Sprint(b.Lookup(name)); got != want {
			t.Errorf("Lookup(%q) = %s, want %s", name, got, want)
		}
	}
}

// TestCompileTruncated: a download that ends early is refused wherever it ends,
// but for the rows without a number at its end.
func TestCompileTruncated(t *testing.T) {
	whole := ianaCSV(t)
	last := bytes.LastIndex(whole, []byte("49150,")) // the last assignment
	random := rand.New(rand.NewPCG(7, 8))
	cuts := []int{0, 1, 3, 100, last * 91 / 100, last * 99 / 100}
	for range 8 {
		cuts = append(cuts, random.IntN(last*99/100))
	}
	for _, n := range cuts {
		// At the end of a line, where the CSV alone shows nothing.
		for _, end := range []int{n, bytes.LastIndexByte(whole[:n], '\n') + 1} {
			if blob, _, err := Compile(bytes.NewReader(whole[:end])); err == nil || blob != nil {
				t.Errorf("the first %d of %d bytes are accepted", end, len(whole))
			}
		}
	}
	hole := append(bytes.Clone(whole[:len(whole)/4]), whole[len(whole)/2:]...)
	if _, _, err := Compile(bytes.NewReader(hole)); err == nil {
		t.Error("a file without its second quarter is accepted")
	}
}

func TestCompileRefuses(t *testing.T) {
	whole := string(ianaCSV(t))
	for what, file := range map[string]string{
		"nothing":            "",
		"a web page":         "<!DOCTYPE html>\n<html><body>captive portal</body></html>",
		"other columns":      strings.Replace(whole, "Port Number", "Number of Port", 1),
		"a wrong number":     strings.Replace(whole, "ssh,22,tcp", "ssh,22x,tcp", 1),
		"a number too large": strings.Replace(whole, "ssh,22,tcp", "ssh,65558,tcp", 1),
		"a backward range":   strings.Replace(whole, "ssh,22,tcp", "ssh,22-21,tcp", 1),
		"a wrong transport":  strings.Replace(whole, "ssh,22,tcp", "ssh,22,quic", 1),
		"ssh moved":          strings.Replace(whole, "ssh,22,tcp", "shh,22,tcp", 1),
		"a missing quote":    whole + "\"x\n",
		"a missing field":    whole + "x,1\n",
	} {
		if blob, stats, err := Compile(strings.NewReader(file)); err == nil || blob != nil || stats != (Stats{}) {
			t.Errorf("%s: accepted", what)
		}
	}
	if blob, _, err := Compile(&endless{head: []byte(whole)}); err == nil || blob != nil {
		t.Error("an endless file is accepted")
	}
	broken := errors.New("connection reset")
	if _, _, err := Compile(&endless{head: []byte(whole[:1000]), err: broken}); !errors.Is(err, broken) {
		t.Errorf("the reader's error is lost: %v", err)
	}
}

// endless reads head, then returns err, or rows without end if err is nil.
type endless struct {
	head []byte
	err  error
}

func (e *endless) Read(p []byte) (int, error) {
	if len(e.head) == 0 {
		if e.err != nil {
			return 0, e.err
		}
		e.head = []byte("x,,tcp,filler,,,,,,,,\n")
	}
	n := copy(p, e.head)
	e.head = e.head[n:]
	return n, nil
}

func FuzzCompile(f *testing.F) {
	f.Add("Service Name,Port Number,Transport Protocol,Description\nssh,22,tcp,Shell\n\"a\nb\",1-3,udp,\"x \"\"y\"\"\"\n")
	f.Fuzz(func(t *testing.T, file string) {
		if blob, _, err := Compile(strings.NewReader(file)); err == nil || blob != nil {
			t.Fatal("a short file is accepted")
		}
		rows, _, err := registry.ReadCSV(strings.NewReader(file))
		if err != nil {
			if rows != nil {
				t.Fatal("rows with an error")
			}
			return
		}
		blob, err := registry.Encode(rows, "2026-01-02")
		if err != nil {
			t.Fatalf("what was read cannot be compiled: %v", err)
		}
		table, err := registry.Verify(string(blob))
		if err != nil {
			t.Fatalf("what was compiled is not intact: %v", err)
		}
		if table.Len() != len(rows) {
			t.Fatalf("%d rows of %d", table.Len(), len(rows))
		}
	})
}

func TestInstall(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "registry.bin")
	if err := os.WriteFile(path, []byte("the old one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Install(path, []byte("nonsense")); !errors.Is(err, ErrBroken) {
		t.Errorf("nonsense: %v", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "the old one" {
		t.Errorf("the old file is gone: %q, %v", got, err)
	}
	if err := Install(filepath.Join(dir, "absent", "registry.bin"), []byte(builtinRegistry)); err == nil {
		t.Error("a directory that does not exist is accepted")
	}
	// A directory in the file's place makes the last step fail.
	if err := os.MkdirAll(filepath.Join(dir, "taken", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Install(filepath.Join(dir, "taken"), []byte(builtinRegistry)); err == nil {
		t.Error("a directory is replaced")
	}
	if err := Install(path, []byte(builtinRegistry)); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v", info.Mode())
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2 {
		t.Errorf("files left behind: %v", entries)
	}
}
