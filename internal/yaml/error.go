package yaml

import "fmt"

// Error is what is wrong with an input, and where.
type Error struct {
	Problem      Problem
	Line, Column int // from 1, in bytes
	// Text is the anchor, handle or directive that is not known; else "".
	Text string
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("yaml: line %d: %s", e.Line, e.Message())
}

// Message is the error without its place.
func (e *Error) Message() string {
	if e.Text != "" {
		return fmt.Sprintf("%s: %q", e.Problem, e.Text)
	}
	return e.Problem.String()
}

// Problem is a kind of error.
type Problem uint8

// The problems.
const (
	NotText         Problem = iota + 1 // no UTF-8, or a character that may not be
	TooDeep                            // collections in one another
	TooLarge                           // more nodes or handles than are read
	Tab                                // where indentation is counted
	BadStart                           // no node may begin with this character
	NoKey                              // in a mapping, or a key that is indented otherwise than the others
	NoColon                            // behind a key, or a key of more than a line
	NoDash                             // in a sequence
	NoNode                             // where one has to be
	NoFlowSequence                     // "," or "]" is missing
	NoFlowMapping                      // "," or "}" is missing
	NoDocument                         // "---" is missing
	Behind                             // a value, on its line
	ValueHere                          // ":" where no mapping can be
	KeyHere                            // "?" where no mapping can be
	EntryHere                          // "-" where no sequence can be
	MarkerInside                       // "---", "..." or "%" at the start of a line in brackets or quotes
	OpenQuote                          // without its end
	OpenBracket                        // without its end
	BadEscape                          // behind a backslash
	BadHeader                          // behind "|" or ">"
	BadName                            // of an anchor or alias
	BadTag                             // or what stands around it
	BadDirective                       // or what stands behind it
	Twice                              // an anchor, tag or directive
	AliasProperties                    // an anchor or tag of an alias
	UnknownAnchor                      // Text is the alias
	UnknownHandle                      // Text is the handle of a tag
	BadVersion                         // Text is the version of YAML
)

// String returns a phrase in lower case.
func (p Problem) String() string {
	if int(p) < len(problemText) {
		return problemText[p]
	}
	return ""
}

var problemText = [...]string{
	NotText:         "a character that YAML does not allow",
	TooDeep:         "nested too deep",
	TooLarge:        "too many values",
	Tab:             "a tab, where only spaces indent",
	BadStart:        "no value begins with this character",
	NoKey:           "expected a key, indented as those before",
	NoColon:         "expected ':' behind the key, on its line",
	NoDash:          "expected '- ', indented as those before",
	NoNode:          "expected a value",
	NoFlowSequence:  "expected ',' or ']'",
	NoFlowMapping:   "expected ',' or '}'",
	NoDocument:      "expected the end of the document or '---'",
	Behind:          "nothing can follow the value on its line: look at the quotes and the brackets",
	ValueHere:       "no 'key: value' can be here: look at the indentation and the quotes",
	KeyHere:         "no '? ' can be here",
	EntryHere:       "no '- ' can be here",
	MarkerInside:    "the document ends within quotes or brackets",
	OpenQuote:       "the quotes are not closed",
	OpenBracket:     "the brackets are not closed",
	BadEscape:       "not an escape",
	BadHeader:       "expected the end of the line behind '|' or '>'",
	BadName:         "not the name of an anchor",
	BadTag:          "not a tag",
	BadDirective:    "not a directive",
	Twice:           "the anchor, tag or directive is given twice",
	AliasProperties: "an alias has no anchor or tag of its own",
	UnknownAnchor:   "no anchor of this name",
	UnknownHandle:   "no tag handle of this name",
	BadVersion:      "not a version of YAML that can be read",
}
