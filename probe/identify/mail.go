package identify

import (
	"bytes"
	"strings"

	"github.com/monban-dev/monban"
)

// mailGreetings are the protocols of mail, and FTP, which greets like SMTP.
func mailGreetings() []signature {
	return []signature{
		{name: "smtp", read: read220, talk: talk220},
		{name: "pop3", read: readPOP3, talk: talkPOP3},
		{name: "imap", read: readIMAP, talk: talkIMAP},
		{name: "sieve", read: readSieve, talk: talkSieve},
		{name: "nntp", read: readNNTP, talk: talkNNTP},
	}
}

// reply is the end of a reply of SMTP, LMTP, FTP and NNTP in said: RFC 5321
// section 4.2, RFC 959 section 4.2. Lines between the first, "220-", and the
// last, "220 ", are free in FTP. It is 0 where the reply is not whole, and
// negative where it is none.
func reply(said []byte) int {
	if len(said) < 4 {
		for _, b := range said {
			if !isDigit(b) {
				return -1
			}
		}
		return 0
	}
	if !isCode(said) || said[3] != ' ' && said[3] != '-' && said[3] != '\r' && said[3] != '\n' {
		return -1
	}
	code := said[:3]
	for end := 0; ; {
		i := bytes.IndexByte(said[end:], '\n')
		if i < 0 {
			if end > 8192 || !printable(said) {
				return -1
			}
			return 0
		}
		line := said[end : end+i]
		end += i + 1
		if !printable(line) {
			return -1
		}
		if bytes.HasPrefix(line, code) && (len(line) == 3 || line[3] != '-') {
			return end
		}
	}
}

func isCode(b []byte) bool {
	return len(b) >= 3 && b[0] >= '1' && b[0] <= '5' && isDigit(b[1]) && isDigit(b[2])
}

// read220 takes the greeting of SMTP, LMTP and FTP. Which of them it is, words
// may suggest and [talk220] finds out.
func read220(_ question, said []byte) (monban.Service, match) {
	n := reply(said)
	switch {
	case n < 0 || len(said) > 0 && begins(said, "220") == no && begins(said, "421") == no && begins(said, "554") == no:
		return none(no)
	case n == 0:
		return none(more)
	}
	greeting := said[:n]
	s := monban.Service{Evidence: cut(string(greeting))}
	text := strings.ToUpper(string(greeting))
	switch {
	case strings.Contains(text, "LMTP"):
		s.Protocol = "lmtp"
	case strings.Contains(text, "SMTP"):
		s.Protocol = "smtp"
	case strings.Contains(text, "FTP"):
		s.Protocol = "ftp"
	}
	if s.Protocol != "" {
		s.Grade = monban.GradeLikely
	}
	s.Product, s.Version = mailProduct(string(greeting))
	return s, yes
}

// mailProduct finds what servers of mail and files call themselves in their
// greetings.
func mailProduct(greeting string) (product, version string) {
	for _, p := range []struct{ says, product string }{
		{"Postfix", "Postfix"}, {"Exim", "Exim"}, {"OpenSMTPD", "OpenSMTPD"}, {"Sendmail", "Sendmail"},
		{"Microsoft ESMTP MAIL Service", "Microsoft Exchange"}, {"Haraka", "Haraka"}, {"MailHog", "MailHog"},
		{"vsFTPd", "vsftpd"}, {"ProFTPD", "ProFTPD"}, {"Pure-FTPd", "Pure-FTPd"}, {"FileZilla Server", "FileZilla Server"},
		{"Microsoft FTP Service", "Microsoft FTP Service"}, {"pyftpdlib", "pyftpdlib"},
		{"Dovecot", "Dovecot"}, {"Cyrus", "Cyrus"}, {"Courier", "Courier"},
	} {
		if strings.Contains(greeting, p.says) {
			return p.product, versionAfter(greeting, p.says)
		}
	}
	return "", ""
}

// talk220 asks in the protocol that the greeting suggests, then in the others.
func talk220(c *conn, s monban.Service) monban.Service {
	if !strings.HasPrefix(s.Evidence, "220") {
		return s // it has refused us, and would any question
	}
	tries := []func(*conn, monban.Service) (monban.Service, bool){asSMTP, asFTP, asLMTP}
	switch s.Protocol {
	case "ftp":
		tries[0], tries[1] = tries[1], tries[0]
	case "lmtp":
		tries[0], tries[2] = tries[2], tries[0]
	}
	for _, try := range tries {
		if t, ok := try(c, s); ok {
			return t
		}
		if c.err != nil {
			break
		}
	}
	return s
}

