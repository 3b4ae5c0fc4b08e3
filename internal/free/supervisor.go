package free

import (
	"encoding/json"
	"errors"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// relative is a process as its supervision is judged by: a holder or an ancestor
// of one.
type relative struct {
	pid     int
	uid     int
	session int
	name    string   // of its first thread
	command []string // argument vector
	dir     string   // working directory
}

// supervision is a supervisor other than systemd and the engines, and the child
// by which it knows the program.
type supervision struct {
	kind   string // as Step.Supervisor
	by     relative
	child  int    // the process that it started: the holder or an ancestor of it
	config string // file or directory that its clients need; "" is their default
}

// supervisorOf looks for a supervisor among the ancestors of a holder, nearest
// first. chain[0] is the holder itself.
//
// What was started in another session than the supervisor's child is not the
// child's to stop: somebody logged in through a supervised sshd, and a terminal
// that was opened there, is nobody's service.
func supervisorOf(chain []relative) (supervision, bool) {
	for i := 1; i < len(chain); i++ {
		child := chain[i-1]
		if child.session != chain[0].session {
			return supervision{}, false
		}
		if s := asSupervisor(chain[i]); s.kind != "" {
			s.child = child.pid
			return s, true
		}
	}
	return supervision{}, false
}

// asSupervisor returns what r is as a supervisor; its kind is "" if it is none.
func asSupervisor(r relative) supervision {
	s := supervision{by: r}
	switch r.name {
	case "runsv":
		s.kind, s.config = "runit", r.dir
	case "s6-supervise":
		s.kind, s.config = "s6", r.dir
	case "supervise":
		s.kind, s.config = "daemontools", r.dir
	}
	if s.kind != "" {
		if !path.IsAbs(s.config) {
			return supervision{}
		}
		return s
	}
	if home, ok := pm2Home(r.command); ok {
		s.kind, s.config = "pm2", home
	} else if args, ok := supervisordArgs(r.command); ok {
		s.kind, s.config = "supervisord", configOf(args, r.dir)
	}
	return s
}

// pm2Home reads the title of pm2's daemon, "PM2 v5.3.0: God Daemon (/home/hana/.pm2)".
func pm2Home(command []string) (string, bool) {
	title := strings.TrimRight(strings.Join(command, " "), " ")
	if !strings.HasPrefix(title, "PM2 v") {
		return "", false
	}
	_, rest, ok := strings.Cut(title, ": God Daemon (")
	home, closed := strings.CutSuffix(rest, ")")
	return home, ok && closed && path.IsAbs(home)
}

// supervisordArgs returns the arguments of supervisord, which is a script of an
// interpreter.
func supervisordArgs(command []string) ([]string, bool) {
	for i := range min(2, len(command)) {
		if path.Base(command[i]) == "supervisord" {
			return command[i+1:], true
		}
	}
	return nil, false
}

// configOf returns the value of -c or --configuration.
func configOf(args []string, dir string) string {
	for i, arg := range args {
		value, found := strings.CutPrefix(arg, "--configuration=")
		switch {
		case found:
		case (arg == "-c" || arg == "--configuration") && i+1 < len(args):
			value = args[i+1]
		case strings.HasPrefix(arg, "-c") && len(arg) > 2:
			value = arg[2:]
		default:
			continue
		}
		if !path.IsAbs(value) {
			value = filepath.Join(dir, value)
		}
		return value
	}
	return ""
}

// question is the command that asks a supervisor by which name it knows its
// children; nil where it needs no name.
func (s supervision) question() []string {
	switch s.kind {
	case "supervisord":
		return append(s.supervisorctl(), "status")
	case "pm2":
		return append(s.pm2(), "jlist")
	}
	return nil
}

// list is the command that shows a person what the supervisor runs.
func (s supervision) list() []string {
	if s.kind == "pm2" {
		return append(s.pm2(), "list")
	}
	return s.question()
}

// errUnknownChild is the error of a supervisor that does not know its child.
var errUnknownChild = errors.New("the supervisor does not name the process as its own")

// order is the command that makes it stop its child, and the name it knows the
// child by. answer is what it said to the question.
func (s supervision) order(answer []byte, seconds int) (command []string, name string, err error) {
	wait := strconv.Itoa(max(1, seconds))
	switch s.kind {
	case "runit":
		return []string{"sv", "-w", wait, "stop", s.config}, path.Base(s.config), nil
	case "s6":
		return []string{"s6-svc", "-d", s.config}, path.Base(s.config), nil
	case "daemontools":
		return []string{"svc", "-d", s.config}, path.Base(s.config), nil
	case "supervisord":
		if name = supervisordName(answer, s.child); name != "" {
			return append(s.supervisorctl(), "stop", name), name, nil
		}
	case "pm2":
		if id, name := pm2Name(answer, s.child); id != "" {
			return append(s.pm2(), "stop", id), name, nil
		}
	}
	return nil, "", errUnknownChild
}

func (s supervision) supervisorctl() []string {
	if s.config == "" {
		return []string{"supervisorctl"}
	}
	return []string{"supervisorctl", "-c", s.config}
}

func (s supervision) pm2() []string { return []string{"env", "PM2_HOME=" + s.config, "pm2"} }

// supervisordName finds a process in what supervisorctl status writes:
// "web:web_00    RUNNING   pid 812, uptime 0:01:00".
func supervisordName(status []byte, pid int) string {
	for line := range strings.Lines(string(status)) {
		f := strings.Fields(line)
		if len(f) >= 4 && f[2] == "pid" && f[3] == strconv.Itoa(pid)+"," && !strings.HasPrefix(f[0], "-") {
			return f[0]
		}
	}
	return ""
}

// starting are the names of the programs that supervisorctl status shows without
// their process: those that have not been up for startsecs=, a second by default.
func starting(status []byte) []string {
	var names []string
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) >= 2 && f[1] == "STARTING" && !strings.HasPrefix(f[0], "-") {
			names = append(names, f[0])
		}
	}
	return names
}

// pm2Name finds a process in what pm2 jlist writes, a JSON list behind whatever
// notices pm2 has for its user.
func pm2Name(answer []byte, pid int) (id, name string) {
	var list []struct {
		PID  int    `json:"pid"`
		Name string `json:"name"`
		ID   *int   `json:"pm_id"`
	}
	text := string(answer)
	if i := strings.LastIndex(text, "\n["); i >= 0 {
		text = text[i+1:]
	}
	if json.Unmarshal([]byte(text), &list) != nil {
		return "", ""
	}
	for _, p := range list {
		if p.PID == pid && p.ID != nil && *p.ID >= 0 {
			return strconv.Itoa(*p.ID), p.Name
		}
	}
	return "", ""
}
