package move

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Zone is what firewalld lets in by one of its active zones, in its own words.
type Zone struct {
	Name     string
	Services []string
	Ports    []string
	Rich     []string
}

// parseZones reads what firewall-cmd --get-active-zones writes: the names stand at
// the beginning of a line, the interfaces and sources of each below, indented.
func parseZones(out []byte) (names []string) {
	for line := range bytes.Lines(out) {
		word := strings.Fields(string(line) + " ")
		if len(word) > 0 && line[0] != ' ' && line[0] != '\t' {
			names = append(names, word[0])
		}
	}
	return names
}

// firewalldGates returns the commands that open another port in every zone that
// opens the old one, with the same sources. They change what is in force now, and
// Keep what is loaded at boot.
func firewalldGates(zones []Zone, from, to uint16) []Gate {
	var out []Gate
	add := func(zone, what, value string) {
		at, add, remove := "--zone="+zone, "--add-"+what+"="+value, "--remove-"+what+"="+value
		out = append(out, Gate{Do: []string{"firewall-cmd", "--quiet", at, add}, Undo: []string{"firewall-cmd", "--quiet", at, remove},
			Keep: []string{"firewall-cmd", "--quiet", "--permanent", at, add}, Unkeep: []string{"firewall-cmd", "--quiet", "--permanent", at, remove}})
	}
	old := fmt.Sprintf(`port port="%d" protocol="tcp"`, from)
	opened := fmt.Sprintf(`port port="%d" protocol="tcp"`, to)
	for _, z := range zones {
		if from == 22 && slices.Contains(z.Services, "ssh") || slices.Contains(z.Ports, fmt.Sprintf("%d/tcp", from)) {
			add(z.Name, "port", fmt.Sprintf("%d/tcp", to))
		}
		for _, rule := range z.Rich {
			moved := strings.ReplaceAll(rule, old, opened)
			if from == 22 {
				moved = strings.ReplaceAll(moved, `service name="ssh"`, opened)
			}
			if moved != rule {
				add(z.Name, "rich-rule", moved)
			}
		}
	}
	return out
}
