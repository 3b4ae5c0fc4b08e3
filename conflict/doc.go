// Package conflict judges who may share a port: whether a bind succeeds, at
// which stage and with which errno it fails, because of whom, and what to do.
//
// It has three layers. [Linux] is a pure model of the kernel's own rules; a test
// performs random sequences of socket, bind, listen and close on a real kernel
// and compares every outcome with the model. Windows and macOS have rule sets of
// their own, taken from Microsoft's tables and from XNU's source. [CanBind] puts
// one wanted bind to these rules together with what is open on a machine, and
// names the cause. [Inspect] looks at what is open already and reports what will
// surprise people.
//
// Nothing here does I/O: no port is ever bound to find out whether it is free,
// because a probe takes the port from the program that wants it while it looks.
package conflict
