package daemons

import (
	"os"
	"os/exec"

	"github.com/monban-dev/monban"
)

// mail are servers of mail and its like.
func mail() []Daemon {
	starttls := func(d Door) Door { d.TLS = true; return d }
	return []Daemon{
		{Name: "Postfix", Needs: "postfix", Assigned: true, Client: []string{"curl", "-s", "smtp://@ADDR@", "-X", "VRFY postmaster"}, Doors: []Door{starttls(tcp(25, "smtp", "Postfix"))}, start: func(r *room) {
			r.certificate("root")
			r.subdir("spool", "root")
			r.subdir("postfix-data", "postfix")
			r.file("postfix/main.cf", `compatibility_level = 3.6
myhostname = mail.example
queue_directory = @DIR@/spool
data_directory = @DIR@/postfix-data
maillog_file = @DIR@/mail.log
maillog_file_prefixes = @DIR@
inet_interfaces = @ADDR@
alias_maps =
smtpd_tls_cert_file = @DIR@/cert.pem
smtpd_tls_key_file = @DIR@/key.pem
smtpd_tls_security_level = may
`)
			r.file("postfix/master.cf", `smtp      inet  n - n - - smtpd
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
anvil     unix  - - n - 1 anvil
tlsmgr    unix  - - n 1000? 1 tlsmgr
proxymap  unix  - - n - - proxymap
postlog   unix-dgram n - n - 1 postlogd
`)
			r.daemon("root", "postfix", "-c", "@DIR@/postfix", "start-fg")
		}},
		{Name: "Exim", Needs: "exim4", Client: []string{"curl", "-s", "smtp://@ADDR@", "-X", "NOOP"}, Doors: []Door{tcp(25, "smtp", "Exim")}, start: func(r *room) {
			r.subdir("exim", "nobody")
			// Debian's build wants its own user, whom only its installation makes.
			for file, line := range map[string]string{"/etc/passwd": "Debian-exim:x:65534:65534::/nonexistent:/usr/sbin/nologin", "/etc/group": "Debian-exim:x:65534:"} {
				text, err := os.ReadFile(file)
				r.fail0(err)
				r.instead(file, string(text)+line+"\n")
			}
			r.daemon("root", "exim4", "-bdf", "-q1h", "-C", r.file("exim.conf", `primary_hostname = mail.example
local_interfaces = @ADDR@
daemon_smtp_ports = 25
spool_directory = @DIR@/exim
log_file_path = @DIR@/exim/%s.log
pid_file_path = @DIR@/exim/pid
exim_user = nobody
exim_group = nogroup
tls_advertise_hosts =
begin acl
begin routers
begin transports
begin retry
`))
		}},
		{Name: "Dovecot", Needs: "dovecot", Client: []string{"curl", "-s", "imap://@ADDR@/", "-X", "NOOP"}, Doors: []Door{
			starttls(tcp(143, "imap", "Dovecot")), starttls(tcp(110, "pop3", "Dovecot")), starttls(tcp(24, "lmtp", "Dovecot")), starttls(tcp(4190, "sieve", "Dovecot Pigeonhole")),
			{Proto: monban.TCP, Port: 993, Protocol: "imap", Product: "Dovecot", Wrapped: true},
		}, start: func(r *room) {
			r.certificate("root")
			r.daemon("root", "dovecot", "-F", "-c", r.file("dovecot.conf", `protocols = imap pop3 lmtp sieve
listen = @ADDR@
base_dir = @DIR@/run
state_dir = @DIR@/state
log_path = @DIR@/dovecot.log
ssl = yes
ssl_cert = <@DIR@/cert.pem
ssl_key = <@DIR@/key.pem
mail_location = maildir:@DIR@/mail
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=@DIR@/mail
}
service lmtp {
  inet_listener lmtp {
    address = @ADDR@
    port = 24
  }
}
`))
		}},
		{Name: "OpenSSH", Needs: "sshd", Client: []string{"ssh-keyscan", "-t", "ed25519", "@ADDR@"}, Doors: []Door{tcp(22, "ssh", "OpenSSH")}, start: func(r *room) {
			r.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "@DIR@/host_key")
			sshd, err := exec.LookPath("sshd") // it insists on an absolute path
			r.fail0(err)
			r.daemon("root", sshd, "-D", "-f", r.file("sshd_config", "HostKey @DIR@/host_key\nPidFile none\nUsePAM no\nListenAddress @ADDR@:22\n"))
		}},
		{Name: "Dropbear", Needs: "dropbear", Client: []string{"ssh-keyscan", "-t", "ed25519", "@ADDR@"}, Doors: []Door{tcp(22, "ssh", "dropbear")}, start: func(r *room) {
			r.run("dropbearkey", "-t", "ed25519", "-f", "@DIR@/host_key")
			r.daemon("root", "dropbear", "-F", "-E", "-r", "@DIR@/host_key", "-p", "@ADDR@:22", "-P", "@DIR@/pid")
		}},
		{Name: "Leafnode", Needs: "leafnode", Doors: []Door{tcp(119, "nntp", "Leafnode")}, start: func(r *room) {
			conf := r.file("leafnode.conf", "hostname = news.monban.internal\nserver = news.monban.internal\nexpire = 20\n")
			r.inetd(119, "unshare", "--mount", "sh", "-c", "mount --bind "+r.fill(conf)+" /etc/news/leafnode/config && exec leafnode")
		}},
		{Name: "telnetd", Needs: "telnetd", Doors: []Door{tcp(23, "telnet", "")}, start: func(r *room) {
			r.inetd(23, "telnetd")
		}},
		{Name: "vsftpd", Needs: "vsftpd", Doors: []Door{tcp(21, "ftp", "vsftpd")}, start: func(r *room) {
			r.subdir("empty", "root")
			r.daemon("root", "vsftpd", r.file("vsftpd.conf", "listen=YES\nlisten_address=@ADDR@\nbackground=NO\nsecure_chroot_dir=@DIR@/empty\n"))
		}},
		{Name: "ProFTPD", Needs: "proftpd", Doors: []Door{tcp(21, "ftp", "ProFTPD")}, start: func(r *room) {
			r.daemon("root", "proftpd", "-n", "-c", r.file("proftpd.conf", `ServerType standalone
DefaultAddress @ADDR@
SocketBindTight on
Port 21
UseIPv6 off
User nobody
Group nogroup
PidFile @DIR@/pid
ScoreboardFile @DIR@/score
SystemLog @DIR@/proftpd.log
DelayEngine off
`))
		}},
		{Name: "Prosody", Needs: "prosody", Doors: []Door{tcp(5222, "xmpp", "")}, start: func(r *room) {
			r.subdir("prosody", "prosody")
			r.certificate("prosody")
			r.daemon("prosody", "prosody", "-F", "--config", r.file("prosody.cfg.lua", `pidfile = "@DIR@/prosody/pid"
data_path = "@DIR@/prosody"
modules_enabled = { "tls", "saslauth" }
interfaces = { "@ADDR@" }
local_interfaces = { "@ADDR@" }
log = { info = "*console" }
c2s_require_encryption = true
ssl = { certificate = "@DIR@/cert.pem", key = "@DIR@/key.pem" }
VirtualHost "door.example"
`))
		}},
		{Name: "ngIRCd", Needs: "ngircd", Doors: []Door{tcp(6667, "irc", "")}, start: func(r *room) {
			r.daemon("root", "ngircd", "-n", "-f", r.file("ngircd.conf", `[Global]
Name = irc.door.example
Info = test
Listen = @ADDR@
Ports = 6667
ServerGID = nogroup
ServerUID = nobody
[Limits]
MaxConnectionsIP = 0
[Options]
Ident = no
PAM = no
DNS = no
`))
		}},
	}
}
