package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/mvcc"
)

func newMigrate(out io.Writer) *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use: "migrate --from ENGINE:DIR --to ENGINE:DIR", Short: "copy the data of one engine into another",
		Long: `Copy a data directory into another one, of any engine. Revisions, leases and history stay as they
are; the hash of both is compared at the end. The source is read only and must not be in use, the
target must be empty. A copy that was interrupted does not open: the same command begins it again.`,
		Example: "  watchd migrate --from bolt:old.watchd --to pebble:new.watchd",
		Args:    noArguments, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return migrate(cmd.Context(), from, to, out)
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "`ENGINE:DIR` to copy from")
	cmd.Flags().StringVar(&to, "to", "", "`ENGINE:DIR` to copy to")
	return cmd
}

// findEngineDir reads ENGINE:DIR and looks what is there.
func findEngineDir(flag, text string) (place, error) {
	engine, dir, ok := strings.Cut(text, ":")
	if !ok || engine == "" || dir == "" {
		return place{}, misused("--%s %q: write ENGINE:DIR, with an engine of %s", flag, text, strings.Join(keepingEngines(), ", "))
	}
	at, err := findPlace(dir, engine)
	if err != nil {
		return place{}, inFlag(flag, err)
	}
	if at.driver.Volatile {
		return place{}, misused("--%s %q: %s keeps nothing on disk", flag, text, engine)
	}
	return at, nil
}

// keepingEngines are those that keep something on disk.
func keepingEngines() (names []string) {
	for _, driver := range engines.All() {
		if !driver.Volatile {
			names = append(names, driver.Name)
		}
	}
	return names
}

// inFlag is an error about a data directory that another flag named.
func inFlag(flag string, err error) error {
	var exit *exitError
	if errors.As(err, &exit) {
		return &exitError{exit.code, strings.Replace(exit.text, "--data-dir", "--"+flag, 1)}
	}
	return err
}

// openReadOnly opens data that are there and changes nothing.
func (p place) openReadOnly(flag string) (backend.Engine, error) {
	engine, err := p.driver.Open(p.path, backend.Options{ReadOnly: true})
	switch {
	case errors.Is(err, backend.ErrLocked):
		return nil, failed("--%s %q: in use by another process (%s); stop it first", flag, p.dir, p.driver.Name)
	case errors.Is(err, fs.ErrNotExist):
		return nil, failed("--%s %q: holds no data of %s", flag, p.dir, p.driver.Name)
	case err != nil:
		return nil, failed("--%s %q: %v", flag, p.dir, err)
	}
	return engine, nil
}

func migrate(ctx context.Context, from, to string, out io.Writer) (err error) {
	source, err := findEngineDir("from", from)
	if err != nil {
		return err
	}
	target, err := findEngineDir("to", to)
	if err != nil {
		return err
	}
	src, err := source.openReadOnly("from")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	want, before, err := hashOf(ctx, src)
	if err != nil {
		return failed("--from %q: %v", source.dir, err)
	}
	dst, err := openTarget(target, "to")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	c := &copier{ctx: ctx, progress: newProgress(os.Stderr, src.Stats().InUseBytes)}
	if err := c.run(src, dst); err != nil {
		if errors.Is(err, mvcc.ErrNotEmpty) {
			return failed("--to %q: holds data already; give an empty directory", target.dir)
		}
		return failed("%v; what is in %s is no whole copy and does not open: the same command begins it again", err, target.dir)
	}
	got, rev, err := hashOf(ctx, dst)
	if err != nil {
		return failed("--to %q: %v", target.dir, err)
	}
	if got != want || rev != before {
		return failed("--to %q: the copy is not what was copied: revision %d, hash %08x; it was revision %d, hash %08x", target.dir, rev, got.Hash, before, want.Hash)
	}
	_, err = fmt.Fprintf(out, "copied %s to %s: %d records, %d leases, %s; revision %d, hash %08x, both equal\n",
		from, to, c.records, c.leases, mebibytes(c.bytes), rev, got.Hash)
	return err
}

// openTarget opens an engine that is to be filled.
func openTarget(at place, flag string) (backend.Engine, error) {
	if !at.driver.Volatile {
		if err := os.MkdirAll(at.dir, 0o700); err != nil {
			return nil, failed("--%s %q: %v", flag, at.dir, bare(err))
		}
	}
	engine, err := at.driver.Open(at.path, backend.Options{})
	switch {
	case errors.Is(err, backend.ErrLocked):
		return nil, failed("--%s %q: in use by another process (%s); stop it, or give another directory", flag, at.dir, at.driver.Name)
	case err != nil:
		return nil, failed("--%s %q: %v", flag, at.dir, err)
	}
	return engine, nil
}

// hashOf opens an engine as a store, for reading only, and hashes it.
func hashOf(ctx context.Context, engine backend.Engine) (h mvcc.HashResult, rev int64, err error) {
	s, err := mvcc.Open(engine, mvcc.Config{ReadOnly: true})
	if err != nil {
		return h, 0, err
	}
	h, err = s.HashKV(ctx, 0)
	return h, s.Rev(), errors.Join(err, s.Close())
}

// copier copies every space of one engine into another.
type copier struct {
	ctx      context.Context
	progress *progress

	records, leases, bytes int64
}

func (c *copier) run(from, to backend.Engine) (err error) {
	loader, err := mvcc.NewLoader(c.ctx, to)
	if err != nil {
		return err
	}
	view, err := from.View()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	for _, info := range backend.DefaultSpaces() {
		var bad error
		err := view.Scan(info.Space, nil, nil, func(key, value []byte) bool {
			if bad = c.ctx.Err(); bad == nil {
				bad = loader.Put(info.Space, key, value)
			}
			c.count(info.Space, int64(len(key)+len(value)))
			return bad == nil
		})
		if err := errors.Join(bad, err); err != nil {
			return err
		}
	}
	c.progress.end()
	return loader.Finish()
}

func (c *copier) count(space backend.Space, bytes int64) {
	switch space {
	case backend.SpaceKey:
		c.records++
	case backend.SpaceLease:
		c.leases++
	}
	c.bytes += bytes
	c.progress.tell(c.records, c.bytes)
}

// progress writes a line now and then while something large is copied.
type progress struct {
	out      io.Writer
	expected int64 // bytes, about; 0 or less: nobody knows
	began    time.Time
	next     time.Time
}

const progressEvery = 2 * time.Second

func newProgress(out io.Writer, expected int64) *progress {
	now := time.Now()
	return &progress{out: out, expected: expected, began: now, next: now.Add(progressEvery)}
}

func (p *progress) tell(records, bytes int64) {
	if records%1024 != 0 || time.Now().Before(p.next) {
		return
	}
	p.next = time.Now().Add(progressEvery)
	of := ""
	if p.expected > bytes {
		of = " of about " + mebibytes(p.expected)
	}
	fmt.Fprintf(p.out, "%6.0f s  %d records, %s%s\n", time.Since(p.began).Seconds(), records, mebibytes(bytes), of)
}

// end is told when only the checks are left.
func (p *progress) end() {
	if time.Since(p.began) > progressEvery {
		fmt.Fprintf(p.out, "%6.0f s  all is copied; checking it\n", time.Since(p.began).Seconds())
	}
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
