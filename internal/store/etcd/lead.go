package etcd

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/neargate/neargate/internal/store"
)

const (
	leaseSeconds  = 10 // how long a dead leader is still believed to lead
	resignTimeout = 2 * time.Second
	campaignPause = time.Second
)

// Lead runs fn while this process leads under that name.
//
// Nobody else writes to an embedded etcd, so there the first caller leads for as long as it likes, and a daemon that
// was killed need not wait for its predecessor's lease to run out.
func (b *Backend) Lead(ctx context.Context, name string, fn func(ctx context.Context)) error {
	if !b.shared {
		return b.sit(ctx, name, fn)
	}
	for {
		led, err := b.campaign(ctx, name, fn)
		if ctx.Err() != nil || led {
			return ctx.Err()
		}
		b.log.Warn("election", "name", name, "error", err)
		select {
		case <-time.After(campaignPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (b *Backend) sit(ctx context.Context, name string, fn func(ctx context.Context)) error {
	b.mu.Lock()
	seat, ok := b.seats[name]
	if !ok {
		seat = make(chan struct{}, 1)
		b.seats[name] = seat
	}
	b.mu.Unlock()
	select {
	case seat <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-seat }()
	fn(ctx)
	return ctx.Err()
}

func (b *Backend) campaign(ctx context.Context, name string, fn func(ctx context.Context)) (led bool, err error) {
	session, err := concurrency.NewSession(b.cli, concurrency.WithTTL(leaseSeconds), concurrency.WithContext(ctx))
	if err != nil {
		return false, fmt.Errorf("open session: %w", err)
	}
	defer func() {
		// Revoke the lease although ctx may have ended: the next leader need not wait for it.
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), resignTimeout)
		defer cancel()
		session.Orphan()
		_, _ = b.cli.Revoke(stop, session.Lease())
	}()
	election := concurrency.NewElection(session, leadPrefix+name)
	if err := election.Campaign(ctx, ""); err != nil {
		return false, fmt.Errorf("campaign: %w", err)
	}
	lead, cancel := context.WithCancel(store.WithFence(ctx, store.Fence{Key: election.Key(), Create: election.Rev()}))
	defer cancel()
	go func() {
		select {
		case <-session.Done(): // the lease was lost
			cancel()
		case <-lead.Done():
		}
	}()
	fn(lead)
	return true, nil
}

// Depose ends whoever leads under that name at once, as the loss of its lease would. For operators and tests.
func (b *Backend) Depose(ctx context.Context, name string) error {
	if _, err := b.cli.Delete(ctx, leadPrefix+name+"/", clientv3.WithPrefix()); err != nil {
		return fmt.Errorf("depose %s: %w", name, err)
	}
	return nil
}
