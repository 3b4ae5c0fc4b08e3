package identify

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/monban-dev/monban"
)

// fileGreetings are servers of files and versions that speak first.
func fileGreetings() []signature {
	return []signature{
		{name: "rsync", ports: []uint16{873}, read: readRsync, talk: talkRsync},
		{name: "svn", ports: []uint16{3690}, read: readSVN, talk: talkSVN},
	}
}

func fileQuestions() []signature {
	return []signature{
		{name: "git", ports: []uint16{9418}, ask: askGit, read: readGit},
		{name: "distcc", ports: []uint16{3632}, ask: func(question) []byte { return askDistcc() }, read: readDistcc},
	}
}

// readRsync takes "@RSYNCD: 31.0" and what newer versions add.
func readRsync(_ question, said []byte) (monban.Service, match) {
	line, m := firstLine(said)
	if m != yes {
		return none(min(m, begins(said, "@RSYNCD: ")))
	}
	rest, ok := strings.CutPrefix(line, "@RSYNCD: ")
	version, _, _ := strings.Cut(rest, " ")
	if !ok || leadingVersion(version) != version {
		return none(no)
	}
	return seems("rsync", []byte(line)), yes
}

// talkRsync asks for the list of modules, as `rsync host::` does.
func talkRsync(c *conn, s monban.Service) monban.Service {
	answer := c.ask([]byte("@RSYNCD: 30.0\n#list\n"), func(said []byte) int {
		if i := bytes.Index(said, []byte("@RSYNCD: EXIT\n")); i >= 0 {
			return i + 14
		}
		if bytes.HasPrefix(said, []byte("@ERROR")) {
			return aLine(said)
		}
		return 0
	})
	if answer != nil {
		s.Grade = monban.GradeIdentified
	}
	return s
}

// readSVN takes the greeting of svnserve: "protocol" in the notes of
// Subversion's libsvn_ra_svn.
func readSVN(_ question, said []byte) (monban.Service, match) {
	const start = "( success ( "
	if m := begins(said, start); m != yes {
		return none(m)
	}
	end := bytes.Index(said, []byte(") ) "))
	if end < 0 {
		if len(said) > 1024 || !printable(said) {
			return none(no)
		}
		return none(more)
	}
	words := strings.Fields(string(said[len(start):end]))
	if len(words) < 3 {
		return none(no)
	}
	for _, w := range words[:2] {
		if _, err := strconv.Atoi(w); err != nil {
			return none(no)
		}
	}
	return seems("svn", said), yes
}

// talkSVN answers the greeting. The server goes on with its ways to log in, or
// with a failure.
func talkSVN(c *conn, s monban.Service) monban.Service {
	url := "svn://" + c.authority() + "/"
	answer := c.ask(fmt.Appendf(nil, "( 2 ( edit-pipeline svndiff1 ) %d:%s ) ", len(url), url), func(said []byte) int {
		return bytes.Index(said, []byte(") ) ")) + 1
	})
	if bytes.HasPrefix(answer, []byte("( success ( ( ")) || bytes.HasPrefix(answer, []byte("( failure ( ( ")) {
		s.Grade = monban.GradeIdentified
	}
	return s
}

// askGit asks for a repository that there is not: "pack-protocol" in Git's
// technical documentation.
func askGit(q question) []byte {
	line := fmt.Sprintf("git-upload-pack /monban-%08x\x00host=%s\x00", q.id, q.target.Addr().WithZone(""))
	return fmt.Appendf(nil, "%04x%s", len(line)+4, line)
}

func readGit(_ question, said []byte) (monban.Service, match) {
	if len(said) < 8 {
		for _, b := range said[:min(4, len(said))] {
			if !strings.ContainsRune("0123456789abcdef", rune(b)) {
				return none(no)
			}
		}
		if len(said) > 4 {
			return none(begins(said[4:], "ERR "))
		}
		return none(more)
	}
	n, err := strconv.ParseUint(string(said[:4]), 16, 16)
	if err != nil || n < 8 || n > 1000 || string(said[4:8]) != "ERR " {
		return none(no)
	}
	if len(said) < int(n) {
		return none(more)
	}
	return is("git", said), yes
}

// askDistcc has nothing compiled: "protocol" in the notes of distcc. There is no
// smaller request that is answered.
func askDistcc() []byte {
	var b []byte
	for i, word := range []string{"cc", "-c", "monban.c", "-o", "monban.o"} {
		if i == 0 {
			b = append(b, "DIST00000001ARGC00000005"...)
		}
		b = fmt.Appendf(b, "ARGV%08x%s", len(word), word)
	}
	return append(b, "DOTI00000000"...)
}

func readDistcc(_ question, said []byte) (monban.Service, match) {
	const done = "DONE0000000"
	if m := begins(said, done); m != yes || len(said) < 16 {
		return none(min(m, more))
	}
	if said[11] < '1' || said[11] > '3' || string(said[12:16]) != "STAT" {
		return none(no)
	}
	return is("distcc", said), yes
}
