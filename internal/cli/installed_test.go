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
	all = append(all, program("/etc/proftpd/proftpd.conf", "proftpd"))
	gaps := []monban.Gap{{Source: "/etc/proftpd/proftpd.conf:210"}, {Source: "/etc/vsftpd.conf:1"}, {Source: "/etc/nginx/nginx.conf:2"}, {Source: "/etc/vsftpd.d/x:1"}}
	got, left := installed(root, all, gaps)
	if len(got) != 5 {
		t.Errorf("%d of 7 are installed, want all but vsftpd and proftpd: %+v", len(got), got)
	}
	if len(left) != 2 || left[0].Source != "/etc/nginx/nginx.conf:2" || left[1].Source != "/etc/vsftpd.d/x:1" {
		t.Errorf("gaps of what is not installed: %+v", left)
	}
}
