package cli

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/claims"
)

// projectWait bounds the reading of a project's files where they only help to
// choose: what has not been read by then is a gap.
const projectWait = time.Second

// projectClaims returns what the files below dir ask for. A home directory, or a
// directory that has it below, is no project, and is not read.
func (a *app) projectClaims(dir string) ([]monban.Claim, []monban.Gap) {
	home := a.sys.Getenv("HOME")
	if rel, err := filepath.Rel(dir, home); err == nil && filepath.IsAbs(home) && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return nil, []monban.Gap{{Source: dir, Err: "not a project", Hides: monban.HidesClaims}}
	}
	root := filepath.VolumeName(dir) + string(filepath.Separator)
	rel := strings.TrimPrefix(filepath.ToSlash(dir), filepath.ToSlash(root))
	if rel == "" {
		return nil, []monban.Gap{{Source: dir, Err: "not a project", Hides: monban.HidesClaims}}
	}
	found, gaps, err := claims.Read(claims.Place{
		FS: hurried{claims.Files(root), time.Now().Add(projectWait)}, Root: filepath.ToSlash(root), Dir: rel, Env: os.LookupEnv,
	})
	if err != nil {
		gaps = append(gaps, monban.Gap{Source: dir, Err: err.Error(), Hides: monban.HidesClaims})
	}
	return found, gaps
}

// hurried is a file system that opens nothing after a moment.
type hurried struct {
	fs.FS
	until time.Time
}

func (h hurried) Open(name string) (fs.File, error) {
	if time.Now().After(h.until) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: os.ErrDeadlineExceeded}
	}
	return h.FS.Open(name)
}
