package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Row is one line of the table and of bench.json.
type Row struct {
	Name     string     `json:"name"`
	Value    float64    `json:"value"` // median over the runs
	Unit     string     `json:"unit"`
	Baseline *float64   `json:"baseline"` // median of the baseline's runs; null: there is none
	Ratio    *float64   `json:"ratio"`    // median of the runs' ratios
	Spread   [2]float64 `json:"spread"`   // least and greatest of what the floor is about: the ratio, or else the value
	Floor    string     `json:"floor"`    // empty: none
	OK       *bool      `json:"ok"`       // whether the floor is kept; null: there is none
	Runs     int        `json:"runs"`
	Note     string     `json:"note,omitempty"`
}

// number prints a number with three or four digits that mean something.
func number(v float64) string {
	a := math.Abs(v)
	switch {
	case math.IsNaN(v):
		return "-"
	case a >= 1000:
		return thousands(strconv.FormatFloat(v, 'f', 0, 64))
	case a >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 10:
		return trimZeros(strconv.FormatFloat(v, 'f', 1, 64))
	default:
		return trimZeros(strconv.FormatFloat(v, 'f', 3, 64))
	}
}

func trimZeros(s string) string {
	if !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

func thousands(s string) string {
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

func optional(v *float64) string {
	if v == nil {
		return "-"
	}
	return number(*v)
}

// printTable prints the rows for people.
func printTable(w io.Writer, rows []Row) {
	table := [][]string{{"what", "value", "unit", "baseline", "ratio", "spread", "runs", "floor", ""}}
	for _, r := range rows {
		verdict := ""
		if r.OK != nil {
			verdict = "ok"
			if !*r.OK {
				verdict = "BELOW"
			}
		}
		floor := r.Floor
		if floor == "" {
			floor = "-"
		}
		table = append(table, []string{r.Name, number(r.Value), r.Unit, optional(r.Baseline), optional(r.Ratio),
			number(r.Spread[0]) + " .. " + number(r.Spread[1]), strconv.Itoa(r.Runs), floor, verdict})
	}
	right := []bool{false, true, false, true, true, false, true, false, false}
	width := make([]int, len(table[0]))
	for _, line := range table {
		for i, cell := range line {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	for _, line := range table {
		var b strings.Builder
		for i, cell := range line {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if right[i] {
				b.WriteString(pad + cell)
			} else {
				b.WriteString(cell + pad)
			}
			b.WriteString("  ")
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
	for _, r := range rows {
		if r.Note != "" {
			fmt.Fprintf(w, "%s: %s\n", r.Name, r.Note)
		}
	}
}

// writeJSON writes the rows to a file.
func writeJSON(path string, rows []Row) error {
	b, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
