package owners

import (
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/monban-dev/monban"
)

const head = "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nServer: Docker/20.10.24+dfsg1 (linux)\r\n\r\n"

// answerOf is what Docker 20.10 answers for one container with a published
// port, without the fields that are not used.
const answerOf = `[{"Id":"` + id1 + `","Names":["/peer/alias","/shop-web-1"],"Image":"nginx:1.27","Command":"x","Created":1,
"Labels":{"com.docker.compose.project":"shop","com.docker.compose.service":"web","x":"y"},
"Ports":[{"IP":"0.0.0.0","PrivatePort":80,"PublicPort":8081,"Type":"tcp"},{"IP":"::","PrivatePort":80,"PublicPort":8081,"Type":"tcp"},
{"PrivatePort":443,"Type":"tcp"},{"IP":"127.0.0.1","PrivatePort":53,"PublicPort":5353,"Type":"udp"},{"IP":"","PrivatePort":9,"PublicPort":9,"Type":"sctp"}],
"State":"running","HostConfig":{"NetworkMode":"shop_default"},
"NetworkSettings":{"Networks":{"shop_default":{"IPAddress":"172.18.0.2","GlobalIPv6Address":""}}},"Mounts":[]}]`

func TestReadAnswer(t *testing.T) {
	ip := netip.MustParseAddr("172.18.0.2")
	want := []monban.Container{{ID: id1, Name: "shop-web-1", Image: "nginx:1.27", Engine: "docker", Project: "shop", Service: "web",
		Published: []monban.Published{
			{Host: bind(t, "tcp", "0.0.0.0:8081"), Target: 80, Addr: ip},
			{Host: bind(t, "tcp", "[::]:8081"), Target: 80, Addr: ip},
			{Host: bind(t, "udp", "127.0.0.1:5353"), Target: 53, Addr: ip},
			{Host: bind(t, "sctp", "0.0.0.0:9"), Target: 9, Addr: ip},
		}}}
	got, err := readAnswer(strings.NewReader(head+answerOf), maxAnswer)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, got, want)
	}
	got, err = readAnswer(strings.NewReader(strings.Replace(head, "Docker/", "Libpod/", 1)+answerOf), maxAnswer)
	if err != nil || got[0].Engine != "podman" {
		t.Errorf("podman: %v, %+v", err, got)
	}
	got, err = readAnswer(strings.NewReader(head+"[]"), maxAnswer)
	if err != nil || len(got) != 0 {
		t.Errorf("nothing runs: %v, %+v", err, got)
	}
}

// TestReadAnswerCut cuts a good answer at every byte: it is an error then, and
// never a shorter answer.
func TestReadAnswerCut(t *testing.T) {
	whole := head + answerOf
	for i := range len(whole) {
		if got, err := readAnswer(strings.NewReader(whole[:i]), maxAnswer); err == nil || got != nil {
			t.Fatalf("cut at %d of %d: %v, %+v", i, len(whole), err, got)
		}
	}
}

func TestReadAnswerHostile(t *testing.T) {
	for name, answer := range map[string]string{
		"not HTTP":           "SSH-2.0-OpenSSH_9.2\r\n\r\n",
		"an error":           "HTTP/1.1 500 Internal Server Error\r\n\r\n[]",
		"a redirection":      "HTTP/1.1 301 Moved\r\nLocation: http://192.0.2.1/\r\n\r\n[]",
		"a longer code":      "HTTP/1.1 2000 OK\r\n\r\n[]",
		"chunks":             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
		"an object":          head + `{"message":"x"}`,
		"a string":           head + `"x"`,
		"null":               head + `null`,
		"a number for names": head + `[{"Id":"` + id1 + `","Names":3}]`,
		"a huge port":        head + `[{"Id":"` + id1 + `","Ports":[{"PublicPort":65616,"Type":"tcp"}]}]`,
		"a negative port":    head + `[{"Id":"` + id1 + `","Ports":[{"PublicPort":-1,"Type":"tcp"}]}]`,
		"a short ID":         head + `[{"Id":"` + id1[:12] + `"}]`,
		"a hostile ID":       head + `[{"Id":"../../` + id1[6:] + `"}]`,
		"no ID":              head + `[{}]`,
		"a list in a list":   head + `[[]]`,
		"depth":              head + `[{"x":` + strings.Repeat("[", 20000),
	} {
		if got, err := readAnswer(strings.NewReader(answer), maxAnswer); err == nil || got != nil {
			t.Errorf("%s: %v, %+v", name, err, got)
		}
	}
	for name, answer := range map[string]io.Reader{
		"an endless status":  endless{"H"},
		"an endless header":  io.MultiReader(strings.NewReader("HTTP/1.0 200 OK\r\n"), endless{"A: b\r\n"}),
		"an endless line":    io.MultiReader(strings.NewReader("HTTP/1.0 200 OK\r\nA: "), endless{"b"}),
		"an endless list":    io.MultiReader(strings.NewReader(head+"["), endless{`{"Id":"` + id1 + `"},`}),
		"an endless string":  io.MultiReader(strings.NewReader(head+`[{"Id":"`), endless{"a"}),
		"endless whitespace": io.MultiReader(strings.NewReader(head), endless{" "}),
	} {
		if got, err := readAnswer(answer, 1<<20); !errors.Is(err, errTooLong) || got != nil {
			t.Errorf("%s: %v, %d containers", name, err, len(got))
		}
	}
}

