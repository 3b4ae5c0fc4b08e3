package cli

import (
	"testing"
	"testing/fstest"

	"github.com/monban-dev/monban"
)

func TestInstalled(t *testing.T) {
	root := fstest.MapFS{"usr/sbin/nginx": {}, "usr/lib/postgresql/15/bin/postgres": {}, "usr/lib/postfix/sbin/master": {}}
	program := func(config string, exes ...string) monban.Claim {
		return monban.Claim{Program: monban.Program{Config: config, Exes: exes}}
	}
	all := []monban.Claim{
		program("/etc/nginx/nginx.conf", "nginx"),
		program("/etc/postgresql/15/main/postgresql.conf", "postgres"),
		program("/etc/postfix/master.cf", "master"),
		program("/srv/own/vsftpd.conf", "vsftpd"),
		program("/etc/systemd/x.socket"),
		program("/etc/vsftpd.conf", "vsftpd"),
	}
	if got := installed(root, all); len(got) != 5 {
		t.Errorf("%d of 6 are installed, want all but vsftpd: %+v", len(got), got)
	}
}
