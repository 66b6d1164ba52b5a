// Package tlsconf makes the TLS configuration of a server from files, and
// follows the files: what was renewed is used from the next handshake on,
// without a restart.
//
// # Following the files
//
// Each handshake looks at the files' time and size. If any changed, all are read
// again: certificate and key, the authorities of clients, and the revocation
// list. Files that do not fit together, as a certificate whose key is not
// written yet, leave the old ones in force and are logged; they are read again
// when one of them changes.
//
// Revocation and allowed names are checked on every connection, also on one
// that resumes a session.
//
// # Locks
//
//	lock       guards                          rank
//	source.mu  what was read last, its stamps  leaf; files are read under it
//
// There are no goroutines.
package tlsconf
