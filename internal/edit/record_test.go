package edit

import (
	"bytes"
	"reflect"
	"testing"
	"time"
)

func FuzzRecord(f *testing.F) {
	r := &Record{ID: "20261125-220000-000", At: time.Unix(1, 0).UTC(), Dir: "/", Files: []Kept{{Path: "/a", Temp: ".monban-1", Before: []byte("x\xff"), After: []byte("y")}}}
	data, err := r.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decode(data)
		if err != nil {
			return
		}
		again, err := r.encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := decode(again)
		if err != nil || !reflect.DeepEqual(r, back) {
			t.Errorf("%v\n%+v\n%+v", err, r, back)
		}
		for _, k := range r.Files {
			if bytes.ContainsRune([]byte(k.Temp), '/') {
				t.Errorf("leads away: %q", k.Temp)
			}
		}
	})
}

// TestRecordNames keeps names that are no UTF-8: a directory of EUC-JP.
func TestRecordNames(t *testing.T) {
	r := &Record{ID: "20261126-220000-000", At: time.Unix(1, 0).UTC(), Dir: "/srv/\xc6\xfc\xcb\xdc", Files: []Kept{
		{Path: "/srv/a", Temp: ".monban-1", Before: []byte("x"), After: []byte("y")},
		{Path: "/srv/\xc6\xfc\xcb\xdc/a", Temp: ".monban-2", Before: []byte("x"), After: []byte("y")}}}
	data, err := r.encode()
	if err != nil {
		t.Fatal(err)
	}
	if back, err := decode(data); err != nil || !reflect.DeepEqual(r, back) {
		t.Errorf("%v\n%+v\n%+v", err, r, back)
	}
}
