package edit

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// dress gives a new file what the old one has: owner, group, mode, and every
// extended attribute, which are the access list (system.posix_acl_access), the
// security label (security.selinux), capabilities and the user's own. Then it
// looks whether they are there: a file that everybody may read, or that a
// confined daemon may not, would be worse than none.
func dress(file, like *os.File) error {
	info, err := like.Stat()
	if err != nil {
		return err
	}
	st := info.Sys().(*syscall.Stat_t)
	now, err := file.Stat()
	if err != nil {
		return err
	}
	if has := now.Sys().(*syscall.Stat_t); has.Uid != st.Uid || has.Gid != st.Gid {
		if err := file.Chown(int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
	}
	want, err := attributes(like)
	if err != nil {
		return err
	}
	has, err := attributes(file)
	if err != nil {
		return err
	}
	for name := range has {
		if _, ok := want[name]; !ok { // from the directory's default access list
			if err := unix.Fremovexattr(int(file.Fd()), name); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	// After the owner, whose change clears bits of it.
	if err := unix.Fchmod(int(file.Fd()), st.Mode&0o7777); err != nil {
		return err
	}
	for name, value := range want {
		if bytes.Equal(has[name], value) {
			continue
		}
		if err := unix.Fsetxattr(int(file.Fd()), name, value, 0); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return dressedAlike(file, like)
}

func dressedAlike(file, like *os.File) error {
	var a, b unix.Stat_t
	if err := errors.Join(unix.Fstat(int(file.Fd()), &a), unix.Fstat(int(like.Fd()), &b)); err != nil {
		return err
	}
	if a.Uid != b.Uid || a.Gid != b.Gid || a.Mode != b.Mode {
		return fmt.Errorf("owner %d:%d and mode %#o instead of %d:%d and %#o", a.Uid, a.Gid, a.Mode&0o7777, b.Uid, b.Gid, b.Mode&0o7777)
	}
	is, err := attributes(file)
	if err != nil {
		return err
	}
	want, err := attributes(like)
	if err != nil {
		return err
	}
	for name, value := range want {
		if !bytes.Equal(is[name], value) {
			return fmt.Errorf("%s could not be kept", name)
		}
	}
	if len(is) != len(want) {
		return errors.New("attributes could not be kept")
	}
	return nil
}

// attributes returns the extended attributes of a file. Those of the integrity
// subsystem are about its content and are the kernel's to write.
func attributes(file *os.File) (map[string][]byte, error) {
	fd := int(file.Fd())
	list := make([]byte, 64<<10) // XATTR_LIST_MAX
	n, err := unix.Flistxattr(fd, list)
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOSYS) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for name := range strings.SplitSeq(string(list[:n]), "\x00") {
		if name == "" || name == "security.ima" || name == "security.evm" {
			continue
		}
		value := make([]byte, 64<<10) // XATTR_SIZE_MAX
		n, err := unix.Fgetxattr(fd, name, value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out[name] = value[:n:n]
	}
	return out, nil
}
