package reconcile

import (
	"math/rand/v2"
	"sync"
	"time"
)

// item is a key that is queued, running, or waiting for its time. A key that is content has no item.
//
//	add --> queued --> running --> gone                       success
//	          ^           |------> waiting --(time)--> queued error, or Result.After
//	          |-----------|                                   added while it ran
//	waiting --(add)--> queued                                 at once, or after MinBackoff if it had failed
type item[K comparable] struct {
	key     K
	queued  bool
	running bool
	again   bool // added while running
	initial bool // belongs to a first list: the first sweep waits for it
	timer   *time.Timer
	next    time.Time
	ended   time.Time
	started time.Time
	since   time.Time // when it was first found not content
	tries   int       // failures in a row
	err     error
	reason  string
}

type queue[K comparable] struct {
	min, max time.Duration

	mu      sync.Mutex
	wake    sync.Cond // there is a key to take, or no more hold
	idle    sync.Cond // nothing runs
	items   map[K]*item[K]
	ready   []*item[K]
	initial int // items that the first sweep waits for
	running int
	held    bool
	closed  bool
	done    uint64
	failed  uint64
	onFirst func() // called when initial falls to zero, with mu held
}

func newQueue[K comparable](minimum, maximum time.Duration) *queue[K] {
	q := &queue[K]{min: minimum, max: maximum, items: map[K]*item[K]{}, onFirst: func() {}}
	q.wake.L, q.idle.L = &q.mu, &q.mu
	return q
}

// add makes keys due now.
func (q *queue[K]) add(initial bool, keys ...K) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, key := range keys {
		it := q.items[key]
		if it == nil {
			it = &item[K]{key: key, since: time.Now()}
			q.items[key] = it
		}
		if initial && !it.initial {
			it.initial = true
			q.initial++
		}
		switch {
		case it.running:
			it.again = true
		case it.queued:
		case it.err != nil:
			// Its own report of the failure may be what brought it back: never spin on that.
			q.wait(it, min(time.Until(it.next), max(0, time.Until(it.ended.Add(q.min)))))
		default:
			q.enqueue(it)
		}
	}
}

func (q *queue[K]) enqueue(it *item[K]) {
	if it.timer != nil {
		it.timer.Stop()
		it.timer = nil
	}
	if q.closed || it.queued || it.running {
		return
	}
	it.queued = true
	q.ready = append(q.ready, it)
	q.wake.Signal()
}

func (q *queue[K]) wait(it *item[K], d time.Duration) {
	if it.timer != nil {
		it.timer.Stop()
	}
	it.next = time.Now().Add(d)
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if it.timer == timer { // not replaced meanwhile
			q.enqueue(it)
		}
	})
	it.timer = timer
}

// take waits for a key that is due; it returns nil when the queue is closed.
func (q *queue[K]) take() *item[K] {
	q.mu.Lock()
	defer q.mu.Unlock()
	for (len(q.ready) == 0 || q.held) && !q.closed {
		q.wake.Wait()
	}
	if q.closed {
		return nil
	}
	it := q.ready[0]
	q.ready[0] = nil
	q.ready = q.ready[1:]
	it.queued, it.running, it.started = false, true, time.Now()
	q.running++
	return it
}

// settle notes the outcome of a run.
func (q *queue[K]) settle(it *item[K], res Result, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running--; q.running == 0 {
		q.idle.Signal()
	}
	it.running, it.ended = false, time.Now()
	it.err, it.reason = err, res.Reason
	if err != nil {
		it.tries++
		q.failed++
	} else {
		it.tries = 0
		q.done++
	}
	if it.initial {
		it.initial = false
		if q.initial--; q.initial == 0 {
			q.onFirst()
		}
	}
	again := it.again
	it.again = false
	switch {
	case q.closed:
	case err != nil && again:
		q.wait(it, q.min)
	case err != nil:
		q.wait(it, q.backoff(it.tries))
	case again:
		q.enqueue(it)
	case res.After > 0:
		q.wait(it, res.After)
	default:
		delete(q.items, it.key)
	}
}

// backoff doubles with each failure up to the maximum; the jitter of a quarter keeps failures from marching in step.
func (q *queue[K]) backoff(tries int) time.Duration {
	d := q.max
	if shift := tries - 1; shift < 20 {
		d = min(q.min<<shift, q.max)
	}
	return d - rand.N(d/4+1)
}

func (q *queue[K]) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, it := range q.items {
		if it.timer != nil {
			it.timer.Stop()
			it.timer = nil
		}
	}
	q.wake.Broadcast()
	q.idle.Signal()
}

// hold stops handing out keys and waits until none is running; release ends that. hold reports false if the queue was
// closed.
func (q *queue[K]) hold() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held = true
	for q.running > 0 && !q.closed {
		q.idle.Wait()
	}
	return !q.closed
}

func (q *queue[K]) release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held = false
	q.wake.Broadcast()
}
