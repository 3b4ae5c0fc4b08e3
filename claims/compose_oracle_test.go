package claims

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/google/go-cmp/cmp"
)

var composeSets = flag.Int("compose", 400, "random Compose projects to compare with compose-go")

// TestComposeOracle writes random projects and compares what they publish with
// what compose-go says. It is linked into this test and nowhere else.
func TestComposeOracle(t *testing.T) {
	seed := rand.Uint64()
	accepted, published := 0, 0
	features := map[string]int{"include:": 0, "env_file:": 0, "extends:": 0, "deeper.yml": 0, "!reset": 0, "!override": 0, "profiles:": 0,
		"COMPOSE_FILE": 0, "published:": 0, "<<:": 0, "---": 0, "scale:": 0}
	for i := range *composeSets {
		g := composeGen{rand: rand.New(rand.NewPCG(seed, uint64(i)))}
		tree := g.project()
		dir := t.TempDir()
		writeTree(t, dir, tree)
		want, name, err := oracle(t, dir, g.env)
		got, gaps := ours(t, dir, g.env)
		if err != nil {
			continue // we say what we can, Compose says nothing
		}
		accepted++
		published += len(want)
		text := treeText(tree)
		for feature := range features {
			if strings.Contains(text, feature) {
				features[feature]++
			}
		}
		if diff := cmp.Diff(want, got[name]); diff != "" {
			t.Fatalf("seed %d, project %d %q (-compose-go +monban):\n%s\n%v\n%v\n%s", seed, i, name, diff, got, gaps, treeText(tree))
		}
	}
	if accepted < *composeSets/2 || published < *composeSets {
		t.Errorf("seed %d: compose-go accepted %d of %d random projects, with %d ports: too few to prove anything", seed, accepted, *composeSets, published)
	}
	for feature, n := range features {
		if n < *composeSets/100 {
			t.Errorf("seed %d: only %d accepted projects have %q", seed, n, feature)
		}
	}
	t.Logf("seed %d: %d projects, %d ports, %v", seed, accepted, published, features)
}

// oracle returns what compose-go says that a project publishes.
func oracle(t *testing.T, dir string, env []string) ([]string, string, error) {
	t.Helper()
	t.Chdir(dir) // COMPOSE_FILE is relative to it
	options, err := cli.NewProjectOptions(nil,
		cli.WithWorkingDirectory(dir), cli.WithEnv(env), cli.WithEnvFiles(), cli.WithDotEnv, cli.WithConfigFileEnv,
		cli.WithDefaultConfigPath, cli.WithEnvFiles(), cli.WithDotEnv, cli.WithDefaultProfiles())
	if err != nil {
		return nil, "", err
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		return nil, "", err
	}
	out := []string{}
	for _, s := range project.Services {
		if s.NetworkMode == "host" || s.NetworkMode == "none" || s.GetScale() == 0 {
			continue
		}
		for _, p := range s.Ports {
			first, last, ok := composeRange(p.Published)
			if !ok || first == 0 {
				continue // none, any, or one that only the engine refuses
			}
			p.Published = strconv.Itoa(int(first))
			if first != last {
				p.Published += "-" + strconv.Itoa(int(last))
			}
			host := any4()
			if p.HostIP != "" {
				host = netip.MustParseAddr(p.HostIP).Unmap() // as the engine does
			}
			out = append(out, fmt.Sprintf("%s %s [%s]:%s %s", s.Name, p.Protocol, host, p.Published, s.ContainerName))
		}
	}
	slices.Sort(out)
	return slices.Compact(out), project.Name, nil
}

