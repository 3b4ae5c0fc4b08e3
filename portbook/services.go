package portbook

import (
	"bytes"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// Services are the names a machine itself has for ports: its etc/services file,
// in the order of the file.
type Services []Entry

// ReadServices reads the file name of fsys, "etc/services" on Unix. A line that
// is not in the format of services(5) is skipped, as the C library does.
func ReadServices(fsys fs.FS, name string) (Services, error) {
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
	data, err := io.ReadAll(io.LimitReader(f, maxServices))
	if err != nil {
		return nil, err
	}
	return parseServices(data), nil
}

// maxServices is how much of a services file is read. Debian's has 12 KB, and
// one with the whole registry 700 KB.
const maxServices = 4 << 20

func parseServices(data []byte) Services {
	var out Services
	for line := range bytes.Lines(data) {
		line, comment, _ := strings.Cut(string(line), "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		port, err := monban.ParsePort(fields[1])
		if err != nil || port.Proto == monban.AnyProto {
			continue
		}
		out = append(out, Entry{Port: port, Name: fields[0], Aliases: fields[2:], Description: strings.TrimSpace(comment)})
	}
	return out
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
