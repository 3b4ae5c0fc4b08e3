// Package policyfile reads the file that says which doors should be open, and
// changes it in place.
//
//	monban: 1
//	doors:
//	  - {port: 443/tcp, to: any, for: website}
//	  - {port: 22/tcp, to: [192.0.2.0/24, "name:bastion.example", "if:wg0"], limit: 10/minute}
//	  - {proto: esp, to: 198.51.100.7}
//	default: closed
//
// It takes bytes and returns a [monban.Policy] or an [*Error] that says which
// line is wrong and why. What is not in the language is an error, never left
// out: a key with a spelling mistake would otherwise leave a door open, or lock
// somebody out. It does no I/O, resolves no names and judges nothing; package
// policy does that over the value, and therefore knows no YAML.
package policyfile
