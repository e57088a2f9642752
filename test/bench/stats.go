package main

import (
	"math"
	"slices"
)

// median returns the middle of the values, NaN if there are none.
func median(values []float64) float64 { return percentile(values, 50) }

// percentile returns the value below which p percent of the values lie, interpolated between two of them.
func percentile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	at := p / 100 * float64(len(sorted)-1)
	low := int(math.Floor(at))
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (sorted[high]-sorted[low])*(at-float64(low))
}

// pairs is what was measured of something and of its baseline, run by run: the run with an index of one was next to
// that of the other.
type pairs struct{ own, base []float64 }

func (p *pairs) add(own, base float64) {
	p.own, p.base = append(p.own, own), append(p.base, base)
}

// ratios returns each run's ratio.
func (p *pairs) ratios() []float64 {
	out := make([]float64, 0, len(p.own))
	for i := range min(len(p.own), len(p.base)) {
		if p.base[i] != 0 {
			out = append(out, p.own[i]/p.base[i])
		}
	}
	return out
}

// limit is what a row must keep. It holds for the ratio if the row has one and isValue is not set.
type limit struct {
	AtMost  float64
	AtLeast float64
	isValue bool
}

// row makes a row of what was measured.
func (p *pairs) row(name, unit string, l limit) Row {
	r := Row{Name: name, Value: median(p.own), Unit: unit, Runs: len(p.own)}
	judged := p.own
	if len(p.base) > 0 {
		base := median(p.base)
		ratios := p.ratios()
		ratio := median(ratios)
		r.Baseline, r.Ratio = &base, &ratio
		if !l.isValue {
			judged = ratios
		}
	}
	return r.judge(judged, l)
}

// values makes a row of values without a baseline.
func values(name, unit string, v []float64, l limit) Row {
	l.isValue = true
	return (&pairs{own: v}).row(name, unit, l)
}

// judge fills in the spread of what is held against the floor, and whether its median keeps it.
func (r Row) judge(judged []float64, l limit) Row {
	r.Spread = [2]float64{slices.Min(judged), slices.Max(judged)}
	value := median(judged)
	r.setFloor(value, l)
	return r
}

// setFloor fills in the floor and whether the value keeps it.
func (r *Row) setFloor(value float64, l limit) {
	what := "ratio"
	if l.isValue {
		what = r.Unit
	}
	switch {
	case l.AtLeast != 0:
		ok := value >= l.AtLeast
		r.Floor, r.OK = ">= "+number(l.AtLeast)+" "+what, &ok
	case l.AtMost != 0:
		ok := value <= l.AtMost
		r.Floor, r.OK = "<= "+number(l.AtMost)+" "+what, &ok
	}
}
