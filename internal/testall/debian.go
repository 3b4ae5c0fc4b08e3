package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// debianPackages lists what the tests start or compare with.
func debianPackages() []string {
	return []string{
		"gcc", "libc6-dev", // the race detector
		"util-linux", "acl", "iproute2", "ndiff", "lsof", "procps", "curl", "wget", // unshare and nsenter, ss, lsof
		"apache2", "nginx-light", "openssh-server", "postfix",
		"mariadb-server", "postgresql", "redis-server",
		"bind9", "dovecot-imapd", "dovecot-pop3d", "haproxy", "lighttpd", "mosquitto", "php-fpm", "php-cli", "proftpd-core", "squid",
		"memcached", "caddy", "prometheus-node-exporter", "prometheus-alertmanager", "tomcat10", "rabbitmq-server",
		"libwrap0", // of vsftpd
		"docker.io", "rootlesskit", "slirp4netns", "uidmap", "iptables", "nftables", "ufw", "firewalld", "fail2ban", "ipset",
		// What identification is tested with, beside those above.
		"dropbear-bin", "inetutils-telnetd", "dovecot-managesieved", "dovecot-lmtpd", "unbound", "dnsmasq-base", "knot", "bind9-host",
		"varnish", "tinyproxy-bin", "privoxy", "etcd-server", "zookeeper", "nats-server", "influxdb", "slapd", "krb5-kdc", "samba",
		"rpcbind", "nfs-ganesha", "rsync", "git", "subversion", "distcc", "tftpd-hpa", "snmpd", "cups-daemon", "coturn", "openvpn",
		"kamailio", "prosody", "ngircd", "xrdp", "tigervnc-standalone-server", "docker-registry", "transmission-daemon", "icecast2",
		"gunicorn", "python3-pymodbus", "python3-serial", "python3-serial-asyncio", "leafnode",
		"tor", "dante-server", "clamav-daemon", "avahi-daemon", "openbsd-inetd", "openssl",
		"libidn12", "libgnutls-dane0", // of Exim
		"systemd", "systemd-container", "dbus", "supervisor", "runit",
		"libpam-systemd", "dbus-user-session", // a user's own systemd
		"wine64", "gcc-mingw-w64-x86-64-win32",
	}
}

// unpacked lists the packages that cannot be installed beside others of the
// list: vsftpd conflicts with ProFTPD, Exim with Postfix, and chrony with
// whatever else keeps this machine's time. They are taken apart into a directory
// of the tests' own.
func unpacked() []string { return []string{"vsftpd", "exim4-daemon-light", "chrony"} }

// unpackRoot is that directory. Its usr/sbin is on the tests' PATH, and its path
// in their environment as MONBAN_TEST_ROOT.
func unpackRoot() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "monban-tests"), nil
}

// unpack fetches and unpacks what is neither installed nor unpacked yet.
func unpack(ctx context.Context, have map[string]bool) error {
	root, err := unpackRoot()
	if err != nil {
		return err
	}
	for _, name := range unpacked() {
		done := filepath.Join(root, "usr", "share", "doc", name)
		if _, err := os.Stat(done); err == nil || have[name] {
			continue
		}
		// Every user runs what is in it.
		if err := os.MkdirAll(root, 0o755); err != nil {
			return err
		}
		script := `cd "$1" && apt-get -q update && apt-get -q -o APT::Sandbox::User=root download "$2" && dpkg-deb --extract "$2"_*.deb . && rm "$2"_*.deb`
		if err := command(ctx, nil, "sh", "-c", script, "sh", root, name); err != nil {
			return err
		}
	}
	return nil
}

// installPackages installs the missing ones. It changes nothing else: no daemon
// is started, and what the packages enable at boot is disabled again, because
// nobody asked for a mail server.
func installPackages(ctx context.Context) error {
	missing, err := missingPackages(ctx)
	if err != nil {
		fmt.Printf("not a Debian system (%v): what the tests need must be there already\n", err)
		return nil
	}
	if os.Geteuid() != 0 {
		if len(missing) > 0 {
			fmt.Printf("not root, so not installed: %s\n", strings.Join(missing, " "))
		}
		return nil
	}
	before, err := installed(ctx)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		err = withoutStarting(func() error { return aptInstall(ctx, missing) })
		err = errors.Join(err, disableNew(ctx, before))
	}
	return errors.Join(err, unpack(ctx, before))
}

func missingPackages(ctx context.Context) ([]string, error) {
	have, err := installed(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(debianPackages(), func(name string) bool { return have[name] }), nil
}

// installed returns the names of the installed packages.
func installed(ctx context.Context) (map[string]bool, error) {
	if _, err := exec.LookPath("dpkg-query"); err != nil {
		return nil, err
	}
	out, err := output(ctx, "dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n")
	if err != nil {
		return nil, err
	}
	have := map[string]bool{}
	for line := range strings.Lines(out) {
		if status, name, _ := strings.Cut(strings.TrimSpace(line), " "); status == "installed" {
			have[name] = true
		}
	}
	return have, nil
}

// aptInstall never removes a package. Where one of the names conflicts with what
// is installed, such as Postfix with another mail server, it installs the others.
func aptInstall(ctx context.Context, names []string) error {
	env := []string{"DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8"}
	if err := command(ctx, env, "apt-get", "-q", "update"); err != nil {
		return err
	}
	install := []string{"-q", "-y", "--no-install-recommends", "--no-remove",
		"-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0", "-o", "Dpkg::Options::=--force-confold", "install"}
	if command(ctx, env, "apt-get", append(install, names...)...) == nil {
		return nil
	}
	var failed []error
	for _, name := range names {
		failed = append(failed, command(ctx, env, "apt-get", append(install, name)...))
	}
	return errors.Join(failed...)
}

// withoutStarting runs install while Debian's policy hook forbids starting
// services. A hook of the machine's own is left as it is.
func withoutStarting(install func() error) error {
	const hook = "/usr/sbin/policy-rc.d"
	f, err := os.OpenFile(hook, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return install()
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString("#!/bin/sh\nexit 101\n")
	if err = errors.Join(err, f.Close()); err == nil {
		err = install()
	}
	return errors.Join(err, os.Remove(hook))
}

// disableNew takes the units of all packages that are new since before out of
// the boot.
func disableNew(ctx context.Context, before map[string]bool) error {
	systemctl, _ := exec.LookPath("systemctl")
	if systemctl == "" {
		return nil // no systemd, nothing enabled
	}
	after, err := installed(ctx)
	if err != nil {
		return err
	}
	var units []string
	for name := range after {
		if before[name] {
			continue
		}
		files, err := output(ctx, "dpkg-query", "-L", name)
		if err != nil {
			return err
		}
		units = append(units, unitsIn(files)...)
	}
	if len(units) == 0 {
		return nil
	}
	return command(ctx, nil, systemctl, append([]string{"disable", "--quiet"}, units...)...)
}

// unitsIn picks the services, sockets and timers out of a list of files.
func unitsIn(files string) []string {
	var units []string
	for line := range strings.Lines(files) {
		file := strings.TrimSpace(line)
		switch path.Ext(file) {
		case ".service", ".socket", ".timer":
			if strings.HasSuffix(path.Dir(file), "/systemd/system") {
				units = append(units, path.Base(file))
			}
		}
	}
	return units
}
