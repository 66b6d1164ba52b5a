package etcd

import "google.golang.org/grpc"

// Conn opens a raw connection to the first endpoint, as the user of the
// Config, for who speaks the protocol himself. It is the caller's to close.
// What is written over it must lie under Prefix, which Close clears.
func (k *Kind) Conn(options ...grpc.DialOption) (*grpc.ClientConn, error) {
	k.wrote.Store(true)
	return dial(&k.config, k.config.Endpoints[0], k.tokens, options...)
}
