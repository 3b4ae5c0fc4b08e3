package report

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/monban-dev/monban"
)

// Problem is why a command could not be carried out, in both languages, with a
// hint the user can act on.
type Problem struct {
	en, ja string
	usage  bool
	err    error

	// unknown is the word that is neither a verb nor a service, with the services
	// whose names are nearest.
	unknown string
	nearest []string
}

// Usage reports whether the command line, or a file it named, is to blame.
func (p *Problem) Usage() bool { return p.usage }

// Error implements error, in English.
func (p *Problem) Error() string { return p.en }

// Unwrap returns what caused it.
func (p *Problem) Unwrap() error { return p.err }

// WriteProblem writes err on one line, in the reader's language where it is a
// [Problem].
func WriteProblem(w io.Writer, err error, lang Lang) {
	text := maskText(err.Error())
	var p *Problem
	if errors.As(err, &p) {
		text = lang.pick(p.en, p.ja) // what is not ours in it was masked when it was made
	}
	fmt.Fprintf(w, "monban: %s\n", safe(text))
}

func usageProblem(en, ja string, args ...any) *Problem {
	p := newProblem(en, ja, nil, args...)
	p.usage = true
	return p
}

// newProblem masks the secrets in args, not in the sentence around them:
// "passwd: not a saved snapshot" has none.
func newProblem(en, ja string, err error, args ...any) *Problem {
	inJapanese := slices.Clone(args)
	for i, arg := range args {
		switch arg := arg.(type) {
		case string:
			args[i] = maskText(arg)
			inJapanese[i] = args[i]
		case error:
			args[i] = maskText(arg.Error())
			inJapanese[i] = JA.errorText(maskText(arg.Error()))
			var p *Problem
			if errors.As(arg, &p) {
				inJapanese[i] = p.ja
			}
		}
	}
	return &Problem{en: fmt.Sprintf(en, args...), ja: fmt.Sprintf(ja, inJapanese...), err: err}
}

// BadChoice says that a flag's value is not one of those it can have.
func BadChoice(flag, value string, choices ...string) error {
	return usageProblem("%[1]s %[2]q: want %[3]s", "%[1]s に %[2]q は指定できません。指定できるのは %[3]s です", flag, value, strings.Join(choices, ", "))
}

// FlagNeedsList says that a flag belongs to the list of doors and not to the
// view of one port.
func FlagNeedsList(flag string) error {
	return usageProblem("%s is for the list of doors; leave out the port, or the flag", "%s はドア一覧用のオプションです。ポート番号かオプションのどちらかを外してください", flag)
}

// MissingArgument says that something must be named, with an example.
func MissingArgument(example string) error {
	return usageProblem("name at least one port, for example: %s", "ポートを 1 つ以上指定してください。例: %s", example)
}

// NothingToExplain says that explain got no text.
func NothingToExplain() error {
	return usageProblem("no text to explain: put the error message in quotes, or pipe it in", "説明するエラーメッセージがありません。引用符で囲んで指定するか、パイプで渡してください")
}

// TooMuchText says that explain got more than it reads.
func TooMuchText(limit int) error {
	return usageProblem("the text is longer than %d MiB; pass the lines with the error", "テキストが %d MiB を超えています。エラーの行だけを渡してください", limit>>20)
}

// NoRegistryHome says that there is no place to keep an updated registry.
func NoRegistryHome() error {
	return &Problem{en: "there is no place to keep the registry: set HOME or XDG_DATA_HOME",
		ja: "台帳を保存する場所がありません。HOME または XDG_DATA_HOME を設定してください"}
}

// RegistryRefused says that a new registry was not taken, and that the old one
// stays.
func RegistryRefused(from string, err error) error {
	p := newProblem("%s: %v; the registry in use was kept", "%s: %v。いまの台帳はそのまま残しました", err, from, err)
	p.usage = true
	return p
}

// RegistryOlder says that a registry was not taken because the one in use is
// newer, and that the old one stays. The dates are those of their latest rows.
func RegistryOlder(from, date, inUse string) error {
	return usageProblem("%[1]s: this registry is of %[2]s, older than the one in use (%[3]s), which was kept; --older takes it all the same",
		"%[1]s: この台帳は %[2]s 版で、いまの台帳(%[3]s 版)より古いため置き換えませんでした。それでも使うときは --older を付けてください", from, date, inUse)
}

