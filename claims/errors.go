package claims

import (
	"fmt"
	"strings"

	"github.com/monban-dev/monban"
)

// Problem is what is wrong with a file or a line.
type Problem uint8

// The problems.
const (
	TooLarge     Problem = iota + 1 // more than 4 MiB
	TooMany                         // more files than one reading opens
	TooDeep                         // includes nested too deeply
	DeepTree                        // directories nested too deeply
	Cycle                           // a file includes itself
	NotRegular                      // a pipe, a device, a directory
	Unreadable                      // the system refused to open it
	Missing                         // an included file is not there
	Outside                         // outside the tree that may be read
	BadSyntax                       // a line that the program would not understand either
	BadPort                         // not a port number, a range or a service name
	BadAddress                      // not an address
	Unresolved                      // a name that stands for an address, not known here
	Undefined                       // a variable without a value
	NotFollowed                     // decided elsewhere: a script's output, a plugin
	Unrecognised                    // no reader knows the file
	BadName                         // a directory's name that is no UTF-8
	UTF16                           // two bytes a character, as old Windows editors write
	TooMuch                         // a short text that stands for very many things
	DeepText                        // lists and mappings nested too deeply
)

// Error is a problem at a place.
type Error struct {
	Pos     monban.Pos
	Problem Problem
	Text    string // the offending text, or the system's own words
}

// Error implements error.
func (e *Error) Error() string { return e.Pos.String() + ": " + e.message() }

func (e *Error) message() string {
	switch e.Problem {
	case TooLarge:
		return fmt.Sprintf("larger than %d bytes", maxFile)
	case TooMany:
		return fmt.Sprintf("more than %d files", maxFiles)
	case TooDeep:
		return fmt.Sprintf("includes nested more than %d deep", maxDepth)
	case DeepTree:
		return fmt.Sprintf("directories nested more than %d deep", maxWalk)
	case DeepText:
		return fmt.Sprintf("lists and mappings nested more than %d deep", maxNesting)
	case Cycle:
		return fmt.Sprintf("includes itself by way of %q", e.Text)
	case NotRegular:
		return "not a regular file"
	case Missing:
		return fmt.Sprintf("no such file: %q", e.Text)
	case Outside:
		return fmt.Sprintf("outside the tree being read: %q", e.Text)
	case BadSyntax:
		return fmt.Sprintf(badSyntax+"%q", e.Text)
	case BadPort:
		return fmt.Sprintf(badPort+"%q", e.Text)
	case BadAddress:
		return fmt.Sprintf(badAddress+"%q", e.Text)
	case Unresolved:
		return fmt.Sprintf("address of %q is not known here", e.Text)
	case Undefined:
		return fmt.Sprintf("no value for %q", e.Text)
	case NotFollowed:
		return fmt.Sprintf("not followed: %q", e.Text)
	case BadName:
		return fmt.Sprintf("a name that is not in UTF-8 cannot be read: %q", e.Text)
	case UTF16:
		return "text in UTF-16, and not in UTF-8"
	case TooMuch:
		return "stands for too many things"
	case Unrecognised:
		return "not a configuration file that is known here"
	default:
		return e.Text
	}
}

// gap turns a problem into what is missing from the answer.
func (e *Error) gap() monban.Gap {
	return monban.Gap{Source: e.Pos.String(), Err: e.message(), Hides: monban.HidesClaims}
}

// Broken reports whether a gap says that a line of a file is wrong, and not only
// that something it leads to could not be followed from here.
func Broken(g monban.Gap) bool {
	return g.Hides == monban.HidesClaims && (strings.HasPrefix(g.Err, badSyntax) || strings.HasPrefix(g.Err, badPort) ||
		strings.HasPrefix(g.Err, badAddress))
}

// How the messages of broken lines begin.
const (
	badSyntax  = "not understood: "
	badPort    = "not a port: "
	badAddress = "not an address: "
)
