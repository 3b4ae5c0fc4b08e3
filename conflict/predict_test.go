package conflict

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/monban-dev/monban"
)

// machine is one on which nothing is open.
func machine(n Net) *monban.Snapshot {
	return &monban.Snapshot{TrafficOf: []monban.PortRange{{First: 0, Last: 65535}},
		Host: monban.Host{OS: "linux", Interfaces: n.Interfaces, Unprivileged: n.Unprivileged, BindV6Only: monban.Off, IPv6: monban.On,
			Caps: monban.Caps{BindService: monban.On, NetRaw: monban.On}}}
}

func claim(name, addr string, port uint16, program monban.Program) monban.Claim {
	a := netip.MustParseAddr(addr)
	return monban.Claim{Name: name, By: name, UID: 0, Listen: true, Program: program, Pos: monban.Pos{File: "/etc/" + name + ".conf", Line: 1},
		Bind: monban.Bind{Port: monban.Port{Num: port, Proto: monban.TCP}, Addr: a, V6Only: monban.FlagOf(a.Is6() && !a.IsUnspecified()),
			ReuseAddr: monban.On, ReusePort: monban.Off}}
}

func listener(addr string, port uint16, o ...monban.Owner) monban.Door {
	a := netip.MustParseAddr(addr)
	return monban.Door{State: monban.Listen, Owners: o, Inode: uint64(port)<<8 | uint64(len(addr)),
		Bind: monban.Bind{Port: monban.Port{Num: port, Proto: monban.TCP}, Addr: a, V6Only: monban.Off}}
}