// RegistryUnreachable says that a new registry could not be fetched.
func RegistryUnreachable(from string, err error) error {
	return newProblem("cannot fetch %s: %v; the registry in use was kept. Download the file elsewhere and name it: monban ports update FILE",
		"%s を取得できません: %v。いまの台帳はそのままです。別の方法でダウンロードして monban ports update FILE と指定することもできます", err, from, err)
}

// CannotRead says that a file the user named is no good.
func CannotRead(path string, err error) error {
	p := newProblem("%s: %v", "%s を読めません: %v", err, path, pathless(err))
	p.usage = true
	return p
}

// BadFile says what is wrong in a file the user named, and where.
func BadFile(err error) error {
	p := newProblem("%v", "ファイルに誤りがあります: %v", err, err)
	p.usage = true
	return p
}

// BadLine is [BadFile] for something that a reader has noted.
func BadLine(g monban.Gap) error { return BadFile(fmt.Errorf("%s: %s", g.Source, g.Err)) }

// CannotWrite says that a result could not be written.
func CannotWrite(path string, err error) error {
	return newProblem("cannot write %s: %v", "%s に書き込めません: %v", err, path, pathless(err))
}

// UnknownService says that a word is neither a verb nor a service, and names
// the nearest ones.
func UnknownService(name string, nearest []string) error {
	p := usageProblem("%q is no port, service or command", "%q という名前のポート、サービス、コマンドはありません", name)
	p.unknown, p.nearest = name, nearest
	if len(nearest) > 0 {
		list := strings.Join(nearest, ", ")
		p.en += fmt.Sprintf("; did you mean %s?", list)
		p.ja += fmt.Sprintf("。もしかして: %s", list)
	} else {
		p.en += "; monban ports WORD searches the port book"
		p.ja += "。monban ports WORD で台帳を検索できます"
	}
	return p
}

// MeantCommand puts the commands that word may have meant before the services of a
// problem that [UnknownService] has made of it, and leaves every other error as it
// is.
func MeantCommand(err error, word string, commands []string) error {
	var p *Problem
	if len(commands) == 0 || !errors.As(err, &p) || p.unknown != word {
		return err
	}
	meant := make([]string, 0, len(commands)+len(p.nearest))
	for _, c := range commands {
		meant = append(meant, "monban "+c)
	}
	meant = append(meant, p.nearest...)
	return UnknownService(word, meant[:min(len(meant), max(3, len(commands)))])
}

// NotJustAPort says that arg is an address that ends in a port, or a URL whose
// scheme implies one.
func NotJustAPort(arg, port string) error {
	return usageProblem("%q is more than a port: name the port alone, %s",
		"%q はポート以外も含んでいます。ポートだけ(%s)を指定してください", arg, port)
}

// NotAPortButHost says that arg is an address or a network, which another verb takes.
func NotAPortButHost(arg string) error {
	return usageProblem("%[1]q is an address and no port; monban scan %[1]s looks which doors are open there",
		"%[1]q はポートではなくアドレスです。そこで開いているドアは monban scan %[1]s で調べられます", arg)
}

// NotAPort says that something with digits is neither a port nor a range.
func NotAPort(arg string) error {
	return usageProblem("%q is no port: write a number (80), a range (8000-8100) or a service name (http)",
		"%q はポートではありません。番号(80)、範囲(8000-8100)、サービス名(http)のいずれかを指定してください", arg)
}

