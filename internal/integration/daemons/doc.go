// Package daemons starts real servers, each with a configuration of its own and
// as its package's manual says, for the tests and measurements of what is
// recognised from outside. They belong into a network namespace that the caller
// has made: the processes are started in the caller's.
package daemons
