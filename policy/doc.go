// Package policy judges what should be open: it turns a [monban.Policy] into the
// rules that keep it, and says whom two policies treat differently.
//
// It is a pure function over values. Names are resolved by whoever calls
// [Resolve] and stored as addresses, so that the same policy means the same
// rules at boot, before there is any network. What reads the policy's file is
// internal/policyfile; what puts the rules in force is package firewall.
package policy
