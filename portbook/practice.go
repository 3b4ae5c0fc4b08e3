package portbook

import (
	"cmp"
	"slices"
	"sort"
	"strings"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook/internal/registry"
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

// Text names k for people.
func (k Kind) Text() Text {
	if int(k) >= len(kindTexts) {
		k = KindUnknown
	}
	return kindTexts[k]
}

var kindTexts = [len(kindNames)]Text{
	KindUnknown: {"unknown", "不明"},
	Database:    {"database", "データベース"},
	Cache:       {"cache", "キャッシュ"},
	Queue:       {"message queue", "メッセージキュー"},
	Admin:       {"administration", "管理"},
	Monitoring:  {"monitoring", "監視"},
	Debug:       {"debugging", "デバッグ"},
	Storage:     {"storage", "ストレージ"},
	File:        {"files", "ファイル"},
	Remote:      {"remote access", "遠隔操作"},
	Directory:   {"directory and login", "認証とディレクトリー"},
	Web:         {"web", "ウェブ"},
	Dev:         {"development", "開発"},
	Proxy:       {"proxy", "プロキシー"},
	Mail:        {"mail", "メール"},
	DNS:         {"name resolution", "名前解決"},
	VPN:         {"virtual private network", "仮想プライベートネットワーク"},
	Network:     {"network", "ネットワーク"},
	RPC:         {"remote procedure call", "遠隔手続き呼び出し"},
	Print:       {"printing", "印刷"},
	Media:       {"media and telephony", "映像・音声・電話"},
	Chat:        {"chat", "チャット"},
	Game:        {"game", "ゲーム"},
	IoT:         {"home automation", "ホームオートメーション"},
	Industry:    {"industrial control", "産業制御"},
	PeerToPeer:  {"peer to peer", "ピアツーピア"},
	AI:          {"machine learning", "機械学習"},
	Build:       {"software building", "ソフトウェア構築"},
	Desktop:     {"desktop", "デスクトップ"},
}

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

// Use is an application that is really met at a port. Its lists are shared with
// the book: they must not be changed.
type Use struct {
	Name    string   // English; it also stands for the use in [Risk.Uses]
	Aliases []string // other words for it, lower case: "rdp"
	// OS are the systems that have it, as runtime.GOOS calls them; empty is any.
	OS []string
	// Ports are where it is met; AnyProto is both TCP and UDP.
	Ports monban.PortRange
	Note  Text
	Kind  Kind
	// Programs are base names of executables, without ".exe", that prove it.
	Programs []string
	// Args are fragments of an argument that prove it where the executable is an
	// interpreter such as java: "org.apache.zookeeper".
	Args []string
	// Images are container images, without registry host and tag, that prove it.
	Images []string
	Source string
	// Alternative is the customary other port, 0 if there is none.
	Alternative uint16

	nameJA string // "" where the name is the same
}

// Title names u for people. A use that only one system has says so.
func (u Use) Title() Text {
	t := Text{u.Name, cmp.Or(u.nameJA, u.Name)}
	if len(u.OS) > 0 {
		names := make([]string, len(u.OS))
		for i, os := range u.OS {
			names[i] = osName(os)
		}
		t.EN += " (" + strings.Join(names, ", ") + ")"
		t.JA += "(" + strings.Join(names, "、") + ")"
	}
	return t
}

// MetOn reports whether u is met on a system as runtime.GOOS calls it; an unknown
// system, "", may be any.
func (u Use) MetOn(os string) bool {
	return len(u.OS) == 0 || os == "" || slices.Contains(u.OS, os)
}

func osName(os string) string {
	switch os {
	case "darwin":
		return "macOS"
	case "windows":
		return "Windows"
	case "linux":
		return "Linux"
	}
	return os
}

// RunBy reports whether a process proves to be this use: by the base name of its
// executable, or by its arguments. A version at the end of the name, as in
// "php-fpm8.2", does not matter.
func (u Use) RunBy(program string, args []string) bool {
	name := programName(program)
	if containsFold(u.Programs, name) || containsFold(u.Programs, unversioned(name)) {
		return true
	}
	if len(u.Args) == 0 || !isRuntime(name) {
		return false
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
	Uses     []string // names of the uses it is about; not to be changed
	Text     Text     // what attackers do
	Remedy   Text
	Source   string

	nameJA string // "" where Service is the same
}

// Title names what r is about for people.
func (r Risk) Title() Text { return Text{r.Service, cmp.Or(r.nameJA, r.Service)} }

// programName returns an executable's base name without ".exe".
func programName(s string) string {
	s = s[strings.LastIndexAny(s, `/\`)+1:]
	if n := len(s) - len(".exe"); n > 0 && strings.EqualFold(s[n:], ".exe") {
		return s[:n]
	}
	return s
}

// unversioned strips a version from the end of a program's name.
func unversioned(s string) string { return strings.TrimRight(strings.TrimRight(s, "0123456789."), "-") }

// isRuntime reports whether a program runs other programs, so that its arguments
// tell what it is and not what it was asked to read or edit.
func isRuntime(name string) bool {
	switch strings.ToLower(unversioned(name)) {
	case "java", "node", "nodejs", "bun", "deno", "python", "pypy", "ruby", "perl", "php", "beam.smp", "beam", "dotnet", "mono",
		"mono-sgen":
		return true
	}
	return false
}

func containsFold(list []string, s string) bool {
	return slices.ContainsFunc(list, func(x string) bool { return strings.EqualFold(x, s) })
}

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

// useWord is a word that stands for a use: one of its names or programs.
type useWord struct {
	word    string
	use     uint16
	program bool // of an executable
}

// Practice returns the applications really met at p, the most likely first.
func (b *Book) Practice(p monban.Port) []Use {
	at := rowsAt(uses[:], p.Num, useFirst)
	out := slices.Grow([]Use(nil), len(at)) // at once: `monban 443` is measured
	for i := range at {
		if at[i].Ports.Contains(p) {
			out = append(out, at[i])
		}
	}
	for _, i := range useSpans {
		if u := &uses[i]; u.Ports.First != p.Num && u.Ports.Contains(p) {
			out = append(out, *u)
		}
	}
	return out
}

// Risks returns what exposing p has led to, the most severe first.
func (b *Book) Risks(p monban.Port) []Risk {
	at := rowsAt(risks[:], p.Num, riskFirst)
	out := slices.Grow([]Risk(nil), len(at))
	for i := range at {
		if at[i].Ports.Contains(p) {
			out = append(out, at[i])
		}
	}
	for _, i := range riskSpans {
		if r := &risks[i]; r.Ports.First != p.Num && r.Ports.Contains(p) {
			out = append(out, *r)
		}
	}
	sortRisks(out)
	return out
}

// RisksOf returns what exposing u has led to, whatever its port, the most severe
// first: MySQL moved to 3307 is as exposed as at 3306.
func (b *Book) RisksOf(u Use) []Risk {
	var out []Risk
	for i := range risks {
		if slices.Contains(risks[i].Uses, u.Name) && !slices.ContainsFunc(out, func(r Risk) bool { return r.Service == risks[i].Service }) {
			out = append(out, risks[i])
		}
	}
	sortRisks(out)
	return out
}

func sortRisks(rs []Risk) {
	slices.SortStableFunc(rs, func(a, b Risk) int { return int(b.Severity) - int(a.Severity) })
}

func useFirst(u *Use) uint16   { return u.Ports.First }
func riskFirst(r *Risk) uint16 { return r.Ports.First }

// rowsAt returns the rows that begin at num.
func rowsAt[T any](rows []T, num uint16, first func(*T) uint16) []T {
	from := sort.Search(len(rows), func(i int) bool { return first(&rows[i]) >= num })
	to := from
	for to < len(rows) && first(&rows[to]) == num {
		to++
	}
	return rows[from:to]
}

// UsesOf returns the uses that a process proves to be: by the base name of its
// executable, and where that is an interpreter, by its arguments. "redis-server"
// is Redis at 6379, 6380 and 26379, wherever this one listens.
func (b *Book) UsesOf(program string, args ...string) []Use {
	name := programName(program)
	var out []Use
	for _, word := range []string{name, unversioned(name)} {
		for i := findWord(word); i < len(useWords) && registry.FoldCompare(useWords[i].word, word) == 0; i++ {
			if useWords[i].program {
				out = append(out, uses[useWords[i].use])
			}
		}
		if out != nil {
			return out
		}
	}
	if !isRuntime(name) {
		return nil
	}
	for i := range uses {
		if uses[i].RunBy(program, args) {
			out = append(out, uses[i])
		}
	}
	return out
}

func findWord(word string) int {
	return sort.Search(len(useWords), func(i int) bool { return registry.FoldCompare(useWords[i].word, word) >= 0 })
}
