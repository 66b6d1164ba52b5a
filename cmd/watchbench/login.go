package main

import (
	"slices"
	"strings"
)

// login is user and password. The password comes with the user, from its own
// flag or variable, or is asked for.
func (f *serverFlags) login(ask func(user string) (string, error)) (user, password string, err error) {
	user, fromUser := f.text("user")
	password, fromPassword := f.text("password")
	if name, inside, both := strings.Cut(user, ":"); both {
		if fromPassword != "" {
			return "", "", misused("%s and %s both hold a password; leave one of them out", fromUser, fromPassword)
		}
		user, password = name, inside
	}
	switch {
	case user == "" && fromUser != "":
		return "", "", misused("%s: a name is missing", fromUser)
	case user == "" && strings.HasPrefix(fromPassword, "--"):
		return "", "", misused("%s without --user: whose is it?", fromPassword)
	case user == "":
		return "", "", nil
	case password == "":
		password, err = ask(user)
	}
	return user, password, err
}

// hidden stands where a password was.
const hidden = "***"

// struck is a command line without its passwords.
func struck(args []string) []string {
	out := slices.Clone(args)
	for i, arg := range out {
		before := ""
		if i > 0 {
			before = out[i-1]
		}
		switch {
		case before == "--password":
			out[i] = hidden
		case strings.HasPrefix(arg, "--password="):
			out[i] = "--password=" + hidden
		case before == "--user" || strings.HasPrefix(arg, "--user="):
			if name, _, both := strings.Cut(arg, ":"); both {
				out[i] = name + ":" + hidden
			}
		case strings.Contains(arg, "://"):
			out[i] = withoutLogin(arg)
		}
	}
	return out
}

// withoutLogin is an address without what stands before its host. It would
// rather strike too much: a password may hold any sign.
func withoutLogin(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return address
	}
	scheme := ""
	if before, _, found := strings.Cut(address[:at], "://"); found {
		scheme = before + "://"
	}
	return scheme + hidden + address[at:]
}
