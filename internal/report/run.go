package report

import (
	"errors"
	"fmt"
	"io"
	"syscall"
)

// Run is how a command of `monban run` ended.
type Run struct {
	Command []string
	Name    string // what its port is kept for
	Port    uint16
	Status  int
	Signal  int // that ended it; 0 is none
	// NotStarted reports that the door to hand over did not open.
	NotStarted bool
	// Explained are the doors that it could not open. Said reports that the
	// command complained about them; else they are what it most likely wanted.
	Explained []Explained
	Said      bool
}

func (r Run) hideSecrets(m masker) Data {
	r.Command = maskArgs(r.Command)
	r.Name = maskText(r.Name)
	r.Explained = Explanation{Complaints: r.Explained}.hideSecrets(m).(Explanation).Complaints
	return r
}

type runWire struct {
	Command    []string        `json:"command"`
	Name       string          `json:"name"`
	Port       uint16          `json:"port"`
	Status     int             `json:"status"`
	Signal     int             `json:"signal"`
	Started    bool            `json:"started"`
	Said       bool            `json:"said"`
	Complaints []explainedWire `json:"complaints"`
}

func (r Run) wire(v *view) any {
	return runWire{nonNil(r.Command), r.Name, r.Port, r.Status, r.Signal, !r.NotStarted, r.Said,
		Explanation{Complaints: r.Explained}.wire(v).(explanationWire).Complaints}
}

func (r Run) text(p *printer, v *view) {
	if len(r.Explained) == 0 {
		return
	}
	p.blank()
	p.paragraph(span{bold, "monban: "}, r.headline(v.style.Lang))
	for i, c := range r.Explained {
		if i > 0 {
			p.blank()
		}
		v.explainedText(p, c)
	}
	v.gapsText(p)
}

// headline says what happened, and how sure it is that a port was why.
func (r Run) headline(l Lang) string {
	how := l.say("ended with status %d", "終了ステータス %d で終了しました", r.Status)
	if r.Signal != 0 {
		how = l.say("was ended by signal %d", "シグナル %d で終了しました", r.Signal)
	}
	switch {
	case r.NotStarted:
		return l.say("%s was not started: the door for it did not open.", "%s は起動していません。渡すためのドアを開けませんでした。", r.Name)
	case r.Said:
		return l.say("%s %s, and said that it could not open a port.", "%s は%s。ポートを開けないと表示しています。", r.Name, how)
	default:
		return l.say("%s %s. This port cannot be opened now, which may be why:", "%s は%s。次のポートはいま開けないため、これが原因かもしれません。", r.Name, how)
	}
}

// RunNote says which port a command gets.
func RunNote(w io.Writer, r Run, variable string, lang Lang) {
	fmt.Fprintf(w, "monban: %s=%d %s\n", variable, r.Port, safe(lang.say("for %s", "(%s 用)", maskText(r.Name))))
}

// NoCommand says that run has nothing to run.
func NoCommand() error {
	return usageProblem("name the command to run, for example: monban run -- npm start", "実行するコマンドを指定してください。例: monban run -- npm start")
}

// BadPortEnv says what a variable's name may be.
func BadPortEnv(name string) error {
	return usageProblem("--port-env %q: want the name of a variable, such as PORT", "--port-env に %q は指定できません。PORT のような環境変数名を指定してください", name)
}

// BadListenAddress says what --listen takes.
func BadListenAddress(text string) error {
	return usageProblem("--listen=%s: want an address without a port, such as 127.0.0.1, 0.0.0.0 or ::", "--listen=%s は指定できません。127.0.0.1、0.0.0.0、:: のように、ポートなしのアドレスを指定してください", text)
}

// ListenUnsupported says that a socket cannot be handed over here.
func ListenUnsupported() error {
	return &Problem{en: "--listen does not work on this system: a listening socket cannot be handed to another program as LISTEN_FDS",
		ja: "このシステムでは --listen を使えません。待ち受けソケットを LISTEN_FDS として渡せないためです", err: errors.ErrUnsupported}
}

// CannotListen says that the door to hand over did not open.
func CannotListen(at string, err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		err = errno
	}
	return &Problem{en: fmt.Sprintf("cannot listen on %s: %v; the command was not started", at, err),
		ja: fmt.Sprintf("%s で待ち受けできません: %v。コマンドは起動していません", at, err), err: err}
}

// NoSuchCommand says that there is no command of a name.
func NoSuchCommand(name string, err error) error {
	return &Problem{en: fmt.Sprintf("%s: no such command", name), ja: fmt.Sprintf("%s: コマンドが見つかりません", name), err: err}
}

// NotExecutable says that a file may not be run.
func NotExecutable(name string, err error) error {
	return &Problem{en: fmt.Sprintf("%s: not executable", name), ja: fmt.Sprintf("%s: 実行できません(実行権限がありません)", name), err: err}
}

// CannotStart says why a command was not run.
func CannotStart(name string, err error) error {
	return &Problem{en: fmt.Sprintf("%s: cannot be started: %v", name, err), ja: fmt.Sprintf("%s: 起動できません: %v", name, err), err: err}
}
