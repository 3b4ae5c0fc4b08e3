// Package guard puts a policy in force without locking anybody out, and keeps it.
//
// A policy goes on trial in the kernel ([firewall.Try]) and ends by itself unless
// it is confirmed; only then is it written to disk, and loaded at boot. What is
// on disk is therefore always a policy under which somebody came in. Nothing of
// monban's has to be alive during a trial.
//
// Two files hold what it knows: the policy that was confirmed, in a directory
// that lasts, and the one on trial, in one that a reboot empties as it empties the
// kernel's rules. Both are resolved policies: host names have become addresses, so
// that nothing is asked of a network at boot.
package guard
