package claims

import (
	"strings"

	"github.com/monban-dev/monban"
)

// goServer returns the flag and the usual address of programs written in Go
// that take theirs from one flag.
func goServer(program string) (usual, name string, ok bool) {
	const web = "--web.listen-address"
	switch program {
	case "prometheus", "prometheus-server":
		return "0.0.0.0:9090", web, true
	case "alertmanager", "prometheus-alertmanager":
		return ":9093", web, true
	case "pushgateway", "prometheus-pushgateway":
		return ":9091", web, true
	case "node_exporter", "prometheus-node-exporter":
		return ":9100", web, true
	case "blackbox_exporter", "prometheus-blackbox-exporter":
		return ":9115", web, true
	case "snmp_exporter", "prometheus-snmp-exporter":
		return ":9116", web, true
	case "mysqld_exporter", "prometheus-mysqld-exporter":
		return ":9104", web, true
	case "postgres_exporter", "prometheus-postgres-exporter":
		return ":9187", web, true
	case "redis_exporter", "prometheus-redis-exporter":
		return ":9121", web, true
	case "process-exporter", "prometheus-process-exporter":
		return ":9256", web, true
	case "nginx-prometheus-exporter", "prometheus-nginx-exporter":
		return ":9113", web, true
	case "apache_exporter", "prometheus-apache-exporter":
		return ":9117", web, true
	case "haproxy_exporter", "prometheus-haproxy-exporter":
		return ":9101", web, true
	case "etcd":
		return "127.0.0.1:2379", "--listen-client-urls", true
	case "minio":
		return ":9000", "--address", true
	}
	return "", "", false
}

// isGo reports whether the program is one of those written in Go.
func (c *commandLine) isGo() bool {
	program := programName(c.argv[0])
	_, _, ok := goServer(program)
	return ok || program == "ollama" || program == "caddy" || program == "kubectl"
}

// goServer claims what Go's net.Listen opens. Its sockets have SO_REUSEADDR, and
// an address without a host is one socket of both families.
func (c *commandLine) goServer(program, name, usual string) {
	name, _, _ = strings.Cut(name, " ")
	at := c.flag(name)
	absent := !at.ok
	if absent {
		at.text = usual
	}
	before := len(c.s.claims)
	for _, one := range at.split(",") {
		c.listen(program, argument{stripScheme(one), true}, "", 0)
	}
	for i := range c.s.claims[before:] {
		c.s.claims[before+i].Default = absent
	}
	if program == "alertmanager" || program == "prometheus-alertmanager" {
		cluster := c.flag("--cluster.listen-address")
		if !cluster.ok {
			cluster = argument{word{text: "0.0.0.0:9094"}, true}
		}
		before := len(c.s.claims)
		if cluster.text != "" {
			c.listen(program, cluster, "", 9094)
		}
		for _, again := range c.s.claims[before:] {
			again.Bind.Port.Proto, again.Listen, again.Bind.ReuseAddr = monban.UDP, false, monban.Off
			c.s.claims = append(c.s.claims, again)
		}
	}
}

// stripScheme drops "http://" and the like.
func stripScheme(w word) word {
	if i := strings.Index(w.text, "://"); i >= 0 {
		w = w.sub(i+3, len(w.text))
	}
	before, _, _ := w.cut("/")
	return before
}
