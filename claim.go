package monban

import "strconv"

// Pos is a place in a file. Its text form is "compose.yaml:7".
type Pos struct {
	// File is the path as a person would type it: relative to the directory
	// looked at where it lies below, else absolute. "" is no file.
	File string
	Line int // from 1; 0 is the file as a whole
	Col  int // byte of the line, from 1; 0 is the line as a whole
	// Len is how many bytes from Col on are the text in question, such as the
	// digits of a port: what has to be replaced to change it. 0 is none.
	Len int
}

// String returns "file:line", or "file" when the line is not known.
func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return p.File + ":" + strconv.Itoa(p.Line)
}

// Claim is one door that a program asks for when it starts: what a
// configuration file, a unit or a command line says, before anything has been
// opened. A program that opens two sockets for one line makes two claims.
type Claim struct {
	// Name is what the claim is called: the author's word in monban's own
	// claims file, a Compose service, a unit, a section of a configuration
	// file; else the program's name. It is never empty.
	Name string
	// By is the program or format that asks, as package claims knows it:
	// "apache", "nginx", "mariadb", "compose", "systemd", "claims".
	By string
	// Bind is what the program really binds, with the socket options it sets.
	// V6Only is unknown where the program leaves it to the system, whose
	// default is Host.BindV6Only; the others are unknown where nobody knows.
	// A host name that stands for two addresses has become two claims.
	Bind Bind
	// UpTo is the last port of a range of which the program takes the first
	// free one, beginning with Bind.Port, as Elasticsearch does with 9200–9300.
	// 0 means Bind.Port and no other.
	UpTo uint16
	// Listen reports that the program calls listen(2), as TCP servers do.
	Listen bool
	// UID is the user who binds. A daemon that starts as root and changes its
	// user later binds as 0. -1 is whoever starts it.
	UID int
	// BindService reports whether it holds CAP_NET_BIND_SERVICE apart from its
	// user; FlagUnknown means that UID decides.
	BindService Flag
	// FreeBind reports that it sets IP_FREEBIND, so that an address which is
	// not on this machine will do.
	FreeBind bool
	// OrIPv4 reports that the program takes the IPv4 wildcard instead of Bind's
	// IPv6 one where the machine has no IPv6.
	OrIPv4 bool
	// Tolerates says which failures of this door alone the program runs on
	// after, with a line in its log.
	Tolerates Tolerance
	// AtBoot reports whether the machine starts the program by itself, where a
	// service manager says so.
	AtBoot Flag
	// Default reports that no line says so: the program claims the port when
	// its directive is absent. Pos then is the file, or the block, without it.
	Default bool
	// Pos is where the port's number stands, or the closest thing to it.
	Pos Pos
	// Agree are the other places that name the same port and must change with
	// it: a VirtualHost for its Listen, a client's setting, a control panel.
	Agree []Pos
	// Program tells how to recognise the one who claims, when it runs already.
	Program Program
}

// Tolerance says which failures to open one of its doors a program runs on after.
type Tolerance uint8

// The tolerances, each wider than the one before.
const (
	ToleratesNothing Tolerance = iota
	ToleratesAddress           // the address or its family is not on this machine
	ToleratesAny               // whatever it is, as long as another door opens
)

var toleranceNames = [...]string{ToleratesNothing: "", ToleratesAddress: "address", ToleratesAny: "any"}

// String returns "", "address" or "any".
func (t Tolerance) String() string { return nameOf(toleranceNames[:], t) }

// MarshalText encodes t as [Tolerance.String] does.
func (t Tolerance) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText is the inverse of [Tolerance.MarshalText].
func (t *Tolerance) UnmarshalText(text []byte) error {
	return parseName(toleranceNames[:], text, "tolerance", t)
}

// Program is what tells a running program apart from strangers: a claim whose
// own program holds the port is no conflict. Every field that is not empty has
// something to say; empty ones say nothing.
type Program struct {
	// Exes are base names of executables, any of which may hold the port:
	// "apache2", "httpd".
	Exes []string
	// Units are systemd units, any of which may run it or hold its socket. "*"
	// stands for any instance: "postgresql@*.service".
	Units []string
	// Config is the absolute path of the main configuration file. It tells two
	// instances of one program apart where the command line names the file.
	Config string
	// Project and Service are those of Compose; Container is a container's name.
	Project, Service, Container string
	// Dir is the absolute path of the directory it is started in: a project's.
	Dir string
	// PID is set when the claim comes from a running program's command line.
	PID int
}

// HidesClaims is the subject of a gap that hides what files ask for. Its Source
// is the place, "httpd.conf:12".
const HidesClaims Subject = "claims"
