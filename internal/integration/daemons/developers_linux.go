package daemons

import "github.com/monban-dev/monban"

// developers are servers that people run while they write programs.
func developers() []Daemon {
	return []Daemon{
		{Name: "PHP", Needs: "php", Client: []string{"curl", "-s", "http://@ADDR@:8000/"}, Doors: []Door{tcp(8000, "http", "PHP")}, start: func(r *room) {
			r.file("public/index.html", "hello\n")
			r.daemon("root", "php", "-S", "@ADDR@:8000", "-t", "@DIR@/public")
		}},
		{Name: "Python", Needs: "python3", Client: []string{"curl", "-s", "http://@ADDR@:8000/"}, Doors: []Door{tcp(8000, "http", "SimpleHTTP")}, start: func(r *room) {
			r.daemon("root", "python3", "-m", "http.server", "--bind", "@ADDR@", "--directory", "@DIR@", "8000")
		}},
		// Its worker serves a connection at a time, of which the first says nothing; at a port that is nobody's.
		{Name: "gunicorn", Needs: "gunicorn", Client: []string{"curl", "-s", "http://@ADDR@:18000/"}, Doors: []Door{{Proto: monban.TCP, Port: 18000, Protocol: "http", Product: "gunicorn", Direct: true}}, start: func(r *room) {
			r.file("hello.py", "def app(environ, start):\n    start('200 OK', [])\n    return [b'hello']\n")
			r.daemon("root", "gunicorn", "--bind", "@ADDR@:18000", "--workers", "1", "--chdir", "@DIR@", "hello:app")
		}},
	}
}
