package listener

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/neargate/neargate/internal/keeper"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// keeperRetry is the pause after the keeper could not be asked.
const keeperRetry = time.Second

// healthBook remembers what the keeper said of each target, and writes it into the store.
type healthBook struct {
	db     *store.DB
	tables *store.Tables

	mu   sync.Mutex
	last map[string]*model.TargetHealth // by key
}

func newHealthBook(db *store.DB, tables *store.Tables) *healthBook {
	return &healthBook{db: db, tables: tables, last: map[string]*model.TargetHealth{}}
}

// watchHealth writes down what the keeper reports, until ctx ends. After any gap the keeper tells everything again.
func (l *Listeners) watchHealth(ctx context.Context) {
	var last keeper.Status
	for ctx.Err() == nil {
		status, err := l.cfg.Keeper.Watch(ctx, last)
		if err == nil {
			err = l.health.write(ctx, l.health.note(status))
		}
		if err != nil {
			if ctx.Err() == nil {
				l.log.Warn("read target health", "error", err)
			}
			last = keeper.Status{}
			select {
			case <-ctx.Done():
			case <-time.After(keeperRetry):
			}
			continue
		}
		last = status
	}
}

// note takes a report and returns the keys of the targets that it tells of.
func (b *healthBook) note(status keeper.Status) (keys []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if status.Full {
		clear(b.last)
	}
	for _, t := range status.Targets {
		addr, err := netip.ParseAddrPort(t.Target)
		if err != nil {
			continue
		}
		h := &model.TargetHealth{TargetGroupARN: t.Group, IP: addr.Addr(), Port: int(addr.Port()), State: t.Health.State,
			Reason: t.Health.Reason, Description: t.Health.Description, ChangedAt: t.Health.Since}
		b.last[h.Key()] = h
		keys = append(keys, h.Key())
	}
	return keys
}

func (b *healthBook) get(key string) *model.TargetHealth {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last[key]
}

// missing returns the keys of targets that have no record: of one that was registered again, whose old record went.
func (b *healthBook) missing(r records) (keys []string) {
	for _, t := range r.targets {
		if r.health[t.Key()] == nil && t.DrainingSince.IsZero() {
			keys = append(keys, t.Key())
		}
	}
	return keys
}

// write puts what is known of targets into the store, if they are registered and it differs. What is known is looked up
// inside the transaction, which two writers may run at once: whoever commits last has seen the latest.
func (b *healthBook) write(ctx context.Context, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	err := b.db.Update(ctx, func(tx *store.Txn) error {
		for _, key := range keys {
			old, ok := b.tables.TargetHealth.Get(tx, key)
			h := b.get(key)
			if h == nil || (ok && old.State == h.State && old.Reason == h.Reason && old.Description == h.Description) {
				continue
			}
			if b.tables.Targets.Has(tx, key) {
				rec := *h
				b.tables.TargetHealth.Put(tx, &rec)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write target health: %w", err)
	}
	return nil
}
