// Package claims finds out which ports programs will ask for when they start:
// from their configuration files, from units and container manifests, and from
// command lines, each claim with its file, line and column.
//
// [Read] looks at files and at project trees, [System] at the places where a
// machine's daemons keep their configuration, [FromCommand] at the command line
// and the environment of one program.
//
// A claim is what the program really binds, not what the file says: "localhost"
// is two claims where two sockets open, an absent directive claims the default,
// and the socket options are those that the program sets. Such facts about
// programs have been measured with the programs themselves; a test starts them
// and compares.
//
// What a reader cannot understand is a [monban.Gap] whose Source is the place,
// "httpd.conf:12", and never stops the others. Nothing is executed, no name is
// asked of a name server, and only regular files are opened.
//
// # Writing a reader
//
// A reader is one file of this package with one function, which [readers]
// lists: func(*scan) reads the file at scan.main. It loads text with scan.load,
// takes it apart with [lines] (one directive a line) or [blocks] (braces and
// semicolons), follows includes with scan.include, and reports with scan.claim
// and scan.gap. All of these are bounded; a reader needs no limits of its own.
package claims
