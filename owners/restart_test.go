package owners

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/monban-dev/monban"
)

// inspected is what Docker 20.10 answers about one container, without the fields
// that are not used.
const inspected = `{"Id":"` + id1 + `","Created":"2026-11-26T08:14:20.81334797Z","Path":"x","RestartCount":2,
"State":{"Status":"exited","Running":false,"StartedAt":"2026-11-26T08:14:27.502842227Z","FinishedAt":"0001-01-01T00:00:00Z"},
"HostConfig":{"NetworkMode":"default","RestartPolicy":{"Name":"always","MaximumRetryCount":0},
"PortBindings":{"80/tcp":[{"HostIp":"","HostPort":"8086"},{"HostIp":"::1","HostPort":"8087"},{"HostIp":"","HostPort":""},{"HostIp":"","HostPort":"9000-9005"}],
"53/udp":[{"HostIp":"127.0.0.1","HostPort":"5353"}],"x/tcp":[{"HostPort":"1"}],"80/x":[{"HostPort":"1"}],"81/tcp":null}}}`

func TestReadInspect(t *testing.T) {
	a, err := readInspect(strings.NewReader(head+inspected), maxAnswer)
	if err != nil || a.ID != id1 {
		t.Fatalf("%v, %+v", err, a)
	}
	want := monban.Restart{Policy: "always", State: "exited", Count: 2,
		Created: time.Date(2026, 11, 26, 8, 14, 20, 813347970, time.UTC), Started: time.Date(2026, 11, 26, 8, 14, 27, 502842227, time.UTC)}
	if got := a.restart(); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	published := []monban.Published{
		{Host: bind(t, "udp", "127.0.0.1:5353"), Target: 53},
		{Host: bind(t, "tcp", "0.0.0.0:8086"), Target: 80},
		{Host: bind(t, "tcp", "[::1]:8087"), Target: 80},
	}
	if got := a.published(); !reflect.DeepEqual(got, published) {
		t.Errorf("got  %+v\nwant %+v", got, published)
	}
	a.HostConfig.NetworkMode = "host"
	if got := a.published(); got != nil {
		t.Errorf("in the host's network: %+v", got)
	}
	whole := head + inspected
	for i := range len(whole) {
		if _, err := readInspect(strings.NewReader(whole[:i]), maxAnswer); err == nil {
			t.Fatalf("cut at %d of %d: no error", i, len(whole))
		}
	}
	if _, err := readInspect(strings.NewReader("HTTP/1.1 404 Not Found\r\n\r\n{}"), maxAnswer); !errors.Is(err, errGone) {
		t.Errorf("gone: %v", err)
	}
}

// TestStartsByItself: what Docker 20.10 was seen to start with its daemon, and what
// not.
func TestStartsByItself(t *testing.T) {
	once := time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		r    monban.Restart
		want bool
	}{
		{monban.Restart{Policy: "always", State: "exited", Started: once}, true}, // also after docker stop
		{monban.Restart{Policy: "always", State: "created"}, false},
		{monban.Restart{Policy: "unless-stopped", State: "exited", Started: once}, false},
		{monban.Restart{Policy: "on-failure", State: "exited", Started: once}, false},
		{monban.Restart{Policy: "on-failure", State: "restarting", Started: once}, true},
		{monban.Restart{Policy: "no", State: "exited", Started: once}, false},
		{monban.Restart{}, false},
	} {
		if got := startsByItself(tt.r); got != tt.want {
			t.Errorf("%+v: %v", tt.r, got)
		}
	}
}

func FuzzReadInspect(f *testing.F) {
	f.Add(head + inspected)
	f.Fuzz(func(t *testing.T, answer string) {
		a, err := readInspect(strings.NewReader(answer), maxAnswer)
		if err != nil {
			return
		}
		if r := a.restart(); r.Policy == "" || r.Count < 0 {
			t.Errorf("%+v", r)
		}
		for _, p := range a.published() {
			if !p.Host.Addr.IsValid() || p.Host.Port.Num == 0 {
				t.Errorf("%+v", p)
			}
		}
	})
}
