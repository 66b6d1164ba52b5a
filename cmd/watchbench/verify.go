package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/etcd"
	"github.com/watchkv/watchkv/bench/figure"
	"github.com/watchkv/watchkv/bench/verify"
	"github.com/watchkv/watchkv/bench/verify/wire"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// verifyCommand is one call of watchbench verify.
type verifyCommand struct {
	measuring
	store storeFlags
}

func newVerify(t *terminal, args []string) *cobra.Command {
	v := &verifyCommand{measuring: measuring{term: t, args: args}}
	cmd := &cobra.Command{Use: "verify", Args: noArguments}
	set := cmd.Flags()
	v.store.defineStore(set)
	v.store.server.defineReach(set)
	v.output.defineBrief(set)
	set.Lookup("allow-broken").Value.(*described).values = verifiable()
	setMore(set, "allow-broken", "The break is shown, and the exit code is 0 all the same.")
	setMore(set, "allow-compaction", "Some promises are about compaction. It compacts the server's whole history, not only its own keys: every client that wants an older revision is refused.")
	cmd.RunE = func(*cobra.Command, []string) error { return v.run() }
	return cmd
}

// verifiable are the rules whose break can be accepted.
func verifiable() (ids []string) {
	for _, r := range verify.Rules() {
		if r.Class == watchtest.Etcd {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

func (v *verifyCommand) run() (err error) {
	if err := v.output.check(); err != nil {
		return err
	}
	o := verify.Options{Compaction: v.store.server.allowCompaction}
	if o.Allowed, err = v.allowed(); err != nil {
		return err
	}
	ctx, stop := v.stoppable()
	defer stop()
	chosen, err := v.store.subject(ctx, v.term)
	if err != nil {
		return err
	}
	defer func() { err = v.letGo(chosen, err) }()
	if server, ok := chosen.(*serverSubject); ok {
		o.Prefix = server.kind.Prefix()
	} else {
		o.Prefix = verify.FreshPrefix()
	}
	facts := verifyFacts(chosen)
	if v.output.planOnly {
		return v.plan(chosen, facts, o)
	}
	if server, ok := chosen.(*serverSubject); ok {
		if err := server.bears(v.writes(facts, o)); err != nil {
			return err
		}
	}
	report, err := v.verified(ctx, chosen, o)
	if removeErr := v.place.remove(); v.place.dir != "" && removeErr != nil && err == nil {
		err = unmeasured("temporary files stay in %s: %v", v.place.dir, removeErr)
	}
	return v.conclude(ctx, chosen, report, err)
}

// allowed reads --allow-broken.
func (v *verifyCommand) allowed() (rules []string, err error) {
	if !v.store.set.Changed("allow-broken") {
		return nil, nil
	}
	for id := range strings.SplitSeq(v.store.server.allowBroken, ",") {
		id = strings.ToUpper(strings.TrimSpace(id))
		i := slices.IndexFunc(verify.Rules(), func(r verify.Rule) bool { return r.ID == id })
		switch {
		case i < 0:
			return nil, misused("--allow-broken %q: no such rule%s", id, didYouMeanOr(id, verifiable(), "; all: watchbench verify -v"))
		case verify.Rules()[i].Class == watchtest.Ours:
			return nil, misused("--allow-broken %q: promised by watchkv alone; on a server it is shown and never counts as broken", id)
		}
		rules = append(rules, id)
	}
	return rules, nil
}

// verifyFacts are what is known of a subject before it is opened.
func verifyFacts(s subject) verify.Facts {
	f := s.facts()
	if f.Server() {
		return verify.Facts{Name: f.Name(), EtcdRules: true, Wire: true}
	}
	return verify.Facts{Name: f.Name(), Private: true}
}

// writes is what the server's quota loses, in bytes.
func (v *verifyCommand) writes(f verify.Facts, o verify.Options) int64 {
	bytes, _ := verify.Plan(f, o)
	return etcd.Cost(0, int(bytes))
}

// intent says what will be written, before it is.
func (v *verifyCommand) intent(f verify.Facts, o verify.Options) string {
	_, compacts := verify.Plan(f, o)
	text := fmt.Sprintf("%s   will write %s under %s", f.Name, figure.ShortBytes(v.writes(f, o)), o.Prefix)
	if compacts && !f.Private {
		text += ", and compact: all clients lose their history"
	}
	return text
}

func (v *verifyCommand) plan(s subject, f verify.Facts, o verify.Options) error {
	fmt.Fprintln(v.term.out, v.intent(f, o))
	done := "nothing was done: --plan"
	server, isServer := s.(*serverSubject)
	if isServer {
		fmt.Fprintln(v.term.out, "  server       "+server.serverLine())
		done = "nothing was written: --plan; only the server's status was asked for"
	}
	if err := verify.ForeseeText(v.term.out, verify.Foresee(f, o)); err != nil {
		return err
	}
	fmt.Fprintln(v.term.out, done)
	if isServer {
		return server.bears(v.writes(f, o))
	}
	return nil
}

// verified opens the subject and looks at it.
func (v *verifyCommand) verified(ctx context.Context, s subject, o verify.Options) (report *verify.Report, err error) {
	target, done, err := v.openSubject(s)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	live := v.term.errTTY && !v.term.dumb && !v.output.quiet
	if live {
		o.Began = func(probe string) { fmt.Fprintf(v.term.err, "\r\x1b[K  looking at: %s", probe) }
	}
	fmt.Fprintln(v.tables(), v.intent(target.Facts(), o))
	report, err = verify.Run(ctx, target, o)
	if live {
		fmt.Fprint(v.term.err, "\r\x1b[K")
	}
	// The release cleans once more, by another connection.
	if report != nil && report.Left != "" && s.release() == nil {
		report.Left = ""
	}
	return report, err
}

// openSubject makes ready what is looked at; done ends it.
func (v *verifyCommand) openSubject(s subject) (target verify.Subject, done func() error, err error) {
	v.opened.add(s)
	switch s := s.(type) {
	case *serverSubject:
		conn, err := s.kind.Conn(wire.DialOptions()...)
		if err != nil {
			return nil, nil, err
		}
		return wire.New(conn, s.facts().Name()), conn.Close, nil
	case *engineSubject:
		if v.place, err = openPlace(v.output.dir, bench.Plan{}); err != nil {
			return nil, nil, err
		}
		target, err := verify.Embedded(s.kind.Driver, s.kind.Durability, v.place.dir)
		if err != nil {
			return nil, nil, err
		}
		return target, target.Close, nil
	}
	return nil, nil, unmeasured("%s cannot be verified", s.facts().Name())
}

// tables is where what people read goes.
func (v *verifyCommand) tables() io.Writer {
	if v.output.json == "-" {
		return v.term.err
	}
	return v.term.out
}

// conclude shows the report and chooses the exit code.
func (v *verifyCommand) conclude(ctx context.Context, s subject, report *verify.Report, err error) error {
	if report == nil {
		return v.cause(s, err)
	}
	report.Command = recorded(v.args)
	tty := v.term.outTTY
	if v.output.json == "-" {
		tty = v.term.errTTY
	}
	o := verify.TextOptions{Color: v.term.colors(v.output.color, tty), Verbose: v.output.verbose}
	if s.facts().Server() {
		o.Allow = "--allow-broken"
	}
	if ctx.Err() != nil {
		o.Cut = true
	}
	if textErr := verify.Text(v.tables(), report, o); textErr != nil {
		return unmeasured("the result cannot be written: %v", textErr)
	}
	if writeErr := v.output.writeJSON(v.term, verification{report}); writeErr != nil && err == nil {
		err = writeErr
	}
	switch {
	case report.Failed():
		text := ""
		if err != nil && ctx.Err() == nil {
			text = err.Error()
		}
		return &exitError{code: exitBroken, text: text}
	case ctx.Err() != nil:
		return &exitError{code: exitInterrupted}
	case err != nil:
		return v.cause(s, err)
	case len(report.Of(verify.Kept)) == 0:
		return unmeasured("%s: nothing could be checked", report.Target)
	}
	return nil
}

// verification is a report as a file.
type verification struct{ *verify.Report }

// WriteFile writes the report whole or not at all.
func (v verification) WriteFile(path string) error { return bench.WriteWhole(path, v.WriteJSON) }
