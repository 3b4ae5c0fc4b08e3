package report

import (
	"errors"
	"io/fs"
	"strings"
)

// BadTarget says that a word is no address, prefix or name of a host.
func BadTarget(target string, err error) error {
	p := newProblem("%[1]s: no address of this name was found: %[2]v", "%[1]s: この名前のアドレスが見つかりません: %[2]v", err, target, pathless(err))
	p.usage = true
	return p
}

// BadNetwork says that a word with a slash is no network.
func BadNetwork(target string) error {
	return usageProblem("%s is no network: want an address and how many bits of it all have in common, for example 192.168.1.0/24 or fd00::/120",
		"%s はネットワークではありません。192.168.1.0/24 や fd00::/120 のように、アドレスと共通部分のビット数を指定してください", target)
}

// ASCIIName says that names have to be in the form that DNS has them in.
func ASCIIName(target string) error {
	return usageProblem("%s: write names with letters beyond ASCII as DNS has them (xn--…)", "%s: ASCII 以外の文字を含む名前は、DNS での形式(xn--…)で指定してください", target)
}

// EmptyPorts says that -p names nothing.
func EmptyPorts() error {
	return usageProblem("-p names no port: write numbers (22,80), ranges (8000-8100) or service names (http), - for all, or leave it out", "-p にポートの指定がありません。番号(22,80)、範囲(8000-8100)、サービス名(http)、またはすべてを表す - を指定するか、-p を省略してください")
}

// NoHost says that an address is nobody's own.
func NoHost(target string) error {
	return usageProblem("%s is a multicast, broadcast or reserved address; name hosts or their networks", "%s はマルチキャスト、ブロードキャスト、または予約されたアドレスです。ホストかネットワークを指定してください", target)
}

// NeedsZone says that a link-local target could be on any of several links.
func NeedsZone(target, addr string, links []string) error {
	return usageProblem("%[1]s could be on any of these links: %[3]s; say on which, for example %[2]s%%%[4]s",
		"%[1]s がどのリンクのアドレスかを決められません(%[3]s)。たとえば %[2]s%%%[4]s のように指定してください", target, addr, strings.Join(links, ", "), links[0])
}

// NoSuchLink says that the zone of an address names no interface.
func NoSuchLink(target, zone string) error {
	return usageProblem("%[1]s: this machine has no interface %[2]s", "%[1]s: このマシンにインターフェース %[2]s はありません", target, zone)
}

// NeedsAuthority says that a target is not plainly the user's own.
func NeedsAuthority(target string, wide bool) error {
	if wide {
		return usageProblem("%s is a private network of more than 256 addresses that this machine is not in; if its owner agrees to the scan, add --i-am-authorised",
			"%s はこのマシンが属していない、256 アドレスを超えるプライベートネットワークです。所有者の許可を得ている場合は --i-am-authorised を付けてください", target)
	}
	return usageProblem("%s is outside loopback, private and link-local addresses; if its owner agrees to the scan, add --i-am-authorised",
		"%s はループバック、プライベート、リンクローカルのいずれでもありません。所有者の許可を得ている場合は --i-am-authorised を付けてください", target)
}

// TooManyTargets says that a scan is larger than can be kept track of.
func TooManyTargets(most uint64) error {
	return usageProblem("more than %d doors or addresses; name fewer targets or ports", "ドアまたはアドレスの数が %d を超えています。対象かポートを減らしてください", most)
}

// NothingToScan says that the exclusions leave nothing.
func NothingToScan() error {
	return usageProblem("nothing is left to scan after --exclude", "--exclude で除外すると、調べる対象が残りません")
}

// OnlyTCPAndUDP says that a transport cannot be scanned.
func OnlyTCPAndUDP(arg string) error {
	return usageProblem("%s: only tcp and udp can be scanned", "%s: 調べられるのは tcp と udp だけです", arg)
}

// BadRate says what a rate may be.
func BadRate(rate float64) error {
	return usageProblem("--rate %v: want packets per second, 1 or more, or 0 for no limit", "--rate に %v は指定できません。毎秒のパケット数を 1 以上で指定するか、0(上限なし)を指定してください", rate)
}

// ResumeTakesNothing says that what to scan is in the file.
func ResumeTakesNothing(what string) error {
	return usageProblem("--resume continues what its file says; leave out %s", "--resume はファイルに記録された内容の続きを調べます。%s は指定できません", what)
}

// NotAScan says that a file is not the JSON output of a scan.
func NotAScan(path string) error {
	return usageProblem("%s: not the JSON output of monban scan", "%s: monban scan の JSON 出力ではありません", path)
}

// NotInterrupted says that a file does not continue a scan.
func NotInterrupted(path string) error {
	return usageProblem("%s: not a file of an interrupted scan", "%s: 中断したスキャンの続きのファイルではありません", path)
}

// OldInterrupted says that nothing can be compared with a scan that did not end.
func OldInterrupted(path string) error {
	return usageProblem("%s: that scan was interrupted, and what it did not reach would look opened; compare with one that ended",
		"%s: このスキャンは途中で中断されています。調べていないドアが新しく開いたように見えるため、最後まで終わったスキャンと比べてください", path)
}

// NothingInCommon says that an earlier scan asked none of the doors that are asked now.
func NothingInCommon(path string) error {
	return usageProblem("%s: that scan asked none of these doors, so there is nothing to compare; name the targets and ports that it had", "%s: このスキャンは今回のドアを 1 つも調べていないため、比較できません。同じ対象とポートを指定してください", path)
}

// CannotScan says that nothing could be asked.
func CannotScan(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return newProblem("cannot scan: %v; sending packets directly needs root or CAP_NET_RAW", "スキャンできません: %v。パケットを直接送信するには root か CAP_NET_RAW が必要です", err, err)
	}
	return newProblem("cannot scan: %v", "スキャンできません: %v", err, err)
}

// EmptyTarget says that a target's name is empty.
func EmptyTarget() error {
	return usageProblem("a target is empty: name an address, a network or a host, or leave it out for this machine", "対象が空です。アドレス、ネットワーク、ホスト名を指定するか、省略してこのマシンを調べてください")
}
