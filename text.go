package monban

import (
	"fmt"
	"strconv"
)

// nameOf and parseName give the small enumerations their text forms.

func nameOf[T ~uint8](names []string, v T) string {
	if int(v) < len(names) {
		return names[v]
	}
	return strconv.Itoa(int(v))
}

func parseName[T ~uint8](names []string, text []byte, what string, v *T) error {
	for i, name := range names {
		if name == string(text) {
			*v = T(i)
			return nil
		}
	}
	return fmt.Errorf("unknown %s %q", what, text)
}
