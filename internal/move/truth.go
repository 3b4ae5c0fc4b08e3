package move

import (
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/monban-dev/monban"
)

// Way is who listens for SSH, and so how it is told to listen elsewhere.
type Way string

// The ways.
const (
	// BySSHD: sshd opens its ports itself, as sshd_config says.
	BySSHD Way = "sshd"
	// BySocket: systemd listens, as a socket unit says, and sshd_config's ports
	// mean nothing.
	BySocket Way = "socket"
	// ByGenerator: systemd listens, and a generator takes the socket unit's ports
	// from sshd_config (Ubuntu 24.04 and later).
	ByGenerator Way = "generator"
)

// Refusal is a machine code for why nothing is done, and what it is about.
type Refusal struct {
	Reason string
	Args   []string
}

// Error implements error.
func (r *Refusal) Error() string { return strings.Join(append([]string{r.Reason}, r.Args...), ": ") }

func refuse(reason string, args ...string) *Refusal { return &Refusal{reason, args} }

// Note is something worth knowing.
type Note struct {
	Code string
	Args []string
}

// Truth is who listens for SSH, by what the kernel says.
type Truth struct {
	Way Way `json:"way"`
	// Unit is the systemd unit that has the door: ssh.service, or ssh.socket. ""
	// is none.
	Unit string `json:"unit"`
	// Exe is sshd's executable and Args its arguments, without the program.
	Exe  string   `json:"exe"`
	Args []string `json:"args"`
	// Config is the main configuration file.
	Config string `json:"config"`
	Old    uint16 `json:"old"`
	// Binds are the sockets at Old.
	Binds []monban.Bind `json:"binds"`
	// Others are further ports at which it listens.
	Others []uint16 `json:"others"`
}

// Find says who listens for SSH. It returns a refusal where nobody does, or
// somebody whom monban cannot tell to listen elsewhere.
func Find(snap *monban.Snapshot) (Truth, *Refusal) {
	var found []monban.Door
	var stranger *Refusal
	for i := range snap.Doors {
		d := &snap.Doors[i]
		if d.Bind.Port.Proto != monban.TCP || d.State != monban.Listen && d.State != monban.Forwarded {
			continue
		}
		if server(d) {
			found = append(found, *d)
		} else if r := other(d); r != nil && stranger == nil {
			stranger = r
		}
	}
	if len(found) == 0 {
		if stranger == nil {
			stranger = refuse("nobody")
		}
		return Truth{}, stranger
	}
	t := Truth{Way: BySSHD, Old: found[0].Bind.Port.Num}
	for i := range found {
		if p := found[i].Bind.Port.Num; p == 22 || t.Old != 22 && p < t.Old {
			t.Old = p
		}
	}
	for i := range found {
		d := &found[i]
		if d.Bind.Port.Num == t.Old {
			t.Binds = append(t.Binds, d.Bind)
			t.holder(d)
		} else if !slices.Contains(t.Others, d.Bind.Port.Num) {
			t.Others = append(t.Others, d.Bind.Port.Num)
		}
	}
	if t.Config == "" {
		t.Config = "/etc/ssh/sshd_config"
	}
	for _, o := range options(t.Args) {
		key, _, _ := strings.Cut(strings.ToLower(o.value), "=")
		key = strings.Fields(key + " x")[0]
		switch {
		case o.letter == 'p', o.letter == 'o' && (key == "port" || key == "listenaddress"):
			return t, refuse("command-line", strings.Join(t.Args, " "), t.Unit)
		case o.letter == 'f':
			t.Config = o.value
		}
	}
	if !path.IsAbs(t.Config) {
		return t, refuse("relative-config", t.Config)
	}
	return t, nil
}

// server reports whether an SSH server's own socket is behind a door. A process
// below another sshd is somebody's session: its listening sockets are forwarded
// ports.
func server(d *monban.Door) bool {
	if d.State != monban.Listen {
		return false
	}
	for _, o := range d.Owners {
		if o.Container != "" {
			continue
		}
		if o.PID == 1 && socketUnit(o.Unit) || o.Name == "sshd" && (len(o.Parents) == 0 || o.Parents[0].Name != "sshd") {
			return true
		}
	}
	return false
}

