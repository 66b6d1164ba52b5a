// Package gateway serves etcd's API as JSON over HTTP under /v3/, by etcd's own
// generated gateway, and keeps the guard that etcd puts before all its pages.
//
// A [Gateway] is a client of the gRPC server in its process, over a connection
// in memory. So its calls are limited, counted and authorized as everybody's;
// the token of an Authorization header goes along. Streams (watch, lease
// keepalive, observe, snapshot) are one line of JSON for each message, over a
// plain response or over a websocket.
//
// # Goroutines and locks
//
//	goroutine       owner      wakes on                     ends on
//	serve           New        a connection (one)           Close, or the end of the gRPC server
//	read websocket  its call   what the client sends        the client's end, the end of the call
//
//	lock        guards                                    rank
//	Gateway.mu  that no websocket begins once it is closed  leaf
package gateway
