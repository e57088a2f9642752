package keeper

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/neargate/neargate/internal/keeper/health"
)

// board is where the daemon reads what happened: the present state of every target and object, each with the sequence
// number of its last change. Nothing is queued: a reader that was away for long sees the latest state of each.
type board struct {
	epoch string

	mu      sync.Mutex
	seq     uint64
	changed chan struct{} // closed at the next change
	targets map[targetID]posted[health.Health]
	faults  map[faultID]posted[string]
	cleared map[faultID]uint64 // faults that are over
}

type targetID struct{ loadBalancer, group, target string }

// maxCleared is how many faults that are over are remembered for readers that are behind.
const maxCleared = 1024

type faultID struct {
	kind Kind
	id   string
}

type posted[T any] struct {
	value T
	seq   uint64
}

func newBoard(epoch string) *board {
	return &board{
		epoch: epoch, changed: make(chan struct{}), targets: map[targetID]posted[health.Health]{},
		faults: map[faultID]posted[string]{}, cleared: map[faultID]uint64{},
	}
}

// next returns the number of a change and wakes those who wait; b.mu is held.
func (b *board) next() uint64 {
	b.seq++
	close(b.changed)
	b.changed = make(chan struct{})
	return b.seq
}

func (b *board) setHealth(loadBalancer string, key health.Key, h health.Health) {
	b.mu.Lock()
	defer b.mu.Unlock()
	id := targetID{loadBalancer, key.Group, key.Target}
	if b.targets[id].value == h {
		return
	}
	b.targets[id] = posted[health.Health]{h, b.next()}
}

// keepTargets forgets the load balancer's targets that are not listed. That is no news: whoever listed the targets knows.
func (b *board) keepTargets(loadBalancer string, cfg health.Config) {
	keep := map[targetID]bool{}
	for _, g := range cfg.Groups {
		for _, t := range g.Targets {
			keep[targetID{loadBalancer, g.ID, t.ID}] = true
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for id := range b.targets {
		if id.loadBalancer == loadBalancer && !keep[id] {
			delete(b.targets, id)
		}
	}
}

// setFault says why an object is not as it should be; nil: it is.
func (b *board) setFault(kind Kind, id string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := faultID{kind, id}
	old, was := b.faults[key]
	if err == nil {
		if was {
			delete(b.faults, key)
			b.cleared[key] = b.next()
		}
		return
	}
	if text := err.Error(); !was || old.value != text {
		b.faults[key] = posted[string]{text, b.next()}
	}
	delete(b.cleared, key)
}

// faulty returns the objects of a kind that have a fault.
func (b *board) faulty(kind Kind) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ids []string
	for key := range b.faults {
		if key.kind == kind {
			ids = append(ids, key.id)
		}
	}
	slices.Sort(ids)
	return ids
}

// currentEpoch returns what sequence numbers belong to now.
func (b *board) currentEpoch() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.epoch
}

// wait returns what changed after since, waiting for a change if there is none; ctx's end ends the waiting, not the
// answer. Another epoch than the board's, or an old number, gets everything.
func (b *board) wait(ctx context.Context, epoch string, since uint64) Status {
	for {
		b.mu.Lock()
		if epoch != b.epoch || since != b.seq || ctx.Err() != nil {
			break
		}
		changed := b.changed
		b.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	defer b.mu.Unlock()
	full := epoch != b.epoch || since > b.seq
	if full {
		since = 0
	}
	st := Status{Epoch: b.epoch, Seq: b.seq, Full: full}
	for id, p := range b.targets {
		if p.seq > since {
			st.Targets = append(st.Targets, TargetStatus{LoadBalancer: id.loadBalancer, Group: id.group, Target: id.target, Health: p.value})
		}
	}
	for id, p := range b.faults {
		if p.seq > since {
			st.Faults = append(st.Faults, ObjectFault{Kind: id.kind, ID: id.id, Error: p.value})
		}
	}
	for id, seq := range b.cleared {
		if !full && seq > since {
			st.Faults = append(st.Faults, ObjectFault{Kind: id.kind, ID: id.id})
		}
	}
	if len(b.cleared) > maxCleared {
		clear(b.cleared)
		b.epoch += "+" // whoever is that far behind is told everything
	}
	slices.SortFunc(st.Targets, func(x, y TargetStatus) int {
		return strings.Compare(x.LoadBalancer+"\x00"+x.Group+"\x00"+x.Target, y.LoadBalancer+"\x00"+y.Group+"\x00"+y.Target)
	})
	slices.SortFunc(st.Faults, func(x, y ObjectFault) int {
		return strings.Compare(string(x.Kind)+"\x00"+x.ID, string(y.Kind)+"\x00"+y.ID)
	})
	return st
}
