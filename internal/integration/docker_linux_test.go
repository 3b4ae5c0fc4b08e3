package integration

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/monban-dev/monban/internal/netnstest"
)

// TestDocker publishes a port of a real container, with docker-proxy and without.
func TestDocker(t *testing.T) {
	t.Parallel()
	for _, proxy := range []bool{true, false} {
		t.Run(fmt.Sprintf("userland-proxy=%t", proxy), func(t *testing.T) {
			t.Parallel()
			testDocker(t, proxy)
		})
	}
}

func testDocker(t *testing.T, proxy bool) {
	netnstest.Need(t, "dockerd")
	r := newRoom(t, true)
	d := startDocker(r, fmt.Sprintf("--userland-proxy=%t", proxy))
	d.importFixture("test/web:1")
	web := d.start("shop-web-1", map[string]any{
		"Image":        "test/web:1",
		"Cmd":          []string{"serve", "tcp:[::]:80"},
		"ExposedPorts": map[string]any{"80/tcp": map[string]any{}},
		"Labels": map[string]string{
			"com.docker.compose.project": "shop",
			"com.docker.compose.service": "web",
		},
		"HostConfig": map[string]any{
			"PortBindings": map[string]any{"80/tcp": []any{map[string]string{"HostPort": "8081"}}},
		},
	})
	inHost := d.start("in-host", map[string]any{
		"Image":      "test/web:1",
		"Cmd":        []string{"serve", "tcp:0.0.0.0:8082"},
		"HostConfig": map[string]any{"NetworkMode": "host"},
	})
	r.waitFor("tcp 8081", "tcp 8082")

	e := r.sameAsPeers()
	published := e.find("tcp", 8081)
	if len(published) == 0 {
		t.Fatal("no door 8081")
	}
	for _, door := range published {
		if door.To == nil || door.To.Port != 80 || door.To.Container != "shop-web-1" {
			t.Errorf("%s leads to %+v, want port 80 of shop-web-1", door, door.To)
		}
		checkContainer(t, door, web, "shop-web-1", "shop", "web")
	}
	for _, door := range e.find("tcp", 8082) {
		checkContainer(t, door, inHost, "in-host", "", "")
		if len(door.Owners) > 0 && door.Owners[0].Name != "fixture" {
			t.Errorf("%s: program %q, want the container's own", door, door.Owners[0].Name)
		}
	}
	for _, door := range r.view("--all-namespaces").find("tcp", 80) {
		checkContainer(t, door, web, "shop-web-1", "shop", "web")
	}
	for _, args := range [][]string{{}, {"8081"}} {
		text := string(r.monban("root", args...))
		for _, want := range []string{"8081", "shop-web-1", "test/web:1", "80"} {
			if !strings.Contains(text, want) {
				t.Errorf("monban %v does not say %q:\n%s", args, want, text)
			}
		}
	}
	checkCompose(r)
	checkDockerCauses(r, d, proxy)
	if len(e.Gaps) > 0 {
		t.Logf("gaps: %+v", e.Gaps)
	}
}

// checkDockerCauses provokes what has to do with the engine, and wants it named:
// D6, a container on the host's own network; D2, a program of the host where a
// container is to be published; D3, a proxy that serves no container; B2, a
// container that listens to itself.
func checkDockerCauses(r *room, d *docker, proxy bool) {
	r.t.Helper()
	r.judged("root", "8082", "0.0.0.0", "fails EADDRINUSE D6")

	r.start("root", "serve", "tcp:0.0.0.0:8083")
	var made struct{ ID string }
	d.call("POST", "/containers/create?name=late", map[string]any{
		"Image": "test/web:1", "Cmd": []string{"serve", "tcp:[::]:80"}, "ExposedPorts": map[string]any{"80/tcp": map[string]any{}},
		"HostConfig": map[string]any{"PortBindings": map[string]any{"80/tcp": []any{map[string]string{"HostPort": "8083"}}}},
	}, &made)
	r.t.Cleanup(func() { d.call("DELETE", "/containers/"+made.ID+"?force=true", nil, nil) })
	d.start("inner", map[string]any{
		"Image": "test/web:1", "Cmd": []string{"serve", "tcp:127.0.0.1:80"}, "ExposedPorts": map[string]any{"80/tcp": map[string]any{}},
		"HostConfig": map[string]any{"PortBindings": map[string]any{"80/tcp": []any{map[string]string{"HostPort": "8085"}}}},
	})
	r.waitFor("tcp 8085")
	if out, err := r.command("root", "curl", "-sS", "--max-time", "5", "http://127.0.0.1:8085/").CombinedOutput(); err == nil {
		r.t.Errorf("somebody answers: %s", out)
	}
	if e := r.view("--all-namespaces"); !slices.ContainsFunc(e.Findings, func(f finding) bool {
		return f.Kind == "container-loopback" && f.Port == 8085 && strings.Contains(f.Why, "B2")
	}) {
		r.t.Errorf("no word of a container that listens to itself: %+v", e.Findings)
	}

	said := d.refusal("/containers/" + made.ID + "/start")
	if !strings.Contains(said, "8083") {
		r.t.Errorf("the engine says %q", said)
	}
	r.explained("docker: Error response from daemon: "+said, "D2")

	if proxy {
		// It reports to whoever started it on the descriptor 3.
		r.daemon("root", "sh", "-c", `exec docker-proxy "$@" 3>/dev/null`, "sh", "-proto", "tcp", "-host-ip", "0.0.0.0", "-host-port", "8084", "-container-ip", "172.17.0.99", "-container-port", "80")
		r.waitFor("tcp 8084")
		r.judged("root", "8084", "0.0.0.0", "fails EADDRINUSE D3")
		return
	}
	// The engine holds a socket for 0.0.0.0 all the same, and for IPv6 it does
	// nothing.
	r.claimed("v6.yaml", oneClaim(`address: "::", port: 8081, v6only: true`), "ok")
}

