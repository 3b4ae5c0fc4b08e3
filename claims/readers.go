package claims

import "path"

// reader knows one format.
type reader struct {
	// by is Claim.By.
	by string
	// is recognises a file by its path alone; cheap, because it is asked for
	// every file of a tree.
	is func(name string) bool
	// looks recognises a file that the user named by its content; nil never.
	looks func(data []byte) bool
	// read reads the file scan.main, which may turn out to be something else:
	// then it calls scan.decline.
	read func(*scan)
	// system are the places on a machine, patterns of path.Match.
	system []string
	// piece says that such a file is usually included by another one, and is
	// only to be read by itself when it was not.
	piece bool
}

// readers lists every format. The first that recognises a name gets the file.
func readers() []reader {
	return []reader{
		{by: "claims", is: named("claims.yaml", "claims.yml"), looks: looksLikeClaims, read: readClaims},
	}
}

// named recognises files by their base names.
func named(bases ...string) func(string) bool {
	return func(name string) bool {
		base := path.Base(name)
		for _, b := range bases {
			if b == base {
				return true
			}
		}
		return false
	}
}
