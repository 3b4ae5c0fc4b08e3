package portbook

import (
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// Text is a sentence in the two languages of the book.
type Text struct{ EN, JA string }

// In returns the Japanese text for lang "ja" and the English one otherwise.
func (t Text) In(lang string) string {
	if lang == "ja" {
		return t.JA
	}
	return t.EN
}

// Kind is what sort of service a use is. The zero Kind is KindUnknown.
type Kind uint8

// The kinds.
const (
	KindUnknown Kind = iota
	Database
	Cache
	Queue      // message brokers and streams
	Admin      // a control interface: who reaches it commands the machine or cluster
	Monitoring // metrics, logs and dashboards
	Debug      // debuggers, inspectors, remote control of a running program
	Storage    // block, object and cluster storage
	File       // file sharing and transfer
	Remote     // shells and desktops from afar
	Directory  // users, names of users, keys
	Web
	Dev // development servers
	Proxy
	Mail
	DNS
	VPN
	Network  // addresses, routes, time, discovery
	RPC      // port mappers and call endpoints
	Print    // printers
	Media    // streaming, telephony, casting
	Chat     // messages between people
	Game     // game servers
	IoT      // homes and sensors
	Industry // process control
	PeerToPeer
	AI
	Build   // version control, package registries, continuous integration
	Desktop // helpers of desktop programs
)

var kindNames = [...]string{"unknown", "database", "cache", "queue", "admin", "monitoring", "debug", "storage", "file",
	"remote", "directory", "web", "dev", "proxy", "mail", "dns", "vpn", "network", "rpc", "print", "media", "chat", "game",
	"iot", "industry", "p2p", "ai", "build", "desktop"}

// ParseKind reads what [Kind.String] writes; false is an unknown name.
func ParseKind(s string) (Kind, bool) {
	i := slices.Index(kindNames[:], s)
	return Kind(max(i, 0)), i > 0
}

// String returns the machine code, such as "database".
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[KindUnknown]
}

// MarshalText encodes k as [Kind.String] does.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Inner reports whether services of this kind are meant for their own machine
// or network only: databases, caches, queues, administration, monitoring,
// debuggers and cluster storage. Bound to every address, such a service is worth
// a finding.
func (k Kind) Inner() bool {
	switch k {
	case Database, Cache, Queue, Admin, Monitoring, Debug, Storage:
		return true
	}
	return false
}

// Use is an application that is really met at a port.
type Use struct {
	Name string
	// Ports are where it is met; AnyProto is both TCP and UDP.
	Ports monban.PortRange
	Note  Text
	Kind  Kind
	// Programs are base names of executables, without ".exe", that prove it.
	Programs []string
	// Args are fragments of an argument that prove it where the executable is a
	// runtime such as java: "org.apache.zookeeper".
	Args []string
	// Images are container images, without registry host and tag, that prove it.
	Images []string
	Source string
	// Alternative is the customary other port, 0 if there is none.
	Alternative uint16
}

// RunBy reports whether a process proves to be this use: by the base name of its
// executable, or by its arguments. A version at the end of the name, as in
// "php-fpm8.2", does not matter.
func (u Use) RunBy(program string, args []string) bool {
	name := programName(program)
	if slices.Contains(u.Programs, name) || slices.Contains(u.Programs, unversioned(name)) {
		return true
	}
	for _, mark := range u.Args {
		for _, arg := range args {
			if strings.Contains(arg, mark) {
				return true
			}
		}
	}
	return false
}

// InImage reports whether a container image proves to be this use. It compares
// the name of the image without its registry host, tag and digest:
// "docker.io/library/redis:7" is "redis".
func (u Use) InImage(image string) bool { return slices.Contains(u.Images, imageName(image)) }

// Risk is what exposing a service to everybody has led to, and what to do.
type Risk struct {
	Service  string
	Ports    monban.PortRange
	Severity monban.Severity
	Text     Text // what attackers do
	Remedy   Text
	Source   string
}

// programName returns an executable's base name in the form of Use.Programs.
func programName(s string) string {
	s = s[strings.LastIndexAny(s, `/\`)+1:]
	if n := len(s) - len(".exe"); n > 0 && strings.EqualFold(s[n:], ".exe") {
		return strings.ToLower(s[:n])
	}
	return s
}

// unversioned strips a version from the end of a program's name.
func unversioned(s string) string { return strings.TrimRight(strings.TrimRight(s, "0123456789."), "-") }

// imageName strips registry host, the "library" of Docker Hub, tag and digest.
func imageName(s string) string {
	s, _, _ = strings.Cut(s, "@")
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, '/') {
		s = s[:i]
	}
	if host, rest, ok := strings.Cut(s, "/"); ok && (strings.ContainsAny(host, ".:") || host == "localhost") {
		s = rest
	}
	return strings.TrimPrefix(s, "library/")
}

// Practice returns the applications really met at p, the most likely first.
func (b *Book) Practice(p monban.Port) []Use {
	return nil
}

// Risks returns what exposing p has led to, the most severe first.
func (b *Book) Risks(p monban.Port) []Risk {
	return nil
}

// UsesOf returns the uses that the executable program proves, by its base name.
func (b *Book) UsesOf(program string) []Use {
	return nil
}