// TestDockerRestart provokes D5: a container with a restart policy is up again when
// its engine is, before the one that is to have its port. It is told from one that
// somebody has started, whatever its policy; from one that was only stopped it is
// known that it will come back.
func TestDockerRestart(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "dockerd")
	r := newRoom(t, true)
	d := startDocker(r)
	d.importFixture("test/web:1")
	config := func(port, policy string, command ...string) map[string]any {
		return map[string]any{
			"Image": "test/web:1", "Cmd": command, "ExposedPorts": map[string]any{"80/tcp": map[string]any{}},
			"HostConfig": map[string]any{
				"PortBindings":  map[string]any{"80/tcp": []any{map[string]string{"HostPort": port}}},
				"RestartPolicy": map[string]any{"Name": policy},
			},
		}
	}
	serve := []string{"serve", "tcp:[::]:80"}
	old := d.start("forgotten", config("8086", "always", serve...))
	d.start("ordinary", config("8087", "no", serve...))
	stopped := d.start("stopped", config("8088", "always", serve...))
	kept := d.start("kept", config("8089", "unless-stopped", serve...))
	d.call("POST", "/containers/"+stopped+"/stop?t=0", nil, nil)
	d.call("POST", "/containers/"+kept+"/stop?t=0", nil, nil)
	r.waitFor("tcp 8086", "tcp 8087")
	for _, port := range []string{"8086", "8087"} {
		r.judgedAlso(port, "D1")
		r.claimed("c.yaml", oneClaim("port: "+port), "fails EADDRINUSE D1")
	}
	eventually(t, "a stopped container is seen to come back", func() bool {
		c, _ := r.check(r.file("stopped.yaml", oneClaim("port: 8088")))
		return c.Data.Claims[0].Outcome == "ok" && c.Data.Claims[0].Cause == "D5" && strings.Contains(c.Data.Claims[0].Why, "stopped publishes this port")
	})
	r.claimed("kept.yaml", oneClaim("port: 8089"), "ok")
	r.explained("Error: listen EADDRINUSE: address already in use 0.0.0.0:8088", "D5")

	r.run("sh", "-c", "kill $(cat /run/docker.pid)")
	eventually(t, "dockerd has ended", func() bool {
		return r.run("sh", "-c", "test -e /run/docker.pid || echo ended") == "ended\n"
	})
	eventually(t, "the container's port is closed", func() bool { return len(r.missing([]string{"tcp 8086"})) == 1 })

	d.client.CloseIdleConnections()
	d = startDocker(r)
	r.waitFor("tcp 8086") // nobody has started it
	for _, door := range r.view().find("tcp", 8086) {
		checkContainer(t, door, old, "forgotten", "", "")
	}
	d.start("later", config("8090", "always", serve...))
	r.waitFor("tcp 8088", "tcp 8090")
	for _, port := range []string{"8086", "8088"} {
		r.judgedAlso(port, "D1", "D5")
	}
	r.judgedAlso("8090", "D1") // somebody has just started it
	var made struct{ ID string }
	d.call("POST", "/containers/create?name=new", config("8086", "always", serve...), &made)
	t.Cleanup(func() { d.call("DELETE", "/containers/"+made.ID+"?force=true", nil, nil) })
	r.explained("docker: Error response from daemon: "+d.refusal("/containers/"+made.ID+"/start"), "D1", "D5")
	file := r.file("compose.yaml", "name: shop\nservices:\n  web:\n    image: test/web:1\n    ports: [\"8086:80\"]\n")
	c, _ := r.check(file)
	for _, claim := range c.Data.Claims {
		if claim.Cause != "D1" || !slices.Equal(claim.Also, []string{"D5"}) || !strings.Contains(claim.Why, "forgotten") || !strings.Contains(claim.Why, "always") {
			t.Errorf("%+v", claim)
		}
	}
	for lang, want := range map[string]string{"en": "Keep the container forgotten from coming back by itself.", "ja": "コンテナ forgotten が自動で再び起動しないようにします。"} {
		for _, args := range [][]string{{"8086"}, {"check", file}} {
			text := r.asked(func() []byte {
				out, _ := r.command("root", program(t, "monban"), append(args, "--lang", lang)...).CombinedOutput()
				return out // check exits with 1
			})
			if flat := strings.Join(strings.Fields(string(text)), " "); !strings.Contains(flat, want) || !strings.Contains(flat, "docker update --restart=no forgotten") {
				t.Errorf("%v in %s does not say %q:\n%s", args, lang, want, text)
			}
		}
	}

	// One that ends by itself is started again, too, for as long as its policy says.
	again := d.start("crashing", config("8091", "on-failure", serve...))
	r.waitFor("tcp 8091")
	r.judgedAlso("8091", "D1")
	var inspected struct{ State struct{ Pid int } }
	d.call("GET", "/containers/"+again+"/json", nil, &inspected)
	r.run("kill", "-KILL", strconv.Itoa(inspected.State.Pid))
	eventually(t, "the container has been started again", func() bool {
		var now struct {
			RestartCount int
			State        struct{ Running bool }
		}
		d.call("GET", "/containers/"+again+"/json", nil, &now)
		return now.RestartCount > 0 && now.State.Running
	})
	r.waitFor("tcp 8091")
	r.judgedAlso("8091", "D1", "D5")
}

