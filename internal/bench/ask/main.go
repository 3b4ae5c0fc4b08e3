// Ask identifies TCP doors and prints a line for each: what package
// probe/identify does, as a program of its own that can be measured.
//
//	ask 127.0.0.1:22 127.0.0.1:80
package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"sync"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/probe/identify"
)

func main() {
	id := new(identify.Identifier)
	lines := make([]string, len(os.Args)-1)
	var wg sync.WaitGroup
	for i, text := range os.Args[1:] {
		target, err := netip.ParseAddrPort(text)
		if err != nil {
			fmt.Fprintln(os.Stderr, "ask:", err)
			os.Exit(2)
		}
		wg.Go(func() {
			s, err := id.Identify(context.Background(), target, monban.TCP)
			if err != nil {
				lines[i] = fmt.Sprintf("%d\terror\t%v", target.Port(), err)
				return
			}
			lines[i] = fmt.Sprintf("%d\t%s\t%s\t%s\t%s", target.Port(), s.Grade, s.Protocol, s.Product, s.Version)
		})
	}
	wg.Wait()
	for _, line := range lines {
		fmt.Println(line)
	}
}
