package claims

import (
	"bytes"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
)

func looksLikeKubernetes(data []byte) bool {
	for _, key := range [...]string{"apiVersion:", "kind:"} {
		if !bytes.HasPrefix(data, []byte(key)) && !bytes.Contains(data, []byte("\n"+key)) && !bytes.Contains(data, []byte("\n- "+key)) {
			return false
		}
	}
	return true
}

// readKubernetes reads manifests: what a node of the cluster opens for them. That
// is hostPort, each containerPort under hostNetwork, and the nodePort of a
// Service; containerPort alone opens nothing on the node. Configurations of kind
// and k3d, whose nodes are containers here, are read too.
//
// A template of Helm is no manifest yet: when it is about ports, it is a gap.
func readKubernetes(s *scan) {
	data, err := s.load(s.main, s.met)
	if err != nil && err.Problem == TooLarge && !s.named {
		s.decline() // a lock file, an API's description
		return
	}
	if err != nil {
		s.gaps = append(s.gaps, err.gap())
		return
	}
	if !looksLikeKubernetes(data) {
		s.decline()
		return
	}
	f := file{name: s.main, show: s.place.shown(s.main), data: data}
	if bytes.Contains(data, []byte("{{")) {
		s.helm(f)
		return
	}
	for _, doc := range s.documents(f) {
		s.manifest(f, doc, 0)
	}
}

// onceEachObject leaves claims out that files make for one object: Kustomize's bases
// are patched by overlays, and a repository has a manifest for each of its clusters.
// A name is one object, whatever its files are, unless they put it into different
// namespaces of what may be one cluster.
func (r *reading) onceEachObject() {
	type object struct {
		name string
		bind monban.Bind
	}
	type place struct {
		job, claim int
		namespace  string
	}
	first := map[object][]place{}
	for i := range r.jobs {
		s := r.jobs[i].scan
		if s == nil || s.declined || len(s.namespaces) == 0 {
			continue
		}
		kept, namespaces := s.claims[:0], s.namespaces[:0]
	claims:
		for k, c := range s.claims {
			key := object{c.Name, c.Bind}
			for _, p := range first[key] {
				if p.job != i && (p.namespace == s.namespaces[k] || p.namespace == "" || s.namespaces[k] == "" || overlays(r.jobs[p.job].name, s.main)) {
					known := &r.jobs[p.job].scan.claims[p.claim]
					known.Agree = append(known.Agree, c.Pos)
					continue claims
				}
			}
			first[key] = append(first[key], place{i, len(kept), s.namespaces[k]})
			kept, namespaces = append(kept, c), append(namespaces, s.namespaces[k])
		}
		s.claims, s.namespaces = kept, namespaces
	}
}

// overlays reports whether two files are of different overlays of Kustomize, by the
// name that its documentation gives their directory.
func overlays(a, b string) bool {
	const dir = "overlays/"
	i, k := strings.LastIndex("/"+a, "/"+dir), strings.LastIndex("/"+b, "/"+dir)
	if i < 0 || k < 0 || a[:i] != b[:k] {
		return false
	}
	one, _, _ := strings.Cut(a[i+len(dir):], "/")
	other, _, _ := strings.Cut(b[k+len(dir):], "/")
	return one != other
}

// helm records the first line of a template that is about ports of a node. Where
// its values decide, "nodePort: {{ .Values.port }}", it asks for nothing by itself:
// nearly every chart can open such a port, and nearly none does.
func (s *scan) helm(f file) {
	for l := range lines(f.data, lineStyle{comment: "#"}) {
		for _, word := range [...]string{"hostPort", "nodePort", "hostNetwork"} {
			if i := strings.Index(l.text, word); i >= 0 && !strings.Contains(l.text, "{{") {
				s.gap(l.word(i, i+len(word)).pos(f), NotFollowed, l.text)
				return
			}
		}
	}
	s.decline()
}

// manifest reads one object, or a list of them.
func (s *scan) manifest(f file, doc *value, depth int) {
	defer func() {
		for len(s.namespaces) < len(s.claims) {
			s.namespaces = append(s.namespaces, doc.get("metadata", "namespace").text())
		}
	}()
	spec := doc.get("spec")
	version := doc.get("apiVersion").text()
	switch kind := doc.get("kind").text(); {
	case strings.HasPrefix(version, "kind.x-k8s.io/"):
		s.kind(f, doc)
	case strings.HasPrefix(version, "k3d.io/"):
		s.k3d(f, doc)
	case kind == "Service" && version == "v1":
		s.nodePorts(f, doc)
	case kind == "Pod":
		s.pod(f, doc, spec)
	case kind == "CronJob":
		s.pod(f, doc, spec.get("jobTemplate", "spec", "template", "spec"))
	case kind == "PodTemplate":
		s.pod(f, doc, doc.get("template", "spec"))
	case kind == "Deployment", kind == "StatefulSet", kind == "DaemonSet", kind == "ReplicaSet", kind == "ReplicationController", kind == "Job":
		s.pod(f, doc, spec.get("template", "spec"))
	case strings.HasSuffix(kind, "List") && depth < 2:
		for _, item := range doc.get("items").list() {
			s.manifest(f, item, depth+1)
		}
	}
}

// objectName is "deployment/web".
func objectName(doc *value) string {
	name := doc.get("metadata", "name").text()
	if name == "" {
		name = doc.get("metadata", "generateName").text()
	}
	return lower(doc.get("kind").text()) + "/" + name
}

// kubernetesPort is one entry of a list of ports.
type kubernetesPort struct {
	number *value
	proto  *value
	host   *value
}

