package identify

import (
	"slices"
	"testing"
)

// bsonTexts is a document of strings.
func bsonTexts(pairs ...string) []byte {
	var b []byte
	for pair := range slices.Chunk(pairs, 2) {
		b = append(append(append(b, 2), pair[0]...), 0)
		b = append(append(le32s(b, uint32(len(pair[1])+1)), pair[1]...), 0)
	}
	return append(le32s(nil, uint32(len(b)+5)), append(b, 0)...)
}

// TestMongoBuild tells MongoDB from those that stand in for it: what FerretDB
// 1.24.2 says of itself, and a mongod 5.0.
func TestMongoBuild(t *testing.T) {
	for _, test := range []struct {
		document         []byte
		product, version string
	}{
		{bsonTexts("version", "7.0.42", "gitVersion", "unknown", "sysInfo", "deprecated", "ferretdbVersion", "v1.24.2"), "FerretDB", "1.24.2"},
		{bsonTexts("version", "5.0.0", "gitVersion", "1184f004a99660de6f5e745573419bda8a28c0e9", "allocator", "tcmalloc", "javascriptEngine", "mozjs"), "MongoDB", "5.0.0"},
		{bsonTexts("version", "4.0.0", "gitVersion", "x"), "", "4.0.0"},
		{bsonTexts("errmsg", "command buildInfo requires authentication"), "", ""},
		{nil, "", ""},
	} {
		if product, version := mongoBuild(test.document); product != test.product || version != test.version {
			t.Errorf("%q is %s %s, want %s %s", test.document, product, version, test.product, test.version)
		}
	}
}

// TestMySQL tells MySQL from those that speak its protocol: by the version of
// the greeting, and by the words of the refusal.
func TestMySQL(t *testing.T) {
	for version, want := range map[string]string{
		"8.0.36": "|8.0.36", "8.0.36-0ubuntu0.22.04.1": "|8.0.36-0ubuntu0.22.04.1", "5.5.5-10.11.6-MariaDB-0+deb12u1": "MariaDB|10.11.6",
		"11.4.2-MariaDB": "MariaDB|11.4.2", "8.0.11-TiDB-v7.5.1": "TiDB|7.5.1", "8.0.30-Vitess": "Vitess|", "23.8.1.2992-ClickHouse": "ClickHouse|23.8.1.2992",
	} {
		if product, v := mysqlVersion(version); product+"|"+v != want {
			t.Errorf("%q is %s|%s, want %s", version, product, v, want)
		}
	}
	for said, want := range map[string]bool{
		"\x15\x04#28000Access denied for user 'monban'@'localhost' (using password: NO)":                                     true,
		"\x15\x04#28000Access denied for user 'monban'":                                                                      false, // go-mysql-server 0.20.0
		"\xe3\x04#08004Client does not support authentication protocol requested by server; consider upgrading MySQL client": true,
		"\x10\x04#08004Access denied for user 'monban'@'localhost' (using password: NO)":                                     false, // another number
		"\x15": false, "": false,
	} {
		if got := mysqlWords(mysqlPacket(2, append([]byte{0xff}, said...))); got != want {
			t.Errorf("%q: %t", said, got)
		}
	}
}
