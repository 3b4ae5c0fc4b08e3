package report

import (
	"fmt"
	"strings"
)

// PolicyProblem says what is wrong in a policy file, and where. The code is one of
// package policyfile.
func PolicyProblem(file string, line int, code, text string, want []string, line2 int) error {
	where := file
	if line > 0 {
		where = fmt.Sprintf("%s:%d", file, line)
	}
	list := strings.Join(want, ", ")
	first := func() string {
		if len(want) > 0 {
			return want[0]
		}
		return ""
	}
	en, ja := policyWords(code)
	replace := strings.NewReplacer("{text}", fmt.Sprintf("%q", text), "{raw}", text, "{want}", list, "{first}", first(), "{line}", fmt.Sprint(line2))
	en, ja = replace.Replace(en), replace.Replace(strings.ReplaceAll(ja, "{raw}", JA.errorText(text)))
	switch {
	case code == "unknown-service" && len(want) > 0:
		en += fmt.Sprintf("; did you mean %s?", list)
		ja += fmt.Sprintf("。もしかして: %s", list)
	case code == "host-bits":
		en += fmt.Sprintf("; did you mean %s?", first())
		ja += fmt.Sprintf("。もしかして: %s", first())
	}
	p := &Problem{en: maskText(where + ": " + en), ja: maskText(where + ": " + ja), usage: true}
	return p
}

func policyWords(code string) (en, ja string) {
	switch code {
	case "bad-syntax":
		return "not YAML: {raw}", "YAML として読めません: {raw}"
	case "too-long":
		return "too long for a policy (1 MiB, 10000 entries)", "ポリシーとして大きすぎます(1 MiB、10000 件まで)"
	case "not-a-mapping":
		return "keys and values are wanted here, such as {port: 443/tcp, to: any}", "ここには {port: 443/tcp, to: any} のようなキーと値が必要です"
	case "not-a-list":
		return "doors is a list: one entry a line, each after \"- \"", "doors は一覧です。1 行に 1 件、「- 」に続けて書いてください"
	case "alias":
		return "anchors, aliases and tags of YAML are not taken here", "YAML のアンカー、エイリアス、タグは使えません"
	case "unknown-key":
		return "no such key: {text}; want one of {want}", "{text} というキーはありません。使えるのは {want} です"
	case "key-twice":
		return "{text} is said twice", "{text} が 2 回あります"
	case "missing-key":
		return "{want} is missing", "{want} がありません"
	case "not-text":
		return "the value of {text} is missing or no plain text", "{text} の値がないか、文字列ではありません"
	case "bad-version":
		return "monban: {text} is not known here; want 1", "monban: {text} は使えません。1 を指定してください"
	case "bad-default":
		return "default: {text} is not possible; want closed", "default: {text} は使えません。closed を指定してください"
	case "bad-port":
		return "{text} is no port; want such as 443, 443/tcp, 8000-8100/udp or https", "{text} はポートではありません。443、443/tcp、8000-8100/udp、https のように書いてください"
	case "port-0":
		return "port 0 is no door: a program that asks for it gets another one", "ポート 0 はドアではありません(要求すると別の番号が割り当てられます)"
	case "unknown-service":
		return "{text} is not one service of this transport in the port book", "{text} は、このプロトコルの 1 つのサービスとしてポート台帳にありません"
	case "bad-source":
		return "{text} is nobody; want any, local, this-network, an address, a prefix such as 192.0.2.0/24, name:HOST or if:INTERFACE",
			"{text} は相手として使えません。any、local、this-network、アドレス、192.0.2.0/24 のようなプレフィックス、name:ホスト名、if:インターフェース名のどれかにしてください"
	case "host-bits":
		return "{text} has bits behind the prefix", "{text} はプレフィックスより後ろのビットが 0 ではありません"
	case "bad-host-name":
		return "{text} has no host name after name:", "{text} の name: の後がホスト名ではありません"
	case "bad-interface":
		return "{text} has no name of an interface after if: (at most 15 bytes)", "{text} の if: の後がインターフェース名ではありません(15 バイトまで)"
	case "empty-to":
		return "to is empty; for this machine only, write local", "to が空です。このマシンだけにするには local と書いてください"
	case "any-and-more":
		return "any is everybody: nothing else belongs beside it", "any は全員を表すので、ほかの相手と並べられません"
	case "bad-limit":
		return "limit {text}: want such as 10/minute (second, minute, hour, day; 1 to 65535)", "limit に {text} は使えません。10/minute のように書いてください(second、minute、hour、day。1 から 65535 まで)"
	case "bad-time":
		return "until {text}: want such as 2027-01-31T00:00:00Z", "until に {text} は使えません。2027-01-31T00:00:00Z のように書いてください"
	case "time-past":
		return "until {text} is past: take the entry out, or give it another time", "until {text} は過ぎています。その行を消すか、時刻を変えてください"
	case "local-only":
		return "{text} means nothing for a door that is local", "local のドアに {text} を付けても意味がありません"
	case "duplicate":
		return "{raw} was said in line {line} already", "{raw} は {line} 行目にもあります"
	case "port-and-proto":
		return "an entry is about a port or about a protocol without ports, not both", "1 つの項目に port と proto の両方は書けません"
	case "bad-proto":
		return "{text} is no IP protocol; want such as esp, gre, ospf, or its number (1 to 255)", "{text} は IP プロトコルではありません。esp、gre、ospf などの名前か番号(1 から 255)で書いてください"
	case "proto-with-ports":
		return "{text} has ports: write port: 443/tcp", "{text} にはポートがあります。port: 443/tcp のように書いてください"
	case "proto-always":
		return "{text} is never closed: without it no neighbour and no path's packet size is found", "{text} は閉じられません。近隣のマシンや経路のパケットサイズが分からなくなります"
	case "proto-limit":
		return "a limit counts connections, which a protocol without ports does not have", "limit は接続の数を数えるため、ポートのないプロトコルには使えません"
	case "not-there":
		return "{raw} is not open in this policy", "{raw} はこのポリシーで開いていません"
	case "part-of-range":
		return "{raw} is a range of which only a part is to be closed: change that line by hand", "{raw} は範囲指定で、その一部だけを閉じることになります。この行は手で直してください"
	case "flow-list":
		return "the doors are all in one [ ] list: write them one a line, each after \"- \", to have them changed", "doors が [ ] で 1 つにまとめて書かれています。1 行に 1 件、「- 」に続けて書くと変更できます"
	}
	return "the file could not be changed so that it says that: change it by hand", "ファイルを自動では変更できません。手で直してください"
}
