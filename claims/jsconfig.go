package claims

import "strings"

// jsSetting is a "key: value" of an object literal in JavaScript or TypeScript.
type jsSetting struct {
	path  string // the keys of the objects around it and its own: "server.port"
	value word   // up to the comma; without quotes if it is a string and nothing else
	exact bool   // the value is one literal
}

// jsSettings finds the settings in the object literals of a program, without
// running it: the keys in braces that stand behind a key. A brace behind
// anything else, such as a call or an arrow, begins a path anew, so that
// "export default defineConfig({ server: { port: 1 } })" has "server.port".
func jsSettings(data []byte) []jsSetting {
	j := jsScanner{text: string(data), line: 1}
	j.run()
	return j.out
}

type jsScanner struct {
	text  string
	at    int
	line  int
	start int
	stack []string // the path of each open brace; other brackets are jsOther
	key   string   // the key whose value begins here
	out   []jsSetting
}

const jsOther = "\x00"

func (j *jsScanner) move(to int) {
	for ; j.at < to && j.at < len(j.text); j.at++ {
		if j.text[j.at] == '\n' {
			j.line, j.start = j.line+1, j.at+1
		}
	}
}

// skip passes a comment, and reports whether there was one.
func (j *jsScanner) skip() bool {
	rest := j.text[j.at:]
	switch {
	case strings.HasPrefix(rest, "//"):
		if end := strings.IndexByte(rest, '\n'); end >= 0 {
			j.move(j.at + end)
		} else {
			j.at = len(j.text)
		}
		return true
	case strings.HasPrefix(rest, "/*"):
		if end := strings.Index(rest[2:], "*/"); end >= 0 {
			j.move(j.at + end + 4)
		} else {
			j.at = len(j.text)
		}
		return true
	}
	return false
}

// stringEnd is the index behind the string that begins at i.
func (j *jsScanner) stringEnd(i int) int {
	quote := j.text[i]
	for i++; i < len(j.text); i++ {
		switch c := j.text[i]; {
		case c == '\\':
			i++
		case c == quote:
			return i + 1
		case c == '\n' && quote != '`':
			return i
		}
	}
	return len(j.text)
}

func (j *jsScanner) run() {
	for j.at < len(j.text) {
		c := j.text[j.at]
		switch {
		case j.skip():
		case c == '{':
			j.open()
		case c == '[' || c == '(':
			j.stack = append(j.stack, jsOther)
			j.key = ""
			j.at++
		case c == '}' || c == ']' || c == ')':
			if len(j.stack) > 0 {
				j.stack = j.stack[:len(j.stack)-1]
			}
			j.key = ""
			j.at++
		case c == '"' || c == '\'' || c == '`':
			end := j.stringEnd(j.at)
			name := strings.Trim(j.text[j.at:end], "\"'`")
			j.move(end)
			j.keyed(name)
		case jsName(c):
			from := j.at
			for j.at < len(j.text) && jsName(j.text[j.at]) {
				j.at++
			}
			j.keyed(j.text[from:j.at])
		default:
			j.move(j.at + 1)
		}
		if len(j.stack) > maxNesting {
			return
		}
	}
}

func jsName(c byte) bool {
	return c == '_' || c == '$' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// open enters a brace: an object that belongs to a key, or one of its own.
func (j *jsScanner) open() {
	path := j.key
	if path != "" && len(j.stack) > 0 {
		if outer := j.stack[len(j.stack)-1]; outer != "" && outer != jsOther {
			path = outer + "." + path
		}
	}
	j.stack = append(j.stack, path)
	j.key = ""
	j.at++
}

// keyed is called behind a name: when a colon follows inside an object, the
// value that follows is its setting.
func (j *jsScanner) keyed(name string) {
	j.key = ""
	for j.at < len(j.text) && (strings.IndexByte(blanks+"\n", j.text[j.at]) >= 0 || j.skip()) {
		if j.at < len(j.text) && strings.IndexByte(blanks+"\n", j.text[j.at]) >= 0 {
			j.move(j.at + 1)
		}
	}
	if len(j.stack) == 0 || j.stack[len(j.stack)-1] == jsOther || j.at >= len(j.text) || j.text[j.at] != ':' {
		return
	}
	j.at++
	for j.at < len(j.text) && strings.IndexByte(blanks+"\n", j.text[j.at]) >= 0 {
		j.move(j.at + 1)
	}
	j.key = name
	if j.at >= len(j.text) || strings.IndexByte("{[(", j.text[j.at]) >= 0 {
		return
	}
	path := name
	if outer := j.stack[len(j.stack)-1]; outer != "" {
		path = outer + "." + name
	}
	j.value(path)
}

// maxLiteral bounds how far the end of a value is looked for.
const maxLiteral = 200

// value notes the value that begins here, up to the comma or the closing brace
// on its line. It is read again afterwards, for what it has in it.
func (j *jsScanner) value(path string) {
	end := j.at
	limit := min(len(j.text), j.at+maxLiteral)
	for end < limit && strings.IndexByte(",\n}", j.text[end]) < 0 {
		if c := j.text[end]; c == '"' || c == '\'' || c == '`' {
			end = j.stringEnd(end)
			continue
		}
		if strings.HasPrefix(j.text[end:], "//") || strings.HasPrefix(j.text[end:], "/*") {
			break
		}
		end++
	}
	w := word{text: strings.SplitN(j.text[j.at:end], "\n", 2)[0], line: j.line, col: j.at - j.start + 1}.trim()
	s := jsSetting{path: path, value: w}
	switch bare := w.unquote(); {
	case digits(w.text), w.text == "true", w.text == "false":
		s.exact = true
	case bare.quoted && !strings.ContainsAny(bare.text, "\"'\\"):
		s.value, s.exact = bare, true
	}
	j.out = append(j.out, s)
	if s.exact {
		j.move(end)
		j.key = ""
	}
}

// jsFind returns the last setting of a path.
func jsFind(settings []jsSetting, path string) (found jsSetting, ok bool) {
	for _, s := range settings {
		if s.path == path {
			found, ok = s, true
		}
	}
	return found, ok
}
