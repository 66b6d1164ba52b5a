package listen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
)

// Address returns where a listen URL points: the network and address of
// [net.Listen], and whether it is served under TLS. Schemes are those of etcd:
// http and https with host:port, unix and unixs with the path of a socket.
func Address(u *url.URL) (network, address string, secure bool, err error) {
	switch u.Scheme {
	case "http", "https":
		if u.Port() == "" {
			return "", "", false, fmt.Errorf("listen URL %q has no port; write %s://HOST:PORT", u, u.Scheme)
		}
		if u.Path != "" && u.Path != "/" {
			return "", "", false, fmt.Errorf("listen URL %q has a path; write %s://%s", u, u.Scheme, u.Host)
		}
		return "tcp", u.Host, u.Scheme == "https", nil
	case "unix", "unixs":
		path := u.Host + u.Path
		if path == "" {
			return "", "", false, fmt.Errorf("listen URL %q has no path; write %s:///path/to/socket", u, u.Scheme)
		}
		return "unix", path, u.Scheme == "unixs", nil
	default:
		return "", "", false, fmt.Errorf("listen URL %q has the scheme %q; it must be http, https, unix or unixs", u, u.Scheme)
	}
}

// Open listens where u points. The socket file of a process that is gone is
// replaced; that of one which answers is not.
func Open(ctx context.Context, u *url.URL) (net.Listener, error) {
	network, address, _, err := Address(u)
	if err != nil {
		return nil, err
	}
	if network == "unix" {
		if err := removeDeadSocket(ctx, address); err != nil {
			return nil, err
		}
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", u, err)
	}
	return l, nil
}

// removeDeadSocket removes a socket file that a killed process left.
func removeDeadSocket(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot listen on the socket %s: %w", path, err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("cannot listen on the socket %s: there is a file which is no socket", path)
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err == nil {
		conn.Close()
		return fmt.Errorf("cannot listen on the socket %s: another process serves it", path)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("cannot replace the socket %s of a process that is gone: %w", path, err)
	}
	return nil
}
