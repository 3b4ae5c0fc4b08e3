// Package probe looks at hosts from outside: it asks every door of every target
// and says which answered.
//
// [Scan] is given the targets, the ports and a ceiling for the rate, and finds
// everything else out by itself. A door that stays silent is asked again until
// the passes agree: what was lost on the way is told from what is shut by doors
// that are known to answer, the canaries, which are asked again in between. They
// also set the pace: it grows while their answers keep up, and falls to what the
// target can take where they do not. How much may still have been missed is part
// of the answer ([Stats.Missed]).
//
// Three engines do the asking. The raw engine (Linux, CAP_NET_RAW) sends TCP SYNs
// by packet socket and never completes a handshake. The connect engine needs no
// privilege and completes it. The UDP engine sends what the services in question
// answer to.
//
// Silence is never "closed", and a scan of a host that answers nothing at all
// says nothing about its doors: their state is unknown.
package probe
