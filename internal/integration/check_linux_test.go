package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/monban-dev/monban/internal/netnstest"
)

// checked is the answer of monban check, declared here once more from its
// contract.
type checked struct {
	Data struct{ Claims []checkedClaim }
	Gaps []gap
}

type checkedClaim struct {
	Name, By, Proto, Address, File string
	Port, Line                     int
	Outcome, Stage, Errno, Cause   string
	Against, Also                  []string
	Why                            string
}

func (c checkedClaim) String() string {
	return fmt.Sprintf("%s:%d %s %s [%s]:%d: %s %s %s %s against %v", c.File, c.Line, c.By, c.Proto, c.Address, c.Port,
		c.Outcome, c.Stage, c.Errno, c.Cause, c.Against)
}

// check runs monban check in the room and returns its answer and exit code.
func (r *room) check(args ...string) (checked, int) {
	r.t.Helper()
	code := 0
	said := r.asked(func() []byte {
		cmd := r.command("root", program(r.t, "monban"), append([]string{"check", "--json"}, args...)...)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		code = 0
		if err := cmd.Run(); err != nil {
			failed, ended := errors.AsType[*exec.ExitError](err)
			if !ended {
				r.t.Fatal(err)
			}
			code = failed.ExitCode()
		}
		if stderr.Len() > 0 {
			r.t.Errorf("check wrote to standard error: %s", stderr.Bytes())
		}
		return stdout.Bytes()
	})
	validate(r.t, "check", said)
	var c checked
	if err := json.Unmarshal(said, &c); err != nil {
		r.t.Fatalf("%v\n%s", err, said)
	}
	return c, code
}

// with returns the claims of a program on a port.
func (c checked) with(by string, port int) (found []checkedClaim) {
	for _, claim := range c.Data.Claims {
		if claim.By == by && claim.Port == port {
			found = append(found, claim)
		}
	}
	return found
}

// ownMachine gives the room an /etc and a /var of its own on top of the
// machine's, to be changed as the test likes.
func (r *room) ownMachine() {
	r.t.Helper()
	for _, dir := range []string{"etc", "var"} {
		for _, part := range []string{"upper", "work"} {
			if err := os.MkdirAll(filepath.Join(r.dir, dir, part), 0o755); err != nil {
				r.t.Fatal(err)
			}
		}
		r.run("mount", "-t", "overlay", "overlay", "-o", fmt.Sprintf("lowerdir=/%[1]s,upperdir=%[2]s/%[1]s/upper,workdir=%[2]s/%[1]s/work", dir, r.dir), "/"+dir)
	}
}

