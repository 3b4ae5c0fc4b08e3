// How many processors the program may use is found out at start. To look again
// each second, the first time at once, is for programs that run longer, and takes
// this one 0.1 ms.
//
//go:debug updatemaxprocs=0

// Command monban is the doorkeeper for a machine's network ports.
package main

import (
	"os"

	"github.com/monban-dev/monban/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:])) }
