package claims

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/netnstest"
)

// A daemon is a program that is started with random configurations.
type daemon struct {
	program string
	rounds  int
	slow    bool // takes more than some seconds
	// write makes a configuration and returns its main file and the command
	// that starts the daemon in the foreground. Without a main file the
	// command line is what is read.
	write func(*config) (main string, argv []string)
}

var manyRounds = flag.Int("rounds", 1, "how many times the usual number of configurations to try")

// TestKernel starts real daemons, each with small random configurations in a
// network namespace of its own, and compares the sockets that they open with
// the claims.
func TestKernel(t *testing.T) {
	t.Parallel()
	// Two processors, and most of the time is waiting.
	busy := make(chan struct{}, 4)
	shared := t.TempDir()
	for _, dir := range []string{shared, filepath.Dir(shared)} { // their users go through it
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range daemons(shared) {
		t.Run(d.program, func(t *testing.T) {
			t.Parallel()
			netnstest.Need(t, d.program)
			netnstest.Need(t, "ss")
			busy <- struct{}{}
			defer func() { <-busy }()
			started := 0
			rounds := d.rounds * *manyRounds
			// A fourth of some daemons' configurations does not start; more are
			// tried where chance has made too many of them.
			for round := 0; round < rounds || started*2 < rounds && round < 4*rounds; round++ {
				t.Run(strconv.Itoa(round), func(t *testing.T) {
					if sameAsKernel(t, d) {
						started++
					}
				})
			}
			if started*2 < rounds {
				t.Errorf("%s started in %d of %d rounds", d.program, started, rounds)
			}
		})
	}
}

// sameAsKernel runs one round and reports whether the daemon started.
func sameAsKernel(t *testing.T, d daemon) bool {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("MONBAN_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	ns := netnstest.New(t)
	ns.SetSysctl("net.ipv4.ip_local_port_range", fmt.Sprintf("%d 65535", lentFrom))
	c := &config{t: t, rand: rand.New(rand.NewPCG(seed, 1)), dir: t.TempDir()}
	// Daemons that change their user have to reach their files.
	for dir := c.dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	main, argv := d.write(c)
	hosts := c.hosts()
	found, gaps := machineWith(hosts).FromCommand(argv, nil)
	if main != "" {
		var err error
		if found, gaps, err = Read(machineWith(hosts), main); err != nil {
			t.Fatal(err)
		}
	}
	want := socketsOf(found)
	patience := 20 * time.Second // only ever waited for by a failing round
	if d.slow {
		patience = 240 * time.Second // RabbitMQ took more than 60 s beside nineteen others
	}
	got, output := run(t, ns, argv, want, hosts, patience)
	if got == nil {
		t.Logf("seed %d: did not start: %s\n%s", seed, output, c.text.String())
		return false
	}
	if diff := cmp.Diff(want, got); diff != "" || len(gaps) > 0 {
		t.Errorf("seed %d: sockets (-claimed +opened):\n%s\ngaps %v\n%s\n%s", seed, diff, gaps, c.text.String(), output)
	}
	return true
}

// socketsOf writes claims as [openSockets] does, without those for an address
// that is not in the namespace, if the daemon does without.
func socketsOf(found []monban.Claim) []string {
	out := []string{}
	for _, c := range found {
		if c.Tolerates != monban.ToleratesNothing && c.Bind.Addr == netip.MustParseAddr("192.0.2.1") {
			continue
		}
		out = append(out, socketText(c.Bind.Port.Proto.String(), c.Bind.Addr, c.Bind.Port.Num, c.Bind.V6Only == monban.On))
	}
	slices.Sort(out)
	return slices.Compact(out) // sshd runs on after asking twice, HAProxy gets both
}

// run starts a daemon and returns its sockets once they are those wanted, or
// some seconds later whatever there is; nil if it ended by itself.
func run(t *testing.T, ns *netnstest.NS, argv, want []string, hosts string, patience time.Duration) (got []string, output string) {
	t.Helper()
	// A process namespace, so that the end of the first process is the end of
	// all, and directories of its own for what daemons leave behind. The first is
	// the shell: a daemon that takes another user loses the signal that its
	// parent's death would send it (prctl(2), PR_SET_PDEATHSIG), and lived on.
	script := `mount --bind "$HOSTS" /etc/hosts && mount -t tmpfs none /run && mkdir -m 755 /run/sshd /run/dovecot /run/proftpd /run/named /run/haproxy && chown bind /run/named 2>/dev/null; "$0" "$@" & wait $!`
	cmd := ns.Command("unshare", append([]string{"--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script}, argv...)...)
	cmd.Env = append(os.Environ(), "HOSTS="+hosts)
	var text safeBuffer
	cmd.Stdout, cmd.Stderr = &text, &text
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(context.Background())
	go func() { cmd.Wait(); cancel() }()
	defer func() {
		cmd.Process.Kill()
		<-ended.Done()
		for range 100 {
			if len(openSockets(t, ns)) == 0 {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Errorf("%s lives on", argv[0])
	}()
	deadline := time.Now().Add(patience)
	enough := 2
	if len(want) == 0 {
		enough = 15 // nothing is what a daemon has before it starts, too
	}
	for same := 0; same < enough && time.Now().Before(deadline); {
		select {
		case <-ended.Done():
			return nil, text.String()
		case <-time.After(60 * time.Millisecond):
		}
		if got = openSockets(t, ns); slices.Equal(got, want) {
			same++
		} else {
			same = 0
		}
	}
	return append([]string{}, got...), text.String()
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := s.b.String()
	return text[max(0, len(text)-1500):]
}

// lentFrom is where the ports begin that the kernel chooses, which Squid has for
// its questions to name servers.
const lentFrom = 61000

// openSockets asks ss for the listeners and unconnected sockets, without those
// on ports of the kernel's choice.
func openSockets(t *testing.T, ns *netnstest.NS) []string {
	t.Helper()
	var out []string
	for row := range strings.Lines(ns.Run("ss", "-H", "-t", "-u", "-l", "-n", "-e")) {
		fields := strings.Fields(row)
		if len(fields) < 6 {
			continue
		}
		i := strings.LastIndexByte(fields[4], ':')
		host, _, _ := strings.Cut(strings.Trim(fields[4][:i], "[]"), "%")
		host = strings.TrimSuffix(host, "]")
		addr := any6()
		if host != "*" {
			addr = netip.MustParseAddr(host)
		}
		port, err := strconv.ParseUint(fields[4][i+1:], 10, 16)
		if err != nil {
			t.Fatalf("ss: %q", row)
		}
		if port >= lentFrom {
			continue
		}
		out = append(out, socketText(fields[0], addr, uint16(port), strings.Contains(row, "v6only:1")))
	}
	slices.Sort(out)
	// SO_REUSEPORT gives several sockets for one claim.
	return slices.Compact(out)
}

// hosts makes a hosts file in which localhost has one family or both.
func (c *config) hosts() string {
	own, _ := os.Hostname() // ProFTPD wants to know its own address
	text := "127.0.0.1\tlocalhost\n127.0.0.1\t" + own + "\n"
	if c.chance() {
		text += "::1\tlocalhost ip6-localhost ip6-loopback\n"
	}
	return c.file("hosts", text)
}

// withHosts is the machine's files with another /etc/hosts.
type withHosts struct {
	fs.FS
	hosts string
}

func (w withHosts) Open(name string) (fs.File, error) {
	if name == "etc/hosts" {
		return os.Open(w.hosts)
	}
	return w.FS.Open(name)
}

func machineWith(hosts string) Place {
	p := machine()
	p.FS = withHosts{p.FS, hosts}
	return p
}

// config makes the files of one round.
type config struct {
	t    *testing.T
	rand *rand.Rand
	dir  string
	text strings.Builder
}

// file writes a file below the round's directory.
func (c *config) file(name, text string) string {
	c.t.Helper()
	full := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
		c.t.Fatal(err)
	}
	fmt.Fprintf(&c.text, "-- %s --\n%s\n", name, text)
	return full
}

// owned makes a directory that belongs to a user.
func (c *config) owned(name, user string) string {
	c.t.Helper()
	full := filepath.Join(c.dir, name)
	if err := os.MkdirAll(full, 0o755); err != nil {
		c.t.Fatal(err)
	}
	if out, err := exec.Command("chown", "-R", user, full).CombinedOutput(); err != nil {
		c.t.Fatalf("chown: %s", out)
	}
	return full
}

func (c *config) run(name string, args ...string) {
	c.t.Helper()
	if out, err := exec.CommandContext(c.t.Context(), name, args...).CombinedOutput(); err != nil {
		c.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

func (c *config) chance() bool { return c.rand.IntN(2) == 0 }

func (c *config) one(texts ...string) string { return texts[c.rand.IntN(len(texts))] }

// some returns one to n different texts.
func (c *config) some(n int, texts ...string) []string {
	c.rand.Shuffle(len(texts), func(i, j int) { texts[i], texts[j] = texts[j], texts[i] })
	return texts[:1+c.rand.IntN(min(n, len(texts)))]
}

func (c *config) port() int { return 2000 + c.rand.IntN(48000) }

// daemons lists them. What takes seconds to make is made once, below shared.
func daemons(shared string) []daemon {
	return []daemon{
		{"apache2", 5, false, apacheConfig},
		{"nginx", 6, false, nginxConfig},
		{"redis-server", 4, false, redisConfig},
		{"sshd", 5, false, sshdConfig},
		{"vsftpd", 4, false, vsftpdConfig},
		{"haproxy", 5, false, haproxyConfig},
		{"dovecot", 4, false, dovecotConfig},
		{"proftpd", 4, false, proftpdConfig},
		{"postfix", 3, false, postfixConfig},
		{"mariadbd", 3, false, mariadbConfig(shared + "/mariadb")},
		{"initdb", 3, false, postgresConfig(shared + "/postgres")},
		{"lighttpd", 4, false, lighttpdConfig},
		{"named", 4, false, namedConfig},
		{"squid", 3, false, squidConfig},
		{"mosquitto", 4, false, mosquittoConfig},
		{"php-fpm8.2", 5, false, fpmConfig},
		{"caddy", 4, false, caddyConfig},
		{"memcached", 3, false, memcachedCommand},
		{"prometheus-node-exporter", 3, false, exporterCommand},
		{"prometheus-alertmanager", 2, false, alertmanagerCommand},
		{"php", 2, false, phpCommand},
		{"python3", 3, false, pythonCommand},
		{"java", 2, false, tomcatConfig},
		{"rabbitmq-server", 1, true, rabbitConfig},
	}
}

func apacheConfig(c *config) (string, []string) {
	port := c.port()
	var listens []string
	for i, addr := range c.some(3, "", "0.0.0.0:", "[::]:", "127.0.0.1:", "[::1]:", "localhost:", "*:") {
		num := port + i
		if c.chance() && (addr == "0.0.0.0:" || addr == "[::]:") {
			num = port + 10 // the two wildcards of one port
		}
		listens = append(listens, fmt.Sprintf("Listen %s%d", addr, num))
	}
	c.file("extra/a.conf", listens[0]+"\n<VirtualHost *:"+strconv.Itoa(port)+">\nServerName x\n</VirtualHost>\n")
	rest := strings.Join(listens[1:], "\n")
	if c.chance() {
		rest = "Define EXTRA " + strconv.Itoa(port+20) + "\n<IfDefine EXTRA>\nListen ${EXTRA}\n</IfDefine>\n<IfDefine !EXTRA>\nListen 9\n</IfDefine>\n" + rest
	}
	main := c.file("apache2.conf", fmt.Sprintf(`ServerRoot "%[1]s"
ServerName localhost
DefaultRuntimeDir %[1]s
PidFile %[1]s/apache2.pid
Mutex file:%[1]s default
ErrorLog %[1]s/error.log
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
User www-data
Group www-data
Include extra/*.conf
IncludeOptional none/*.conf
<IfModule ssl_module>
	Listen 443
</IfModule>
<IfModule !mod_authz_core.c>
	Listen 444
</IfModule>
%[2]s
`, c.dir, rest))
	return main, []string{"apache2", "-f", main, "-DFOREGROUND"}
}

func nginxConfig(c *config) (string, []string) {
	port := c.port()
	var servers strings.Builder
	for i := range 1 + c.rand.IntN(3) {
		fmt.Fprintf(&servers, "server { server_name s%d.example;\n", i)
		for _, addr := range c.some(3, "%d", "*:%d", "0.0.0.0:%d", "[::]:%d", "127.0.0.1:%d", "localhost:%d", "[::1]:%d") {
			num := port + c.rand.IntN(2)
			if strings.HasPrefix(addr, "[::]") && i == 0 && c.chance() {
				fmt.Fprintf(&servers, "\tlisten [::]:%d ipv6only=off;\n", port+7)
				continue
			}
			if addr == "*:%d" || addr == "%d" {
				num += 10 * (i + 1) // 0.0.0.0 by another name: a duplicate
			}
			if addr == "%d" {
				num += 3
			}
			if addr == "localhost:%d" {
				num += 100 * (i + 1)
			}
			fmt.Fprintf(&servers, "\tlisten "+addr+";\n", num)
		}
		if c.chance() {
			fmt.Fprintf(&servers, "\tlisten 127.0.0.1:%d reuseport; # its own\n", port+50+i)
		}
		servers.WriteString("}\n")
	}
	c.file("sites/one", servers.String())
	main := c.file("nginx.conf", fmt.Sprintf(`user www-data; worker_processes 1;
pid %[1]s/nginx.pid;
error_log %[1]s/nginx.log;
events { }
http {
	access_log off;
	client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
	log_format x "a { b ; $host}";
	include sites/*;
}
`, c.dir))
	return main, []string{"nginx", "-c", main, "-g", "daemon off;"}
}

func redisConfig(c *config) (string, []string) {
	text := fmt.Sprintf("dir %s\n", c.dir)
	if c.chance() {
		text += fmt.Sprintf("port %d\n", c.port())
	}
	if c.chance() {
		text += "bind " + strings.Join(c.some(3, "127.0.0.1", "-::1", "127.0.0.2", "-192.0.2.1"), " ") + " 127.0.0.3\n"
	}
	if c.chance() {
		c.file("more.conf", fmt.Sprintf("port %d # not a comment to redis\n", c.port())[:0]+fmt.Sprintf("port %d\n", c.port()))
		text += "include " + c.dir + "/more.conf\n"
	}
	if c.chance() {
		text += "cluster-enabled yes\n"
	}
	main := c.file("redis.conf", text)
	return main, []string{"redis-server", main}
}

func sshdConfig(c *config) (string, []string) {
	key := filepath.Join(c.dir, "key")
	c.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
	text := "HostKey " + key + "\nPidFile none\nUsePAM no\n"
	if c.chance() {
		text += "AddressFamily " + c.one("inet", "inet6", "any") + "\n"
	}
	if c.chance() {
		for range 1 + c.rand.IntN(2) {
			text += fmt.Sprintf("Port %d\n", c.port())
		}
	}
	if c.chance() {
		for _, addr := range c.some(3, "127.0.0.1", "[::1]:%d", "127.0.0.2:%d", "localhost", "0.0.0.0:%d") {
			if strings.Contains(addr, "%") {
				addr = fmt.Sprintf(addr, c.port())
			}
			text += "ListenAddress " + addr + "\n"
		}
	}
	if c.chance() {
		c.file("d/a.conf", fmt.Sprintf("Port=%d\nMatch user x\n", c.port()))
		text += "Include " + c.dir + "/d/*.conf\n"
		text += fmt.Sprintf("Port %d\n", c.port())
	}
	main := c.file("sshd_config", text+"Match user nobody\n\tPermitTTY no\n")
	return main, []string{"/usr/sbin/sshd", "-D", "-f", main}
}

func vsftpdConfig(c *config) (string, []string) {
	text := "background=NO\nsecure_chroot_dir=" + c.owned("empty", "root") + "\n"
	if c.chance() {
		text += "listen=YES\nlisten_ipv6=NO\n"
		if c.chance() {
			text += "listen_address=127.0.0.1\n"
		}
	} else {
		text += "listen_ipv6=YES\n"
		if c.chance() {
			text += "listen_address6=::1\n"
		}
	}
	if c.chance() {
		text += fmt.Sprintf("listen_port=%d\n", c.port())
	}
	main := c.file("vsftpd.conf", text)
	return main, []string{"vsftpd", main}
}

func haproxyConfig(c *config) (string, []string) {
	text := "global\n\tmaxconn 100\n\tstats socket ipv4@127.0.0.1:" + strconv.Itoa(c.port()) + " level admin\ndefaults\n\tmode tcp\n\ttimeout client 1s\n\ttimeout server 1s\n\ttimeout connect 1s\n"
	port := c.port()
	for i := range 1 + c.rand.IntN(3) {
		text += fmt.Sprintf("frontend f%d # one\n", i)
		for _, addr := range c.some(3, ":%d", "*:%d", "127.0.0.1:%d", "[::1]:%d", ":::%d v6only", ":::%d v4v6", ":::%d", "ipv6@:%d", "localhost:%d", "\"${NO-127.0.0.3}:%d\"") {
			text += fmt.Sprintf("\tbind "+addr+"\n", port+10*i+c.rand.IntN(8))
		}
		if c.chance() {
			text += fmt.Sprintf("\tbind 127.0.0.1:%d-%d,127.0.0.2:%d\n", port+100+10*i, port+102+10*i, port+200+i)
		}
		text += "\tdefault_backend b\n"
	}
	main := c.file("haproxy.cfg", text+"backend b\n\tserver s 127.0.0.1:1\n")
	return main, []string{"haproxy", "-db", "-f", main}
}

func dovecotConfig(c *config) (string, []string) {
	text := fmt.Sprintf("base_dir = /run/dovecot\nlog_path = %s/log\nssl = %s\nprotocols = %s\n", c.dir, "no",
		strings.Join(c.some(2, "imap", "pop3"), " "))
	if c.chance() {
		text += "listen = " + strings.Join(c.some(3, "*", "::", "127.0.0.2"), ", ") + "\n"
	}
	if c.chance() {
		text += fmt.Sprintf("service imap-login {\n  inet_listener imap {\n    port = %d # moved\n  }\n  inet_listener other {\n    port = %d\n    address = 127.0.0.1\n  }\n}\n", c.rand.IntN(2)*c.port(), c.port())
	}
	if c.chance() {
		c.file("conf.d/x.conf", fmt.Sprintf("service doveadm {\n  inet_listener {\n    port = %d\n  }\n}\n", c.port()))
		text += "!include conf.d/*.conf\n!include_try none.conf\n"
	}
	main := c.file("dovecot.conf", text)
	return main, []string{"dovecot", "-F", "-c", main}
}

func proftpdConfig(c *config) (string, []string) {
	text := fmt.Sprintf("ServerName x\nServerType standalone\nUser nobody\nGroup nogroup\nPidFile %[1]s/pid\nScoreboardFile %[1]s/score\nDelayEngine off\n", c.dir)
	if c.chance() {
		text += "UseIPv6 " + c.one("on", "off") + "\n"
	}
	if c.chance() {
		text += fmt.Sprintf("Port %d\n", c.port())
	}
	if c.chance() {
		text += "DefaultAddress 127.0.0.1\n"
	}
	if c.chance() {
		text += fmt.Sprintf("<VirtualHost 127.0.0.1>\n  Port %d\n  ServerName y\n</VirtualHost>\n", c.port())
	}
	c.file("conf.d/a.conf", "# nothing\n")
	main := c.file("proftpd.conf", text+"Include "+c.dir+"/conf.d/\n")
	return main, []string{"proftpd", "-n", "-q", "-c", main}
}

func postfixConfig(c *config) (string, []string) {
	text := fmt.Sprintf("compatibility_level = 3.6\nmyhostname = mail.example\nqueue_directory = %s\ndata_directory = %s\nmaillog_file = %s/mail.log\nmaillog_file_prefixes = %[3]s\nalias_maps =\n",
		c.owned("spool", "root"), c.owned("data", "postfix"), c.dir)
	if c.chance() {
		text += "inet_interfaces = " + c.one("all", "loopback-only", "127.0.0.1,\n\t127.0.0.2", "localhost") + "\n"
	}
	if c.chance() {
		text += "inet_protocols = " + c.one("all", "ipv4", "ipv6") + "\n"
	}
	master := "smtp      inet  n - n - - smtpd\n"
	if c.chance() {
		master = fmt.Sprintf("%d inet n - n - - smtpd\n  -o syslog_name=x\n# a comment\n  -o y=z\n", c.port())
	}
	if c.chance() {
		master += fmt.Sprintf("127.0.0.1:%d inet n - n - - smtpd\n", c.port())
	}
	c.file("postfix/main.cf", text)
	main := c.file("postfix/master.cf", master+`pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
postlog   unix-dgram n - n - 1 postlogd
`)
	return main, []string{"postfix", "-c", filepath.Dir(main), "start-fg"}
}

// makeMariaDB makes an empty database.
func makeMariaDB(dir string) (string, error) {
	out, err := exec.Command("mariadb-install-db", "--no-defaults", "--datadir="+dir, "--user=mysql", "--skip-test-db").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
}

func mariadbConfig(dir string) func(*config) (string, []string) {
	data := sync.OnceValues(func() (string, error) { return makeMariaDB(dir) })
	return func(c *config) (string, []string) { return c.mariadb(data) }
}

func (c *config) mariadb(made func() (string, error)) (string, []string) {
	data, err := made()
	if err != nil {
		c.t.Fatal(err)
	}
	c.run("cp", "-a", data, c.dir+"/data")
	text := fmt.Sprintf("[client]\nport = 1\n[mysqld]\nuser = mysql\ndatadir = %s/data\nsocket = %s/data/s\npid-file = %[1]s/data/pid\nskip-log-bin\n", c.dir, c.dir)
	if c.chance() {
		text += "bind_address = " + c.one("*", "127.0.0.1", "::", "0.0.0.0", "::1", "127.0.0.1,127.0.0.2", "localhost") + "\n"
	}
	if c.chance() {
		text += fmt.Sprintf("port = %d # here\n", c.port())
	}
	if c.chance() {
		c.file("d/b.cnf", fmt.Sprintf("[mariadb-10.11]\nport=%d\n[mysqld-8.0]\n[mysql]\nport=4\n", c.port()))
		text += "!includedir " + c.dir + "/d/\n"
	}
	if c.chance() {
		text += fmt.Sprintf("[mariadb]\nextra-port=%d\n", c.port())
	}
	main := c.file("mariadb/my.cnf", text)
	return main, []string{"mariadbd", "--defaults-file=" + main}
}

// makePostgres makes an empty cluster.
func makePostgres(dir string) (string, error) {
	script := fmt.Sprintf("mkdir %[1]s && chown postgres %[1]s && exec setpriv --reuid postgres --regid postgres --clear-groups initdb -A trust -D %[1]s/data", dir)
	if out, err := exec.Command("sh", "-c", script).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return dir + "/data", nil
}

func postgresConfig(dir string) func(*config) (string, []string) {
	data := sync.OnceValues(func() (string, error) { return makePostgres(dir) })
	return func(c *config) (string, []string) { return c.postgres(data) }
}

func (c *config) postgres(made func() (string, error)) (string, []string) {
	data, err := made()
	if err != nil {
		c.t.Fatal(err)
	}
	c.run("cp", "-a", data, c.dir+"/data")
	text := fmt.Sprintf("data_directory = '%[1]s/data'\nhba_file = '%[1]s/data/pg_hba.conf'\nident_file = '%[1]s/data/pg_ident.conf'\nunix_socket_directories = '%[1]s/data'\n", c.dir)
	if c.chance() {
		text += fmt.Sprintf("port = %d\t\t# (change requires restart)\n", c.port())
	}
	if c.chance() {
		text += "listen_addresses = '" + c.one("*", "127.0.0.1", "localhost, 127.0.0.2", "::", "0.0.0.0,::", "::1,127.0.0.1") + "' # what\n"
	}
	if c.chance() {
		c.file("conf.d/a.conf", fmt.Sprintf("port %d\n", c.port()))
		c.file("conf.d/.hidden.conf", "port 1\n")
		text += "include_dir = 'conf.d'\ninclude_if_exists 'none.conf'\n"
	}
	main := c.file("postgresql.conf", text)
	return main, []string{"setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups", "postgres", "-c", "config_file=" + main}
}

func lighttpdConfig(c *config) (string, []string) {
	text := "server.document-root = \"" + c.dir + "\"\nvar.base = \"conf.d\"\n"
	port := c.port()
	if c.chance() {
		text += fmt.Sprintf("server.port = %d # x\n", port)
	} else if c.chance() {
		text += fmt.Sprintf("server.port := %d\n", port)
	}
	if c.chance() {
		text += "server.bind = " + c.one(`"127.0.0.1"`, `"::1"`, `"0.0.0.0"`, `"localhost"`) + "\n"
	} else if c.chance() {
		text += "server.use-ipv6 = \"enable\"\n"
	}
	for i, addr := range c.some(3, "[::]:%d", "127.0.0.2:%d", ":%d", "0.0.0.0:%d") {
		text += fmt.Sprintf("$SERVER[\"socket\"] == \""+addr+"\" {\n\tserver.errorlog = \"%s/e\"\n}\n", port+1+i, c.dir)
	}
	c.file("conf.d/a.conf", fmt.Sprintf("$SERVER[\"socket\"] == \"127.0.0.1:%d\" { }\n", port+10))
	main := c.file("lighttpd.conf", text+"include base + \"/*.conf\"\n")
	return main, []string{"lighttpd", "-D", "-f", main}
}

func namedConfig(c *config) (string, []string) {
	dir := c.owned("bind", "bind")
	text := fmt.Sprintf("acl mine { 127.0.0.0/8; };\noptions {\n\tdirectory \"%s\"; // here\n\tpid-file none; session-keyfile none; recursion no;\n\tlock-file none; dnssec-validation no; empty-zones-enable no;\n", dir)
	if c.chance() {
		text += fmt.Sprintf("\tport %d;\n", c.port())
	}
	if c.chance() {
		text += fmt.Sprintf("\tlisten-on port %d { %s };\n", c.port(), c.one("any;", "none;", "mine;", "127.0.0.1; 192.0.2.1;", "!127.0.0.1; any;"))
	}
	if c.chance() {
		text += "\tlisten-on-v6 { " + c.one("any;", "none;", "::1;") + " }; /* six\n */\n"
	}
	text += "};\n"
	if c.chance() {
		text += c.one("controls { };\n", fmt.Sprintf("controls { inet 127.0.0.1 port %d allow { any; } keys { k; }; };\nkey k { algorithm hmac-sha256; secret \"AAAA\"; };\n", c.port()))
	} else {
		text += "" // without rndc.key the default channel is not opened
	}
	main := c.file("named.conf", text)
	return main, []string{"named", "-f", "-u", "bind", "-n", "1", "-c", main}
}

func squidConfig(c *config) (string, []string) {
	dir := c.owned("squid", "proxy")
	text := fmt.Sprintf("pid_filename none\ncache_log %[1]s/cache.log\naccess_log none\ncoredump_dir %[1]s\nvisible_hostname x\npinger_enable off\nshutdown_lifetime 0 seconds\ncache_effective_user proxy\nnetdb_filename none\n", dir)
	port := c.port()
	for i, addr := range c.some(3, "", "127.0.0.1:", "[::1]:", "localhost:", "0.0.0.0:") {
		text += fmt.Sprintf("http_port %s%d # x\n", addr, port+i)
	}
	if c.chance() {
		text += fmt.Sprintf("icp_port %d\nicp_access deny all\n", port+20)
	}
	main := c.file("squid.conf", text)
	return main, []string{"squid", "-N", "-f", main}
}

func mosquittoConfig(c *config) (string, []string) {
	text := "persistence false\nallow_anonymous true\n"
	if c.chance() {
		for i := range 1 + c.rand.IntN(2) {
			text += fmt.Sprintf("listener %d %s\n", c.port()+i, c.one("", "127.0.0.1", "::1", "localhost", "0.0.0.0"))
			if c.chance() {
				text += "socket_domain " + c.one("ipv4") + "\n"
			}
		}
	} else if c.chance() {
		text += fmt.Sprintf("port %d\n", c.port())
	}
	if c.chance() {
		c.file("conf.d/a.conf", fmt.Sprintf("listener %d\n", c.port()))
		text += "include_dir " + c.dir + "/conf.d\n"
	}
	main := c.file("mosquitto.conf", text)
	return main, []string{"mosquitto", "-c", main}
}

func fpmConfig(c *config) (string, []string) {
	for i := range 1 + c.rand.IntN(2) {
		c.file(fmt.Sprintf("pool.d/p%d.conf", i), fmt.Sprintf("[p%d]\nuser = nobody\ngroup = nogroup\nlisten = %s%d ; x\npm = static\npm.max_children = 1\n", i,
			c.one("", "127.0.0.1:", "[::]:", "[::1]:", "0.0.0.0:", "localhost:", "*:"), c.port()))
	}
	main := c.file("php-fpm.conf", "[global]\nerror_log = "+c.dir+"/log\ninclude="+c.dir+"/pool.d/*.conf\n")
	return main, []string{"php-fpm8.2", "-F", "-y", main}
}

func caddyConfig(c *config) (string, []string) {
	http, https := c.port(), c.port()
	text := fmt.Sprintf("{\n\tskip_install_trust\n\tlocal_certs\n\tstorage file_system %s/data\n\thttp_port %d\n\thttps_port %d\n", c.dir, http, https)
	if c.chance() {
		text += "\tadmin " + c.one("off", fmt.Sprintf("localhost:%d", c.port()), fmt.Sprintf(":%d", c.port())) + "\n"
	}
	if c.chance() {
		text += "\tauto_https " + c.one("off", "disable_redirects", "disable_certs") + "\n"
	}
	text += "}\n(here) {\n\tbind 127.0.0.1\n}\n"
	for i, site := range c.some(4, "a.example.test, www.example.test", "http://b.example.test", fmt.Sprintf(":%d", c.port()),
		fmt.Sprintf("http://c.example.test:%d", c.port()), fmt.Sprintf("d.example.test:%d", c.port()), "https://127.0.0.1") {
		text += site + " {\n"
		if c.chance() && i > 0 {
			text += "\timport here\n"
		}
		text += "\trespond \"hello {host}\"\n}\n"
	}
	main := c.file("Caddyfile", text)
	return main, []string{"env", "HOME=" + c.dir, "caddy", "run", "--adapter", "caddyfile", "--config", main}
}

func memcachedCommand(c *config) (string, []string) {
	argv := []string{"memcached", "-u", "nobody"}
	if c.chance() {
		argv = append(argv, "-p", strconv.Itoa(c.port()))
	}
	if c.chance() {
		argv = append(argv, "-l", c.one("127.0.0.1", "::1", "0.0.0.0", "127.0.0.1,::1"))
	}
	if c.chance() {
		argv = append(argv, "-U", strconv.Itoa(c.port()))
	}
	fmt.Fprintln(&c.text, argv)
	return "", argv
}

func exporterCommand(c *config) (string, []string) {
	argv := []string{"prometheus-node-exporter", "--collector.disable-defaults"}
	if c.chance() {
		argv = append(argv, "--web.listen-address="+c.one("", "127.0.0.1", "[::1]", "0.0.0.0", "[::]", "localhost")+":"+strconv.Itoa(c.port()))
	}
	fmt.Fprintln(&c.text, argv)
	return "", argv
}

func alertmanagerCommand(c *config) (string, []string) {
	conf := c.file("am.yml", "route:\n  receiver: x\nreceivers:\n- name: x\n")
	argv := []string{"prometheus-alertmanager", "--config.file=" + conf, "--storage.path=" + c.dir, "--cluster.advertise-address=127.0.0.1:9094"}
	if c.chance() {
		argv = append(argv, "--web.listen-address", ":"+strconv.Itoa(c.port()))
	}
	if c.chance() {
		argv = append(argv, "--cluster.listen-address=")
	}
	fmt.Fprintln(&c.text, argv)
	return "", argv
}

func phpCommand(c *config) (string, []string) {
	argv := []string{"php", "-S", c.one("localhost", "127.0.0.1", "0.0.0.0", "[::1]") + ":" + strconv.Itoa(c.port())}
	fmt.Fprintln(&c.text, argv)
	return "", argv
}

func pythonCommand(c *config) (string, []string) {
	argv := []string{"python3", "-m", "http.server"}
	if c.chance() {
		argv = append(argv, strconv.Itoa(c.port()))
	}
	if c.chance() {
		argv = append(argv, "--bind", c.one("127.0.0.1", "::1", "::", "0.0.0.0", "localhost"))
	}
	fmt.Fprintln(&c.text, argv)
	return "", argv
}

func tomcatConfig(c *config) (string, []string) {
	if _, err := os.Stat("/usr/share/tomcat10/bin/catalina.sh"); err != nil {
		netnstest.Skip(c.t, "needs Debian's tomcat10: %v", err)
	}
	address := ""
	if c.chance() {
		address = ` address="` + c.one("127.0.0.1", "::1", "0.0.0.0", "localhost") + `"`
	}
	main := c.file("conf/server.xml", fmt.Sprintf(`<?xml version="1.0"?>
<!-- <Connector port="1"/> -->
<Server port="%d" shutdown="SHUTDOWN">
  <Service name="Catalina">
    <Connector port="%d"
      protocol="HTTP/1.1"%s redirectPort="8443"/>
    <Connector protocol="AJP/1.3" port="%d" secretRequired="false"/>
    <Engine name="Catalina" defaultHost="localhost"><Host name="localhost" appBase="webapps"/></Engine>
  </Service>
</Server>
`, c.rand.IntN(2)*(c.port()+1)-1, c.port(), address, c.port()))
	for _, dir := range []string{"logs", "temp", "webapps", "work"} {
		c.owned(dir, "root")
	}
	return main, []string{"env", "CATALINA_HOME=/usr/share/tomcat10", "CATALINA_BASE=" + c.dir, "/usr/share/tomcat10/bin/catalina.sh", "run"}
}

func rabbitConfig(c *config) (string, []string) {
	text := ""
	if c.chance() {
		text += fmt.Sprintf("listeners.tcp.default = %d # x\n", c.port())
	} else if c.chance() {
		text += fmt.Sprintf("listeners.tcp.local = 127.0.0.1:%d\n", c.port())
	}
	main := c.file("rabbitmq.conf", text+"log.console = true\n")
	c.file("enabled_plugins", c.one("[].", "[rabbitmq_management]."))
	dir := c.owned("rabbit", "root")
	return main, []string{"env", "HOME=" + dir, "RABBITMQ_NODENAME=x@localhost", "RABBITMQ_CONFIG_FILE=" + main, "RABBITMQ_ENABLED_PLUGINS_FILE=" + c.dir + "/enabled_plugins",
		"RABBITMQ_MNESIA_BASE=" + dir, "RABBITMQ_LOG_BASE=" + dir, "RABBITMQ_PID_FILE=" + dir + "/pid", "/usr/lib/rabbitmq/bin/rabbitmq-server"}
}
