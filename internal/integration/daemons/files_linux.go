package daemons

import "github.com/monban-dev/monban"

// files serve files and versions.
func files() []Daemon {
	return []Daemon{
		{Name: "Samba", Needs: "smbd", Doors: []Door{tcp(445, "smb", ""), tcp(139, "smb", "")}, start: func(r *room) {
			r.samba("smbd")
		}},
		{Name: "nmbd", Needs: "nmbd", Doors: []Door{udp(137, "netbios-ns", "")}, start: func(r *room) {
			r.samba("nmbd")
		}},
		{Name: "rpcbind", Needs: "rpcbind", Client: []string{"rpcinfo", "-p", "@ADDR@"}, Doors: []Door{tcp(111, "rpcbind", ""), udp(111, "rpcbind", "")}, start: func(r *room) {
			r.daemon("root", "rpcbind", "-f", "-h", "@ADDR@")
		}},
		{Name: "NFS-Ganesha", Needs: "ganesha.nfsd", Doors: []Door{tcp(2049, "nfs", "")}, start: func(r *room) {
			r.subdir("export", "root")
			r.daemon("root", "ganesha.nfsd", "-F", "-L", "@DIR@/ganesha.log", "-p", "@DIR@/pid", "-f", r.file("ganesha.conf", `NFS_CORE_PARAM {
	NFS_Protocols = 4;
	Enable_NLM = false;
	Enable_RQUOTA = false;
}
NFSv4 { Graceless = true; RecoveryRoot = "@DIR@/export"; }
`))
		}},
		{Name: "rsync", Needs: "rsync", Client: []string{"rsync", "@ADDR@::"}, Doors: []Door{tcp(873, "rsync", "")}, start: func(r *room) {
			r.daemon("root", "rsync", "--daemon", "--no-detach", "--address=@ADDR@", "--port=873", "--config="+r.file("rsyncd.conf", "[pub]\npath = @DIR@\n"))
		}},
		{Name: "Git", Needs: "git", Doors: []Door{tcp(9418, "git", "")}, start: func(r *room) {
			r.subdir("git", "root")
			r.daemon("root", "git", "daemon", "--listen=@ADDR@", "--port=9418", "--base-path=@DIR@/git", "--export-all")
		}},
		{Name: "Subversion", Needs: "svnserve", Client: []string{"svn", "ls", "--non-interactive", "svn://@ADDR@/"}, Doors: []Door{tcp(3690, "svn", "")}, start: func(r *room) {
			r.run("svnadmin", "create", "@DIR@/svn")
			r.daemon("root", "svnserve", "-d", "--foreground", "--listen-host", "@ADDR@", "--listen-port", "3690", "-r", "@DIR@/svn")
		}},
		{Name: "distcc", Needs: "distccd", Doors: []Door{tcp(3632, "distcc", "")}, start: func(r *room) {
			r.daemon("root", "distccd", "--no-detach", "--daemon", "--user", "nobody", "--listen", "@ADDR@", "-p", "3632", "--allow", "127.0.0.0/8", "-j", "20", "--log-stderr")
		}},
		{Name: "TFTP", Needs: "in.tftpd", Doors: []Door{udp(69, "tftp", "")}, Outside: true, start: func(r *room) {
			r.subdir("tftp", "root")
			r.daemon("root", "in.tftpd", "-L", "-a", ":69", "-u", "nobody", "-s", "@DIR@/tftp")
		}},
	}
}

func (r *room) samba(program string) {
	for _, dir := range []string{"private", "lock", "state", "cache", "pid", "rpc", "log"} {
		r.subdir("samba/"+dir, "root")
	}
	r.daemon("root", program, "-F", "--no-process-group", "--debug-stdout", "-s", r.file("smb.conf", `[global]
netbios name = MONBAN
interfaces = @ADDR@/8
bind interfaces only = yes
private dir = @DIR@/samba/private
lock directory = @DIR@/samba/lock
state directory = @DIR@/samba/state
cache directory = @DIR@/samba/cache
pid directory = @DIR@/samba/pid
ncalrpc dir = @DIR@/samba/rpc
log file = @DIR@/samba/log/log
disable spoolss = yes
load printers = no
`))
}

// desktops are seen from afar.
func desktops() []Daemon {
	return []Daemon{
		{Name: "pymodbus", Needs: "/usr/bin/pymodbus.server", Doors: []Door{tcp(502, "modbus", "")}, start: func(r *room) {
			r.daemon("root", "/usr/bin/python3", r.file("modbus.py", `from pymodbus.server import StartTcpServer
from pymodbus.datastore import ModbusServerContext, ModbusSlaveContext
StartTcpServer(context=ModbusServerContext(slaves=ModbusSlaveContext(), single=True), address=("@ADDR@", 502))
`))
		}},
		{Name: "xrdp", Needs: "xrdp", Doors: []Door{{Proto: monban.TCP, Port: 3389, Protocol: "rdp", TLS: true}}, start: func(r *room) {
			r.certificate("root")
			r.daemon("root", "xrdp", "--nodaemon", "-c", r.file("xrdp.ini", `[Globals]
ini_version=1
port=tcp://@ADDR@:3389
security_layer=negotiate
certificate=@DIR@/cert.pem
key_file=@DIR@/key.pem
ssl_protocols=TLSv1.2, TLSv1.3
[Logging]
LogFile=@DIR@/xrdp.log
LogLevel=INFO
EnableSyslog=false
[Xorg]
name=Xorg
lib=libxup.so
username=ask
password=ask
ip=127.0.0.1
port=-1
`))
		}},
		{Name: "TigerVNC", Needs: "Xtigervnc", Doors: []Door{tcp(5901, "vnc", ""), tcp(6057, "x11", "X.Org")}, start: func(r *room) {
			// A lock that an earlier one left in /tmp stays outside.
			r.binds = append(r.binds, r.dir+" /tmp")
			r.daemon("root", "Xtigervnc", ":57", "-interface", "@ADDR@", "-rfbport", "5901", "-SecurityTypes", "None", "-listen", "tcp", "-nolisten", "local", "-nolisten", "unix", "-ac", "-geometry", "640x480")
		}},
	}
}
