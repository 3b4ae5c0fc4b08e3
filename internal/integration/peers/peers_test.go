package peers

import (
	"slices"
	"testing"
)

const (
	ssText = `udp UNCONN 0 0 127.0.0.53%lo:53 0.0.0.0:* users:(("systemd-resolve",pid=7,fd=13)) uid:101 ino:900 sk:1 cgroup:/x <->
tcp LISTEN 0 511 *:80 *:* users:(("apache2",pid=20,fd=4),("apache2",pid=12,fd=4),("apache2",pid=12,fd=5)) ino:901 sk:2 v6only:0 <->
tcp LISTEN 0 128 [::]:22 [::]:* users:(("sshd",pid=30,fd=4)) ino:902 sk:3 v6only:1 <->
udp UNCONN 0 0 0.0.0.0:4789 0.0.0.0:* ino:0 sk:4 <->
`
	lsofText = "p12\nf4\nn*:80\np20\nf4\nn*:80\np30\nf4\nn*:22\n"
	jsonText = `{"data":{"doors":[
{"proto":"udp","address":"127.0.0.53","port":53,"device":"lo","state":"bound","inode":900,"owners":[{"pid":7}]},
{"proto":"tcp","address":"::","port":80,"device":"","state":"listen","inode":901,"owners":[{"pid":12},{"pid":20}]},
{"proto":"tcp","address":"::","port":22,"device":"","state":"listen","inode":902,"owners":[{"pid":30}]},
{"proto":"tcp","address":"::","port":23,"device":"","state":"bound","inode":903,"owners":[{"pid":30}]},
{"proto":"tcp","address":"::","port":24,"device":"","state":"forwarded","inode":0,"owners":[]},
{"proto":"udp","address":"0.0.0.0","port":4789,"device":"","state":"bound","inode":0,"owners":[]}]}}`
)

func TestSame(t *testing.T) {
	ss, err := SS(ssText)
	if err != nil {
		t.Fatal(err)
	}
	own, err := Monban([]byte(jsonText))
	if err != nil {
		t.Fatal(err)
	}
	if said := Differences("ss", Keys(ss), "monban", Keys(own)); len(said) > 0 {
		t.Errorf("the same machine differs: %q", said)
	}
	if said := Differences("lsof", Lsof(lsofText), "monban", AsLsof(own)); len(said) > 0 {
		t.Errorf("the same machine differs: %q", said)
	}
}

func TestDifferences(t *testing.T) {
	got := Differences("a", []string{"1", "2", "2", "4"}, "b", []string{"2", "3"})
	want := []string{"a shows, b does not: 1", "a shows, b does not: 2", "b shows, a does not: 3", "a shows, b does not: 4"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSSBroken(t *testing.T) {
	for _, text := range []string{"tcp LISTEN\n", "tcp LISTEN 0 1 nowhere x\n", "tcp LISTEN 0 1 1.2.3.4:http x\n"} {
		if rows, err := SS(text); err == nil {
			t.Errorf("%q is read as %v", text, rows)
		}
	}
}