func empty(doors ...monban.Door) *monban.Snapshot {
	s := machine(Net{Unprivileged: 1024, Interfaces: []monban.Interface{{Index: 1, Name: "lo", Up: true, Loopback: true,
		Addrs: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8"), netip.MustParsePrefix("::1/128")}}}})
	s.Doors = doors
	return s
}

// TestRunning tells a claim's own program from strangers and from other copies.
func TestRunning(t *testing.T) {
	nginx := monban.Program{Exes: []string{"nginx"}, Units: []string{"nginx.service"}, Config: "/etc/nginx/nginx.conf"}
	cluster := func(version string) monban.Program {
		return monban.Program{Exes: []string{"postgres"}, Units: []string{"postgresql@*.service"}, Config: "/etc/postgresql/" + version + "/main/postgresql.conf"}
	}
	redis := monban.Program{Exes: []string{"redis-server"}, Units: []string{"redis-server.service"}, Config: "/etc/redis/redis.conf"}
	tomcat := monban.Program{Exes: []string{"java"}, Units: []string{"tomcat10.service"}, Config: "/etc/tomcat10/server.xml"}
	vite := monban.Program{Dir: "/home/hana/shop"}
	sshd := monban.Program{Exes: []string{"sshd"}, Units: []string{"ssh.service", "ssh.socket"}, Config: "/etc/ssh/sshd_config"}
	ownDB := monban.Program{Exes: []string{"mysqld", "mariadbd"}, Units: []string{"mysql.service", "mariadb.service"}, Config: "/home/hana/shop/my.cnf"}
	ownNginx := monban.Program{Exes: []string{"nginx"}, Units: []string{"nginx.service"}, Config: "/home/hana/shop/nginx.conf"}
	owner := func(exe, unit string, command ...string) monban.Owner {
		o := monban.Owner{PID: 812, Exe: exe, Unit: unit, Command: command, Dir: "/"}
		o.Name = exe[len(exe)-len(lastPart(exe)):]
		return o
	}
	in := func(o monban.Owner, dir string) monban.Owner { o.Dir = dir; return o }
	pid1 := monban.Owner{PID: 1, Name: "systemd", Exe: "/usr/lib/systemd/systemd", Unit: "ssh.socket"}
	for _, tt := range []struct {
		name    string
		program monban.Program
		addr    string
		door    string
		owner   monban.Owner
		want    holder
	}{
		{"its unit", nginx, "0.0.0.0", "0.0.0.0", owner("/usr/sbin/nginx", "nginx.service", "nginx: master process /usr/sbin/nginx -g daemon on;"), itself},
		{"no unit, its default configuration", nginx, "0.0.0.0", "0.0.0.0", owner("/usr/sbin/nginx", "", "nginx: master process nginx"), itself},
		{"its configuration named", nginx, "0.0.0.0", "0.0.0.0", owner("/usr/sbin/nginx", "", "nginx: master process nginx -c /etc/nginx/nginx.conf"), itself},
		{"its configuration named relative to a prefix", nginx, "0.0.0.0", "0.0.0.0", owner("/usr/sbin/nginx", "", "nginx: master process nginx -p /etc/nginx/ -c nginx.conf"), itself},
		{"another configuration", nginx, "0.0.0.0", "0.0.0.0", owner("/usr/sbin/nginx", "", "nginx: master process nginx -c /tmp/own.conf"), somebody},
		{"another configuration in the same unit", nginx, "0.0.0.0", "0.0.0.0", owner("/usr/sbin/nginx", "nginx.service", "nginx: master process nginx -c /tmp/own.conf"), itself},
		{"another program in a unit of its own", nginx, "0.0.0.0", "0.0.0.0", owner("/usr/sbin/apache2", "apache2.service", "/usr/sbin/apache2"), somebody},
		{"a copy in a unit named alike", nginx, "0.0.0.0", "0.0.0.0", owner("/usr/sbin/nginx", "my-nginx.service", "nginx: master process nginx"), somebody},
		{"a launcher's unit", nginx, "0.0.0.0", "0.0.0.0", owner("/usr/sbin/nginx", "actions-runner.service", "nginx: master process nginx"), itself},
		{"a project's configuration, the machine's nginx", monban.Program{Exes: []string{"nginx"}, Config: "/home/hana/shop/nginx.conf"}, "0.0.0.0", "0.0.0.0",
			owner("/usr/sbin/nginx", "", "nginx: master process nginx"), somebody},
		{"XAMPP's Apache is not the machine's", monban.Program{Exes: []string{"apache2", "httpd"}, Config: "/etc/apache2/apache2.conf"}, "0.0.0.0", "0.0.0.0",
			owner("/opt/lampp/bin/httpd", "", "/opt/lampp/bin/httpd", "-k", "start"), somebody},
		{"XAMPP's Apache", monban.Program{Exes: []string{"apache2", "httpd"}, Config: "/opt/lampp/etc/httpd.conf"}, "0.0.0.0", "0.0.0.0",
			owner("/opt/lampp/bin/httpd", "", "/opt/lampp/bin/httpd", "-k", "start"), itself},
		{"XAMPP on Windows", monban.Program{Exes: []string{"httpd.exe"}, Config: "C:/xampp/apache/conf/httpd.conf"}, "0.0.0.0", "0.0.0.0",
			owner(`C:\xampp\apache\bin\httpd.exe`, "", `C:\xampp\apache\bin\httpd.exe`), itself},
		{"a cluster's own instance", cluster("15"), "127.0.0.1", "127.0.0.1", owner("/usr/lib/postgresql/15/bin/postgres", "postgresql@15-main.service",
			"/usr/lib/postgresql/15/bin/postgres", "-D", "/var/lib/postgresql/15/main", "-c", "config_file=/etc/postgresql/15/main/postgresql.conf"), itself},
		{"another cluster", cluster("14"), "127.0.0.1", "127.0.0.1", owner("/usr/lib/postgresql/15/bin/postgres", "postgresql@15-main.service",
			"/usr/lib/postgresql/15/bin/postgres", "-D", "/var/lib/postgresql/15/main", "-c", "config_file=/etc/postgresql/15/main/postgresql.conf"), somebody},
		{"Redis hides its configuration but has its directory", redis, "127.0.0.1", "127.0.0.1", in(owner("/usr/bin/redis-server", "", "redis-server 127.0.0.1:6379"), "/var/lib/redis"), itself},
		{"Redis by hand", redis, "127.0.0.1", "127.0.0.1", in(owner("/usr/bin/redis-server", "", "redis-server *:6379"), "/home/hana"), somebody},
		{"MariaDB without defaults", monban.Program{Exes: []string{"mariadbd"}, Config: "/etc/mysql/my.cnf"}, "127.0.0.1", "127.0.0.1",
			owner("/usr/sbin/mariadbd", "", "mariadbd", "--no-defaults", "--port=3306"), somebody},
		{"a project's my.cnf, the machine's MariaDB", ownDB, "0.0.0.0", "0.0.0.0", in(owner("/usr/sbin/mariadbd", "mariadb.service", "/usr/sbin/mariadbd"), "/var/lib/mysql"), somebody},
		{"a project's my.cnf, the machine's MariaDB whose unit says nothing", ownDB, "0.0.0.0", "0.0.0.0", in(owner("/usr/sbin/mariadbd", "", "/usr/sbin/mariadbd", "--basedir=/usr"), "/var/lib/mysql"), somebody},
		{"a project's my.cnf in a unit, named", ownDB, "0.0.0.0", "0.0.0.0", owner("/usr/sbin/mariadbd", "mariadb.service", "mariadbd", "--defaults-file=/home/hana/shop/my.cnf"), itself},
		{"a project's my.cnf, started there", ownDB, "0.0.0.0", "0.0.0.0", in(owner("/usr/sbin/mariadbd", "", "mariadbd"), "/home/hana/shop"), cannotTell},
		{"a project's nginx.conf, nginx in its unit", ownNginx, "0.0.0.0", "0.0.0.0", owner("/usr/sbin/nginx", "nginx.service", "nginx: master process /usr/sbin/nginx -g daemon on;"), somebody},
		{"a project's sshd_config, the machine's socket", monban.Program{Exes: []string{"sshd"}, Units: []string{"ssh.service", "ssh.socket"}, Config: "/home/hana/shop/sshd_config"},
			"0.0.0.0", "0.0.0.0", pid1, somebody},
		{"Java shows an IPv4-mapped address", tomcat, "127.0.0.1", "::ffff:127.0.0.1", owner("/usr/lib/jvm/bin/java", "", "java", "-Dcatalina.base=/var/lib/tomcat10", "org.apache.catalina.startup.Bootstrap"), somebody},
		{"Java in its unit", tomcat, "127.0.0.1", "::ffff:127.0.0.1", owner("/usr/lib/jvm/bin/java", "tomcat10.service", "java", "-jar", "x.jar"), itself},
		{"Java that says its name", tomcat, "127.0.0.1", "::ffff:127.0.0.1", owner("/usr/lib/jvm/bin/java", "", "java", "-cp", "/usr/share/tomcat10/bin/bootstrap.jar"), itself},
		{"another Java", tomcat, "127.0.0.1", "::ffff:127.0.0.1", owner("/usr/lib/jvm/bin/java", "", "java", "-jar", "shop.jar"), somebody},
		{"a project's server", vite, "127.0.0.1", "127.0.0.1", in(owner("/usr/bin/node", "", "node", "vite"), "/home/hana/shop"), itself},
		{"another project's", vite, "127.0.0.1", "127.0.0.1", in(owner("/usr/bin/node", "", "node", "vite"), "/home/hana/shop2"), somebody},
		{"a project's server on a runtime with a version", monban.Program{Exes: []string{"python3"}, Dir: "/home/hana/shop"}, "0.0.0.0", "0.0.0.0",
			in(owner("/usr/bin/python3.11", "", "python3", "-m", "http.server"), "/home/hana/shop"), itself},
		{"another runtime there", monban.Program{Exes: []string{"python3"}, Dir: "/home/hana/shop"}, "0.0.0.0", "0.0.0.0",
			in(owner("/usr/bin/ruby3.1", "", "ruby", "x.rb"), "/home/hana/shop"), somebody},
		{"a socket unit", sshd, "0.0.0.0", "::", pid1, itself},
		{"pid 1 for somebody else", nginx, "0.0.0.0", "0.0.0.0", pid1, somebody},
		{"pid 1 and no unit", sshd, "0.0.0.0", "0.0.0.0", monban.Owner{PID: 1, Name: "systemd"}, cannotTell},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := claim("tomcat", tt.addr, 8443, tt.program)
			d := listener(tt.door, 8443, tt.owner)
			snap := empty(d)
			if got := holds(&c, &d, snap); got != tt.want {
				t.Fatalf("holds %d, want %d", got, tt.want)
			}
			want := [...]monban.Outcome{somebody: monban.Fails, cannotTell: monban.OutcomeUnknown, itself: monban.Running}[tt.want]
			if got := Predict([]monban.Claim{c}, snap)[0].Judgement; got.Outcome != want {
				t.Errorf("%v, want %v: %+v", got.Outcome, want, got)
			}
		})
	}
}

func lastPart(exe string) string {
	for i := len(exe) - 1; i >= 0; i-- {
		if exe[i] == '/' || exe[i] == '\\' {
			return exe[i+1:]
		}
	}
	return exe
}

// TestRunningWhereItLies: Caddy reads the Caddyfile of the directory that it is
// started in, and names it nowhere.
func TestRunningWhereItLies(t *testing.T) {
	c := claim("caddy", "0.0.0.0", 8080, monban.Program{Exes: []string{"caddy"}, Units: []string{"caddy.service"}, Config: "/home/hana/shop/Caddyfile"})
	for dir, want := range map[string]holder{"/home/hana/shop": itself, "/home/hana/shop/": itself, "/home/hana": somebody, "/": somebody, "": somebody} {
		d := listener("0.0.0.0", 8080, monban.Owner{PID: 9, Name: "caddy", Exe: "/usr/bin/caddy", Command: []string{"caddy", "run"}, Dir: dir})
		if got := holds(&c, &d, empty(d)); got != want {
			t.Errorf("in %q: %d, want %d", dir, got, want)
		}
	}
}

// TestWorkersSayNothing: the worker of a copy with another configuration does not
// name it, and its master does.
func TestWorkersSayNothing(t *testing.T) {
	master := monban.Owner{PID: 5, Name: "nginx", Exe: "/usr/sbin/nginx", Command: []string{"nginx: master process nginx -c /tmp/x.conf"}}
	worker := monban.Owner{PID: 6, Name: "nginx", Exe: "/usr/sbin/nginx", Command: []string{"nginx: worker process"}, Parents: []monban.Parent{{PID: 5, Name: "nginx"}}}
	c := claim("nginx", "0.0.0.0", 80, monban.Program{Exes: []string{"nginx"}, Config: "/etc/nginx/nginx.conf"})
	if got := Predict([]monban.Claim{c}, empty(listener("0.0.0.0", 80, master, worker)))[0].Judgement; got.Outcome != monban.Fails || got.Cause != string(L22) {
		t.Errorf("%v %s", got.Outcome, got.Cause)
	}
}

// TestRunningContainers tells a Compose project's own containers from others.
func TestRunningContainers(t *testing.T) {
	web := monban.Program{Project: "shop", Service: "web", Dir: "/home/hana/shop"}
	proxy := monban.Owner{PID: 9, Name: "docker-proxy", Exe: "/usr/bin/docker-proxy", Container: "aa"}
	for _, tt := range []struct {
		name       string
		containers []monban.Container
		gaps       []monban.Gap
		want       monban.Outcome
		cause      Cause
	}{
		{"its own", []monban.Container{{ID: "aa", Name: "shop-web-1", Project: "shop", Service: "web"}}, nil, monban.Running, ""},
		{"another service of the project", []monban.Container{{ID: "aa", Name: "shop-db-1", Project: "shop", Service: "db"}}, nil, monban.Fails, D1},
		{"another project", []monban.Container{{ID: "aa", Name: "old-web-1", Project: "old", Service: "web"}}, nil, monban.Fails, D1},
		{"the engine did not answer", nil, []monban.Gap{{Source: "docker", Err: "refused", Hides: monban.HidesContainers}}, monban.OutcomeUnknown, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := listener("0.0.0.0", 8080, proxy)
			snap := empty(d)
			snap.Containers, snap.Gaps = tt.containers, tt.gaps
			if tt.containers == nil {
				snap.Doors[0].Owners[0].Container = ""
			}
			got := Predict([]monban.Claim{claim("compose", "0.0.0.0", 8080, web)}, snap)[0].Judgement
			if got.Outcome != tt.want || got.Cause != string(tt.cause) {
				t.Errorf("%v %s, want %v %s", got.Outcome, got.Cause, tt.want, tt.cause)
			}
		})
	}
}

// TestPredictCauses provokes what a single bind cannot have.
func TestPredictCauses(t *testing.T) {
	apache := monban.Program{Exes: []string{"apache2"}, Units: []string{"apache2.service"}, Config: "/etc/apache2/apache2.conf"}
	nginx := monban.Program{Exes: []string{"nginx"}, Units: []string{"nginx.service"}, Config: "/etc/nginx/nginx.conf"}
	shop := monban.Program{Project: "shop", Service: "web"}
	running := listener("::", 80, monban.Owner{PID: 70, Name: "apache2", Exe: "/usr/sbin/apache2", Unit: "apache2.service"})
	copyOf := listener("0.0.0.0", 80, monban.Owner{PID: 71, Name: "nginx", Exe: "/usr/sbin/nginx", Command: []string{"nginx", "-c", "/tmp/x.conf"}})
	hidden := listener("0.0.0.0", 80)
	hidden.Unnamed = monban.HiddenPrivilege
	elsewhere := func(c monban.Claim) monban.Claim {
		c.Pos.Line++
		return c
	}
	seenBy := func(uid int, snap *monban.Snapshot) *monban.Snapshot {
		snap.Host.UID = uid
		return snap
	}
	for _, tt := range []struct {
		name   string
		claims []monban.Claim
		snap   *monban.Snapshot
		want   []string // outcome, cause, rivals
		fix    string   // the first of the last claim
	}{
		{"one configuration asks twice", []monban.Claim{claim("apache", "::", 80, apache), claim("apache", "0.0.0.0", 80, apache)}, empty(),
			[]string{"ok  []", "fails L21 [0]"}, FixDeleteLine},
		{"one project maps it twice", []monban.Claim{claim("compose", "0.0.0.0", 80, shop), elsewhere(claim("compose", "0.0.0.0", 80, shop))}, empty(),
			[]string{"ok  []", "fails D4 [0]"}, FixDeleteLine},
		{"copies of one service", []monban.Claim{claim("compose", "0.0.0.0", 80, shop), claim("compose", "0.0.0.0", 80, shop)}, empty(),
			[]string{"ok  []", "fails D4 [0]"}, FixWriteRange},
		{"two web servers", []monban.Claim{claim("apache", "::", 80, apache), claim("nginx", "0.0.0.0", 80, nginx)}, empty(),
			[]string{"ok  []", "fails L3 [0]"}, FixEditPort},
		{"one of them runs", []monban.Claim{claim("nginx", "0.0.0.0", 80, nginx), claim("apache", "::", 80, apache)}, empty(running),
			[]string{"fails L3 [1]", "running  []"}, ""},
		{"another copy runs", []monban.Claim{claim("nginx", "0.0.0.0", 80, nginx)}, empty(copyOf), []string{"fails L22 []"}, FixEditPort},
		{"its own, and it shows only part of what it will have",
			[]monban.Claim{claim("nginx", "0.0.0.0", 80, nginx)},
			empty(listener("127.0.0.1", 80, monban.Owner{PID: 72, Name: "nginx", Exe: "/usr/sbin/nginx", Unit: "nginx.service"})), []string{"running  []"}, ""},
		{"nobody can be named", []monban.Claim{claim("nginx", "0.0.0.0", 80, nginx)}, empty(hidden), []string{"unknown  []"}, ""},
		{"nobody can be named, and no program is known", []monban.Claim{claim("x", "0.0.0.0", 80, monban.Program{})}, seenBy(1000, empty(hidden)), []string{"fails L19 []"}, FixEditPort},
		{"a protected one of the same user", []monban.Claim{claim("x", "0.0.0.0", 80, monban.Program{})}, empty(hidden), []string{"fails L1 []"}, FixEditPort},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			checked := Predict(tt.claims, tt.snap)
			for _, c := range checked {
				got = append(got, fmt.Sprintf("%v %s %v", c.Judgement.Outcome, c.Judgement.Cause, c.Rivals))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
			if fix := checked[len(checked)-1].Judgement.Fix; tt.fix != "" && (len(fix) == 0 || fix[0].Code != tt.fix) {
				t.Errorf("fixes %+v, want %s first", fix, tt.fix)
			}
		})
	}
}

