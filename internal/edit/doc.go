// Package edit changes files that belong to somebody: all of them or none, each
// whole, and so that it can be taken back.
//
// A file is replaced by a new one beside it, which gets the old one's owner,
// mode, access list, security label and other attributes before it takes the
// name. The two change places in one step of the kernel (renameat2(2),
// RENAME_EXCHANGE), and what came out is compared with what had been read: a
// change that somebody else made in between, however late, is put back and
// never lost.
//
// Before the first file is touched, a record with the old contents is on disk.
// It is what takes a change back, later or after a crash: at any moment every
// file is either the old one or the new one, and the record knows both.
//
// Only regular files with one name are changed. A second name (a hard link)
// would go on to be the old file, so such a file is refused. A symbolic link is
// followed once, when the file is opened; after that the file counts and not
// the way to it.
package edit
