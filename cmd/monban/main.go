// Command monban is the doorkeeper for a machine's network ports.
package main

import (
	"os"

	"github.com/monban-dev/monban/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:])) }
