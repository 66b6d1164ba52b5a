package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"net"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// Credentials returns the credentials of a gRPC server behind ports: a
// connection whose TLS handshake is done keeps what the handshake showed, so
// that the server sees the client's certificate; any other is plain.
func Credentials() credentials.TransportCredentials {
	return finished{TransportCredentials: insecure.NewCredentials()}
}

type finished struct {
	credentials.TransportCredentials
}

func (f finished) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secure, ok := conn.(*tls.Conn)
	if !ok {
		return f.TransportCredentials.ServerHandshake(conn)
	}
	state := secure.ConnectionState()
	if !state.HandshakeComplete {
		return nil, nil, errors.New("a connection came to gRPC before its TLS handshake")
	}
	return secure, credentials.TLSInfo{
		State:          state,
		CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
	}, nil
}

// ClientHandshake fails: these are a server's.
func (finished) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("credentials of a server cannot dial")
}

// Clone returns a copy; there is no state to share.
func (f finished) Clone() credentials.TransportCredentials {
	return finished{TransportCredentials: f.TransportCredentials.Clone()}
}
