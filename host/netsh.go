package host

import (
	"errors"
	"fmt"
	"strings"

	"github.com/monban-dev/monban"
)

// netsh.exe speaks the language and the code page of its Windows. Its numbers are
// ASCII in all of them, and no code page uses a digit, a colon, a dash or an
// asterisk as a part of another character.

// parseDynamicPorts reads what "netsh interface ipv4 show dynamicport tcp" writes:
// the first port and how many there are.
//
//	Protocol tcp Dynamic Port Range
//	---------------------------------
//	Start Port      : 49152
//	Number of Ports : 16384
func parseDynamicPorts(text string) (monban.PortRange, error) {
	var numbers []int
	for line := range strings.Lines(text) {
		at := strings.LastIndex(line, ":")
		if at < 0 {
			continue
		}
		r, err := plainRange(strings.TrimSpace(line[at+1:]))
		if err != nil || r.Len() != 1 {
			continue
		}
		numbers = append(numbers, int(r.First))
	}
	if len(numbers) != 2 || numbers[1] == 0 || numbers[0]+numbers[1] > 1<<16 {
		return monban.PortRange{}, errors.New("netsh wrote no range of dynamic ports")
	}
	return monban.PortRange{First: uint16(numbers[0]), Last: uint16(numbers[0] + numbers[1] - 1)}, nil
}

// parseExcludedPorts reads what "netsh interface ipv4 show excludedportrange tcp"
// writes. The ranges with an asterisk were made by an administrator: the system
// hands none of them out, but a program that asks for one gets it. The others
// nobody gets.
//
//	Protocol tcp Port Exclusion Ranges
//
//	Start Port    End Port
//	----------    --------
//	      5357        5357
//	     50000       50059     *
//
//	* - Administered port exclusions.
func parseExcludedPorts(text string, proto monban.Proto) (reserved, excluded []monban.PortRange, err error) {
	table := false
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 2 && strings.Trim(fields[0]+fields[1], "-") == "" {
			table = true // the line below the headings
			continue
		}
		administered := len(fields) == 3 && fields[2] == "*"
		if !table || len(fields) != 2 && !administered || strings.Trim(fields[0], "0123456789") != "" {
			continue
		}
		r, err := plainRange(fields[0] + "-" + fields[1])
		if err != nil {
			return nil, nil, fmt.Errorf("netsh: %w", err)
		}
		if r.Proto = proto; administered {
			reserved = append(reserved, r)
		} else {
			excluded = append(excluded, r)
		}
	}
	if !table {
		return nil, nil, errors.New("netsh wrote no table of excluded ports")
	}
	return reserved, excluded, nil
}
