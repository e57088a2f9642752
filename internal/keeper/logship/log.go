package logship

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"regexp"
	"sync"
	"time"

	"github.com/neargate/neargate/internal/dns"
)

const (
	readSize      = maxBatchBytes + MaxEventBytes // of one batch: its events, and the line that does not fit
	retryFirst    = 200 * time.Millisecond
	retryMost     = 30 * time.Second
	retryDraining = time.Second // somebody waits, and not for long
	// permanentTries is how often a batch is offered that CloudWatch Logs calls invalid, before it is dropped.
	permanentTries = 3
)

// Log ships one container's output. One goroutine does so; between writes it sleeps.
type Log struct {
	shipper *Shipper
	dial    dns.DialFunc
	state   string // path
	log     *slog.Logger
	ctx     context.Context
	cancel  context.CancelFunc
	wake    chan struct{}
	done    chan struct{}

	mu       sync.Mutex
	cfg      Config
	client   *Client
	begins   *regexp.Regexp
	spool    *spool // its position is written by the worker with mu held
	marks    marks
	draining int
	moved    chan struct{} // closed when the offset moves or the worker ends
	failures int64
	lastErr  string
	fresh    bool // the configuration changed: try again at once

	// Of the worker: the spool's size when what was left of it was only the beginning of a line or event.
	held      int64
	heldSince time.Time
	proven    bool // the last batch arrived
}

// Set changes the configuration, for instance to newer credentials. Spool and container stay the same.
func (l *Log) Set(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	begins, err := cfg.startPattern()
	if err != nil {
		return err
	}
	client, err := newClient(cfg, l.dial, l.shipper.pool)
	if err != nil {
		return err
	}
	l.mu.Lock()
	if cfg.Spool != l.cfg.Spool && l.cfg.Spool != "" {
		l.mu.Unlock()
		return errors.New("the spool of a log cannot change")
	}
	old := l.client
	l.cfg, l.client, l.begins, l.fresh = cfg, client, begins, true
	l.mu.Unlock()
	if old != nil {
		old.Close()
	}
	l.poke()
	return nil
}

// poke wakes the worker.
func (l *Log) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// touch notes that the spool may have grown; the watcher calls it.
func (l *Log) touch() {
	size, err := l.spool.size()
	if err != nil {
		return
	}
	l.mu.Lock()
	changed := size != l.spool.pos.Offset
	if size > l.spool.pos.Offset {
		l.marks.add(size, time.Now())
	}
	l.mu.Unlock()
	if changed {
		l.poke()
	}
}

// Drain waits until everything written so far is sent (or dropped), or ctx ends; it returns how many bytes are left. Unfinished
// lines are sent as they are, so call it when the writer has ended.
func (l *Log) Drain(ctx context.Context) (left int64) {
	l.mu.Lock()
	l.draining++
	l.fresh = true
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.draining--
		l.mu.Unlock()
	}()
	for {
		l.touch()
		l.poke()
		l.mu.Lock()
		moved, offset := l.moved, l.spool.pos.Offset
		l.mu.Unlock()
		size, err := l.spool.size()
		if err != nil || size <= offset {
			return 0
		}
		select {
		case <-moved:
		case <-l.done:
			return size - offset
		case <-ctx.Done():
			return size - offset
		}
	}
}

// Counters returns how far the log has got.
func (l *Log) Counters() Counters {
	size, _ := l.spool.size()
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.spool.pos
	return Counters{
		Container: l.cfg.Container, Written: max(size, p.Offset), Shipped: p.Offset, Dropped: p.Dropped, Events: p.Events,
		Failures: l.failures, LastError: l.lastErr,
	}
}

// Close stops shipping; another Open goes on where it stopped.
func (l *Log) Close() {
	l.shipper.unwatch(l)
	l.cancel()
	<-l.done
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spool.close()
	l.client.Close()
}

// Remove stops shipping for good.
func (l *Log) Remove() {
	l.Close()
	removeState(l.state)
}

