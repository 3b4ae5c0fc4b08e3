package main

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/integration/daemons"
)

// The names of what is measured.
const (
	own  = "probe/identify"
	nmap = "nmap -sV"
)

// identifyBar is how long identification may take, of nmap's time for the same
// doors.
const identifyBar = 1.0 / 8

// twenty names the daemons that are identified, each at its usual port.
func twenty() []string {
	return []string{"nginx", "OpenSSH", "vsftpd", "Postfix", "Dovecot", "BIND", "Redis", "memcached", "MariaDB", "PostgreSQL", "OpenLDAP",
		"Squid", "etcd", "Mosquitto", "NATS", "rsync", "Subversion", "Samba", "rpcbind", "TigerVNC"}
}

// identifyMachine starts itself again in a network namespace of its own and
// returns the bars that were missed.
func identifyMachine(ctx context.Context, dir string, rounds int) (missed []string, err error) {
	if rounds <= 0 {
		rounds = 3
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	for name, pkg := range map[string]string{"ask": "github.com/monban-dev/monban/internal/bench/ask"} {
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, name), pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building %s: %w: %s", name, err, out)
		}
	}
	outside, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return nil, err
	}
	fmt.Print("\n## 20 daemons, each asked what it is\n\n")
	cmd := exec.CommandContext(ctx, "unshare", "--net", "--", self, "-identify", dir, "-rounds", fmt.Sprint(rounds))
	cmd.Env = append(os.Environ(), "MONBAN_BENCH_OUTSIDE="+outside)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	var r results
	if err := json.Unmarshal(out, &r); err != nil {
		return nil, err
	}
	r.print(os.Stdout)
	line, ok := bar{Name: own, Than: nmap, AtMost: identifyBar}.check(r)
	fmt.Println(line)
	if !ok {
		missed = append(missed, "identify: "+line)
	}
	return missed, nil
}

// identifyInside runs in the namespace: it starts the daemons, compares what both
// say of them, and measures.
func identifyInside(ctx context.Context, dir string, rounds int) (err error) {
	if inside, err := os.Readlink("/proc/self/ns/net"); err != nil || inside == os.Getenv("MONBAN_BENCH_OUTSIDE") {
		return errors.Join(errors.New("not in a network namespace of its own"), err)
	}
	addr := netip.MustParseAddr("10.99.0.1")
	for _, args := range [][]string{{"link", "set", "lo", "up"}, {"address", "add", addr.String() + "/32", "dev", "lo"}} {
		if out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %v: %w: %s", args, err, out)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	want := make(map[uint16]daemons.Door)
	var ask, ports []string
	for _, d := range daemons.All() {
		if !slices.Contains(twenty(), d.Name) {
			continue
		}
		place := filepath.Join(dir, "daemons", d.Name)
		if err := os.MkdirAll(place, 0o755); err != nil {
			return err
		}
		running, err := d.Start(ctx, place, addr)
		defer running.Stop()
		if err != nil {
			return err
		}
		door := d.Doors[0]
		want[door.Port] = door
		ask = append(ask, netip.AddrPortFrom(addr, door.Port).String())
		ports = append(ports, fmt.Sprint(door.Port))
	}
	if len(want) != len(twenty()) {
		return fmt.Errorf("%d doors, not %d", len(want), len(twenty()))
	}
	xmlFile := filepath.Join(dir, "nmap.xml")
	p := plan{Rounds: rounds, Commands: []command{
		{own, append([]string{filepath.Join(dir, "ask")}, ask...)},
		{nmap, []string{"nmap", "-n", "-Pn", "-sV", "-oX", xmlFile, "-p", strings.Join(ports, ","), addr.String()}},
	}}
	if err := compareNames(ctx, p, xmlFile, want); err != nil {
		return err
	}
	// The comparison was the round to be thrown away: nmap takes a minute.
	r := results{Names: []string{own, nmap}, Runs: map[string][]sample{}}
	for range p.Rounds {
		for _, i := range rand.Perm(len(p.Commands)) {
			c := p.Commands[i]
			s, err := c.time(ctx)
			if err != nil {
				return err
			}
			r.Runs[c.Name] = append(r.Runs[c.Name], s)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// compareNames asks both once, before anything is measured: at least as many
// names have to be right as nmap's, and none wrong.
func compareNames(ctx context.Context, p plan, xmlFile string, want map[uint16]daemons.Door) error {
	out, err := exec.CommandContext(ctx, p.Commands[0].Args[0], p.Commands[0].Args[1:]...).Output()
	if err != nil {
		return err
	}
	var mine, others tally
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		var port uint16
		if _, err := fmt.Sscan(f[0], &port); err != nil || len(f) < 4 {
			return fmt.Errorf("%q: %w", line, err)
		}
		mine.count(want[port], f[2], f[3], f[1] != monban.GradeUnknown.String())
	}
	if out, err := exec.CommandContext(ctx, p.Commands[1].Args[0], p.Commands[1].Args[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("nmap: %w: %s", err, out)
	}
	text, err := os.ReadFile(xmlFile)
	if err != nil {
		return err
	}
	var report struct {
		Ports []struct {
			Port    uint16 `xml:"portid,attr"`
			Service struct {
				Name    string `xml:"name,attr"`
				Product string `xml:"product,attr"`
				Method  string `xml:"method,attr"` // "table" is the port's number
			} `xml:"service"`
		} `xml:"host>ports>port"`
	}
	if err := xml.Unmarshal(text, &report); err != nil {
		return err
	}
	for _, p := range report.Ports {
		others.count(want[p.Port], fromNmap(p.Service.Name), p.Service.Product, p.Service.Method == "probed")
	}
	fmt.Fprintf(os.Stderr, "names of %d doors: %s %v; %s %v\n", len(want), own, mine, nmap, others)
	if mine.wrong > 0 || mine.right < others.right {
		return fmt.Errorf("%s is not better than %s: %v, %v", own, nmap, mine, others)
	}
	return nil
}

// A tally counts names of protocols.
type tally struct{ right, unknown, wrong, product int }

func (t tally) String() string {
	return fmt.Sprintf("%d right (%d with the product), %d unknown, %d wrong", t.right, t.product, t.unknown, t.wrong)
}

func (t *tally) count(door daemons.Door, protocol, product string, known bool) {
	switch {
	case !known:
		t.unknown++
	case protocol != door.Protocol:
		t.wrong++
		fmt.Fprintf(os.Stderr, "port %d: %q is %q\n", door.Port, protocol, door.Protocol)
	default:
		t.right++
		if product != "" {
			t.product++
		}
	}
}

// fromNmap translates a name where nmap has another for the same protocol.
func fromNmap(name string) string {
	switch name {
	case "domain":
		return "dns"
	case "netbios-ssn", "microsoft-ds":
		return "smb"
	case "svnserve":
		return "svn"
	case "ssl/http":
		return "http"
	}
	return name
}