// TestCheckHealthyMachine configures and starts fifteen daemons, each from its
// package's own configuration with no more changed than what makes them fit
// beside each other. Before they run every claim can start, and when they run no
// claim is a conflict.
func TestCheckHealthyMachine(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"apache2", "nginx", "sshd", "postfix", "mariadbd", "initdb", "redis-server", "named", "dovecot",
		"haproxy", "lighttpd", "mosquitto", "proftpd", "squid"} {
		netnstest.Need(t, name)
	}
	fpms, _ := filepath.Glob("/usr/sbin/php-fpm*")
	if len(fpms) == 0 {
		netnstest.Skip(t, "needs php-fpm")
	}
	r := newRoom(t, true)
	r.ownMachine()
	r.run("sh", "-ec", `
rm -f /etc/nginx/sites-enabled/* /etc/lighttpd/conf-enabled/* /etc/caddy/Caddyfile /etc/tomcat*/server.xml
rm -f /etc/apache2/mods-enabled/ssl.* /etc/systemd/system/multi-user.target.wants/* /etc/systemd/system/sockets.target.wants/*
rm -rf /etc/rabbitmq /etc/vsftpd.conf
cat > /etc/nginx/sites-enabled/default <<'X'
server {
	listen 8081;
	listen [::]:8081;
}
X
sed -i 's/^server.port.*/server.port = 8082/' /etc/lighttpd/lighttpd.conf
printf '\nfrontend web\n\tmode http\n\tbind :8084\n' >> /etc/haproxy/haproxy.cfg
sed -i 's/^listen = .*/listen = 127.0.0.1:9000/' /etc/php/*/fpm/pool.d/www.conf
test -f /etc/postfix/main.cf || printf 'compatibility_level = 3.6\nmyhostname = mail.example\n' > /etc/postfix/main.cf
sed -i '/^maillog_file/d; /^inet_interfaces/d' /etc/postfix/main.cf
printf 'maillog_file = /var/log/postfix.log\ninet_interfaces = all\n' >> /etc/postfix/main.cf
for v in /usr/lib/postgresql/*; do v=${v##*/}; test -e /var/lib/postgresql/$v/main/PG_VERSION || { rm -rf /etc/postgresql/$v/main; pg_createcluster $v main; }; done
test -d /var/lib/mysql/mysql || mariadb-install-db --user=mysql --skip-test-db
ls /etc/ssh/ssh_host_*_key > /dev/null 2>&1 || ssh-keygen -A
mkdir -p /run/sshd /run/php /run/haproxy /run/apache2 /run/lock/apache2
install -d -o mysql /run/mysqld
install -d -o redis /run/redis
install -d -o bind /run/named
install -d -o proxy /run/squid
install -d -o mosquitto /run/mosquitto
install -d -o postgres /run/postgresql
`)
	quiet, code := r.check("--system")
	for _, c := range quiet.Data.Claims {
		if c.Outcome != "ok" {
			t.Errorf("before anything runs: %s", c)
		}
	}
	if code != 0 || len(quiet.Data.Claims) < 15 {
		t.Errorf("before anything runs: exit %d, %d claims, gaps %+v", code, len(quiet.Data.Claims), quiet.Gaps)
	}
	sshd := netnstest.Need(t, "sshd")
	for _, d := range [][]string{
		{"root", "apache2ctl", "-DFOREGROUND"},
		{"root", "nginx", "-g", "daemon off;"},
		{"root", sshd, "-D"},
		{"root", "postfix", "start-fg"},
		{"root", "mariadbd", "--user=mysql"},
		{"root", "sh", "-c", "for v in /etc/postgresql/*; do pg_ctlcluster ${v##*/} main start; done"},
		{"redis", "redis-server", "/etc/redis/redis.conf", "--daemonize", "no"},
		{"root", "named", "-f", "-u", "bind"},
		{"root", "dovecot", "-F"},
		{"root", "haproxy", "-db", "-f", "/etc/haproxy/haproxy.cfg"},
		{"root", "lighttpd", "-D", "-f", "/etc/lighttpd/lighttpd.conf"},
		{"root", "mosquitto", "-c", "/etc/mosquitto/mosquitto.conf"},
		{"root", "proftpd", "-n"},
		{"root", "squid", "-N"},
		{"root", fpms[0], "-F"},
	} {
		r.daemon(d[0], d[1], d[2:]...)
	}
	r.waitFor("tcp 80", "tcp 8081", "tcp 22", "tcp 25", "tcp 3306", "tcp 5432", "tcp 6379", "tcp 53", "tcp 143", "tcp 8084", "tcp 8082",
		"tcp 1883", "tcp 21", "tcp 3128", "tcp 9000")
	up, code := r.check("--system")
	programs := map[string]bool{}
	for _, c := range up.Data.Claims {
		switch c.Outcome {
		case "running":
			programs[c.By] = true
		case "ok":
		default:
			t.Errorf("when they run: %s: %s", c, c.Why)
		}
	}
	if code != 0 || len(programs) < 15 {
		t.Errorf("when they run: exit %d, %d programs are running: %v, gaps %+v", code, len(programs), programs, up.Gaps)
	}

	// Copies by hand, each with a configuration of its own, on a port that the
	// machine's configuration asks for.
	r.run("sh", "-ec", `pkill -x nginx; pkill -x redis-server; while pgrep -x 'nginx|redis-server' > /dev/null; do sleep 0.1; done`)
	r.daemon("root", "nginx", "-c", r.file("own-nginx.conf", "daemon off; pid "+r.dir+"/n.pid; events {} http { access_log off; server { listen 8081; } }"))
	r.daemon("nobody", "redis-server", r.file("own-redis.conf", "port 6379\nbind 127.0.0.1\nsave \"\"\ndir /tmp\n"))
	r.waitFor("tcp 8081", "tcp 6379")
	twice, code := r.check("--system")
	for by, port := range map[string]int{"nginx": 8081, "redis": 6379} {
		for _, c := range twice.with(by, port) {
			if strings.Contains(c.Address, ":") {
				continue // the copies are on IPv4 alone
			}
			if c.Outcome != "fails" || c.Cause != "L22" || len(c.Against) == 0 {
				t.Errorf("a copy by hand: %s", c)
			}
		}
	}
	if code != 1 {
		t.Errorf("copies by hand: exit %d", code)
	}
}

