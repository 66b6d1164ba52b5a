package etcd

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// Config says which server is measured and how it is reached.
type Config struct {
	// Endpoints are HOST:PORT.
	Endpoints []string
	// TLS is nil for plain connections.
	TLS *tls.Config
	// User and Password; both empty where the server asks for none.
	User, Password string
	// DialTimeout bounds connecting, CommandTimeout each request. 0 is 5 s.
	DialTimeout, CommandTimeout time.Duration
	// Prefix of the run's own prefix; empty is DefaultPrefix.
	Prefix string
	// AllowCompaction lets scenarios compact the server's history, which all
	// of its clients lose.
	AllowCompaction bool
	// Meter reads what the server uses; nil leaves it unmeasured.
	Meter Meter
}

// Defaults of a Config.
const (
	DefaultPrefix  = "watchbench/"
	DefaultTimeout = 5 * time.Second
)

// MaxPrefix is the longest prefix, in bytes, that Config takes.
const MaxPrefix = 200

// Schemes of a target.
const (
	plainScheme = "etcd://"
	tlsScheme   = "etcds://"
)

// ParseTarget reads etcd://HOST:PORT[,HOST:PORT...], or etcds:// for TLS. The
// endpoints after the first may repeat the scheme. An error says what is wrong
// and what would be right.
func ParseTarget(text string) (endpoints []string, secure bool, err error) {
	if strings.Contains(text, "@") { // before all errors that say the text again: it may hold a password
		return nil, false, errors.New("only hosts and ports go here; a user is given by --user, a password by ETCDCTL_PASSWORD")
	}
	rest, plain := strings.CutPrefix(text, plainScheme)
	if !plain {
		if rest, secure = strings.CutPrefix(text, tlsScheme); !secure {
			return nil, false, errors.New(scheme(text))
		}
	}
	own := map[bool]string{false: plainScheme, true: tlsScheme}[secure]
	for part := range strings.SplitSeq(rest, ",") {
		endpoint := strings.TrimSuffix(strings.TrimPrefix(part, own), "/")
		host, port, splitErr := net.SplitHostPort(endpoint)
		switch {
		case strings.Contains(endpoint, "://"):
			return nil, false, fmt.Errorf("endpoints of one server have one scheme; %q begins otherwise than %s", part, own)
		case endpoint == "":
			return nil, false, fmt.Errorf("a host is missing; write %s127.0.0.1:2379", own)
		case strings.ContainsAny(endpoint, "/ "):
			return nil, false, errors.New("only hosts and ports go here")
		case splitErr != nil && !strings.Contains(endpoint, ":"):
			return nil, false, fmt.Errorf("port is missing; write %s%s:2379", own, endpoint)
		case splitErr != nil || host == "" || port == "":
			return nil, false, fmt.Errorf("%q is not HOST:PORT; write %s127.0.0.1:2379", endpoint, own)
		}
		endpoints = append(endpoints, endpoint)
	}
	return endpoints, secure, nil
}

// scheme says what is wrong with a target's scheme.
func scheme(text string) string {
	switch before, after, found := strings.Cut(text, "://"); {
	case text == "":
		return "a server is missing; write etcd://127.0.0.1:2379"
	case !found:
		return "scheme is missing; write etcd://" + text
	case before == "https":
		return "a server is named by etcds://" + after
	case before == "http":
		return "a server is named by etcd://" + after
	default:
		return fmt.Sprintf("scheme %q is unknown; etcd://, or etcds:// for TLS", before)
	}
}

func (c *Config) fill() error {
	if c.DialTimeout == 0 {
		c.DialTimeout = DefaultTimeout
	}
	if c.CommandTimeout == 0 {
		c.CommandTimeout = DefaultTimeout
	}
	if c.Prefix == "" {
		c.Prefix = DefaultPrefix
	}
	if len(c.Prefix) > MaxPrefix {
		return fmt.Errorf("etcd: a prefix of %d bytes, %d are possible", len(c.Prefix), MaxPrefix)
	}
	if len(c.Endpoints) == 0 {
		return errors.New("etcd: no endpoint")
	}
	return nil
}

// Name is how people write the server down: the endpoints as a target.
func (c *Config) Name() string {
	own := plainScheme
	if c.TLS != nil {
		own = tlsScheme
	}
	return own + strings.Join(c.Endpoints, ",")
}
