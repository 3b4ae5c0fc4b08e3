package claims

import (
	"testing"
	"testing/fstest"
)

// TestNamedFile reads files that were named whatever they are called.
func TestNamedFile(t *testing.T) {
	tree := fstest.MapFS{
		"mine.yaml": {Data: []byte("claims:\n  - {name: a, port: 7100}\n")},
		"mine.txt":  {Data: []byte("# doors\nclaims:\n  - {name: a, port: 7100}\n")},
		"web":       {Data: []byte("Listen 7100\n")},
	}
	for name, by := range map[string]string{"mine.yaml": "claims", "mine.txt": "claims", "web": "apache"} {
		got, gaps, err := Read(Place{FS: tree}, name)
		if err != nil || len(gaps) != 0 || len(got) != 1 || got[0].By != by || got[0].Bind.Port.Num != 7100 {
			t.Errorf("%s: %+v, %v, %v", name, got, gaps, err)
		}
	}
}