// run is the worker.
func (l *Log) run() {
	defer close(l.done)
	l.touch()
	pause, permanent := time.Duration(0), 0
	for {
		settled, ok := l.waitForData(pause)
		if !ok {
			return
		}
		err := l.shipBatch(settled)
		switch {
		case l.ctx.Err() != nil:
			return
		case err == nil:
			pause, permanent = 0, 0
		case hasCode(err, "InvalidParameterException"):
			if permanent++; permanent >= permanentTries {
				l.dropSending(err)
				permanent = 0
			}
			fallthrough
		default:
			if pause == 0 {
				l.log.Warn("ship log, will try again", "container", l.config().Container, "error", err)
			}
			pause = min(max(2*pause, retryFirst), retryMost)
			if l.isDraining() {
				pause = min(pause, retryDraining)
			}
			// Many logs that fail alike must not all come back at once.
			pause += time.Duration(rand.Int64N(int64(pause) / 4))
		}
	}
}

func (l *Log) isDraining() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.draining > 0
}

func (l *Log) config() Config {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cfg
}

// waitForData waits until there is something to send and it is time to; after a failure, until the pause is over or
// something changed. Settled says that the beginning of an event that is held has waited long enough for its rest. It
// reports false when the log is closed.
func (l *Log) waitForData(pause time.Duration) (settled, ok bool) {
	var due time.Time // zero: not yet known
	if pause > 0 {
		due = time.Now().Add(pause)
	}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		size, err := l.spool.size()
		l.mu.Lock()
		pending := size - l.spool.pos.Offset
		urgent := l.draining > 0 || l.spool.pos.Sending > 0 || pending >= maxBatchBytes/2
		fresh, held, multiline := l.fresh, l.held == size, l.begins != nil
		l.fresh = false
		l.mu.Unlock()
		var until time.Time // zero: until woken
		settled = false
		switch {
		case l.ctx.Err() != nil:
			return false, false
		case err != nil, pending == 0:
		case pending < 0, pause > 0 && fresh, pause == 0 && urgent:
			return false, true
		case pause > 0:
			until = due
		case held && multiline:
			until, settled = l.heldSince.Add(l.shipper.o.Settle), true
		case held:
		default:
			if due.IsZero() {
				due = time.Now().Add(l.shipper.o.Linger)
			}
			until = due
		}
		timer.Stop()
		if !until.IsZero() {
			wait := time.Until(until)
			if wait <= 0 {
				return settled, true
			}
			timer.Reset(wait)
		}
		select {
		case <-l.ctx.Done():
			return false, false
		case <-l.wake:
		case <-timer.C:
			return settled, true
		}
	}
}

// shipBatch sends one batch, if there is a complete event.
func (l *Log) shipBatch(settled bool) error {
	slots := l.shipper.slots(l.proven)
	if !slots.acquire(l.ctx) {
		return l.ctx.Err()
	}
	defer slots.release()
	l.mu.Lock()
	cfg, client, begins, final := l.cfg, l.client, l.begins, l.draining > 0
	l.mu.Unlock()
	if err := l.makeRoom(cfg); err != nil {
		return err
	}
	size, err := l.spool.size()
	if err != nil {
		return err
	}
	if size < max(l.spool.pos.Offset, l.spool.pos.Sending) {
		return l.beginAnew()
	}
	end := size
	if sending := l.spool.pos.Sending; sending > 0 {
		end, final = sending, true // what may have arrived must be the same again
	}
	b := l.shipper.buffer(int(min(end-l.spool.pos.Offset, readSize)))
	defer l.shipper.recycle(b)
	data, err := l.spool.read(b.data, end)
	if err != nil {
		return err
	}
	events, consumed := cutter{begins: begins, final: final && int64(len(data)) == end-l.spool.pos.Offset, settled: settled}.cut(data)
	events, consumed = l.stamp(events, consumed)
	if consumed == 0 {
		l.held, l.heldSince = size, time.Now()
		return nil
	}
	start := l.spool.pos.Offset
	if len(events) > 0 {
		l.mu.Lock()
		l.spool.pos.Sending = start + int64(consumed)
		err := l.spool.save()
		l.mu.Unlock()
		if err != nil {
			return err
		}
		token := Token{Spool: l.spool.pos.Spool, Start: start, End: start + int64(consumed)}
		b.body = encodePut(b.body[:0], cfg.Group, cfg.Stream, token.String(), events)
		if err := putEvents(l.ctx, client, b.body); err != nil {
			if at, ok := storedUpTo(err, token); ok {
				return l.sent(at, 0)
			}
			l.proven = false
			l.failed(err)
			return err
		}
	}
	l.proven = true
	return l.sent(start+int64(consumed), int64(len(events)))
}

