package integration

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestChurn looks while a thousand processes open a door and die, with process
// ids that are used again at once: monban never fails, and never names a wrong
// owner. A door tells its own: its port is in its process's command line.
func TestChurn(t *testing.T) {
	t.Parallel()
	program(t, "monban") // which takes longer to build than they live
	r := newRoom(t, true)
	churn := r.command("root", program(t, "fixture"), "churn", "1000", "24")
	in, err := churn.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := churn.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	churn.Stderr = &stderr
	if err := churn.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	if !said.Scan() || said.Text() != "ready" {
		t.Fatalf("churn said %q, %s", said.Text(), stderr.Bytes())
	}

	looks, doors, named := 0, 0, 0
	for began := time.Now(); looks < 5 || named < 20 && time.Since(began) < enough; looks++ {
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
	}
	in.Close()
	said.Scan()
	lived, lives, _ := strings.Cut(said.Text(), " ")
	if err := churn.Wait(); err != nil || lived != lives {
		t.Errorf("%s of %s processes lived as they should: %v %s", lived, lives, err, stderr.Bytes())
	}
	t.Logf("%d looks at %s lives: %d doors, %d named", looks, lives, doors, named)
	if named == 0 {
		t.Error("no owner was ever seen: the test saw nothing")
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
