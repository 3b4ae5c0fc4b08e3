package report

import (
	"fmt"
	"strings"
)

// moveSentence says who moves where.
func (f Fix) moveSentence(v *view, m *FixMove) string {
	l := v.style.Lang
	place := claimPlace(&f.Before[m.Claims[0]].Claim)
	if m.Leased {
		return l.say("%s moves from %d to %d, which is kept for it from now on (monban pick --list).",
			"%s を %d から %d に移します。このポートは今後も割り当てたままにします(monban pick --list)。", place, m.From, m.To)
	}
	return l.say("%s moves from %d to %d, the customary alternative.", "%s を %d から、代わりによく使われる %d に移します。", place, m.From, m.To)
}

// whySentence says why this side moves and not the other.
func (f Fix) whySentence(v *view, m *FixMove) string {
	l := v.style.Lang
	var others []string
	for i := range m.Doors {
		who := l.say("%[1]s has %[2]s", "%[1]s が %[2]s を使用中", v.who(&m.Doors[i]), place(m.Doors[i].Bind))
		others = append(others, who)
	}
	if len(m.Doors) > 0 {
		return strings.Join(others, l.pick("; ", "、")) + l.pick(", and what runs is left alone.", "です。動作中のプログラムには手を加えません。")
	}
	for _, i := range m.Against {
		others = append(others, claimPlace(&f.Before[i].Claim))
	}
	others = dedup(others)
	who := strings.Join(others, l.pick(" and ", " と "))
	say := func(en, ja string) string {
		if strings.Contains(en, "%") {
			return l.say(en, ja, who)
		}
		return l.pick(en, ja)
	}
	switch m.Reason {
	case "holder-runs":
		return say("What has the port runs, and is left alone.", "ポートを使っているプログラムは動作中のため、手を加えません。")
	case "needs-right":
		return l.say("Port %d may not be opened here by the user who starts it.", "ここでは、起動するユーザーに %d を開く権限がありません。", m.From)
	case "only-editable":
		return joined(l, say("%s cannot be moved.", "%s は移せません。"), v.obstacleSentence(&FixLeft{Obstacle: m.Other}))
	case "own-files":
		return say("These files are yours; those of %s are not.", "こちらは自分のファイルですが、%s は自分のファイルではありません。")
	case "starts-later":
		return say("%s "+plural(len(others), "comes first and keeps it.", "come first and keep it."), "先に起動する %s は、そのまま使います。")
	}
	return m.Reason
}

func dedup(list []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, s := range list {
		if !seen[s] {
			out = append(out, s)
		}
		seen[s] = true
	}
	return out
}

