// Package target has no code: its tests run the command watchbench as a user
// would, against real etcd servers.
package target
