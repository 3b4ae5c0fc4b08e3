package integration

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/monban-dev/monban/internal/integration/peers"
	"github.com/monban-dev/monban/internal/netnstest"
)

// A known is a daemon and what monban has to say of it.
type known struct {
	port            int
	class, assigned string // assigned is the registry's name for the number
	// name and user are of the process that holds the door, the topmost.
	name, user string
}

// TestDaemons starts the daemons that everybody has, each as its package does
// but for the directories, on their default ports.
func TestDaemons(t *testing.T) {
	t.Parallel()
	daemons := []struct {
		known
		program string // what its package installs
		start   func(*room)
		doors   []string // all that it opens
	}{
		{known{80, "well-known", "http", "apache2", "root"}, "apache2", startApache, []string{"tcp 80"}},
		{known{21, "well-known", "ftp", "vsftpd", "root"}, "vsftpd", startVsftpd, []string{"tcp 21"}},
		{known{22, "well-known", "ssh", "sshd", "root"}, "sshd", startOpenSSH, []string{"tcp 0.0.0.0:22", "tcp [::]:22"}},
		{known{25, "well-known", "smtp", "master", "root"}, "postfix", startPostfix, []string{"tcp 0.0.0.0:25", "tcp [::]:25"}},
		{known{3306, "registered", "mysql", "mariadbd", "mysql"}, "mariadbd", startMariaDB, []string{"tcp 3306"}},
		{known{5432, "registered", "postgresql", "postgres", "postgres"}, "initdb", startPostgreSQL, []string{"tcp 5432"}},
		{known{6379, "registered", "redis", "redis-server", "redis"}, "redis-server", startRedis, []string{"tcp 127.0.0.1:6379", "tcp [::1]:6379"}},
	}
	r := newRoom(t, false)
	for _, d := range daemons {
		if _, err := exec.LookPath(d.program); err == nil {
			d.start(r)
		}
	}
	for _, d := range daemons {
		if _, err := exec.LookPath(d.program); err == nil {
			r.waitFor(d.doors...)
		}
	}
	if _, err := exec.LookPath("initdb"); err == nil {
		eventually(t, "PostgreSQL is ready", func() bool {
			return bytes.Contains(r.read(filepath.Join(r.dir, "postgres.out")), []byte("ready to accept"))
		})
	}
	e := r.sameAsPeers()
	for _, d := range daemons {
		t.Run(d.program, func(t *testing.T) {
			netnstest.Need(t, d.program)
			checkKnown(t, e, d.known)
			r.checkPortView(t, d.port)
		})
	}
	r.checkNobody(e)
}

// TestNginx has a room of its own because Apache has port 80 in the other, and
// looks from there into a second one.
func TestNginx(t *testing.T) {
	t.Parallel()
	r := newRoom(t, false)
	netnstest.Need(t, "nginx")
	startNginx(r)
	r.waitFor("tcp 0.0.0.0:80", "tcp [::]:80")
	e := r.sameAsPeers()
	checkKnown(t, e, known{80, "well-known", "http", "nginx", "root"})
	if n := len(e.find("tcp", 80)); n != 2 {
		t.Errorf("nginx listens on 0.0.0.0 and [::]: monban shows %d doors", n)
	}

	other := newRoom(t, false)
	pid := other.fixture("nobody", "doors", "tcp:127.0.0.1:8080", "udp:[::1]:8080")
	checkElsewhere(t, r.view("--all-namespaces"), other.ns.Name(), pid)
	if n := len(r.view().find("tcp", 8080)); n != 0 {
		t.Errorf("monban shows %d doors of another namespace without being asked", n)
	}
}

// checkElsewhere looks for another room's two doors in a view of all namespaces.
func checkElsewhere(t *testing.T, e envelope, netns string, pid int) {
	t.Helper()
	for _, proto := range []string{"tcp", "udp"} {
		// Other tests have doors in rooms of their own.
		found := slices.DeleteFunc(e.find(proto, 8080), func(d door) bool { return d.NetNS != netns })
		if len(found) != 1 {
			t.Errorf("--all-namespaces: %d doors on 8080/%s in %s, want 1", len(found), proto, netns)
			continue
		}
		d := found[0]
		if len(d.Owners) != 1 || d.Owners[0].PID != pid || d.Owners[0].User != "nobody" {
			t.Errorf("--all-namespaces: %s of %+v; want it of process %d, user nobody", d, d.Owners, pid)
		}
	}
	for _, d := range e.find("tcp", 80) {
		if d.NetNS == netns {
			t.Errorf("%s is shown in the wrong namespace", d)
		}
	}
}

func checkKnown(t *testing.T, e envelope, want known) {
	t.Helper()
	doors := e.find("tcp", want.port)
	if len(doors) == 0 {
		t.Errorf("no door %d", want.port)
	}
	for _, d := range doors {
		if len(d.Owners) == 0 {
			t.Errorf("%s: no owner", d)
			continue
		}
		got := known{d.Port, d.Class, d.Assigned, d.Owners[0].Name, d.Owners[0].User}
		if d.State != "listen" || got != want {
			t.Errorf("%s: %+v, want %+v", d, got, want)
		}
	}
}