// TestPredictFallsBack checks what programs do where a door cannot be had.
func TestPredictFallsBack(t *testing.T) {
	none := empty()
	none.Host.IPv6, none.Host.BindV6Only = monban.Off, monban.FlagUnknown
	c := claim("apache", "::", 80, monban.Program{})
	c.Bind.V6Only = monban.Off
	if got := Predict([]monban.Claim{c}, none)[0].Judgement; got.Errno != "EAFNOSUPPORT" || got.Stage != StageBind || got.Cause != string(L14) {
		t.Errorf("[::] without IPv6: %+v", got)
	}
	c.OrIPv4 = true
	if got := Predict([]monban.Claim{c}, none)[0].Judgement; got.Outcome != monban.Starts || got.Bind.Addr != netip.IPv4Unspecified() {
		t.Errorf("or IPv4: %+v", got)
	}
	c = claim("named", "192.0.2.7", 53, monban.Program{})
	c.Tolerates = monban.ToleratesAddress
	if got := Predict([]monban.Claim{c}, empty())[0].Judgement; got.Outcome != monban.Starts || got.Cause != string(L13) {
		t.Errorf("tolerated: %+v", got)
	}
	c.Tolerates, c.FreeBind = monban.ToleratesNothing, true
	if got := Predict([]monban.Claim{c}, empty())[0].Judgement; got.Outcome != monban.Starts || got.Cause != "" {
		t.Errorf("free bind: %+v", got)
	}
	r := claim("elasticsearch", "127.0.0.1", 9200, monban.Program{})
	r.UpTo = 9300
	got := Predict([]monban.Claim{r, r}, empty(listener("127.0.0.1", 9200)))
	if got[0].Judgement.Bind.Port.Num != 9201 || got[1].Judgement.Bind.Port.Num != 9202 || got[1].Judgement.Outcome != monban.Starts {
		t.Errorf("the first free of a range: %v %v", got[0].Judgement.Bind.Port, got[1].Judgement.Bind.Port)
	}
}

