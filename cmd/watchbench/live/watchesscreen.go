package live

import (
	"context"
	"os"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
)

// Top shows a server's watches on the terminal until q, Ctrl-C or the end of
// ctx: it takes a sample at once and then one every interval. sample is called
// from a goroutine of the program, one at a time.
func Top(ctx context.Context, out *os.File, style Style, view TopView, interval time.Duration, sample func(context.Context) Sample) error {
	profile := colorprofile.ASCII
	if style.Color {
		profile = colorprofile.ANSI
	}
	guard := startGuard(out)
	defer guard.end()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m := topModel{view: view, style: style, interval: interval, sample: func() tea.Msg { return sample(ctx) }}
	program := tea.NewProgram(m, tea.WithOutput(out), tea.WithFPS(framesPerS), tea.WithColorProfile(profile), tea.WithoutSignalHandler())
	ended := make(chan struct{})
	go func() { // ends with the program, or ends it
		select {
		case <-ctx.Done():
			program.Quit()
		case <-ended:
		}
	}()
	_, err := program.Run()
	close(ended)
	return err
}

// topModel is what the screen shows; Update's own.
type topModel struct {
	view          TopView
	style         Style
	width, height int
	interval      time.Duration
	sample        tea.Cmd
}

// again asks for the next sample.
type again struct{}

// Init implements tea.Model.
func (m topModel) Init() tea.Cmd { return m.sample }

// Update implements tea.Model.
func (m topModel) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case Sample:
		m.view = m.view.With(msg)
		return m, tea.Tick(m.interval, func(time.Time) tea.Msg { return again{} })
	case again:
		return m, m.sample
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		key := msg.String()
		if key == "ctrl+c" {
			return m, tea.Quit
		}
		if m.view.Typing {
			m.view = m.view.typed(key, msg.Text)
			return m, nil
		}
		if key == "q" {
			return m, tea.Quit
		}
		m.view = m.view.pressed(key)
	}
	return m, nil
}

// View implements tea.Model.
func (m topModel) View() tea.View {
	v := tea.NewView("")
	if m.width > 0 && m.height > 0 {
		v.Content = m.view.Screen(m.width, m.height, m.style)
	}
	v.AltScreen = true
	v.DisableBracketedPasteMode = true
	return v
}

// pressed is the view after a key.
func (v TopView) pressed(key string) TopView {
	switch key {
	case "s":
		v.Order = (v.Order + 1) % orders
	case "e":
		v.Behind = !v.Behind
	case "/":
		v.Typing = true
	}
	return v
}

// typed is the view after a key of the filter.
func (v TopView) typed(key, text string) TopView {
	switch key {
	case "enter":
		v.Typing = false
	case "esc":
		v.Typing, v.Filter = false, ""
	case "backspace":
		_, n := utf8.DecodeLastRuneInString(v.Filter)
		v.Filter = v.Filter[:len(v.Filter)-n]
	default:
		v.Filter += text
	}
	return v
}