// obstacleSentence says why a conflict stays, or a file cannot be changed.
func (v *view) obstacleSentence(left *FixLeft) string {
	l := v.style.Lang
	file := left.File
	if file == "" {
		file = l.pick("its file", "設定ファイル")
	}
	say := func(en, ja string) string {
		if left.File == "" {
			ja = strings.ReplaceAll(ja, "%s ", "%s") // no blank between Japanese words
		}
		en, ja = strings.ReplaceAll(en, "%s", file), strings.ReplaceAll(ja, "%s", file)
		return l.pick(en, ja)
	}
	text := ""
	switch left.Obstacle {
	case "running":
		text = say("It is running; moving it would mean a restart.", "動作中のため、移すと再起動が必要になります。")
	case "command-line":
		text = say("The port stands in the command line of a running program and in no file.", "ポートはファイルではなく、動作中のプログラムのコマンドラインで指定されています。")
	case "default":
		text = say("No line of %s names the port; it is the program's default. Add the line that sets it.",
			"%s にはポートの指定がなく、プログラムの既定値です。ポートを指定する行を追加してください。")
	case "computed":
		text = say("The number does not stand in %s as such, but in a variable or a range.", "%s には番号がそのまま書かれておらず、変数または範囲になっています。")
	case "wide":
		text = say("%s is written in UTF-16, which fix does not edit. Save it as UTF-8 and try again.",
			"%s は UTF-16 で書かれているため、fix では編集できません。UTF-8 で保存し直してから、もう一度実行してください。")
	case "mismatch":
		text = say("%s has changed while it was read.", "%s が読み取り中に変更されました。")
	case "generated":
		text = say("%s says that a program writes it, so an edit would be lost. Change the port where it is made from.",
			"%s は、プログラムが生成するファイルだと書かれており、編集しても失われます。生成元でポートを変更してください。")
	case "package":
		text = say("%s belongs to a package and is replaced by its next version.", "%s はパッケージのファイルで、更新時に置き換えられます。")
	case "package-unit":
		text = say("%s belongs to a package. A drop-in of your own is the way to change it.", "%s はパッケージのファイルです。変更にはドロップイン(上書き用のファイル)を使います。")
	case "unreadable":
		text = say("%s cannot be read.", "%s を読めません。")
	case "no-port":
		text = say("No other port is free for it.", "移す先に使える空きポートがありません。")
	case "unproven":
		text = say("An edit of %s was tried in memory, and did not have the effect that it should have. Change it by hand.",
			"%s の編集をメモリー上で試しましたが、期待した結果になりませんでした。手動で変更してください。")
	case "twice":
		text = say("One configuration asks for it twice: a line is too many, and only you know which.", "同じ設定の中で二重に指定されています。どちらが余分かは判断できません。")
	case "passing":
		text = say("This passes by itself; another port is not needed.", "時間がたてば解消します。ポートを変える必要はありません。")
	case "other-cause":
		text = say("Another port would not help.", "ポートを変えても解決しません。")
	case "lifeline":
		text = say("SSH may be the only way into this machine, and is not moved along with other things.", "SSH はこのマシンに入る唯一の手段かもしれないため、ほかの変更と一緒には移しません。")
	case "expected":
		text = say("Clients find this service by its number alone; at another port nobody would. Let it listen on one address, or turn one of the two off.",
			"このサービスはポート番号だけを頼りに使われるため、別のポートでは誰にも見つけられません。特定のアドレスだけで待ち受けるか、どちらかを停止してください。")
	case "not-regular":
		text = say("%s is no regular file.", "%s は通常のファイルではありません。")
	case "too-large":
		text = say("%s is too large.", "%s は大きすぎます。")
	case "hard-link":
		text = say("%s has a second name (a hard link), under which it would stay as it is.", "%s には別の名前(ハードリンク)があり、そちらが元のまま残ってしまいます。")
	case "read-only":
		text = say("You may not write to %s.", "%s に書き込む権限がありません。")
	case "not-owner":
		text = say("%s belongs to another user, who would lose it by an edit.", "%s は他のユーザーのファイルで、編集すると所有者が変わってしまいます。")
	case "closed-directory":
		text = say("You may not put anything into the directory of %s, which a safe edit needs.", "%s のディレクトリーに書き込む権限がありません(安全に編集するために必要です)。")
	case "immutable":
		text = say("%s is protected against changes (chattr +i or +a).", "%s は変更が禁止されています(chattr +i または +a)。")
	case "mount-point":
		text = say("%s is mounted here by itself, as into a container: edit it on the outside.", "%s は単独でマウントされています(コンテナへの配置など)。マウント元で編集してください。")
	case "changed":
		text = say("%s is no longer what it was.", "%s は変更されています。")
	case "no-metadata":
		text = say("The owner, access list or security label of %s could not be kept.", "%s の所有者、アクセス制御リスト、セキュリティラベルのいずれかを維持できませんでした。")
	case "not-written":
		text = say("The system refused to write %s.", "%s への書き込みをシステムに拒否されました。")
	case "not-restored":
		text = say("%s could not be put back. monban fix --undo tries again.", "%s を元に戻せませんでした。monban fix --undo でもう一度試せます。")
	case "unsupported":
		text = say("On this system monban shows the edit and does not make it: what a file has beside its content could not be kept.",
			"このシステムでは変更内容の表示だけに対応しています。ファイルの内容以外の属性を維持できないためです。")
	default:
		text = left.Obstacle
	}
	if left.Err != "" {
		text = strings.TrimRight(text, ".。") + l.pick(" (", "(") + maskText(left.Err) + l.pick(").", ")。")
	}
	return text
}

