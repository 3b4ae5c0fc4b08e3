package move

import (
	"bytes"
	"fmt"
	"path"
	"strings"
)

// Socket is a systemd socket unit as systemd itself has it loaded.
type Socket struct {
	// Listen are its addresses in the words of a unit file: "ListenStream=[::]:22".
	Listen []string `json:"listen"`
	// Service is the service that it starts, "" where each connection has its own
	// (Accept=yes).
	Service string `json:"service"`
	// Final is the drop-in of an earlier move, nil where there is none.
	Final []byte `json:"final,omitempty"`
}

// parseSocket reads what systemctl show says of a socket unit. ok is false where a
// kind of socket is not known: it could not be put back.
func parseSocket(out []byte) (s Socket, ok bool) {
	accept := false
	ok = true
	for line := range bytes.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSpace(string(line)), "=")
		switch key {
		case "Listen":
			addr, kind, found := strings.Cut(value, " (")
			kind = strings.TrimSuffix(kind, ")")
			switch kind {
			case "Stream", "Datagram", "SequentialPacket":
			default:
				found = false
			}
			ok = ok && found
			s.Listen = append(s.Listen, "Listen"+kind+"="+addr)
		case "Triggers":
			s.Service, _, _ = strings.Cut(value, " ")
		case "Accept":
			accept = value == "yes"
		}
	}
	if accept {
		s.Service = ""
	}
	return s, ok && len(s.Listen) > 0
}

// at returns the lines of one port, for another. What systemd shows for a bare
// number is [::]:N, and means the same.
func (s *Socket) at(from, to uint16) (moved, rest []string) {
	suffix := fmt.Sprintf(":%d", from)
	for _, line := range s.Listen {
		if head, ok := strings.CutSuffix(line, suffix); ok && strings.HasPrefix(line, "ListenStream=") {
			moved = append(moved, fmt.Sprintf("%s:%d", head, to))
		} else {
			rest = append(rest, line)
		}
	}
	return moved, rest
}

// The directories of drop-ins: those of the trial are gone after a reboot.
const (
	runtimeUnits = "/run/systemd/system"
	etcUnits     = "/etc/systemd/system"
)

// The drop-ins' names come behind those of others, and the trial's behind the one
// that stays: the last word counts.
const (
	trialName = "zz-monban-trial.conf"
	finalName = "zz-monban-move.conf"
)

const written = "# Written by \"monban move ssh\".\n"

// trialDropIn adds the new port, behind every other drop-in, and puts everything
// back at once should the socket not come up. With a generator the ports come
// from sshd_config.
func (p *Plan) trialDropIn() string {
	text := written + "[Unit]\nOnFailure=" + backUnit + ".service\n"
	if p.Truth.Way == BySocket {
		moved, _ := p.Socket.at(p.Truth.Old, p.New)
		text += "[Socket]\n" + strings.Join(moved, "\n") + "\n"
	}
	return text
}

// closingDropIn is what the trial's drop-in becomes when the old port goes.
func closingDropIn() string { return written + "[Unit]\nOnFailure=" + backUnit + ".service\n" }

// finalDropIn says which ports there are, the old one not among them.
func (p *Plan) finalDropIn() string {
	moved, rest := p.Socket.at(p.Truth.Old, p.New)
	return written + "[Socket]\nListenStream=\n" + strings.Join(append(moved, rest...), "\n") + "\n"
}

// serviceDropIn ties the service to its socket. Without it systemd refuses to
// restart a socket whose service runs ("Socket service already active", measured
// with 252), after it has closed it; with it both restart in one transaction.
func (p *Plan) serviceDropIn() string {
	return fmt.Sprintf("%s[Unit]\nRequires=%s\nAfter=%[2]s\n", written, p.Truth.Unit)
}

func (p *Plan) trialPath() string {
	return path.Join(runtimeUnits, p.Truth.Unit+".d", trialName)
}
func (p *Plan) servicePath() string {
	return path.Join(runtimeUnits, p.Socket.Service+".d", trialName)
}
func (p *Plan) finalPath() string {
	return path.Join(etcUnits, p.Truth.Unit+".d", finalName)
}