func code(answer []byte) string {
	if len(answer) < 3 {
		return ""
	}
	return string(answer[:3])
}

// asSMTP: RFC 5321 section 4.1.1.1, RFC 3207.
func asSMTP(c *conn, s monban.Service) (monban.Service, bool) {
	return asMail(c, s, "smtp", "EHLO monban.invalid\r\n")
}

// asLMTP: RFC 2033.
func asLMTP(c *conn, s monban.Service) (monban.Service, bool) {
	return asMail(c, s, "lmtp", "LHLO monban.invalid\r\n")
}

func asMail(c *conn, s monban.Service, protocol, hello string) (monban.Service, bool) {
	answer := c.ask([]byte(hello), reply)
	if code(answer) != "250" {
		return s, false
	}
	s.Protocol, s.Grade = protocol, monban.GradeIdentified
	if bytes.Contains(answer, []byte("STARTTLS")) && code(c.ask([]byte("STARTTLS\r\n"), reply)) == "220" {
		return c.startTLS(s), true
	}
	c.say([]byte("QUIT\r\n"))
	return s, true
}

// asFTP: RFC 959, RFC 2389 (FEAT), RFC 4217 (AUTH TLS). FEAT is answered before
// a login by most, and refused with 530 by the others; SYST likewise.
func asFTP(c *conn, s monban.Service) (monban.Service, bool) {
	features := c.ask([]byte("FEAT\r\n"), reply)
	answer := code(features)
	if answer == "500" || answer == "502" {
		answer = code(c.ask([]byte("SYST\r\n"), reply))
	}
	if answer != "211" && answer != "215" && answer != "530" {
		return s, false
	}
	s.Protocol, s.Grade = "ftp", monban.GradeIdentified
	if bytes.Contains(features, []byte("AUTH")) && bytes.Contains(features, []byte("TLS")) && code(c.ask([]byte("AUTH TLS\r\n"), reply)) == "234" {
		return c.startTLS(s), true
	}
	c.say([]byte("QUIT\r\n"))
	return s, true
}

// readPOP3: RFC 1939 section 4.
func readPOP3(_ question, said []byte) (monban.Service, match) {
	line, m := firstLine(said)
	if m != yes || !strings.HasPrefix(line, "+OK") {
		return none(min(m, begins(said, "+OK")))
	}
	if line != "+OK" && line[3] != ' ' {
		return none(no)
	}
	s := seems("pop3", []byte(line))
	s.Product, s.Version = mailProduct(line)
	return s, yes
}

// talkPOP3 asks for capabilities: RFC 2449. A server that has no such command
// says -ERR, which is a valid answer too.
func talkPOP3(c *conn, s monban.Service) monban.Service {
	answer := c.ask([]byte("CAPA\r\n"), func(said []byte) int {
		if bytes.HasPrefix(said, []byte("-ERR")) {
			return aLine(said)
		}
		if begins(said, "+OK") == no {
			return -1
		}
		if i := bytes.Index(said, []byte("\n.\r\n")); i >= 0 {
			return i + 4
		}
		return 0
	})
	if answer == nil {
		return s
	}
	s.Grade = monban.GradeIdentified
	if bytes.Contains(answer, []byte("\nSTLS\r")) && bytes.HasPrefix(c.ask([]byte("STLS\r\n"), aLine), []byte("+OK")) {
		return c.startTLS(s)
	}
	c.say([]byte("QUIT\r\n"))
	return s
}

// readIMAP: RFC 9051 section 7.1.
func readIMAP(_ question, said []byte) (monban.Service, match) {
	line, m := firstLine(said)
	if m != yes {
		return none(min(m, begins(said, "* ")))
	}
	if !strings.HasPrefix(line, "* OK ") && !strings.HasPrefix(line, "* PREAUTH ") && !strings.HasPrefix(line, "* BYE ") {
		return none(no)
	}
	s := seems("imap", []byte(line))
	s.Product, s.Version = mailProduct(line)
	return s, yes
}

func talkIMAP(c *conn, s monban.Service) monban.Service {
	if strings.HasPrefix(s.Evidence, "* BYE") {
		return s
	}
	answer := c.ask([]byte("m1 CAPABILITY\r\n"), tagged("m1 "))
	if !bytes.Contains(bytes.ToUpper(answer), []byte("* CAPABILITY ")) {
		return s
	}
	s.Grade = monban.GradeIdentified
	if bytes.Contains(answer, []byte("STARTTLS")) && bytes.HasPrefix(c.ask([]byte("m2 STARTTLS\r\n"), tagged("m2 ")), []byte("m2 OK")) {
		return c.startTLS(s)
	}
	c.say([]byte("m3 LOGOUT\r\n"))
	return s
}

