package free

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/monban-dev/monban"
)

const webID = "4f1c2d0000000000000000000000000000000000000000000000000000000000"

func tcp(addr string, n uint16) monban.Bind {
	return monban.Bind{Port: monban.Port{Num: n, Proto: monban.TCP}, Addr: netip.MustParseAddr(addr)}
}

func door(b monban.Bind, inode uint64, owners ...monban.Owner) monban.Door {
	return monban.Door{Bind: b, State: monban.Listen, Inode: inode, Owners: owners}
}

func root() Self { return Self{UID: 0, Ancestors: []int{500, 400, 300, 1}} }

// TestMake has one row for each thing that may stand behind a door.
func TestMake(t *testing.T) {
	init := []monban.Parent{{PID: 1, Name: "systemd"}}
	nginx := monban.Owner{PID: 900, Name: "nginx", Unit: "nginx.service", Parents: init}
	worker := monban.Owner{PID: 901, Name: "nginx", Unit: "nginx.service", UID: 33, User: "www-data", Parents: append([]monban.Parent{{PID: 900, Name: "nginx"}}, init...)}
	node := monban.Owner{PID: 3002, Name: "node", UID: 1000, User: "hana"}
	userUnit := monban.Owner{PID: 70, Name: "syncthing", Unit: "syncthing.service", UID: 1000, User: "hana", Parents: []monban.Parent{{PID: 60, Name: "systemd"}, init[0]}}
	socket := monban.Owner{PID: 1, Name: "systemd", Unit: "cups.socket"}
	cups := monban.Owner{PID: 80, Name: "cupsd", Unit: "cups.service", Parents: init}
	proxy := monban.Owner{PID: 1500, Name: "docker-proxy", Unit: "docker.service", Container: webID}
	to := monban.Target{Addr: netip.MustParseAddr("172.17.0.2"), Port: 80, Container: webID}
	web := monban.Container{ID: webID, Name: "web", Image: "nginx", Engine: "docker", Socket: "/var/run/docker.sock", Project: "shop", Service: "web"}
	with := func(c monban.Container, change func(*monban.Container)) []monban.Container {
		change(&c)
		return []monban.Container{c}
	}
	published := door(tcp("0.0.0.0", 8080), 5, proxy)
	published.To = to
	forwarded := monban.Door{Bind: tcp("0.0.0.0", 8080), State: monban.Forwarded, To: to}
	hidden := func(h monban.Hidden) monban.Door {
		return monban.Door{Bind: tcp("0.0.0.0", 8080), State: monban.Listen, Inode: 6, Unnamed: h}
	}
	hana := Self{UID: 1000, Ancestors: []int{500, 400, 1}}

	for _, test := range []struct {
		name       string
		doors      []monban.Door
		containers []monban.Container
		virtual    string
		self       Self
		want       string // the command, "signal PID…", or the reason
	}{
		{"a program", []monban.Door{door(tcp("127.0.0.1", 8080), 1, node)}, nil, "", root(), "signal 3002"},
		{"both families", []monban.Door{door(tcp("0.0.0.0", 8080), 1, node), door(tcp("::", 8080), 2, node)}, nil, "", root(), "signal 3002"},
		{"a service with workers", []monban.Door{door(tcp("0.0.0.0", 8080), 1, nginx, worker)}, nil, "", root(), "systemctl stop nginx.service"},
		{"a service, without privilege", []monban.Door{door(tcp("0.0.0.0", 8080), 1, nginx)}, nil, "", hana, "privilege"},
		{"a user's service, by that user", []monban.Door{door(tcp("127.0.0.1", 8080), 1, userUnit)}, nil, "", hana, "systemctl --user stop syncthing.service"},
		{"a user's service, by root", []monban.Door{door(tcp("127.0.0.1", 8080), 1, userUnit)}, nil, "", root(), "systemctl --user --machine=hana@.host stop syncthing.service"},
		{"a user's service, by another user", []monban.Door{door(tcp("127.0.0.1", 8080), 1, userUnit)}, nil, "", Self{UID: 1001}, "privilege"},
		{"a socket unit alone", []monban.Door{door(tcp("::", 8080), 1, socket)}, nil, "", root(), "systemctl stop cups.socket"},
		{"a socket unit and its service", []monban.Door{door(tcp("::", 8080), 1, socket, cups)}, nil, "", root(), "systemctl stop cups.socket cups.service"},
		{"a socket unit, without privilege", []monban.Door{door(tcp("::", 8080), 1, socket)}, nil, "", hana, "privilege"},
		{"the sshd socket", []monban.Door{door(tcp("::", 8080), 1, monban.Owner{PID: 1, Name: "systemd", Unit: "ssh.socket"})}, nil, "", root(), "lifeline"},
		{"pid 1 for nobody knows whom", []monban.Door{door(tcp("::", 8080), 1, monban.Owner{PID: 1, Name: "systemd"})}, nil, "", root(), "init"},
		{"pid 1 of a container", []monban.Door{door(tcp("::", 8080), 1, monban.Owner{PID: 1, Name: "node"})}, nil, "docker", root(), "init"},
		{"a user's manager", []monban.Door{door(tcp("::", 8080), 1, monban.Owner{PID: 60, Name: "systemd", Parents: init})}, nil, "", root(), "lifeline"},
		{"sshd", []monban.Door{door(tcp("::", 8080), 1, monban.Owner{PID: 700, Name: "sshd", Unit: "ssh.service", Parents: init})}, nil, "", root(), "lifeline"},
		{"the session's own port", []monban.Door{door(tcp("::", 8080), 1, node)}, nil, "", Self{SSHPort: 8080}, "session"},
		{"an ancestor", []monban.Door{door(tcp("::", 8080), 1, monban.Owner{PID: 400, Name: "code-server"})}, nil, "", root(), "ancestor"},
		{"an ancestor below the holder", []monban.Door{door(tcp("::", 8080), 1, node, monban.Owner{PID: 400, Name: "bash"})}, nil, "", root(), "ancestor"},
		{"the own unit", []monban.Door{door(tcp("::", 8080), 1, nginx)}, nil, "", Self{Groups: []string{"/system.slice/nginx.service"}}, "own-unit"},
		{"the own unit's worker group", []monban.Door{door(tcp("::", 8080), 1, nginx)}, nil, "", Self{Groups: []string{"/system.slice/nginx.service/sub"}}, "own-unit"},
		{"a unit with a longer name", []monban.Door{door(tcp("::", 8080), 1, nginx)}, nil, "", Self{Groups: []string{"/system.slice/xnginx.service"}}, "systemctl stop nginx.service"},
		{"a scope is no service", []monban.Door{door(tcp("::", 8080), 1, monban.Owner{PID: 3, Name: "node", Unit: "session-1.scope"})}, nil, "", root(), "signal 3"},
		{"the user's slice is no service", []monban.Door{door(tcp("::", 8080), 1, monban.Owner{PID: 3, Name: "node", Unit: "user@1000.service"})}, nil, "", root(), "signal 3"},

		{"docker-proxy", []monban.Door{published}, []monban.Container{web}, "", root(), "docker --host unix:///var/run/docker.sock stop -t 10 web"},
		{"a forwarded door", []monban.Door{forwarded}, []monban.Container{web}, "", root(), "docker --host unix:///var/run/docker.sock stop -t 10 web"},
		{"host network", []monban.Door{door(tcp("::", 8080), 1, monban.Owner{PID: 9, Name: "node", Container: webID})}, []monban.Container{web}, "", root(), "docker --host unix:///var/run/docker.sock stop -t 10 web"},
		{"a container without a name", []monban.Door{forwarded}, with(web, func(c *monban.Container) { c.Name = "" }), "", root(), "docker --host unix:///var/run/docker.sock stop -t 10 " + webID},
		{"rootless podman", []monban.Door{forwarded}, with(web, func(c *monban.Container) { c.Engine, c.Socket = "podman", "/run/user/1000/podman/podman.sock" }), "", root(), "podman --url unix:///run/user/1000/podman/podman.sock stop -t 10 web"},
		{"a name that is an option", []monban.Door{forwarded}, with(web, func(c *monban.Container) { c.Name = "--all" }), "", root(), "container"},
		{"an engine that was not asked", []monban.Door{door(tcp("::", 8080), 1, monban.Owner{PID: 9, Name: "node", Container: webID})}, []monban.Container{{ID: webID}}, "", root(), "container"},
		{"seen from inside", []monban.Door{door(tcp("::", 8080), 1, monban.Owner{PID: 9, Name: "node", Container: webID})}, []monban.Container{{ID: webID}}, "docker", root(), "signal 9"},
		{"the own container", []monban.Door{forwarded}, []monban.Container{web}, "", Self{Groups: []string{"/system.slice/docker-" + webID + ".scope"}}, "own-unit"},
		{"a stale docker-proxy", []monban.Door{door(tcp("::", 8080), 1, monban.Owner{PID: 9, Name: "docker-proxy", Unit: "docker.service"})}, nil, "", root(), "forwarder"},
		{"dockerd", []monban.Door{door(tcp("::", 8080), 1, monban.Owner{PID: 9, Name: "dockerd", Unit: "docker.service"})}, nil, "", root(), "lifeline"},
		{"containerd", []monban.Door{door(tcp("::", 8080), 1, monban.Owner{PID: 9, Name: "containerd"})}, nil, "", root(), "lifeline"},
		{"Docker Desktop", []monban.Door{door(tcp("::", 8080), 1, monban.Owner{PID: 9, Name: "com.docker.backend"})}, nil, "", root(), "forwarder"},

		{"kubectl", []monban.Door{door(tcp("::", 8080), 1, monban.Owner{PID: 9, Name: "kubectl"})}, nil, "", root(), "signal 9"},
		{"ssh", []monban.Door{door(tcp("::", 8080), 1, monban.Owner{PID: 9, Name: "ssh"})}, nil, "", root(), "signal 9"},
		{"an editor", []monban.Door{door(tcp("::", 8080), 1, monban.Owner{PID: 9, Name: "code"})}, nil, "", root(), "forwarder"},
		{"systemd-resolved", []monban.Door{door(tcp("::", 8080), 1, monban.Owner{PID: 9, Name: "systemd-resolved", Unit: "systemd-resolved.service"})}, nil, "", root(), "resolver"},
		{"the kernel", []monban.Door{hidden(monban.HiddenKernel)}, nil, "", root(), "kernel"},
		{"another user's", []monban.Door{hidden(monban.HiddenPrivilege)}, nil, "", hana, "privilege"},
		{"hidden even from root", []monban.Door{hidden(monban.HiddenPrivilege)}, nil, "", root(), "hidden"},
		{"out of sight", []monban.Door{hidden(monban.HiddenNamespace)}, nil, "", root(), "hidden"},
		{"nobody", nil, nil, "", root(), "nobody"},
		{"two programs", []monban.Door{door(tcp("127.0.0.1", 8080), 1, node), door(tcp("::1", 8080), 2, nginx)}, nil, "", root(), "2 programs"},
		{"two halves of one secret", []monban.Door{hidden(monban.HiddenPrivilege), {Bind: tcp("::", 8080), Inode: 8, Unnamed: monban.HiddenPrivilege}}, nil, "", hana, "privilege"},
	} {
		t.Run(test.name, func(t *testing.T) {
			snap := &monban.Snapshot{Host: monban.Host{OS: "linux", UID: test.self.UID, Container: test.virtual}, Doors: test.doors, Containers: test.containers}
			snap.Doors = append(snap.Doors, door(tcp("0.0.0.0", 9999), 77, monban.Owner{PID: 31, Name: "other"}))
			got := told(Make(Question{Port: monban.Port{Num: 8080, Proto: monban.TCP}, Grace: 10 * time.Second}, snap, test.self))
			if got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

// told sums a plan up.
func told(p *Plan) string {
	switch {
	case len(p.Programs) == 0:
		return "nobody"
	case len(p.Programs) > 1:
		return strconv.Itoa(len(p.Programs)) + " programs"
	case len(p.Refused) > 0:
		return string(p.Refused[0].Reason)
	case len(p.Steps) != 1:
		return "not one step"
	case p.Steps[0].Action != Signal:
		return strings.Join(p.Steps[0].Command, " ")
	}
	text := "signal"
	for _, o := range p.Steps[0].Processes {
		text += " " + strconv.Itoa(o.PID)
	}
	return text
}

func TestAsks(t *testing.T) {
	d := door(tcp("127.0.0.1", 80), 1, monban.Owner{PID: 5})
	mapped := door(monban.Bind{Port: d.Bind.Port, Addr: netip.MustParseAddr("::ffff:127.0.0.1")}, 1)
	for _, test := range []struct {
		name string
		q    Question
		d    monban.Door
		want bool
	}{
		{"the port", Question{Port: d.Bind.Port}, d, true},
		{"another transport", Question{Port: monban.Port{Num: 80, Proto: monban.UDP}}, d, false},
		{"another number", Question{Port: monban.Port{Num: 81, Proto: monban.TCP}}, d, false},
		{"the address", Question{Port: d.Bind.Port, Addr: d.Bind.Addr}, d, true},
		{"the address on an IPv6 socket", Question{Port: d.Bind.Port, Addr: d.Bind.Addr}, mapped, true},
		{"another address", Question{Port: d.Bind.Port, Addr: netip.IPv6Loopback()}, d, false},
		{"its process", Question{Port: d.Bind.Port, PID: 5}, d, true},
		{"another process", Question{Port: d.Bind.Port, PID: 6}, d, false},
	} {
		if got := test.q.Asks(&test.d); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestSame(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	make := func(change func(*Step)) *Plan {
		s := Step{Action: Signal, Processes: []monban.Owner{{PID: 5, Started: at}}, Doors: []monban.Door{{Inode: 7}}}
		change(&s)
		return &Plan{Steps: []Step{s}}
	}
	base := make(func(*Step) {})
	for name, change := range map[string]func(*Step){
		"another process":       func(s *Step) { s.Processes[0].PID = 6 },
		"a reused pid":          func(s *Step) { s.Processes[0].Started = at.Add(time.Second) },
		"one process more":      func(s *Step) { s.Processes = append(s.Processes, monban.Owner{PID: 8}) },
		"another socket":        func(s *Step) { s.Doors[0].Inode = 8 },
		"a supervisor came":     func(s *Step) { s.Action = StopChild },
		"another command":       func(s *Step) { s.Command = []string{"x"} },
		"another container":     func(s *Step) { s.Container = webID },
		"one socket more":       func(s *Step) { s.Doors = append(s.Doors, monban.Door{Inode: 9}) },
		"nobody holds it":       func(s *Step) { s.Processes = nil },
		"nothing is to be done": func(s *Step) { s.Doors = nil },
	} {
		if base.Same(make(change)) {
			t.Errorf("%s: taken for the same", name)
		}
	}
	if !base.Same(make(func(s *Step) { s.Processes[0].Command = []string{"a new title"} })) {
		t.Error("the same is taken for another")
	}
	worker := func(pid int) func(*Step) {
		return func(s *Step) {
			s.Processes = append(s.Processes, monban.Owner{PID: pid, Parents: []monban.Parent{{PID: 5}}})
		}
	}
	if !make(worker(10)).Same(make(worker(11))) {
		t.Error("another worker makes another program")
	}
}

func TestSupervisorOf(t *testing.T) {
	holder := relative{pid: 30, session: 20, name: "node", command: []string{"node", "server.js"}}
	shell := relative{pid: 25, session: 20, name: "sh", command: []string{"sh", "-c", "node server.js"}}
	supervisord := relative{pid: 10, session: 10, name: "supervisord", command: []string{"/usr/bin/python3", "/usr/bin/supervisord", "-n", "-c", "/etc/s.conf"}, dir: "/"}
	runsv := relative{pid: 11, session: 11, name: "runsv", command: []string{"runsv", "web"}, dir: "/etc/service/web"}
	sshd := relative{pid: 12, session: 12, name: "sshd", command: []string{"sshd: hana@pts/0"}}
	pm2 := relative{pid: 13, session: 13, name: "PM2 v5.3.0: God", command: []string{"PM2 v5.3.0: God Daemon (/home/hana/.pm2)"}}
	status := []byte("api   STOPPED  Nov 23 10:00 AM\nweb:web_00   RUNNING   pid 30, uptime 0:01:00\nold RUNNING pid 300, uptime 1:00:00\nsh RUNNING pid 25, uptime 0:01:00\n")
	for _, test := range []struct {
		name   string
		chain  []relative
		answer []byte
		want   string
	}{
		{"supervisord", []relative{holder, supervisord}, status, "supervisorctl -c /etc/s.conf stop web:web_00"},
		{"through a shell", []relative{holder, shell, supervisord}, status, "supervisorctl -c /etc/s.conf stop sh"},
		{"supervisord that does not know it", []relative{holder, supervisord}, []byte("api STOPPED\n"), "unknown"},
		{"runit", []relative{holder, runsv}, nil, "sv -w 10 stop /etc/service/web"},
		{"a login through a supervised sshd", []relative{holder, shell, sshd, runsv}, nil, ""},
		{"pm2", []relative{holder, pm2}, []byte("\n>>>> In-memory PM2 is out-of-date\n[{\"pid\":30,\"name\":\"api\",\"pm_id\":2},{\"pid\":31,\"name\":\"b\",\"pm_id\":3}]"), "env PM2_HOME=/home/hana/.pm2 pm2 stop 2"},
		{"a terminal", []relative{holder, shell}, nil, ""},
		{"nobody", []relative{holder}, nil, ""},
		{"runsv without a directory", []relative{holder, {pid: 11, session: 11, name: "runsv"}}, nil, ""},
	} {
		s, ok := supervisorOf(test.chain)
		got := ""
		if ok {
			command, _, err := s.order(test.answer, 10)
			if got = strings.Join(command, " "); err != nil {
				got = "unknown"
			}
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestStarting(t *testing.T) {
	got := starting([]byte("web STARTING\napi:0 STARTING \nold RUNNING pid 3, uptime 0:00:01\n-x STARTING\nSTARTING\n\n"))
	if !slices.Equal(got, []string{"web", "api:0"}) {
		t.Errorf("%q", got)
	}
}

func TestConfigOf(t *testing.T) {
	for args, want := range map[string]string{
		"": "", "-n": "", "-c a.conf": "/srv/a.conf", "-c/b": "/b", "--configuration=/c -n": "/c", "-n -c /d": "/d", "-c": "", "--configuration e": "/srv/e",
	} {
		if got := configOf(strings.Fields(args), "/srv"); got != want {
			t.Errorf("%q: %q, want %q", args, got, want)
		}
	}
}

func TestBelow(t *testing.T) {
	groups := parseGroups([]byte("12:pids:/x\n1:name=systemd:/system.slice/web.service\n0::/system.slice/web.service/worker\n"))
	if !slices.Equal(groups, []string{"/x", "/system.slice/web.service", "/system.slice/web.service/worker"}) {
		t.Errorf("%q", groups)
	}
	for top, want := range map[string]bool{"/system.slice/web.service": true, "/system.slice/web": false, "": false, "/": false, "/user.slice": false} {
		if below(groups, top) != want {
			t.Errorf("below %q: %v", top, !want)
		}
	}
	if got := controlGroup([]byte("Id=x\nControlGroup=/system.slice/a.service\n")); got != "/system.slice/a.service" {
		t.Errorf("%q", got)
	}
}

func TestSSHPort(t *testing.T) {
	for text, want := range map[string]uint16{
		"": 0, "192.0.2.1 50000 192.0.2.2 22": 22, "::1 5 ::1 2222": 2222, "1 2 3": 0, "a b c d": 0, "a b c 70000": 0,
	} {
		if got := sshPort(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestParseStat(t *testing.T) {
	b := []byte("42 (a) b (c)) S 7 42 41 34816 42 4194304 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 18446744073709551615 x")
	got, ok := parseStat(b)
	if want := (stat{name: "a) b (c)", state: 'S', ppid: 7, session: 41, start: 987654}); !ok || got != want {
		t.Errorf("%+v %v, want %+v", got, ok, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("42 (a) S 7 42 41 34816 42 4194304 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2"))
	f.Add([]byte("Uid:\t1\t2\t3\t4\n"))
	f.Add([]byte("web RUNNING pid 30, uptime 0:01:00"))
	f.Add([]byte(`[{"pid":30,"name":"api","pm_id":2}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, ok := parseStat(b); !ok && s != (stat{}) {
			t.Errorf("%+v without ok", s)
		} else if s.ppid < 0 {
			t.Errorf("parent %d", s.ppid)
		}
		if uid := parseUID(b); uid < -1 {
			t.Errorf("uid %d", uid)
		}
		parseGroups(b)
		controlGroup(b)
		starting(b)
		sshPort(string(b))
		configOf(strings.Fields(string(b)), "/")
		for _, name := range []string{supervisordName(b, 30)} {
			if strings.HasPrefix(name, "-") || strings.ContainsAny(name, " \n") {
				t.Errorf("a name %q that is no name", name)
			}
		}
		if id, _ := pm2Name(b, 30); strings.Trim(id, "0123456789") != "" {
			t.Errorf("an id %q that is no number", id)
		}
		if home, ok := pm2Home([]string{string(b)}); ok && !strings.HasPrefix(home, "/") {
			t.Errorf("home %q", home)
		}
	})
}