// kubernetesPort claims a port of a node; without a number there is none.
func (s *scan) kubernetesPort(f file, who asker, p kubernetesPort) {
	if !p.number.is(scalar) {
		return
	}
	num, err := strconv.ParseUint(p.number.text(), 0, 16)
	if err != nil {
		s.gap(p.number.at.pos(f), BadPort, p.number.text())
		return
	}
	if num == 0 {
		return
	}
	proto, ok := composeProto(p.proto.text())
	if !ok {
		s.gap(p.proto.at.pos(f), BadSyntax, p.proto.text())
		return
	}
	addr := any4()
	if p.host.text() != "" {
		if addr, err = netip.ParseAddr(p.host.text()); err != nil {
			s.gap(p.host.at.pos(f), BadAddress, p.host.text())
			return
		}
	}
	if proto != monban.TCP && who.reuseAddr == monban.On {
		who.reuseAddr = monban.Off
	}
	s.claim(who, socket{at: netip.AddrPortFrom(addr.Unmap(), uint16(num)), proto: proto, v6only: monban.On, pos: p.number.at.pos(f)})
}

// onNode is the asker of a port that the node, or the engine that runs it, opens
// for a container.
func onNode(name string) asker {
	return asker{by: "kubernetes", name: name, reuseAddr: monban.On, reusePort: monban.Off}
}

// pod reads the containers of a pod.
func (s *scan) pod(f file, doc, spec *value) {
	who := onNode(objectName(doc))
	onHost, _ := yesNo(spec.get("hostNetwork").text())
	declared := false
	for _, list := range [...]string{"initContainers", "containers"} {
		for _, container := range spec.get(list).list() {
			for _, port := range container.get("ports").list() {
				declared = true
				p := kubernetesPort{number: port.get("hostPort"), proto: port.get("protocol"), host: port.get("hostIP")}
				one := who
				if onHost {
					// The program itself binds it, whatever its options are.
					one.reuseAddr, one.reusePort, one.uid = 0, 0, runAsUser(spec, container)
					if !p.number.is(scalar) {
						p.number = port.get("containerPort")
					}
					p.host = nil
				}
				s.kubernetesPort(f, one, p)
			}
		}
	}
	if onHost && !declared {
		s.gap(spec.get("hostNetwork").at.pos(f), NotFollowed, "hostNetwork: true")
	}
}

// runAsUser is the user of a container, root if it does not say.
func runAsUser(spec, container *value) int {
	for _, context := range [...]*value{container.get("securityContext"), spec.get("securityContext")} {
		if uid, ok := number(context.get("runAsUser").text()); ok {
			return uid
		}
	}
	return 0
}

func (s *scan) nodePorts(f file, doc *value) {
	who := onNode(objectName(doc))
	for _, port := range doc.get("spec", "ports").list() {
		s.kubernetesPort(f, who, kubernetesPort{number: port.get("nodePort"), proto: port.get("protocol")})
	}
}

// kind reads a cluster of kind: its nodes are containers, in their order called
// NAME-control-plane, NAME-control-plane2, NAME-worker and so on.
func (s *scan) kind(f file, doc *value) {
	name := doc.get("name").text()
	if name == "" {
		name = "kind"
	}
	seen := map[string]int{}
	for _, node := range doc.get("nodes").list() {
		role := node.get("role").text()
		if role == "" {
			role = "control-plane"
		}
		seen[role]++
		container := name + "-" + role
		if n := seen[role]; n > 1 {
			container += strconv.Itoa(n)
		}
		who := onNode(container)
		who.by, who.program = "kind", monban.Program{Container: container}
		for _, port := range node.get("extraPortMappings").list() {
			if number := port.get("hostPort"); number.text() != "-1" {
				s.kubernetesPort(f, who, kubernetesPort{number: number, proto: port.get("protocol"), host: port.get("listenAddress")})
			}
		}
	}
	api := kubernetesPort{number: doc.get("networking", "apiServerPort"), host: doc.get("networking", "apiServerAddress")}
	if api.host == nil {
		api.host = &value{kind: scalar, at: word{text: "127.0.0.1"}}
	}
	if api.number.text() != "-1" {
		who := onNode(name + "-control-plane")
		who.by, who.program = "kind", monban.Program{Container: name + "-control-plane"}
		s.kubernetesPort(f, who, api)
	}
}

// k3d reads a cluster of k3d. Its ports are written as Compose's short ones.
func (s *scan) k3d(f file, doc *value) {
	name := doc.get("metadata", "name").text()
	if name == "" {
		name = "k3s-default"
	}
	who := onNode("k3d-" + name)
	who.by = "k3d"
	balancer := "k3d-" + name + "-serverlb"
	ports := composeScan{scan: s}
	for _, item := range doc.get("ports").list() {
		text := item.get("port")
		if !text.is(scalar) {
			continue
		}
		var port composePort
		ports.shortPort(&port, f, text, func(string) (variable, bool) { return variable{}, false })
		for i := range port.gaps {
			s.gaps = append(s.gaps, port.gaps[i].gap())
		}
		one := who
		for _, filter := range item.get("nodeFilters").list() {
			if strings.HasPrefix(filter.text(), "loadbalancer") {
				one.program.Container = balancer
			}
		}
		for _, p := range port.published {
			one.reuseAddr = monban.FlagOf(p.proto == monban.TCP)
			s.claim(one, socket{at: p.at, proto: p.proto, pos: p.pos, v6only: monban.On, upTo: p.upTo})
		}
	}
	who.program.Container = balancer
	api := doc.get("kubeAPI")
	s.kubernetesPort(f, who, kubernetesPort{number: api.get("hostPort"), host: api.get("hostIP")})
}

// isManifest recognises files that may be manifests: their content decides.
func isManifest(name string) bool {
	ext := path.Ext(name)
	return ext == ".yaml" || ext == ".yml"
}
