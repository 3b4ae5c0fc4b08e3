package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/guard"
	"github.com/monban-dev/monban/internal/policyfile"
	"github.com/monban-dev/monban/internal/report"
	"github.com/monban-dev/monban/policy"
)

// nameTime is how long the look-up of one host name may take.
const nameTime = 10 * time.Second

// findFile sets out.File: the file that -f names, or the first that is there.
func (g *guarding) findFile() error {
	if g.o.file != "" {
		g.out.File, g.out.Named = g.o.file, true
		return nil
	}
	for _, path := range [...]string{"monban.yaml", policyFile} {
		if _, err := os.Stat(path); err == nil {
			g.out.File = path
			return nil
		}
	}
	return report.NoPolicyFile("./monban.yaml", policyFile)
}

// readFile reads the policy file's text. Its word does not count where somebody
// else could have written it.
func (g *guarding) readFile() ([]byte, error) {
	if err := g.findFile(); err != nil {
		return nil, err
	}
	f, err := openRegular(g.out.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, report.NoPolicyFile(g.out.File)
	}
	if err != nil {
		return nil, report.CannotRead(g.out.File, err)
	}
	defer f.Close()
	var bad *guard.UntrustedError
	if err := guard.Trusted(g.out.File); errors.As(err, &bad) {
		return nil, report.UntrustedFile(bad.Path, fmt.Sprintf("%04o", bad.Mode), bad.UID)
	} else if err != nil {
		return nil, report.CannotRead(g.out.File, err)
	}
	text, err := io.ReadAll(io.LimitReader(f, policyfile.MaxSize+1))
	if err != nil {
		return nil, report.CannotRead(g.out.File, err)
	}
	return text, nil
}

// readPolicy understands the policy file's text and resolves its names, by the
// snapshot's host.
func (g *guarding) readPolicy(text []byte) error {
	p, err := policyfile.Read(text, g.out.File, g.book, g.app.now())
	if err != nil {
		return policyProblem(err)
	}
	return g.resolve(p)
}

func (g *guarding) resolve(p *monban.Policy) error {
	resolved, err := policy.Resolve(p, &g.snap.Host, func(host string) ([]netip.Addr, error) {
		ctx, cancel := context.WithTimeout(g.ctx, nameTime)
		defer cancel()
		return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	})
	var bad *policy.NameError
	if errors.As(err, &bad) {
		return report.UnresolvedName(bad.Pos.File, bad.Pos.Line, bad.Name, bad.Err)
	}
	g.out.Policy = resolved
	return err
}

// policyProblem puts what is wrong with a policy file into words.
func policyProblem(err error) error {
	var e *policyfile.Error
	if !errors.As(err, &e) {
		return err
	}
	return report.PolicyProblem(e.Pos.File, e.Pos.Line, e.Problem.String(), e.Text, e.Want, e.Line2)
}

// writeFile puts a new text in the policy file's place.
func (g *guarding) writeFile(text []byte) error {
	err := writeAtomic(g.out.File, func(f *os.File) error {
		_, err := f.Write(text)
		return err
	})
	if err != nil {
		return report.CannotWrite(g.out.File, err)
	}
	return nil
}

// record is the policy as it is kept, with the connections there are to the doors for
// administrators right before the trial.
func (g *guarding) record(p *planned) (*guard.Record, error) {
	file, err := filepath.Abs(g.out.File)
	if err != nil {
		return nil, err
	}
	r := &guard.Record{Monban: 1, At: g.app.now().UTC(), File: file, Policy: *g.out.Policy}
	var ports []uint16
	for _, port := range g.administration(p) {
		ports = append(ports, port.Num)
	}
	for i, s := range p.sessions {
		if i == 0 && !s.unsure {
			r.From = s.over
		}
		ports = append(ports, s.over.To.Port())
	}
	r.Before = guard.Connections(ports)
	return r, nil
}
