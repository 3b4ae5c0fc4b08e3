package conflict

import (
	"strings"

	"github.com/monban-dev/monban"
)

// causesOf lists the causes that fit a text, the likeliest first, from its
// wording, error, operating system and port alone.
func causesOf(c *Complaint, d *draft) []Cause {
	if d.where.hasPort && d.where.num > 65535 || d.sign.cause == L25 {
		return []Cause{L25}
	}
	if c.Remote {
		return remoteCauses(c, d)
	}
	switch d.sign.cause {
	case "", W13, D7:
	case D1:
		return []Cause{D1, D4, D5, D3, D2}
	case W5:
		return []Cause{W5, W4}
	case L22:
		return []Cause{L22, L1}
	case D10:
		return []Cause{D10, D12}
	default:
		return []Cause{d.sign.cause}
	}
	list := errnoCauses(c, d)
	switch {
	case d.sign.cause == D7, c.Program == "podman" && strings.HasSuffix(c.Errno, "EACCES"):
		list = append([]Cause{D7}, list...)
	case strings.Contains(lowerASCII(c.Text), "ports are not available"): // Docker Desktop
		list = append(list, W13, D15)
	case c.Program == "docker" && strings.HasSuffix(c.Errno, "EADDRINUSE"):
		list = append([]Cause{D2}, list...)
		list = append(list, D3)
	case c.Holder.PID == 4:
		list = append([]Cause{W4}, without(list, W4)...)
	case strings.HasSuffix(lowerASCII(c.Holder.Name), `svchost.exe`):
		list = append([]Cause{W7}, without(without(list, W7), W4)...)
	case c.OS == "windows" && c.Holder.Name != "":
		// The kernel and the services have no program of their own to be named.
		list = append([]Cause{W1}, without(without(without(list, W1), W4), W7)...)
	}
	if c.OS == "windows" && blamesFirewall(lowerASCII(c.Text)) {
		list = append(list, W14)
	}
	return list
}

// blamesFirewall reports whether a program that could not open its door guesses
// at what cannot be it.
func blamesFirewall(text string) bool {
	for _, word := range [...]string{"firewall", "antivirus", "anti-virus", "virus scanner", "ファイアウォール", "ウイルス対策"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// remoteCauses explains the failures to connect that lie on this side.
func remoteCauses(c *Complaint, d *draft) []Cause {
	switch {
	case d.sign.cause != "":
		return []Cause{d.sign.cause}
	case strings.HasSuffix(c.Errno, "EADDRNOTAVAIL") && c.Addr.Is6():
		return []Cause{L14, L25}
	case strings.HasSuffix(c.Errno, "EADDRNOTAVAIL"):
		return []Cause{L25, L7}
	}
	return nil
}

func errnoCauses(c *Complaint, d *draft) []Cause {
	switch strings.TrimPrefix(c.Errno, "WSA") {
	case "EADDRINUSE", "":
		return inUseCauses(c)
	case "EACCES":
		return accessCauses(c, d)
	case "EPERM":
		return []Cause{L12, L10}
	case "EADDRNOTAVAIL":
		if c.OS == "darwin" && c.Addr.Is4() && c.Addr.IsLoopback() {
			return []Cause{M5}
		}
		if c.Addr.Is6() && (c.Addr.IsLoopback() || c.Addr.IsUnspecified()) {
			return []Cause{L14, L13}
		}
		return []Cause{L13, L14}
	case "EAFNOSUPPORT":
		return []Cause{L14, L12}
	case "EMFILE", "ENOBUFS", "EINVAL":
		return []Cause{L25}
	}
	return nil
}

func inUseCauses(c *Complaint) []Cause {
	switch c.OS {
	case "windows":
		return windowsInUse(c)
	case "darwin":
		list := []Cause{L1, L22, M7, M6, L7}
		switch {
		case c.HasPort && (c.Port == 5000 || c.Port == 7000):
			list = append([]Cause{M1}, list...)
		case c.HasPort && (c.Port == 5353 || c.Port == 53):
			list = append([]Cause{M9}, list...)
		case c.HasPort && c.Port >= 49152:
			list = append(list, M10)
		}
		return append(list, M8)
	}
	list := []Cause{L1}
	if c.HasPort && c.Port == 5353 && c.Proto != monban.TCP {
		list = append([]Cause{L6}, list...)
	}
	if !c.Addr.IsLoopback() {
		list = append(list, L2)
	}
	if c.Addr.Is4() && c.Addr.IsUnspecified() {
		list = append(list, L3)
	}
	if c.HasPort && c.Port == 22 {
		list = append([]Cause{L15}, list...)
	} else {
		list = append(list, L15)
	}
	list = append(list, L22)
	if c.Proto != monban.UDP {
		list = append(list, L7)
	}
	list = append(list, L21)
	if c.HasPort && c.Port >= 32768 {
		list = append([]Cause{L1, L8}, list[1:]...)
	}
	return append(list, L9, L17)
}

// httpSysPort reports whether Windows' own services commonly have a port
// through http.sys: IIS, WSD, WinRM, and the usual defaults of .NET tools.
func httpSysPort(port uint16) bool {
	switch port {
	case 80, 443, 5357, 5985, 5986, 47001, 8172:
		return true
	}
	return false
}

func windowsInUse(c *Complaint) []Cause {
	list := []Cause{W1, W7, W9, W8, W12}
	if c.HasPort && httpSysPort(c.Port) {
		list = append([]Cause{W4}, list...)
	}
	if c.HasPort && c.Port >= 49152 {
		list = append(list, W6)
	}
	return list
}

// accessCauses ranks SELinux last: where it is not named, few machines have it,
// and its ordinary programs are not confined.
func accessCauses(c *Complaint, d *draft) []Cause {
	low := c.HasPort && c.Port < 1024
	// Of the programs that run everywhere, those on libuv write EACCES on
	// Windows, too; the others say it in Winsock's words.
	perhapsWindows := c.OS == "" && d.sign.os != anyUnix && strings.Contains(lowerASCII(c.Text), "eacces")
	specific := c.Addr.IsValid() && !c.Addr.IsUnspecified()
	switch {
	case c.OS == "windows" && c.HasPort && httpSysPort(c.Port):
		return []Cause{W4, W2, W3, W10}
	case c.OS == "windows":
		return []Cause{W2, W4, W3, W10}
	case c.OS == "darwin":
		return []Cause{M4}
	case low && perhapsWindows:
		return []Cause{L10, W4, L12, L11}
	case low && c.OS == "" && specific:
		return []Cause{L10, L12, M4, L11}
	case c.HasPort && !low && perhapsWindows:
		return []Cause{W2, L12, W4, L11} // no Unix has privileged ports up here
	case c.HasPort && !low:
		return []Cause{L12, L11}
	}
	return []Cause{L10, L12, L11}
}

func without(list []Cause, c Cause) []Cause {
	var out []Cause
	for _, x := range list {
		if x != c {
			out = append(out, x)
		}
	}
	return out
}
