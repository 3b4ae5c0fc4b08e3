package conflict

import "strings"

// sign is the part of a message that says what went wrong.
type sign struct {
	errno  string
	os     string // the GOOS it proves
	cause  Cause  // what it proves about the cause, beyond the errno
	remote bool   // it is about the other end
	unix   bool   // it is about a Unix socket
	weak   bool   // it says only that something failed
	hint   bool   // it asks a question about an event told before
	end    int    // where it ends in the line; a place may follow
}

// take fills in what s lacks from an echo of the same event.
func (s *sign) take(e sign) {
	if s.errno == "" || strings.HasPrefix(e.errno, "WSA") {
		if e.errno != "" {
			s.errno = e.errno
		}
	}
	if s.os == "" {
		s.os = e.os
	}
	if s.cause == "" {
		s.cause = e.cause
	}
	s.weak = s.weak && e.weak
}

// need is what else a line must have before a phrase counts.
type need uint8

const (
	alone    need = iota // the phrase suffices
	withBind             // a word of binding or listening
	withPort             // the word port, or a place
	withHTTP             // a sign of http.sys or a URL
)

// phrase is a wording of an error. Its text is in lower case.
type phrase struct {
	text  string
	errno string
	os    string
	cause Cause
	need  need
}

// phrases are tried in this order; the first that is on the line wins, so the
// special comes before the general. The translations are those of glibc, of
// Windows and of the programs themselves.
var phrases = [...]phrase{
	// A configuration that collides with itself.
	{"a duplicate listen ", "", "", L21, alone},
	{"duplicate listen options for", "", "", L21, alone},
	{"cannot define multiple listeners on the same ip:port", "", "", L21, alone},
	{"host port is already used by", "", "", D4, alone},

	// The kernel's audit log tells what the program cannot: SELinux refused.
	{"{ name_bind }", "EACCES", "linux", L11, alone},

	// Browsers.
	{"err_unsafe_port", "", "", B1, alone},
	{"ns_error_port_access_not_allowed", "", "", B1, alone},
	{"not allowed to use restricted network port", "", "", B1, alone},
	{"port access is blocked for security", "", "", B1, alone},
	{"bad port: \"", "", "", B1, alone},    // Next.js
	{"error: bad port", "", "", B1, alone}, // fetch in Node.js

	// Orchestrators.
	{"didn't have free ports for the requested pod ports", "", "", D10, alone},
	{"provided port is already allocated", "", "", D11, alone},
	{"the range of valid ports is", "", "", D11, alone},
	{"cannot expose privileged port", "EACCES", "linux", D7, alone},
	{"port is already allocated", "EADDRINUSE", "", D1, alone},
	{"remote port forwarding failed for listen port", "", "", D13, alone},

	// http.sys.
	{"conflicts with an existing registration on the machine", "ERROR_ALREADY_EXISTS", "windows", W5, alone},
	{"the process cannot access the file because it is being used by another process", "ERROR_SHARING_VIOLATION", "windows", W5, withHTTP},
	{"プロセスはファイルにアクセスできません。別のプロセスが使用中です", "ERROR_SHARING_VIOLATION", "windows", W5, withHTTP},
	{"0x80070020", "ERROR_SHARING_VIOLATION", "windows", W5, alone},
	{"httplistenerexception (5)", "ERROR_ACCESS_DENIED", "windows", W5, alone},
	{"httplistenerexception (0x80004005): access is denied", "ERROR_ACCESS_DENIED", "windows", W5, alone},
	{"httplistenerexception (0x80004005): アクセス", "ERROR_ACCESS_DENIED", "windows", W5, alone},
	{"httplistenerexception (183)", "ERROR_ALREADY_EXISTS", "windows", W5, alone},
	{"httplistenerexception (32)", "ERROR_SHARING_VIOLATION", "windows", W5, alone},

	// Numbers that are no ports.
	{"err_socket_bad_port", "EINVAL", "", L25, alone},
	{">= 0 and < 65536", "EINVAL", "", L25, alone},
	{"port must be 0-65535", "EINVAL", "", L25, alone},
	{"port must be between 0 and 65535", "EINVAL", "", L25, alone},
	{"port value out of range", "EINVAL", "", L25, alone},
	{"port out of range", "EINVAL", "", L25, alone},
	{"port number out of range", "EINVAL", "", L25, alone},
	{"is not a valid port number", "EINVAL", "", L25, alone},
	{"invalid port", "EINVAL", "", L25, alone},
	{"invalid hostport", "EINVAL", "", L25, alone},
	{"invalid containerport", "EINVAL", "", L25, alone},
	{"badly formatted port number", "EINVAL", "", L25, alone},
	{"unknown port", "EINVAL", "", L25, withBind},
	{"bad port number", "EINVAL", "", L25, alone},

	// The other end does not answer. "Can't bind" never says any of these.
	{"econnrefused", "ECONNREFUSED", "", "", alone},
	{"connection refused", "ECONNREFUSED", "", "", alone},
	{"connectionrefused", "ECONNREFUSED", "", "", alone},
	{"connection_refused", "ECONNREFUSED", "", "", alone},
	{"actively refused it", "ECONNREFUSED", "windows", "", alone},
	{"couldn't connect to server", "ECONNREFUSED", "", "", alone},
	{"can't connect to mysql server on", "ECONNREFUSED", "", "", alone},
	{"can't connect to server on", "ECONNREFUSED", "", "", alone},
	{"接続を拒否されました", "ECONNREFUSED", "", "", alone},
	{"接続が拒否されました", "ECONNREFUSED", "", "", alone},
	{"拒否されたため、接続できませんでした", "ECONNREFUSED", "windows", "", alone},
	{"verbindungsaufbau abgelehnt", "ECONNREFUSED", "", "", alone},
	{"connexion refusée", "ECONNREFUSED", "", "", alone},
	{"conexión rehusada", "ECONNREFUSED", "", "", alone},
	{"etimedout", "ETIMEDOUT", "", "", alone},
	{"connection timed out", "ETIMEDOUT", "", "", alone},
	{"接続がタイムアウトしました", "ETIMEDOUT", "", "", alone},
	{"ehostunreach", "EHOSTUNREACH", "", "", alone},
	{"no route to host", "EHOSTUNREACH", "", "", alone},
	{"ホストへの経路がありません", "EHOSTUNREACH", "", "", alone},
	{"enetunreach", "ENETUNREACH", "", "", alone},
	{"network is unreachable", "ENETUNREACH", "", "", alone},
	{"econnreset", "ECONNRESET", "", "", alone},
	{"connection reset by peer", "ECONNRESET", "", "", alone},

	// In use.
	{"only one usage of each socket address", "WSAEADDRINUSE", "windows", "", alone},
	{"通常、各ソケット アドレスに対して", "WSAEADDRINUSE", "windows", "", alone},
	{"normalerweise darf jede socketadresse", "WSAEADDRINUSE", "windows", "", alone},
	{"une seule utilisation de chaque adresse de socket", "WSAEADDRINUSE", "windows", "", alone},
	{"solo se permite un uso de cada dirección de socket", "WSAEADDRINUSE", "windows", "", alone},
	{"通常每个套接字地址", "WSAEADDRINUSE", "windows", "", alone},
	{"wsaeaddrinuse", "WSAEADDRINUSE", "windows", "", alone},
	{"address already in use: jvm_bind", "EADDRINUSE", "windows", "", alone},
	{"address already in use: bind", "EADDRINUSE", "windows", "", alone},
	{"address already in use", "EADDRINUSE", "", "", alone},
	{"address is already in use", "EADDRINUSE", "", "", alone},
	{"eaddrinuse", "EADDRINUSE", "", "", alone},
	{"addrinuse", "EADDRINUSE", "", "", alone},
	{"address in use", "EADDRINUSE", "", "", alone}, // BIND, musl
	{"アドレスは既に使用中です", "EADDRINUSE", "", "", alone},
	{"アドレスは既に使用されています", "EADDRINUSE", "", "", alone},
	{"アドレスがすでに使用されています", "EADDRINUSE", "", "", alone},
	{"アドレスはすでに使用中です", "EADDRINUSE", "", "", alone},
	{"adresse wird bereits verwendet", "EADDRINUSE", "", "", alone},
	{"adresse déjà utilisée", "EADDRINUSE", "", "", alone},
	{"la dirección ya se está usando", "EADDRINUSE", "", "", alone},
	{"地址已在使用", "EADDRINUSE", "", "", alone},
	{"地址已被使用", "EADDRINUSE", "", "", alone},
	{"연결할 수 없습니다: 주소가 이미 사용 중", "EADDRINUSE", "", "", alone},
	{"주소가 이미 사용 중", "EADDRINUSE", "", "", alone},
	{"address already registered", "EADDRINUSE", "", "", withBind},

	// Not this user's.
	{"forbidden by its access permissions", "WSAEACCES", "windows", "", alone},
	{"アクセス許可で禁じられた方法でソケットにアクセスしようとしました", "WSAEACCES", "windows", "", alone},
	{"aufgrund der zugriffsrechte des sockets unzulässig", "WSAEACCES", "windows", "", alone},
	{"une tentative d'accès à un socket de manière interdite", "WSAEACCES", "windows", "", alone},
	{"以一种访问权限不允许的方式做了一个访问套接字的尝试", "WSAEACCES", "windows", "", alone},
	{"wsaeacces", "WSAEACCES", "windows", "", alone},
	{"permission to access that port", "EACCES", "", "", alone}, // Django
	{"eacces", "EACCES", "", "", withBind},
	{"permission denied", "EACCES", "", "", withBind},
	{"許可がありません", "EACCES", "", "", withBind},
	{"アクセスは拒否されました", "EACCES", "", "", withBind},
	{"アクセスが拒否されました", "EACCES", "", "", withBind},
	{"keine berechtigung", "EACCES", "", "", withBind},
	{"permission non accordée", "EACCES", "", "", withBind},
	{"permiso denegado", "EACCES", "", "", withBind},
	{"权限不够", "EACCES", "", "", withBind},
	{"operation not permitted", "EPERM", "", "", withBind},
	{"eperm", "EPERM", "", "", withBind},
	{"許可されていない操作です", "EPERM", "", "", withBind},

	// Not an address of this machine.
	{"cannot assign requested address", "EADDRNOTAVAIL", "", "", alone},
	{"can't assign requested address", "EADDRNOTAVAIL", "darwin", "", alone},
	{"eaddrnotavail", "EADDRNOTAVAIL", "", "", alone},
	{"addrnotavailable", "EADDRNOTAVAIL", "", "", alone},
	{"address not available", "EADDRNOTAVAIL", "", "", alone},
	{"requested address is not valid in its context", "WSAEADDRNOTAVAIL", "windows", "", alone},
	{"ip address can't be assigned to", "EADDRNOTAVAIL", "", "", alone}, // Django
	{"要求されたアドレスを割り当てられません", "EADDRNOTAVAIL", "", "", alone},
	{"要求されたアドレスを割り当てることができません", "EADDRNOTAVAIL", "", "", alone},
	{"要求したアドレスのコンテキストが無効です", "WSAEADDRNOTAVAIL", "windows", "", alone},
	{"die angeforderte adresse kann nicht zugewiesen werden", "EADDRNOTAVAIL", "", "", alone},
	{"impossible d'affecter l'adresse demandée", "EADDRNOTAVAIL", "", "", alone},
	{"die angeforderte adresse ist in diesem kontext ungültig", "WSAEADDRNOTAVAIL", "windows", "", alone},

	// Not a family of this machine.
	{"address family not supported", "EAFNOSUPPORT", "", "", alone},
	{"eafnosupport", "EAFNOSUPPORT", "", "", alone},
	{"address family for hostname not supported", "EAFNOSUPPORT", "", "", alone},
	{"アドレスファミリ", "EAFNOSUPPORT", "", "", withBind},
	{"protokoll-adressfamilie", "EAFNOSUPPORT", "", "", withBind},

	// Limits.
	{"too many open files", "EMFILE", "", L25, withBind},
	{"emfile", "EMFILE", "", L25, withBind},
	{"no buffer space available", "ENOBUFS", "", L25, alone},
	{"enobufs", "ENOBUFS", "", L25, alone},

	// In use, in the programs' own words.
	{"connection in use:", "EADDRINUSE", "", "", alone}, // gunicorn
	{"port in use:", "EADDRINUSE", "", "", alone},       // Hadoop
	{"ports are not available", "", "", W13, alone},     // Docker Desktop; its tail says more
	{"already in use", "EADDRINUSE", "", "", withPort},
	{"is in use", "EADDRINUSE", "", "", withPort},
	{"in use by", "EADDRINUSE", "", "", withPort},
	{"in use?", "EADDRINUSE", "", "", withPort}, // Bun
	{"being used by another", "EADDRINUSE", "", "", withPort},
	{"already being used", "EADDRINUSE", "", "", withPort},
	{"already used", "EADDRINUSE", "", "", withPort},
	{"is occupied", "EADDRINUSE", "", "", withPort},
	{"is taken", "EADDRINUSE", "", "", withPort},
	{"already taken", "EADDRINUSE", "", "", withPort},
	{"port(s) already bound", "EADDRINUSE", "", "", alone}, // podman
	{"already bound", "EADDRINUSE", "", "", withPort},
	{"already listening on", "EADDRINUSE", "", "", withPort},
	{"already running on", "EADDRINUSE", "", "", withPort},
	{"server running on port", "EADDRINUSE", "", "", withPort},
	{"already been bound", "EADDRINUSE", "", "", withPort},
	{"a server is already running", "EADDRINUSE", "", L22, alone}, // Rails
	{"使用中", "EADDRINUSE", "", "", withPort},
	{"使用されてい", "EADDRINUSE", "", "", withPort},
	{"使われてい", "EADDRINUSE", "", "", withPort},
	{"被占用", "EADDRINUSE", "", "", withPort},
	{"bereits belegt", "EADDRINUSE", "", "", withPort},
	{"déjà utilisé", "EADDRINUSE", "", "", withPort},
}

