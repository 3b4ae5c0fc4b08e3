package report

import (
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// masked stands for a secret in every output.
const masked = "***"

// maskArgs returns an argument vector without its secrets: the value after a
// secret-looking flag, the value of a secret-looking KEY=VALUE, the password of
// a URL's user-info, and the value of an Authorization header. It returns args
// itself when there is nothing to hide.
func maskArgs(args []string) []string {
	out := args
	change := func(i int, s string) {
		if &out[0] == &args[0] {
			out = slices.Clone(args)
		}
		out[i] = s
	}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if m := maskText(arg); m != arg {
			change(i, m)
			continue
		}
		if !strings.HasPrefix(arg, "-") || i+1 == len(args) || strings.HasPrefix(args[i+1], "-") {
			continue
		}
		if name := strings.TrimLeft(arg, "-"); !strings.ContainsAny(name, "= ") && secretName(name) {
			change(i+1, masked)
			i++
		}
	}
	if m, i := maskShortPassword(out); i > 0 {
		change(i, m)
	}
	return out
}

// maskShortPassword finds the one short flag in wide use that carries a
// password glued to it: -pSECRET of the MySQL and MariaDB clients.
func maskShortPassword(args []string) (string, int) {
	if len(args) == 0 {
		return "", 0
	}
	base := args[0][strings.LastIndexByte(args[0], '/')+1:]
	if !strings.HasPrefix(base, "mysql") && !strings.HasPrefix(base, "mariadb") || strings.HasSuffix(base, "d") {
		return "", 0
	}
	for i, arg := range args {
		if i > 0 && len(arg) > 2 && strings.HasPrefix(arg, "-p") && !strings.HasPrefix(arg, "--") {
			return "-p" + masked, i
		}
	}
	return "", 0
}

// maskText hides the secrets inside one piece of text: a config line, a banner,
// an error message, or one argument. It knows key=value and key: value with a
// secret-looking key, URLs with a password, and bearer tokens.
func maskText(s string) string {
	if !strings.ContainsAny(s, "=:@ ") {
		return s
	}
	return maskPairs(maskBearer(maskURLs(s)))
}

// maskPairs hides the value of every secret-looking key that is followed by '='
// or ':' (a connection string has several).
func maskPairs(s string) string {
	var b strings.Builder
	rest := s
	for {
		i := strings.IndexAny(rest, "=:")
		if i < 0 {
			break
		}
		key := strings.TrimRight(rest[:i], " \t")
		key = key[lastNonName(key)+1:]
		b.WriteString(rest[:i+1])
		rest = rest[i+1:]
		// A colon in a URL ("https://") or in an address is no key: value.
		if !secretName(key) || strings.HasPrefix(rest, "//") {
			continue
		}
		value := strings.TrimLeft(rest, " \t")
		b.WriteString(rest[:len(rest)-len(value)])
		end := valueEnd(value)
		if strings.EqualFold(key, "authorization") {
			end = len(value) // "Basic dXNlcjpw": a scheme and then the secret
			if e := strings.IndexAny(value, "\"'\n"); e >= 0 {
				end = e
			}
		}
		if end > 0 {
			b.WriteString(masked)
		}
		rest = value[end:]
	}
	if b.Len() == 0 {
		return s
	}
	b.WriteString(rest)
	return b.String()
}

// lastNonName returns the index of the last byte of s that cannot be part of a
// key's name, or -1.
func lastNonName(s string) int {
	for i := len(s) - 1; i >= 0; i-- {
		if c := s[i]; c != '_' && c != '-' && c != '.' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return i
		}
	}
	return -1
}

// valueEnd returns the length of the value at the start of s.
func valueEnd(s string) int {
	if s == "" {
		return 0
	}
	if q := s[0]; q == '"' || q == '\'' {
		if end := strings.IndexByte(s[1:], q); end >= 0 {
			return end + 2
		}
		return len(s)
	}
	if end := strings.IndexAny(s, " \t\n;,&\"'"); end >= 0 {
		return end
	}
	return len(s)
}

