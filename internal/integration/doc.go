// Package integration tests monban against the real thing: real daemons on their
// default ports, a real container engine, a real systemd, Wine, and the peers ss
// and lsof, which look at the same doors in the same moment.
//
// Everything runs in rooms: network and mount namespaces that a test makes for
// itself, with configuration and data in the test's own directory. The tests
// need root; without it they say so.
package integration
