package identify

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
)

// talkHTTP finds the product where the field Server does not name it: first in
// the answer to /, then at the paths where servers without such a field state
// it. All are read only.
func talkHTTP(c *conn, s monban.Service) monban.Service {
	a := c.httpRest()
	if product, version := httpEvidence(&a); product != "" {
		s.Product, s.Version = product, version
	}
	if strings.Contains(a.get("server"), " IPP/") {
		return c.confirmIPP(s)
	}
	if s.Product != "" || s.Protocol != "http" {
		return s
	}
	for _, path := range []string{"/version", "/metrics", "/v2/"} {
		a, ok := c.httpAgain(httpGet(c.question, path))
		if !ok {
			break
		}
		if product, version := httpEvidence(&a); product != "" {
			s.Product, s.Version = product, version
			break
		}
	}
	return s
}

// maxBody is how much of an answer's body is read.
const maxBody = 32 << 10

// httpRest reads the rest of an answer, to its end or as far as is read of one.
func (c *conn) httpRest() httpAnswer {
	var a httpAnswer
	c.hearUntil(func(said []byte) bool {
		var m match
		a, m = parseHTTP(said, "HTTP")
		return m == no || m == yes && (len(a.body) >= maxBody || a.whole())
	})
	a, _ = parseHTTP(c.said, "HTTP")
	if strings.EqualFold(a.get("transfer-encoding"), "chunked") {
		a.body = joinChunks(a.body)
	}
	return a
}

// joinChunks takes the sizes out of a body in chunks, RFC 9112 section 7.1, as
// far as it has come.
func joinChunks(body []byte) (whole []byte) {
	for {
		line, rest, ok := bytes.Cut(body, []byte("\r\n"))
		digits, _, _ := bytes.Cut(line, []byte(";"))
		n, err := strconv.ParseUint(string(digits), 16, 31)
		if !ok || err != nil || n == 0 {
			return whole
		}
		whole = append(whole, rest[:min(int(n), len(rest))]...)
		if len(rest) < int(n)+2 {
			return whole
		}
		body = rest[n+2:]
	}
}

// whole reports whether the body is all there, where its length is told.
func (a *httpAnswer) whole() bool {
	if a.status == 204 || a.status == 304 {
		return true
	}
	length := a.get("content-length")
	n, ok := 0, length != "" && len(length) < 10
	for _, d := range length {
		ok = ok && d >= '0' && d <= '9'
		n = 10*n + int(d-'0')
	}
	return ok && len(a.body) >= n
}

// httpAgain makes one more request, on a connection of its own.
func (c *conn) httpAgain(request []byte) (httpAnswer, bool) {
	k := c.again()
	if k == nil {
		return httpAnswer{}, false
	}
	defer k.Close()
	k.say(request)
	a := k.httpRest()
	return a, a.status != 0
}

// confirmIPP asks CUPS for its default printer, in IPP: RFC 8011, and
// "CUPS-Get-Default" in its notes. It knows itself by few names; localhost is
// always one.
func (c *conn) confirmIPP(s monban.Service) monban.Service {
	body := []byte{1, 1, 0x40, 1}
	body = be32s(body, c.id)
	body = append(body, 1)
	for _, attribute := range [][3]string{{"\x47", "attributes-charset", "utf-8"}, {"\x48", "attributes-natural-language", "en"}} {
		body = append(body, attribute[0]...)
		for _, text := range attribute[1:] {
			body = append(be16s(body, len(text)), text...)
		}
	}
	body = append(body, 3)
	request := append([]byte("POST / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: monban\r\nContent-Type: application/ipp\r\nConnection: close\r\nContent-Length: "+
		strconv.Itoa(len(body))+"\r\n\r\n"), body...)
	a, ok := c.httpAgain(request)
	if !ok || !strings.HasPrefix(a.get("content-type"), "application/ipp") || len(a.body) < 8 || !bytes.Equal(a.body[4:8], be32s(nil, c.id)) {
		return s
	}
	s.Protocol = "ipp"
	return s
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
	}
	if json.Unmarshal(body, &answer) != nil {
		return "", ""
	}
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
		var text string
		_ = json.Unmarshal(answer.Version, &text)
		return "CouchDB", text
	case answer.Git != "":
		return "Kubernetes API", strings.TrimPrefix(answer.Git, "v")
	case answer.Kind == "Status" && answer.API == "v1":
		return "Kubernetes API", ""
	case answer.Minimum != "" && answer.Engine != "":
		return "Docker Engine API", answer.Engine
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
