package network

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/neargate/neargate/internal/linux/netns"
	"github.com/neargate/neargate/internal/model"
)

// Sweep compares everything with the kernel anew and removes the namespaces of VPCs and NAT gateways without a record. Namespaces of tasks and load
// balancers belong to those who run processes in them. It is called only when all records have been looked at.
func (n *Network) Sweep(ctx context.Context) error {
	names, err := netns.List(model.NetnsPrefix)
	if err != nil {
		return err
	}
	vpcs := map[string]bool{}
	nats := map[string]bool{}
	for _, id := range n.cfg.Source.VPCs() {
		vpcs[id] = true
		in, _, ok := n.cfg.Source.VPC(id)
		if !ok {
			continue
		}
		for _, g := range in.NatGateways {
			if g.State == model.NatPending || g.State == model.NatAvailable || g.State == model.NatDeleting {
				nats[g.ID] = true
			}
		}
	}
	var errs []error
	for id := range vpcs {
		// Look at the kernel anew: somebody may have taken a link or a route away.
		v := n.vpc(id)
		v.mu.Lock()
		v.routed, v.adopted, v.wired = false, false, map[string]bool{}
		v.mu.Unlock()
		if _, err := n.Reconcile(ctx, id); err != nil {
			errs = append(errs, err)
		}
	}
	for _, name := range names {
		kind, id, ok := model.ParseNetns(name)
		switch {
		case ok && kind == "vpc" && !vpcs[id]:
			if _, err := n.Reconcile(ctx, id); err != nil {
				errs = append(errs, err)
			}
		case ok && kind == "nat" && !nats[id]:
			if err := netns.Delete(name); err != nil {
				errs = append(errs, err)
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("sweep namespaces: %w", err)
	}
	return nil
}

// Remove deletes all namespaces of ours on this host, or those of some kinds ("vpc", "task", "nat", "lb", "edge"), without
// looking at records: for `neargate cleanup`. It returns their names.
func Remove(kinds ...string) ([]string, error) {
	names, err := netns.List(model.NetnsPrefix)
	if err != nil {
		return nil, err
	}
	var removed []string
	var errs []error
	for _, name := range names {
		kind, _, ok := model.ParseNetns(name)
		if !ok || len(kinds) > 0 && !slices.Contains(kinds, kind) {
			continue
		}
		if err := netns.Delete(name); err != nil {
			errs = append(errs, err)
			continue
		}
		removed = append(removed, name)
	}
	return removed, errors.Join(errs...)
}
