package report

import (
	"net/netip"
	"testing"

	"github.com/monban-dev/monban"
)

// TestComplaintSentence: parts of a Japanese sentence are set apart from Latin
// letters and digits only.
func TestComplaintSentence(t *testing.T) {
	for _, tt := range []struct {
		c    Explained
		want string
	}{
		{Explained{Program: "redis", HasPort: true, Port: 80, Proto: monban.TCP, Errno: "EADDRINUSE"}, "Redis がポート 80/tcp を開けませんでした (EADDRINUSE)。"},
		{Explained{HasPort: true, Port: 80}, "プログラムがポート 80 を開けませんでした。"},
		{Explained{HasPort: true, Port: 80, Addr: netip.MustParseAddr("127.0.0.1")}, "プログラムが 127.0.0.1:80 を開けませんでした。"},
		{Explained{Program: "java"}, "Java のプログラムがポート(メッセージに番号の記載なし)を開けませんでした。"},
	} {
		v := view{style: Style{Lang: JA}}
		if got := v.complaintSentence(tt.c); got != tt.want {
			t.Errorf("%s, want %s", got, tt.want)
		}
	}
}
