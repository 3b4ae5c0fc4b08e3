package claims

import "testing"

// TestOldAddr holds what glibc's getaddrinfo(3) says of these (2.36).
func TestOldAddr(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"0": "0.0.0.0", "127.1": "127.0.0.1", "127.0.1": "127.0.0.1", "0x7f.1": "127.0.0.1", "0x7f000001": "127.0.0.1", "2130706433": "127.0.0.1",
		"010.1": "8.0.0.1", "1.2.65535": "1.2.255.255", "1.2.65536": "", "1.2.3.256": "", "256.1": "", "1.2.3.4.5": "", "": "", "a": "", "1.": "",
		"08.1": "", "0b1": "", "0o7": "", "1_0": "", "0x": "", "4294967295": "255.255.255.255", "4294967296": "", "-1": "", "web1": "",
	} {
		got, ok := oldAddr(name)
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%q: %v %v, want %q", name, got, ok, want)
		}
	}
}
