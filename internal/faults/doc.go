// Package faults proves what the store promises when the world fails under
// it: processes that are killed, power that is cut, disks that are full, slow
// or answer with errors, and data that was damaged. It has no code of its
// own but this sentence; everything is in its tests.
//
// A test that needs privileges (loop devices, mounts, system call traces) runs
// its victim in a child process and is skipped, with the reason, where it
// cannot have them.
package faults
