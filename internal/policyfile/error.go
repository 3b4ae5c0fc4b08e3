package policyfile

import (
	"fmt"

	"github.com/monban-dev/monban"
)

// Problem is what is wrong with a policy file.
type Problem uint8

// The problems. What [Error.Text] and [Error.Want] are stands beside them.
const (
	BadSyntax       Problem = iota + 1 // Text is the parser's word
	TooLong                            // more than 1 MiB, or too many entries
	NotMapping                         // something else where "key: value" should be
	NotList                            // something else than a list of entries below doors
	NoAlias                            // an anchor, alias or tag of YAML
	UnknownKey                         // Text is the key, Want the keys there are
	TwiceKey                           // Text is the key
	MissingKey                         // Want is the key
	NotText                            // Text is the key whose value is no plain text
	BadVersion                         // Text is the value
	BadDefault                         // Text is the value
	BadPort                            // Text is the value
	OpenPort0                          // port 0, which nothing listens at
	UnknownName                        // Text is the service, Want the nearest ones
	BadAudience                        // Text is the value
	HostBits                           // Text is the prefix, Want the one that may be meant
	BadHost                            // Text is the host name
	BadDevice                          // Text is the interface
	EmptyTo                            // to has no entry
	AnyAndMore                         // any beside others
	BadLimit                           // Text is the value
	BadUntil                           // Text is the value
	PastUntil                          // Text is the value
	LocalUntil                         // Text is the key that means nothing for a local door
	Duplicate                          // Text is what is said twice, Line2 the first time
	PortAndProtocol                    // port and proto in one entry
	BadProtocol                        // Text is the value of proto
	PortedProtocol                     // Text is a protocol that has ports
	EverOpen                           // Text is a protocol that no policy closes
	LimitedProtocol                    // a limit, which counts connections, beside proto
	NotThere                           // nothing to close: Text is the port
	PartOfRange                        // Text is the range that the port is a part of
	FlowList                           // all doors are in one [ ] list, which is not edited
	NotEdited                          // the text could not be changed so that it says the right thing
)

var problemNames = [...]string{BadSyntax: "bad-syntax", TooLong: "too-long", NotMapping: "not-a-mapping", NotList: "not-a-list",
	NoAlias: "alias", UnknownKey: "unknown-key", TwiceKey: "key-twice", MissingKey: "missing-key", NotText: "not-text",
	BadVersion: "bad-version", BadDefault: "bad-default", BadPort: "bad-port", OpenPort0: "port-0", UnknownName: "unknown-service",
	BadAudience: "bad-source", HostBits: "host-bits", BadHost: "bad-host-name", BadDevice: "bad-interface", EmptyTo: "empty-to",
	AnyAndMore: "any-and-more", BadLimit: "bad-limit", BadUntil: "bad-time", PastUntil: "time-past", LocalUntil: "local-only",
	Duplicate: "duplicate", PortAndProtocol: "port-and-proto", BadProtocol: "bad-proto", PortedProtocol: "proto-with-ports",
	EverOpen: "proto-always", LimitedProtocol: "proto-limit", NotThere: "not-there", PartOfRange: "part-of-range", FlowList: "flow-list", NotEdited: "not-edited"}

// String returns the machine code, such as "unknown-key".
func (p Problem) String() string {
	if int(p) < len(problemNames) {
		return problemNames[p]
	}
	return ""
}

// Error says what is wrong in a policy file, and where.
type Error struct {
	Pos     monban.Pos
	Problem Problem
	Text    string
	Want    []string
	Line2   int // of a Duplicate
}

// Error implements error.
func (e *Error) Error() string {
	where := e.Pos.File
	if e.Pos.Line > 0 {
		where = fmt.Sprintf("%s:%d", where, e.Pos.Line)
	}
	if e.Text == "" {
		return fmt.Sprintf("%s: %s", where, e.Problem)
	}
	return fmt.Sprintf("%s: %s: %q", where, e.Problem, e.Text)
}
