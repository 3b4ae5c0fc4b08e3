package report

import (
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// masked stands for a secret in every output.
const masked = "***"

// maskArgs returns an argument vector without its secrets: the value of a
// secret-looking flag or KEY=VALUE, that of a short flag which is known to
// carry one, and what [maskText] finds. An argument that is a command line
// (sh -c '…') is treated as one. It returns args itself when there is nothing to
// hide.
func maskArgs(args []string) []string {
	out := slices.Clone(args)
	program := programOf(args)
	for i := 0; i < len(out); i++ {
		arg := out[i]
		if program == "sshpass" && !strings.HasPrefix(arg, "-") {
			program = programOf(out[i:]) // it runs another one
		}
		switch {
		case arg == "&&" || arg == "||" || arg == "|" || strings.HasSuffix(arg, ";"):
			program = programOf(args[i+1:])
			out[i] = maskArg(arg)
		case i+1 < len(out) && secretFlag(program, arg) && !longFlag(out[i+1]):
			i++
			out[i] = masked
		case i+1 < len(out) && userFlag(program, arg):
			i++
			out[i] = maskUser(out[i])
		default:
			out[i] = maskGlued(program, maskArg(arg))
		}
	}
	if slices.Equal(out, args) {
		return args
	}
	return out
}

// maskArg masks one argument by itself.
func maskArg(arg string) string {
	if key, value, found := strings.Cut(arg, "="); found && value != "" && lastNonName(key) < 0 && secretName(key) {
		return key + "=" + masked
	}
	if strings.ContainsAny(arg, " \t\n") {
		return maskLine(arg)
	}
	return maskText(arg)
}

// maskLine masks a text that may be, or quote, a command line.
func maskLine(line string) string {
	line = maskText(line)
	words, spaces := splitLine(line)
	if len(words) == 1 { // it may all be in quotes
		inner := strings.Trim(line, "\"' \t\n")
		if len(inner) == len(line) || !strings.ContainsAny(inner, " \t\n") {
			return line
		}
		at := strings.Index(line, inner)
		return line[:at] + maskLine(inner) + line[at+len(inner):]
	}
	var b strings.Builder
	for i, w := range maskArgs(words) {
		b.WriteString(w)
		b.WriteString(spaces[i])
	}
	return b.String()
}

// splitLine cuts a line into words and the white space behind each, as a shell
// would, but leaves the quotes where they are. The first word is empty where the
// line begins with white space.
func splitLine(line string) (words, spaces []string) {
	for first := true; first || line != ""; first = false {
		end := wordEnd(line)
		rest := strings.TrimLeft(line[end:], " \t\n")
		words = append(words, line[:end])
		spaces = append(spaces, line[end:len(line)-len(rest)])
		line = rest
	}
	return words, spaces
}

// wordEnd returns the length of the word at the start of line. White space
// belongs to it between quotes that open at its start or behind a '='.
func wordEnd(line string) int {
	for i := 0; i < len(line); i++ {
		switch c := line[i]; c {
		case ' ', '\t', '\n':
			return i
		case '"', '\'':
			if i > 0 && line[i-1] != '=' {
				continue
			}
			if end := strings.IndexByte(line[i+1:], c); end >= 0 {
				i += end + 1
			}
		}
	}
	return len(line)
}

// programOf returns the base name of the program that a command line runs,
// behind the wrappers that people put in front.
func programOf(args []string) string {
	for _, arg := range args {
		if arg == "" || arg[0] == '-' || arg[0] >= '0' && arg[0] <= '9' || strings.Contains(arg, "=") {
			continue // a wrapper's flag, number or variable
		}
		base := strings.TrimSuffix(arg[strings.LastIndexAny(arg, "/\\")+1:], ".exe")
		switch base {
		case "env", "sudo", "doas", "exec", "nohup", "nice", "setsid", "timeout", "time":
			continue
		}
		return base
	}
	return ""
}

// secretFlag reports whether the argument after flag is a secret.
func secretFlag(program, flag string) bool {
	switch program {
	case "redis-cli", "valkey-cli":
		if flag == "-a" {
			return true
		}
	case "sshpass", "mongo", "mongosh":
		if flag == "-p" {
			return true
		}
	}
	return strings.HasPrefix(flag, "-") && !strings.ContainsAny(flag, "=: ") && secretName(flag)
}

// longFlag reports whether arg looks like --name.
func longFlag(arg string) bool {
	name, found := strings.CutPrefix(arg, "--")
	return found && name != "" && lastNonName(name) < 0
}

// userFlag reports whether the argument after flag is user:password.
func userFlag(program, flag string) bool {
	return program == "curl" && (flag == "-u" || flag == "--user" || flag == "-U" || flag == "--proxy-user")
}

// maskUser masks the password of user:password.
func maskUser(s string) string {
	if user, _, found := strings.Cut(s, ":"); found {
		return user + ":" + masked
	}
	return s
}

// maskGlued masks a secret that is glued to a short flag, as in mysql -pSECRET.
func maskGlued(program, arg string) string {
	if len(arg) < 3 || arg[0] != '-' || arg[1] == '-' {
		return arg
	}
	flag := arg[:2]
	switch {
	case userFlag(program, flag):
		return maskUser(arg)
	case flag == "-p" && mysqlClient(program), flag == "-p" && program == "sshpass":
		return flag + masked
	}
	return arg
}

// mysqlClient reports whether program is one of the MySQL and MariaDB clients;
// the server is mysqld.
func mysqlClient(program string) bool {
	return (strings.HasPrefix(program, "mysql") || strings.HasPrefix(program, "mariadb")) &&
		!strings.HasSuffix(program, "d") && !strings.Contains(program, ".")
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

// hideSecrets returns snap with every command line masked.
func hideSecrets(snap *monban.Snapshot, m masker) *monban.Snapshot {
	out := *snap
	out.Doors = m.doors(snap.Doors)
	out.Gaps = maskGaps(snap.Gaps)
	out.Containers = slices.Clone(snap.Containers)
	for i := range out.Containers {
		out.Containers[i].Image = maskReference(out.Containers[i].Image)
		out.Containers[i].Project = maskReference(out.Containers[i].Project)
	}
	return &out
}

func maskGaps(gaps []monban.Gap) []monban.Gap {
	out := slices.Clone(gaps)
	for i := range out {
		out[i].Err = maskText(out[i].Err)
	}
	return out
}

func maskFixes(fixes []monban.Fix) []monban.Fix {
	out := slices.Clone(fixes)
	for i := range out {
		out[i].Command = maskArgs(out[i].Command)
		out[i].Args = slices.Clone(out[i].Args)
		for j, arg := range out[i].Args {
			out[i].Args[j] = maskReference(arg)
		}
	}
	return out
}

// maskReference masks the user-info of an image reference. Elsewhere in one a
// colon is no secret's: "registry/vault-token:1.0".
func maskReference(s string) string {
	s = maskURLs(s)
	host, path, found := strings.Cut(s, "/")
	if user, at, ok := strings.Cut(host, "@"); found && ok && strings.Contains(user, ":") {
		return maskUser(user) + "@" + at + "/" + path
	}
	return s
}

// masker masks command lines once: the doors of one program share their owners.
// The doors of a snapshot are most often those that are shown.
type masker struct {
	seen  map[*monban.Owner][]monban.Owner
	lists map[*monban.Door][]monban.Door
}

func newMasker() masker {
	return masker{make(map[*monban.Owner][]monban.Owner), make(map[*monban.Door][]monban.Door)}
}

func (m masker) doors(doors []monban.Door) []monban.Door {
	if len(doors) == 0 {
		return doors
	}
	if out, ok := m.lists[&doors[0]]; ok && len(out) == len(doors) {
		return out
	}
	out := doors
	for i := range doors {
		owners := m.owners(doors[i].Owners)
		if len(owners) == 0 || &owners[0] == &doors[i].Owners[0] {
			continue
		}
		if &out[0] == &doors[0] { // most often nothing is secret, and 10,000 doors are not copied
			out = slices.Clone(doors)
		}
		out[i].Owners = owners
	}
	m.lists[&doors[0]] = out
	return out
}

func (m masker) owners(owners []monban.Owner) []monban.Owner {
	if len(owners) == 0 {
		return owners
	}
	if out, ok := m.seen[&owners[0]]; ok && len(out) == len(owners) {
		return out
	}
	out := owners
	for i := range owners {
		command := maskArgs(owners[i].Command)
		if slices.Equal(command, owners[i].Command) {
			continue
		}
		if &out[0] == &owners[0] {
			out = slices.Clone(owners)
		}
		out[i].Command = command
	}
	m.seen[&owners[0]] = out
	return out
}

func (m masker) judgement(j monban.Judgement) monban.Judgement {
	j.Against, j.Fix, j.Missing = m.doors(j.Against), maskFixes(j.Fix), maskGaps(j.Missing)
	return j
}

func (m masker) findings(findings []monban.Finding) []monban.Finding {
	out := slices.Clone(findings)
	for i := range out {
		out[i].Doors = m.doors(out[i].Doors)
		out[i].Fix = maskFixes(out[i].Fix)
		out[i].Evidence = slices.Clone(out[i].Evidence)
		for j := range out[i].Evidence {
			out[i].Evidence[j].Text = maskText(out[i].Evidence[j].Text)
		}
	}
	return out
}
