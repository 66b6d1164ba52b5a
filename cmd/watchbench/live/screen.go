package live

import (
	"os"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
)

// framesPerS bounds how soon a key or a new size shows; ticks come more rarely.
const framesPerS = 10

// screen is the program that owns the terminal. Its goroutine ends with close
// or kill.
type screen struct {
	program *tea.Program
	guard   *guard        // nil if there is none
	done    chan struct{} // closed by the goroutine, when the terminal is as it was
	err     error         // of the program; may be read once done is closed
}

// model is what the screen shows; Update's own.
type model struct {
	snapshot      Snapshot
	style         Style
	width, height int
	interrupt     func()
}

func openScreen(out *os.File, style Style, s Snapshot, interrupt func()) *screen {
	profile := colorprofile.ASCII
	if style.Color {
		profile = colorprofile.ANSI
	}
	sc := &screen{done: make(chan struct{}), guard: startGuard(out)}
	sc.program = tea.NewProgram(model{snapshot: s, style: style, interrupt: interrupt},
		tea.WithOutput(out), tea.WithFPS(framesPerS), tea.WithColorProfile(profile), tea.WithoutSignalHandler())
	go func() {
		defer close(sc.done)
		defer sc.guard.end()
		_, sc.err = sc.program.Run()
	}()
	return sc
}

// show replaces what is shown; nothing happens once the program has ended.
func (sc *screen) show(s Snapshot) { sc.program.Send(s) }

// close gives the terminal back.
func (sc *screen) close() {
	sc.program.Quit()
	<-sc.done
}

// kill gives the terminal back without drawing once more.
func (sc *screen) kill() {
	sc.program.Kill()
	<-sc.done
}

// Init implements tea.Model.
func (m model) Init() tea.Cmd { return nil }

// Update implements tea.Model.
func (m model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case Snapshot:
		m.snapshot = msg
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		if key := msg.String(); key == "q" || key == "ctrl+c" {
			m.interrupt()
		}
	}
	return m, nil
}

// View implements tea.Model.
func (m model) View() tea.View {
	v := tea.NewView("")
	if m.width > 0 && m.height > 0 {
		v.Content = View(m.snapshot, m.width, m.height, m.style)
	}
	v.AltScreen = true
	v.DisableBracketedPasteMode = true
	return v
}