// putEvents sends the batch, and makes the stream if it is missing.
func putEvents(ctx context.Context, client *Client, body []byte) error {
	_, err := client.call(ctx, "PutLogEvents", body)
	if hasCode(err, "ResourceNotFoundException") {
		if err := client.CreateLogStream(ctx); err != nil {
			return err
		}
		_, err = client.call(ctx, "PutLogEvents", body)
	}
	if hasCode(err, "DataAlreadyAcceptedException") {
		return nil
	}
	return err
}

// storedUpTo reads where the server's copy of the spool ends, from its refusal of a batch of which it has a part. That
// happens when a batch was cut otherwise the second time, because the configuration had changed meanwhile.
func storedUpTo(err error, sent Token) (int64, bool) {
	var api *APIError
	if !errors.As(err, &api) || api.Code != "InvalidSequenceTokenException" {
		return 0, false
	}
	t, ok := ParseToken(api.Expected)
	return t.End, ok && t.Spool == sent.Spool && t.End > sent.Start && t.End < sent.End
}

// stamp sets the events' times, and cuts the batch where it would span more than a day.
func (l *Log) stamp(events []event, consumed int) ([]event, int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for i := range events {
		events[i].millis = l.marks.at(l.spool.pos.Offset+int64(events[i].start), now)
		if events[i].millis-events[0].millis >= maxBatchSpan {
			return events[:i], events[i].start
		}
	}
	return events, consumed
}

// makeRoom drops the oldest output of a log in non-blocking mode that waits beyond its buffer.
func (l *Log) makeRoom(cfg Config) error {
	limit := cfg.MaxBuffer
	if limit == 0 {
		limit = DefaultMaxBuffer
	}
	size, err := l.spool.size()
	if err != nil || cfg.Blocking || size-l.spool.pos.Offset <= limit {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	dropped, err := l.spool.dropTo(size-limit, size)
	if err != nil {
		return err
	}
	l.log.Warn("dropped log output beyond max-buffer-size", "container", cfg.Container, "bytes", dropped)
	l.advanced()
	return nil
}

// dropSending gives up the batch that CloudWatch Logs will never take.
func (l *Log) dropSending(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := &l.spool.pos
	if p.Sending == 0 {
		return
	}
	n := p.Sending - p.Offset
	p.Dropped += n
	l.log.Error("dropped a batch that is never accepted", "container", l.cfg.Container, "bytes", n, "error", cause)
	if err := l.spool.advance(p.Sending); err != nil {
		l.log.Error("advance spool", "container", l.cfg.Container, "error", err)
	}
	l.advanced()
}

func (l *Log) sent(to, events int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spool.pos.Events += events
	l.lastErr = ""
	err := l.spool.advance(to)
	l.advanced()
	return err
}

// advanced wakes those who wait for the offset; l.mu is held.
func (l *Log) advanced() {
	l.marks.forget(l.spool.pos.Offset)
	close(l.moved)
	l.moved = make(chan struct{})
}

func (l *Log) failed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() == nil {
		l.failures++
		l.lastErr = err.Error()
	}
}

// beginAnew goes to the beginning of a spool that was cut short: it is another one.
func (l *Log) beginAnew() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.spool.check()
	l.marks = marks{}
	l.advanced()
	return err
}
