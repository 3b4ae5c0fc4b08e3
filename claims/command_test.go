package claims

import (
	"strings"
	"testing"
)

func TestFromCommand(t *testing.T) {
	for _, c := range []struct{ argv, env, want string }{
		{"prometheus --config.file=x", "", "tcp [::]:9090 default"},
		{"/usr/bin/prometheus --web.listen-address 127.0.0.1:9091", "", "tcp [127.0.0.1]:9091"},
		{"node_exporter -web.listen-address=:9101", "", "tcp [::]:9101"},
		{"prometheus --web.listen-address=$LISTEN", "", ""},
		{"java -Xmx1g -Dserver.port=8081 -jar app.jar", "", "tcp [::]:8081"},
		{"java -jar app.jar --server.port=8082 --server.address=127.0.0.1", "", "tcp [::ffff:127.0.0.1]:8082"},
		{"java -jar app.jar", "SERVER_PORT=8083", "tcp [::]:8083"},
		{"java -jar app.jar", "", ""},
		{"php -S 0.0.0.0:8000 -t public", "", "tcp [0.0.0.0]:8000"},
		{"php artisan migrate", "", ""},
		{"python3 -m http.server", "", "tcp [0.0.0.0]:8000 default"},
		{"python3 -u -m http.server 9000 -b ::1", "", "tcp [::1]:9000"},
		{"python manage.py runserver 0:8001", "", "tcp [0.0.0.0]:8001"},
		{"python manage.py runserver 127.1:8001", "", "tcp [127.0.0.1]:8001"},
		{"python manage.py runserver 0.0.0.0:8001", "", "tcp [0.0.0.0]:8001"},
		{"python manage.py migrate", "", ""},
		{"python3 -m uvicorn app:app --port 8002", "", "tcp [127.0.0.1]:8002"},
		{"gunicorn -b :8003 app", "", "tcp [::]:8003"},
		{"gunicorn app", "PORT=8004", "tcp [0.0.0.0]:8004"},
		{"flask run -p 5001 -h 0.0.0.0", "", "tcp [0.0.0.0]:5001"},
		{"flask run", "FLASK_RUN_PORT=5002", "tcp [127.0.0.1]:5002"},
		{"ollama serve", "OLLAMA_HOST=0.0.0.0:11500", "tcp [::]:11500"},
		{"ollama serve", "", "tcp [127.0.0.1]:11434 default"},
		{"ollama run llama3", "", ""},
		{"memcached -p 11212 -l 127.0.0.1", "", "tcp [127.0.0.1]:11212"},
		{"memcached", "", "tcp [0.0.0.0]:11211 default,tcp [::]:11211 v6only default"},
		{"kubectl port-forward svc/db 5433:5432", "", "tcp [127.0.0.1]:5433,tcp [::1]:5433"},
		{"ssh -N -L 8080:localhost:80 host", "", "tcp [127.0.0.1]:8080,tcp [::1]:8080"},
		{"ssh -N -L 192.0.2.1:8080:localhost:80 host", "", "tcp [192.0.2.1]:8080"},
		{"ssh -D 1080 host", "", "tcp [127.0.0.1]:1080,tcp [::1]:1080"},
		{"ssh host -p 2222", "", ""},
		{"node /srv/app/node_modules/.bin/next dev", "PORT=3001", "tcp [::]:3001"},
		{"node /srv/app/node_modules/.bin/vite --port 5174 --host 0.0.0.0", "", "tcp [0.0.0.0]:5174"},
		{"next dev -p 3002 -H 127.0.0.1", "", "tcp [127.0.0.1]:3002"},
		{"next build", "PORT=1", ""},
		{"env -i PORT=3003 next start", "PORT=3004", "tcp [::]:3003"},
		{"npx http-server -p 8085", "", "tcp [::]:8085"},
		{"sleep 80", "PORT=80", ""},
		{"", "", ""},
	} {
		found, gaps := FromCommand(strings.Fields(c.argv), strings.Fields(c.env))
		var got []string
		for _, claim := range found {
			text := strings.Fields(short(claim))
			got = append(got, strings.Join(text, " "))
		}
		if text := strings.Join(got, ","); text != c.want {
			t.Errorf("%s (%s): %q, want %q; gaps %v", c.argv, c.env, text, c.want, gaps)
		}
	}
}
