package claims

import (
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/monban-dev/monban/internal/netnstest"
)

// TestDebian reads the files that Debian's packages have really installed here,
// as the packages leave them (Debian 12). What they ask for is written down
// here from the packages' documentation.
func TestDebian(t *testing.T) {
	// Other daemons' packages enable modules and sites of Apache; only what
	// its own package brings is compared.
	for _, d := range []struct{ by, file, want string }{
		{"apache", "/etc/apache2/apache2.conf", `tcp [::]:80 /etc/apache2/ports.conf:5`},
		{"nginx", "/etc/nginx/nginx.conf", `
tcp [0.0.0.0]:80 /etc/nginx/sites-enabled/default:22
tcp [::]:80 /etc/nginx/sites-enabled/default:23 v6only`},
		{"mariadb", "/etc/mysql/mariadb.conf.d/50-server.cnf", `tcp [127.0.0.1]:3306 /etc/mysql/my.cnf default`},
		{"postgresql", "/etc/postgresql/15/main/postgresql.conf", `tcp [localhost]:5432 /etc/postgresql/15/main/postgresql.conf:64`},
		{"redis", "/etc/redis/redis.conf", `
tcp [127.0.0.1]:6379 /etc/redis/redis.conf:138
tcp [::1]:6379 /etc/redis/redis.conf:138`},
		{"sshd", "/etc/ssh/sshd_config", `
tcp [0.0.0.0]:22 /etc/ssh/sshd_config default
tcp [::]:22 /etc/ssh/sshd_config v6only default`},
		{"vsftpd", "/etc/vsftpd.conf", `tcp [::]:21 /etc/vsftpd.conf default`},
		{"proftpd", "/etc/proftpd/proftpd.conf", `tcp [::]:21 /etc/proftpd/proftpd.conf:46`},
		{"postfix", "/etc/postfix/master.cf", `
tcp [0.0.0.0]:25 /etc/postfix/master.cf:12
tcp [::]:25 /etc/postfix/master.cf:12 v6only`},
		{"dovecot", "/etc/dovecot/dovecot.conf", dovecotOf("143", "993", "110", "995", "4190")},
		{"haproxy", "/etc/haproxy/haproxy.cfg", ``},
		{"lighttpd", "/etc/lighttpd/lighttpd.conf", `
tcp [0.0.0.0]:80 /etc/lighttpd/lighttpd.conf:14
tcp [::]:80 /etc/lighttpd/lighttpd.conf:14 v6only`},
		{"named", "/etc/bind/named.conf", `
tcp [127.0.0.1]:53 /etc/bind/named.conf default
udp [127.0.0.1]:53 /etc/bind/named.conf default
tcp [::1]:53 /etc/bind/named.conf.options:23
udp [::1]:53 /etc/bind/named.conf.options:23
tcp [127.0.0.1]:953 /etc/bind/named.conf default
tcp [::1]:953 /etc/bind/named.conf default`},
		{"squid", "/etc/squid/squid.conf", `tcp [::]:3128 /etc/squid/squid.conf:2106`},
		{"mosquitto", "/etc/mosquitto/mosquitto.conf", `
tcp [127.0.0.1]:1883 /etc/mosquitto/mosquitto.conf default
tcp [::1]:1883 /etc/mosquitto/mosquitto.conf default`},
		{"php-fpm", "/etc/php/8.2/fpm/php-fpm.conf", ``},
	} {
		t.Run(d.by, func(t *testing.T) {
			place := machine()
			if _, err := os.Stat(d.file); err != nil {
				// What cannot be installed beside the others is unpacked there.
				place.FS = os.DirFS(os.Getenv("MONBAN_TEST_ROOT"))
				if _, err := fs.Stat(place.FS, d.file[1:]); err != nil {
					netnstest.Skip(t, "needs Debian's package with %s", d.file)
				}
			}
			found, gaps := System(place)
			var got []string
			for _, c := range found {
				if c.By == d.by {
					got = append(got, short(c))
				}
			}
			want := strings.TrimSpace(d.want)
			var rows []string
			for row := range strings.Lines(want) {
				row = strings.TrimSpace(row)
				for _, addr := range newNames(place).host("localhost") {
					expanded := strings.ReplaceAll(row, "[localhost]", "["+addr.String()+"]")
					rows = append(rows, expanded)
					if expanded == row {
						break
					}
				}
			}
			if diff := cmp.Diff(rows, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", d.file, diff)
			}
			for _, g := range gaps {
				t.Errorf("gap %s: %s", g.Source, g.Err)
			}
		})
	}
}

// machine is the machine that the test runs on.
func machine() Place {
	return Place{FS: os.DirFS("/"), Root: "/", Addrs: loopback()}
}

// dovecotOf is both families of every port that Debian's protocols bring.
func dovecotOf(ports ...string) string {
	var b strings.Builder
	for _, port := range ports {
		for _, addr := range []string{"0.0.0.0", "::"} {
			b.WriteString("tcp [" + addr + "]:" + port + " /usr/share/dovecot/protocols.d/pop3d.protocol:1")
			if addr == "::" {
				b.WriteString(" v6only")
			}
			b.WriteString(" default\n")
		}
	}
	return b.String()
}
