package report

import "net/netip"

// NeedsFlag says that a flag means nothing without another.
func NeedsFlag(flag, needs string) error {
	return usageProblem("%[1]s is for %[2]s", "%[1]s は %[2]s と一緒に指定してください", flag, needs)
}

// ScanOfOthers says that a scan has none of this machine's addresses.
func ScanOfOthers(path string, targets []netip.Addr) error {
	return usageProblem("%[1]s: none of its targets (%[2]s) is an address of this machine; behind address translation, scan the address that this machine itself has",
		"%[1]s: 対象(%[2]s)に、このマシンのアドレスがありません。アドレス変換の内側にある場合は、このマシン自身のアドレスをスキャンしてください", path, addressList(targets))
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