// endless reads as the same text for ever.
type endless struct{ text string }

func (e endless) Read(b []byte) (int, error) {
	n := 0
	for len(b)-n >= len(e.text) {
		n += copy(b[n:], e.text)
	}
	if n == 0 {
		n = copy(b, e.text)
	}
	return n, nil
}

func TestUnpublishable(t *testing.T) {
	got, err := readAnswer(strings.NewReader(head+`[{"Id":"`+id1+`","Names":[],"Ports":[
		{"IP":"not an address","PublicPort":1,"PrivatePort":1,"Type":"tcp"},{"IP":"::","PublicPort":1,"PrivatePort":1,"Type":"tcp6"}],
		"NetworkSettings":{"Networks":{"a":{"IPAddress":"172.18.0.2"},"b":{"IPAddress":"172.19.0.2"},"c":null}},
		"Labels":null}]`), maxAnswer)
	if err != nil || len(got) != 1 || len(got[0].Published) != 0 || got[0].Name != "" {
		t.Errorf("%v, %+v", err, got)
	}
}

func FuzzReadAnswer(f *testing.F) {
	f.Add(head + answerOf)
	f.Add(head + "[]")
	f.Add("HTTP/1.1 200\n\n[{}]")
	f.Fuzz(func(t *testing.T, s string) {
		list, err := readAnswer(strings.NewReader(s), maxAnswer)
		if err != nil && list != nil {
			t.Errorf("%v, and yet %+v", err, list)
		}
		for _, c := range list {
			if !isContainerID(c.ID) {
				t.Errorf("ID %q", c.ID)
			}
			for _, p := range c.Published {
				if !p.Host.Addr.IsValid() || p.Host.Port.Num == 0 || p.Host.Port.Proto == monban.AnyProto {
					t.Errorf("published %+v", p)
				}
			}
			if _, err := json.Marshal(c); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestParseUnix(t *testing.T) {
	const table = `Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01   123 /run/docker.sock
0000000000000000: 00000002 00000000 00010000 0001 01 45678 /var/run/docker.sock
0000000000000000: 00000003 00000000 00000000 0001 03 45679 /run/docker.sock
0000000000000000: 00000002 00000000 00010000 0001 01 11111 /run/a b/docker.sock
0000000000000000: 00000002 00000000 00010000 0001 01 22222 @/run/other.sock
0000000000000000: 00000002 00000000 00010000 0001 01 33333
0000000000000000: 00000002 00000000 zz 0001 01 33333 /docker.sock
`
	got, err := parseUnix(strings.NewReader(table), []string{"/docker.sock"})
	want := []unixListener{{123, "/run/docker.sock"}, {45678, "/var/run/docker.sock"}, {11111, "/run/a b/docker.sock"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %+v", err, got)
	}
}

func FuzzParseUnix(f *testing.F) {
	f.Add("0000000000000000: 00000002 00000000 00010000 0001 01   123 /run/docker.sock\n")
	f.Fuzz(func(t *testing.T, s string) {
		list, _ := parseUnix(strings.NewReader(s), []string{"/docker.sock"})
		for _, l := range list {
			if !strings.HasSuffix(l.path, "/docker.sock") {
				t.Errorf("%+v", l)
			}
		}
	})
}

func TestEngineName(t *testing.T) {
	for server, want := range map[string]string{"Docker/27.0 (linux)": "docker", "Libpod/4.3.1 (linux)": "podman", "": "docker"} {
		if got := engineName(server); got != want {
			t.Errorf("%q: %q", server, got)
		}
	}
}
