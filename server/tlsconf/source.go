package tlsconf

import (
	"crypto/tls"
	"os"
	"sync"
	"time"
)

// source follows the files.
type source struct {
	cfg   Config
	fixed *tls.Config

	mu      sync.Mutex // guards all below; a leaf
	read    *tls.Config
	stamps  stamps
	settled bool   // false: the files were so young that their time may not tell a further change
	trouble string // the last error, logged once
}

// stamps tell whether a file changed: certificate, key, authorities, revoked.
// One that is missing, or not asked for, is nil.
type stamps [4]os.FileInfo

// same reports whether all are the files they were: a link that was turned may
// show another of the same time and size.
func (s stamps) same(t stamps) bool {
	for i, a := range s {
		b := t[i]
		if (a == nil) != (b == nil) {
			return false
		}
		if a != nil && (!a.ModTime().Equal(b.ModTime()) || a.Size() != b.Size() || !os.SameFile(a, b)) {
			return false
		}
	}
	return true
}

// settleTime is more than the steps in which any file system counts time.
const settleTime = 2 * time.Second

// current returns the configuration of the files as they are now, or the last
// that could be used.
func (s *source) current() *tls.Config {
	now := s.look()
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.same(s.stamps) && s.settled {
		return s.read
	}
	if err := s.loadLocked(now); err != nil {
		if err.Error() != s.trouble {
			s.trouble = err.Error()
			s.cfg.Logger.Error("cannot use changed TLS files, the old ones stay in force", "error", err)
		}
	}
	return s.read
}

func (s *source) load() (*tls.Config, error) {
	now := s.look()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.read, s.loadLocked(now)
}

// loadLocked reads the files, which had the stamps now before.
func (s *source) loadLocked(now stamps) error {
	changed := !now.same(s.stamps)
	s.stamps, s.settled = now, time.Since(now.newest()) > settleTime
	f, err := s.cfg.files()
	if err != nil {
		return err
	}
	renewed := s.read != nil && (changed || s.trouble != "")
	s.read, s.trouble = f.config(s.fixed, s.cfg.AllowedHostnames), ""
	if renewed {
		s.cfg.Logger.Info("using changed TLS files", "cert-file", s.cfg.CertFile, "key-file", s.cfg.KeyFile,
			"trusted-ca-file", s.cfg.TrustedCAFile, "client-crl-file", s.cfg.CRLFile, "not-after", f.cert.Leaf.NotAfter)
	}
	return nil
}

func (s *source) look() stamps {
	var now stamps
	for i, path := range []string{s.cfg.CertFile, s.cfg.KeyFile, s.cfg.TrustedCAFile, s.cfg.CRLFile} {
		if path == "" {
			continue
		}
		if info, err := os.Stat(path); err == nil {
			now[i] = info
		}
	}
	return now
}

func (s stamps) newest() time.Time {
	var newest time.Time
	for _, one := range s {
		if one != nil && one.ModTime().After(newest) {
			newest = one.ModTime()
		}
	}
	return newest
}
