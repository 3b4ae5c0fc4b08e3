package registry

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/monban-dev/monban"
)

func port(num uint16, proto monban.Proto) monban.Port { return monban.Port{Num: num, Proto: proto} }

func someRows() []Row {
	return []Row{
		{Port: port(65535, monban.DCCP), Names: []string{"last"}, Description: "日本語"},
		{Port: port(80, monban.TCP), Names: []string{"http", "www", "www-http"}, Description: "World Wide Web HTTP"},
		{Port: port(80, monban.UDP), Names: []string{"http"}, Description: "World Wide Web HTTP", Unauthorized: "known"},
		{Port: port(0, monban.TCP), Description: "Reserved"},
		{Port: port(63, monban.SCTP), Names: []string{"A"}},
		{Port: port(64, monban.SCTP), Names: []string{"a"}},
	}
}

func encode(t testing.TB, rows []Row) string {
	t.Helper()
	blob, err := Encode(rows, "2026-01-02")
	if err != nil {
		t.Fatal(err)
	}
	return string(blob)
}

// seal gives a changed blob the length and checksum it would have if it had been
// made so on purpose.
func seal(blob []byte) {
	if len(blob) < summedAt+4 {
		return
	}
	copy(blob, magic)
	binary.LittleEndian.PutUint32(blob[8:], version)
	binary.LittleEndian.PutUint32(blob[16:], uint32(len(blob)))
	binary.LittleEndian.PutUint32(blob[crcAt:], crc32.Checksum(blob[summedAt:], crc32.MakeTable(crc32.Castagnoli)))
}

// walk reads everything that a table can be asked.
func walk(t *testing.T, table Table) {
	rows := 0
	for num := range 1 << 16 {
		for row, end := table.Rows(uint16(num)); row < end; row++ {
			if p := table.Port(row); int(p.Num) != num {
				t.Fatalf("row %d of port %d says %d", row, num, p.Num)
			}
			table.Name(row)
			table.Aliases(row)
			table.Description(row)
			table.Unauthorized(row)
			rows++
		}
	}
	if rows != table.Len() {
		t.Fatalf("%d rows, Len says %d", rows, table.Len())
	}
	for i := range table.Names() {
		name, row := table.NameAt(i)
		table.Name(row)
		table.Find(name)
	}
	table.Date()
}

func TestEncodeVerify(t *testing.T) {
	rows := someRows()
	table, err := Verify(encode(t, rows))
	if err != nil {
		t.Fatal(err)
	}
	walk(t, table)
	for _, r := range rows {
		found := false
		for row, end := table.Rows(r.Port.Num); row < end; row++ {
			if table.Port(row) != r.Port {
				continue
			}
			found = true
			names := append([]string{table.Name(row)}, table.Aliases(row)...)
			if len(r.Names) == 0 {
				names = names[1:]
				if table.Name(row) != "" {
					t.Errorf("%s is called %q", r.Port, table.Name(row))
				}
			}
			if !slices.Equal(names, r.Names) || table.Description(row) != r.Description || table.Unauthorized(row) != r.Unauthorized {
				t.Errorf("%s: %q %q %q", r.Port, names, table.Description(row), table.Unauthorized(row))
			}
		}
		if !found {
			t.Errorf("%s is missing", r.Port)
		}
	}
	if first, end := table.Find("a"); end-first != 2 {
		t.Errorf("a and A: %d rows", end-first)
	}
	if first, end := table.Find("WWW"); end-first != 1 {
		t.Errorf("WWW: %d rows", end-first)
	}
	if first, end := table.Find("ww"); end != first {
		t.Errorf("ww: %d rows", end-first)
	}
	if first, end := (Table{}).Rows(80); first != end || (Table{}).Len() != 0 || (Table{}).Date() != "" {
		t.Error("the zero table is not empty")
	}
}

