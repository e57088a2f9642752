package logstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func open(t *testing.T, dir string, flushBytes int64) *Store {
	t.Helper()
	s, err := Open(dir, Options{Log: quiet, FlushBytes: flushBytes, FlushEvery: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.WithoutCancel(t.Context())) })
	return s
}

func closeStore(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, s *Store, id string, events ...Input) {
	t.Helper()
	if err := s.Append(t.Context(), id, Batch{Ingested: 1, Events: events}); err != nil {
		t.Fatal(err)
	}
}

func messages(t *testing.T, s *Store, q Query) string {
	t.Helper()
	p, err := s.Read(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range p.Events {
		list = append(list, e.Message)
	}
	return strings.Join(list, " ")
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 0)
	put(t, s, "one1", Input{Time: 10, Message: "a"}, Input{Time: 20, Message: "b"}, Input{Time: 20, Message: "c"})
	put(t, s, "two2", Input{Time: 15, Message: "x"}, Input{Time: 40, Message: "y"})
	put(t, s, "one1", Input{Time: 5, Message: "late"}, Input{Time: 30, Message: "d"})
	check := func(s *Store) {
		t.Helper()
		tests := []struct {
			name string
			q    Query
			want string
		}{
			{name: "in order", q: Query{Streams: []string{"one1"}}, want: "late a b c d"},
			{name: "merged", q: Query{Streams: []string{"one1", "two2"}}, want: "late a x b c d y"},
			{name: "from", q: Query{Streams: []string{"one1"}, From: 20}, want: "b c d"},
			{name: "to is not included", q: Query{Streams: []string{"one1"}, To: 20}, want: "late a"},
			{name: "first", q: Query{Streams: []string{"one1"}, Limit: 2}, want: "late a"},
			{name: "last", q: Query{Streams: []string{"one1", "two2"}, Limit: 3, Backward: true}, want: "c d y"},
			{name: "last before", q: Query{Streams: []string{"one1"}, Limit: 2, Backward: true, To: 30}, want: "b c"},
			{name: "bytes", q: Query{Streams: []string{"one1"}, MaxBytes: 2 * (1 + EventOverhead)}, want: "late"},
			{name: "matching", q: Query{Streams: []string{"one1"}, Match: func(m string) bool { return m == "c" || m == "d" }}, want: "c d"},
			{name: "unknown", q: Query{Streams: []string{"none"}}, want: ""},
		}
		for _, tt := range tests {
			if got := messages(t, s, tt.q); got != tt.want {
				t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
			}
		}
		if diff := cmp.Diff(Stats{First: 5, Last: 30, Ingested: 1, Bytes: 8, Events: 5}, s.Stats("one1")); diff != "" {
			t.Errorf("stats (-want +got):\n%s", diff)
		}
	}
	check(s)
	closeStore(t, s)
	s = open(t, dir, 0) // from the journal, and flushed
	check(s)
	closeStore(t, s)
	s = open(t, dir, 0) // from segments
	check(s)
}

