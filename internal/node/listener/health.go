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

// note takes a report and returns what it says.
func (b *healthBook) note(status keeper.Status) []*model.TargetHealth {
	b.mu.Lock()
	defer b.mu.Unlock()
	if status.Full {
		clear(b.last)
	}
	var list []*model.TargetHealth
	for _, t := range status.Targets {
		addr, err := netip.ParseAddrPort(t.Target)
		if err != nil {
			continue
		}
		h := &model.TargetHealth{TargetGroupARN: t.Group, IP: addr.Addr(), Port: int(addr.Port()), State: t.Health.State,
			Reason: t.Health.Reason, Description: t.Health.Description, ChangedAt: t.Health.Since}
		b.last[h.Key()] = h
		list = append(list, h)
	}
	return list
}

// missing returns what is known of targets that have no record: of one that was registered again, whose old record went.
func (b *healthBook) missing(r records) []*model.TargetHealth {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []*model.TargetHealth
	for _, t := range r.targets {
		if h := b.last[t.Key()]; h != nil && r.health[t.Key()] == nil && t.DrainingSince.IsZero() {
			list = append(list, h)
		}
	}
	return list
}

// write puts health into the store, of targets that are registered and where it differs.
func (b *healthBook) write(ctx context.Context, list []*model.TargetHealth) error {
	if len(list) == 0 {
		return nil
	}
	err := b.db.Update(ctx, func(tx *store.Txn) error {
		for _, h := range list {
			old, ok := b.tables.TargetHealth.Get(tx, h.Key())
			if ok && old.State == h.State && old.Reason == h.Reason && old.Description == h.Description {
				continue
			}
			if b.tables.Targets.Has(tx, h.Key()) {
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
