package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestCheckedIn proves that the generated files in the repository are what the
// generator makes of the inputs in the repository.
func TestCheckedIn(t *testing.T) {
	files, err := generate("..")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("the generator made no file")
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what go run ./portbook/gen makes", name)
		}
	}
}

func TestCheckUse(t *testing.T) {
	good := use{Ports: []string{"80/tcp"}, Name: "x", Kind: "web", Source: "s", En: "A sentence.", Ja: "文。"}
	if err := checkUse(good); err != nil {
		t.Fatal(err)
	}
	for what, spoil := range map[string]func(*use){
		"no source":          func(u *use) { u.Source = "" },
		"no Japanese":        func(u *use) { u.Ja = "A sentence." },
		"half a sentence":    func(u *use) { u.En = "A sentence" },
		"languages swapped":  func(u *use) { u.En, u.Ja = u.Ja, u.En },
		"image with host":    func(u *use) { u.Images = []string{"quay.io/x/y"} },
		"image with tag":     func(u *use) { u.Images = []string{"redis:7"} },
		"no port":            func(u *use) { u.Ports = nil },
		"plain style":        func(u *use) { u.Ja = "ウェブの通信に使う。" },
		"plain style inside": func(u *use) { u.Ja = "誰も使わない。削除します。" },
		"English name":       func(u *use) { u.Name = "Web server" },
		"unknown system":     func(u *use) { u.OS = []string{"macos"} },
		"image from library": func(u *use) { u.Images = []string{"library/redis"} },
	} {
		u := good
		spoil(&u)
		if checkUse(u) == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	for _, ja := range []string{"ウェブサーバー。", "使います。不要です。", "止めるのは親のほうではありません。", "Tor など。", "SSH を使いました。"} {
		u := good
		u.Ja = ja
		if err := checkUse(u); err != nil {
			t.Error(err)
		}
	}
}