// judgedAlso wants `monban PORT` to name the cause why 0.0.0.0 cannot be opened, and
// just these others on top of it.
func (r *room) judgedAlso(port, cause string, also ...string) {
	r.t.Helper()
	eventually(r.t, port+" is "+cause+" and "+strings.Join(also, " "), func() bool {
		text := r.monban("root", "--json", port+"/tcp")
		parse(r.t, text)
		var answer struct {
			Data struct {
				Ports []struct {
					Bind []struct {
						Address, Cause string
						Also           []string
						Fix            []struct{ Command []string }
					}
				}
			}
		}
		if err := json.Unmarshal(text, &answer); err != nil || len(answer.Data.Ports) != 1 {
			r.t.Fatalf("%v\n%s", err, text)
		}
		for _, b := range answer.Data.Ports[0].Bind {
			if b.Address == "0.0.0.0" {
				update := slices.ContainsFunc(b.Fix, func(f struct{ Command []string }) bool {
					return slices.Contains(f.Command, "--restart=no")
				})
				return b.Cause == cause && slices.Equal(b.Also, also) && update == (len(also) > 0)
			}
		}
		return false
	})
}

// refusal is the message with which the daemon refuses a request.
func (d *docker) refusal(path string) string {
	d.r.t.Helper()
	response, err := d.client.Post("http://docker"+path, "application/json", nil)
	if err != nil {
		d.r.t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct{ Message string }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || response.StatusCode < 400 {
		d.r.t.Errorf("POST %s: %s %v", path, response.Status, err)
	}
	return answer.Message
}

// checkCompose checks projects against the containers: the project's own service
// is running, and to another project and a program of the host the same port is
// taken, by the container and not by its proxy.
func checkCompose(r *room) {
	r.t.Helper()
	for _, tt := range []struct{ project, service, outcome, cause string }{
		{"shop", "web", "running", ""}, {"shop", "other", "fails", "D1"}, {"office", "web", "fails", "D1"},
	} {
		file := r.file("compose.yaml", fmt.Sprintf("name: %s\nservices:\n  %s:\n    image: test/web:1\n    ports:\n      - \"8081:80\"\n", tt.project, tt.service))
		c, code := r.check(file)
		if len(c.Data.Claims) == 0 || (code == 1) != (tt.outcome == "fails") {
			r.t.Errorf("%s/%s: exit %d, %d claims", tt.project, tt.service, code, len(c.Data.Claims))
		}
		for _, claim := range c.Data.Claims {
			if claim.Outcome != tt.outcome || claim.Cause != tt.cause || tt.outcome == "fails" && !strings.Contains(claim.Why, "shop-web-1") {
				r.t.Errorf("%s/%s: %s: %s", tt.project, tt.service, claim, claim.Why)
			}
		}
	}
}

// checkContainer checks that a door is a container's: docker-proxy and dockerd
// are never the end of the answer.
func checkContainer(t *testing.T, d door, id, name, project, service string) {
	t.Helper()
	if len(d.Owners) == 0 || d.Owners[0].Container == nil {
		t.Errorf("%s: no container: %+v", d, d.Owners)
		return
	}
	c := *d.Owners[0].Container
	if c.ID != id || c.Name != name || c.Image != "test/web:1" || c.Project != project || c.Service != service {
		t.Errorf("%s: container %+v, want %s %s test/web:1 %s %s", d, c, id, name, project, service)
	}
}

// docker is a Docker daemon in a room, spoken to over its socket.
type docker struct {
	r      *room
	client http.Client
}

func startDocker(r *room, options ...string) *docker {
	r.t.Helper()
	r.daemon("root", "dockerd", append([]string{
		"--host=unix:///run/docker.sock", "--group=root", "--pidfile=/run/docker.pid",
		"--data-root=" + filepath.Join(r.dir, "docker"), "--exec-root=/run/docker",
		"--log-level=warn", "--storage-driver=vfs", "--exec-opt=native.cgroupdriver=cgroupfs",
		"--cgroup-parent=/" + ownCgroup(r.t) + "/docker",
	}, options...)...)
	socket := fmt.Sprintf("/proc/%d/root/run/docker.sock", r.pid)
	d := &docker{r: r}
	r.engine = true
	d.client.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "unix", socket)
	}}
	r.t.Cleanup(d.client.CloseIdleConnections)
	eventually(r.t, "dockerd answers", func() bool {
		response, err := d.client.Get("http://docker/_ping")
		if err == nil {
			response.Body.Close()
		}
		return err == nil
	})
	return d
}

