// Package snapshot holds tests of the way from watchkv to etcd and back: etcd's
// own snapshot tool and a real server on what watchkv wrote, and the other way
// round. It has no code of its own.
package snapshot
