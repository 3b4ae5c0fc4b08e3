package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/net/html"

	"github.com/monban-dev/monban/internal/netnstest"
)

// audited is a machine to audit: a firewall, real programs on both sides of it, a
// port that is translated past it to another namespace, and a neighbour.
type audited struct {
	*guarded
	inner *netnstest.NS
}

const auditRules = `
table inet f {
	chain in {
		type filter hook input priority 0; policy drop
		iif lo accept
		ct state established,related accept
		meta l4proto ipv6-icmp accept
		tcp dport 22 accept
		ip saddr 198.51.100.0/24 tcp dport 80 accept
		ip saddr 192.0.2.0/24 tcp dport 443 accept
		udp dport 5300 accept
	}
}
table ip docker {
	chain pre {
		type nat hook prerouting priority -100
		fib daddr type local tcp dport 8080 dnat to 172.17.0.2:80
		fib daddr type local tcp dport 9090 dnat to 172.17.0.2:81
	}
	chain forwarded {
		type filter hook forward priority 0
	}
}
`

func newAudited(t *testing.T) *audited {
	t.Helper()
	a := &audited{newGuarded(t), netnstest.New(t)}
	netnstest.Connect(a.ns, "docker0", a.inner, "eth0")
	a.ns.AddAddr("docker0", "172.17.0.1/16")
	a.inner.AddAddr("eth0", "172.17.0.2/16")
	a.inner.Run("ip", "route", "add", "default", "via", "172.17.0.1")
	a.ns.SetSysctl("net.ipv4.ip_forward", "1")
	a.run("ip", "route", "add", "default", "via", clientAddr)
	a.outside.Run("ip", "route", "add", "172.17.0.0/16", "via", machineAddr)
	echo(t, a.inner, "tcp", "0.0.0.0:80")
	echo(t, a.ns, "udp", "0.0.0.0:5300")
	a.nft(auditRules)
	return a
}

func (a *audited) nft(rules string) {
	a.t.Helper()
	cmd := a.command("root", "nft", "-f", "-")
	cmd.Stdin = strings.NewReader("flush ruleset\n" + rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		a.t.Fatalf("%v\n%s", err, out)
	}
}