// ownCgroup returns the name of a cgroup that nobody else has. What is made below it
// is removed at the end.
func ownCgroup(t testing.TB) string {
	name := fmt.Sprintf("monban-test-%x", rand.Uint64())
	t.Cleanup(func() {
		for _, dir := range cgroups(name) {
			os.Remove(dir) // the kernel refuses where one is in use
		}
	})
	return name
}

// cgroups returns all cgroups below those called name, the innermost first.
func cgroups(name string) (dirs []string) {
	for _, top := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		found, _ := filepath.Glob(filepath.Join(top, name))
		for _, dir := range found {
			filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
				if err == nil && d.IsDir() {
					dirs = append(dirs, path)
				}
				return nil
			})
		}
	}
	slices.Reverse(dirs)
	return dirs
}

// call sends a request to the daemon and decodes the answer into v.
func (d *docker) call(method, path string, body any, v any) {
	d.r.t.Helper()
	var content io.Reader
	kind := "application/json"
	switch b := body.(type) {
	case nil:
	case *bytes.Buffer:
		content, kind = b, "application/x-tar"
	default:
		text, err := json.Marshal(b)
		if err != nil {
			d.r.t.Fatal(err)
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(context.Background(), method, "http://docker"+path, content)
	if err != nil {
		d.r.t.Fatal(err)
	}
	request.Header.Set("Content-Type", kind)
	response, err := d.client.Do(request)
	if err != nil {
		d.r.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 300 {
		d.r.t.Fatalf("%s %s: %s %v %s", method, path, response.Status, err, text)
	}
	if v != nil {
		if err := json.Unmarshal(text, v); err != nil {
			d.r.t.Fatalf("%s %s: %v: %s", method, path, err, text)
		}
	}
}

// importFixture makes an image whose only file is the fixture.
func (d *docker) importFixture(image string) {
	d.r.t.Helper()
	exe, err := os.ReadFile(program(d.r.t, "fixture"))
	if err != nil {
		d.r.t.Fatal(err)
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	if err := w.WriteHeader(&tar.Header{Name: "fixture", Mode: 0o755, Size: int64(len(exe))}); err != nil {
		d.r.t.Fatal(err)
	}
	if _, err := w.Write(exe); err != nil {
		d.r.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		d.r.t.Fatal(err)
	}
	repo, tag, _ := strings.Cut(image, ":")
	query := url.Values{"fromSrc": {"-"}, "repo": {repo}, "tag": {tag}, "changes": {`ENTRYPOINT ["/fixture"]`}}
	d.call("POST", "/images/create?"+query.Encode(), &archive, nil)
}

// start runs a container until the test ends, and returns its id.
func (d *docker) start(name string, config map[string]any) string {
	d.r.t.Helper()
	var made struct{ ID string }
	d.call("POST", "/containers/create?name="+name, config, &made)
	d.r.t.Cleanup(func() { d.call("DELETE", "/containers/"+made.ID+"?force=true", nil, nil) })
	d.call("POST", "/containers/"+made.ID+"/start", nil, nil)
	return made.ID
}
