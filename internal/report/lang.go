package report

// Lang is a language of the words for people.
type Lang uint8

// The languages.
const (
	EN Lang = iota
	JA
)