// ours returns the same from this package, by project.
func ours(t *testing.T, dir string, env []string) (map[string][]string, []string) {
	t.Helper()
	place := Place{FS: os.DirFS(dir), Root: filepath.ToSlash(dir), Env: func(name string) (string, bool) {
		for _, e := range env {
			if k, v, _ := strings.Cut(e, "="); k == name {
				return v, true
			}
		}
		return "", false
	}}
	found, gaps, err := Read(place)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for _, c := range found {
		if c.Program.Dir != place.Root {
			continue // a project below it, which this one does not include
		}
		port := strconv.Itoa(int(c.Bind.Port.Num))
		if c.UpTo != 0 {
			port += "-" + strconv.Itoa(int(c.UpTo))
		}
		p := c.Program
		out[p.Project] = append(out[p.Project], fmt.Sprintf("%s %s [%s]:%s %s", p.Service, c.Bind.Port.Proto, c.Bind.Addr, port, p.Container))
	}
	for name := range out {
		slices.Sort(out[name])
		out[name] = slices.Compact(out[name])
	}
	if len(out) == 0 {
		return nil, nil
	}
	var texts []string
	for _, g := range gaps {
		texts = append(texts, g.Source+": "+g.Err)
	}
	return out, texts
}

func writeTree(t *testing.T, dir string, tree map[string]string) {
	t.Helper()
	for name, text := range tree {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func treeText(tree map[string]string) string {
	var b strings.Builder
	for _, name := range sortedKeys(tree) {
		fmt.Fprintf(&b, "-- %s --\n%s", name, tree[name])
	}
	return b.String()
}

func sortedKeys(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// composeGen writes random projects.
type composeGen struct {
	rand *rand.Rand
	env  []string
	tree map[string]string
}

func pick[T any](g *composeGen, of ...T) T { return of[g.rand.IntN(len(of))] }

// chance is true once in n times.
func (g *composeGen) chance(n int) bool { return g.rand.IntN(n) == 0 }

func (g *composeGen) project() map[string]string {
	g.tree = map[string]string{}
	for _, name := range []string{"P1", "P2", "P3"} {
		if g.chance(4) {
			g.env = append(g.env, name+"="+g.port())
		}
	}
	if g.chance(5) {
		g.env = append(g.env, "COMPOSE_PROFILES="+pick(g, "dev", "dev, test", "*", "prod"))
	}
	g.tree[".env"] = g.dotenv()
	main := pick(g, "compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
	g.tree[main] = g.file(".", 0)
	if g.chance(2) {
		g.tree[pick(g, "compose.override.yaml", "compose.override.yml", "docker-compose.override.yml")] = g.override()
	}
	if g.chance(4) {
		g.tree["docker-compose.yml"] = g.file(".", 0)
	}
	if g.chance(6) {
		g.tree[".env"] += "COMPOSE_FILE=" + pick(g, main, main+":more.yml", "docker-compose.dev.yml", "docker-compose.dev.yml:"+main) + "\n"
		g.tree["more.yml"] = g.override()
		g.tree["docker-compose.dev.yml"] = g.file(".", 0)
	}
	return g.tree
}

// port is the value of a variable for a port.
func (g *composeGen) port() string { return pick(g, "8080", "", "81", "82", "83") }

func (g *composeGen) dotenv() string {
	var b strings.Builder
	for range g.rand.IntN(7) {
		b.WriteString(pick(g, "", "", "export ", "  ", "# "))
		if g.chance(2) {
			b.WriteString(pick(g, "P1", "P2", "P3", "F") + pick(g, "=", "=", "=", " = ", ": ", "= "))
			v := g.port()
			b.WriteString(pick(g, v, v, `"`+v+`"`, "'"+v+"'", v+" # comment", `"`+v+`" # c`, "8${P1}", "${P4:-84}", `"8$P1"`))
		} else {
			b.WriteString(pick(g, "A", "B", "C", "D") + pick(g, "=", "= ", ": "))
			v := pick(g, "x", "80${A}", "$B", "${C:-99}", "7#8", `\$A`, "$$A", "x y")
			b.WriteString(pick(g, v, `"`+v+`"`, "'"+v+"'", `"a\n`+v+`\"b"`, `"two
lines `+v+`"`, "'it\\'s'"))
		}
		b.WriteString(pick(g, "\n", "\n", "\n\n", "\r\n"))
	}
	if g.chance(10) {
		b.WriteString("F\n")
	}
	if g.chance(10) {
		b.WriteString("COMPOSE_PROJECT_NAME=named-by-env\n")
	}
	return b.String()
}

func (g *composeGen) names() []string { return []string{"web", "db", "api", "x-y"} }

// file is a project's file; dir is the project's directory.
func (g *composeGen) file(dir string, depth int) string {
	var b strings.Builder
	if g.chance(6) {
		fmt.Fprintf(&b, "name: %s\n", pick(g, "Shop", "my_shop-1", "shop${P1}", `"${D:-Shop}"`))
	}
	b.WriteString(pick(g, "", "x-p: &p\n  - 7000:80\n  - \"7001:81/udp\"\nx-s: &s\n  ports: *p\n  profiles: [dev]\n"))
	anchors := strings.Contains(b.String(), "&p")
	if depth < 2 && g.chance(4) {
		g.include(&b, dir, depth)
	}
	b.WriteString("services:\n")
	for _, name := range g.names() {
		if g.chance(3) {
			continue
		}
		fmt.Fprintf(&b, "  %s:\n    image: i\n", name)
		g.service(&b, dir, name, anchors)
	}
	b.WriteString("  last: {image: i, ports: [80, \"1:1\"]}\n")
	if g.chance(12) {
		b.WriteString("---\n" + g.override())
	}
	return b.String()
}

func (g *composeGen) include(b *strings.Builder, in string, depth int) {
	dir := pick(g, "sub", "sub/deep", "other")
	name := dir + "/" + pick(g, "compose.yaml", "inc.yml")
	at := path.Join(in, name)
	if _, ok := g.tree[at]; !ok {
		g.tree[at] = "services: {inner: {image: i}}\n" // for whoever includes it from below
		g.tree[at] = g.file(path.Dir(at), depth+1)
		if g.chance(2) {
			g.tree[path.Join(in, dir, ".env")] = g.dotenv()
		}
	}
	switch g.rand.IntN(3) {
	case 0:
		fmt.Fprintf(b, "include:\n  - %s\n", name)
	case 1:
		fmt.Fprintf(b, "include:\n  - path: %s\n", name)
	default:
		g.tree[path.Join(in, "inc-over.yaml")] = g.override()
		g.tree[path.Join(in, "inc.env")] = g.dotenv()
		fmt.Fprintf(b, "include:\n  - path: [%s, inc-over.yaml]\n    env_file: inc.env\n    project_directory: %s\n", name, pick(g, dir, dir, "."))
	}
}

func (g *composeGen) service(b *strings.Builder, dir, name string, anchors bool) {
	if anchors && g.chance(3) {
		b.WriteString("    <<: *s\n")
	}
	switch {
	case anchors && g.chance(4):
		b.WriteString("    ports: *p\n")
	case g.chance(8):
		b.WriteString("    ports: []\n")
	default:
		b.WriteString("    ports:\n" + g.ports(1+g.rand.IntN(3)))
	}
	if g.chance(5) {
		fmt.Fprintf(b, "    profiles: [%s]\n", pick(g, "dev", "test", "dev, prod", `"${A:-dev}"`))
	}
	if g.chance(8) {
		fmt.Fprintf(b, "    network_mode: %s\n", pick(g, "host", "none", "bridge"))
	}
	if g.chance(8) {
		fmt.Fprintf(b, "    container_name: %s\n", pick(g, "fixed", `"c-${C:-x}"`))
	} else if g.chance(6) {
		b.WriteString(pick(g, "    scale: 2\n", "    deploy: {replicas: 0}\n", "    deploy:\n      replicas: 3\n", "    scale: \"${N:-1}\"\n"))
	}
	if g.chance(5) {
		g.extends(b, dir, name)
	}
}

func (g *composeGen) extends(b *strings.Builder, dir, name string) {
	if g.chance(2) {
		for _, other := range g.names() { // an earlier one only: no cycles
			if other == name {
				break
			}
			if g.chance(2) {
				fmt.Fprintf(b, "    extends: %s\n", pick(g, other, "{service: "+other+"}"))
				return
			}
		}
		return
	}
	g.tree[path.Join(dir, "base/common.yml")] = "services:\n  base:\n    image: i\n    extends: {file: deeper.yml, service: core}\n    ports:\n" + g.ports(2) +
		"  plain: {image: i, ports: [\"6000:6000\"], profiles: [dev]}\n"
	g.tree[path.Join(dir, "base/deeper.yml")] = "services:\n  core:\n    image: i\n    ports:\n" + g.ports(2)
	fmt.Fprintf(b, "    extends:\n      file: %s\n      service: %s\n", pick(g, "base/common.yml", "./base/common.yml"), pick(g, "base", "plain"))
}

// override is a file that changes services.
func (g *composeGen) override() string {
	var b strings.Builder
	b.WriteString("services:\n")
	for _, name := range g.names() {
		switch g.rand.IntN(8) {
		case 0:
			fmt.Fprintf(&b, "  %s: {image: i, ports: !override [\"4000:4000\"]}\n", name)
		case 1:
			fmt.Fprintf(&b, "  %s:\n    image: i\n    ports: !reset []\n", name)
		case 2:
			fmt.Fprintf(&b, "  %s: !reset null\n", name)
		case 3:
			fmt.Fprintf(&b, "  %s: !override\n    image: i\n    ports: [\"4001:1\"]\n", name)
		case 4:
			fmt.Fprintf(&b, "  %s:\n    image: i\n    profiles: !reset []\n    ports:\n%s", name, g.ports(2))
		case 5:
			fmt.Fprintf(&b, "  %s:\n    image: i\n    ports:\n%s", name, g.ports(2))
		case 6:
			fmt.Fprintf(&b, "  %s:\n    image: i\n    extends: last\n    network_mode: !reset null\n", name)
		}
	}
	b.WriteString("  last: {image: i, profiles: []}\n")
	return b.String()
}

func (g *composeGen) ports(n int) string {
	var b strings.Builder
	for range n {
		if g.chance(4) {
			g.long(&b)
			continue
		}
		ip := pick(g, "", "", "", "127.0.0.1:", "[::1]:", "0.0.0.0:", "192.168.1.5:", "[::]:", "${IP:-127.0.0.2}:", "[::ffff:1.2.3.4]:")
		host := pick(g, "8080:", "80:", "0:", "3000-3002:", "9090-9091:", "${P1:-8081}:", "${P2-8082}:", "$P3:", "${P2:+8083}:",
			"${Q:-${P1:-8084}}:", "080:", "${F+1}1:", "3000-3000:", "${Q:-9}${P3}:", "8$P3:", ":")
		target := pick(g, "80", "80", "80", "${T:-443}")
		proto := pick(g, "", "", "/tcp", "/udp", "/UDP", "/sctp", "/")
		switch g.rand.IntN(60) {
		case 0:
			ip = pick(g, "::1:", "x:", "[::1%lo]:", "1.2.3:")
		case 1:
			host = pick(g, "$1:", "70000:", "7-8-9:", "80$${A}:", "${A:?need A}:", "${A:-8081}:", "${B}:", "${}:", "${A:-{}}:", "9-8:", "x:")
		case 2:
			target = pick(g, "5000-5001", "99999", "")
		case 3:
			host = "3000-3002:"
			target = "5000-5002"
		case 4:
			ip, host = "", ""
		}
		if strings.HasPrefix(host, ":") || strings.HasPrefix(host, "$P3") {
			ip = "127.0.0.1:" // an empty port is allowed behind an address
		}
		text := ip + host + target + proto
		fmt.Fprintf(&b, "      - %s\n", pick(g, strconv.Quote(text), "'"+text+"'", strconv.Quote(text)+" # comment"))
	}
	return b.String()
}

func (g *composeGen) long(b *strings.Builder) {
	fmt.Fprintf(b, "      - target: %s\n", pick(g, "80", "443", `"${T:-81}"`))
	if !g.chance(5) {
		fmt.Fprintf(b, "        published: %s\n", pick(g, "8080", `"8080"`, `"8085-8087"`, `"${A:-8086}"`, "${B-8087}", `""`, `"0"`))
	}
	if g.chance(3) {
		fmt.Fprintf(b, "        host_ip: %s\n", pick(g, "127.0.0.1", `"::1"`, `"${IP:-127.0.0.3}"`))
	}
	if g.chance(3) {
		fmt.Fprintf(b, "        protocol: %s\n", pick(g, "tcp", "udp", "${PROTO:-udp}"))
	}
	if g.chance(5) {
		b.WriteString("        mode: host\n")
	}
}
