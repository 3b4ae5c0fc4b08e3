package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

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

// say fills the sentence of the language. A Japanese sentence sets its arguments
// apart by spaces, which belong around Latin letters only: "nginx は 別のユーザー"
// reads as one word too many, so a space between an argument that begins or ends
// in Japanese and a Japanese word goes. The arguments themselves stay as they are.
func (l Lang) say(en, ja string, args ...any) string {
	if l != JA || !strings.Contains(ja, " ") {
		return fmt.Sprintf(l.pick(en, ja), args...)
	}
	return fillJapanese(ja, args)
}

// fillJapanese is [Lang.say] in Japanese.
func fillJapanese(format string, args []any) string {
	var out strings.Builder
	next := 0
	for {
		at := strings.IndexByte(format, '%')
		if at < 0 || at+1 == len(format) {
			out.WriteString(format)
			return out.String()
		}
		before, verb := format[:at], format[at:]
		end := 1 + strings.IndexFunc(verb[1:], func(r rune) bool { return r == '%' || unicode.IsLetter(r) })
		verb, format = verb[:end+1], verb[end+1:]
		if verb == "%%" {
			out.WriteString(before + "%")
			continue
		}
		if flags, rest, ok := strings.Cut(verb, "["); ok { // "%[2]s" takes the second
			num, kind, _ := strings.Cut(rest, "]")
			if n, err := strconv.Atoi(num); err == nil {
				next = n - 1
			}
			verb = flags + kind
		}
		text := verb
		if next < len(args) {
			text = fmt.Sprintf(verb, args[next])
		}
		next++
		if inner, ok := strings.CutSuffix(before, " "); ok && endsJapanese(inner) && startsJapanese(text) {
			before = inner
		}
		if inner, ok := strings.CutPrefix(format, " "); ok && endsJapanese(text) && startsJapanese(inner) {
			format = inner
		}
		out.WriteString(before + text)
	}
}

func startsJapanese(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return r == '(' || isJapanese(r)
}

func endsJapanese(s string) bool {
	r, _ := utf8.DecodeLastRuneInString(s)
	return r == ')' || isJapanese(r)
}

// isJapanese reports whether r is a letter or a mark of Japanese writing.
func isJapanese(r rune) bool {
	return '\u3000' <= r && r <= '\u30ff' || '\u3400' <= r && r <= '\u9fff' || '\uff00' <= r && r <= '\uffef'
}

// seconds is a short time for people: "10 s".
func (l Lang) seconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + l.pick(" s", " 秒")
}

// flagDuration is a time as people write it after a flag: "1h", where Go writes
// "1h0m0s".
func flagDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
