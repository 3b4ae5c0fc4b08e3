// Hello is the least that a Go program can do: what starting monban is compared
// with.
package main

import "fmt"

func main() { fmt.Println("hello, world") }
