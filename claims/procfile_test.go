package claims

import (
	"slices"
	"testing"
	"testing/fstest"
)

// TestScriptsRuntime: what runs is the interpreter, by which the program is
// recognised when it runs already.
func TestScriptsRuntime(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]string{
		"python3 -m http.server $PORT":       "python3",
		"python3.12 manage.py runserver 80":  "python3.12",
		"python -m uvicorn app:app --port 1": "python",
		"uvicorn app:app --port $PORT":       "python3",
		"gunicorn -b :$PORT app":             "python3",
		"memcached -p 1":                     "memcached",
	} {
		tree := fstest.MapFS{"shop/Procfile": {Data: []byte("web: " + command + "\n")}}
		found, gaps, err := Read(Place{FS: tree, Root: "/"})
		if err != nil || len(gaps) > 0 || len(found) == 0 {
			t.Errorf("%s: %v %v %v", command, found, gaps, err)
			continue
		}
		if exes := found[0].Program.Exes; !slices.Contains(exes, want) || found[0].Program.Dir != "/shop" {
			t.Errorf("%s: %q in %q, want %s in /shop", command, exes, found[0].Program.Dir, want)
		}
	}
}
