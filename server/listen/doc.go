// Package listen lets gRPC and HTTP share one port, plain or under TLS.
//
// A [Port] accepts the connections of one listener, finds out what each of
// them speaks and hands it to one of two listeners, [Port.GRPC] and
// [Port.HTTP]. Each is served by its own library on its own transport: gRPC
// never runs through net/http, where reading starved the watches of etcd's
// server.
//
// # How a connection is told apart
//
// Plain: by its first three bytes, "PRI" being the start of HTTP/2 with prior
// knowledge, which is what gRPC clients speak, and everything else HTTP/1.1. On
// unix systems the bytes are looked at without taking them, and the bare
// connection is handed on: only for that do gRPC's pooled read buffers and its
// user timeout work. Elsewhere a small wrapper gives the bytes back.
//
// TLS: by the protocol agreed in the handshake. "http/1.1" goes before "h2", so
// that a client which offers both (browsers, curl, Go's http client) gets
// HTTP/1.1, and a gRPC client, which offers "h2" alone, gets gRPC. A client that
// offers both and means gRPC needs a port of [GRPCOnly].
//
// A port of one protocol does not look at plain connections at all. Under TLS a
// port of [HTTPOnly] also serves HTTP/2.
//
// # Silent and hostile clients
//
// A connection that has not said what it speaks is undecided. It has
// [Config.DecideTimeout] to say so, and of undecided connections there are at
// most [Config.MaxUndecided]: one more closes the oldest, so that whoever opens
// connections and says nothing cannot keep out those who speak at once.
//
// Clients may not use up the process's descriptors either: an engine that cannot
// open its next file fails. Near the limit the oldest undecided connection makes
// room, and without one newcomers are turned away.
//
// # Goroutines and locks
//
//	goroutine  owner       wakes on             ends on
//	Serve      the caller  a new connection     Close, or an error of the listener
//	decide     Serve       bytes of a client    decided, DecideTimeout, Close
//
//	lock          guards               rank
//	undecided.mu  undecided and closed leaf
//
// A half's channel has no buffer: Serve's goroutines send, the server of that
// protocol receives in Accept, nobody closes it; who waits on it also waits on
// the port's and the half's done.
package listen
