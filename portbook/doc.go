// Package portbook says what a port number means. It knows nothing about this
// machine.
//
// It has three layers, kept visibly apart because they often disagree. The
// registry is IANA's: who was assigned a number. Practice is what is really met
// there: IANA's name for 9200 is wap-wsp, and what listens is Elasticsearch.
// Risk is what exposing the service to everybody has led to elsewhere, and the
// usual remedy, each with the source that says so.
//
// A row of the book is never the identity of a program. That nginx listens on
// 9200 does not make it Elasticsearch; [Use.RunBy] and [Use.InImage] tell what
// does prove it.
//
// Everything is embedded and read in place: [Builtin] parses nothing and
// allocates no table. The data are made by the generator in gen from the files in
// data, which also hold the licences.
package portbook

//go:generate go run ./gen -dir .