// tagged is the end of an IMAP answer: the line with the command's tag.
func tagged(tag string) func(said []byte) int {
	return func(said []byte) int {
		at := 0
		for line := range bytes.Lines(said) {
			at += len(line)
			if bytes.HasPrefix(line, []byte(tag)) && bytes.HasSuffix(line, []byte("\n")) {
				return at
			}
		}
		return 0
	}
}

// readSieve: ManageSieve lists its capabilities as a greeting, RFC 5804 section
// 1.7. The whole greeting has a form of its own.
func readSieve(_ question, said []byte) (monban.Service, match) {
	if m := begins(bytes.ToUpper(said), `"IMPLEMENTATION" "`); m != yes {
		return none(m)
	}
	end := sieveEnd(said)
	if end <= 0 {
		if end < 0 || len(said) > 8192 {
			return none(no)
		}
		return none(more)
	}
	s := seems("sieve", said[:end])
	_, implementation, _ := strings.Cut(string(said), `" "`)
	s.Product, _, _ = strings.Cut(implementation, `"`)
	if s.Product != "" && strings.HasPrefix(s.Product, "Dovecot") {
		s.Product = "Dovecot Pigeonhole"
	}
	return s, yes
}

// sieveEnd is the end of a ManageSieve answer: a line that begins with OK, NO or
// BYE.
func sieveEnd(said []byte) int {
	at := 0
	for line := range bytes.Lines(said) {
		at += len(line)
		if !bytes.HasSuffix(line, []byte("\n")) {
			return 0
		}
		switch {
		case bytes.HasPrefix(line, []byte("OK")), bytes.HasPrefix(line, []byte("NO")), bytes.HasPrefix(line, []byte("BYE")):
			return at
		case line[0] != '"':
			return -1
		}
	}
	return 0
}

func talkSieve(c *conn, s monban.Service) monban.Service {
	answer := c.ask([]byte("CAPABILITY\r\n"), sieveEnd)
	if answer == nil {
		return s
	}
	s.Grade = monban.GradeIdentified
	if bytes.Contains(answer, []byte(`"STARTTLS"`)) && bytes.HasPrefix(c.ask([]byte("STARTTLS\r\n"), sieveEnd), []byte("OK")) {
		return c.startTLS(s)
	}
	c.say([]byte("LOGOUT\r\n"))
	return s
}

// readNNTP: RFC 3977 section 5.1.
func readNNTP(_ question, said []byte) (monban.Service, match) {
	if begins(said, "200 ") == no && begins(said, "201 ") == no {
		return none(no)
	}
	line, m := firstLine(said)
	if m != yes {
		return none(m)
	}
	s := monban.Service{Evidence: cut(line)}
	if strings.Contains(line, "InterNetNews") {
		s.Product, s.Version = "INN", versionAfter(line, " INN ")
	}
	if strings.HasPrefix(line, "200 Leafnode NNTP ") || strings.HasPrefix(line, "201 Leafnode NNTP ") {
		s.Product, s.Version = "Leafnode", versionAfter(line, " version ")
	}
	return s, yes
}

func talkNNTP(c *conn, s monban.Service) monban.Service {
	answer := c.ask([]byte("CAPABILITIES\r\n"), reply)
	if code(answer) == "101" && bytes.Contains(c.said, []byte("VERSION")) || code(answer) == "101" && c.hear() && bytes.Contains(c.said, []byte("VERSION")) {
		s.Protocol, s.Grade = "nntp", monban.GradeIdentified
	} else if code(answer) == "500" && isDate(c.ask([]byte("DATE\r\n"), reply)) {
		s.Protocol, s.Grade = "nntp", monban.GradeIdentified // older than RFC 3977: the time as in RFC 2980 section 3.2
	}
	c.say([]byte("QUIT\r\n"))
	return s
}

// isDate reports whether an answer is the time as NNTP tells it: 111 and fourteen
// digits.
func isDate(answer []byte) bool {
	text, ok := bytes.CutPrefix(bytes.TrimRight(answer, "\r\n"), []byte("111 "))
	return ok && len(text) == 14 && len(bytes.Trim(text, "0123456789")) == 0
}
