package cli

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/internal/guard"
	"github.com/monban-dev/monban/internal/move"
	"github.com/monban-dev/monban/internal/report"
)

// shownMoves are results as they come about on three machines: the steps are those
// of real plans.
func shownMoves() map[string]report.Move {
	shown := func(p *move.Plan, boot guard.Manager) (out []report.MoveStep) {
		for _, s := range p.Steps(5*time.Minute, boot) {
			out = append(out, shownStep(s))
		}
		return out
	}
	config := []move.File{{Path: "/etc/ssh/sshd_config", Before: []byte("Port 22\n"), Both: []byte("Port 22\nPort 61022\n"), After: []byte("Port 61022\n"), Line: 2, Text: "Port 61022"}}
	sshd := &move.Plan{Truth: move.Truth{Way: move.BySSHD, Unit: "ssh.service", Exe: "/usr/sbin/sshd", Config: "/etc/ssh/sshd_config", Old: 22}, New: 61022, Files: config,
		Guard: &move.Policies{}, Gates: []move.Gate{{Do: []string{"ufw", "limit", "proto", "tcp", "from", "any", "to", "any", "port", "61022"}}}}
	socket := &move.Plan{Truth: move.Truth{Way: move.BySocket, Unit: "ssh.socket", Old: 22}, New: 766, Socket: move.Socket{Listen: []string{"ListenStream=[::]:22"}, Service: "ssh.service"}}
	hand := &move.Plan{Truth: move.Truth{Way: move.BySSHD, Exe: "/usr/sbin/sshd", Config: "/etc/ssh/sshd_config", Old: 22}, New: 61022, Files: config}
	return map[string]report.Move{
		"move-sshd": {Action: "ssh", Outcome: report.MovePlanned, Old: 22, New: 61022, Way: "sshd", Unit: "ssh.service", Steps: shown(sshd, guard.Systemd),
			Notes: []report.MoveReason{{Code: "squatters", Args: []string{"61022", "hana, ken"}}, {Code: "fail2ban", Args: []string{"61022", "ssh"}},
				{Code: "old-rule", Args: []string{"22", "ufw status numbered"}}, {Code: "elsewhere", Args: []string{"22", "61022"}}}},
		"move-socket": {Action: "ssh", Outcome: report.MovePlanned, Old: 22, New: 766, Proposed: true, Way: "socket", Unit: "ssh.socket", Steps: shown(socket, guard.Systemd)},
		"move-trial": {Action: "ssh", Outcome: report.MoveOnTrial, Old: 22, New: 61022, Way: "sshd", Steps: shown(hand, guard.NoManager), Left: 5 * time.Minute,
			Client: "ssh -p 61022 hana@192.0.2.1", PlanShown: true},
		"move-refused": {Action: "ssh", Outcome: report.MoveRefused, Old: 22, New: 40000, Refused: []report.MoveReason{
			{Code: "ephemeral", Args: []string{"40000", "32768-60999"}}, {Code: "busy", Args: []string{"40000", "node"}}, {Code: "selinux", Args: []string{"40000"}},
			{Code: "blocked", Args: []string{"40000", "0.0.0.0/0", "inet filter input: policy drop", "22"}}, {Code: "dropbear", Args: []string{"22/tcp"}},
			{Code: "container", Args: []string{"22/tcp", ""}}, {Code: "command-line", Args: []string{"-p 22", "ssh.service"}}, {Code: "stale", Args: []string{"/etc/ssh/sshd_config", "22, 4000", "22"}}}},
		"move-failed": {Action: "ssh", Outcome: report.MoveFailed, Old: 22, New: 61022, PlanShown: true, Refused: []report.MoveReason{
			{Code: "failed", Args: []string{"sshd -t", "exit status 255: /etc/ssh/sshd_config: line 3: Bad configuration option: Nonsense"}}}},
	}
}

func TestMoveGolden(t *testing.T) { goldenShown(t, "move", shownMoves()) }

// goldenShown compares what a verb says with golden files, in both languages, in a
// pipe and on a narrow terminal, and its JSON with the schema.
func goldenShown[D report.Data](t *testing.T, verb string, shown map[string]D) {
	t.Helper()
	for name, data := range shown {
		for _, lang := range []report.Lang{report.EN, report.JA} {
			for _, width := range []int{0, 72} {
				r := report.Result{Verb: verb, Snapshot: &monban.Snapshot{At: time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)}, Data: data}
				var b bytes.Buffer
				if err := report.Write(&b, r, report.Style{Format: report.Text, Lang: lang, Width: width}); err != nil {
					t.Fatal(err)
				}
				golden(t, filepath.Join("testdata", "golden", fmt.Sprintf("%s.%s.%s.txt", name, map[int]string{0: "pipe", 72: "narrow"}[width], lang)), b.String())
				b.Reset()
				if err := report.Write(&b, r, report.Style{Format: report.JSON, Lang: lang}); err != nil {
					t.Fatal(err)
				}
				validate(t, b.String())
			}
		}
	}
}