// PortProblem says why arg is not a port.
func PortProblem(arg string, err error) error {
	var bad *monban.PortError
	if !errors.As(err, &bad) {
		p := newProblem("%s: %v", "%s: %v", err, arg, err)
		p.usage = true
		return p
	}
	switch bad.Problem {
	case monban.OutOfRange:
		return usageProblem("%s: port numbers go from 0 to 65535", "%s: ポート番号は 0 から 65535 までです", arg)
	case monban.BackwardRange:
		return usageProblem("%s: the range runs backwards; write the smaller number first", "%s: 範囲の順序が逆です。小さい番号を先に書いてください", arg)
	case monban.UnknownProto:
		return usageProblem("%s: %q is no transport; want tcp, udp, sctp or dccp", "%s: %q は使えません。指定できるのは tcp、udp、sctp、dccp です", arg, bad.Text)
	case monban.NotOnePort:
		return usageProblem("%s: one port is wanted here, not a range", "%s: ここでは範囲ではなく 1 つのポートを指定してください", arg)
	default:
		return usageProblem("%s: %q is not a port number", "%s: %q はポート番号ではありません", arg, bad.Text)
	}
}

// FlagProblem says what is wrong with a flag.
func FlagProblem(command string, err error) error {
	hint := command + " --help"
	var unknown *pflag.NotExistError
	var missing *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		name := "--" + unknown.GetSpecifiedName()
		if unknown.GetSpecifiedShortnames() != "" {
			name = "-" + unknown.GetSpecifiedName()
		}
		return usageProblem("unknown flag %s; see %s", "%s というオプションはありません。%s を見てください", name, hint)
	case errors.As(err, &missing):
		return usageProblem("--%s needs a value; see %s", "--%s には値が必要です。%s を見てください", missing.GetSpecifiedName(), hint)
	case errors.As(err, &invalid):
		return usageProblem("--%[1]s cannot be %[2]q; see %[3]s", "--%[1]s に %[2]q は指定できません。%[3]s を見てください", invalid.GetFlag().Name, invalid.GetValue(), hint)
	default:
		return usageProblem("%v; see %s", "%v。%s を見てください", err, hint)
	}
}

// UnknownTopic says that help has nothing about a word.
func UnknownTopic(topic string) error {
	return usageProblem("no help about %q; monban --help lists the commands", "%q のヘルプはありません。monban --help でコマンド一覧を表示します", topic)
}

// ExtraArguments says that a verb got an argument that it does not take.
func ExtraArguments(command string, args []string) error {
	return usageProblem("%s does not take the argument %q", "%s に引数 %q は指定できません", command, args[0])
}

// pathless drops the file name from an error that will be shown beside it.
func pathless(err error) error {
	var pathErr interface{ Unwrap() error }
	if errors.As(err, &pathErr) {
		if inner := pathErr.Unwrap(); inner != nil && !strings.Contains(err.Error(), "snapshot") {
			return inner
		}
	}
	return err
}

// InsecureAddress says that the registry is not fetched over plain http.
func InsecureAddress(from string) error {
	return usageProblem("%s: only https addresses are fetched (or a file)", "%s: 取得できるのは https のアドレスかファイルだけです", from)
}

// NotAFile says that what the user named is a directory, a device or a FIFO.
func NotAFile() error {
	return usageProblem("not a file", "ファイルではありません")
}

// Together says that two flags exclude each other.
func Together(a, b string) error {
	return usageProblem("%[1]s and %[2]s do not go together", "%[1]s と %[2]s は同時に指定できません", a, b)
}

// OneStdin says that two things cannot both be read from standard input.
func OneStdin(a, b string) error {
	return usageProblem("%[1]s and %[2]s cannot both be read from standard input", "%[1]s と %[2]s の両方を標準入力から読むことはできません", a, b)
}

// EmptyPath says that the name of a file or directory is empty.
func EmptyPath() error {
	return usageProblem("a path is empty: name a file or a directory, or leave it out for this directory", "パスが空です。ファイルかディレクトリーを指定するか、省略してこのディレクトリーを調べてください")
}

// UnknownUser says that a user is not known here.
func UnknownUser(name string) error {
	return usageProblem("--user %q: no such user here; name a user or give a number", "--user %q: そのユーザーはいません。ユーザー名か番号を指定してください", name)
}

// EmptyValue says that a flag was given nothing.
func EmptyValue(flag string) error {
	return usageProblem("%s is empty", "%s の値が空です", flag)
}

// MissingWord says that a search needs a word.
func MissingWord(example string) error {
	return usageProblem("name a word to look for, for example: %s", "検索する言葉を指定してください。例: %s", example)
}