// checkPortView asks for one port by itself: the same doors, their owners, and
// the number's meaning.
func (r *room) checkPortView(t *testing.T, port int) {
	t.Helper()
	e := r.view(fmt.Sprint(port))
	if len(e.Data.Ports) != 1 || e.Data.Ports[0].Port != port {
		t.Fatalf("monban %d: %d ports in the answer", port, len(e.Data.Ports))
	}
	p := e.Data.Ports[0]
	if len(p.Registry) == 0 || len(p.Practice) == 0 {
		t.Errorf("monban %d: registry %v, practice %v", port, p.Registry, p.Practice)
	}
	ss := slices.DeleteFunc(r.ss(), func(row peers.Row) bool { return row.Port != port })
	for _, said := range peers.Differences("ss", places(ss), fmt.Sprint("monban ", port), places(rows(p.Doors))) {
		t.Error(said)
	}
	for _, d := range p.Doors {
		if len(d.Owners) == 0 {
			t.Errorf("monban %d: no owner of %s", port, d)
		}
	}
}

// checkNobody compares what an ordinary user sees with what root saw: the same
// doors, no name of another user's process, and a word about it.
func (r *room) checkNobody(root envelope) {
	r.t.Helper()
	e := r.viewAs("nobody")
	for _, said := range peers.Differences("root", places(rows(root.Data.Doors)), "nobody", places(rows(e.Data.Doors))) {
		r.t.Error(said)
	}
	for _, d := range e.Data.Doors {
		if len(d.Owners) > 0 {
			r.t.Errorf("nobody sees the owners of %s: %+v", d, d.Owners)
		}
	}
	if !e.hasGap("", "with sudo their programs are named") {
		r.t.Errorf("nobody is not told that owners are hidden: gaps %+v", e.Gaps)
	}
	r.monban("nobody") // exits with 0 in text too
}

func rows(doors []door) []peers.Row {
	var all []peers.Row
	for _, d := range doors {
		all = append(all, peers.Row{Proto: d.Proto, Address: d.Address, Port: d.Port, Device: d.Device, Inode: d.Inode})
	}
	return all
}

// places lists rows without their processes.
func places(rows []peers.Row) []string {
	rows = slices.Clone(rows)
	for i := range rows {
		rows[i].PIDs = nil
	}
	return peers.Keys(rows)
}

func startApache(r *room) {
	conf := r.file("apache2.conf", fmt.Sprintf(`ServerRoot %[1]s
ServerName localhost
DefaultRuntimeDir %[1]s
PidFile %[1]s/apache2.pid
Mutex file:%[1]s default
ErrorLog %[1]s/apache2.log
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
User www-data
Group www-data
Listen 80
`, r.dir))
	r.daemon("root", "apache2", "-f", conf, "-DFOREGROUND")
}

func startNginx(r *room) {
	conf := r.file("nginx.conf", fmt.Sprintf(`user www-data;
worker_processes 2;
pid %[1]s/nginx.pid;
error_log %[1]s/nginx.log;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	server {
		listen 80;
		listen [::]:80;
	}
}
`, r.dir))
	r.daemon("root", "nginx", "-c", conf, "-g", "daemon off;")
}

func startVsftpd(r *room) {
	conf := r.file("vsftpd.conf", fmt.Sprintf(`listen_ipv6=YES
background=NO
secure_chroot_dir=%s
`, r.subdir("vsftpd", "root")))
	r.daemon("root", "vsftpd", conf)
}

func startOpenSSH(r *room) {
	key := filepath.Join(r.dir, "host_key")
	r.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
	r.run("mkdir", "-m", "755", "/run/sshd")
	conf := r.file("sshd_config", "HostKey "+key+"\nPidFile none\nUsePAM no\n")
	sshd, err := exec.LookPath("sshd") // it insists on an absolute path
	if err != nil {
		r.t.Fatal(err)
	}
	r.daemon("root", sshd, "-D", "-f", conf)
}

func startPostfix(r *room) {
	spool, data := r.subdir("spool", "root"), r.subdir("postfix-data", "postfix")
	conf := r.subdir("postfix", "root")
	r.file("postfix/main.cf", fmt.Sprintf(`compatibility_level = 3.6
myhostname = mail.example
queue_directory = %s
data_directory = %s
maillog_file = %s/mail.log
maillog_file_prefixes = %[3]s
inet_interfaces = all
alias_maps =
`, spool, data, r.dir))
	r.file("postfix/master.cf", `smtp      inet  n - n - - smtpd
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
postlog   unix-dgram n - n - 1 postlogd
`)
	r.daemon("root", "postfix", "-c", conf, "start-fg")
}

func startMariaDB(r *room) {
	data := r.subdir("mariadb", "mysql")
	r.run("mariadb-install-db", "--no-defaults", "--user=mysql", "--datadir="+data,
		"--skip-test-db", "--auth-root-authentication-method=normal")
	r.daemon("mysql", "mariadbd", "--no-defaults", "--datadir="+data, "--bind-address=127.0.0.1",
		"--socket="+data+"/socket", "--pid-file="+data+"/pid")
}

func startPostgreSQL(r *room) {
	data := r.subdir("postgresql", "postgres")
	r.runAs("postgres", "initdb", "--no-sync", "--auth=trust", "-D", data)
	r.daemon("postgres", "postgres", "-D", data, "-k", data)
}

func startRedis(r *room) {
	r.daemon("redis", "redis-server", "--port", "6379", "--bind", "127.0.0.1", "::1",
		"--save", "", "--dir", r.subdir("redis", "redis"))
}
