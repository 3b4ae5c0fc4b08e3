package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/monban-dev/monban/internal/netnstest"
)

// TestFreeDocker frees ports of real containers that would be started again if
// their processes were ended: with docker-proxy, without, and in the host's own
// network.
func TestFreeDocker(t *testing.T) {
	t.Parallel()
	for _, proxy := range []bool{true, false} {
		t.Run(fmt.Sprintf("userland-proxy=%t", proxy), func(t *testing.T) {
			t.Parallel()
			testFreeDocker(t, proxy)
		})
	}
}

func testFreeDocker(t *testing.T, proxy bool) {
	netnstest.Need(t, "dockerd")
	netnstest.Need(t, "docker")
	r := newRoom(t, true)
	d := startDocker(r, fmt.Sprintf("--userland-proxy=%t", proxy))
	d.importFixture("test/web:1")
	policy := map[string]any{"Name": "always"}
	published := map[string]any{}
	for _, port := range []string{"80", "81"} {
		published[port+"/tcp"] = []any{map[string]string{"HostPort": "80" + port}}
	}
	web := d.start("shop-web-1", map[string]any{
		"Image":        "test/web:1",
		"Cmd":          []string{"serve", "tcp:[::]:80", "tcp:[::]:81"},
		"ExposedPorts": map[string]any{"80/tcp": map[string]any{}, "81/tcp": map[string]any{}},
		"HostConfig":   map[string]any{"RestartPolicy": policy, "PortBindings": published},
	})
	inHost := d.start("in-host", map[string]any{
		"Image":      "test/web:1",
		"Cmd":        []string{"serve", "tcp:0.0.0.0:8082"},
		"HostConfig": map[string]any{"RestartPolicy": policy, "NetworkMode": "host"},
	})
	r.waitFor("tcp 8082")

	for _, test := range []struct{ port, name, id string }{{"8080", "shop-web-1", web}, {"8082", "in-host", inHost}} {
		plan := r.free("root", 0, test.port, "--dry-run")
		want := "docker --host unix:///var/run/docker.sock stop -t 10 " + test.name
		if len(plan.Steps) != 1 || plan.Steps[0].Action != "stop-container" || strings.Join(plan.Steps[0].Command, " ") != want {
			t.Fatalf("%s: %+v, want %s", test.port, plan.Steps, want)
		}
		if !d.running(test.id) {
			t.Errorf("%s: a dry run has stopped %s", test.port, test.name)
		}
		f := r.free("root", 0, test.port, "--yes")
		if f.Outcome != "freed" || d.running(test.id) {
			t.Errorf("%s: %+v; running: %v", test.port, f, d.running(test.id))
		}
		if test.id == web && !slices.ContainsFunc(plan.Steps[0].Also, func(o door) bool { return o.Port == 8081 }) {
			t.Errorf("%+v, want 8081 to close as well", plan.Steps[0].Also)
		}
		r.closed("tcp " + test.port)
	}
	if f := r.free("root", 0, "8081", "--yes"); f.Outcome != "nobody" {
		t.Errorf("%+v", f)
	}
}

func (d *docker) running(id string) bool {
	d.r.t.Helper()
	var made struct{ State struct{ Running bool } }
	d.call("GET", "/containers/"+id+"/json", nil, &made)
	return made.State.Running
}
