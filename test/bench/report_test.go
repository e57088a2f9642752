package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.8512: "0.851", 1.2: "1.2", 12.34: "12.3", 12: "12", 531.4: "531", 5000: "5,000", 1234567: "1,234,567", -1500: "-1,500", 999.9: "1000"} {
		if got := number(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	rows := []Row{
		(&pairs{own: []float64{8, 9, 10}, base: []float64{10, 10, 10}}).row("throughput", "Gbit/s", limit{AtLeast: 0.95}),
		values("calls", "1/s", []float64{15000}, limit{AtLeast: 5000}),
		values("without a floor", "µs", []float64{1, 2}, limit{}),
	}
	rows[0].Note = "why"
	var b strings.Builder
	printTable(&b, rows)
	want := `
what              value  unit    baseline  ratio  spread            runs  floor
throughput            9  Gbit/s        10    0.9  0.8 .. 1             3  >= 0.95 ratio  BELOW
calls            15,000  1/s            -      -  15,000 .. 15,000     1  >= 5,000 1/s   ok
without a floor     1.5  µs             -      -  1 .. 2               2  -
throughput: why
`
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bench.json")
	if err := writeJSON(path, []Row{values("calls", "1/s", []float64{2}, limit{AtLeast: 1})}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{{"name": "calls", "value": 2.0, "unit": "1/s", "baseline": nil, "ratio": nil, "spread": []any{2.0, 2.0}, "floor": ">= 1 1/s", "ok": true, "runs": 1.0}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWrk(t *testing.T) {
	report := `Running 4s test @ http://198.18.0.20/
  1 threads and 32 connections
  Latency Distribution
     50%    1.50ms
     99%  500.00us
  120 requests in 4.00s, 10KB read
`
	perSecond, p99, err := parseWrk(report + "Requests/sec:  16851.25\nTransfer/sec:  1MB\n")
	if err != nil || perSecond != 16851.25 || p99 != 0.5 {
		t.Errorf("%v %v %v", perSecond, p99, err)
	}
	for _, bad := range []string{"", report, report + "Requests/sec: 1\n  Non-2xx or 3xx responses: 5\n", report + "Requests/sec: 1\n  Socket errors: connect 0, read 3\n"} {
		if _, _, err := parseWrk(bad); err == nil {
			t.Errorf("no error for %q", bad)
		}
	}
}

func TestTurningPoint(t *testing.T) {
	start := time.Unix(0, 0)
	var sent []time.Time
	for i := range 6 {
		sent = append(sent, start.Add(time.Duration(i)*time.Millisecond))
	}
	for _, test := range []struct {
		name    string
		arrived []uint32
		turn    func([]time.Time, map[uint32]bool) (time.Time, bool)
		want    int
		ok      bool
	}{
		{"authorised", []uint32{3, 4, 5}, firstThrough, 3, true},
		{"authorised with one lost", []uint32{2, 4, 5}, firstThrough, 2, true},
		{"never authorised", nil, firstThrough, 0, false},
		{"revoked", []uint32{0, 1, 2}, lastThrough, 2, true},
		{"never revoked", []uint32{0, 1, 2, 3, 4, 5}, lastThrough, 5, false},
	} {
		arrived := map[uint32]bool{}
		for _, n := range test.arrived {
			arrived[n] = true
		}
		at, ok := test.turn(sent, arrived)
		if ok != test.ok || ok && at != sent[test.want] {
			t.Errorf("%s: %v %v", test.name, at, ok)
		}
	}
}

func TestChoose(t *testing.T) {
	got, err := choose([]string{"eni", "packets"})
	if err != nil || len(got) != 2 || got[0].name != "eni" {
		t.Errorf("%v %v", got, err)
	}
	if _, err := choose([]string{"nothing"}); err == nil {
		t.Error("a benchmark that does not exist was chosen")
	}
	for _, b := range suite() {
		if (b.inside == nil) == (b.onDaemon == nil) {
			t.Errorf("%s must run in exactly one place", b.name)
		}
	}
}
