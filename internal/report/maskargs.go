package report

import (
	"slices"
	"strings"
)

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
