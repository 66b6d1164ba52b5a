package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// schemes of what is listened on.
var schemes = []string{"http", "https", "unix", "unixs"}

// parseURLs reads URLs by comma, none for "".
func parseURLs(text string) (urls []*url.URL, err error) {
	for _, part := range splitList(text) {
		u, err := url.Parse(part)
		if err != nil || !slices.Contains(schemes, u.Scheme) {
			return nil, errors.New("not a URL to listen on; write http://127.0.0.1:2379, https://127.0.0.1:2379, unix://PATH or unixs://PATH")
		}
		if local(u) {
			if socketPath(u) == "" {
				return nil, errors.New("the path of the socket is missing; write unix:///run/watchd.sock")
			}
		} else {
			switch _, port, err := net.SplitHostPort(u.Host); {
			case err != nil || port == "":
				return nil, fmt.Errorf("the port is missing; write %s://%s:2379", u.Scheme, strings.TrimSuffix(u.Host, ":"))
			case u.Path != "" && u.Path != "/":
				return nil, fmt.Errorf("a path is not allowed; write %s://%s", u.Scheme, u.Host)
			}
		}
		urls = append(urls, u)
	}
	return urls, nil
}

// local: the URL is a socket in the file system.
func local(u *url.URL) bool { return u.Scheme == "unix" || u.Scheme == "unixs" }

// secured: what is said there is inside TLS.
func secured(u *url.URL) bool { return u.Scheme == "https" || u.Scheme == "unixs" }

// socketPath is where a unix URL points: unix://name is a file name, as in etcd.
func socketPath(u *url.URL) string { return u.Host + u.Path }

// checkBind says what cannot be listened on: names other than localhost, since
// it is not clear which of their addresses is meant.
func checkBind(urls []*url.URL) error {
	for _, u := range urls {
		if !local(u) && u.Hostname() != "localhost" && net.ParseIP(withoutZone(u.Hostname())) == nil {
			return fmt.Errorf("%q is no IP address; to listen on every address write %s://0.0.0.0:%s", u.Hostname(), u.Scheme, u.Port())
		}
	}
	return nil
}

func withoutZone(host string) string {
	host, _, _ = strings.Cut(host, "%")
	return host
}

// checkHosts says what nobody could connect to.
func checkHosts(urls []*url.URL) error {
	for _, u := range urls {
		if !local(u) && u.Hostname() == "" {
			return fmt.Errorf("the host is missing; write %s://HOST:%s", u.Scheme, u.Port())
		}
	}
	return nil
}

// exposed returns the URLs that can be reached from elsewhere and have no TLS.
func exposed(urls []*url.URL) (open []*url.URL) {
	for _, u := range urls {
		if local(u) || secured(u) || u.Hostname() == "localhost" {
			continue
		}
		if ip := net.ParseIP(withoutZone(u.Hostname())); ip == nil || !ip.IsLoopback() {
			open = append(open, u)
		}
	}
	return open
}

func urlTexts(urls []*url.URL) (texts []string) {
	for _, u := range urls {
		texts = append(texts, u.String())
	}
	return texts
}
