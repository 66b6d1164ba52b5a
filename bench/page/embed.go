package page

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/net/html"

	"github.com/watchkv/watchkv/bench"
)

// File is a result file inside a page.
type File struct {
	Name string // without folders
	JSON []byte // as the file was
}

// ErrNoResults: a page holds no result files.
var ErrNoResults = errors.New("no result files inside; is it a page of watchbench report --html?")

// enclosure is how a page holds the files.
type enclosure struct {
	Schema string     `json:"schema"`
	Files  []enclosed `json:"files"`
}

type enclosed struct {
	Name string `json:"name"`
	Data string `json:"gzip_base64"`
}

const (
	enclosureSchema = "watchbench.page/1"
	enclosureID     = "results"

	// largestFile bounds what a page may unpack to.
	largestFile = 1 << 30
)

// enclose packs results for the page.
func enclose(names []string, results []*bench.Result) ([]byte, error) {
	all := enclosure{Schema: enclosureSchema, Files: []enclosed{}}
	for i, res := range results {
		var packed bytes.Buffer
		z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
		if err != nil {
			return nil, fmt.Errorf("page: pack %s: %w", names[i], err)
		}
		if err := errors.Join(res.WriteJSON(z), z.Close()); err != nil {
			return nil, fmt.Errorf("page: pack %s: %w", names[i], err)
		}
		all.Files = append(all.Files, enclosed{names[i], base64.StdEncoding.EncodeToString(packed.Bytes())})
	}
	text, err := json.Marshal(all)
	if err != nil {
		return nil, fmt.Errorf("page: pack: %w", err)
	}
	return text, nil
}

// Extract gets the result files out of a page that Write made. A page without
// any is ErrNoResults. The names have no folders, whatever the page says, and
// stand once each.
func Extract(r io.Reader) ([]File, error) {
	text, err := enclosedText(r)
	if err != nil {
		return nil, err
	}
	var all enclosure
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return nil, fmt.Errorf("page: its results cannot be read: %w", err)
	}
	if all.Schema != enclosureSchema {
		return nil, fmt.Errorf("page: schema %q of its results is not known here (%s)", all.Schema, enclosureSchema)
	}
	files := make([]File, 0, len(all.Files))
	for i, f := range all.Files {
		data, err := unpack(f.Data)
		if err != nil {
			return nil, fmt.Errorf("page: %s: %w", f.Name, err)
		}
		files = append(files, File{Name: safeName(f.Name, i), JSON: data})
	}
	unique(len(files), func(i int) *string { return &files[i].Name })
	return files, nil
}

func unpack(data string) ([]byte, error) {
	z, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(data)))
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	out, err := io.ReadAll(io.LimitReader(z, largestFile+1))
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	if len(out) > largestFile {
		return nil, fmt.Errorf("unpack: more than %d bytes", largestFile)
	}
	return out, nil
}

// enclosedText finds the script element that holds the results.
func enclosedText(r io.Reader) (string, error) {
	z := html.NewTokenizer(r)
	for {
		switch z.Next() {
		case html.ErrorToken:
			if err := z.Err(); !errors.Is(err, io.EOF) {
				return "", fmt.Errorf("page: read: %w", err)
			}
			return "", fmt.Errorf("page: %w", ErrNoResults)
		case html.StartTagToken:
			token := z.Token()
			if token.Data != "script" || !hasID(token, enclosureID) {
				continue
			}
			if z.Next() != html.TextToken {
				return "", fmt.Errorf("page: %w", ErrNoResults)
			}
			return string(z.Raw()), nil
		}
	}
}

func hasID(t html.Token, id string) bool {
	for _, a := range t.Attr {
		if a.Key == "id" && a.Val == id {
			return true
		}
	}
	return false
}

// safeName is a name that can be written into a folder.
func safeName(name string, i int) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	var b strings.Builder
	for _, r := range name {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_' {
			b.WriteRune(r)
		} else {
			b.WriteByte('_')
		}
	}
	name = strings.TrimLeft(b.String(), ".")
	if name == "" {
		return fmt.Sprintf("result-%d.json", i+1)
	}
	return name
}
