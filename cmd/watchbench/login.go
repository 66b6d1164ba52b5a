package main

import (
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
