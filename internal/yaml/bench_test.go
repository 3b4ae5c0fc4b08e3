package yaml

import (
	"os"
	"testing"
)

// BenchmarkRead reads a Compose file of 2 kB, and the oracle does so beside it.
func BenchmarkRead(b *testing.B) {
	data, err := os.ReadFile("testdata/compose.yaml")
	if err != nil {
		b.Fatal(err)
	}
	b.Run("ours", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Parse(data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("oracle", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := theirs(data); err != nil {
				b.Fatal(err)
			}
		}
	})
}
