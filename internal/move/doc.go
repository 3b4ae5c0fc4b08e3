// Package move moves the SSH server of this machine to another port so that
// whoever administers it always has a way in.
//
// The order of the steps is the point. First it is found out who really listens
// ([Find]); then the server listens at both ports, the firewall lets both in, and
// a banner is read at each. That is a trial: how to put everything back is on disk
// and a timer that needs no process of monban's is armed before the first change.
// Only somebody who came in by the new port can end the trial ([Machine.Finish]);
// only then is the old door closed. Otherwise everything is put back, byte for
// byte ([Machine.Back]): by the timer, by the next boot, or by the next run.
//
// A [Plan] is a value made by pure functions from what was seen, so that a dry
// run prints the very steps that a run does.
package move
