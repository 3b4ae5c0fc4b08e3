package owners

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/windows"

	"github.com/monban-dev/monban"
)

func TestNameOwn(t *testing.T) {
	doors := []monban.Door{
		{Owners: []monban.Owner{{PID: os.Getpid()}}},
		{Owners: []monban.Owner{{PID: 0}}},
		{Owners: []monban.Owner{{PID: 0x7ffffffc}}},
		{Owners: []monban.Owner{{PID: systemPID}}, Bind: monban.Bind{Port: monban.Port{Num: 445, Proto: monban.TCP}}},
	}
	gaps := Name(t.Context(), doors, Options{})
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if len(doors[0].Owners) != 1 {
		t.Fatalf("%+v", doors[0])
	}
	o := doors[0].Owners[0]
	// Wine 8 does not tell command lines (STATUS_INVALID_INFO_CLASS).
	wine := windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil
	if !wine && !slices.Equal(o.Command, os.Args) {
		t.Errorf("command %q", o.Command)
	}
	if o.Name != filepath.Base(exe) || o.Exe != exe || o.Started.IsZero() || time.Since(o.Started) > time.Hour {
		t.Errorf("%+v", o)
	}
	if doors[1].Unnamed != monban.HiddenUnreadable || doors[2].Unnamed != monban.HiddenGone {
		t.Errorf("%+v", doors[1:3])
	}
	if d := doors[3]; d.Kernel != "smb" || len(d.Owners) != 1 || d.Owners[0].Name != "System" {
		t.Errorf("%+v", d)
	}
	if len(gaps) != 1 || gaps[0].Count != 1 {
		t.Errorf("gaps %+v", gaps)
	}
	t.Logf("%+v; %d services", o, len(services()))
}
