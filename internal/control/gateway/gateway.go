// Package gateway leads NAT gateways through their states: pending until node has wired one, failed when it cannot work,
// deleted when node has taken it down, and forgotten an hour later.
//
// It decides and writes records; packets are the matter of node/network, which sets NatGateway.Installed to what is
// true on the host. The thinking is in plan.go. Start at [Gateways].
package gateway

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/reconcile"
	"github.com/neargate/neargate/internal/store"
)

// Gateways reconciles NAT gateways by their identifiers.
type Gateways struct {
	db     *store.DB
	tables *store.Tables
	clock  *clock.Clock
}

// New returns a reconciler for NAT gateways.
func New(db *store.DB, tables *store.Tables, clock *clock.Clock) *Gateways {
	return &Gateways{db: db, tables: tables, clock: clock}
}

// Name returns the reconciler's name.
func (g *Gateways) Name() string { return "nat gateways" }

// Sweep has nothing to do: all that a NAT gateway owns is given back in the transaction that ends it.
func (g *Gateways) Sweep(context.Context) error { return nil }

// Reconcile does the next step for a NAT gateway.
func (g *Gateways) Reconcile(ctx context.Context, id string) (reconcile.Result, error) {
	var result reconcile.Result
	err := g.db.Update(ctx, func(tx *store.Txn) error {
		result = reconcile.Result{}
		nat, ok := g.tables.NatGateways.Get(tx, id)
		if !ok {
			return nil
		}
		now := g.clock.Now()
		_, hasInternet := g.tables.InternetGateways.FirstBy(tx, "vpc", nat.VPCID)
		switch planNat(nat, hasInternet, now.Sub(nat.DeletedAt)) {
		case open:
			g.tables.NatGateways.Edit(tx, id, func(n *model.NatGateway) { n.State = model.NatAvailable })
		case refuse:
			g.release(tx, nat)
			g.tables.NatGateways.Edit(tx, id, func(n *model.NatGateway) {
				n.State, n.DeletedAt, n.FailureCode = model.NatFailed, now, "Gateway.NotAttached"
				n.FailureMessage = fmt.Sprintf("Network %s has no Internet gateway attached", nat.VPCID)
			})
			result = recheck(keepDeleted)
		case close:
			g.release(tx, nat)
			g.tables.NatGateways.Edit(tx, id, func(n *model.NatGateway) { n.State, n.DeletedAt = model.NatDeleted, now })
			result = recheck(keepDeleted)
		case forget:
			g.tables.NatGateways.Delete(tx, id)
		default:
			if !nat.DeletedAt.IsZero() {
				result = recheck(keepDeleted - now.Sub(nat.DeletedAt))
			}
		}
		return nil
	})
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("nat gateway %s: %w", id, err)
	}
	return result, nil
}

func recheck(after time.Duration) reconcile.Result {
	return reconcile.Result{After: after, Reason: "a deleted NAT gateway stays visible for an hour"}
}

// release gives back what a NAT gateway holds: its interface, and the association of its Elastic IP.
func (g *Gateways) release(tx *store.Txn, nat *model.NatGateway) {
	g.tables.NetworkInterfaces.Delete(tx, nat.ENIID)
	if address, ok := g.tables.Addresses.Get(tx, nat.AllocationID); ok && address.AssociationID == nat.AssociationID {
		g.tables.Addresses.Edit(tx, nat.AllocationID, func(a *model.Address) {
			a.AssociationID, a.ENIID, a.PrivateIP = "", "", netip.Addr{}
		})
	}
}

// Sources returns what Reconcile has to look at: NAT gateways that change, and those of VPCs whose internet gateway does.
func (g *Gateways) Sources(ctx context.Context) []reconcile.Source[string] {
	ofVPC := func(vpc string) (ids []string) {
		for nat := range g.tables.NatGateways.By(g.db.View(), "vpc", vpc) {
			ids = append(ids, nat.ID)
		}
		return ids
	}
	return []reconcile.Source[string]{
		g.tables.NatGateways.Changes(ctx), reconcile.Map(g.tables.InternetGateways.ChangesByIndex(ctx, "vpc"), ofVPC),
	}
}
