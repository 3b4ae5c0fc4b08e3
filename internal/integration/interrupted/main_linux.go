// Interrupted is monban with something that happens at one step of a move: the
// tests break it off there, or change the machine under its hands.
//
//	interrupted STEP SCRIPT PROGRAM ARG…
//
// STEP is the number of the step, from 1, before which SCRIPT is run by sh, with
// this process's number as $1; PROGRAM is the monban that the timer runs.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"github.com/monban-dev/monban/internal/cli"
	"github.com/monban-dev/monban/internal/move"
	"github.com/monban-dev/monban/internal/privilege"
)

func main() {
	if len(os.Args) < 5 {
		fmt.Fprintln(os.Stderr, "interrupted: want STEP SCRIPT PROGRAM ARG…")
		os.Exit(64)
	}
	at, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "interrupted:", err)
		os.Exit(64)
	}
	n := 0
	sys := cli.System{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Program: os.Args[3],
		Keep: privilege.Keep, Lower: privilege.Lower,
		Step: func(s move.Step) {
			if n++; n != at {
				return
			}
			fmt.Fprintln(os.Stderr, "interrupted at:", s.Code)
			cmd := exec.Command("/bin/sh", "-c", os.Args[2], "sh", strconv.Itoa(os.Getpid()))
			cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
			if err := cmd.Run(); err != nil {
				fmt.Fprintln(os.Stderr, "interrupted:", err)
				os.Exit(64)
			}
		}}
	os.Exit(cli.Run(context.Background(), sys, os.Args[4:]))
}
