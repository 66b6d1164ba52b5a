// Package live shows a measurement while it lasts: a calm screen on a
// terminal, a line a second elsewhere.
//
// # Types
//
//   - [Progress] is what a command talks to: Start before a measurement, Tick
//     as its observer, End when there is nothing more to show.
//   - [Top] shows the watches of a server until somebody ends it; [TopView]
//     draws them.
//   - [Snapshot] is everything the screen is drawn from, and [View] draws it:
//     a pure function, so what people see is tested as text.
//
// # Goroutines
//
//	shower   one a Progress   wakes on what is to be shown    ends with End or Abort
//	ender    one a Top        wakes on its context            ends with its program
//	screen   one a Progress   wakes on the shower, the terminal's size and keys; ends with the shower
//
// While the screen stands, a second process of the program waits for the end
// of the first, to give the terminal back after a panic in any goroutine.
//
// The screen is Bubble Tea's; it starts some of its own and awaits them. A
// terminal that takes nothing (Ctrl-S) holds up the shower and never a
// measurement: what cannot be shown in time is passed over.
//
// # Channels and locks
//
// Progress.queue has room for a few seconds of ticks; Start, Tick and Stopping
// send, nobody closes it. Progress.mu guards what is held back while the
// screen stands, and the end of it; nothing is written under it but what was
// held.
package live