// TestWarn looks for each warning, and that none of them changes an outcome.
func TestWarn(t *testing.T) {
	snap := empty()
	snap.Host.UID, snap.Host.Ephemeral = 1000, monban.PortRange{First: 32768, Last: 60999}
	snap.Host.Reserved = []monban.PortRange{{First: 50000, Last: 50001}}
	var claims []monban.Claim
	for _, port := range []uint16{8080, 40000, 50000, 6000, 80} {
		claims = append(claims, claim("nginx", "0.0.0.0", port, monban.Program{}))
	}
	checked := Predict(claims, snap)
	var got []string
	for _, c := range checked {
		got = append(got, c.Judgement.Outcome.String())
	}
	for _, f := range Warn(checked, snap) {
		got = append(got, fmt.Sprint(f.Kind, f.Bind.Port.Num))
	}
	if want := []string{"ok", "ok", "ok", "ok", "ok", "claim-ephemeral40000", "claim-reserved50000", "claim-browser-blocked6000", "claim-privileged80"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}

	vite := claim("vite", "127.0.0.1", 5998, monban.Program{})
	vite.UpTo = 65535
	busy := empty(listener("127.0.0.1", 5998), listener("127.0.0.1", 5999))
	got = got[:0]
	for _, f := range Warn(Predict([]monban.Claim{vite}, busy), busy) {
		got = append(got, fmt.Sprint(f.Kind, f.Bind.Port.Num, f.Evidence[1].Text))
	}
	if want := []string{"claim-browser-blocked60006000", "claim-moved60005998"}; !slices.Equal(got, want) {
		t.Errorf("a server that goes on to the next free port: %v, want %v", got, want)
	}

	// Who has the port is named: a program that runs, else the claim before.
	who := func(claims []monban.Claim, snap *monban.Snapshot) string {
		for _, f := range Warn(Predict(claims, snap), snap) {
			if f.Kind == monban.ClaimMoved && len(f.Evidence) == 3 {
				return f.Evidence[2].Source + " " + f.Evidence[2].Text
			}
		}
		return ""
	}
	vite.Bind.Port.Num = 5173
	first := claim("first", "127.0.0.1", 5173, monban.Program{})
	if got, want := who([]monban.Claim{first, vite}, empty()), first.By+" "+first.Name; got != want {
		t.Errorf("moved because of a claim: %q, want %q", got, want)
	}
	held := empty(listener("127.0.0.1", 5173, monban.Owner{PID: 812, Name: "node"}))
	if got := who([]monban.Claim{vite}, held); got != "pid 812 node" {
		t.Errorf("moved because of a program: %q", got)
	}
}

