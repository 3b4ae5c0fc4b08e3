package conflict

// Cause says why a program could not open a door, or why the door that it
// opened does not behave. It is a machine code, stable across releases and the
// "cause" of the JSON output; internal/report has its words. The letter tells
// whose rule it is: L is Linux (and, for the plain ones, every system), M is
// macOS, W is Windows, D is containers and orchestrators, B is a door that
// opens and yet does not work. The empty Cause is unknown.
type Cause string

// The causes on Linux. L1, L2, L4, L5, L7, L8, L13, L14, L16, L17, L19, L21,
// L22, L23, L25 and L26 happen on every system.
const (
	L1  Cause = "L1"  // another process listens on the same address
	L2  Cause = "L2"  // a wildcard and a specific address overlap
	L3  Cause = "L3"  // [::] without IPV6_V6ONLY also takes IPv4
	L4  Cause = "L4"  // 127.0.0.1 and ::1 belong to different programs
	L5  Cause = "L5"  // unrelated programs share the port by SO_REUSEPORT
	L6  Cause = "L6"  // UDP sharing needs the same option on every socket
	L7  Cause = "L7"  // connections in TIME_WAIT still use the port
	L8  Cause = "L8"  // an outgoing connection was lent the port
	L9  Cause = "L9"  // a socket is bound but does not listen
	L10 Cause = "L10" // the port is below ip_unprivileged_port_start
	L11 Cause = "L11" // SELinux has no label that lets the program have the port
	L12 Cause = "L12" // a sandbox forbids it: systemd, seccomp, BPF, AppArmor
	L13 Cause = "L13" // the address is not, or not yet, on this machine
	L14 Cause = "L14" // IPv6 is off
	L15 Cause = "L15" // a systemd .socket unit holds it in pid 1
	L16 Cause = "L16" // a supervisor starts the holder again
	L17 Cause = "L17" // a child of a dead program inherited the socket
	L18 Cause = "L18" // the socket belongs to the kernel
	L19 Cause = "L19" // the holder belongs to another user and cannot be named
	L20 Cause = "L20" // the holder lives in another network namespace
	L21 Cause = "L21" // one configuration names the port twice
	L22 Cause = "L22" // an older instance of the same service runs
	L23 Cause = "L23" // a Unix socket's file is left over, or in use
	L24 Cause = "L24" // packets are redirected before they reach the port
	L25 Cause = "L25" // not a conflict: a limit was reached, or the number is no port
	L26 Cause = "L26" // a program still has connections from the port, and no listener
)

// The causes on macOS.
const (
	M1  Cause = "M1"  // AirPlay Receiver has 5000 and 7000
	M2  Cause = "M2"  // a specific bind shadows a wildcard without an error
	M3  Cause = "M3"  // [::]:0 was given a number already used on 127.0.0.1
	M4  Cause = "M4"  // below 1024, only the wildcard is free for everybody
	M5  Cause = "M5"  // 127.0.0.2 and up do not exist
	M6  Cause = "M6"  // launchd holds the socket or restarts its program
	M7  Cause = "M7"  // the forwarder of a container virtual machine holds it
	M8  Cause = "M8"  // other users' sockets are not listed without root
	M9  Cause = "M9"  // mDNSResponder has 5353, and 53 while sharing is on
	M10 Cause = "M10" // the port lies in the ephemeral range from 49152
)

// The causes on Windows.
const (
	W1  Cause = "W1"  // another process has it
	W2  Cause = "W2"  // the port lies in an excluded range
	W3  Cause = "W3"  // the holder's exclusive use or another user forbids it
	W4  Cause = "W4"  // http.sys, shown as pid 4, has it
	W5  Cause = "W5"  // a URL is registered or reserved in http.sys already
	W6  Cause = "W6"  // an outgoing connection was lent the port
	W7  Cause = "W7"  // a service inside svchost.exe has it
	W8  Cause = "W8"  // a netsh portproxy rule has it
	W9  Cause = "W9"  // a program inside WSL 2 has it, through wslrelay
	W10 Cause = "W10" // WSL 2 in mirrored mode keeps a block of ports
	W11 Cause = "W11" // SO_REUSEADDR let two programs have it
	W12 Cause = "W12" // its owner is gone, a child still has the handle
	W13 Cause = "W13" // Docker Desktop passes on what Windows said
	W14 Cause = "W14" // a firewall or antivirus: never a bind error
)

