package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"iter"
)

// object is a JSON object that is written a part at a time: encoding/json puts a
// value together in memory before it writes its first byte, and a scan has millions
// of doors. Its parts are structs, whose fields stand in the object itself, and
// [field] and [list].
type object []any

// field is one field of an object.
type field struct {
	name  string
	value any // may be an object
}

// list is a field that is an array.
type list[T any] struct {
	name string
	all  iter.Seq[T]
}

// each returns what f makes of each of s.
func each[S, T any](s []S, f func(S) T) iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, one := range s {
			if !yield(f(one)) {
				return
			}
		}
	}
}

// jsonOut writes JSON as one line.
type jsonOut struct {
	w    *bufio.Writer // keeps the first error
	safe jsonWriter
	buf  bytes.Buffer
	enc  *json.Encoder
}

// writeJSONLine writes a value, which may be an object, and a line end.
func writeJSONLine(w io.Writer, value any) error {
	o := &jsonOut{w: bufio.NewWriterSize(w, 64<<10)}
	o.safe.w = o.w
	o.enc = json.NewEncoder(&o.buf)
	o.enc.SetEscapeHTML(false)
	if err := o.value(value); err != nil {
		return err
	}
	o.w.WriteByte('\n')
	return o.w.Flush()
}

func (o *jsonOut) value(value any) error {
	parts, ok := value.(object)
	if !ok {
		text, err := o.encode(value)
		if err == nil {
			_, _ = o.safe.Write(text) // o.w keeps the error
		}
		return err
	}
	sep := byte('{')
	for _, part := range parts {
		var err error
		if l, ok := part.(interface{ write(*jsonOut, byte) error }); ok {
			err = l.write(o, sep)
		} else {
			var text []byte
			text, err = o.encode(part)
			if text = bytes.TrimSuffix(bytes.TrimPrefix(text, []byte("{")), []byte("}")); len(text) == 0 {
				continue
			}
			o.w.WriteByte(sep)
			_, _ = o.safe.Write(text) // o.w keeps the error
		}
		if err != nil {
			return err
		}
		sep = ','
	}
	o.w.WriteByte('}')
	return nil
}

// encode returns a value as JSON; the text is good until the next call.
func (o *jsonOut) encode(value any) ([]byte, error) {
	o.buf.Reset()
	err := o.enc.Encode(value)
	return bytes.TrimSuffix(o.buf.Bytes(), []byte("\n")), err
}

func (o *jsonOut) name(sep byte, name string) {
	o.w.WriteByte(sep)
	o.w.WriteString(`"` + name + `":`)
}

func (f field) write(o *jsonOut, sep byte) error {
	o.name(sep, f.name)
	return o.value(f.value)
}

func (l list[T]) write(o *jsonOut, sep byte) error {
	o.name(sep, l.name)
	sep = '['
	for one := range l.all {
		o.w.WriteByte(sep)
		if err := o.value(one); err != nil {
			return err
		}
		sep = ','
	}
	if sep == '[' {
		o.w.WriteByte(sep)
	}
	o.w.WriteByte(']')
	return nil
}
