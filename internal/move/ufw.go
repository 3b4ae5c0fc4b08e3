package move

import (
	"bytes"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// Gate is one rule that another firewall's own command adds, and how to take it
// back. Keep makes it stay, where Do alone does not outlive a restart, and Unkeep
// takes that back.
type Gate struct {
	Do     []string `json:"do"`
	Undo   []string `json:"undo"`
	Keep   []string `json:"keep,omitempty"`
	Unkeep []string `json:"unkeep,omitempty"`
}

// tuples returns the lines by which ufw knows its own rules:
// "allow tcp 22 0.0.0.0/0 any 192.0.2.0/24 in".
func tuples(root fs.FS, name string) []string {
	var out []string
	text, _ := fs.ReadFile(root, name)
	for line := range bytes.Lines(text) {
		if t, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "### tuple ### "); ok {
			out = append(out, t)
		}
	}
	return out
}

// ufwGates returns the commands that do for another port what ufw's rules do for
// the old one, in their order and with the same sources. ok is false where a rule
// is not understood.
func ufwGates(rules []string, from, to uint16) (out []Gate, ok bool) {
	ok = true
	for _, rule := range rules {
		w := strings.Fields(rule)
		if len(w) < 7 {
			return nil, false
		}
		action, proto, dport, dst, sport, src := w[0], w[1], w[2], w[3], w[4], w[5]
		rest := w[6:]
		if len(rest) >= 3 { // the applications of destination and source stand between
			rest = rest[2:]
		}
		if !slices.Contains([]string{"any", "tcp"}, proto) || dport == "any" || !covers(strings.Split(dport, ","), from) || covers(strings.Split(dport, ","), to) {
			continue
		}
		action, _, _ = strings.Cut(action, "_") // allow_log
		direction, device, _ := strings.Cut(rest[0], "_")
		if direction != "in" || sport != "any" || !slices.Contains([]string{"allow", "limit", "deny", "reject"}, action) {
			ok = ok && direction != "in" // what goes out, or through, is not about who comes in
			continue
		}
		cmd := []string{action}
		if device != "" {
			cmd = append(cmd, "in", "on", device)
		}
		cmd = append(cmd, "proto", "tcp", "from", everywhere(src), "to", everywhere(dst), "port", strconv.Itoa(int(to)))
		g := Gate{Do: append([]string{"ufw"}, cmd...), Undo: append([]string{"ufw", "delete"}, cmd...)}
		// ufw keeps a rule for both families as two; one command makes them both.
		if !slices.ContainsFunc(out, func(o Gate) bool { return slices.Equal(o.Do, g.Do) }) {
			out = append(out, g)
		}
	}
	return out, ok
}

func everywhere(prefix string) string {
	if prefix == "0.0.0.0/0" || prefix == "::/0" {
		return "any"
	}
	return prefix
}
