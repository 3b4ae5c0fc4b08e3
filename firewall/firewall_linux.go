package firewall

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/firewall/internal/nfnl"
)

// attempts is how often a ruleset that changes meanwhile is read again. A
// container engine that starts changes it many times in a second.
const attempts = 10

func read(o Options) (*monban.Ruleset, []monban.Gap) {
	gaps := legacy()
	c, err := nfnl.Dial()
	if err != nil {
		return nil, append(gaps, gap("nf_tables", err))
	}
	defer c.Close()
	for range attempts {
		var rules *monban.Ruleset
		if rules, err = readOnce(c, o); err == nil {
			return rules, gaps
		}
		if !errors.Is(err, nfnl.ErrChanged) {
			break
		}
	}
	return nil, append(gaps, gap("nf_tables", err))
}

// readOnce reads the ruleset, and fails with nfnl.ErrChanged where that changed.
func readOnce(c *nfnl.Conn, o Options) (*monban.Ruleset, error) {
	before, err := c.Generation()
	if err != nil {
		return nil, fmt.Errorf("asking for the generation: %w", err)
	}
	r := reader{generation: before}
	if err := r.dump(c, o); err != nil {
		return nil, err
	}
	// Without a table there is one dump, and that is of one moment.
	if len(r.tables) == 0 || c.Still(before) {
		return r.ruleset(), nil
	}
	after, err := c.Generation()
	if err != nil {
		return nil, fmt.Errorf("asking for the generation: %w", err)
	}
	if after != before {
		return nil, nfnl.ErrChanged
	}
	return r.ruleset(), nil
}

func (r *reader) dump(c *nfnl.Conn, o Options) error {
	err := c.Dump(nfnl.Tables, 0, nil, func(family uint8, attrs []byte) error {
		t, err := parseTable(family, attrs)
		r.addTable(family, t)
		return err
	})
	if err != nil || len(r.tables) == 0 {
		return err
	}
	if err := c.Dump(nfnl.Chains, 0, nil, r.addChain); err != nil {
		return err
	}
	if err := c.Dump(nfnl.Sets, 0, nil, r.addSet); err != nil {
		return err
	}
	if err := c.Dump(nfnl.Rules, 0, nil, r.addRule); err != nil {
		return err
	}
	r.decode(o)
	r.strict = slices.ContainsFunc(r.tables, func(t *tableReader) bool { return t.untracks }) && strictTCP()
	for _, t := range r.tables {
		for _, h := range t.sets {
			if !h.used {
				h.set.Unread = true
				continue
			}
			var p elementParser
			question := nfnl.AppendString(nfnl.AppendString(nil, 1, t.table.Name), 2, h.set.Name)
			err := c.Dump(nfnl.Elements, t.family, question, func(_ uint8, attrs []byte) error { return p.message(attrs) })
			if errors.Is(err, unix.ENOENT) {
				err = nfnl.ErrChanged // it was there a moment ago
			}
			if err != nil {
				return err
			}
			h.fill(p.elements)
			h.set.Limit = cmp.Or(h.set.Limit, p.limit)
		}
	}
	return nil
}

// strictTCP reads whether tracking takes up TCP connections in their middle.
func strictTCP() bool {
	text, err := readSmall("/proc/sys/net/netfilter/nf_conntrack_tcp_loose")
	return err == nil && strings.TrimSpace(string(text)) == "0"
}

// legacy notices the tables of the older packet filter, iptables-legacy, whose
// rules nf_tables does not know.
func legacy() (gaps []monban.Gap) {
	for _, name := range [...]string{"ip_tables_names", "ip6_tables_names"} {
		path := "/proc/thread-self/net/" + name
		text, err := readSmall(path)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
			// Without the module there is no file. Without privilege nf_tables
			// says so, too, and one gap is enough.
		case err != nil:
			gaps = append(gaps, gap(path, err))
		case len(text) > 0:
			gaps = append(gaps, gap(path, errors.New("iptables-legacy tables in use: "+strings.Join(strings.Fields(string(text)), " "))))
		}
	}
	return gaps
}

// readSmall reads a short file of /proc by three system calls. os.ReadFile takes
// nine, among them those that make a poller for it.
func readSmall(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	buf := make([]byte, 1024) // names of tables: there are five
	n, err := unix.Read(fd, buf)
	return buf[:max(n, 0)], err
}
