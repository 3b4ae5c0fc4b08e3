package integration

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/integration/daemons"
	"github.com/monban-dev/monban/internal/netnstest"
	"github.com/monban-dev/monban/probe/identify"
)

// onlyDaemons is the environment variable with a regular expression that limits
// TestIdentify to the daemons whose names match.
const onlyDaemons = "MONBAN_TEST_DAEMONS"

// tableFile is the environment variable with the file that the table is written
// to: the output of a test that is run again is only shown when it fails.
const tableFile = "MONBAN_TEST_TABLE"

// atATime bounds how many daemons run at the same time, for the memory's sake.
const atATime = 12

// An outcome is what was said of a door, against what it is.
type outcome uint8

const (
	rightProduct outcome = iota
	rightProtocol
	unknown
	wrong
	outcomes
)

// TestIdentify asks every real daemon what it is: at its usual port, at a random
// high one, at the usual port of another protocol, and inside TLS. No name may
// be wrong, and 95 of 100 must be right; the daemon has to go on serving.
func TestIdentify(t *testing.T) {
	t.Parallel()
	only := regexp.MustCompile(os.Getenv(onlyDaemons))
	if !netnstest.Rerunning() {
		for _, d := range daemons.All() {
			if only.MatchString(d.Name) {
				netnstest.Need(t, d.Needs)
			}
		}
		table := filepath.Join(t.TempDir(), "table")
		netnstest.New(t).Rerun(t, 0, tableFile+"="+table)
		text, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("\n%s", text)
		return
	}
	// BIND listens only at addresses of an interface. And one is needed outside 127.0.0.0/8: with none, getaddrinfo(3) resolves nothing for
	// servers that ask it with AI_ADDRCONFIG.
	addresses := "address add 10.99.0.1/32 dev lo\n"
	for i, d := range daemons.All() {
		if !d.Assigned {
			continue
		}
		addresses += fmt.Sprintf("address add 127.0.1.%d/32 dev lo\n", i+1)
	}
	ip := exec.Command("ip", "-batch", "-")
	ip.Stdin = strings.NewReader(addresses)
	if out, err := ip.CombinedOutput(); err != nil {
		t.Fatalf("ip: %v: %s", err, out)
	}
	certificate := throwaway(t)
	var (
		mu    sync.Mutex
		table []row
		wg    sync.WaitGroup
	)
	places := make(chan struct{}, atATime)
	for i, d := range daemons.All() {
		if !only.MatchString(d.Name) {
			continue
		}
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			rows := identifyDaemon(t, d, i+1, certificate)
			mu.Lock()
			defer mu.Unlock()
			table = append(table, rows...)
		})
	}
	wg.Wait()
	report(t, table)
}

// A place is where a door is asked.
type place struct {
	condition string
	target    netip.AddrPort
}

// A row is a door under one condition.
type row struct {
	daemon, condition string
	door              daemons.Door
	got               monban.Service
	outcome           outcome
	took              time.Duration
}

func identifyDaemon(t *testing.T, d daemons.Daemon, number int, certificate tls.Certificate) (rows []row) {
	dir := filepath.Join(openDir(t), fmt.Sprint(number))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Error(err)
		return nil
	}
	addr := netip.AddrFrom4([4]byte{127, 0, 1, byte(number)})
	if d.Outside {
		addr = netip.AddrFrom4([4]byte{10, 99, 0, 1})
	}
	running, err := d.Start(t.Context(), dir, addr)
	defer running.Stop()
	if err != nil {
		t.Errorf("starting: %v", err)
		return nil
	}
	id := &identify.Identifier{Patience: 10 * time.Second} // of sixty daemons on one machine
	for i, door := range d.Doors {
		relays := netip.AddrFrom4([4]byte{127, 0, byte(2 + i), byte(number)})
		direct := netip.AddrPortFrom(running.Addr, door.Port)
		targets := []place{
			{"usual port", direct},
		}
		if !door.Direct {
			targets = append(targets, []place{
				{"high port", relay(t, door.Proto, netip.AddrPortFrom(relays, 0), direct, nil)},
				{"another's port", relay(t, door.Proto, netip.AddrPortFrom(relays, anothers(door.Port)), direct, nil)},
			}...)
		}
		if door.Proto == monban.TCP && !door.Wrapped && !door.Direct {
			targets = append(targets, place{"inside TLS", relay(t, door.Proto, netip.AddrPortFrom(relays, 0), direct, &certificate)})
		}
		for _, to := range targets {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			start := time.Now()
			s, err := id.Identify(ctx, to.target, door.Proto)
			cancel()
			r := row{d.Name, to.condition, door, s, judge(door, to.condition, s), time.Since(start)}
			if err != nil && !door.Unknown && door.Proto == monban.TCP {
				t.Errorf("%s %d/%s, %s: %v", d.Name, door.Port, door.Proto, to.condition, err)
			}
			if wantTLS := door.TLS || door.Wrapped || to.condition == "inside TLS"; wantTLS != s.TLS && r.outcome < unknown || wantTLS && s.TLS && s.Certificate.Subject == "" {
				t.Errorf("%s %d/%s, %s: TLS %t, certificate %+v", d.Name, door.Port, door.Proto, to.condition, s.TLS, s.Certificate)
			}
			rows = append(rows, r)
			if r.outcome == unknown {
				t.Logf("%s %d/%s, %s is unknown; its log: %s", d.Name, door.Port, door.Proto, to.condition, running.Logs())
			}
		}
	}
	if err := errors.Join(running.Alive(), running.Serve()); err != nil {
		t.Errorf("after it was asked: %v", err)
	}
	return rows
}

