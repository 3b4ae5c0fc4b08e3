package claims

import (
	"bytes"
	"strings"
)

// readLoose reads a *.conf file that nothing has included: a piece of a
// configuration whose main file is elsewhere.
func readLoose(s *scan) {
	data, err := s.load(s.main, s.met)
	switch {
	case err != nil:
		s.gaps = append(s.gaps, err.gap())
	case strings.Contains(s.main, "-available/"), strings.Contains(s.main, "disabled/"):
		s.decline()
	case looksLikeNginx(data):
		readNginxPiece(s)
	case looksLikeApache(data) && !alsoListens(data):
		readApache(s)
	case looksLikeFPM(data):
		readFPM(s)
	default:
		s.decline()
	}
}

// alsoListens tells other programs that have a Listen directive: CUPS and Tinyproxy.
func alsoListens(data []byte) bool {
	return !bytes.Contains(data, []byte("<VirtualHost ")) && (bytes.Contains(data, []byte("<Policy ")) ||
		bytes.Contains(data, []byte("\nSystemGroup ")) || bytes.Contains(data, []byte("\nMaxClients ")) && bytes.Contains(data, []byte("\nPort ")))
}

// extension recognises files by the end of their names.
func extension(exts ...string) func(string) bool {
	return func(name string) bool {
		for _, ext := range exts {
			if strings.HasSuffix(name, ext) {
				return true
			}
		}
		return false
	}
}
