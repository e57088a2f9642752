package cli

import "strings"

// table collects rows of cells and writes them in columns. Cells may be coloured.
type table struct {
	indent string
	rows   [][]string
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

// String returns the lines, each ended by a newline, without spaces at their ends.
func (t *table) String() string {
	var widths []int
	for _, row := range t.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if i < len(row)-1 { // what ends a line needs no column
				widths[i] = max(widths[i], width(cell))
			}
		}
	}
	var b strings.Builder
	for _, row := range t.rows {
		line := t.indent
		for i, cell := range row {
			line += cell
			if i < len(row)-1 {
				line += strings.Repeat(" ", widths[i]-width(cell)+2)
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}
