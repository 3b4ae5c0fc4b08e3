package owners

import (
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/monban-dev/monban"
)

// apiInspect is what is used of the answer to GET /containers/ID/json.
type apiInspect struct {
	ID           string `json:"Id"`
	Created      time.Time
	RestartCount int
	State        struct {
		Status    string
		StartedAt time.Time
	}
	HostConfig struct {
		NetworkMode   string
		RestartPolicy struct{ Name string }
		PortBindings  map[string][]struct{ HostIP, HostPort string } // by "80/tcp"
	}
}

// readInspect reads the HTTP answer about one container.
func readInspect(r io.Reader, limit int64) (a apiInspect, err error) {
	err = readBody(r, limit, func(_ string, b io.Reader) error {
		return unexpected(json.NewDecoder(b).Decode(&a))
	})
	return a, err
}

// restart is what the answer tells of when the engine starts the container.
func (a *apiInspect) restart() monban.Restart {
	r := monban.Restart{Policy: a.HostConfig.RestartPolicy.Name, State: a.State.Status, Count: max(0, a.RestartCount),
		Created: dated(a.Created), Started: dated(a.State.StartedAt)}
	if r.Policy == "" {
		r.Policy = "no"
	}
	return r
}

// dated returns the zero time for the year 1, which engines write for never.
func dated(t time.Time) time.Time {
	if t.Year() <= 1 {
		return time.Time{}
	}
	return t
}

// startsByItself reports whether Docker will start a container that does not run,
// as daemon.restore and the restart manager of moby decide.
func startsByItself(r monban.Restart) bool {
	switch {
	case r.State == "restarting":
		return r.Policy != "no"
	case r.State == "exited":
		return r.Policy == "always" && !r.Started.IsZero()
	}
	return false
}

// published lists what the container will publish. A binding without a number has
// another one each time, and a range has the first that is free.
func (a *apiInspect) published() (list []monban.Published) {
	if a.HostConfig.NetworkMode == "host" {
		return nil // then bindings are not used
	}
	for inside, bindings := range a.HostConfig.PortBindings {
		number, transport, _ := strings.Cut(inside, "/")
		target, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			continue
		}
		proto, err := monban.ParseProto(transport)
		if err != nil {
			continue
		}
		for _, b := range bindings {
			num, err := strconv.ParseUint(b.HostPort, 10, 16)
			if err != nil || num == 0 {
				continue
			}
			addr, err := hostAddr(b.HostIP)
			if err != nil {
				continue
			}
			at := monban.Bind{Port: monban.Port{Num: uint16(num), Proto: proto}, Addr: addr}
			if addr.Is4() {
				at.V6Only = monban.Off
			}
			list = append(list, monban.Published{Host: at, Target: uint16(target)})
		}
	}
	slices.SortFunc(list, func(a, b monban.Published) int {
		x, y := monban.Door{Bind: a.Host}, monban.Door{Bind: b.Host}
		return x.Compare(&y)
	})
	return list
}
