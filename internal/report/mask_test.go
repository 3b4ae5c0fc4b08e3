package report

import (
	"slices"
	"strings"
	"testing"
)

func TestMaskArgs(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"redis-server --requirepass hunter2 --port 6379", "redis-server --requirepass *** --port 6379"},
		{"app --db-password=hunter2", "app --db-password=***"},
		{"app --token hunter2 -v", "app --token *** -v"},
		{"app --apiKey hunter2", "app --apiKey ***"},
		{"app --token --verbose", "app --token --verbose"},
		{"env API_KEY=hunter2 PORT=80 node app.js", "env API_KEY=*** PORT=80 node app.js"},
		{"mysql -uroot -phunter2 shop", "mysql -uroot -p*** shop"},
		{"mysqld -p3306", "mysqld -p3306"},
		{"node -p3000", "node -p3000"},
		{"app postgres://me:hunter2@db:5432/shop", "app postgres://me:***@db:5432/shop"},
		{"app --dsn=postgres://me:hunter2@db/shop", "app --dsn=***"},
		{"app amqp://me:hun/ter2@mq", "app amqp://me:***@mq"},
		{"git clone https://ghp_abcdefghijklmnopqrstuvwxyz0123@github.example/x", "git clone https://***@github.example/x"},
		{"git clone ssh://git@github.example/x", "git clone ssh://git@github.example/x"},
		{"curl -H Authorization:_Bearer_hunter2hunter2", "curl -H Authorization: ***"},
		{"java -Djavax.net.ssl.keyStorePassword=hunter2 -jar app.jar", "java -Djavax.net.ssl.keyStorePassword=*** -jar app.jar"},
		{"app --password-file /run/secrets/db", "app --password-file /run/secrets/db"},
		{"python tokenizer.py --tokenizer bert --keyboard us", "python tokenizer.py --tokenizer bert --keyboard us"},
		{"nginx -c /etc/nginx/nginx.conf", "nginx -c /etc/nginx/nginx.conf"},
		{"prometheus --web.listen-address=:9090", "prometheus --web.listen-address=:9090"},
		{"app Server=db;User=me;Password=hunter2;Port=1433", "app Server=db;User=me;Password=***;Port=1433"},
	} {
		in := strings.Split(tt.in, " ")
		for i := range in {
			in[i] = strings.ReplaceAll(in[i], "_Bearer_", " Bearer ")
		}
		before := slices.Clone(in)
		got := strings.Join(maskArgs(in), " ")
		if got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.in, got, tt.want)
		}
		if !slices.Equal(in, before) {
			t.Errorf("%s: the argument was changed", tt.in)
		}
	}
}

func TestMaskText(t *testing.T) {
	for in, want := range map[string]string{
		"requirepass: hunter2":                      "requirepass: ***",
		`password = "two words" port = 80`:          `password = *** port = 80`,
		`curl -H "Authorization: Basic dXNlcjpw" x`: `curl -H "Authorization: ***" x`,
		"listen tcp 0.0.0.0:80: bind: address":      "listen tcp 0.0.0.0:80: bind: address",
		"token=abc&next=1":                          "token=***&next=1",
		"http://127.0.0.1:8080/x":                   "http://127.0.0.1:8080/x",
		"redis://:hunter2@localhost:6379/0 failed":  "redis://:***@localhost:6379/0 failed",
	} {
		if got := maskText(in); got != want {
			t.Errorf("maskText(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzMaskArgs(f *testing.F) {
	f.Add("a\x00--password\x00b")
	f.Add("u://a:b@c@d:/e://f:g@h")
	f.Fuzz(func(t *testing.T, s string) {
		in := strings.Split(s, "\x00")
		if out := maskArgs(in); len(out) != len(in) {
			t.Fatalf("%q: %d arguments became %d", s, len(in), len(out))
		}
	})
}
