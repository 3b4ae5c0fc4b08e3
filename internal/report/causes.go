package report

import (
	"strconv"
	"strings"
)

// causeWords says in one language why a door does not open.
type causeWords struct {
	title string
	why   string
	fixes []string // what to do, the smallest safe step first
}

// causeEntry is one cause of package conflict, in the words for people. N stands
// for the port number; other words in capitals stand for names to fill in.
type causeEntry struct {
	id     string
	en, ja causeWords
}

// causeText says what the cause id of package conflict means and what to do.
// The title is empty if the id is unknown.
func causeText(id string, lang Lang) (title, why string, fixes []string) {
	for _, family := range [...][]causeEntry{generalCauses[:], macCauses[:], winCauses[:], containerCauses[:], quietCauses[:]} {
		for i := range family {
			if e := &family[i]; e.id == id {
				w := &e.en
				if lang == JA {
					w = &e.ja
				}
				return w.title, w.why, w.fixes
			}
		}
	}
	return "", "", nil
}

// fillPort writes the port number where a text of causeText has N.
func fillPort(text string, port uint16) string { return fillWord(text, strconv.Itoa(int(port))) }

// fillWord writes a word where a text of causeText has N: PORT, like the other
// words that are to be filled in, where nobody has named a number.
func fillWord(text, num string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		before := i == 0 || !isASCIILetter(text[i-1])
		after := i+1 == len(text) || !isASCIILetter(text[i+1])
		if text[i] == 'N' && before && after {
			b.WriteString(num)
			continue
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

func isASCIILetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
