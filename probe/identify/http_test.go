package identify

import (
	"net/netip"
	"testing"
)

// TestEvidence reads the answers of servers that do not name themselves in the
// field Server.
func TestEvidence(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\n"
	for _, test := range []struct{ said, product, version string }{
		{head + "Content-Type: application/json\r\n\r\n" + `{"name":"n","cluster_name":"c","version":{"number":"8.11.1","build_flavor":"default"},"tagline":"You Know, for Search"}`, "Elasticsearch", "8.11.1"},
		{head + "\r\n" + `{"name":"n","version":{"distribution":"opensearch","number":"2.11.0"},"tagline":"The OpenSearch Project: https://opensearch.org/"}`, "OpenSearch", "2.11.0"},
		{head + "\r\n" + `{"etcdserver":"3.4.23","etcdcluster":"3.4.0"}`, "etcd", "3.4.23"},
		{head + "\r\n" + `{"couchdb":"Welcome","version":"3.3.2","vendor":{"name":"The Apache Software Foundation"}}`, "CouchDB", "3.3.2"},
		{head + "\r\n" + `{"Platform":{"Name":""},"Version":"20.10.24+dfsg1","ApiVersion":"1.41","MinAPIVersion":"1.12","Os":"linux"}`, "Docker Engine API", "20.10.24+dfsg1"},
		{head + "\r\n" + `{"major":"1","minor":"29","gitVersion":"v1.29.1","platform":"linux/amd64"}`, "Kubernetes API", "1.29.1"},
		{"HTTP/1.1 403 Forbidden\r\n\r\n" + `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","reason":"Forbidden","code":403}`, "Kubernetes API", ""},
		{head + "\r\n# HELP a b\nkubelet_node_name{node=\"n\"} 1\n", "kubelet", ""},
		{head + "\r\n# HELP prometheus_build_info A metric\n# TYPE prometheus_build_info gauge\nprometheus_build_info{branch=\"b\",goversion=\"go1.19.6\",revision=\"r\",version=\"2.42.0+ds\"} 1\n", "prometheus", "2.42.0+ds"},
		{head + "\r\n# HELP x y\nredis_exporter_build_info{version=\"1.55.0\",goversion=\"go1.21\"} 1\n", "redis_exporter", "1.55.0"},
		{head + "Docker-Distribution-Api-Version: registry/2.0\r\n\r\n{}", "Docker Registry", ""},
		{head + "X-Influxdb-Version: 1.8.10\r\n\r\n", "InfluxDB", "1.8.10"},
		{head + "Via: 1.1 varnish (Varnish/7.1)\r\nServer: nginx\r\n\r\n", "", ""},
		{head + "\r\n{\"version\":\"1\"}", "", ""},
		{head + "\r\n{", "", ""},
	} {
		a, m := parseHTTP([]byte(test.said), "HTTP")
		product, version := httpEvidence(&a)
		if m != yes || product != test.product || version != test.version {
			t.Errorf("%q is %s %s, want %s %s", test.said, product, version, test.product, test.version)
		}
	}
}

