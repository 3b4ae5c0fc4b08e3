package identify

import "testing"

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
