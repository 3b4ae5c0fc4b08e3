package integration

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ownLeftovers is the pattern of the directories of runs of these tests.
const ownLeftovers = "monban-integration-"

// ownDir makes a run's directory, locked for as long as its process lives, and
// removes what runs that were killed have left: theirs, and the rooms that they name.
func ownDir() (string, error) {
	others, err := filepath.Glob(filepath.Join(os.TempDir(), ownLeftovers+"*"))
	if err != nil {
		return "", err
	}
	for _, other := range others {
		removeLeftover(other)
	}
	// It has its name when it is locked: another run may be at this very place.
	early, err := os.MkdirTemp("", "monban-start-")
	if err != nil {
		return "", err
	}
	fd, err := unix.Open(early, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return "", err
	}
	if err := os.Chmod(early, 0o755); err != nil { // nobody runs monban too
		return "", err
	}
	dir := filepath.Join(os.TempDir(), ownLeftovers+strings.TrimPrefix(filepath.Base(early), "monban-start-"))
	return dir, os.Rename(early, dir)
}

// removeLeftover removes the directory of a run, unless the run lives or the
// directory is another user's.
func removeLeftover(dir string) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || int(st.Uid) != os.Geteuid() || unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) != nil {
		return
	}
	rooms, _ := filepath.Glob(filepath.Join(dir, "rooms", "Test*"))
	for _, link := range rooms {
		room, err := os.Readlink(link)
		if err == nil && filepath.Dir(room) == os.TempDir() && strings.HasPrefix(filepath.Base(room), "Test") {
			os.RemoveAll(room)
		}
	}
	os.RemoveAll(dir)
}

// noteRoom notes a room's directory for whoever cleans up after a run that is
// killed; the testing package removes it otherwise.
func noteRoom(room string) error {
	rooms := filepath.Join(built.dir, "rooms")
	if err := os.MkdirAll(rooms, 0o700); err != nil {
		return err
	}
	err := os.Symlink(room, filepath.Join(rooms, filepath.Base(room)))
	if os.IsExist(err) {
		return nil
	}
	return err
}
