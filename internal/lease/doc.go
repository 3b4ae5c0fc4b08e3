// Package lease keeps ports for projects: which number was given to whom, until
// when, in one file of the user's.
//
// A lease is a note among the users of monban, not a lock in the kernel: a
// program that never asked may open the port all the same. What a lease gives is
// that two callers never get the same number, and that the same purpose in the
// same work tree gets the same number again.
//
// The file is text, one lease a line. It is replaced whole or not at all, under
// a lock, so that neither a crash nor a full disk loses what stands in it; a
// file that is damaged, or that somebody else could have written, is refused and
// left as it is.
package lease