// anothers is the usual port of a protocol that is not behind it.
func anothers(port uint16) uint16 {
	others := []uint16{22, 443, 80, 6379, 3306, 25, 53, 5432}
	i := int(port) % len(others)
	if others[i] == port {
		i = (i + 1) % len(others)
	}
	return others[i]
}

func judge(door daemons.Door, condition string, s monban.Service) outcome {
	// What must not be sent anything at its own port may be asked elsewhere.
	if door.Unknown && condition == "usual port" || door.Protocol == "" {
		if s.Grade == monban.GradeUnknown || s.Protocol == "http" && condition != "usual port" {
			return rightProduct
		}
		return wrong
	}
	switch {
	case s.Grade == monban.GradeUnknown:
		return unknown
	case s.Protocol != door.Protocol, s.Product != "" && s.Product != door.Product:
		return wrong
	case s.Product != door.Product:
		return rightProtocol
	}
	return rightProduct
}

// report writes the table and compares it with the goals.
func report(t *testing.T, table []row) {
	var text strings.Builder
	counts := make(map[string]*[outcomes]int)
	names := make(map[string]bool)
	slices.SortStableFunc(table, func(a, b row) int { return strings.Compare(a.daemon, b.daemon) })
	for _, r := range table {
		for _, c := range []string{r.condition, "all"} {
			if counts[c] == nil {
				counts[c] = new([outcomes]int)
			}
			counts[c][r.outcome]++
		}
		names[r.daemon] = true
		line := fmt.Sprintf("%-22s %5d/%s %-14s %5d ms  %-10s %s|%s|%s tls=%t", r.daemon, r.door.Port, r.door.Proto, r.condition, r.took.Milliseconds(),
			r.got.Grade, r.got.Protocol, r.got.Product, r.got.Version, r.got.TLS)
		if r.outcome >= unknown {
			line += fmt.Sprintf("  NOT %s|%s %q", r.door.Protocol, r.door.Product, r.got.Evidence)
		}
		if r.outcome == wrong {
			t.Errorf("a wrong name: %s", line)
		}
		fmt.Fprintln(&text, line)
	}
	fmt.Fprintf(&text, "%d daemons\n%-16s %8s %14s %8s %6s\n", len(names), "", "product", "protocol only", "unknown", "wrong")
	for _, condition := range []string{"usual port", "high port", "another's port", "inside TLS", "all"} {
		if c := counts[condition]; c != nil {
			fmt.Fprintf(&text, "%-16s %8d %14d %8d %6d\n", condition, c[rightProduct], c[rightProtocol], c[unknown], c[wrong])
		}
	}
	if file := os.Getenv(tableFile); file != "" {
		if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
			t.Error(err)
		}
	}
	t.Log(text.String())
	if all := counts["all"]; all != nil && 100*(all[rightProduct]+all[rightProtocol]) < 95*len(table) {
		t.Errorf("of %d protocols, fewer than 95 %% are right", len(table))
	}
	if os.Getenv(onlyDaemons) == "" && len(names) < 45 {
		t.Errorf("only %d daemons", len(names))
	}
}

// relay listens at one place and speaks for another, inside TLS if it is given a
// certificate. It returns where.
func relay(t *testing.T, proto monban.Proto, at, to netip.AddrPort, certificate *tls.Certificate) netip.AddrPort {
	if proto == monban.UDP {
		return relayUDP(t, at, to)
	}
	l, err := net.Listen("tcp", at.String())
	if err != nil {
		t.Error(err)
		return at
	}
	at = l.Addr().(*net.TCPAddr).AddrPort()
	t.Cleanup(func() { l.Close() })
	if certificate != nil {
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{*certificate}})
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if inner, ok := c.(*tls.Conn); ok && inner.Handshake() != nil {
					return
				}
				d, err := net.Dial("tcp", to.String())
				if err != nil {
					return
				}
				defer d.Close()
				go func() {
					_, _ = io.Copy(d, c)
					_ = d.(*net.TCPConn).CloseWrite()
				}()
				_, _ = io.Copy(c, d)
			}()
		}
	}()
	return at
}

func relayUDP(t *testing.T, at, to netip.AddrPort) netip.AddrPort {
	l, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Error(err)
		return at
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		buf := make([]byte, 65536)
		for {
			n, from, err := l.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			message := slices.Clone(buf[:n])
			go func() {
				d, err := net.ListenUDP("udp", nil) // an answer may come from another port
				if err != nil {
					return
				}
				defer d.Close()
				_, _ = d.WriteToUDPAddrPort(message, to)
				_ = d.SetDeadline(time.Now().Add(15 * time.Second))
				answer := make([]byte, 65536)
				for {
					n, _, err := d.ReadFromUDPAddrPort(answer)
					if err != nil {
						return
					}
					_, _ = l.WriteToUDPAddrPort(answer[:n], from)
				}
			}()
		}
	}()
	return l.LocalAddr().(*net.UDPAddr).AddrPort()
}

func throwaway(t *testing.T) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "relay.example"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
