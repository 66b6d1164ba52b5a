package examples

import (
	"fmt"
	"regexp"
	"strings"
)

// Example is one command as a document shows it.
type Example struct {
	Doc  string // file, or help topic
	Line int    // from 1
	Text string // as typed: no prompt, continued lines joined
	// Inline stands in a sentence, where a command may be named without its
	// arguments.
	Inline bool
}

func (e Example) String() string { return fmt.Sprintf("%s:%d: %s", e.Doc, e.Line, e.Text) }

var (
	// ours is a command of this project, of go, or what asks a server, where
	// the shell expects one.
	ours = regexp.MustCompile(`(^|[|&;(]\s*|\b(?:do|then|!|time)\s+|^(?:[A-Za-z_]+=\S*\s+)+)` +
		`(?:watchbench\s|watchd\s|etcdctl\s|curl\s|go (?:run|test|install|build|vet|tool|generate)\s|\.ci/run(?:\s|$))`)
	others  = regexp.MustCompile(`^(?:etcdctl|curl)\s`) // of which a sentence may speak as it likes
	fence   = regexp.MustCompile("^\\s*(```+|~~~+)\\s*(\\w*)")
	span    = regexp.MustCompile("(?s)`([^`]+)`")
	yamlRun = regexp.MustCompile(`^\s*(- )?(run: )?`)
	comment = regexp.MustCompile(`\s+#.*$`)
	change  = regexp.MustCompile(`^cd ([\w./-]+)\s*(#.*)?$`)
)

// block languages that hold no commands: output, data, programs.
var silent = map[string]bool{"text": true, "go": true, "json": true, "diff": true, "csv": true}

// Find returns the commands of a Markdown document in their order.
func Find(doc, text string) []Example {
	f := finder{doc: doc}
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		if m := fence.FindStringSubmatch(lines[i]); m != nil {
			end := i + 1
			for end < len(lines) && !strings.HasPrefix(strings.TrimSpace(lines[end]), m[1]) {
				end++
			}
			f.sentences()
			f.block(lines[i+1:min(end, len(lines))], i+2, m[2])
			i = end
			continue
		}
		if strings.HasPrefix(lines[i], "    ") && (i == 0 || strings.TrimSpace(lines[i-1]) == "") && !f.inList {
			end := i
			for end < len(lines) && (strings.HasPrefix(lines[end], "    ") || strings.TrimSpace(lines[end]) == "") {
				end++
			}
			f.sentences()
			f.block(lines[i:end], i+1, "")
			i = end - 1
			continue
		}
		f.line(lines[i], i+1)
	}
	f.sentences()
	return f.found
}

type finder struct {
	doc    string
	found  []Example
	text   []string // lines of the paragraph being read
	first  int      // its first line's number
	inList bool     // indented lines continue an item and are no code
}

func (f *finder) line(line string, number int) {
	if strings.TrimSpace(line) == "" {
		f.sentences()
		return
	}
	if len(f.text) == 0 {
		f.first = number
	}
	f.inList = strings.HasPrefix(strings.TrimSpace(line), "- ") || f.inList && strings.HasPrefix(line, "  ")
	f.text = append(f.text, line)
}

// sentences ends a paragraph and finds the commands in its code spans.
func (f *finder) sentences() {
	paragraph := strings.Join(f.text, "\n")
	for _, at := range span.FindAllStringSubmatchIndex(paragraph, -1) {
		text := strings.Join(strings.Fields(paragraph[at[2]:at[3]]), " ")
		if ours.MatchString(text) && !others.MatchString(text) || strings.HasPrefix(text, "cd peers && go ") {
			f.found = append(f.found, Example{
				Doc: f.doc, Line: f.first + strings.Count(paragraph[:at[0]], "\n"), Text: text, Inline: true,
			})
		}
	}
	f.text = nil
}

// block finds the commands of a code block. If it has prompts, only what
// follows them was typed; a cd on a line of its own holds for the rest.
func (f *finder) block(lines []string, first int, language string) {
	if silent[language] {
		return
	}
	prompts, into := false, ""
	for _, line := range lines {
		prompts = prompts || strings.HasPrefix(strings.TrimSpace(line), "$ ")
	}
	for i := 0; i < len(lines); i++ {
		line, number := strings.TrimSpace(lines[i]), first+i
		for strings.HasSuffix(line, `\`) && i+1 < len(lines) {
			i++
			line = strings.TrimSpace(strings.TrimSuffix(line, `\`)) + " " + strings.TrimSpace(lines[i])
		}
		if language == "yaml" || language == "yml" {
			line = yamlRun.ReplaceAllString(line, "")
		}
		if prompts {
			typed, ok := strings.CutPrefix(line, "$ ")
			if !ok {
				continue
			}
			line = typed
		}
		if m := change.FindStringSubmatch(line); m != nil {
			into = m[1]
			continue
		}
		if !ours.MatchString(line) {
			continue
		}
		line = comment.ReplaceAllString(line, "")
		if into != "" {
			line = "cd " + into + " && " + line
		}
		f.found = append(f.found, Example{Doc: f.doc, Line: number, Text: line})
	}
}

var remark = regexp.MustCompile(`\s{2,}.*$`)

// FindInHelp returns the commands of a help text: indented lines that begin
// with the program's name; what follows two blanks explains them.
func FindInHelp(program, topic, text string) (found []Example) {
	for i, line := range strings.Split(text, "\n") {
		typed, indented := strings.CutPrefix(line, "  ")
		if indented && strings.HasPrefix(typed, program+" ") {
			found = append(found, Example{Doc: strings.TrimSpace(program + " help " + topic), Line: i + 1, Text: remark.ReplaceAllString(typed, "")})
		}
	}
	return found
}
