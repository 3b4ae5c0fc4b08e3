//go:build linux || darwin

package owners

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/monban-dev/monban"
)

const (
	// maxInspected bounds how many containers one engine is asked about.
	maxInspected = 100
	// inspectors are how many questions an engine has at a time.
	inspectors = 8
)

func restarts(ctx context.Context, containers []*monban.Container) (gaps []monban.Gap) {
	byEngine := map[string][]*monban.Container{}
	var order []string
	for _, c := range containers {
		if c.Socket == "" || c.Engine != "docker" && c.Engine != "podman" {
			continue // known by its ID alone
		}
		if byEngine[c.Socket] == nil {
			order = append(order, c.Socket)
		}
		byEngine[c.Socket] = append(byEngine[c.Socket], c)
	}
	for _, socket := range order {
		ctx, cancel := context.WithTimeoutCause(ctx, engineTimeout, errSlow)
		list := byEngine[socket]
		_, err := inspect(ctx, socket, list)
		cancel()
		if err != nil {
			gaps = append(gaps, engineGap(list[0].Engine, socket, monban.HidesRestarts, err))
		}
	}
	return gaps
}

// inspect asks an engine about containers of its own and fills in their Restart.
// It returns the answers in the order of list; that of a container which is gone
// is empty.
func inspect(ctx context.Context, socket string, list []*monban.Container) ([]apiInspect, error) {
	over := len(list) > maxInspected
	list = list[:min(len(list), maxInspected)]
	answers, errs := make([]apiInspect, len(list)), make([]error, len(list))
	next := make(chan int, len(list))
	for i := range list {
		next <- i
	}
	close(next)
	var wg sync.WaitGroup
	for range min(inspectors, len(list)) {
		wg.Go(func() {
			for i := range next {
				answers[i], errs[i] = inspectOne(ctx, socket, list[i].ID)
			}
		})
	}
	wg.Wait()
	var daemon time.Time
	if len(list) > 0 && list[0].Engine == "docker" {
		daemon = daemonStarted(socket)
	}
	for i := range answers {
		if errs[i] == nil && answers[i].ID == list[i].ID {
			list[i].Restart = answers[i].restart()
			list[i].Restart.Engine = daemon
		}
	}
	if over {
		errs = append(errs, fmt.Errorf("more than %d containers", maxInspected))
	}
	return answers, firstOf(errs)
}

// firstOf returns the first error that says more than that a container is gone.
func firstOf(errs []error) error {
	for _, err := range errs {
		if err != nil && !errors.Is(err, errGone) {
			return err
		}
	}
	return nil
}

func inspectOne(ctx context.Context, socket, id string) (a apiInspect, err error) {
	if !isContainerID(id) {
		return a, errGone
	}
	err = exchange(ctx, socket, "/containers/"+id+"/json", func(r io.Reader) (err error) {
		a, err = readInspect(r, maxAnswer)
		return err
	})
	return a, err
}

func stopped(ctx context.Context) (all []monban.Container, gaps []monban.Gap) {
	return stoppedOf(ctx, engines(os.Geteuid(), os.Getenv, loggedIn), awake)
}

// stoppedOf asks the engines of list one after the other: hardly any machine has
// two with Docker's socket.
func stoppedOf(ctx context.Context, list []engine, awake func(context.Context, engine) error) (all []monban.Container, gaps []monban.Gap) {
	for _, e := range distinct(list) {
		if e.kind != "docker" {
			continue
		}
		err := reachable(e)
		if err == nil {
			err = awake(ctx, e)
		}
		if err == nil {
			var found []monban.Container
			found, err = stoppedIn(ctx, e.path)
			all = append(all, found...)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			gaps = append(gaps, engineGap(e.kind, e.path, monban.HidesRestarts, err))
		}
	}
	return all, gaps
}

// stoppedIn returns the containers that the engine behind a socket will start by
// itself.
func stoppedIn(ctx context.Context, socket string) ([]monban.Container, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, engineTimeout, errSlow)
	defer cancel()
	var list []monban.Container
	const resource = "/containers/json?all=1&filters=%7B%22status%22%3A%5B%22exited%22%2C%22restarting%22%5D%7D"
	err := exchange(ctx, socket, resource, func(r io.Reader) (err error) {
		list, err = readAnswer(r, maxAnswer)
		return err
	})
	if err != nil || len(list) == 0 || list[0].Engine != "docker" {
		return nil, err
	}
	asked := make([]*monban.Container, len(list))
	for i := range list {
		asked[i] = &list[i]
	}
	answers, err := inspect(ctx, socket, asked)
	var out []monban.Container
	for i := range answers {
		c := list[i]
		if c.Published = answers[i].published(); len(c.Published) > 0 && startsByItself(c.Restart) {
			c.Socket = socket
			out = append(out, c)
		}
	}
	return out, err
}
