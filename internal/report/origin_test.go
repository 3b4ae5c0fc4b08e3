package report

import (
	"testing"

	"github.com/monban-dev/monban"
)

func TestStartedBy(t *testing.T) {
	// The ancestors end with pid 1.
	chain := func(names ...string) (parents []monban.Parent) {
		for i, name := range names {
			parents = append(parents, monban.Parent{PID: len(names) - i, Name: name})
		}
		return parents
	}
	for _, tt := range []struct {
		name   string
		owner  monban.Owner
		en, ja string
	}{
		{"a unit", monban.Owner{Unit: "nginx.service", Parents: chain("bash", "systemd")}, "nginx.service", "nginx.service"},
		{"cron by a shell", monban.Owner{Parents: chain("sh", "cron", "systemd")}, "cron (cron)", "cron (cron)"},
		{"a supervisor by a shell", monban.Owner{Parents: chain("sh", "supervisord", "systemd")},
			"supervisor (supervisord)", "スーパーバイザー (supervisord)"},
		{"the nearest of those", monban.Owner{Parents: chain("sh", "nodemon", "bash", "code", "systemd")},
			"supervisor (nodemon)", "スーパーバイザー (nodemon)"},
		{"an editor's terminal", monban.Owner{Parents: chain("zsh", "code", "systemd")}, "editor (code)", "エディター (code)"},
		{"inetd", monban.Owner{Parents: chain("inetd", "init")}, "supervisor (inetd)", "スーパーバイザー (inetd)"},
		{"xinetd", monban.Owner{Parents: chain("xinetd", "init")}, "supervisor (xinetd)", "スーパーバイザー (xinetd)"},
		{"a session", monban.Owner{Unit: "session-3.scope", Parents: chain("node", "bash", "sshd", "systemd")}, "terminal (bash)", "端末 (bash)"},
		{"a tab of a terminal", monban.Owner{Unit: "vte-spawn-1-2.scope", Parents: chain("zsh", "systemd")}, "terminal (zsh)", "端末 (zsh)"},
		{"a scope and cron", monban.Owner{Unit: "run-u7.scope", Parents: chain("sh", "crond", "systemd")}, "cron (crond)", "cron (crond)"},
		{"adopted", monban.Owner{Parents: chain("systemd")}, "unknown", "不明"},
		{"adopted, in a scope", monban.Owner{Unit: "session-3.scope", Parents: chain("init")}, "unknown", "不明"},
		{"adopted by a container's tini", monban.Owner{Parents: chain("tini")}, "supervisor (tini)", "スーパーバイザー (tini)"},
		{"an orphan", monban.Owner{Orphan: true, Parents: chain("systemd")}, "(its parent is gone)", "(親プロセス終了)"},
		{"no parent", monban.Owner{}, "-", "-"},
		{"a parent that is nothing known", monban.Owner{Parents: chain("make", "systemd")}, "make", "make"},
	} {
		for lang, want := range map[Lang]string{EN: tt.en, JA: tt.ja} {
			v := &view{style: Style{Lang: lang}}
			if got := v.startedBy(&tt.owner); got != want {
				t.Errorf("%s: %q, want %q", tt.name, got, want)
			}
		}
	}
}
