package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/watchkv/watchkv/bench/figure"
)

// maxResultBytes is what a result file may have. The largest real ones have a
// few MiB; the bound is for what is no result, such as a device.
const maxResultBytes = 256 << 20

// Unreadable says why a file gives no result. Problem is for people and goes
// after the name of the file.
type Unreadable struct{ Problem string }

func (e *Unreadable) Error() string { return e.Problem }

func unreadable(format string, args ...any) error {
	return &Unreadable{fmt.Sprintf(format, args...)}
}

// WriteJSON writes the result as one JSON document.
func (res *Result) WriteJSON(w io.Writer) error { return writeJSON(w, res) }

// MarshalJSON implements json.Marshaler: a list without members is empty,
// never null.
func (res *Result) MarshalJSON() ([]byte, error) {
	type plain Result
	full := plain(*res)
	full.Command, full.Plan.Scenarios = some(full.Command), some(full.Plan.Scenarios)
	full.Runs = some(slices.Clone(full.Runs))
	for i := range full.Runs {
		full.Runs[i].Promises = some(full.Runs[i].Promises)
		full.Runs[i].Allowed = slices.Clone(full.Runs[i].Allowed)
		for j := range full.Runs[i].Allowed {
			full.Runs[i].Allowed[j].Record = some(full.Runs[i].Allowed[j].Record)
		}
	}
	if full.Broken != nil {
		broken := *full.Broken
		broken.Record = some(broken.Record)
		full.Broken = &broken
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(&full)
	return b.Bytes(), err
}

func some[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// WriteFile writes the result beside path and renames it, so that the file is
// whole or absent. What is no regular file, such as a pipe, is written to. A
// full disk is a *DiskFull.
func (res *Result) WriteFile(path string) error { return writeFile(path, res.WriteJSON) }

// ReadResult reads what Result.WriteJSON wrote, now or by an older program. The error
// is an *Unreadable unless r failed. Whatever it accepts, every view can show.
func ReadResult(r io.Reader) (*Result, error) {
	data, err := readAll(r)
	if err != nil {
		return nil, err
	}
	return decodeResult(data)
}

// ReadResults reads what Result.WriteJSON or Comparison.WriteJSON wrote: one
// result, or those of the comparison. It fails as ReadResult does.
func ReadResults(r io.Reader) ([]*Result, error) {
	data, err := readAll(r)
	if err != nil {
		return nil, err
	}
	name, _, err := schemaOf(data)
	if err != nil {
		return nil, err
	}
	if comparison, _, _ := strings.Cut(ComparisonSchema, "/"); name == comparison {
		return decodeComparison(data)
	}
	res, err := decodeResult(data)
	if err != nil {
		return nil, err
	}
	return []*Result{res}, nil
}

func decodeComparison(data []byte) (results []*Result, err error) {
	if err := checkSchema(data, ComparisonSchema); err != nil {
		return nil, err
	}
	var form struct {
		Results []json.RawMessage `json:"results"`
	}
	if err := json.Unmarshal(data, &form); err != nil {
		return nil, damaged(err)
	}
	for i, part := range form.Results {
		res, err := decodeResult(part)
		if err != nil {
			return nil, unreadable("target %d of a comparison: %v", i+1, err)
		}
		results = append(results, res)
	}
	if len(results) == 0 {
		return nil, unreadable("a comparison without results")
	}
	return results, nil
}

func decodeResult(data []byte) (*Result, error) {
	if err := checkSchema(data, Schema); err != nil {
		return nil, err
	}
	var res Result
	if err := json.Unmarshal(data, &res); err != nil {
		return nil, damaged(err)
	}
	return &res, res.fits()
}

// fits checks what the parts of a result say of each other.
func (res *Result) fits() error {
	for i, run := range res.Runs {
		if run.Planned < 0 || run.Planned >= len(res.Plan.Scenarios) {
			return unreadable("damaged: run %d is of scenario %d, the plan has %d", i, run.Planned, len(res.Plan.Scenarios))
		}
		if res.Plan.Scenarios[run.Planned].Name == Replay && res.Source == nil {
			return unreadable("damaged: run %d replays a history that \"source\" does not describe", i)
		}
	}
	return nil
}

// ReadFile reads the results in a file, as ReadResults does; "-" is standard
// input. The error names the file and is for people.
func ReadFile(path string) ([]*Result, error) {
	in := os.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, withoutPath(err, 0))
		}
		defer func() { _ = f.Close() }() // nothing was written
		if info, err := f.Stat(); err == nil && info.IsDir() {
			return nil, fmt.Errorf("%s: %w", path, unreadable("is a directory; name the files in it"))
		}
		in = f
	}
	results, err := ReadResults(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, withoutPath(err, 0))
	}
	return results, nil
}

func readAll(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxResultBytes+1))
	if err == nil && len(data) > maxResultBytes {
		err = unreadable("larger than %s: no result of watchbench", figure.ShortBytes(maxResultBytes))
	}
	return data, err
}

