package owners

import "github.com/monban-dev/monban"

// systemFeature names the driver behind a port of Windows' process 4, "System".
// File sharing and NetBIOS have fixed ports there; every other TCP listener of
// the kernel is a web server's, as long as http.sys runs.
func systemFeature(p monban.Port, httpRuns bool) string {
	switch {
	case p.Proto == monban.TCP && p.Num == 445:
		return "smb"
	case p.Proto == monban.TCP && p.Num == 139, p.Proto == monban.UDP && (p.Num == 137 || p.Num == 138):
		return "netbt"
	case p.Proto == monban.TCP && httpRuns:
		return "http.sys"
	}
	return ""
}
