package sockets

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestUnixFile opens a socket's file, leaves it behind, and looks at it by
// another path.
func TestUnixFile(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "a b.sock")
	check := func(path string, want FileState) {
		t.Helper()
		if got, inode := UnixFile(path); got != want || (inode != 0) != (want == FileInUse) {
			t.Errorf("%s: state %d inode %d, want state %d", path, got, inode, want)
		}
	}
	check(path, FileMissing)
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	link := filepath.Join(dir, "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	check(path, FileInUse)
	check(filepath.Join(link, "a b.sock"), FileInUse)
	ln.Close()
	check(path, FileLeftOver)
	check(link, FileForeign)
}

func TestUnixRow(t *testing.T) {
	table := "Num RefCount Protocol Flags Type St Inode Path\n" +
		"0000000000000000: 00000002 00000000 00010000 0001 01 81234 ./app.sock\n" +
		"0000000000000000: 00000003 00000000 00000000 0001 03    99\n" +
		"0000000000000000: 00000002 00000000 00010000 0001 01 55 @/tmp/app.sock\n"
	info, err := os.Lstat(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := boundTo(strings.NewReader(table), "/srv/app.sock", info); got != FileUnknown {
		t.Errorf("a relative name may be this file: %d", got)
	}
	if got, _ := boundTo(strings.NewReader(table), "/srv/other.sock", info); got != FileLeftOver {
		t.Errorf("nobody: %d", got)
	}
}

func FuzzUnixRow(f *testing.F) {
	f.Add("0000000000000000: 00000002 00000000 00010000 0001 01 81234 /run/x y.sock")
	f.Fuzz(func(t *testing.T, row string) {
		if _, name, ok := unixRow(row); ok && !strings.HasSuffix(row, name) {
			t.Errorf("%q is not in %q", name, row)
		}
	})
}