// sentence says what came of it.
func (f Fix) sentence(v *view) string {
	l := v.style.Lang
	n := len(f.Files)
	files := l.say(plural(n, "%d file", "%d files"), "%d 個のファイル", n)
	say := func(en, ja string) string { return l.say(en, ja, files) }
	unknown := ""
	if f.Unknown > 0 {
		unknown = l.say(plural(f.Unknown, " %d claim could not be judged; monban check says why.", " %d claims could not be judged; monban check says why."),
			"%d 件は判断できませんでした。理由は monban check で分かります。", f.Unknown)
	}
	switch f.Outcome {
	case FixNothing:
		if len(f.Before) == 0 {
			return l.pick("Nothing here asks for a port.", "ポートを必要とする設定は見つかりませんでした。")
		}
		return l.pick("There is no conflict to fix.", "修正が必要な競合はありません。") + unknown
	case FixPlanned:
		if f.Undo && n == 0 {
			return l.pick("Nothing had been changed yet; only the record is left.", "ファイルはまだ変更されていません。記録だけが残っています。")
		}
		return l.pick("Nothing was changed.", "まだ何も変更していません。")
	case FixDeclined:
		return l.pick("Nothing was changed, as you wish.", "指示どおり、何も変更していません。")
	case FixDone:
		text := say("%s changed. To take it back: monban fix --undo", "%sを変更しました。元に戻すには: monban fix --undo")
		if len(f.Left) > 0 {
			text += l.say(". %d conflicts stay", "。%d 件の競合が残っています", len(f.Left))
			if len(f.Left) == 1 {
				text = strings.Replace(text, "1 conflicts stay", "1 conflict stays", 1)
			}
		}
		return text
	case FixUndone:
		text := say("%s put back.", "%sを元に戻しました。")
		if len(f.Released) > 0 {
			text = joined(l, text, l.say(plural(len(f.Released), "Port %s is no longer kept for it.", "Ports %s are no longer kept for it."),
				"ポート %s の割り当ても解除しました。", strings.Trim(fmt.Sprint(f.Released), "[]")))
		}
		return text
	case FixRefused:
		return l.pick("No conflict can be ended by an edit.", "編集で解決できる競合はありません。")
	case FixFailed:
		switch f.Reason {
		case FixChanged:
			return l.pick("The files or the machine are not what was shown a moment ago. Nothing was changed; run it again.",
				"ファイルまたはマシンの状態が、表示した時点から変わりました。何も変更していません。もう一度実行してください。")
		case FixInTheWay:
			return l.pick("The files are changed, but by now the new port is somebody else's: monban check says whose. To take it back: monban fix --undo",
				"ファイルは変更しましたが、新しいポートがその間にほかのプログラムに使われました。monban check で持ち主が分かります。元に戻すには: monban fix --undo")
		}
		text := v.obstacleSentence(&FixLeft{Obstacle: f.Reason, File: f.File, Err: f.Err})
		if f.Reason != "not-restored" {
			text = joined(l, text, l.pick("Nothing was changed.", "何も変更していません。"))
		}
		return text
	}
	return ""
}

// ConfirmFix asks at the terminal whether the files are to be changed.
func ConfirmFix(lang Lang, undo bool) string {
	if undo {
		return lang.pick("Put this back? [y/N] ", "元に戻しますか? [y/N] ")
	}
	return lang.pick("Make these changes? [y/N] ", "この変更を行いますか? [y/N] ")
}

// FixInterrupted says that an earlier change was broken off.
func FixInterrupted(dir, id string) error {
	return newProblem("an earlier monban fix was broken off, or is at work just now; take it back first: monban fix --undo %[1]s",
		"以前の monban fix が途中で中断されたか、いま実行中です。先に取り消してください: monban fix --undo %[1]s", nil, id, dir)
}

// FixUntrusted says that the record of a change cannot be relied on.
func FixUntrusted(path string, err error) error {
	return newProblem("%s cannot be trusted: %v; it was left as it is", "%s は信頼できないため使いません: %v。ファイルはそのままです", err, path, err)
}

// FixPortTaken says that somebody got a lease of the port in the meantime.
func FixPortTaken(port uint16) error {
	return newProblem("port %d was given to somebody else just now; nothing was changed, run it again",
		"ポート %d はいま別の用途に割り当てられました。何も変更していません。もう一度実行してください", nil, port)
}

// NothingToUndo says that nothing was ever changed.
func NothingToUndo(dir string) error {
	return newProblem("nothing to take back in %s (what was changed with sudo is taken back with sudo)", "%s には、取り消せる変更がありません(sudo で行った変更は、sudo を付けて取り消します)", nil, dir)
}

// FixedElsewhere says that the changes there are were made in other directories.
func FixedElsewhere(dir, other, id string) error {
	return newProblem("nothing to take back in %[1]s; the latest change was made in %[2]s: monban fix --undo %[3]s",
		"%[1]s には、取り消せる変更がありません。最後の変更は %[2]s で行われました: monban fix --undo %[3]s", nil, dir, other, id)
}

// NoSuchFix says that there is no record of that name.
func NoSuchFix(id string) error {
	return usageProblem("no change has the name %q", "%q という変更の記録はありません", id)
}
