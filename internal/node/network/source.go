package network

import (
	"context"
	"fmt"
	"slices"

	"github.com/neargate/neargate/internal/fabric"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/reconcile"
	"github.com/neargate/neargate/internal/store"
)

// Records is a Source that reads the store.
type Records struct {
	db     *store.DB
	tables *store.Tables
}

// NewRecords returns a Source over the store's tables.
func NewRecords(db *store.DB, tables *store.Tables) *Records { return &Records{db: db, tables: tables} }

// VPC returns the records of a VPC.
func (r *Records) VPC(id string) (fabric.VPC, int64, bool) {
	view, t := r.db.View(), r.tables
	vpc, ok := t.VPCs.Get(view, id)
	if !ok {
		return fabric.VPC{}, 0, false
	}
	out := fabric.VPC{
		VPC:         vpc,
		Subnets:     slices.Collect(t.Subnets.By(view, "vpc", id)),
		RouteTables: slices.Collect(t.RouteTables.By(view, "vpc", id)),
		Interfaces:  slices.Collect(t.NetworkInterfaces.By(view, "vpc", id)),
		NatGateways: slices.Collect(t.NatGateways.By(view, "vpc", id)),
	}
	for g := range t.SecurityGroups.By(view, "vpc", id) {
		out.Rules = slices.AppendSeq(out.Rules, t.SecurityGroupRules.By(view, "group", g.ID))
	}
	if g, ok := t.InternetGateways.FirstBy(view, "vpc", id); ok {
		out.Gateway = g
	}
	for a := range t.Addresses.List(view) {
		if a.ENIID == "" {
			continue
		}
		if e, ok := t.NetworkInterfaces.Get(view, a.ENIID); ok && e.VPCID == id {
			out.Addresses = append(out.Addresses, a)
		}
	}
	return out, view.Revision(), true
}

// VPCs returns the identifiers of all VPCs.
func (r *Records) VPCs() []string {
	var ids []string
	for v := range r.tables.VPCs.List(r.db.View()) {
		ids = append(ids, v.ID)
	}
	return ids
}

// Interface returns an ENI's record.
func (r *Records) Interface(id string) (*model.NetworkInterface, bool) {
	return r.tables.NetworkInterfaces.Get(r.db.View(), id)
}

// SetNatInstalled notes on the record whether a NAT gateway works.
func (r *Records) SetNatInstalled(ctx context.Context, natID string, installed bool) error {
	err := r.db.Update(ctx, func(tx *store.Txn) error {
		g, ok := r.tables.NatGateways.Get(tx, natID)
		if !ok || g.Installed == installed {
			return nil
		}
		r.tables.NatGateways.Edit(tx, natID, func(g *model.NatGateway) { g.Installed = installed })
		return nil
	})
	if err != nil {
		return fmt.Errorf("note that %s is installed=%t: %w", natID, installed, err)
	}
	return nil
}

// Sources returns what a Loop has to look at: the VPC of every record that changes.
func (r *Records) Sources(ctx context.Context) []reconcile.Source[string] {
	t := r.tables
	return []reconcile.Source[string]{
		t.VPCs.Changes(ctx),
		t.Subnets.ChangesByIndex(ctx, "vpc"),
		t.RouteTables.ChangesByIndex(ctx, "vpc"),
		t.InternetGateways.ChangesBy(ctx, func(g *model.InternetGateway) []string { return unlessEmpty(g.VPCID) }),
		t.NatGateways.ChangesByIndex(ctx, "vpc"),
		t.NetworkInterfaces.ChangesByIndex(ctx, "vpc"),
		reconcile.Map(t.SecurityGroupRules.ChangesByIndex(ctx, "group"), r.vpcOfGroup),
		reconcile.Map(t.Addresses.ChangesByIndex(ctx, "eni"), r.vpcOfInterface),
	}
}

func (r *Records) vpcOfGroup(id string) []string {
	if g, ok := r.tables.SecurityGroups.Get(r.db.View(), id); ok {
		return unlessEmpty(g.VPCID)
	}
	return nil // a group goes only when no ENI has it, and then its rules do nothing
}

func (r *Records) vpcOfInterface(id string) []string {
	if e, ok := r.tables.NetworkInterfaces.Get(r.db.View(), id); ok {
		return unlessEmpty(e.VPCID)
	}
	return nil // the ENI's own change brings its VPC
}

func unlessEmpty(id string) []string {
	if id == "" {
		return nil
	}
	return []string{id}
}
