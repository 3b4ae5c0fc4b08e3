package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os/exec"
	"strings"
	"time"

	"github.com/monban-dev/monban/internal/report"
)

// maxRegistry bounds what is read of a registry; IANA's has 1.2 MB.
const maxRegistry = 16 << 20

// registry returns the bytes of a file or of a web address.
func registry(ctx context.Context, from string) ([]byte, error) {
	u, err := url.Parse(from)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		f, err := openRegular(from)
		if err != nil {
			return nil, report.CannotRead(from, err)
		}
		defer f.Close()
		csv, err := io.ReadAll(io.LimitReader(f, maxRegistry+1))
		if err != nil {
			return nil, report.CannotRead(from, err)
		}
		return csv, nil
	}
	// Names of ports are read by people who act on them: plain http is only for
	// this machine.
	if u.Scheme == "http" && !loopbackHost(u.Hostname()) {
		return nil, report.InsecureAddress(from)
	}
	csv, err := fetch(ctx, u.String())
	if err != nil {
		return nil, report.RegistryUnreachable(from, err)
	}
	return csv, nil
}

func loopbackHost(name string) bool {
	addr, err := netip.ParseAddr(name)
	return name == "localhost" || err == nil && addr.IsLoopback()
}

// fetch asks curl or wget for address, which know the certificates and proxies
// of this machine. To link net/http and its cryptography costs every start of
// monban 0.65 ms, half as much as a whole hello-world takes (docs/benchmarks.md).
func fetch(ctx context.Context, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for _, args := range [][]string{
		{"curl", "--fail", "--silent", "--show-error", "--location", "--proto", "=https,http", "--proto-redir", "=https", "--", address},
		{"wget", "--quiet", "--output-document=-", "--max-redirect=0", "--", address},
	} {
		if _, err := exec.LookPath(args[0]); err == nil {
			return output(ctx, args)
		}
	}
	return nil, fmt.Errorf("neither curl nor wget is installed")
}

// output returns what a program prints, up to the size of a registry.
func output(ctx context.Context, args []string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var complaint bytes.Buffer
	cmd.Stderr = &limited{&complaint, 1 << 10}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	csv, readErr := io.ReadAll(io.LimitReader(out, maxRegistry+1))
	out.Close() // a longer answer ends here
	if err := cmd.Wait(); err != nil && len(csv) <= maxRegistry {
		return nil, fmt.Errorf("%s: %w %s", args[0], err, strings.TrimSpace(complaint.String()))
	}
	return csv, readErr
}

// limited keeps the first n bytes that are written to it.
type limited struct {
	w io.Writer
	n int
}

func (l *limited) Write(p []byte) (int, error) {
	keep := p[:min(len(p), l.n)]
	l.n -= len(keep)
	if _, err := l.w.Write(keep); err != nil {
		return 0, err
	}
	return len(p), nil
}
