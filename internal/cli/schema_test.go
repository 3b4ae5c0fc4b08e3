package cli

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestSchemas validates what each verb prints, on a saved machine and on this
// one, against the published schemas of the frame and of the verb's data.
func TestSchemas(t *testing.T) {
	for _, line := range []string{
		"--load " + officeFile,
		"--load " + officeFile + " --lang ja",
		"",
		"80 5173 9200 0 53/udp --load " + officeFile,
		"ssh http 65535",
		"port 443",
		"ports redis",
		"explain --load " + officeFile + " Error:_listen_EADDRINUSE:_address_already_in_use_127.0.0.1:5173",
		"explain dial_tcp_10.0.0.1:5432:_connect:_connection_refused_EADDRINUSE",
		"--load " + officeFile + " --diff testdata/before.json",
		"6379 --load " + officeFile + " --diff testdata/before.json",
		"explain --diff testdata/before.json --load " + officeFile + " Error:_listen_EADDRINUSE:_address_already_in_use_0.0.0.0:6379",
		"scan 127.0.0.1 -p 1-30 --connect --all",
		"scan 127.0.0.1 -p 1-30,53/udp --connect --identify",
		"version",
	} {
		t.Run(line, func(t *testing.T) {
			validate(t, run(t, System{}, append(fields(line), "--json")...))
		})
	}
}

// validate checks one envelope and its data, and that no list is null.
func validate(t *testing.T, output string) {
	t.Helper()
	var e struct {
		Verb string `json:"verb"`
		Data any    `json:"data"`
	}
	if err := json.Unmarshal([]byte(output), &e); err != nil {
		t.Fatalf("%v in %q", err, output)
	}
	whole, err := jsonschema.UnmarshalJSON(strings.NewReader(output))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	for name, instance := range map[string]any{"envelope": whole, e.Verb: e.Data} {
		s, err := c.Compile(filepath.Join("../../docs/schema", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(instance); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if strings.Contains(output, ":null") && !strings.Contains(output, `"port":null`) {
		t.Errorf("a list is null: %s", output)
	}
}
