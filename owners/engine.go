package owners

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
)

// maxAnswer bounds an engine's answer, in bytes. A container takes two or three
// kilobytes; a daemon that sends more than this does not mean well.
const maxAnswer = 16 << 20

// maxContainers bounds how many containers one engine is believed to run.
const maxContainers = 20_000

// errTooLong is the error of an answer over one of the bounds.
var errTooLong = errors.New("the answer is too long")

// errGone is the error of a question about what the engine does not have.
var errGone = errors.New("the engine does not have it")

// readAnswer reads an HTTP answer with a list of containers, of at most limit
// bytes.
func readAnswer(r io.Reader, limit int64) (list []monban.Container, err error) {
	err = readBody(r, limit, func(server string, b io.Reader) (err error) {
		list, err = readContainers(b)
		for i := range list {
			list[i].Engine = engineName(server)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// readBody reads an HTTP answer of at most limit bytes, its body by read.
func readBody(r io.Reader, limit int64, read func(server string, body io.Reader) error) error {
	limited := &io.LimitedReader{R: r, N: limit}
	b := bufio.NewReader(limited)
	server, err := readHead(b)
	if err == nil {
		err = read(server, b)
	}
	if err != nil && limited.N <= 0 {
		err = errTooLong
	}
	return err
}

// readHead reads the status line and the header, up to the body, and returns
// the value of Server.
func readHead(b *bufio.Reader) (server string, err error) {
	status, err := b.ReadSlice('\n')
	if err != nil {
		return "", unexpected(err)
	}
	version, code, _ := strings.Cut(strings.TrimSpace(string(status)), " ")
	if !strings.HasPrefix(version, "HTTP/1.") {
		return "", fmt.Errorf("not an HTTP answer: %.40q", version)
	}
	if code == "404" || strings.HasPrefix(code, "404 ") {
		return "", errGone
	}
	if code != "200" && !strings.HasPrefix(code, "200 ") {
		return "", fmt.Errorf("the engine answers %.60q", code)
	}
	for {
		raw, err := b.ReadSlice('\n')
		if err != nil {
			return "", unexpected(err)
		}
		line := strings.TrimRight(string(raw), "\r\n")
		if line == "" {
			return server, nil
		}
		key, value, _ := strings.Cut(line, ":")
		switch {
		case strings.EqualFold(key, "Server"):
			server = strings.TrimSpace(value)
		case strings.EqualFold(key, "Transfer-Encoding"):
			return "", errors.New("a transfer encoding, which HTTP/1.0 does not have")
		}
	}
}

// unexpected turns the end of an answer in its middle into the error it is.
func unexpected(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	case errors.Is(err, bufio.ErrBufferFull):
		return errTooLong
	}
	return err
}

// engineName tells the engine by the Server header, "Docker/20.10.24 (linux)" or
// "Libpod/4.3.1 (linux)".
func engineName(server string) string {
	if strings.HasPrefix(server, "Libpod/") {
		return "podman"
	}
	return "docker"
}

// apiContainer is what is used of an element of GET /containers/json.
type apiContainer struct {
	ID     string `json:"Id"`
	Names  []string
	Image  string
	Labels map[string]string
	Ports  []struct {
		IP          string
		PrivatePort uint16
		PublicPort  uint16
		Type        string
	}
	NetworkSettings struct {
		Networks map[string]struct {
			IPAddress         string
			GlobalIPv6Address string
		}
	}
}

// readContainers reads a JSON array of containers, one at a time.
func readContainers(r io.Reader) ([]monban.Container, error) {
	d := json.NewDecoder(r)
	if t, err := d.Token(); err != nil {
		return nil, unexpected(err)
	} else if t != json.Delim('[') {
		return nil, fmt.Errorf("the answer is not a list: %.40q", fmt.Sprint(t))
	}
	var list []monban.Container
	for d.More() {
		var a apiContainer
		if err := d.Decode(&a); err != nil {
			return nil, unexpected(err)
		}
		if !isContainerID(a.ID) {
			return nil, fmt.Errorf("not a container ID: %.80q", a.ID)
		}
		if len(list) == maxContainers {
			return nil, errTooLong
		}
		list = append(list, a.container())
	}
	if _, err := d.Token(); err != nil {
		return nil, unexpected(err)
	}
	return list, nil
}

func (a *apiContainer) container() monban.Container {
	c := monban.Container{ID: a.ID, Image: a.Image,
		Project: a.Labels["com.docker.compose.project"], Service: a.Labels["com.docker.compose.service"]}
	for _, name := range a.Names {
		// "/web" is the name, "/other/alias" a link that another has to it.
		if name = strings.TrimPrefix(name, "/"); !strings.Contains(name, "/") {
			c.Name = name
			break
		}
	}
	for _, p := range a.Ports {
		proto, err := monban.ParseProto(p.Type)
		if err != nil || p.PublicPort == 0 {
			continue // exposed to other containers only
		}
		host, err := hostAddr(p.IP)
		if err != nil {
			continue
		}
		at := monban.Bind{Port: monban.Port{Num: p.PublicPort, Proto: proto}, Addr: host}
		if host.Is4() {
			at.V6Only = monban.Off
		}
		published := monban.Published{Host: at, Target: p.PrivatePort, Addr: a.addr(host.Is6())}
		if !slices.Contains(c.Published, published) {
			c.Published = append(c.Published, published)
		}
	}
	return c
}

// hostAddr reads the address that a port is published on. Podman writes "" for
// every address.
func hostAddr(s string) (netip.Addr, error) {
	if s == "" {
		return netip.IPv4Unspecified(), nil
	}
	return netip.ParseAddr(s)
}

// addr returns the address of the container, in the family of the published port
// if it has one there. In several networks it is not known which one is used.
func (a *apiContainer) addr(v6 bool) netip.Addr {
	var four, six []netip.Addr
	for _, n := range a.NetworkSettings.Networks {
		if ip, err := netip.ParseAddr(n.IPAddress); err == nil {
			four = append(four, ip)
		}
		if ip, err := netip.ParseAddr(n.GlobalIPv6Address); err == nil {
			six = append(six, ip)
		}
	}
	switch {
	case v6 && len(six) == 1:
		return six[0]
	case len(four) == 1 && (!v6 || len(six) == 0):
		return four[0]
	}
	return netip.Addr{}
}

// unixListener is one listening socket in /proc/net/unix.
type unixListener struct {
	inode uint64
	path  string
}

// parseUnix reads rows of /proc/net/unix,
// "0000000000000000: 00000002 00000000 00010000 0001 01 9876 /run/docker.sock",
// and returns the listeners whose path ends in one of the names.
func parseUnix(r io.Reader, names []string) ([]unixListener, error) {
	const acceptCon = 1 << 16 // __SO_ACCEPTCON, include/uapi/linux/net.h
	var list []unixListener
	rows := bufio.NewScanner(r)
	for rows.Scan() {
		row := rows.Text()
		if !slices.ContainsFunc(names, func(name string) bool { return strings.HasSuffix(row, name) }) {
			continue
		}
		f := strings.SplitN(row, " ", 8)
		// The inode is padded to five columns.
		inodeAndPath := strings.TrimLeft(strings.Join(f[min(6, len(f)):], " "), " ")
		number, path, ok := strings.Cut(inodeAndPath, " ")
		if !ok || len(f) < 7 {
			continue
		}
		flags, err := strconv.ParseUint(f[3], 16, 32)
		if err != nil || flags&acceptCon == 0 {
			continue
		}
		inode, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			continue
		}
		list = append(list, unixListener{inode, path})
	}
	return list, rows.Err()
}
