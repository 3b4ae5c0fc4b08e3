package sockets

import (
	"strconv"
	"strings"
)

// listsBound reports whether a Linux of the given release, such as
// "6.1.0-13-amd64", lists TCP sockets that are bound but do not listen
// (TCP_BOUND_INACTIVE). A release that cannot be read does not.
func listsBound(release string) bool { return atLeast(release, 6, 8) }

// loadsToAnswer reports whether a Linux of the given release may load SCTP or
// DCCP only because somebody asks for their sockets. Since 4.17 it does not
// (sock_load_diag_module in net/core/sock_diag.c).
func loadsToAnswer(release string) bool { return !atLeast(release, 4, 17) }

func atLeast(release string, major, minor int) bool {
	ma, mi, ok := parseRelease(release)
	return ok && (ma > major || ma == major && mi >= minor)
}

func parseRelease(release string) (major, minor int, ok bool) {
	first, rest, _ := strings.Cut(release, ".")
	digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
	major, err1 := strconv.Atoi(first)
	minor, err2 := strconv.Atoi(rest[:digits])
	return major, minor, err1 == nil && err2 == nil
}
