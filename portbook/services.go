package portbook

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/monban-dev/monban"
)

// Services are the names a machine itself has for ports: its etc/services file,
// in the order of the file.
type Services []Entry

// ReadServices reads the file name of fsys, "etc/services" on Unix. A line that
// is not in the format of services(5) is skipped, as the C library does. only
// limits the answer to the entries of some ports; none is every entry.
func ReadServices(fsys fs.FS, name string, only ...monban.PortRange) (Services, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrInvalid}
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := make([]byte, 0, min(info.Size(), MaxServices)+1)
	for len(data) < cap(data) {
		n, err := f.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	return ParseServices(data, only...), nil
}

// MaxServices is how much of a services file is read. Debian's has 12 KB, and
// one with the whole registry 700 KB.
const MaxServices = 4 << 20

// ParseServices reads the text of such a file, as [ReadServices] does.
func ParseServices(data []byte, only ...monban.PortRange) (out Services) {
	// A line without a slash names no port, and the one port of `monban 443` is
	// before a slash.
	needle := []byte("/")
	if len(only) == 1 && only[0].First == only[0].Last {
		needle = append(strconv.AppendUint(nil, uint64(only[0].First), 10), '/')
	}
	for len(data) > 0 {
		slash := bytes.Index(data, needle)
		if slash < 0 {
			return out
		}
		start := bytes.LastIndexByte(data[:slash], '\n') + 1
		end := slash + bytes.IndexByte(data[slash:], '\n')
		if end < slash {
			end = len(data)
		}
		text := data[start:end]
		data = data[min(end+1, len(data)):]
		if len(only) > 0 && !mayNameAny(text, only) {
			continue
		}
		line, comment, _ := strings.Cut(string(text), "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		port, err := monban.ParsePort(fields[1])
		if err != nil || port.Proto == monban.AnyProto ||
			len(only) > 0 && !slices.ContainsFunc(only, func(r monban.PortRange) bool { return r.Contains(port) }) {
			continue
		}
		out = append(out, Entry{Port: port, Name: fields[0], Aliases: fields[2:], Description: strings.TrimSpace(comment)})
	}
	return out
}

// mayNameAny is a quick look at a line: it reports whether an entry of only may
// be in it. To take all lines apart for the one of a port is a twelfth of the
// time of `monban 443`.
func mayNameAny(line []byte, only []monban.PortRange) bool {
	slash := bytes.IndexByte(line, '/')
	if slash < 0 {
		return false
	}
	start, num := slash, 0
	for unit := 1; start > 0 && line[start-1] >= '0' && line[start-1] <= '9'; unit *= 10 {
		if start--; slash-start > 5 {
			return true
		}
		num += unit * int(line[start]-'0')
	}
	// What is behind a name and a space is the port; anything else is for those
	// who look more closely.
	if start == slash || start < 2 || line[start-1] != ' ' && line[start-1] != '\t' || line[0] <= ' ' || line[0] >= utf8.RuneSelf {
		return true
	}
	return slices.ContainsFunc(only, func(r monban.PortRange) bool { return int(r.First) <= num && num <= int(r.Last) })
}

// Name returns the first name of p, "" if there is none.
func (s Services) Name(p monban.Port) string {
	for i := range s {
		if s[i].Port.Num == p.Num && (p.Proto == monban.AnyProto || s[i].Port.Proto == p.Proto) {
			return s[i].Name
		}
	}
	return ""
}

// Lookup returns the ports whose name or alias is name, in its exact case, as
// getservbyname(3) does.
func (s Services) Lookup(name string) []monban.Port {
	var out []monban.Port
	for i := range s {
		if s[i].Name == name || slices.Contains(s[i].Aliases, name) {
			out = append(out, s[i].Port)
		}
	}
	return out
}