// failures are wordings that say only that a door did not open.
var failures = [...]string{
	"could not bind", "couldn't bind", "cannot bind", "can't bind", "can not bind", "unable to bind",
	"failed to bind", "failed binding", "error binding", "bind failed", "bind() failed", "binding failed",
	"failed listening on", "failed to listen", "could not listen", "cannot listen", "can't listen",
	"unable to listen", "couldn't listen", "could not create listen", "failed to create listening",
	"could not open listening socket", "bind on tcp/ip port", "binding socket", "due to a blocked port",
	"バインドできません", "バインドに失敗", "待ち受けできません",
}

// binding are the words that make "permission denied" a matter of ports.
var binding = [...]string{
	"bind", "listen", "socket", " port", "port ", "port(s)", "bindexception", "0.0.0.0", "[::]", "server_bind",
	"バインド", "ソケット", "ポート", "待ち受け", "anschluss",
}

// signOf finds what lines[at] complains about.
func signOf(lines []line, at int) (sign, bool) {
	low := lines[at].low
	if !worthReading(low) {
		return sign{}, false
	}
	port := hasPortWord(low) || len(endpointsOf(low)) > 0
	s, ok := sign{}, false
	for i := range phrases {
		p := &phrases[i]
		from := strings.Index(low, p.text)
		if from < 0 || !p.fits(low, port) && !(p.need == withBind && frameBinds(lines, at)) {
			continue
		}
		s = sign{errno: p.errno, os: p.os, cause: p.cause, end: from + len(p.text)}
		s.hint = strings.HasSuffix(low, "?") || strings.Contains(low, "hint: ")
		ok = true
		break
	}
	errno, os := errnoNumber(low, s.errno)
	switch {
	case !ok && errno != "" && (hasAny(low, binding[:]) || strings.Contains(low, "errno")):
		s, ok = sign{errno: errno, os: os}, true
	case ok && errno != "" && (s.errno == "" || sameErrno(s.errno, errno)):
		if strings.HasPrefix(s.errno, "WSA") {
			errno = s.errno
		}
		s.errno, s.os = errno, firstOf(s.os, os)
	}
	if !ok && hasAny(low, failures[:]) {
		s, ok = sign{weak: true}, true
	}
	if !ok {
		return sign{}, false
	}
	s.remote = isRemote(low, s)
	s.unix = isUnixSocket(low)
	if s.unix && s.cause == "" {
		s.cause = L23
	}
	return s, true
}

