// Package monban holds the vocabulary of ports: doors, who is behind them, what
// they ask for, and what could not be seen.
//
// A port is a door into a computer. This package has the values that the other
// packages exchange and nothing else: it reads nothing, decides nothing and
// imports only the standard library. Sources ([github.com/monban-dev/monban/sockets],
// [github.com/monban-dev/monban/owners], …) make these values; judgements
// ([github.com/monban-dev/monban/conflict], …) are pure functions over them.
//
// Two habits run through it. The zero value of a typed scalar means "unknown",
// so forgetting to fill a field in never turns into a claim. And what could not
// be seen is a [Gap] beside the answer, never an empty list.
package monban
