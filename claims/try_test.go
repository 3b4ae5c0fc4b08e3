package claims

import (
	"fmt"
	"os"
	"testing"
)

func TestTry(t *testing.T) {
	fmt.Print(show(System(Place{FS: os.DirFS("/"), Root: "/"})))
	if p := os.Getenv("TRY"); p != "" {
		c, g, err := Read(Place{FS: os.DirFS("/"), Root: "/"}, p)
		fmt.Println(err)
		fmt.Print(show(c, g))
	}
}
