// Package commandtest types the commands that see and mend a gateway that runs, with the real program at both ends: what each of them says, with
// whose rights, at a gateway that only waits, and what it costs where there is much. It has no code of its own but tests.
package commandtest
