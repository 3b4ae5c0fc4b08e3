package daemons

import (
	"github.com/monban-dev/monban"
)

func tcp(port uint16, protocol, product string) Door {
	return Door{Proto: monban.TCP, Port: port, Protocol: protocol, Product: product}
}

func udp(port uint16, protocol, product string) Door {
	return Door{Proto: monban.UDP, Port: port, Protocol: protocol, Product: product}
}

// web are servers of HTTP and proxies.
func web() []Daemon {
	return []Daemon{
		{Name: "nginx", Needs: "nginx", Client: []string{"curl", "-s", "http://@ADDR@:80/"}, Doors: []Door{tcp(80, "http", "nginx"), {Proto: monban.TCP, Port: 443, Protocol: "http", Product: "nginx", Wrapped: true}}, start: func(r *room) {
			r.certificate("root")
			conf := r.file("nginx.conf", `user www-data;
worker_processes 1;
pid @DIR@/nginx.pid;
error_log @DIR@/nginx.log;
events {}
http {
	access_log off;
	client_body_temp_path @DIR@/body;
	proxy_temp_path @DIR@/proxy;
	fastcgi_temp_path @DIR@/fastcgi;
	uwsgi_temp_path @DIR@/uwsgi;
	scgi_temp_path @DIR@/scgi;
	server { listen @ADDR@:80; }
	server { listen @ADDR@:443 ssl; ssl_certificate @DIR@/cert.pem; ssl_certificate_key @DIR@/key.pem; }
}
`)
			r.daemon("root", "nginx", "-c", conf, "-e", "@DIR@/start.log", "-g", "daemon off;")
		}},
		{Name: "Apache", Needs: "apache2", Client: []string{"curl", "-s", "http://@ADDR@:80/"}, Doors: []Door{tcp(80, "http", "Apache")}, start: func(r *room) {
			conf := r.file("apache2.conf", `ServerRoot @DIR@
ServerName localhost
DefaultRuntimeDir @DIR@
PidFile @DIR@/apache2.pid
Mutex file:@DIR@ default
ErrorLog @DIR@/apache2.log
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
User www-data
Group www-data
Listen @ADDR@:80
`)
			r.daemon("root", "apache2", "-f", conf, "-DFOREGROUND")
		}},
		{Name: "lighttpd", Needs: "lighttpd", Client: []string{"curl", "-s", "http://@ADDR@:80/"}, Doors: []Door{tcp(80, "http", "lighttpd")}, start: func(r *room) {
			r.daemon("root", "lighttpd", "-D", "-f", r.file("lighttpd.conf", `server.document-root = "@DIR@"
server.bind = "@ADDR@"
server.port = 80
`))
		}},
		{Name: "Caddy", Needs: "caddy", Client: []string{"curl", "-s", "http://@ADDR@:8080/"}, Doors: []Door{tcp(8080, "http", "Caddy")}, start: func(r *room) {
			r.daemon("root", "caddy", "run", "--adapter", "caddyfile", "--config", r.file("Caddyfile", "{\n admin off\n auto_https off\n}\nhttp://:8080 {\n bind @ADDR@\n respond hello\n}\n"))
		}},
		{Name: "HAProxy", Needs: "haproxy", Client: []string{"curl", "-s", "http://@ADDR@:8080/"}, Doors: []Door{tcp(8080, "http", "HAProxy")}, start: func(r *room) {
			r.daemon("root", "haproxy", "-db", "-f", r.file("haproxy.cfg", `defaults
	mode http
	timeout client 10s
	timeout connect 5s
	timeout server 10s
frontend web
	bind @ADDR@:8080
	default_backend none
backend none
`))
		}},
		{Name: "Varnish", Needs: "varnishd", Client: []string{"curl", "-s", "http://@ADDR@:6081/"}, Doors: []Door{tcp(6081, "http", "Varnish"), tcp(6082, "varnish-cli", "Varnish")}, start: func(r *room) {
			r.file("secret", "not a secret\n")
			r.daemon("root", "varnishd", "-F", "-a", "@ADDR@:6081", "-T", "@ADDR@:6082", "-b", "@ADDR@:1", "-n", "@DIR@/varnish", "-S", "@DIR@/secret", "-s", "malloc,16m", "-j", "none")
		}},
		{Name: "Squid", Needs: "squid", Client: []string{"curl", "-s", "http://@ADDR@:3128/"}, Doors: []Door{tcp(3128, "http-proxy", "squid")}, start: func(r *room) {
			r.subdir("squid", "proxy")
			r.daemon("root", "squid", "-N", "-f", r.file("squid.conf", `http_port @ADDR@:3128
pid_filename @DIR@/squid/pid
cache_log @DIR@/squid/cache.log
access_log none
cache_mem 8 MB
coredump_dir @DIR@/squid
max_filedescriptors 1024
`))
		}},
		{Name: "tinyproxy", Needs: "tinyproxy", Client: []string{"curl", "-s", "http://@ADDR@:8888/"}, Doors: []Door{{Proto: monban.TCP, Port: 8888, Protocol: "http-proxy", Product: "tinyproxy", Direct: true}}, start: func(r *room) {
			r.daemon("root", "tinyproxy", "-d", "-c", r.file("tinyproxy.conf", "Port 8888\nListen @ADDR@\nTimeout 60\nMaxClients 20\n"))
		}},
		{Name: "Privoxy", Needs: "privoxy", Client: []string{"curl", "-s", "http://@ADDR@:8118/"}, Doors: []Door{tcp(8118, "http-proxy", "Privoxy")}, start: func(r *room) {
			r.daemon("root", "privoxy", "--no-daemon", r.file("privoxy.conf", "listen-address @ADDR@:8118\nconfdir /etc/privoxy\nlogdir @DIR@\n"))
		}},
		{Name: "etcd", Needs: "etcd", Client: []string{"curl", "-s", "http://@ADDR@:2379/"}, Doors: []Door{tcp(2379, "http", "etcd")}, start: func(r *room) {
			r.daemon("root", "etcd", "--data-dir", "@DIR@/etcd", "--listen-client-urls", "http://@ADDR@:2379", "--advertise-client-urls", "http://@ADDR@:2379",
				"--listen-peer-urls", "http://@ADDR@:2380", "--initial-advertise-peer-urls", "http://@ADDR@:2380", "--initial-cluster", "default=http://@ADDR@:2380")
		}},
		{Name: "InfluxDB", Needs: "influxd", Client: []string{"curl", "-s", "http://@ADDR@:8086/"}, Doors: []Door{tcp(8086, "http", "InfluxDB")}, start: func(r *room) {
			r.daemon("root", "influxd", "-config", r.file("influx.conf", `reporting-disabled = true
bind-address = "@ADDR@:8088"
[meta]
  dir = "@DIR@/meta"
[data]
  dir = "@DIR@/data"
  wal-dir = "@DIR@/wal"
[http]
  bind-address = "@ADDR@:8086"
`))
		}},
		{Name: "node_exporter", Needs: "prometheus-node-exporter", Client: []string{"curl", "-s", "http://@ADDR@:19100/"}, Doors: []Door{{Proto: monban.TCP, Port: 9100, Unknown: true}, tcp(19100, "http", "node_exporter")}, start: func(r *room) {
			r.daemon("root", "prometheus-node-exporter", "--web.listen-address=@ADDR@:9100")
			r.daemon("root", "prometheus-node-exporter", "--web.listen-address=@ADDR@:19100")
		}},
		{Name: "Docker Registry", Needs: "docker-registry", Client: []string{"curl", "-s", "http://@ADDR@:5000/"}, Doors: []Door{tcp(5000, "http", "Docker Registry")}, start: func(r *room) {
			r.daemon("root", "docker-registry", "serve", r.file("registry.yml", "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: @DIR@/registry\nhttp:\n  addr: @ADDR@:5000\n"))
		}},
		{Name: "Docker", Needs: "dockerd", Client: []string{"curl", "-s", "http://@ADDR@:2375/_ping"}, Doors: []Door{tcp(2375, "http", "Docker Engine API")}, start: func(r *room) {
			r.daemon("root", "dockerd", "-H", "tcp://@ADDR@:2375", "--tls=false", "--data-root", "@DIR@/docker", "--exec-root", "@DIR@/exec", "--pidfile", "@DIR@/pid",
				"--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs")
		}},
		{Name: "Alertmanager", Needs: "prometheus-alertmanager", Client: []string{"curl", "-s", "http://@ADDR@:9093/-/ready"}, Doors: []Door{tcp(9093, "http", "alertmanager")}, start: func(r *room) {
			r.daemon("root", "prometheus-alertmanager", "--web.listen-address=@ADDR@:9093", "--storage.path=@DIR@/alerts", "--cluster.listen-address=",
				"--config.file="+r.file("alertmanager.yml", "route:\n  receiver: nobody\nreceivers:\n- name: nobody\n"))
		}},
		{Name: "Transmission", Needs: "transmission-daemon", Client: []string{"curl", "-s", "http://@ADDR@:9091/"}, Doors: []Door{tcp(9091, "http", "Transmission")}, start: func(r *room) {
			r.daemon("root", "transmission-daemon", "-f", "-g", "@DIR@/transmission", "-r", "@ADDR@", "-p", "9091", "-a", "127.*.*.*", "-i", "@ADDR@", "-y", "-m", "-O")
		}},
		{Name: "Icecast", Needs: "icecast2", Client: []string{"curl", "-s", "http://@ADDR@:8000/"}, Doors: []Door{tcp(8000, "http", "Icecast")}, start: func(r *room) {
			r.subdir("icecast", "icecast2")
			r.daemon("icecast2", "icecast2", "-c", r.file("icecast.xml", `<icecast>
<limits><clients>20</clients><sources>2</sources></limits>
<authentication><source-password>a</source-password><relay-password>b</relay-password><admin-user>c</admin-user><admin-password>d</admin-password></authentication>
<hostname>localhost</hostname>
<listen-socket><port>8000</port><bind-address>@ADDR@</bind-address></listen-socket>
<paths><basedir>/usr/share/icecast2</basedir><logdir>@DIR@/icecast</logdir><webroot>/usr/share/icecast2/web</webroot><adminroot>/usr/share/icecast2/admin</adminroot></paths>
<logging><accesslog>access.log</accesslog><errorlog>error.log</errorlog><loglevel>2</loglevel></logging>
</icecast>
`))
		}},
		{Name: "CUPS", Needs: "cupsd", Client: []string{"curl", "-s", "http://@ADDR@:631/"}, Doors: []Door{tcp(631, "ipp", "CUPS")}, start: func(r *room) {
			r.file("cups-files.conf", `ServerRoot @DIR@
AccessLog @DIR@/access.log
ErrorLog @DIR@/error.log
PageLog @DIR@/page.log
CacheDir @DIR@/cache
StateDir @DIR@/state
RequestRoot @DIR@/spool
TempDir @DIR@/spool/tmp
CreateSelfSignedCerts no
`)
			r.subdir("spool/tmp", "root")
			r.daemon("root", "cupsd", "-f", "-s", "@DIR@/cups-files.conf", "-c", r.file("cupsd.conf", `Listen @ADDR@:631
Browsing Off
<Location />
  Order allow,deny
  Allow from all
</Location>
`))
		}},
		{Name: "Tomcat", Needs: "/usr/share/tomcat10/bin/catalina.sh", Client: []string{"curl", "-s", "http://@ADDR@:8080/"}, Doors: []Door{tcp(8080, "http", "Apache Tomcat"), tcp(8009, "ajp", ""), tcp(5005, "jdwp", "OpenJDK 64-Bit Server VM")}, start: func(r *room) {
			r.file("conf/server.xml", `<Server port="-1"><Service name="Catalina">
<Connector address="@ADDR@" port="8080" protocol="HTTP/1.1"/>
<Connector address="@ADDR@" port="8009" protocol="AJP/1.3" secretRequired="false"/>
<Engine name="Catalina" defaultHost="localhost"><Host name="localhost" appBase="webapps"/></Engine>
</Service></Server>
`)
			r.file("conf/web.xml", `<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="5.0"/>`)
			r.subdir("webapps", "root")
			r.subdir("logs", "root")
			r.subdir("temp", "root")
			r.daemon("root", "env", "CATALINA_HOME=/usr/share/tomcat10", "CATALINA_BASE=@DIR@", "JPDA_ADDRESS=@ADDR@:5005", "JPDA_SUSPEND=n",
				"CATALINA_OPTS=-Xmx64m", "/usr/share/tomcat10/bin/catalina.sh", "jpda", "run")
		}},
	}
}

// certificate makes a key and a certificate, key.pem and cert.pem.
func (r *room) certificate(user string) {
	r.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
		"-subj", "/CN=door.example", "-addext", "subjectAltName=DNS:door.example", "-keyout", "@DIR@/key.pem", "-out", "@DIR@/cert.pem")
	if user != "root" {
		r.run("chown", user+":", "@DIR@/key.pem", "@DIR@/cert.pem")
	}
	r.run("sh", "-c", "cat @DIR@/cert.pem @DIR@/key.pem > @DIR@/both.pem")
}