// audit runs `monban audit` and returns its status and what it wrote.
func (a *audited) audit(as string, args ...string) (code int, out []byte) {
	a.t.Helper()
	cmd := a.command(as, program(a.t, "monban"), append([]string{"audit"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if cmd.ProcessState == nil {
		a.t.Fatal(err)
	}
	if code = cmd.ProcessState.ExitCode(); code != 0 && code != 1 && code != 3 {
		a.t.Fatalf("monban audit %s: status %d\n%s%s", strings.Join(args, " "), code, out, stderr.Bytes())
	}
	return code, out
}

type auditData struct {
	Data struct {
		Observer *struct {
			Namespace, File, NetNS string
			From, Targets, Foreign []string
			Unrouted               []string
		}
		Comparisons []struct {
			Target, From, Proto string
			Port                int
			Seen, Computed      string
			Differs             string
		}
		Incomplete bool
	}
	Findings []finding
	Gaps     []gap
}

// compare runs an audit with an observer and returns "target:port/proto computed
// seen differs" for each door.
func (a *audited) compare(args ...string) (lines []string, d auditData) {
	a.t.Helper()
	_, out := a.audit("root", append(args, "--json")...)
	parse(a.t, out)
	if err := json.Unmarshal(out, &d); err != nil {
		a.t.Fatal(err)
	}
	for _, c := range d.Data.Comparisons {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s:%d/%s %s %s %s", c.Target, c.Port, c.Proto, c.Computed, c.Seen, c.Differs)))
	}
	return lines, d
}

// TestAuditCompared compares what is computed with what a neighbour sees: by
// --from and by --seen; with the rules that are in force, with a filter on the way,
// and with a door that answers although the rules that monban can see forbid it.
func TestAuditCompared(t *testing.T) {
	t.Parallel()
	a := newAudited(t)
	want := []string{
		"172.17.0.1:22/tcp open open", "172.17.0.1:80/tcp closed filtered", "172.17.0.1:443/tcp open open", "172.17.0.1:5300/udp open unknown",
		"172.17.0.1:8080/tcp open open", "172.17.0.1:9090/tcp open closed seen-shut",
		"192.0.2.1:22/tcp open open", "192.0.2.1:80/tcp closed filtered", "192.0.2.1:443/tcp open open", "192.0.2.1:5300/udp open open",
		"192.0.2.1:8080/tcp open open", "192.0.2.1:9090/tcp open closed seen-shut",
		"2001:db8::1:22/tcp open open", "2001:db8::1:80/tcp closed filtered", "2001:db8::1:443/tcp closed filtered", "2001:db8::1:5300/udp open open",
	}
	same := func(got []string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("compared:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	ports := []string{"--ports", "1-1000/tcp,5300/udp,8080/tcp,9090/tcp"}
	got, d := a.compare(append(ports, "--from", a.outside.Path())...)
	same(got)
	if o := d.Data.Observer; o == nil || !slices.Contains(o.From, clientAddr) || o.NetNS != a.outside.Name() {
		t.Errorf("observer %+v", o)
	}

	// The same from a file, as a scan made elsewhere writes it.
	scan := filepath.Join(a.dir, "scan.json")
	elsewhere := a.outside.Command(program(t, "monban"), "scan", "--json", "--all", "-p", ports[1], "--i-am-authorised", machineAddr, "172.17.0.1", "2001:db8::1", "198.51.100.9")
	out, err := elsewhere.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(scan, out, 0o644); err != nil {
		t.Fatal(err)
	}
	got, d = a.compare("--seen", scan)
	same(got)
	if o := d.Data.Observer; !slices.Equal(o.Foreign, []string{"198.51.100.9"}) {
		t.Errorf("not this machine's: %q", o.Foreign)
	}

	// Said to come from elsewhere, it contradicts the rules.
	for i, line := range map[int]string{
		1: "172.17.0.1:80/tcp open filtered seen-shut", 2: "172.17.0.1:443/tcp closed open seen-open",
		7: "192.0.2.1:80/tcp open filtered seen-shut", 8: "192.0.2.1:443/tcp closed open seen-open",
		12: "2001:db8::1:22/tcp partly open", // of whom nothing was said
	} {
		want[i] = line
	}
	got, d = a.compare("--seen", scan, "--seen-from", "198.51.100.7")
	same(got)
	if f := d.Findings[0]; f.Kind != "seen-open" || f.Severity != "critical" || f.Port != 443 {
		t.Errorf("worst: %+v", f)
	}

	// From afar, by a router with a filter that this machine knows nothing of.
	far := netnstest.New(t)
	netnstest.Connect(a.outside, "eth1", far, "eth0")
	a.outside.AddAddr("eth1", "198.51.100.1/24")
	far.AddAddr("eth0", "198.51.100.7/24")
	far.Run("ip", "route", "add", "default", "via", "198.51.100.1")
	a.outside.SetSysctl("net.ipv4.ip_forward", "1")
	a.outside.Run("nft", "add table ip way; add chain ip way on { type filter hook forward priority 0; }; add rule ip way on tcp dport 22 drop")
	v4 := func(lines []string) []string {
		return slices.DeleteFunc(lines, func(l string) bool { return !strings.HasPrefix(l, machineAddr) || strings.Contains(l, "udp") })
	}
	got, d = a.compare(append(ports, "--from", far.Path())...)
	if o := d.Data.Observer; !slices.Equal(o.Unrouted, []string{"2001:db8::1"}) || d.Data.Incomplete || slices.ContainsFunc(d.Gaps, func(g gap) bool { return g.Hides == "sightings" }) {
		t.Errorf("an address that there is no way to from there: %+v, gaps %+v", o, d.Gaps)
	}
	got, want = v4(got), []string{"192.0.2.1:22/tcp open filtered seen-shut", "192.0.2.1:80/tcp partly open", "192.0.2.1:443/tcp partly filtered",
		"192.0.2.1:8080/tcp open open", "192.0.2.1:9090/tcp open closed seen-shut"}
	same(got)
	if !slices.ContainsFunc(d.Findings, func(f finding) bool { return f.Kind == "seen-shut" && f.Port == 22 && f.Severity == "low" }) {
		t.Errorf("no word of the filter: %+v", d.Findings)
	}
	out, err = far.Command(program(t, "monban"), "scan", "--json", "--all", "-p", ports[1], "--i-am-authorised", machineAddr).Output()
	if err != nil {
		t.Fatal(err)
	}
	got, _ = a.compare("--seen", a.file("far.json", string(out)), "--seen-from", "198.51.100.7")
	got, want[1], want[2] = v4(got), "192.0.2.1:80/tcp open open", "192.0.2.1:443/tcp closed filtered"
	same(got)
	// An address that a router on the way translates to this machine's, one to one.
	const public = "203.0.113.5"
	a.outside.Run("nft", "add table ip nat; add chain ip nat pre { type nat hook prerouting priority dstnat; }; add rule ip nat pre ip daddr "+public+" dnat to "+machineAddr)
	translated, err := far.Command(program(t, "monban"), "scan", "--json", "--all", "-p", ports[1], "--i-am-authorised", public).Output()
	if err != nil {
		t.Fatal(err)
	}
	nat := a.file("nat.json", string(translated))
	got, d = a.compare("--seen", nat, "--seen-as", public+"="+machineAddr, "--seen-from", "198.51.100.7")
	got = v4(got)
	same(got)
	if o := d.Data.Observer; !slices.Equal(o.Targets, []string{machineAddr}) || len(o.Foreign) > 0 {
		t.Errorf("observer %+v", o)
	}
	for _, c := range []struct{ args, word string }{
		{"--seen " + nat, "none of its targets (203.0.113.5) is an address of this machine; where one is translated to this machine's, say so: --seen-as 203.0.113.5=ADDRESS"},
		{"--seen " + nat + " --seen-as 203.0.113.5=192.0.2.99", "192.0.2.99 is no address of this machine; it has "},
		{"--seen " + nat + " --seen-as 203.0.113.6=192.0.2.1", "has nothing about this address"},
		{"--seen " + nat + " --seen-as 203.0.113.5", "want the address that was scanned and this machine's"},
		{"--seen " + nat + " --seen-as 203.0.113.5=192.0.2.1,203.0.113.6=192.0.2.1", "was named before"},
		{"--seen-as 203.0.113.5=192.0.2.1", "--seen-as is for --seen"},
	} {
		cmd := a.command("root", program(t, "monban"), append([]string{"audit"}, strings.Fields(c.args)...)...)
		text, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(text), c.word) {
			t.Errorf("%s: status %d: %s", c.args, cmd.ProcessState.ExitCode(), text)
		}
	}
	// A scan of another machine, and one that was made here.
	for path, word := range map[string]string{
		a.file("other.json", strings.ReplaceAll(string(out), machineAddr, "203.0.113.5")):        "none of its targets",
		a.file("here.json", string(a.monban("root", "scan", "--json", "-p", "22", machineAddr))): "made on this machine itself",
	} {
		cmd := a.command("root", program(t, "monban"), "audit", "--seen", path)
		text, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(text), word) {
			t.Errorf("%s: status %d: %s", path, cmd.ProcessState.ExitCode(), text)
		}
	}
	for _, c := range []struct {
		as, from, word string
		code           int
	}{
		{"root", "nowhere", "no network namespace /run/netns/nowhere", 2},
		{"root", fmt.Sprint(a.pid), "is the network namespace that is being audited", 2},
		{"root", a.file("plain", ""), "no network namespace", 2},
		{"nobody", "1", "cannot be entered", 4},
	} {
		cmd := a.command(c.as, program(t, "monban"), "audit", "--ports", "22", "--from", c.from)
		text, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != c.code || !strings.Contains(string(text), c.word) {
			t.Errorf("%+v: status %d: %s", c, cmd.ProcessState.ExitCode(), text)
		}
	}
}

// TestAuditFormats writes the report of a machine in every format and language: the
// same findings in each, and valid by its own rules.
func TestAuditFormats(t *testing.T) {
	t.Parallel()
	a := newAudited(t)
	policy := a.file("policy.yaml", "monban: 1\ndoors:\n  - {port: 22/tcp, to: any}\n  - {port: 6000/tcp, to: any, for: nothing yet}\n")
	code, out := a.audit("root", "--policy", policy, "--json")
	if code != 1 {
		t.Errorf("status %d, want 1: something was found", code)
	}
	e := parse(t, out)
	got := kinds(e, "idle-permit", "past-firewall", "ipv6-open")
	for i, want := range []string{"idle-permit low The policy opens 6000/tcp", "past-firewall medium Port 8080/tcp is open to everyone", "past-firewall medium Port 9090/tcp is open to everyone"} {
		if len(got) != 3 || !strings.HasPrefix(got[i], want) {
			t.Errorf("found %q", got)
		}
	}
	if code, _ := a.audit("root", "--policy", policy, "--fail-on", "critical"); code != 0 {
		t.Errorf("--fail-on critical: status %d", code)
	}
	for _, lang := range []string{"en", "ja"} {
		for _, format := range []string{"text", "markdown", "html", "sarif"} {
			_, out := a.audit("root", "--policy", policy, "--format", format, "--lang", lang)
			for _, word := range []string{"6000/tcp", "policy.yaml"} {
				if !bytes.Contains(out, []byte(word)) && !bytes.Contains(out, []byte(strings.ReplaceAll(word, ".", `\.`))) {
					t.Errorf("%s %s: no %q", format, lang, word)
				}
			}
			switch format {
			case "html":
				if _, err := html.Parse(bytes.NewReader(out)); err != nil || bytes.Contains(out, []byte("<script")) || bytes.Contains(out, []byte("http:")) {
					t.Errorf("%s: %v", lang, err)
				}
			case "sarif":
				validSARIF(t, out)
			}
			if format != "sarif" {
				for _, f := range e.Findings {
					if lang == "en" && format == "text" && !bytes.Contains(out, []byte(f.Why)) {
						t.Errorf("%s: no %q", format, f.Why)
					}
				}
				if !bytes.Contains(out, []byte("tcp dport 22 accept")) {
					t.Errorf("%s %s: no rule\n%s", format, lang, out)
				}
			}
		}
	}
	// Nobody may read the rules: that is no good news.
	code, out = a.audit("nobody", "--fail-on", "critical", "--json")
	if e := parse(t, out); code != 3 || len(e.Gaps) == 0 {
		t.Errorf("as nobody: status %d, gaps %+v", code, e.Gaps)
	}
}

func validSARIF(t *testing.T, text []byte) {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile("../cli/testdata/sarif.json")
	if err != nil {
		t.Fatal(err)
	}
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(instance); err != nil {
		t.Error(err)
	}
}
