package portbook

import (
	"errors"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/monban-dev/monban"
)

const someServices = `# comment
tcpmux		1/tcp				# TCP port service multiplexer
http		80/tcp		www		# WorldWideWeb HTTP
http		80/udp
mine		08080/tcp	alias1 alias2#glued
 indented	9/udp	sink null
broken
broken	x/tcp
broken	80
broken	80/xyz
broken	65536/tcp
broken	1-2
zeroth	0/tcp
last	7/dccp`

func TestServices(t *testing.T) {
	fsys := fstest.MapFS{"etc/services": {Data: []byte(someServices)}}
	s, err := ReadServices(fsys, "etc/services")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range s {
		names = append(names, e.Port.String()+" "+e.Name)
	}
	want := []string{"1/tcp tcpmux", "80/tcp http", "80/udp http", "8080/tcp mine", "9/udp indented", "0/tcp zeroth", "7/dccp last"}
	if !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
	if got := s.Name(monban.Port{Num: 80, Proto: monban.TCP}); got != "http" {
		t.Errorf("80/tcp is %q", got)
	}
	if got := s.Name(monban.Port{Num: 8080}); got != "mine" {
		t.Errorf("8080 is %q", got)
	}
	if got := s.Name(monban.Port{Num: 8080, Proto: monban.UDP}); got != "" {
		t.Errorf("8080/udp is %q", got)
	}
	if got := s.Lookup("alias2"); len(got) != 1 || got[0].Num != 8080 {
		t.Errorf("alias2: %v", got)
	}
	if got := s.Lookup("http"); len(got) != 2 {
		t.Errorf("http: %v", got)
	}
	if got := s.Lookup("HTTP"); got != nil {
		t.Errorf("HTTP: %v", got)
	}
}

func TestServicesUnreadable(t *testing.T) {
	fsys := fstest.MapFS{"pipe": {Mode: fs.ModeNamedPipe}, "dir/x": {}}
	for _, name := range []string{"pipe", "dir", "absent"} {
		if s, err := ReadServices(fsys, name); err == nil || s != nil {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
	if _, err := ReadServices(fsys, "absent"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestThisMachine reads the real file, where there is one.
func TestThisMachine(t *testing.T) {
	s, err := ReadServices(os.DirFS("/"), "etc/services")
	if errors.Is(err, fs.ErrNotExist) {
		t.Log("this machine has no /etc/services")
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Name(monban.Port{Num: 22, Proto: monban.TCP}); got != "ssh" {
		t.Errorf("22/tcp is %q among %d", got, len(s))
	}
}

func FuzzServices(f *testing.F) {
	f.Add([]byte(someServices), uint16(80), uint16(8080))
	f.Add([]byte("a/b 80/tcp\n\u00a0 12/b 80/tcp\na b 80/tcp\na\v80/tcp\n 80/b 9/tcp"), uint16(80), uint16(80))
	f.Fuzz(func(t *testing.T, data []byte, first, last uint16) {
		all := ParseServices(data)
		some := []monban.PortRange{{First: first, Last: last, Proto: monban.TCP}, {First: last, Last: last}}
		var want Services
		for _, e := range all {
			if e.Name == "" || e.Port.Proto == monban.AnyProto {
				t.Fatalf("%+v", e)
			}
			again := ParseServices([]byte(e.Name + " " + e.Port.String()))
			if len(again) != 1 || again[0].Name != e.Name || again[0].Port != e.Port {
				t.Fatalf("%+v does not read back: %+v", e, again)
			}
			if some[0].Contains(e.Port) || some[1].Contains(e.Port) {
				want = append(want, e)
			}
		}
		var one Services
		for _, e := range all {
			if some[1].Contains(e.Port) {
				one = append(one, e)
			}
		}
		if got := ParseServices(data, some[1]); !reflect.DeepEqual(got, one) {
			t.Fatalf("only %v: %+v, want %+v", some[1], got, one)
		}
		if got := ParseServices(data, some...); !reflect.DeepEqual(got, want) {
			t.Fatalf("only %v: %+v, want %+v", some, got, want)
		}
	})
}
