package sockets

import (
	"strconv"
	"strings"
)

// listsBound reports whether a Linux of the given release, such as
// "6.1.0-13-amd64", lists TCP sockets that are bound but do not listen
// (TCP_BOUND_INACTIVE). A release that cannot be read does not.
func listsBound(release string) bool {
	major, minor, ok := parseRelease(release)
	return ok && (major > 6 || major == 6 && minor >= 8)
}

func parseRelease(release string) (major, minor int, ok bool) {
	first, rest, _ := strings.Cut(release, ".")
	digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
	major, err1 := strconv.Atoi(first)
	minor, err2 := strconv.Atoi(rest[:digits])
	return major, minor, err1 == nil && err2 == nil
}