func TestPaging(t *testing.T) {
	s := open(t, t.TempDir(), 512)
	var want []string
	for i := range 100 {
		want = append(want, fmt.Sprint("m", i))
		put(t, s, "one1", Input{Time: int64(i / 3), Message: want[i]})
	}
	for _, backward := range []bool{false, true} {
		var got []string
		q := Query{Streams: []string{"one1"}, Limit: 7, Backward: backward}
		for {
			p, err := s.Read(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			var page []string
			for _, e := range p.Events {
				page = append(page, e.Message)
			}
			if backward {
				got = append(page, got...)
				q.Before = p.Scanned
			} else {
				got = append(got, page...)
				q.After = p.Scanned
			}
			if !p.More {
				break
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("backward %t (-want +got):\n%s", backward, diff)
		}
	}
}

func TestRepeats(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 0)
	batch := func(from, to int64) Batch {
		return Batch{Source: "task/app", From: from, To: to, Events: []Input{{Time: from, Message: fmt.Sprintf("%d-%d", from, to)}}}
	}
	for range 2 {
		for _, b := range []Batch{batch(0, 10), batch(0, 10), batch(10, 20), batch(50, 60), batch(10, 20)} {
			if err := s.Append(t.Context(), "one1", b); err != nil {
				t.Fatal(err)
			}
		}
		if got := messages(t, s, Query{Streams: []string{"one1"}}); got != "0-10 10-20 50-60" {
			t.Errorf("stored %s", got)
		}
		var overlap *OverlapError
		if err := s.Append(t.Context(), "one1", batch(40, 70)); !errors.As(err, &overlap) || overlap.At != 60 {
			t.Errorf("overlapping batch: %v", err)
		}
		closeStore(t, s)
		s = open(t, dir, 0)
	}
	var wg sync.WaitGroup
	for range 8 { // the same batch at once
		wg.Go(func() {
			if err := s.Append(context.WithoutCancel(t.Context()), "one1", batch(60, 70)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := messages(t, s, Query{Streams: []string{"one1"}, From: 60}); got != "60-70" {
		t.Errorf("stored %s", got)
	}
}

// TestCrash looks at what a crash between any two steps of a flush would leave: everything that was acknowledged is there, once, in order; a torn
// record at the end is not.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 2))
	acknowledged := map[string][]string{}
	n, copies := 0, 0
	for round := range 5 {
		s, err := Open(dir, Options{Log: quiet, FlushEvery: time.Hour, step: func() {
			crashed := filepath.Join(t.TempDir(), "copy")
			if err := os.CopyFS(crashed, os.DirFS(dir)); err != nil {
				t.Error(err)
			}
			tear(t, crashed)
			copies++
			checkStored(t, crashed, acknowledged)
		}})
		if err != nil {
			t.Fatal(err)
		}
		<-s.flushing
		for range 30 {
			id := fmt.Sprintf("stream-%d", rng.IntN(3))
			m := fmt.Sprintf("%06d", n)
			n++
			put(t, s, id, Input{Time: int64(100 + n - rng.IntN(20)), Message: m + strings.Repeat("x", rng.IntN(100))})
			acknowledged[id] = append(acknowledged[id], m)
		}
		closeStore(t, s)
		checkStored(t, dir, acknowledged)
		if round > 0 && copies == 0 {
			t.Error("no flush was looked at")
		}
	}
}

// tear puts a record that was not written to its end behind the youngest journal.
func tear(t *testing.T, dir string) {
	t.Helper()
	paths, _, err := journals(dir)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no journal: %v", err)
	}
	f, err := os.OpenFile(paths[len(paths)-1], os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := record{stream: "stream-0", events: []Input{{Time: 1, Message: "never acknowledged"}}}
	b := r.encode(nil)
	if _, err := f.Write(b[:len(b)-2]); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
}

// checkStored opens a copy of a folder and compares what it holds.
func checkStored(t *testing.T, dir string, want map[string][]string) {
	t.Helper()
	again := filepath.Join(t.TempDir(), "again")
	if err := os.CopyFS(again, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	s, err := Open(again, Options{Log: quiet, FlushEvery: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, s)
	for id, list := range want {
		p, err := s.Read(t.Context(), Query{Streams: []string{id}})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range p.Events {
			got = append(got, e.Message[:6])
		}
		if !isSorted(p.Events) {
			t.Errorf("%s is not in order", id)
		}
		if diff := cmp.Diff(list, got, cmpopts.SortSlices(strings.Compare)); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", id, diff)
		}
		if st := s.Stats(id); int(st.Events) != len(list) {
			t.Errorf("%s counts %d events, want %d", id, st.Events, len(list))
		}
	}
}

func TestExpireAndDelete(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 0)
	day := segmentSpan
	put(t, s, "one1", Input{Time: 1, Message: "old"})
	closeStore(t, s)
	s = open(t, dir, 0)
	<-s.flushing
	put(t, s, "one1", Input{Time: 3 * day, Message: "young"})
	closeStore(t, s)
	s = open(t, dir, 0)
	<-s.flushing
	if n, err := s.Expire("one1", 2*day); n != 1 || err != nil {
		t.Errorf("expired %d, %v", n, err)
	}
	if got := messages(t, s, Query{Streams: []string{"one1"}}); got != "young" {
		t.Errorf("left: %s", got)
	}
	if st := s.Stats("one1"); st.Bytes != 5 {
		t.Errorf("bytes: %d", st.Bytes)
	}
	put(t, s, "two2", Input{Time: 1, Message: "x"})
	closeStore(t, s)
	s = open(t, dir, 0)
	<-s.flushing
	if n, err := s.Sweep(func(id string) bool { return id != "one1" }); n != 1 || err != nil {
		t.Errorf("swept %d, %v", n, err)
	}
	if got := messages(t, s, Query{Streams: []string{"one1", "two2"}}); got != "x" {
		t.Errorf("left: %s", got)
	}
	if _, err := os.Stat(s.streamDir("one1")); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
	if err := s.Append(t.Context(), "../x", Batch{Events: []Input{{Time: 1, Message: "x"}}}); !errors.Is(err, ErrStreamID) {
		t.Errorf("a path as an identifier: %v", err)
	}
}

// TestLateEvents has a stream whose clock jumps: segments stay few.
func TestLateEvents(t *testing.T) {
	dir := t.TempDir()
	for i := range 20 {
		s := open(t, dir, 0)
		<-s.flushing
		put(t, s, "one1", Input{Time: int64(1000 - i), Message: fmt.Sprint("m", i)})
		closeStore(t, s)
	}
	s := open(t, dir, 0)
	<-s.flushing
	if n := len(s.streams["one1"].segments); n != 1 {
		t.Errorf("%d segments", n)
	}
	if got := messages(t, s, Query{Streams: []string{"one1"}, Limit: 3}); got != "m19 m18 m17" {
		t.Errorf("first: %s", got)
	}
	files, err := os.ReadDir(s.streamDir("one1"))
	if err != nil || len(files) != 2 {
		t.Errorf("files: %v %v", files, err)
	}
}

func TestDamage(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 0)
	big := strings.Repeat("x", frameTarget)
	put(t, s, "one1", Input{Time: 1, Message: "a" + big}, Input{Time: 2, Message: "b" + big}, Input{Time: 3, Message: "c" + big})
	closeStore(t, s)
	s = open(t, dir, 0)
	<-s.flushing
	path := s.streams["one1"].segmentPath(0)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := s.Read(t.Context(), Query{Streams: []string{"one1"}})
	if err != nil || len(p.Events) != 2 || p.Events[0].Time != 1 || p.Events[1].Time != 3 {
		t.Errorf("a damaged frame hides others: %d events, %v", len(p.Events), err)
	}
}

func FuzzDecodeRecord(f *testing.F) {
	r := record{stream: "one1", source: "s", to: 5, ingested: 6, first: 7, events: []Input{{Time: 1, Message: "a"}, {Time: 2}}}
	f.Add(r.encode(nil)[journalHeader:])
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := decodeRecord(b)
		if err != nil {
			return
		}
		again, err := decodeRecord(got.encode(nil)[journalHeader:])
		if err != nil || cmp.Diff(got, again, cmp.AllowUnexported(record{})) != "" {
			t.Errorf("does not read the same again: %v", err)
		}
	})
}

func FuzzDecodeFrame(f *testing.F) {
	f.Add(encodeFrames(nil, []Event{{Time: 1, Seq: 2, Ingested: 3, Message: "a"}, {Time: 2, Seq: 3, Ingested: 4, Message: ""}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		events, err := decodeFrame(b)
		if err == nil && len(events) > 0 && isSorted(events) && events[0].Time >= 0 {
			if _, err := decodeFrame(encodeFrames(nil, events)); err != nil {
				t.Error(err)
			}
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	s, err := Open(b.TempDir(), Options{Log: quiet})
	if err != nil {
		b.Fatal(err)
	}
	batch := Batch{Ingested: 1}
	for i := range 10 {
		batch.Events = append(batch.Events, Input{Time: int64(i), Message: strings.Repeat("x", 100)})
	}
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		id := fmt.Sprintf("stream-%d", rand.Int())
		for pb.Next() {
			if err := s.Append(context.Background(), id, batch); err != nil {
				b.Error(err)
			}
		}
	})
	b.StopTimer()
	if err := s.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
}
