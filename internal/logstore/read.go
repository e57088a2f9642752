package logstore

import (
	"container/heap"
	"context"
	"errors"
	"io/fs"
	"math"
	"slices"
)

// Query says which events are wanted.
type Query struct {
	Streams  []string
	From, To int64 // milliseconds: From <= time < To; a To of 0 means no end
	// After and Before are places that were returned earlier: only events behind After, or ahead of Before, are wanted.
	After, Before *Key
	Backward      bool // the last events that fit, instead of the first
	Limit         int  // events; 0 means none but MaxBytes
	MaxBytes      int  // of messages, with 26 for each event as AWS counts; 0 means no bound
	MaxScan       int  // bytes of messages that are looked at for Match; 0 means no bound
	Match         func(message string) bool
}

// Page is what was found.
type Page struct {
	Events []Event // in order, also for Backward
	// Scanned is the last place that was looked at: where to go on. Nil if nothing was.
	Scanned *Key
	// More reports whether the end of what is wanted was not reached.
	More bool
}

// EventOverhead is what an event counts beyond its message, as on AWS.
const EventOverhead = 26

// Read returns events of one or more streams, merged by time.
func (s *Store) Read(ctx context.Context, q Query) (Page, error) {
	m := &merge{ctx: ctx, store: s, backward: q.Backward, low: Key{Time: q.From}, high: Key{Time: math.MaxInt64, Seq: math.MaxUint64}}
	if q.To > 0 {
		m.high = Key{Time: q.To} // Seq 0 is before every event of that millisecond
	}
	if q.After != nil && q.After.Compare(m.low) >= 0 {
		m.low = Key{Time: q.After.Time, Seq: q.After.Seq + 1}
	}
	if q.Before != nil && q.Before.Compare(m.high) < 0 {
		m.high = *q.Before
	}
	defer m.close()
	s.mu.Lock()
	for _, id := range q.Streams {
		if st := s.streams[id]; st != nil {
			m.addStream(st)
		}
	}
	s.mu.Unlock()
	heap.Init(m)
	page, err := m.collect(q)
	if q.Backward {
		slices.Reverse(page.Events)
	}
	return page, err
}

func (m *merge) collect(q Query) (Page, error) {
	var page Page
	bytes, scanned := 0, 0
	for {
		e, err := m.next()
		if err != nil || e == nil {
			return page, err
		}
		size := len(e.Message) + EventOverhead
		matches := q.Match == nil || q.Match(e.Message)
		full := q.Limit > 0 && len(page.Events) >= q.Limit || q.MaxBytes > 0 && bytes+size > q.MaxBytes && len(page.Events) > 0
		if matches && full || q.MaxScan > 0 && scanned > q.MaxScan {
			page.More = true
			return page, nil
		}
		scanned += size
		key := e.Key()
		page.Scanned = &key
		if matches {
			page.Events = append(page.Events, *e)
			bytes += size
		}
	}
}

// merge is a heap of runs: segments and tables, each in order. A segment is opened when the merge reaches its time, so that a read of the last
// hundred events of a stream opens one file.
type merge struct {
	ctx       context.Context
	store     *Store
	backward  bool
	low, high Key // wanted: low <= key < high
	runs      []*run
	count     int
}

// run is one source of events. Until it is opened, key is a bound of what it holds.
type run struct {
	stream string
	key    Key
	path   string // of a segment not opened yet
	size   int64
	seg    *segment
	frames []frame // still to be read
	events []Event // still to be given out
}

func (m *merge) addStream(st *stream) {
	for _, info := range st.segments {
		if info.Last < m.low.Time || info.First > m.high.Time {
			continue
		}
		r := &run{stream: st.id, path: st.segmentPath(info.File), size: info.Size, key: Key{Time: info.First}}
		if m.backward {
			r.key = Key{Time: info.Last, Seq: math.MaxUint64}
		}
		m.runs = append(m.runs, r)
	}
	for _, t := range []*table{st.frozen, st.active} {
		r := &run{stream: st.id, events: m.cut(t.snapshot())}
		if r.settle(m.backward) {
			m.runs = append(m.runs, r)
		}
	}
}

