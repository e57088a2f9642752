package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/neargate/neargate/internal/fault"
)

// maxAttempts bounds the reruns of one Update. Each rerun means that somebody else has made progress meanwhile.
const maxAttempts = 200

// errRerun is the outcome of a transaction whose reads were overtaken.
var errRerun = fault.New(fault.Conflict, "transaction", "", "the records were changed by somebody else at the same time")

// pending is a transaction that has ended and waits to become durable.
type pending struct {
	tx    *Txn
	fence *Fence
	needs needs
	after []*tableState // all tables after it; under DB.mu
	once  sync.Once
	done  chan struct{}
	err   error // valid when done is closed
}

func (p *pending) settle(err error) {
	p.once.Do(func() {
		p.err = err
		close(p.done)
	})
}

// Update runs fn as a transaction and returns when it is durable, or fn's error. fn may run several times.
//
// If ctx ends while the change is already on its way to the disk, Update still waits for the outcome, so a nil error
// always means done, and ctx's error always means not done. Only an Internal fault leaves it open.
func (db *DB) Update(ctx context.Context, fn func(tx *Txn) error) error {
	for attempt := range maxAttempts {
		if err := ctx.Err(); err != nil {
			return err
		}
		if attempt > 2 {
			limit := min(time.Duration(attempt)*200*time.Microsecond, 10*time.Millisecond)
			select {
			case <-time.After(rand.N(limit)):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		switch err := db.try(ctx, fn); err {
		case errRerun:
		default:
			return err
		}
	}
	return fmt.Errorf("transaction overtaken %d times: %w", maxAttempts, errRerun)
}

func (db *DB) try(ctx context.Context, fn func(tx *Txn) error) error {
	tx, barrier := db.begin()
	err := runTxn(tx, fn)
	if err == nil {
		err = tx.err
	}
	if err != nil || len(tx.writes) == 0 {
		// What fn saw is perhaps not durable yet; its verdict counts only when that is.
		if barrier != nil {
			select {
			case <-barrier.done:
			case <-ctx.Done():
				return ctx.Err()
			}
			if barrier.err != nil || !db.stood(tx, barrier) {
				return errRerun
			}
		}
		return err
	}
	p, err := db.enqueue(tx, fenceOf(ctx))
	if err != nil {
		return err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		if db.withdraw(p) {
			return ctx.Err()
		}
		<-p.done
	}
	return p.err
}

func runTxn(tx *Txn, fn func(tx *Txn) error) error {
	defer func() { tx.ended = true }()
	return fn(tx)
}

// begin returns a transaction on the head, and the last pending transaction that the head includes.
func (db *DB) begin() (*Txn, *pending) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.head == nil {
		panic("store: Update before Start")
	}
	var last *pending
	if n := len(db.queue); n > 0 {
		last = db.queue[n-1]
	} else if n := len(db.inflight); n > 0 {
		last = db.inflight[n-1]
	}
	return &Txn{db: db, base: db.head, tabs: db.head.tabs}, last
}

// enqueue checks the transaction against the head as it is now and puts it behind it.
func (db *DB) enqueue(tx *Txn, fence *Fence) (*pending, error) {
	p := &pending{tx: tx, fence: fence, needs: tx.needs(), done: make(chan struct{})}
	limits := db.backend.Limits()
	if ops, bytes := p.cost(); ops > limits.Ops || bytes > limits.Bytes {
		return nil, fault.New(fault.Limit, "transaction", "", "a change of %d records (%d bytes) is larger than the store takes at once (%d, %d bytes)",
			len(tx.writes), bytes, limits.Ops, limits.Bytes)
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return nil, errClosed()
	}
	switch {
	case db.head == tx.base:
		p.after = tx.tabs
	case tx.holds(db.head.tabs):
		p.after = apply(db.head.tabs, tx.writes)
	default:
		return nil, errRerun
	}
	db.head = &state{rev: db.head.rev, tabs: p.after}
	db.queue = append(db.queue, p)
	db.kick()
	return p, nil
}

// withdraw takes a transaction back that has not been sent, and reports whether it could.
func (db *DB) withdraw(p *pending) bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	for i, q := range db.queue {
		if q == p {
			db.queue = append(db.queue[:i:i], db.queue[i+1:]...)
			p.settle(errRerun) // for those whose verdict rests on it
			db.rebase()
			return true
		}
	}
	return false
}

// rebase computes the head anew after the durable state or the queue has changed: transactions whose reads no longer
// hold are sent back to run again. db.mu is held.
func (db *DB) rebase() {
	durable := db.durable.Load()
	tabs := durable.tabs
	for _, p := range db.inflight { // their fate is the back end's to decide
		tabs = apply(tabs, p.tx.writes)
		p.after = tabs
	}
	rest := make([]*pending, 0, len(db.queue))
	for _, p := range db.queue {
		if !p.tx.holds(tabs) {
			p.settle(errRerun)
			continue
		}
		tabs = apply(tabs, p.tx.writes)
		p.after = tabs
		rest = append(rest, p)
	}
	db.queue = rest
	db.head = &state{rev: durable.rev, tabs: tabs}
}

func (tx *Txn) holds(tabs []*tableState) bool {
	for i := range tx.deps {
		if !tx.deps[i].holds(tabs) {
			return false
		}
	}
	return true
}

// stood reports whether all that a transaction saw has become durable with its barrier.
func (db *DB) stood(tx *Txn, barrier *pending) bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	return tx.holds(barrier.after)
}

func (db *DB) kick() {
	select {
	case db.wake <- struct{}{}:
	default:
	}
}
