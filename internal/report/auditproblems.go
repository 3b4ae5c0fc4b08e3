package report

import "net/netip"

// NeedsFlag says that a flag means nothing without another.
func NeedsFlag(flag, needs string) error {
	return usageProblem("%[1]s is for %[2]s", "%[1]s は %[2]s と一緒に指定してください", flag, needs)
}

// ScanOfOthers says that a scan has none of this machine's addresses.
func ScanOfOthers(path string, targets []netip.Addr) error {
	return usageProblem("%[1]s: none of its targets (%[2]s) is an address of this machine; where one is translated to this machine's, say so: --seen-as %[3]s=ADDRESS",
		"%[1]s: 対象(%[2]s)に、このマシンのアドレスがありません。アドレス変換でこのマシンに届くアドレスなら、--seen-as %[3]s=このマシンのアドレス と指定してください", path, addressList(targets), oneOf(targets))
}

func oneOf(targets []netip.Addr) string {
	if len(targets) == 0 {
		return "203.0.113.5"
	}
	return targets[0].String()
}

// BadSeenAs says how an address that stands for another is written.
func BadSeenAs(value string) error {
	return usageProblem("--seen-as %s: want the address that was scanned and this machine's that it is translated to, such as 203.0.113.5=10.0.0.5",
		"--seen-as に %s は指定できません。スキャンしたアドレスと、変換先であるこのマシンのアドレスを 203.0.113.5=10.0.0.5 のように書いてください", value)
}

// SeenAsTwice says that one of two addresses that stand for each other was named
// before.
func SeenAsTwice(value string) error {
	return usageProblem("--seen-as %s: one of these addresses was named before", "--seen-as %s のアドレスの一方は、既に指定されています", value)
}

// NotOwnAddress says that an address is none of this machine's.
func NotOwnAddress(value string, a netip.Addr, own []netip.Addr) error {
	return usageProblem("--seen-as %[1]s: %[2]s is no address of this machine; it has %[3]s", "--seen-as %[1]s: %[2]s はこのマシンのアドレスではありません。このマシンのアドレスは %[3]s です", value, a, addressList(own))
}

// NotScanned says that a scan has nothing about an address.
func NotScanned(path string, a netip.Addr) error {
	return usageProblem("--seen-as %[2]s: %[1]s has nothing about this address", "--seen-as %[2]s: %[1]s にこのアドレスの結果がありません", path, a)
}

// ScanFromHere says that a scan was made on the machine itself.
func ScanFromHere(path string) error {
	return usageProblem("%s: this scan was made on this machine itself; that goes by loopback and shows nothing of what is seen from outside",
		"%s: このマシン自身で行ったスキャンです。ループバックを通るため、外からの見え方は分かりません", path)
}

// NoNamespace says that there is no such network namespace.
func NoNamespace(name, path string, err error) error {
	p := newProblem("--from %[1]s: no network namespace %[2]s (%[3]v); name one of ip netns list, a path such as /proc/PID/ns/net, or the number of a process in it",
		"--from %[1]s: ネットワーク名前空間 %[2]s がありません(%[3]v)。ip netns list の名前、/proc/PID/ns/net のようなパス、またはその中のプロセスの番号を指定してください", err, name, path, err)
	p.usage = true
	return p
}

// CannotEnter says that a network namespace may not be entered, or not here.
func CannotEnter(name string, err error) error {
	return newProblem("--from %[1]s: the network namespace cannot be entered (%[2]v); on Linux this needs root",
		"--from %[1]s: ネットワーク名前空間に入れません(%[2]v)。Linux で root 権限が必要です", err, name, err)
}

// OwnNamespace says that the observer would be this machine itself.
func OwnNamespace(name string) error {
	return usageProblem("--from %s is the network namespace that is being audited; a look from there goes by loopback", "--from %s は、調べている側と同じネットワーク名前空間です。ループバックを通るため、外からの見え方は分かりません", name)
}

// NothingToKnockAt says that this machine has no address to be reached at.
func NothingToKnockAt() error {
	return usageProblem("this machine has no address but loopback and link-local ones, so there is nothing to look at with --from",
		"このマシンには、ループバックとリンクローカル以外のアドレスがありません。--from で調べる対象がありません")
}