// frameBinds reports whether the stack frames just above lines[at] bind a
// socket: Python prints the frames first and the error, without a word about
// ports, last.
func frameBinds(lines []line, at int) bool {
	for i := at - 1; i >= 0 && i >= at-12; i-- {
		if hasAny(lines[i].low, []string{".bind(", "server_bind(", ".listen("}) {
			return true
		}
	}
	return false
}

// worthReading is a cheap test that spares most lines of a log the search for
// every phrase: each phrase has one of these in it.
func worthReading(low string) bool {
	if len(low) < 6 {
		return false
	}
	for i := 0; i < len(low); i++ {
		if low[i] >= 0x80 {
			return true
		}
	}
	return hasAny(low, []string{"us", "bind", "bound", "listen", "port", "perm", "acces", "addr", "refuse", "conn",
		"route", "reach", "timed", "errno", "emfile", "open files", "enobufs", "no buffer", "occupied", "taken",
		"error", "0x8007", "registration", "running", "65536", "multiple"})
}

func (p *phrase) fits(low string, port bool) bool {
	switch p.need {
	case withBind:
		return hasAny(low, binding[:])
	case withPort:
		return port
	case withHTTP:
		return hasAny(low, []string{"http", "iis", "www", "site", "サイト", "0x80070020", "prefix"})
	}
	return true
}

