//go:build linux || darwin

package owners

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/monban-dev/monban"
)

// engine is an API socket that may be there.
type engine struct {
	kind string // "docker", "podman"
	path string
	uid  int // who has to be its owner, besides root
}

// engineTimeout bounds everything that is asked of one engine. It is only ever
// waited for where a daemon hangs; one on a busy machine takes some hundred
// milliseconds to answer.
const engineTimeout = 2 * time.Second

// errSlow is the error of an engine that takes too long.
var errSlow = errors.New("no answer within 2s") // engineTimeout

func askContainers(ctx context.Context) (answer func() ([]monban.Container, []monban.Gap)) {
	return askAll(ctx, engines(os.Geteuid(), os.Getenv, loggedIn), awake)
}

// engines lists where engines may be. Root does not follow DOCKER_HOST: what is
// in the environment is not always meant for root, and a daemon's answer is
// believed.
func engines(uid int, env func(string) string, loggedIn func() []int) []engine {
	list := []engine{{"docker", "/var/run/docker.sock", uid}, {"podman", "/run/podman/podman.sock", uid}}
	if uid != 0 {
		own := cmp.Or(env("XDG_RUNTIME_DIR"), "/run/user/"+strconv.Itoa(uid))
		list = append(list, engine{"docker", own + "/docker.sock", uid}, engine{"podman", own + "/podman/podman.sock", uid})
		if home := env("HOME"); home != "" {
			for _, at := range homeSockets() {
				list = append(list, engine{"docker", filepath.Join(home, at), uid})
			}
		}
		if path, ok := strings.CutPrefix(env("DOCKER_HOST"), "unix://"); ok && filepath.IsAbs(path) {
			list = append(list, engine{"docker", path, uid})
		}
		return list
	}
	for _, user := range loggedIn() {
		dir := "/run/user/" + strconv.Itoa(user)
		list = append(list, engine{"docker", dir + "/docker.sock", user}, engine{"podman", dir + "/podman/podman.sock", user})
	}
	return list
}

// askAll begins to ask the engines, all at the same time. The answer has the
// order of list.
func askAll(ctx context.Context, list []engine, awake func(context.Context, engine) error) (answer func() ([]monban.Container, []monban.Gap)) {
	list = distinct(list)
	answers := make([]engineAnswer, len(list))
	var wg sync.WaitGroup
	for i, e := range list {
		a := &answers[i]
		if a.err = reachable(e); a.err != nil {
			continue // most often there is none, and that takes no goroutine
		}
		wg.Go(func() {
			if a.err = awake(ctx, e); a.err == nil {
				a.containers, a.err = askEngine(ctx, e.path)
			}
		})
	}
	return func() ([]monban.Container, []monban.Gap) {
		wg.Wait()
		return together(list, answers)
	}
}

// engineAnswer is what one engine says.
type engineAnswer struct {
	containers []monban.Container
	err        error
}

// together makes one answer of those of the engines.
func together(list []engine, answers []engineAnswer) (all []monban.Container, gaps []monban.Gap) {
	for i, a := range answers {
		for _, c := range a.containers {
			c.Socket = list[i].path
			if !slices.ContainsFunc(all, func(o monban.Container) bool { return o.ID == c.ID }) {
				all = append(all, c)
			}
		}
		if a.err == nil || errors.Is(a.err, fs.ErrNotExist) {
			continue
		}
		gaps = append(gaps, engineGap(list[i].kind, list[i].path, monban.HidesContainers, a.err))
	}
	return all, gaps
}

// engineGap is the gap that an engine leaves that gives no answer.
func engineGap(kind, path string, hides monban.Subject, err error) monban.Gap {
	g := monban.Gap{Source: kind, Err: path + ": " + reason(err).Error(), Hides: hides}
	if errors.Is(err, fs.ErrPermission) {
		g.Reason = monban.HiddenPrivilege
	}
	return g
}

// distinct leaves out engines that another path leads to already, and those that
// are not there, which is nearly always all.
func distinct(list []engine) []engine {
	var files []fs.FileInfo
	return slices.DeleteFunc(slices.Clone(list), func(e engine) bool {
		if _, err := os.Lstat(e.path); errors.Is(err, fs.ErrNotExist) {
			return true
		}
		fi, err := os.Stat(e.path)
		if err != nil {
			return false
		}
		same := slices.ContainsFunc(files, func(o fs.FileInfo) bool { return os.SameFile(o, fi) })
		files = append(files, fi)
		return same
	})
}

// reachable reports whether e is a socket of somebody who may be believed, and
// may be connected to. [fs.ErrNotExist] is no engine.
func reachable(e engine) error {
	fi, err := os.Lstat(e.path)
	if err != nil {
		if errors.Is(err, syscall.ENOTDIR) {
			return fs.ErrNotExist
		}
		return err
	}
	if fi.Mode().Type() != fs.ModeSocket {
		return errors.New("not a socket")
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || st.Uid != 0 && int(st.Uid) != e.uid {
		return errors.New("the socket belongs to another user")
	}
	const write = 2
	return syscall.Access(e.path, write)
}

// reason takes the path off an error, which the gap names already.
func reason(err error) error {
	var p *fs.PathError
	var o *net.OpError
	switch {
	case errors.As(err, &p):
		return p.Err
	case errors.As(err, &o):
		return o.Err
	}
	return err
}

// askEngine asks the engine behind a unix socket what runs, and says what it is.
//
// One GET is enough: the list of the running containers has names, images,
// labels, published ports and addresses. HTTP is spoken by hand, in version 1.0
// where the body simply ends with the connection: net/http costs a program 0.6 ms
// of start-up, every time, also where there is no engine.
func askEngine(ctx context.Context, socket string) (list []monban.Container, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, engineTimeout, errSlow)
	defer cancel()
	err = exchange(ctx, socket, "/containers/json", func(r io.Reader) (err error) {
		list, err = readAnswer(r, maxAnswer)
		return err
	})
	return list, err
}

// exchange sends a GET and has the answer read.
func exchange(ctx context.Context, socket, resource string, read func(io.Reader) error) (err error) {
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
	}()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if _, err := io.WriteString(conn, "GET "+resource+" HTTP/1.0\r\nHost: localhost\r\nAccept: application/json\r\n\r\n"); err != nil {
		return err
	}
	return read(conn)
}
