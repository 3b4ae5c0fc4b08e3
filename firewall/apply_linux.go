package firewall

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/firewall/internal/nfnl"
)

func readGuard() (*Guard, error) {
	table, generation, err := readOwn()
	if err != nil {
		return nil, err
	}
	return guardOf(table, generation)
}

// readOwn reads monban's own table as it is, nil if there is none, and the
// ruleset's generation.
func readOwn() (*monban.Table, uint32, error) {
	c, err := nfnl.Dial()
	if err != nil {
		return nil, 0, err
	}
	defer c.Close()
	for range attempts {
		var t *monban.Table
		var generation uint32
		if t, generation, err = readOwnOnce(c); err == nil {
			return t, generation, nil
		}
		if !errors.Is(err, nfnl.ErrChanged) {
			break
		}
	}
	return nil, 0, err
}

func readOwnOnce(c *nfnl.Conn) (*monban.Table, uint32, error) {
	before, err := c.Generation()
	if err != nil {
		return nil, 0, fmt.Errorf("asking for the generation: %w", err)
	}
	r := reader{generation: before}
	err = c.Dump(nfnl.Tables, familyInet, nil, func(family uint8, attrs []byte) error {
		t, err := parseTable(family, attrs)
		if family == familyInet && t.Name == ownTable {
			r.addTable(family, t)
		}
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	if len(r.tables) == 0 {
		return nil, before, nil
	}
	for _, dump := range [...]struct {
		kind nfnl.Kind
		add  func(uint8, []byte) error
	}{{nfnl.Chains, r.addChain}, {nfnl.Sets, r.addSet}, {nfnl.Rules, r.addRule}} {
		if err := c.Dump(dump.kind, familyInet, nil, dump.add); err != nil {
			return nil, 0, err
		}
	}
	r.decode(Options{AllSets: true})
	for _, h := range r.tables[0].sets {
		if h.set.Dynamic {
			continue // what it counts is no part of the policy
		}
		var p elementParser
		question := nfnl.AppendString(nfnl.AppendString(nil, 1, ownTable), 2, h.set.Name)
		err := c.Dump(nfnl.Elements, familyInet, question, func(_ uint8, attrs []byte) error { return p.message(attrs) })
		if errors.Is(err, unix.ENOENT) {
			err = nfnl.ErrChanged
		}
		if err != nil {
			return nil, 0, err
		}
		h.fill(p.elements)
	}
	after, err := c.Generation()
	if err != nil {
		return nil, 0, fmt.Errorf("asking for the generation: %w", err)
	}
	if after != before {
		return nil, 0, nfnl.ErrChanged
	}
	return r.ruleset().Table(monban.TableInet, ownTable), before, nil
}

func tryOut(rules *monban.Ruleset, timeout time.Duration, generation uint32) error {
	t := rules.Table(monban.TableInet, ownTable)
	old, now, err := readOwn()
	if err != nil {
		return err
	}
	g, err := guardOf(old, now)
	switch {
	case err != nil:
		return err
	case g.Trial != nil:
		return ErrTrial
	case generation != 0 && generation != now:
		return ErrChanged
	}
	b, err := try(old, t, now, timeout)
	if err != nil {
		return err
	}
	return commit(b)
}

// persist does what depends on nobody's rules but monban's own, again where somebody
// else has changed any in between: at boot others load theirs at the same moment.
func persist(do func() error) error {
	for range attempts {
		if err := do(); !errors.Is(err, ErrChanged) {
			return err
		}
	}
	return ErrChanged
}

func settleTrial(write func(*monban.Table, uint32) (*batch, error), needTrial bool) error {
	return persist(func() error { return settleOnce(write, needTrial) })
}

func settleOnce(write func(*monban.Table, uint32) (*batch, error), needTrial bool) error {
	old, now, err := readOwn()
	if err != nil {
		return err
	}
	g, err := guardOf(old, now)
	switch {
	case err != nil:
		return err
	case needTrial && g.Trial == nil, old == nil:
		return ErrNoTrial
	}
	b, err := write(old, now)
	if err != nil {
		return err
	}
	if err := commit(b); errors.Is(err, unix.ENOENT) {
		return ErrNoTrial
	} else {
		return err
	}
}

func loadNow(rules *monban.Ruleset) error {
	return persist(func() error { return loadOnce(rules) })
}

func loadOnce(rules *monban.Ruleset) error {
	old, now, err := readOwn()
	if err != nil {
		return err
	}
	switch g, err := guardOf(old, now); {
	case err != nil:
		return err
	case g.Trial != nil:
		return ErrTrial
	}
	b, err := replace(old, rules.Table(monban.TableInet, ownTable), now)
	if err != nil {
		return err
	}
	return commit(b)
}

func remove() error { return persist(removeOnce) }

func removeOnce() error {
	old, now, err := readOwn()
	if err != nil || old == nil {
		return err
	}
	if _, err := guardOf(old, now); err != nil {
		return err
	}
	b := newBatch(ownTable, now)
	b.delTable()
	return commit(b)
}

// answerTime bounds a transaction: the kernel takes it or not within the system
// call, and only a very large one takes long.
const answerTime = 30 * time.Second

// commit hands a transaction to the kernel. Nothing of it is in force when it
// returns an error.
func commit(b *batch) error {
	data, last, err := b.end()
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	timeout := unix.NsecToTimeval(int64(answerTime))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	// The whole transaction is one message, which must fit into the buffer.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 2*len(data)+1<<16); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if err := unix.Sendto(fd, data, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("send", err)
	}
	return answers(fd, last)
}

// answers reads what the kernel says to a transaction until it has said something
// about the last message or refused an earlier one.
func answers(fd int, last uint32) error {
	buf := make([]byte, 1<<16)
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return os.NewSyscallError("recvfrom", err)
		}
		ne := binary.NativeEndian
		for m := buf[:n]; len(m) >= 20; {
			size := int(ne.Uint32(m))
			if size < 20 || size > len(m) {
				return errors.New("malformed answer of nf_tables")
			}
			const typeError = 2
			if ne.Uint16(m[4:]) == typeError {
				errno := unix.Errno(-int32(ne.Uint32(m[16:])))
				switch {
				case errno == unix.ERESTART:
					return ErrChanged
				case errno != 0:
					return fmt.Errorf("nf_tables, message %d: %w", ne.Uint32(m[8:]), errno)
				case ne.Uint32(m[8:]) == last:
					return nil
				}
			}
			m = m[min(len(m), (size+3)&^3):]
		}
	}
}
