// Package server serves the etcd v3 API over a store: KV, Watch and what
// belongs to them, with etcd's types, codes and texts, so that programs made
// for etcd work unchanged.
//
// # Types
//
//   - Parts is what is served: an engine, a store, a hub. They stay the
//     caller's.
//   - Server makes grpc services of them: Server.GRPCOptions and
//     Server.Register; listening is the caller's.
//   - Authorizer, if there is one, is asked before every call.
//
// # Life of a call
//
//	convert.go  the request in the words of mvcc
//	kv.go       the store is asked; it checks what the request means
//	errors.go   what went wrong as etcd's code and text
//	header.go   every answer names the revision it belongs to
package server
