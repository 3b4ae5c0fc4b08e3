package cli

import (
	"bytes"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/free"
	"github.com/monban-dev/monban/internal/report"
	"github.com/monban-dev/monban/portbook"
)

// freeAnswers are answers of every kind about the saved machine: each outcome,
// each reason to refuse and to fail, each action.
func freeAnswers() map[string]report.Free {
	snap := office()
	at := func(n uint16) []monban.Door {
		return slices.DeleteFunc(slices.Clone(snap.Doors), func(d monban.Door) bool { return d.Bind.Port.Num != n || d.Bind.Port.Proto != monban.TCP })
	}
	http := monban.Port{Num: 80, Proto: monban.TCP}
	nginx := at(80)
	answers := make(map[string]report.Free)
	for _, o := range []report.FreeOutcome{report.FreePlanned, report.FreeFreed, report.FreeNobody, report.FreeChoose, report.FreeDeclined} {
		answers["outcome "+string(o)] = report.Free{Port: http, Outcome: o, Programs: [][]monban.Door{nginx}, Watched: 2 * time.Second, Others: at(22)}
	}
	for _, r := range []string{report.FreeStillOpen, report.FreeCameBack, report.FreeTaken, report.FreeChanged, report.FreeInterrupted} {
		answers["failed "+r] = report.Free{Port: http, Addr: netip.IPv4Unspecified(), Outcome: report.FreeFailed, Reason: r, Programs: [][]monban.Door{nginx}, Left: nginx, Fix: []monban.Fix{
			{Code: free.FixAtSupervisor, Args: []string{"supervisord", "web"}, Command: []string{"supervisorctl", "stop", "web"}},
			{Code: free.FixAtSupervisor, Args: []string{"pm2", ""}},
			{Code: free.FixStopParent, Args: []string{"make", "12"}, Command: []string{"kill", "12"}},
			{Code: free.FixUnitStarter, Args: []string{"web.service"}, Command: []string{"systemctl", "show", "web.service"}},
		}}
	}
	answers["refused blind"] = report.Free{Port: http, Outcome: report.FreeRefused, Reason: report.FreeBlind}
	for _, r := range []free.Reason{free.IsInit, free.IsManager, free.IsKernel, free.IsForwarder, free.IsLifeline, free.IsAncestor, free.IsSession, free.IsOwnUnit,
		free.IsContainer, free.IsHidden, free.IsPrivileged, free.IsResolver, free.IsOtherUser, free.IsChanged, free.IsBeyond, free.IsSilent} {
		f := report.Free{Port: http, Outcome: report.FreeRefused, Reason: string(r), Programs: [][]monban.Door{nginx},
			Refused: []report.FreeRefusal{{Reason: string(r), Door: nginx[0], Name: "nginx", PID: 900, User: "hana", Output: "connection refused\nurl http://u:hunter2@h/"}}}
		if r == free.IsPrivileged {
			f.Again = []string{"sudo", "monban", "free", "80"}
		}
		answers["refused "+string(r)] = f
	}
	for _, s := range []report.FreeStep{
		{Action: string(free.Signal), Name: "redis-server", Processes: at(6379)[0].Owners, Grace: 10 * time.Second, Session: true, Also: at(22)},
		{Action: string(free.Signal), Name: "nginx", Processes: nginx[0].Owners, Grace: 1500 * time.Millisecond},
		{Action: string(free.StopUnit), Name: "nginx.service", Supervisor: "systemd", Command: []string{"systemctl", "stop", "nginx.service"}},
		{Action: string(free.StopUnit), Name: "cups.socket", Supervisor: "systemd", Command: []string{"systemctl", "stop", "cups.socket", "cups.service"}},
		{Action: string(free.StopContainer), Name: "shop-web-1", Supervisor: "docker", Command: []string{"docker", "stop", "shop-web-1"}},
		{Action: string(free.StopChild), Name: "web", Supervisor: "runit", Command: []string{"sv", "stop", "/etc/service/web"}},
	} {
		s.Done, s.Output, s.Err = true, "it said --password hunter2", "exit status 1"
		s.Sent = []report.FreeSignal{{PID: 900, Name: "nginx", Signal: "SIGTERM"}}
		name := s.Action + " " + s.Name
		answers[name] = report.Free{Port: http, Outcome: report.FreeFreed, Programs: [][]monban.Door{nginx}, Steps: []report.FreeStep{s}, Watched: 2 * time.Second,
			Bind: []monban.Judgement{{Bind: nginx[0].Bind, Outcome: monban.Fails, Errno: "EADDRINUSE", Cause: "L7"}}}
	}
	return answers
}