// BenchmarkPredict is one prediction among 1,000 open sockets.
func BenchmarkPredict(b *testing.B) {
	snap := empty()
	for i := range 1000 {
		snap.Doors = append(snap.Doors, listener("0.0.0.0", uint16(2000+i), monban.Owner{PID: 100 + i, Name: "x", Exe: "/usr/bin/x"}))
	}
	nginx := monban.Program{Exes: []string{"nginx"}, Units: []string{"nginx.service"}, Config: "/etc/nginx/nginx.conf"}
	for name, port := range map[string]uint16{"free": 80, "taken": 2500} {
		claims := []monban.Claim{claim("nginx", "0.0.0.0", port, nginx)}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Predict(claims, snap)
			}
		})
	}
	many := make([]monban.Claim, 5000)
	for i := range many {
		many[i] = claim("nginx", "0.0.0.0", uint16(1500+i*11), nginx)
	}
	b.Run("5000 claims", func(b *testing.B) {
		for b.Loop() {
			Predict(many, snap)
		}
	})
}

func verdictOf(j monban.Judgement) string {
	if j.Errno == "" {
		return j.Outcome.String()
	}
	return j.Outcome.String() + " " + j.Errno
}

// FuzzHolds: command lines belong to whoever wrote them.
func FuzzHolds(f *testing.F) {
	f.Add("nginx: master process nginx -c /etc/nginx/nginx.conf", "/usr/sbin/nginx", "nginx.service", "/")
	f.Add("postgres\x00-D\x00/var/lib/postgresql/15/main\x00-c\x00config_file=", "/usr/lib/postgresql/15/bin/postgres", "postgresql@15-main.service", "")
	f.Add("-c\x00-f\x00-c/\x00--config=\x00--no-defaults\x00C:", `C:\x`, "@.service", `\`)
	f.Fuzz(func(t *testing.T, command, exe, unit, dir string) {
		o := monban.Owner{PID: 9, Name: lastPart(exe), Exe: exe, Unit: unit, Dir: dir, Command: strings.Split(command, "\x00")}
		for _, p := range []monban.Program{
			{Exes: []string{"nginx"}, Units: []string{"nginx.service", "x@*.service"}, Config: "/etc/nginx/nginx.conf"},
			{Exes: []string{exe}, Units: []string{unit}, Config: dir}, {Dir: dir}, {Project: exe, Service: unit},
		} {
			c := claim("x", "0.0.0.0", 80, p)
			d := listener("0.0.0.0", 80, o)
			if h := holds(&c, &d, empty(d)); h == itself && len(p.Exes) == 1 && p.Exes[0] == "nginx" && o.Name != "nginx" &&
				unit != "nginx.service" && !strings.HasPrefix(unit, "x@") {
				t.Errorf("%+v is taken for nginx", o)
			}
		}
	})
}

// TestPredictInterface: an interface that is not here is named, and not blamed on
// the address.
func TestPredictInterface(t *testing.T) {
	c := claim("x", "0.0.0.0", 8080, monban.Program{})
	c.Bind.Device = "eth9"
	j := Predict([]monban.Claim{c}, empty())[0].Judgement
	if j.Errno != string(ENODEV) || len(j.Fix) != 1 || j.Fix[0].Code != FixOtherDevice || j.Fix[0].Args[0] != "eth9" {
		t.Errorf("%+v", j)
	}
}