// isRemote reports whether the line is about reaching somebody, not about
// opening a door. EADDRNOTAVAIL on connect(2) means that no local port is left.
func isRemote(low string, s sign) bool {
	switch s.errno {
	case "ECONNREFUSED", "WSAECONNREFUSED", "ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH", "ECONNRESET":
		return true
	}
	if s.cause == D13 {
		return true
	}
	return hasAny(low, []string{"connect eaddr", "connect: cannot assign", "connect: can't assign", "connect() to",
		"connect eacces", "connect: permission", "connect: operation not permitted"})
}

func isUnixSocket(low string) bool {
	if hasAny(low, []string{"unix:/", "unix socket", "listen unix", "unix address", "unix domain", ".s.pgsql", "unix ソケット"}) {
		return true
	}
	_, after, ok := strings.Cut(low, ".sock")
	return ok && strings.Contains(low, "/") && (after == "" || after[0] < 'a' || after[0] > 'z')
}

// anyUnix is what the number of EACCES proves: it is 13 on every Unix, and
// Windows has others.
const anyUnix = "unix"

// errnoNumber reads an error number where it can be nothing else: after
// "errno", "os error" or "winerror", or in brackets at a bind. known is the
// errno that the words of the line have told; it makes rare numbers credible.
func errnoNumber(low, known string) (errno, os string) {
	for _, lead := range []string{"[errno ", "errno: ", "errno=", "errno ", "os error ", "winerror ", "(os ", "socketexception (",
		"got error: ", "error: ", "error ", "code: ", "error code ", "errorcode=", "("} {
		for from := 0; ; {
			at := strings.Index(low[from:], lead)
			if at < 0 {
				break
			}
			from += at + len(lead)
			digits := strings.TrimPrefix(low[from:], "-")
			n, width := leadingNumber(digits)
			if width == 0 || !endsNumber(digits[width:]) {
				continue
			}
			errno, os = errnoOf(n)
			if rare := os == "darwin" && lead == "("; errno != "" && (!rare || errno == known) {
				return errno, os
			}
		}
	}
	// A bare Winsock number, "bind failed: 10048", can hardly be anything else.
	if i := strings.LastIndex(low, ": "); i >= 0 && !endsWithPort(low[:i]) {
		if n, width := leadingNumber(low[i+2:]); n > 10000 && i+2+width == len(low) {
			return errnoOf(n)
		}
	}
	return "", ""
}

