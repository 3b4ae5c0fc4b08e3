package report

import "strings"

// Lang is a language of the words for people.
type Lang uint8

// The languages.
const (
	EN Lang = iota
	JA
)

// ParseLang reads "ja" or "en", also in the forms of a locale: "ja_JP.UTF-8".
// ok is false for every other language.
func ParseLang(s string) (lang Lang, ok bool) {
	base, _, _ := strings.Cut(strings.ToLower(s), ".")
	base, _, _ = strings.Cut(strings.ReplaceAll(base, "-", "_"), "_")
	switch base {
	case "ja", "japanese":
		return JA, true
	case "en", "english", "c", "posix":
		return EN, true
	}
	return EN, false
}

// String returns "en" or "ja".
func (l Lang) String() string { return l.pick("en", "ja") }

// Pick returns the text of the language.
func (l Lang) pick(en, ja string) string {
	if l == JA {
		return ja
	}
	return en
}
