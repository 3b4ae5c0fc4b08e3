package identify

import (
	"encoding/binary"
	"strings"

	"github.com/monban-dev/monban"
)

// sshGreetings: RFC 4253.
func sshGreetings() []signature {
	return []signature{{name: "ssh", ports: []uint16{22, 2222}, read: readSSH, talk: talkSSH}}
}

// readSSH reads the identification string, RFC 4253 section 4.2. The lines that
// a server may send before it are not waited for: no server in use does.
func readSSH(_ question, said []byte) (monban.Service, match) {
	line, m := firstLine(said)
	if m != yes || !strings.HasPrefix(line, "SSH-") {
		return none(min(m, begins(said, "SSH-"), more))
	}
	return sshBanner(line)
}

func sshBanner(line string) (monban.Service, match) {
	_, rest, _ := strings.Cut(line, "-")
	version, software, ok := strings.Cut(rest, "-")
	if !ok || version != "2.0" && version != "1.99" && version != "1.5" || software == "" {
		return none(no)
	}
	s := seems("ssh", []byte(line))
	word, _, _ := strings.Cut(software, " ")
	// OpenSSH_9.2p1, dropbear_2022.83, libssh_0.10.4, lancom1.0
	if product, v, ok := strings.Cut(word, "_"); ok && leadingVersion(v) != "" {
		s.Product, s.Version = product, leadingVersion(v)
	} else if product, v, ok := strings.Cut(word, "-"); ok && leadingVersion(v) != "" {
		s.Product, s.Version = product, leadingVersion(v)
	} else {
		s.Product = word
	}
	return s, yes
}

// talkSSH names itself, as both sides do, and waits for the server's offer of
// algorithms. Nothing is negotiated.
func talkSSH(c *conn, s monban.Service) monban.Service {
	_, after, _ := strings.Cut(string(c.said), "\n")
	c.said = []byte(after)
	c.say([]byte("SSH-2.0-monban\r\n"))
	c.hearUntil(func(said []byte) bool { return len(said) >= 6 })
	if isKexInit(c.said) {
		s.Grade = monban.GradeIdentified
	}
	return s
}

// isKexInit reports whether a binary packet is SSH_MSG_KEXINIT: RFC 4253
// sections 6 and 7.1.
func isKexInit(said []byte) bool {
	if len(said) < 6 {
		return false
	}
	length, padding := binary.BigEndian.Uint32(said), uint32(said[4])
	return length >= 16 && length <= 35000 && padding >= 4 && padding < length && said[5] == 20
}
