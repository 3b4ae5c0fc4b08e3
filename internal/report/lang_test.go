package report

import (
	"testing"
	"time"
)

// TestSay: a Japanese sentence has spaces around Latin letters only, whatever is
// filled in, and what is filled in stays as it is.
func TestSay(t *testing.T) {
	for _, tt := range []struct {
		format string
		args   []any
		want   string
	}{
		{"%s は %d を使います", []any{"nginx", 80}, "nginx は 80 を使います"},
		{"%s は %d を使います", []any{"別のユーザー(root)のプログラム", 80}, "別のユーザー(root)のプログラムは 80 を使います"},
		{"%[2]s は %[1]s です", []any{"nginx(pid 7)", "[::1]:80"}, "[::1]:80 は nginx(pid 7)です"},
		{"%[2]s は %[1]s です", []any{"(確認できず)", "[::1]:80"}, "[::1]:80 は(確認できず)です"},
		{"%s を開けません", []any{"私の 写真/設 定"}, "私の 写真/設 定を開けません"},
		{"%s  %s", []any{"持ち主", "不明"}, "持ち主  不明"},
		{"%q は %.1f%% です", []any{"あ い", 1.25}, `"あ い" は 1.2% です`},
		{"%s と %s と", []any{"a"}, "a と %s と"},
		{"→ %s", []any{"コンテナ"}, "→ コンテナ"},
		{"", nil, ""},
	} {
		if got := JA.say("", tt.format, tt.args...); got != tt.want {
			t.Errorf("%q %q: %q, want %q", tt.format, tt.args, got, tt.want)
		}
	}
	if got := EN.say("%s は %d", "", "別の", 1); got != "別の は 1" {
		t.Errorf("English is filled as it stands: %q", got)
	}
}

func TestFlagDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", time.Hour: "1h", 24 * time.Hour: "24h", 90 * time.Minute: "1h30m", time.Minute: "1m", 10 * time.Minute: "10m",
		time.Hour + 20*time.Second: "1h0m20s", -time.Second: "-1s", 1500 * time.Millisecond: "1.5s",
	} {
		if got := flagDuration(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