// maskURLs hides the password in scheme://user:password@host, and a user-info
// without a colon when it is the whole of a token (https://TOKEN@host).
func maskURLs(s string) string {
	for from := 0; ; {
		i := strings.Index(s[from:], "://")
		if i < 0 {
			return s
		}
		start := from + i + len("://")
		from = start
		end := len(s)
		if e := strings.IndexAny(s[start:], "/?# \t\n\"'<>"); e >= 0 {
			end = start + e
		}
		at := strings.LastIndexByte(s[start:end], '@')
		if at < 0 {
			// A raw '/' inside the password ends the authority too early.
			if e := strings.IndexAny(s[start:], " \t\n\"'<>"); e >= 0 {
				end = start + e
			} else {
				end = len(s)
			}
			at = strings.IndexByte(s[start:end], '@')
			if at < 0 || !strings.Contains(s[start:start+at], ":") {
				continue
			}
		}
		info := s[start : start+at]
		user, _, found := strings.Cut(info, ":")
		if !found {
			user = ""
			if len(info) < 20 {
				continue // ssh://git@host: a name, not a token
			}
		} else {
			user += ":"
		}
		s = s[:start] + user + masked + s[start+at:]
		from = start + len(user) + len(masked)
	}
}

// maskBearer hides what follows "Bearer " and "Basic ".
func maskBearer(s string) string {
	for _, scheme := range []string{"Bearer ", "bearer ", "Basic ", "basic "} {
		if before, after, found := strings.Cut(s, scheme); found {
			end := valueEnd(after)
			if end >= 8 {
				s = before + scheme + masked + after[end:]
			}
		}
	}
	return s
}

// secretName reports whether name is one that carries a secret: it has one of
// the telling words as a part of its own ("--db-password", "API_KEY",
// "githubToken"), not as a part of another word ("--tokenizer", "keyboard").
func secretName(name string) bool {
	if strings.HasSuffix(strings.ToLower(name), "file") || strings.HasSuffix(strings.ToLower(name), "path") {
		return false // --password-file names a file, not a secret
	}
	words := splitWords(name)
	for i, w := range words {
		switch w {
		case "password", "passwd", "passphrase", "pass", "pwd", "secret", "secrets", "token", "apikey",
			"credential", "credentials", "authorization", "auth", "cookie", "dsn", "requirepass", "masterauth",
			"pw", "privkey", "accesskey", "secretkey", "sessionkey", "authtoken":
			return w != "auth" || i == len(words)-1
		case "key":
			if i > 0 {
				switch words[i-1] {
				case "api", "access", "secret", "private", "encryption", "master", "account", "session", "signing", "auth", "license":
					return true
				}
			}
		}
	}
	return false
}

// splitWords cuts a name at punctuation, digits and lower-to-upper changes, and
// lowers it.
func splitWords(name string) []string {
	var words []string
	start := 0
	flush := func(end int) {
		if end > start {
			words = append(words, strings.ToLower(name[start:end]))
		}
	}
	for i := range len(name) {
		c := name[i]
		lower, upper := c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z'
		switch {
		case !lower && !upper:
			flush(i)
			start = i + 1
		case upper && i > start && name[i-1] >= 'a' && name[i-1] <= 'z':
			flush(i)
			start = i
		}
	}
	flush(len(name))
	return words
}

// hideSecrets returns snap with every command line masked.
func hideSecrets(snap *monban.Snapshot, m masker) *monban.Snapshot {
	out := *snap
	out.Doors = m.doors(snap.Doors)
	out.Gaps = slices.Clone(snap.Gaps)
	for i := range out.Gaps {
		out.Gaps[i].Err = maskText(out.Gaps[i].Err)
	}
	return &out
}

// masker masks command lines once: the doors of one program share their owners.
type masker struct {
	seen map[*monban.Owner][]monban.Owner
}

func newMasker() masker { return masker{make(map[*monban.Owner][]monban.Owner)} }

func (m masker) doors(doors []monban.Door) []monban.Door {
	out := slices.Clone(doors)
	for i := range out {
		out[i].Owners = m.owners(out[i].Owners)
	}
	return out
}

func (m masker) owners(owners []monban.Owner) []monban.Owner {
	if len(owners) == 0 {
		return owners
	}
	if out, ok := m.seen[&owners[0]]; ok && len(out) == len(owners) {
		return out
	}
	out := slices.Clone(owners)
	for i := range out {
		if len(out[i].Command) > 0 {
			out[i].Command = maskArgs(out[i].Command)
		}
	}
	m.seen[&owners[0]] = out
	return out
}

func (m masker) findings(findings []monban.Finding) []monban.Finding {
	out := slices.Clone(findings)
	for i := range out {
		out[i].Doors = m.doors(out[i].Doors)
		out[i].Evidence = slices.Clone(out[i].Evidence)
		for j := range out[i].Evidence {
			out[i].Evidence[j].Text = maskText(out[i].Evidence[j].Text)
		}
	}
	return out
}