// TestPages reads what the servers of programs for developers said to GET /, or
// where that led to: each was run, but Grafana and Ollama, whose words are from
// their sources, and RabbitMQ management, from the package that has its page.
func TestPages(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, test := range []struct{ said, product, version string }{
		{ok + "X-Powered-By: Express\r\nContent-Type: text/html\r\n\r\nhi", "Express", ""},
		{"HTTP/1.1 500 Internal Server Error\r\nCache-Control: no-store\r\nX-Powered-By: Next.js\r\n\r\n", "Next.js", ""},
		{ok + "Server: nginx\r\nX-Powered-By: PHP/8.2.36\r\n\r\n", "", ""}, // nginx answers
		{ok + "X-Powered-By: PHP/8.2.36\r\n\r\n", "PHP", "8.2.36"},
		{"HTTP/1.1 404 Not Found\r\nHost: 192.0.2.1:8000\r\nConnection: close\r\n\r\n", "PHP", ""},
		{ok + "Host: 192.0.2.1:8000\r\nX-Powered-By: PHP/8.2.36\r\n\r\n", "PHP", "8.2.36"},
		{ok + "Host: 192.0.2.7\r\n\r\n", "", ""},
		{ok + "Vary: Origin\r\n\r\n<html><head>\n  <script type=\"module\" src=\"/@vite/client\"></script>\n", "Vite", ""},
		{ok + "X-Powered-By: Express\r\n\r\n<!DOCTYPE html>\n<head>\n<title>Node-RED</title>", "Node-RED", ""},
		{ok + "Server: TornadoServer/6.2\r\n\r\n<title>Jupyter Notebook</title>", "Jupyter Notebook", ""},
		{ok + "Server: TornadoServer/6.2\r\n\r\n<title>something else</title>", "", ""},
		{ok + "Server: Apache\r\n\r\n<title>Jupyter Notebook</title>", "", ""},
		{ok + "Server: Cowboy\r\n\r\n<title>RabbitMQ Management</title>", "RabbitMQ management", ""},
		{ok + "\r\n<script>window.grafanaBootData = {", "Grafana", ""},
		{ok + "\r\nOllama is running", "Ollama", ""},
		{ok + "\r\nHow to see that Ollama is running", "", ""},
		{"HTTP/1.0 200 OK\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{\n  \"Browser\": \"node.js/v20.20.2\",\n  \"Protocol-Version\": \"1.1\"\n} ", "Node.js inspector", "20.20.2"},
		{ok + "\r\n{\n   \"Browser\": \"Chrome/156.0.8078.108\",\n   \"Protocol-Version\": \"1.3\",\n   \"User-Agent\": \"x\"\n}\n", "Chrome DevTools", "156.0.8078.108"},
		{ok + "\r\n{\"tinylr\":\"Welcome\",\"version\":\"2.0.0\"}", "tiny-lr", "2.0.0"},
		{ok + "X-Powered-By: Express\r\n\r\n{\"express-pouchdb\":\"Welcome!\",\"version\":\"4.2.0\",\"vendor\":{\"name\":\"PouchDB authors\"}}", "PouchDB Server", "4.2.0"},
	} {
		a, m := parseHTTP([]byte(test.said), "HTTP")
		c := &conn{question: newQuestion(netip.MustParseAddrPort("192.0.2.1:8000"))}
		product, version := c.httpProduct(&a)
		if m != yes || product != test.product || version != test.version {
			t.Errorf("%q is %s %s, want %s %s", test.said, product, version, test.product, test.version)
		}
	}
}

// TestServerField reads the field Server as programs write it.
func TestServerField(t *testing.T) {
	for field, want := range map[string]string{
		"nginx/1.22.1": "nginx|1.22.1", "Apache/2.4.62 (Debian)": "Apache|2.4.62", "Icecast 2.4.4": "Icecast|2.4.4", "CUPS/2.4 IPP/2.1": "CUPS|2.4",
		"Jetty(9.4.50.v20221201)": "Jetty|9.4.50.v20221201", "Python/3.11 aiohttp/3.8.4": "aiohttp|3.8.4", "SimpleHTTP/0.6 Python/3.11.2": "SimpleHTTP|0.6",
		"Python/3.11": "Python|3.11", "WSGIServer/0.2 CPython/3.11.2": "WSGIServer|0.2", "MinIO": "MinIO|", "Caddy": "Caddy|", "(none)": "(none)|", "": "|",
		"WEBrick/1.8.1 (Ruby/3.1.2/2022-04-12)": "WEBrick|1.8.1", "Libpod/4.3.1 (linux)": "Libpod|4.3.1", "A B": "A B|",
	} {
		if product, version := httpServer(field); product+"|"+version != want {
			t.Errorf("%q is %s|%s, want %s", field, product, version, want)
		}
	}
}

// TestRedirect wants a path of the same server, and nothing else.
func TestRedirect(t *testing.T) {
	const here = "192.0.2.1:8000"
	for location, want := range map[string]string{
		"/tree?": "/tree?", "/login?next=%2Ftree": "/login?next=%2Ftree", "http://" + here + "/debug": "/debug", "https://" + here + "/": "/", "/a#b": "/a",
		"http://192.0.2.1:8001/": "", "http://example.com/": "", "//example.com/": "", "": "", "login": "", "/a b": "", "/a\r\nX: y": "", "http://" + here + "0/": "",
		"http://" + here + "@example.com/": "",
	} {
		a := httpAnswer{status: 302, header: []httpField{{"location", location}}}
		if got := redirect(&a, here); got != want {
			t.Errorf("%q leads to %q, want %q", location, got, want)
		}
		if a.status = 200; redirect(&a, here) != "" {
			t.Errorf("%q is followed though it is no redirect", location)
		}
	}
}

func TestChunks(t *testing.T) {
	for body, want := range map[string]string{
		"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n": "abcde",
		"3\r\nabc\r\n5\r\nde":                  "abcde",
		"3\r\nab":                              "ab", "": "", "x\r\n": "", "ffffffffffffffff\r\na": "", "7fffffff\r\na": "a", "2\r\nab\r": "ab",
	} {
		if got := string(joinChunks([]byte(body))); got != want {
			t.Errorf("%q is %q, want %q", body, got, want)
		}
	}
}
