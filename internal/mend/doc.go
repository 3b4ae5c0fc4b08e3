// Package mend plans how to end conflicts about ports by moving one side of
// each: which program moves, where to, and what has to change in which files.
//
// It is a pure function over claims and bytes: what it needs of files, and what
// the edited files ask for, it asks its caller. Nothing is believed about an
// edit that has not been proven: the claims are read again with the edited
// bytes in the place of the files, and have to be the old ones with the new
// numbers and without the conflicts; else the side counts as one that cannot be
// moved, and the plan is made anew.
package mend
