package portbook

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook/internal/registry"
)

// Layer says which part of the book a [Hit] comes from.
type Layer uint8

// The layers.
const (
	Registry Layer = iota + 1
	Practice
)

// String returns "registry" or "practice".
func (l Layer) String() string {
	if l == Practice {
		return "practice"
	}
	return "registry"
}

// MarshalText encodes l as [Layer.String] does.
func (l Layer) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// Hit is a row of the book that [Book.Search] found.
type Hit struct {
	// Ports is where; AnyProto when several transports have the same row.
	Ports monban.PortRange
	Layer Layer
	Name  string
	// Title is the name for people, as [Use.Title] has it.
	Title Text
	// Note is the description. The registry's is the same English text in
	// both languages.
	Note Text

	score int
}

// Scores of a word by where it is found. A row's score is the sum over the words
// of the best place of each.
const (
	inText     = 10 // somewhere in a description
	startsText = 20 // at the beginning of one of its words
	inName     = 40
	startsName = 60
	isKind     = 70 // the kind of a use: every database, for "database"
	isName     = 100
	isNumber   = 120
	practised  = 5 // of two equal rows, the one of practice comes first
)

// Search returns up to limit rows that have every word of query in their name or
// in a description of either language, or its number, the best first. Case does
// not matter. A query without a word finds nothing.
func (b *Book) Search(query string, limit int) []Hit {
	if len(query) > maxQuery {
		return nil
	}
	words := parseWords(query)
	if len(words) == 0 {
		return nil
	}
	hits := append(searchPractice(words), b.searchRegistry(words)...)
	slices.SortStableFunc(hits, func(a, b Hit) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.Ports.First, b.Ports.First), cmp.Compare(a.Ports.Proto, b.Ports.Proto))
	})
	return hits[:min(len(hits), max(limit, 0))]
}

const maxQuery = 256

// word is a word of a query in lower case.
type word struct {
	text     string
	num      uint16
	isNumber bool // text is the port number num
}

func parseWords(query string) []word {
	var words []word
	for _, text := range strings.Fields(strings.ToLower(query)) {
		num, err := strconv.ParseUint(text, 10, 16)
		words = append(words, word{text, uint16(num), err == nil})
	}
	return words
}

func searchPractice(words []word) []Hit {
	var hits []Hit
	for i := range uses {
		u := &uses[i]
		score := rate(words, u.Ports, func(w string) int {
			best := max(rateName(u.Name, w), rateName(u.nameJA, w), rateText(u.Note.EN, w), rateText(u.Note.JA, w), rateKind(u.Kind, w))
			for _, name := range u.Aliases {
				best = max(best, rateName(name, w))
			}
			for _, name := range u.Programs {
				best = max(best, rateName(name, w))
			}
			return best
		})
		if score > 0 {
			hits = append(hits, Hit{u.Ports, Practice, u.Name, u.Title(), u.Note, score + practised})
		}
	}
	return hits
}

func (b *Book) searchRegistry(words []word) []Hit {
	var hits []Hit
	var lastName, lastDescription string
	missed := false
	for row := range b.registry.Len() {
		port := b.registry.Port(row)
		at := monban.PortRange{First: port.Num, Last: port.Num, Proto: port.Proto}
		name, description := b.registry.Name(row), b.registry.Description(row)
		// Most rows say of UDP what the row before said of TCP.
		if missed && name == lastName && description == lastDescription && !b.registry.HasAliases(row) {
			continue
		}
		lastName, lastDescription = name, description
		score := rate(words, at, func(w string) int {
			best := max(rateName(name, w), rateText(description, w))
			if b.registry.HasAliases(row) {
				for _, alias := range b.registry.Aliases(row) {
					best = max(best, rateName(alias, w)-1)
				}
			}
			return best
		})
		missed = score == 0
		if !missed {
			hits = appendHit(hits, Hit{at, Registry, name, Text{name, name}, Text{description, description}, score})
		}
	}
	return hits
}

// appendHit appends h, unless another transport of the same number says the same.
func appendHit(hits []Hit, h Hit) []Hit {
	for i := len(hits) - 1; i >= 0 && hits[i].Ports.First == h.Ports.First; i-- {
		if hits[i].Name == h.Name && hits[i].Note == h.Note {
			hits[i].Ports.Proto = monban.AnyProto
			return hits
		}
	}
	return append(hits, h)
}

// rate returns the score of a row for all words, 0 if one of them is missing.
func rate(words []word, ports monban.PortRange, one func(word string) int) int {
	total := 0
	for _, w := range words {
		score := one(w.text)
		if w.isNumber && ports.Contains(monban.Port{Num: w.num}) {
			score = isNumber
		}
		if score <= 0 {
			return 0
		}
		total += score
	}
	return total
}

func rateKind(k Kind, word string) int {
	if text := k.Text(); strings.EqualFold(text.EN, word) || text.JA == word || k.String() == word {
		return isKind
	}
	return 0
}

func rateName(name, word string) int {
	switch at := indexFold(name, word); {
	case at < 0:
		return 0
	case len(name) == len(word):
		return isName
	case at == 0:
		return startsName
	default:
		return inName
	}
}

// rateText rates word in a sentence. Its beginning in the middle of a word counts
// less, so that "git" does not find "digital" first; Japanese has no spaces, so
// any place is a beginning there.
func rateText(text, word string) int {
	at := indexFold(text, word)
	if at < 0 {
		return 0
	}
	for at >= 0 {
		before, _ := utf8.DecodeLastRuneInString(text[:at])
		if before >= utf8.RuneSelf || !unicode.IsLetter(before) && !unicode.IsDigit(before) || at == 0 {
			return startsText
		}
		next := indexFold(text[at+1:], word)
		if next < 0 {
			break
		}
		at += 1 + next
	}
	return inText
}

// indexFold is strings.Index with ASCII letters of s taken in lower case.
func indexFold(s, lower string) int {
	for i := 0; i+len(lower) <= len(s); i++ {
		if registry.Lower(s[i]) == lower[0] && registry.FoldCompare(s[i:i+len(lower)], lower) == 0 {
			return i
		}
	}
	return -1
}
