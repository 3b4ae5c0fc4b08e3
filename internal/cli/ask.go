package cli

import (
	"bufio"

	"github.com/monban-dev/monban/internal/report"
)

// showPlan shows a plan to whoever is about to be asked: on standard output,
// unless that is for a program.
func (a *app) showPlan(r report.Result) error {
	s := a.style()
	to := a.sys.Stdout
	if s.Format == report.JSON {
		s.Format, s.Lang = report.Text, a.lang
		to = a.sys.Stderr
	}
	if err := report.WritePlan(to, r, s); err != nil {
		return report.CannotWrite("stdout", err)
	}
	return nil
}

// ask asks a question at the terminal; "" is no answer.
func (a *app) ask(stdin *bufio.Reader, question string) string {
	if err := report.WritePrompt(a.sys.Stderr, question); err != nil {
		return ""
	}
	line, err := stdin.ReadString('\n')
	if err != nil {
		return "" // Ctrl-D is no yes
	}
	return line
}