// endsNumber reports whether what follows a number leaves it an error number.
func endsNumber(rest string) bool {
	return rest == "" || strings.IndexByte(")]: ,;.'\"}", rest[0]) >= 0
}

// errnoOf names an error number. The Linux numbers are those of
// asm-generic/errno.h, 48 and 49 are those of the BSDs and macOS, 10013 and up
// are Winsock's, 4090 and up are libuv's own on Windows.
func errnoOf(n int) (errno, os string) {
	switch n {
	case 98:
		return "EADDRINUSE", "linux"
	case 99:
		return "EADDRNOTAVAIL", "linux"
	case 97:
		return "EAFNOSUPPORT", "linux"
	case 111:
		return "ECONNREFUSED", "linux"
	case 13:
		return "EACCES", anyUnix
	case 10048:
		return "WSAEADDRINUSE", "windows"
	case 10013:
		return "WSAEACCES", "windows"
	case 10049:
		return "WSAEADDRNOTAVAIL", "windows"
	case 10047:
		return "WSAEAFNOSUPPORT", "windows"
	case 10061:
		return "WSAECONNREFUSED", "windows"
	case 4091:
		return "EADDRINUSE", "windows"
	case 4092:
		return "EACCES", "windows"
	case 4090:
		return "EADDRNOTAVAIL", "windows"
	case 48:
		return "EADDRINUSE", "darwin"
	case 49:
		return "EADDRNOTAVAIL", "darwin"
	case 61:
		return "ECONNREFUSED", "darwin"
	}
	return "", ""
}

func hasAny(s string, words []string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
