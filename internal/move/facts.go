package move

import (
	"bufio"
	"bytes"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Facts are what else of the machine bears on a move, read from files.
type Facts struct {
	// Others are users besides root and whoever works here who can log in; Unsure
	// says that users are also kept elsewhere, in a directory service.
	Others []string
	Unsure bool
	// Enforcing: SELinux is in force. Labelled are the ports that an administrator
	// has added to sshd's type.
	Enforcing bool
	Labelled  []string
	// Jail is set where fail2ban watches sshd and would shut out an attacker from
	// JailPorts only.
	Jail      bool
	JailPorts string
	// Generator: systemd takes the socket unit's ports from sshd_config.
	Generator bool
	// UFW are the rules that ufw keeps, in its own words.
	UFW []string
}

// ReadFacts reads the facts from a machine's root directory. me are the names of
// whoever works here.
func ReadFacts(root fs.FS, me ...string) Facts {
	var f Facts
	f.Others, f.Unsure = others(root, me)
	enforce, _ := fs.ReadFile(root, "sys/fs/selinux/enforce")
	f.Enforcing = strings.TrimSpace(string(enforce)) == "1"
	f.Labelled = labelled(root)
	f.Jail, f.JailPorts = jail(root)
	for _, dir := range [...]string{"etc", "usr/local/lib", "usr/lib", "lib"} {
		if _, err := fs.Stat(root, dir+"/systemd/system-generators/sshd-socket-generator"); err == nil {
			f.Generator = true
		}
	}
	for _, name := range [...]string{"etc/ufw/user.rules", "etc/ufw/user6.rules"} {
		f.UFW = append(f.UFW, tuples(root, name)...)
	}
	return f
}

// Accounts of people begin at 1000 on every distribution of today; 65534 is nobody.
const (
	firstPerson = 1000
	nobody      = 65534
)

// others returns the people with an account and a shell.
func others(root fs.FS, me []string) (names []string, unsure bool) {
	passwd, err := fs.ReadFile(root, "etc/passwd")
	unsure = err != nil
	for line := range bytes.Lines(passwd) {
		w := strings.Split(strings.TrimSpace(string(line)), ":")
		if len(w) != 7 || slices.Contains(me, w[0]) {
			continue
		}
		uid, err := strconv.Atoi(w[2])
		shell := path.Base(w[6])
		if err == nil && uid >= firstPerson && uid != nobody && shell != "nologin" && shell != "false" {
			names = append(names, w[0])
		}
	}
	switches, _ := fs.ReadFile(root, "etc/nsswitch.conf")
	for line := range bytes.Lines(switches) {
		words := strings.Fields(string(line))
		if len(words) > 1 && words[0] == "passwd:" {
			unsure = unsure || slices.ContainsFunc(words, func(w string) bool {
				return w == "sss" || w == "ldap" || w == "winbind" || w == "nis" || w == "nisplus"
			})
		}
	}
	return names, unsure
}

// labelled returns the ports, "2222" or "2000-2010", that ports.local gives the
// type ssh_port_t: what semanage port -a has written down.
func labelled(root fs.FS) []string {
	var out []string
	files, _ := fs.Glob(root, "var/lib/selinux/*/active/ports.local") // the pattern is our own
	for _, name := range files {
		text, _ := fs.ReadFile(root, name)
		for line := range bytes.Lines(text) {
			w := strings.Fields(string(line)) // portcon tcp 2222 system_u:object_r:ssh_port_t:s0
			if len(w) >= 4 && w[0] == "portcon" && w[1] == "tcp" && strings.Contains(w[3], ":ssh_port_t:") {
				out = append(out, w[2])
			}
		}
	}
	return out
}

// covers reports whether a list of "22", "2000-2010" or "2000:2010" has a port.
func covers(list []string, num uint16) bool {
	for _, item := range list {
		first, last, ranged := strings.Cut(strings.ReplaceAll(strings.TrimSpace(item), ":", "-"), "-")
		a, err := strconv.ParseUint(first, 10, 16)
		b := a
		if ranged && err == nil {
			b, err = strconv.ParseUint(last, 10, 16)
		}
		if err == nil && uint64(num) >= a && uint64(num) <= b {
			return true
		}
	}
	return false
}

// jail reads whether fail2ban's jail sshd is on, and the ports that it bans from.
// A ban action for all ports has none.
func jail(root fs.FS) (on bool, list string) {
	var files []string
	for _, pattern := range [...]string{"etc/fail2ban/jail.conf", "etc/fail2ban/jail.d/*.conf", "etc/fail2ban/jail.local", "etc/fail2ban/jail.d/*.local"} {
		found, _ := fs.Glob(root, pattern) // the patterns are our own
		files = append(files, found...)
	}
	values := map[string]string{}
	for _, name := range files {
		text, _ := fs.ReadFile(root, name)
		section := ""
		for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
			line := strings.TrimSpace(lines.Text())
			if strings.HasPrefix(line, "[") {
				section = strings.Trim(line, "[]")
				continue
			}
			key, value, ok := strings.Cut(line, "=")
			if !ok || line[0] == '#' || line[0] == ';' {
				continue
			}
			value, _, _ = strings.Cut(value, " #")
			values[section+"/"+strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	get := func(key string) string {
		if v, ok := values["sshd/"+key]; ok {
			return v
		}
		return values["DEFAULT/"+key]
	}
	list = get("port")
	if strings.Contains(get("banaction"), "allports") {
		list = ""
	}
	return get("enabled") == "true", list
}