// cut returns the wanted part of sorted events.
func (m *merge) cut(events []Event) []Event {
	at := func(k Key) int {
		i, _ := slices.BinarySearchFunc(events, k, func(e Event, k Key) int { return e.Key().Compare(k) })
		return i
	}
	low, high := at(m.low), at(m.high)
	if low >= high {
		return nil
	}
	return events[low:high]
}

// settle sets the run's key to its next event and reports whether there is one.
func (r *run) settle(backward bool) bool {
	if len(r.events) == 0 {
		return false
	}
	r.key = r.events[0].Key()
	if backward {
		r.key = r.events[len(r.events)-1].Key()
	}
	return true
}

// next returns the next event in the direction of the merge, nil at the end.
func (m *merge) next() (*Event, error) {
	for len(m.runs) > 0 {
		const often = 256
		if m.count++; m.count%often == 0 {
			if err := m.ctx.Err(); err != nil {
				return nil, err
			}
		}
		r := m.runs[0]
		if len(r.events) == 0 { // not opened, or the frame is used up
			if err := m.fill(r); err != nil {
				return nil, err
			}
			if r.settle(m.backward) {
				heap.Fix(m, 0)
			} else {
				m.drop()
			}
			continue
		}
		var e Event
		if m.backward {
			n := len(r.events) - 1
			e, r.events = r.events[n], r.events[:n]
		} else {
			e, r.events = r.events[0], r.events[1:]
		}
		e.Stream = r.stream
		switch {
		case r.settle(m.backward):
			heap.Fix(m, 0)
		case len(r.frames) == 0:
			m.drop()
		default: // bound of the next frame
			r.key = Key{Time: r.frames[0].first}
			if m.backward {
				r.key = Key{Time: r.frames[len(r.frames)-1].last, Seq: math.MaxUint64}
			}
			heap.Fix(m, 0)
		}
		return &e, nil
	}
	return nil, nil
}

// fill reads the run's next frame that holds something wanted.
func (m *merge) fill(r *run) error {
	if r.seg == nil {
		seg, err := openSegment(r.path, r.size)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // expired or deleted since
		} else if errors.Is(err, errBroken) {
			m.store.log.Error("log segment is damaged and left out", "file", r.path, "error", err)
			return nil
		} else if err != nil {
			return err
		}
		r.seg, r.frames = seg, seg.frames
	}
	for len(r.events) == 0 && len(r.frames) > 0 {
		var fr frame
		if m.backward {
			n := len(r.frames) - 1
			fr, r.frames = r.frames[n], r.frames[:n]
		} else {
			fr, r.frames = r.frames[0], r.frames[1:]
		}
		if fr.last < m.low.Time || fr.first > m.high.Time {
			continue
		}
		events, err := r.seg.load(fr)
		if errors.Is(err, errBroken) {
			m.store.log.Error("log frame is damaged and left out", "file", r.path, "offset", fr.offset)
			continue
		} else if err != nil {
			return err
		}
		r.events = m.cut(events)
	}
	return nil
}

func (m *merge) drop() {
	r := heap.Pop(m).(*run)
	if r.seg != nil {
		_ = r.seg.Close() // only read
	}
}

func (m *merge) close() {
	for _, r := range m.runs {
		if r.seg != nil {
			_ = r.seg.Close() // only read
		}
	}
}

// Len, Less, Swap, Push and Pop make the merge a heap.
func (m *merge) Len() int { return len(m.runs) }

// Less orders runs by their next event, or the bound of it.
func (m *merge) Less(i, j int) bool {
	c := m.runs[i].key.Compare(m.runs[j].key)
	if m.backward {
		return c > 0
	}
	return c < 0
}

// Swap exchanges two runs.
func (m *merge) Swap(i, j int) { m.runs[i], m.runs[j] = m.runs[j], m.runs[i] }

// Push adds a run.
func (m *merge) Push(x any) { m.runs = append(m.runs, x.(*run)) }

// Pop removes the last run.
func (m *merge) Pop() any {
	n := len(m.runs) - 1
	r := m.runs[n]
	m.runs = m.runs[:n]
	return r
}