func writeFree(t *testing.T, f report.Free, s report.Style) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Write(&b, report.Result{Verb: "free", Snapshot: office(), Book: portbook.Builtin(), Data: f}, s); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestFreeWords says every answer in both languages, and as JSON of the published
// schema: no code is left without a sentence, and no secret gets out.
func TestFreeWords(t *testing.T) {
	codes := []string{"other-user", "own-unit", "stop-unit", "stop-child", "stop-container", "stop-parent", "unit-starter", "stop-at-supervisor",
		"free-as-root", "came-back", "still-open"}
	for name, f := range freeAnswers() {
		t.Run(name, func(t *testing.T) {
			en := writeFree(t, f, report.Style{Format: report.Text})
			ja := writeFree(t, f, report.Style{Format: report.Text, Lang: report.JA})
			for _, text := range []string{en, ja} {
				for _, code := range codes {
					if strings.Contains(text, code) {
						t.Errorf("the code %s is shown:\n%s", code, text)
					}
				}
				if strings.Contains(text, "hunter2") {
					t.Errorf("a secret is shown:\n%s", text)
				}
			}
			for _, r := range f.Refused {
				if strings.Contains(en, "\n              "+r.Reason+"\n") {
					t.Errorf("%s has no sentence:\n%s", r.Reason, en)
				}
			}
			if en == ja || strings.Count(en, "900") != strings.Count(ja, "900") {
				t.Errorf("the languages differ in what they tell:\n%s\n%s", en, ja)
			}
			json := writeFree(t, f, report.Style{Format: report.JSON})
			if strings.Contains(json, "hunter2") {
				t.Errorf("a secret is in %s", json)
			}
			validate(t, json)
		})
	}
}

// TestFreeGolden keeps the looks of one whole answer.
func TestFreeGolden(t *testing.T) {
	for name, f := range freeAnswers() {
		if name != "signal redis-server" && name != "refused lifeline" && name != "failed came-back" {
			continue
		}
		for _, lang := range []report.Lang{report.EN, report.JA} {
			golden(t, "testdata/golden/free-"+strings.ReplaceAll(name, " ", "-")+"."+lang.String()+".txt",
				writeFree(t, f, report.Style{Format: report.Text, Lang: lang, Width: 80}))
		}
	}
}

// TestFreeHostile lets a stranger choose every name.
func TestFreeHostile(t *testing.T) {
	evil := "\x1b]0;owned\a\x1b[31m\nnewline\u202egnp\u009b5m\xff"
	f := freeAnswers()["signal nginx"]
	f.Outcome, f.Reason = report.FreeFailed, report.FreeStillOpen
	f.Steps[0].Name, f.Steps[0].Supervisor, f.Steps[0].Output, f.Steps[0].Err = evil, evil, evil, evil
	f.Steps[0].Command = []string{"systemctl", "stop", evil}
	f.Steps[0].Processes = []monban.Owner{{PID: 5, Name: evil}}
	f.Refused = []report.FreeRefusal{{Reason: "other-user", Name: evil, User: evil, Output: evil, PID: 5}}
	f.Left = []monban.Door{{Bind: f.Programs[0][0].Bind, Owners: []monban.Owner{{PID: 5, Name: evil}}}}
	f.Again = []string{"sudo", evil}
	for _, s := range []report.Style{{Format: report.Text}, {Format: report.Text, Lang: report.JA, Width: 80}, {Format: report.Text, Verbose: true}, {Format: report.JSON}} {
		out := stripColours(writeFree(t, f, s))
		if i := strings.IndexFunc(out, func(r rune) bool {
			return r < ' ' && r != '\n' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x202e
		}); i >= 0 {
			t.Errorf("%q gets through", out[max(0, i-20):min(len(out), i+20)])
		}
	}
}

func TestFreeQuestion(t *testing.T) {
	book := portbook.Builtin()
	for _, test := range []struct {
		arg  string
		want string // the port, or a part of the error
	}{
		{"80", "80/tcp"}, {"80/tcp", "80/tcp"}, {"53/udp", "53/udp"}, {"http", "80/tcp"}, {"ssh", "22/tcp"}, {"0", "0/tcp"},
		{"80-81", "not a range"}, {"80/foo", "no transport"}, {"nosuchthing", "no port, service or command"},
	} {
		o := freeOptions{grace: time.Second}
		q, err := o.question(book, test.arg)
		switch {
		case err != nil && !strings.Contains(err.Error(), test.want):
			t.Errorf("%s: %v, want %s", test.arg, err, test.want)
		case err == nil && q.Port.String() != test.want:
			t.Errorf("%s: %s, want %s", test.arg, q.Port, test.want)
		}
	}
}

// TestFreeElsewhere must be an honest error where monban cannot act.
func TestFreeElsewhere(t *testing.T) {
	for _, system := range []string{"windows", "darwin", "freebsd"} {
		err := report.NoFreeHere(system)
		for _, lang := range []report.Lang{report.EN, report.JA} {
			var b bytes.Buffer
			report.WriteProblem(&b, err, lang)
			if !strings.Contains(b.String(), "Linux") || !strings.Contains(b.String(), "PID") {
				t.Errorf("%s: %s", system, b.String())
			}
		}
	}
	if _, err := free.Myself(func(string) string { return "" }); (err == nil) != (runtime.GOOS == "linux") {
		t.Errorf("Myself on %s: %v", runtime.GOOS, err)
	}
}
