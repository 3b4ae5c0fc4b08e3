package integration

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// TestChurn looks while a thousand processes open a door and die, with process
// ids that are used again at once: monban never fails, and never names a wrong
// owner. A door tells its own: its port is in its process's command line.
func TestChurn(t *testing.T) {
	t.Parallel()
	r := newRoom(t, true)
	churn := r.command("root", program(t, "fixture"), "churn", "1000", "24")
	out, err := churn.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	churn.Stderr = &stderr
	if err := churn.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewScanner(out)
	if !in.Scan() || in.Text() != "ready" {
		t.Fatalf("churn said %q, %s", in.Text(), stderr.Bytes())
	}
	lived := make(chan string, 1)
	go func() {
		in.Scan()
		lived <- in.Text()
		churn.Wait()
	}()

	looks, doors, named := 0, 0, 0
	for {
		select {
		case n := <-lived:
			t.Logf("%d looks at %s lives: %d doors, %d named", looks, n, doors, named)
			if n != "1000" {
				t.Errorf("%s of 1000 processes lived as they should: %s", n, stderr.Bytes())
			}
			if named == 0 {
				t.Error("no owner was ever seen: the test saw nothing")
			}
			return
		default:
		}
		e := r.view()
		for _, f := range e.Findings {
			if f.Kind == "unnamed-owner" && strings.Contains(f.Why, "kernel") {
				t.Errorf("the door of a dying process is said to be the kernel's: %s", f.Why)
			}
		}
		for _, d := range e.Data.Doors {
			doors++
			if checkLife(t, d) {
				named++
			}
		}
		looks++
	}
}

// checkLife checks whose door it is, and reports whether anybody's.
func checkLife(t *testing.T, d door) bool {
	t.Helper()
	if len(d.Owners) == 0 {
		return false
	}
	for _, o := range d.Owners {
		want := fmt.Sprintf("live %d", d.Port)
		if got := strings.Join(o.Command, " "); o.Name != "fixture" || len(o.Command) > 0 && !strings.HasSuffix(got, want) {
			t.Errorf("%s is said to be of %q (%s, process %d)", d, got, o.Name, o.PID)
		}
	}
	return true
}
