package report

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/monban-dev/monban"
)

func TestMaskArgs(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"redis-server --requirepass hunter2 --port 6379", "redis-server --requirepass *** --port 6379"},
		{"app --db-password=hunter2", "app --db-password=***"},
		{"app --token hunter2 -v", "app --token *** -v"},
		{"app --apiKey hunter2", "app --apiKey ***"},
		{"app --token --verbose", "app --token --verbose"},
		{"app --password -hunter2 x", "app --password *** x"},
		{"env PGPASSWORD=hunter2 SSHPASS=hunter2 psql", "env PGPASSWORD=*** SSHPASS=*** psql"},
		{"bitcoind --rpcpassword=hunter2", "bitcoind --rpcpassword=***"},
		{"app --dbpassword hunter2", "app --dbpassword ***"},
		{"app --auth-token=hunter2 --auth-mode=basic", "app --auth-token=*** --auth-mode=basic"},
		{"app --db-password=hun,ter2", "app --db-password=***"},
		{"app --proxy-bypass=lan --compass n", "app --proxy-bypass=lan --compass n"},
		{`app {"password":"hunter2","port":80}`, `app {"password":***,"port":80}`},
		{"/usr/bin/curl -u me:hunter2 x", "/usr/bin/curl -u me:*** x"},
		{"sudo curl -ume:hunter2 x", "sudo curl -ume:*** x"},
		{"python -u me:app", "python -u me:app"},
		{"redis-cli -a hunter2 ping", "redis-cli -a *** ping"},
		{"redis-cli --pass hunter2 ping", "redis-cli --pass *** ping"},
		{"sshpass -p hunter2 ssh -p 22 h", "sshpass -p *** ssh -p 22 h"},
		{"sshpass -phunter2 ssh h", "sshpass -p*** ssh h"},
		{"ssh -p 22 h", "ssh -p 22 h"},
		{"sh -c prog_--password_hunter2_-v", "sh -c prog --password *** -v"},
		{"sh -c cd_/x_&&_curl__-u_me:hunter2_x", "sh -c cd /x && curl  -u me:*** x"},
		{"sh -c prog_--password_'two_words'_-v", "sh -c prog --password *** -v"},
		{"sh -c exec_mysql_-phunter2_shop", "sh -c exec mysql -p*** shop"},
		{"curl -H Cookie:_a=hunter2;_b=hunter2", "curl -H Cookie: ***"},
		{"env API-KEY=hunter2 PORT=80 node app.js", "env API-KEY=*** PORT=80 node app.js"},
		{"mysql -uroot -phunter2 shop", "mysql -uroot -p*** shop"},
		{"mysqld -p3306", "mysqld -p3306"},
		{"node -p3000", "node -p3000"},
		{"app postgres://me:hunter2@db:5432/shop", "app postgres://me:***@db:5432/shop"},
		{"app --dsn=postgres://me:hunter2@db/shop", "app --dsn=***"},
		{"app amqp://me:hun/ter2@mq", "app amqp://me:***@mq"},
		{"git clone https://ghpabcdefghijklmnopqrstuvwxyz0123@github.example/x", "git clone https://***@github.example/x"},
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
			in[i] = strings.ReplaceAll(in[i], "_", " ")
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
		"Cookie: a=hunter2; b=hunter2\nHost: x":     "Cookie: ***\nHost: x",
		`{"password" : "a\"b", "n": 1}`:             `{"password" : ***, "n": 1}`,
		`msg="{\"password\":\"hunter2\"}"`:          `msg="{\"password\":***}"`,
		"PGPASSWORD=hunter2 psql failed":            "PGPASSWORD=*** psql failed",
		"/etc/passwd: not a saved snapshot: x":      "/etc/passwd: not a saved snapshot: x",
		"token=abc&next=1":                          "token=***&next=1",
		"http://127.0.0.1:8080/x":                   "http://127.0.0.1:8080/x",
		"redis://:hunter2@localhost:6379/0 failed":  "redis://:***@localhost:6379/0 failed",
	} {
		if got := maskText(in); got != want {
			t.Errorf("maskText(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestMaskLine(t *testing.T) {
	for in, want := range map[string]string{
		"  app --token hunter2\n  next line": "  app --token ***\n  next line",
		`sh -c "app --token hunter2 -v" x`:   `sh -c "app --token *** -v" x`,
		"don't run app --token hunter2 -v":   "don't run app --token *** -v",
		"PGPASSWORD=hunter2 psql: refused":   "PGPASSWORD=*** psql: refused",
		"":                                   "",
	} {
		if got := maskLine(in); got != want {
			t.Errorf("maskLine(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestMaskReference(t *testing.T) {
	for in, want := range map[string]string{
		"me:hunter2@registry.example/app:1":    "me:***@registry.example/app:1",
		"https://me:hunter2@registry/app":      "https://me:***@registry/app",
		"registry:5000/vault-token:1@sha256:a": "registry:5000/vault-token:1@sha256:a",
		"app:1@sha256:a":                       "app:1@sha256:a",
	} {
		fix := monban.Fix{Args: []string{in}, Command: []string{"app", "--token", "hunter2"}}
		snap := hideSecrets(&monban.Snapshot{Containers: []monban.Container{{Image: in}}}, newMasker())
		j := newMasker().judgement(monban.Judgement{Fix: []monban.Fix{fix}})
		if got := snap.Containers[0].Image; got != want {
			t.Errorf("image %q is shown as %q, want %q", in, got, want)
		}
		if got := j.Fix[0]; got.Args[0] != want || got.Command[2] != masked {
			t.Errorf("fix of %q is shown as %q", in, got)
		}
	}
}

func TestWriteProblemMasksForeignText(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{CannotRead("/etc/passwd", errors.New("not a saved snapshot: x")), "monban: /etc/passwd: not a saved snapshot: x\n"},
		{CannotRead("passwd", errors.New("not a saved snapshot")), "monban: passwd: not a saved snapshot\n"},
		{BadFile(errors.New("x.yaml:3: password: hunter2")), "monban: x.yaml:3: password: ***\n"},
		{errors.New("dial redis://:hunter2@db"), "monban: dial redis://:***@db\n"},
	} {
		var b strings.Builder
		WriteProblem(&b, tt.err, EN)
		if b.String() != tt.want {
			t.Errorf("%v: got %q, want %q", tt.err, b.String(), tt.want)
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
