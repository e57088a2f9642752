package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// Screen is where output goes. On a terminal it may be coloured and its last lines may be painted again.
type Screen struct {
	Out      io.Writer
	Terminal bool // lines may be painted again
	Color    bool
	Size     func() (columns, rows int)

	painted int // lines below the cursor's start that belong to the live part
}

// NewScreen returns the screen of a file, which is a terminal or not. NO_COLOR (no-color.org) and TERM=dumb are respected.
func NewScreen(f *os.File, getenv func(string) string) *Screen {
	s := &Screen{Out: f, Size: func() (int, int) { return 0, 0 }}
	if !term.IsTerminal(int(f.Fd())) || getenv("TERM") == "dumb" {
		return s
	}
	s.Terminal, s.Color = true, getenv("NO_COLOR") == ""
	s.Size = func() (int, int) {
		columns, rows, err := term.GetSize(int(f.Fd()))
		if err != nil {
			return 80, 24
		}
		return columns, rows
	}
	return s
}

// Plain returns a screen without a terminal.
func Plain(w io.Writer) *Screen {
	return &Screen{Out: w, Size: func() (int, int) { return 0, 0 }}
}

// Tone is what a piece of text means, and by that its colour.
type Tone string

// The tones.
const (
	Good   Tone = "32"
	Bad    Tone = "31"
	Busy   Tone = "33"
	Faint  Tone = "2"
	Strong Tone = "1"
	Link   Tone = "36"
)

// Paint colours the text if the screen has colours.
func (s *Screen) Paint(t Tone, text string) string {
	if !s.Color || t == "" || text == "" {
		return text
	}
	return "\x1b[" + string(t) + "m" + text + "\x1b[0m"
}

// Printf writes text above the live part.
func (s *Screen) Printf(format string, args ...any) {
	s.erase()
	fmt.Fprintf(s.Out, format, args...)
}

// Live replaces the live part, the lines that are painted again. Without a terminal it does nothing.
func (s *Screen) Live(lines []string) {
	if !s.Terminal {
		return
	}
	columns, rows := s.Size()
	if most := rows - 2; most > 0 && len(lines) > most {
		more := len(lines) - most + 1
		lines = append(lines[:most-1:most-1], fmt.Sprintf("  ... and %d more", more))
	}
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(clip(line, columns))
		b.WriteString("\n")
	}
	s.erase()
	_, _ = io.WriteString(s.Out, b.String())
	s.painted = len(lines)
}

// Clear empties a terminal; elsewhere it writes an empty line.
func (s *Screen) Clear() {
	if s.Terminal {
		_, _ = io.WriteString(s.Out, "\x1b[H\x1b[2J")
		return
	}
	_, _ = io.WriteString(s.Out, "\n")
}

func (s *Screen) erase() {
	if s.painted > 0 {
		fmt.Fprintf(s.Out, "\x1b[%dA\x1b[J", s.painted)
		s.painted = 0
	}
}

// clip cuts a line to a number of columns; escape sequences take no room.
func clip(line string, columns int) string {
	if columns <= 0 || width(line) <= columns {
		return line
	}
	var b strings.Builder
	room := columns - 1
	for i := 0; i < len(line); {
		if n := escape(line[i:]); n > 0 {
			b.WriteString(line[i : i+n])
			i += n
			continue
		}
		r, n := utf8.DecodeRuneInString(line[i:])
		if room > 0 {
			b.WriteRune(r)
			room--
			if room == 0 {
				b.WriteRune('…')
			}
		}
		i += n
	}
	return b.String()
}

// width returns the number of columns that a text takes.
func width(text string) (n int) {
	for i := 0; i < len(text); {
		if e := escape(text[i:]); e > 0 {
			i += e
			continue
		}
		_, size := utf8.DecodeRuneInString(text[i:])
		i, n = i+size, n+1
	}
	return n
}

// escape returns the length of the colour sequence that the text begins with, 0 if there is none.
func escape(text string) int {
	if !strings.HasPrefix(text, "\x1b[") {
		return 0
	}
	if end := strings.IndexByte(text, 'm'); end > 0 {
		return end + 1
	}
	return 0
}

// printable replaces control characters, which could change the terminal, in text that others have written.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f || (r >= 0x80 && r < 0xa0) {
			return '·'
		}
		return r
	}, text)
}
