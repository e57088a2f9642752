package main

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPercentile(t *testing.T) {
	for _, test := range []struct {
		values []float64
		p      float64
		want   float64
	}{
		{[]float64{3}, 50, 3},
		{[]float64{3}, 99, 3},
		{[]float64{9, 1, 5}, 50, 5},
		{[]float64{4, 2, 1, 3}, 50, 2.5},
		{[]float64{4, 2, 1, 3}, 0, 1},
		{[]float64{4, 2, 1, 3}, 100, 4},
		{[]float64{0, 100}, 99, 99},
	} {
		if got := percentile(test.values, test.p); got != test.want {
			t.Errorf("percentile %v of %v: %v, want %v", test.p, test.values, got, test.want)
		}
	}
	if got := median(nil); !math.IsNaN(got) {
		t.Errorf("median of nothing: %v", got)
	}
}

func TestPercentileKeepsOrder(t *testing.T) {
	v := []float64{3, 1, 2}
	median(v)
	if diff := cmp.Diff([]float64{3, 1, 2}, v); diff != "" {
		t.Error(diff)
	}
}

// A machine that was slow for a while must not show in the ratio: each run is held against the one next to it.
func TestRatioIsOfNeighbours(t *testing.T) {
	var p pairs
	for _, slow := range []float64{1, 1, 10, 10, 10} {
		p.add(2*slow, 1*slow)
	}
	r := p.row("x", "ms", limit{AtMost: 2})
	yes, base, ratio := true, 10.0, 2.0
	want := Row{Name: "x", Value: 20, Unit: "ms", Baseline: &base, Ratio: &ratio, Spread: [2]float64{2, 2}, Floor: "<= 2 ratio", OK: &yes, Runs: 5}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Error(diff)
	}
}

func TestFloors(t *testing.T) {
	for _, test := range []struct {
		name  string
		limit limit
		ok    string
	}{
		{"none", limit{}, ""},
		{"ratio high enough", limit{AtLeast: 0.5}, "ok"},
		{"ratio too low", limit{AtLeast: 0.51}, "below"},
		{"ratio low enough", limit{AtMost: 0.5}, "ok"},
		{"ratio too high", limit{AtMost: 0.49}, "below"},
		{"value, although there is a ratio", limit{AtLeast: 5, isValue: true}, "ok"},
		{"value too high", limit{AtMost: 4.9, isValue: true}, "below"},
	} {
		r := (&pairs{own: []float64{5}, base: []float64{10}}).row("x", "1/s", test.limit)
		got := ""
		if r.OK != nil {
			got = map[bool]string{true: "ok", false: "below"}[*r.OK]
		}
		if got != test.ok || (r.Floor == "") != (test.ok == "") {
			t.Errorf("%s: %q, floor %q; want %q", test.name, got, r.Floor, test.ok)
		}
	}
}