func TestEncodeRefuses(t *testing.T) {
	for what, rows := range map[string][]Row{
		"two rows of one port": {{Port: port(1, monban.TCP)}, {Port: port(1, monban.TCP)}},
		"empty name":           {{Port: port(1, monban.TCP), Names: []string{"a", ""}}},
		"control character":    {{Port: port(1, monban.TCP), Description: "a\x1b[31m"}},
		"text direction":       {{Port: port(1, monban.TCP), Description: "a\u202eb"}},
		"not UTF-8":            {{Port: port(1, monban.TCP), Description: "a\xff"}},
		"too long":             {{Port: port(1, monban.TCP), Description: strings.Repeat("x", 1<<16)}},
		"too many names":       {{Port: port(1, monban.TCP), Names: slices.Repeat([]string{"x"}, 300)}},
	} {
		if blob, err := Encode(rows, "2026-01-02"); err == nil || blob != nil {
			t.Errorf("%s: accepted", what)
		}
	}
	if _, err := Encode(nil, "yesterday"); err == nil {
		t.Error("a wrong date is accepted")
	}
}

// TestSealedDamage changes bytes and puts the checksum right again: what Verify
// still accepts must be readable throughout.
func TestSealedDamage(t *testing.T) {
	good := encode(t, someRows())
	random := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for range 4000 {
		blob := []byte(good)
		for range 1 + random.IntN(3) {
			at := random.IntN(len(blob))
			if random.IntN(3) > 0 { // most of the blob is an empty bitmap
				at = firstsAt + random.IntN(len(blob)-firstsAt)
			}
			blob[at] = byte(random.Uint32())
		}
		if random.IntN(10) == 0 {
			blob = blob[:random.IntN(len(blob))]
		}
		seal(blob)
		table, err := Verify(string(blob))
		if err != nil {
			if !errors.Is(err, ErrBroken) {
				t.Fatalf("untyped error %v", err)
			}
			refused++
			continue
		}
		walk(t, table)
	}
	if refused < 1000 {
		t.Errorf("only %d of 4000 damaged blobs are refused", refused)
	}
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte(encode(f, someRows())))
	f.Add([]byte(encode(f, nil)))
	f.Fuzz(func(t *testing.T, blob []byte) {
		seal(blob)
		if table, err := Verify(string(blob)); err == nil {
			walk(t, table)
		}
	})
}

const head = "Service Name,Port Number,Transport Protocol,Description,Modification Date,Unauthorized Use Reported,Assignment Notes\n"

func TestReadCSV(t *testing.T) {
	rows, date, err := ReadCSV(strings.NewReader(head +
		"www,80,tcp,World Wide Web,,,\"This entry is an alias to \"\"http\"\".\"\n" +
		"http,80,tcp,\"World Wide\n Web HTTP\",2020-01-02,,\n" +
		"nfs-other,2049,tcp,other,2021-03,,\n" + // a month alone is no date
		"nfs,2049,tcp,files,,someone,\n" +
		"range,7-9,udp,three,2019-01-01,,\n" +
		",4,tcp,Unassigned,,,\n" +
		",5,tcp,De-registered,,,\n" +
		",6,tcp,Reserved,,,\n" +
		"nowhere,,tcp,no number,2022-02-02,,\n" +
		"noproto,99,,no transport,,,\n" +
		"esc,10,tcp,a\x1b[31mb\u202e \u00a0 c\xff,,,\n"))
	if err != nil {
		t.Fatal(err)
	}
	if date != "2022-02-02" {
		t.Errorf("date %q", date)
	}
	want := []Row{
		{port(6, monban.TCP), nil, "Reserved", ""},
		{port(7, monban.UDP), []string{"range"}, "three", ""},
		{port(8, monban.UDP), []string{"range"}, "three", ""},
		{port(9, monban.UDP), []string{"range"}, "three", ""},
		{port(10, monban.TCP), []string{"esc"}, "a[31mb c\ufffd", ""},
		{port(80, monban.TCP), []string{"http", "www"}, "World Wide Web HTTP", ""},
		{port(2049, monban.TCP), []string{"nfs", "nfs-other"}, "files", "someone"},
	}
	if !slices.EqualFunc(rows, want, func(a, b Row) bool {
		return a.Port == b.Port && slices.Equal(a.Names, b.Names) && a.Description == b.Description && a.Unauthorized == b.Unauthorized
	}) {
		t.Errorf("%+v\nwant %+v", rows, want)
	}
}
