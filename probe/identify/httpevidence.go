package identify

import (
	"bytes"
	"encoding/json"
	"strings"
)

// httpProduct finds the product in an answer to a path that was not chosen for
// it: in what it says beside the field Server, and in its page where that field
// is missing or names what pages are made with.
func (c *conn) httpProduct(a *httpAnswer) (product, version string) {
	if product, version := httpEvidence(a); product != "" {
		return product, version
	}
	server, _ := httpServer(a.get("server"))
	if server != "" && !isToolkit(server) {
		return "", ""
	}
	if product := pageEvidence(string(a.body)); product != "" {
		return product, ""
	}
	if server != "" {
		return "", ""
	}
	product, version = httpServer(a.get("x-powered-by"))
	if a.get("host") == c.authority() && (product == "" || product == "PHP") {
		return "PHP", version // its own server sends the request's field back: sapi/cli/php_cli_server.c
	}
	return product, version
}

// isToolkit reports whether a name in the field Server is that of a library:
// what was made with it is somebody else's, and may have a name of its own.
func isToolkit(server string) bool {
	switch server {
	case "TornadoServer", "Cowboy", "MochiWeb", "WSGIServer", "uvicorn", "gunicorn", "Werkzeug":
		return true
	}
	return false
}

// pageEvidence knows programs for developers by what their pages have and no
// others' do.
func pageEvidence(page string) string {
	for _, p := range []struct{ has, product string }{
		{`/@vite/client"`, "Vite"},
		{"<title>Node-RED</title>", "Node-RED"},
		{"window.grafanaBootData", "Grafana"},
		{"<title>RabbitMQ Management</title>", "RabbitMQ management"},
		{"<title>Jupyter Notebook</title>", "Jupyter Notebook"},
		{"<title>Jupyter Server</title>", "Jupyter Server"},
		{"<title>JupyterLab</title>", "JupyterLab"},
	} {
		if strings.Contains(page, p.has) {
			return p.product
		}
	}
	if page == "Ollama is running" {
		return "Ollama"
	}
	return ""
}

// httpEvidence finds the product in what an answer says beside the field Server.
func httpEvidence(a *httpAnswer) (product, version string) {
	if v := a.get("x-influxdb-version"); v != "" {
		return "InfluxDB", v
	}
	if strings.HasPrefix(a.get("docker-distribution-api-version"), "registry/") {
		return "Docker Registry", ""
	}
	if agent := a.get("proxy-agent"); agent != "" {
		product, version, _ = strings.Cut(agent, " ")
		return product, leadingVersion(version)
	}
	if via := a.get("via"); strings.Contains(via, "(Varnish/") && (a.get("server") == "" || a.get("server") == "Varnish") {
		return "Varnish", versionAfter(via, "(Varnish/")
	}
	if a.get("x-varnish") != "" && a.get("server") == "Varnish" {
		return "Varnish", ""
	}
	if bytes.HasPrefix(a.body, []byte("{")) {
		return jsonEvidence(a.body)
	}
	if bytes.HasPrefix(a.body, []byte("# HELP ")) {
		return metricsEvidence(string(a.body))
	}
	body := string(a.body)
	switch {
	case a.status == 503 && strings.Contains(body, "No server is available to handle this request.") && a.get("server") == "":
		return "HAProxy", ""
	case strings.Contains(body, "<h3>Apache Tomcat/"):
		return "Apache Tomcat", versionAfter(body, "<h3>Apache Tomcat/")
	case strings.Contains(body, "<title>Node Exporter</title>"):
		return "node_exporter", versionAfter(body, "(version=")
	}
	return "", ""
}

// jsonEvidence knows the APIs by the fields of their answers.
func jsonEvidence(body []byte) (product, version string) {
	var answer struct {
		Tagline string          `json:"tagline"`
		Version json.RawMessage `json:"version"`
		Etcd    string          `json:"etcdserver"`
		CouchDB string          `json:"couchdb"`
		Git     string          `json:"gitVersion"`
		Kind    string          `json:"kind"`
		API     string          `json:"apiVersion"`
		// Docker writes these in capitals.
		Docker  string `json:"ApiVersion"`
		Engine  string `json:"Version"`
		Minimum string `json:"MinAPIVersion"`
		// The DevTools protocol of Chromium, which Node's inspector speaks too.
		Browser   string `json:"Browser"`
		Inspector string `json:"Protocol-Version"`
		TinyLR    string `json:"tinylr"`
		PouchDB   string `json:"express-pouchdb"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return "", ""
	}
	var text string
	_ = json.Unmarshal(answer.Version, &text)
	var number struct {
		Number       string `json:"number"`
		Distribution string `json:"distribution"`
	}
	_ = json.Unmarshal(answer.Version, &number) // it is a text with others
	switch {
	case answer.Tagline == "You Know, for Search":
		return "Elasticsearch", number.Number
	case number.Distribution == "opensearch":
		return "OpenSearch", number.Number
	case answer.Etcd != "":
		return "etcd", answer.Etcd
	case answer.CouchDB != "":
		return "CouchDB", text
	case answer.Git != "":
		return "Kubernetes API", strings.TrimPrefix(answer.Git, "v")
	case answer.Kind == "Status" && answer.API == "v1":
		return "Kubernetes API", ""
	case answer.Minimum != "" && answer.Engine != "":
		return "Docker Engine API", answer.Engine
	case answer.Browser != "" && answer.Inspector != "":
		name, version, _ := strings.Cut(answer.Browser, "/")
		if name == "node.js" {
			return "Node.js inspector", leadingVersion(version)
		}
		return name + " DevTools", leadingVersion(version)
	case answer.TinyLR == "Welcome":
		return "tiny-lr", text
	case answer.PouchDB != "":
		return "PouchDB Server", text
	}
	return "", ""
}

// metricsEvidence reads the metric that programs with Prometheus's library
// describe themselves by: node_exporter_build_info{…,version="1.5.0"} 1.
func metricsEvidence(body string) (product, version string) {
	for line := range strings.Lines(body) {
		name, labels, ok := strings.Cut(line, "_build_info{")
		if !ok || strings.HasPrefix(line, "#") || name == "go" {
			continue
		}
		// goversion is another label.
		_, rest, _ := strings.Cut(","+labels, `,version="`)
		v, _, _ := strings.Cut(rest, `"`)
		return name, leadingVersion(v)
	}
	switch {
	case strings.Contains(body, "\nkubelet_"):
		return "kubelet", ""
	case strings.Contains(body, "\netcd_server_"):
		return "etcd", ""
	}
	return "", ""
}