// schemaOf is the name and the number of a document's schema, as
// "watchbench.result" and 1.
func schemaOf(data []byte) (name string, number int, err error) {
	var head struct {
		Schema *string `json:"schema"`
	}
	if err := notJSON(data); err != nil {
		return "", 0, err
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return "", 0, damaged(err)
	}
	if head.Schema == nil {
		return "", 0, unreadable(`no result of watchbench: "schema" is missing`)
	}
	name, digits, _ := strings.Cut(*head.Schema, "/")
	number, err = strconv.Atoi(digits)
	if err != nil || number < 1 || !strings.HasPrefix(name, "watchbench.") {
		return "", 0, unreadable("no result of watchbench: schema %.40q", *head.Schema)
	}
	return name, number, nil
}

// checkSchema refuses a document that is not of the schema wanted, named with
// the newest number that this program reads.
func checkSchema(data []byte, wanted string) error {
	name, number, err := schemaOf(data)
	if err != nil {
		return err
	}
	wantedName, digits, _ := strings.Cut(wanted, "/")
	newest, err := strconv.Atoi(digits)
	switch {
	case err != nil:
		return fmt.Errorf("bench: %q names no schema", wanted)
	case name != wantedName:
		return unreadable("schema %s/%d is no %s", name, number, strings.TrimPrefix(wantedName, "watchbench."))
	case number > newest:
		return unreadable("schema %s/%d is newer than this program (%d); update watchbench", name, number, newest)
	}
	return nil
}

// notJSON says what a file is that is no JSON object, as far as its beginning
// tells.
func notJSON(data []byte) error {
	text := bytes.TrimSpace(data)
	switch {
	case len(text) == 0:
		return unreadable("is empty")
	case bytes.HasPrefix(data, []byte{0x1f, 0x8b}):
		return unreadable("no result of watchbench (first bytes 1f 8b); is it still gzipped?")
	case bytes.HasPrefix(bytes.ToLower(text[:min(len(text), 15)]), []byte("<!doctype html")):
		return unreadable("is a page; get the results out of it by watchbench report --extract")
	case text[0] != '{':
		return unreadable("no result of watchbench: not JSON")
	}
	return nil
}

// damaged turns what the JSON decoder says into a sentence.
func damaged(err error) error {
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax) && strings.Contains(syntax.Error(), "unexpected end"):
		return unreadable("ends in the middle, after %d bytes; the file is not whole", syntax.Offset)
	case errors.As(err, &syntax):
		return unreadable("damaged at byte %d: %v", syntax.Offset, syntax)
	case errors.As(err, &typ) && typ.Field != "":
		return unreadable("damaged at byte %d: %q cannot be a %s", typ.Offset, typ.Field, typ.Value)
	}
	return unreadable("damaged: %s", strings.TrimPrefix(err.Error(), "json: "))
}

// WriteDocument writes any document as a result is written.
func WriteDocument(w io.Writer, document any) error { return writeJSON(w, document) }

func writeJSON(w io.Writer, document any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(document); err != nil {
		return fmt.Errorf("bench: write result: %w", err)
	}
	return nil
}

// DiskFull is the error of a result that found no room.
type DiskFull struct{ Written int64 }

func (e *DiskFull) Error() string { return "disk full after " + figure.Bytes(e.Written) }

// WriteWhole writes any file as Result.WriteFile does: whole or not at all.
func WriteWhole(path string, write func(io.Writer) error) error { return writeFile(path, write) }

// CanWrite reports early whether WriteFile will find a directory that can be
// written to. It leaves nothing behind.
func CanWrite(path string) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil // a pipe may have no reader yet
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return withoutPath(err, 0)
	}
	return withoutPath(errors.Join(f.Close(), os.Remove(f.Name())), 0)
}

// writeFile writes a document as WriteFile does.
func writeFile(path string, write func(io.Writer) error) (err error) {
	if real, linkErr := filepath.EvalSymlinks(path); linkErr == nil {
		path = real
	}
	if info, statErr := os.Stat(path); statErr == nil && !info.Mode().IsRegular() {
		return writeTo(path, write)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return withoutPath(err, 0)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	w := &countingWriter{to: f}
	if err := errors.Join(write(w), f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return withoutPath(err, w.written)
	}
	return withoutPath(os.Rename(f.Name(), path), w.written)
}

func writeTo(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return withoutPath(err, 0)
	}
	w := &countingWriter{to: f}
	return withoutPath(errors.Join(write(w), f.Close()), w.written)
}

// withoutPath leaves the name of the temporary file out of an error: nobody
// knows it. nil stays nil.
func withoutPath(err error, written int64) error {
	var at *fs.PathError
	var link *os.LinkError
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &DiskFull{written}
	case errors.As(err, &at):
		return at.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}

// countingWriter counts what was taken.
type countingWriter struct {
	to      io.Writer
	written int64
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	w.written += int64(n)
	return n, err
}