// TestCheckXAMPP is the story that everybody knows: Apache and a second web
// server both want 80, MariaDB is there twice. It is told before anything runs,
// and when one of them does, by name.
func TestCheckXAMPP(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "apache2")
	netnstest.Need(t, "nginx")
	r := newRoom(t, true)
	for _, dir := range []string{"httpd", "nginx", "mysql", "mariadb"} {
		r.subdir(dir, "root")
	}
	r.file("httpd/httpd.conf", "ServerRoot "+r.dir+"/httpd\nListen 80\n")
	r.file("nginx/nginx.conf", "events {}\nhttp {\n\tserver {\n\t\tlisten 80;\n\t}\n}\n")
	r.file("mysql/my.ini", "[mysqld]\nport=3306\nbind-address=127.0.0.1\n")
	r.file("mariadb/my.cnf", "[mysqld]\nport=3306\nbind-address=127.0.0.1\n")

	c, code := r.check(r.dir)
	if code != 1 {
		t.Errorf("exit %d: %v", code, c.Data.Claims)
	}
	if got := c.with("nginx", 80); len(got) != 1 || got[0].Outcome != "fails" || got[0].Line != 4 || !against(got[0], "httpd/httpd.conf:2") {
		t.Errorf("nginx beside Apache: %v", got)
	}
	fails := 0
	for _, claim := range c.Data.Claims {
		if claim.Port == 3306 && claim.Outcome == "fails" && claim.Errno == "EADDRINUSE" && len(claim.Against) == 1 {
			fails++
		}
	}
	if fails != 1 {
		t.Errorf("of two databases on 3306, %d cannot start: %v", fails, c.Data.Claims)
	}

	startNginx(r)
	r.waitFor("tcp 0.0.0.0:80", "tcp [::]:80")
	pid := strings.TrimSpace(r.run("sh", "-c", "pgrep -o -x nginx"))
	c, code = r.check(filepath.Join(r.dir, "httpd"))
	got := c.with("apache", 80)
	if code != 1 || len(got) != 1 || got[0].Outcome != "fails" || !slices.Contains(got[0].Against, pid) || !strings.Contains(got[0].Why, "nginx (pid "+pid) {
		t.Errorf("Apache while nginx (pid %s) runs: exit %d, %v %v", pid, code, got, c.Gaps)
	}
}

func against(c checkedClaim, end string) bool {
	return slices.ContainsFunc(c.Against, func(s string) bool { return strings.HasSuffix(s, end) })
}

// TestCheckSystemd: what pid 1 holds for a socket unit is that unit's own and,
// for ssh.socket, sshd's; another unit that asks for the same is in conflict
// with the one that is named, and so is a project's own sshd_config.
func TestCheckSystemd(t *testing.T) {
	t.Parallel()
	netnstest.Need(t, "systemd-nspawn")
	r := newRoom(t, true)
	all := units()
	all["late.socket"] = "[Socket]\nListenStream=7070\n"
	all["late.service"] = "[Service]\nExecStart=/bin/false\n"
	results := bootSystemd(r, all, `cd /results
until ss -Htln | grep -q :7070; do sleep 0.05; done
until ss -Htln | grep -q :22; do sleep 0.05; done
mkdir -p /etc/ssh project
printf 'Port 22\n' | tee /etc/ssh/sshd_config >project/sshd_config
/programs/monban-static check --json /etc/systemd/system/held.socket /etc/systemd/system/late.socket /etc/systemd/system/ssh.socket /etc/ssh/sshd_config project/sshd_config >check.json ||
	echo $? >check.code
/programs/monban-static explain --json 'listen tcp 0.0.0.0:8099: bind: address already in use' >explain.json
`)
	text, err := os.ReadFile(filepath.Join(results, "check.json"))
	if err != nil {
		t.Fatal(err)
	}
	validate(t, "check", text)
	var c checked
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	if code, _ := os.ReadFile(filepath.Join(results, "check.code")); string(code) != "1\n" {
		t.Errorf("exit %q", code)
	}
	said := map[string]bool{}
	for _, claim := range c.Data.Claims {
		name := filepath.Base(claim.File)
		said[claim.File] = true
		switch {
		case strings.HasSuffix(claim.File, "project/sshd_config"):
			if claim.Outcome != "fails" || claim.Cause != "L15" || !strings.Contains(claim.Why, "ssh.socket") {
				t.Errorf("%s: %s", claim, claim.Why)
			}
		case name == "late.socket":
			if claim.Outcome != "fails" || claim.Cause != "L15" || !slices.Contains(claim.Against, "1") || !strings.Contains(claim.Why, "held.socket") {
				t.Errorf("%s: %s", claim, claim.Why)
			}
		case claim.Outcome != "running":
			t.Errorf("%s: %s", claim, claim.Why)
		}
	}
	if len(said) != 5 {
		t.Errorf("claims of %v: %s", said, text)
	}
	// Whoever looks from inside a container sees nobody, and is told why.
	text, err = os.ReadFile(filepath.Join(results, "explain.json"))
	if err != nil {
		t.Fatal(err)
	}
	var inside struct {
		Data struct {
			Complaints []struct{ Causes []struct{ ID string } }
		}
	}
	if err := json.Unmarshal(text, &inside); err != nil || len(inside.Data.Complaints) != 1 || inside.Data.Complaints[0].Causes[0].ID != "D9" {
		t.Errorf("in a container nobody is seen, %v: %s", err, text)
	}
}