// The causes with containers and orchestrators.
const (
	D1  Cause = "D1"  // another container has published it
	D2  Cause = "D2"  // a process of the host has it
	D3  Cause = "D3"  // a docker-proxy or an allocation is left from a crash
	D4  Cause = "D4"  // one project maps it twice
	D5  Cause = "D5"  // an engine starts the container by itself
	D6  Cause = "D6"  // network_mode: host, so it is the host's own port
	D7  Cause = "D7"  // a rootless engine may not have a privileged port
	D8  Cause = "D8"  // published by address translation only
	D9  Cause = "D9"  // seen from inside a container
	D10 Cause = "D10" // Kubernetes: no node has the hostPort free
	D11 Cause = "D11" // Kubernetes: the nodePort is allocated or out of range
	D12 Cause = "D12" // k3s: ServiceLB or Traefik has 80 and 443
	D13 Cause = "D13" // kubectl port-forward, ssh -L or an editor holds it
	D14 Cause = "D14" // a devcontainer forwards to another local port
	D15 Cause = "D15" // Docker Desktop's helper or backend is missing
)

// The causes of a door that opens and yet cannot be used.
const (
	B1 Cause = "B1" // browsers refuse to connect to this port number
	B2 Cause = "B2" // bound to the loopback address of a container
	B3 Cause = "B3" // bound in one family only: localhost is 127.0.0.1 and ::1
)

// CauseInfo is what is fixed about a cause.
type CauseInfo struct {
	ID Cause
	// OS is the GOOS where only it happens; "" is every system.
	OS string
	// Errnos are the error names it shows as, the usual one first. Those of
	// Windows start with "WSA" or "ERROR_". Empty means that it gives no error.
	Errnos []string
}

// Causes lists every cause, in the order of their letters L, M, W, D, B and of
// their numbers.
func Causes() []CauseInfo {
	const (
		inUse    = "EADDRINUSE"
		access   = "EACCES"
		perm     = "EPERM"
		notAvail = "EADDRNOTAVAIL"
		noFamily = "EAFNOSUPPORT"
		wsaInUse = "WSAEADDRINUSE"
		wsaAcces = "WSAEACCES"
		linux    = "linux"
		darwin   = "darwin"
		windows  = "windows"
	)
	return []CauseInfo{
		{L1, "", []string{inUse}},
		{L2, "", []string{inUse}},
		{L3, "", []string{inUse}},
		{L4, "", nil},
		{L5, "", nil},
		{L6, "", []string{inUse}},
		{L7, "", []string{inUse}},
		{L8, "", []string{inUse}},
		{L9, "", []string{inUse}},
		{L10, linux, []string{access}},
		{L11, linux, []string{access}},
		{L12, linux, []string{perm, access, noFamily}},
		{L13, "", []string{notAvail, "WSAEADDRNOTAVAIL"}},
		{L14, "", []string{noFamily, notAvail, "WSAEAFNOSUPPORT"}},
		{L15, linux, []string{inUse}},
		{L16, "", []string{inUse}},
		{L17, "", []string{inUse}},
		{L18, linux, []string{inUse}},
		{L19, "", []string{inUse}},
		{L20, linux, nil},
		{L21, "", []string{inUse}},
		{L22, "", []string{inUse}},
		{L23, "", []string{inUse}},
		{L24, linux, nil},
		{L25, "", []string{"EMFILE", "ENFILE", "ENOBUFS", "EINVAL"}},
		{L26, "", []string{inUse}},

		{M1, darwin, []string{inUse}},
		{M2, darwin, nil},
		{M3, darwin, nil},
		{M4, darwin, []string{access}},
		{M5, darwin, []string{notAvail}},
		{M6, darwin, []string{inUse}},
		{M7, darwin, []string{inUse}},
		{M8, darwin, []string{inUse}},
		{M9, darwin, []string{inUse}},
		{M10, darwin, []string{inUse}},

		{W1, windows, []string{wsaInUse}},
		{W2, windows, []string{wsaAcces}},
		{W3, windows, []string{wsaAcces}},
		{W4, windows, []string{wsaAcces, wsaInUse}},
		{W5, windows, []string{"ERROR_SHARING_VIOLATION", "ERROR_ALREADY_EXISTS", "ERROR_ACCESS_DENIED"}},
		{W6, windows, []string{wsaInUse}},
		{W7, windows, []string{wsaInUse}},
		{W8, windows, []string{wsaInUse}},
		{W9, windows, []string{wsaInUse}},
		{W10, windows, []string{wsaAcces, wsaInUse}},
		{W11, windows, nil},
		{W12, windows, []string{wsaInUse}},
		{W13, windows, []string{wsaAcces, wsaInUse}},
		{W14, windows, nil},

		{D1, "", []string{inUse}},
		{D2, "", []string{inUse}},
		{D3, "", []string{inUse}},
		{D4, "", []string{inUse}},
		{D5, "", []string{inUse}},
		{D6, "", []string{inUse}},
		{D7, linux, []string{access}},
		{D8, linux, nil},
		{D9, "", nil},
		{D10, "", nil},
		{D11, "", nil},
		{D12, "", nil},
		{D13, "", []string{inUse}},
		{D14, "", nil},
		{D15, "", []string{access}},

		{B1, "", nil},
		{B2, "", nil},
		{B3, "", []string{"ECONNREFUSED"}},
	}
}
