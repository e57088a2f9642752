package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/keeper/health"
	"github.com/neargate/neargate/internal/linux/netns"
)

// thing is an object for tests of the shelf alone.
type thing struct {
	ID, Netns, Value string
	Invalid          bool
}

func (t thing) identity() string { return t.ID }

func (t thing) namespaces() []string { return []string{t.Netns} }

func (t thing) Validate() error {
	if t.Invalid {
		return errors.New("invalid")
	}
	return nil
}

// workshop makes things and writes down what happens to them.
type workshop struct {
	mu    sync.Mutex
	lines []string
	fail  error // of start
	stiff bool  // update fails
}

func (w *workshop) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, fmt.Sprintf(format, args...))
}

func (w *workshop) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.lines
	w.lines = nil
	return out
}

type runningThing struct {
	w  *workshop
	id string
}

func (w *workshop) start(t thing) (running[thing], error) {
	if w.fail != nil {
		return nil, w.fail
	}
	w.note("start %s %s", t.ID, t.Value)
	return &runningThing{w, t.ID}, nil
}

func (r *runningThing) update(t thing) error {
	if r.w.stiff {
		return errors.New("stiff")
	}
	r.w.note("update %s %s", r.id, t.Value)
	return nil
}

func (r *runningThing) pause()  { r.w.note("pause %s", r.id) }
func (r *runningThing) remove() { r.w.note("remove %s", r.id) }

func testShelf(t *testing.T, dir string, w *workshop) (*shelf[thing], *board) {
	t.Helper()
	b := newBoard("e1")
	return newShelf("thing", newDisk(dir), b, slog.New(slog.DiscardHandler), w.start), b
}

// namespace makes a network namespace for the test.
func namespace(t testing.TB) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	name := fmt.Sprintf("ngtest-k%d-%d", os.Getpid(), time.Now().UnixNano())
	ns, err := netns.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	ns.Close()
	t.Cleanup(func() { _ = netns.Delete(name) })
	return name
}

// restore does what the keeper does at its start.
func restore(t *testing.T, s *shelf[thing]) {
	t.Helper()
	objects, _, err := s.disk.open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.disk.close)
	s.restore(objects[s.kind])
}

