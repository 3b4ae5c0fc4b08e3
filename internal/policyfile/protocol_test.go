package policyfile

import (
	"errors"
	"testing"

	"github.com/monban-dev/monban"
	"github.com/monban-dev/monban/portbook"
)

// TestCloseProtocol: whatever a file says of a protocol, afterwards it has one entry
// that lets nobody in. With none it would pass.
func TestCloseProtocol(t *testing.T) {
	const head = "monban: 1\ndoors:\n  # first\n  - {port: 80, to: any}\n"
	const shut = "  - {proto: esp, to: local}\n"
	for _, test := range []struct{ text, want string }{
		{head, head + shut},
		{head + "  - {proto: esp, to: any}\n", head + shut},
		{head + shut + "  - {proto: 50, to: 10.0.0.0/8}\n# last\n", head + shut + "# last\n"},
		{head + "  - {proto: gre, to: any}\n", head + "  - {proto: gre, to: any}\n" + shut},
		{"monban: 1\ndoors: []\n", "monban: 1\ndoors: \n" + shut},
		{"monban: 1\ndoors:\n  - {proto: esp, to: any}\n", "monban: 1\ndoors:\n" + shut},
		{head + shut, ""},
	} {
		got, err := CloseProtocol([]byte(test.text), "monban.yaml", portbook.Builtin(), noon(), 50)
		var bad *Error
		if test.want == "" && (!errors.As(err, &bad) || bad.Problem != NotThere || bad.Text != "proto:esp") || test.want != "" && err != nil {
			t.Errorf("%s: %v", test.text, err)
		}
		if string(got) != test.want {
			t.Errorf("%s: got\n%s", test.text, got)
		}
	}
	d := monban.PolicyDoor{Protocol: 47, To: []monban.Audience{{Kind: monban.Anybody}}}
	got, err := Open([]byte(head), "monban.yaml", portbook.Builtin(), noon(), d)
	if err != nil || string(got) != head+"  - {proto: gre, to: any}\n" {
		t.Errorf("%v\n%s", err, got)
	}
}