func socketUnit(unit string) bool { return unit == "ssh.socket" || unit == "sshd.socket" }

// other says who has the SSH port, or is another SSH server, if that is what a
// door is.
func other(d *monban.Door) *Refusal {
	port := d.Bind.Port.String()
	for _, o := range d.Owners {
		switch {
		case o.Name == "dropbear", o.Name == "tinysshd":
			return refuse(o.Name, port)
		case o.Name == "launchd" && d.Bind.Port.Num == 22:
			return refuse("launchd")
		}
	}
	if d.Bind.Port.Num != 22 {
		return nil
	}
	switch {
	case d.To.Container != "" || d.State == monban.Forwarded:
		return refuse("container", port, d.To.Container)
	case len(d.Owners) == 0:
		return refuse("unnamed", port, d.Unnamed.String())
	case d.Owners[0].Container != "":
		return refuse("container", port, d.Owners[0].Container)
	}
	return refuse("stranger", port, d.Owners[0].Name)
}

// holder takes what is known of the process behind the door.
func (t *Truth) holder(d *monban.Door) {
	for _, o := range d.Owners {
		switch {
		case o.PID == 1 && socketUnit(o.Unit):
			t.Way, t.Unit = BySocket, o.Unit
		case o.Name == "sshd":
			t.Exe = strings.TrimSuffix(o.Exe, " (deleted)")
			t.Args = arguments(o.Command)
			if t.Way == BySSHD && strings.HasSuffix(o.Unit, ".service") {
				t.Unit = o.Unit
			}
		}
	}
}

// arguments returns the arguments that sshd was started with. It changes its own
// command line, to "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups".
func arguments(command []string) []string {
	if len(command) == 0 {
		return nil
	}
	title, ok := strings.CutPrefix(command[0], "sshd: ")
	if !ok {
		return slices.Clone(command[1:])
	}
	title, _, _ = strings.Cut(title, " [listener]")
	words := strings.Fields(title)
	if len(words) == 0 {
		return nil
	}
	return words[1:]
}

// option is one option of sshd's command line, and words are those that it stands in.
type option struct {
	letter byte
	value  string
	words  []string
}

// options takes sshd's arguments apart as getopt(3) does.
func options(args []string) []option {
	const valued = "CEbcfghkopu"
	var out []option
	for i := 0; i < len(args); i++ {
		word := args[i]
		if len(word) < 2 || word[0] != '-' || word == "--" {
			break
		}
		for at := 1; at < len(word); at++ {
			o := option{letter: word[at], words: []string{"-" + word[at:at+1]}}
			if strings.IndexByte(valued, word[at]) >= 0 {
				o.value = word[at+1:]
				if o.value == "" && i+1 < len(args) {
					i++
					o.value = args[i]
				}
				o.words = append(o.words, o.value)
				out = append(out, o)
				break
			}
			out = append(out, o)
		}
	}
	return out
}

// asking returns the command that puts a question to sshd about its configuration:
// -t or -T, with the options that change what it would say.
func (t *Truth) asking(letter string) []string {
	exe := t.Exe
	if exe == "" {
		exe = "/usr/sbin/sshd"
	}
	argv := []string{exe, letter}
	for _, o := range options(t.Args) {
		if strings.IndexByte("DdieEqtTf", o.letter) < 0 {
			argv = append(argv, o.words...)
		}
	}
	return append(argv, "-f", t.Config)
}

// has reports whether a door is held by whom t found: a service that has inherited
// its socket keeps it when the socket unit is gone, and is not the unit.
func (t *Truth) has(d *monban.Door) bool {
	return t.Way == BySSHD || slices.ContainsFunc(d.Owners, func(o monban.Owner) bool { return o.PID == 1 && o.Unit == t.Unit })
}

// addresses returns where t listens at another port.
func (t *Truth) addresses() []netip.Addr {
	var out []netip.Addr
	for _, b := range t.Binds {
		if !slices.Contains(out, b.Addr) {
			out = append(out, b.Addr)
		}
	}
	return out
}
