package report

import "strings"

// masked stands for a secret in every output.
const masked = "***"

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
		key := strings.TrimRight(rest[:i], " \t\"'\\]") // {"password": …} has it in quotes, $cfg['password'] = … in brackets, too
		path := rest[i] == ':' && endsInPath(key)
		key = key[lastNonName(key)+1:]
		b.WriteString(rest[:i+1])
		rest = rest[i+1:]
		// A colon in a URL ("https://") or in an address is no key: value.
		if path || !secretName(key) || strings.HasPrefix(rest, "//") {
			continue
		}
		value := strings.TrimLeft(rest, " \t")
		b.WriteString(rest[:len(rest)-len(value)])
		end := valueEnd(value)
		if header(key) {
			end = len(value) // "Basic dXNlcjpw": a scheme and then the secret; "a=b; c=d"
			if e := strings.IndexAny(value, "\"'\r\n"); e > 0 {
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

// header reports whether key is a header whose whole line is secret.
func header(key string) bool {
	switch strings.ToLower(key) {
	case "authorization", "proxy-authorization", "cookie", "set-cookie":
		return true
	}
	return false
}

// endsInPath reports whether s ends in a file's path: "/etc/passwd: cut short"
// has no key and no value.
func endsInPath(s string) bool {
	s = s[strings.LastIndexAny(s, " \t\n\"'(")+1:]
	return strings.HasPrefix(s, "/") || strings.HasPrefix(s, "./") || strings.HasPrefix(s, "../") || strings.HasPrefix(s, "~/")
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
	if strings.HasPrefix(s, `\"`) { // JSON inside a JSON string
		if end := strings.Index(s[2:], `\"`); end >= 0 {
			return end + 4
		}
		return len(s)
	}
	if q := s[0]; q == '"' || q == '\'' {
		for i := 1; i < len(s); i++ {
			switch {
			case s[i] == '\\' && q == '"':
				i++
			case s[i] == q:
				return i + 1
			}
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
			if at < 0 {
				from = end // no URL up to here has user-info; looking again takes quadratic time
				continue
			}
			if !strings.Contains(s[start:start+at], ":") {
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
		case "secrets", "cookie", "dsn", "masterauth", "pw":
			return true
		case "auth":
			if i == len(words)-1 {
				return true
			}
		case "key":
			if i > 0 && secretKey(words[i-1]) {
				return true
			}
		default:
			if secretWord(w) {
				return true
			}
		}
	}
	return false
}

// secretWord reports whether a word tells of a secret by its end: names are
// often written together ("PGPASSWORD", "rpcpassword", "requirepass").
func secretWord(w string) bool {
	if key, found := strings.CutSuffix(w, "key"); found {
		for i := range key {
			if secretKey(key[i:]) {
				return true
			}
		}
		return false
	}
	for _, end := range []string{"password", "passwd", "passphrase", "pwd", "secret", "token", "credential", "credentials", "authorization"} {
		if strings.HasSuffix(w, end) {
			return true
		}
	}
	return strings.HasSuffix(w, "pass") && !strings.HasSuffix(w, "bypass") && !strings.HasSuffix(w, "compass") &&
		!strings.HasSuffix(w, "trespass") && !strings.HasSuffix(w, "overpass")
}

// secretKey reports whether a key of this kind is a secret.
func secretKey(kind string) bool {
	switch kind {
	case "api", "access", "secret", "private", "priv", "encryption", "master", "account", "session", "signing", "auth", "license":
		return true
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
