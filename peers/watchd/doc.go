// Package watchd holds tests of the daemon from outside, over real sockets: the
// built binary, and etcd's own tools and other languages' clients against it.
// It has no code of its own.
package watchd
