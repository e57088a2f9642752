package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

// Loop runs one reconciler. Run it once.
type Loop[K comparable] struct {
	rec     Reconciler[K]
	opts    Options[K]
	sources []Source[K]
	log     *slog.Logger
	q       *queue[K]
	sweeps  chan struct{}

	mu        sync.Mutex
	unlisted  int // sources that have not delivered their list
	ready     bool
	swept     time.Time
	sweepErr  error
	startedAt time.Time
}

// New returns a loop over the keys of the sources.
func New[K comparable](rec Reconciler[K], opts Options[K], sources ...Source[K]) *Loop[K] {
	opts = opts.withDefaults()
	l := &Loop[K]{
		rec:      rec,
		opts:     opts,
		sources:  sources,
		log:      opts.Log.With("reconciler", rec.Name()),
		q:        newQueue[K](opts.MinBackoff, opts.MaxBackoff),
		sweeps:   make(chan struct{}, 1),
		unlisted: len(sources),
	}
	l.q.onFirst = func() { go l.checkReady() } // it takes both locks
	return l
}

// Add makes keys due now, as if a source had delivered them. It may be called before Run.
func (l *Loop[K]) Add(keys ...K) { l.q.add(false, keys...) }

// Run works until ctx ends, then waits for what is running (whose context has ended too) and returns nil. It returns
// an error if a source ends by itself.
func (l *Loop[K]) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l.mu.Lock()
	l.startedAt = time.Now()
	l.mu.Unlock()
	l.checkReady() // there may be no sources

	var wg sync.WaitGroup
	for _, src := range l.sources {
		wg.Go(func() {
			if err := l.drain(ctx, src); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("reconcile %s: source: %w", l.rec.Name(), err))
			}
		})
	}
	for range l.opts.Workers {
		wg.Go(func() { l.work(ctx) })
	}
	wg.Go(func() { l.sweepLoop(ctx) })
	if l.opts.Resync > 0 && l.opts.List != nil {
		wg.Go(func() { l.resync(ctx) })
	}
	<-ctx.Done()
	l.q.close()
	wg.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, ctx.Err()) {
		return cause
	}
	return nil
}

func (l *Loop[K]) drain(ctx context.Context, src Source[K]) error {
	listed := false
	for {
		keys, full, err := src.Next(ctx)
		if err != nil {
			return err
		}
		first := full && !listed
		l.q.add(first || !listed, keys...)
		switch {
		case first:
			listed = true
			l.mu.Lock()
			l.unlisted--
			l.mu.Unlock()
			l.checkReady()
		case full:
			l.requestSweep()
		}
	}
}

// checkReady starts sweeping once every list is complete and each of its keys was tried.
func (l *Loop[K]) checkReady() {
	l.q.mu.Lock()
	initial := l.q.initial
	l.q.mu.Unlock()
	l.mu.Lock()
	first := !l.ready && l.unlisted == 0 && initial == 0 && !l.startedAt.IsZero()
	l.ready = l.ready || first
	l.mu.Unlock()
	if first {
		l.requestSweep()
	}
}

func (l *Loop[K]) requestSweep() {
	select {
	case l.sweeps <- struct{}{}:
	default:
	}
}

func (l *Loop[K]) work(ctx context.Context) {
	for {
		it := l.q.take()
		if it == nil {
			return
		}
		res, err := l.reconcile(ctx, it.key)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			l.log.Warn("reconcile", "key", it.key, "error", err, "tries", it.tries+1)
		}
		l.q.settle(it, res, err)
	}
}

func (l *Loop[K]) reconcile(ctx context.Context, key K) (res Result, err error) {
	defer l.contain("reconcile", &err)
	return l.rec.Reconcile(ctx, key)
}

func (l *Loop[K]) contain(what string, err *error) {
	if r := recover(); r != nil {
		l.log.Error("panic", "in", what, "panic", r, "stack", string(debug.Stack()))
		*err = fmt.Errorf("%s %s: panic: %v", what, l.rec.Name(), r)
	}
}

func (l *Loop[K]) sweepLoop(ctx context.Context) {
	tries := 0
	var due <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.sweeps:
		case <-due:
		}
		l.mu.Lock()
		ready := l.ready
		l.mu.Unlock()
		if !ready {
			continue // the first sweep is still to come
		}
		err := l.sweep(ctx)
		if ctx.Err() != nil {
			return
		}
		l.mu.Lock()
		l.sweepErr = err
		if err == nil {
			l.swept = time.Now()
		}
		l.mu.Unlock()
		due = nil
		switch {
		case err != nil:
			tries++
			l.log.Warn("sweep", "error", err, "tries", tries)
			due = time.After(l.q.backoff(tries))
		case l.opts.SweepEvery > 0:
			tries = 0
			due = time.After(l.opts.SweepEvery)
		default:
			tries = 0
		}
	}
}

func (l *Loop[K]) sweep(ctx context.Context) (err error) {
	defer l.q.release()
	if !l.q.hold() {
		return ctx.Err()
	}
	defer l.contain("sweep", &err)
	return l.rec.Sweep(ctx)
}

func (l *Loop[K]) resync(ctx context.Context) {
	tick := time.NewTicker(l.opts.Resync)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			for key := range l.opts.List {
				l.q.add(false, key)
			}
		}
	}
}