func TestShelf(t *testing.T) {
	space, dir, w := namespace(t), t.TempDir(), &workshop{}
	s, b := testShelf(t, dir, w)
	expect := func(step string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, w.take()); diff != "" {
			t.Errorf("%s: %s", step, diff)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.put(thing{ID: "a", Netns: space}); !errors.Is(err, errPaused) {
		t.Errorf("before restore: %v", err)
	}
	restore(t, s)
	must(s.put(thing{ID: "a/b c", Netns: space, Value: "1"}))
	expect("new", "start a/b c 1")
	must(s.put(thing{ID: "a/b c", Netns: space, Value: "1"}))
	expect("again")
	must(s.put(thing{ID: "a/b c", Netns: space, Value: "2"}))
	expect("changed", "update a/b c 2")
	w.stiff = true
	must(s.put(thing{ID: "a/b c", Netns: space, Value: "3"}))
	expect("cannot be changed", "pause a/b c", "start a/b c 3")
	w.stiff = false
	if err := s.put(thing{ID: "bad", Netns: space, Invalid: true}); err == nil {
		t.Error("invalid object accepted")
	}

	// The namespace is deleted and made again: what is at work is in the old one, which lives on as with sockets in it.
	old, err := netns.Open(space)
	must(err)
	defer old.Close()
	must(netns.Delete(space))
	keep, err := netns.Create(space)
	must(err)
	keep.Close()
	must(s.put(thing{ID: "a/b c", Netns: space, Value: "3"}))
	expect("new namespace", "pause a/b c", "start a/b c 3")
	s.checkPlaces()
	expect("the same namespace")
	must(netns.Delete(space))
	s.checkPlaces()
	expect("namespace gone", "pause a/b c")
	keep, err = netns.Create(space)
	must(err)
	keep.Close()
	s.retry()
	expect("namespace made again", "start a/b c 3")

	// What fails is remembered, told and tried again.
	w.fail = errors.New("no luck")
	if err := s.put(thing{ID: "f", Netns: space}); err == nil || err.Error() != "no luck" {
		t.Errorf("got %v", err)
	}
	s.retry()
	st := b.wait(context.Background(), "", 0)
	if diff := cmp.Diff([]ObjectFault{{Kind: "thing", ID: "f", Error: "no luck"}}, st.Faults); diff != "" {
		t.Error(diff)
	}
	w.fail = nil
	s.retry()
	expect("retry", "start f ")
	if after := b.wait(context.Background(), st.Epoch, st.Seq); len(after.Faults) != 1 || after.Faults[0].Error != "" {
		t.Errorf("fault that is over: %+v", after)
	}
	s.retry()
	expect("nothing to retry")

	if err := s.put(thing{ID: "g", Netns: space + "-missing"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing namespace: %v", err)
	}
	must(s.delete("g"))
	expect("never was at work")

	// Another process goes on from disk.
	s.pause()
	if got := w.take(); len(got) != 2 {
		t.Errorf("pause: %v", got)
	}
	if err := s.put(thing{ID: "h", Netns: space}); !errors.Is(err, errPaused) {
		t.Errorf("while paused: %v", err)
	}
	s.disk.close()
	journal, err := os.OpenFile(s.disk.path, os.O_WRONLY|os.O_APPEND, 0)
	must(err)
	_, err = journal.WriteString("{\"kind\":\"thing\",\"id\":\"x\",\"object\":7}\n{\"kind\":\"thing\",\"id\":\"half")
	must(err)
	must(journal.Close())
	s2, _ := testShelf(t, dir, w)
	restore(t, s2)
	if diff := cmp.Diff([]string{"a/b c", "f"}, s2.ids()); diff != "" {
		t.Error(diff)
	}
	w.take()
	must(s2.delete("f"))
	must(s2.delete("f"))
	expect("delete", "remove f")
	s3, _ := testShelf(t, dir, w)
	restore(t, s3)
	if diff := cmp.Diff([]string{"a/b c"}, s3.ids()); diff != "" {
		t.Error(diff)
	}
}

func TestShelfUnderConcurrentChanges(t *testing.T) {
	space, w := namespace(t), &workshop{}
	s, _ := testShelf(t, t.TempDir(), w)
	restore(t, s)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				id := fmt.Sprint(j % 5)
				if i%2 == 0 {
					if err := s.put(thing{ID: id, Netns: space, Value: fmt.Sprint(i, j)}); err != nil {
						t.Error(err)
					}
				} else if err := s.delete(id); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	live := map[string]int{}
	for _, line := range w.take() {
		var verb, id string
		_, _ = fmt.Sscan(line, &verb, &id)
		switch verb {
		case "start":
			live[id]++
		case "remove", "pause":
			live[id]--
		}
		if live[id] < 0 || live[id] > 1 {
			t.Fatalf("%s is at work %d times", id, live[id])
		}
	}
	for _, id := range s.ids() {
		if live[id] != 1 {
			t.Errorf("%s is held and at work %d times", id, live[id])
		}
		live[id]--
	}
	for id, n := range live {
		if n != 0 {
			t.Errorf("%s is not held and at work", id)
		}
	}
}

func TestBoard(t *testing.T) {
	b := newBoard("e1")
	ctx := context.Background()
	key := health.Key{Group: "tg", Target: "t1"}
	b.setHealth("lb", key, health.Health{State: health.Initial})
	b.setHealth("lb", health.Key{Group: "tg", Target: "t2"}, health.Health{State: health.Initial})
	full := b.wait(ctx, "", 0)
	if !full.Full || len(full.Targets) != 2 || full.Seq != 2 {
		t.Fatalf("full: %+v", full)
	}
	got := make(chan Status)
	go func() { got <- b.wait(ctx, full.Epoch, full.Seq) }()
	b.setHealth("lb", key, health.Health{State: health.Initial}) // no change
	b.setHealth("lb", key, health.Health{State: health.Healthy})
	if st := <-got; st.Full || len(st.Targets) != 1 || st.Targets[0].Target != "t1" || st.Targets[0].Health.State != health.Healthy {
		t.Errorf("change: %+v", st)
	}
	for _, st := range []Status{b.wait(ctx, "other", 3), b.wait(ctx, "e1", 99)} {
		if !st.Full || len(st.Targets) != 2 {
			t.Errorf("reader of another epoch: %+v", st)
		}
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if st := b.wait(gone, "e1", 3); st.Full || st.Seq != 3 || len(st.Targets) != 0 {
		t.Errorf("no change: %+v", st)
	}
	b.keepTargets("lb", health.Config{Groups: []health.Group{{ID: "tg", Targets: []health.TargetSpec{{ID: "t2"}}}}})
	if st := b.wait(ctx, "", 0); len(st.Targets) != 1 || st.Targets[0].Target != "t2" {
		t.Errorf("after a target went: %+v", st)
	}
}

func TestBoardTellsReadersThatAreFarBehindEverything(t *testing.T) {
	b := newBoard("e1")
	first := b.wait(context.Background(), "", 0)
	for i := range maxCleared + 2 {
		b.setFault(KindTask, fmt.Sprint(i), errors.New("x"))
		b.setFault(KindTask, fmt.Sprint(i), nil)
	}
	b.setFault(KindTask, "last", errors.New("x"))
	st := b.wait(context.Background(), first.Epoch, first.Seq)
	if st = b.wait(context.Background(), st.Epoch, st.Seq); !st.Full || len(st.Faults) != 1 {
		t.Errorf("%+v", st)
	}
}

func TestJournalIsWrittenAnewWhenItIsMostlyOutOfDate(t *testing.T) {
	d := newDisk(t.TempDir())
	if _, _, err := d.open(); err != nil {
		t.Fatal(err)
	}
	defer d.close()
	big := strings.Repeat("x", 10_000)
	for i := range 1000 {
		id := fmt.Sprint(i % 10)
		object, _ := json.Marshal(big + fmt.Sprint(i))
		if err := d.save("thing", id, object); err != nil {
			t.Fatal(err)
		}
		if i%3 == 0 {
			if err := d.remove("thing", id); err != nil {
				t.Fatal(err)
			}
		}
	}
	fi, err := os.Stat(d.path)
	if err != nil || fi.Size() != d.size || fi.Size() > 3*journalSlack {
		t.Errorf("journal of %d bytes, counted %d, %v", fi.Size(), d.size, err)
	}
	want := len(d.objects)
	objects, broken, err := d.open()
	if err != nil || broken != 0 || len(objects["thing"]) != want || d.size != d.live {
		t.Errorf("%d objects of %d, %d broken, %v", len(objects["thing"]), want, broken, err)
	}
}

func FuzzJournal(f *testing.F) {
	f.Add([]byte(`{"kind":"task","id":"t","object":{"id":"t","netns":"n"}}` + "\n" + `{"kind":"task","id":"t"}` + "\n{"))
	f.Add([]byte(`{"kind":"task","id":"t","object":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d := newDisk(t.TempDir())
		if err := os.WriteFile(d.path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		objects, _, err := d.open()
		if err != nil {
			t.Fatal(err)
		}
		d.close()
		for _, o := range objects[KindTask] {
			var task Task
			if json.Unmarshal(o, &task) == nil {
				_ = task.Validate()
			}
		}
		again, broken, err := d.open()
		d.close()
		if err != nil || broken != 0 || len(again) != len(objects) {
			t.Fatalf("%v became %v, %d broken, %v", objects, again, broken, err)
		}
	})
}
