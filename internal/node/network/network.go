// Package network makes the VPCs of this host so: namespaces, ENIs, routes, packet filters, NAT and internet gateways,
// and the edge.
//
// One key is one VPC. Its records are compiled by package fabric to a description of its namespace, which is compared
// with what was applied last and put into the kernel; after a restart, when that is not known, the packet filter is
// exchanged in one step and everything else is looked at, so that running connections do not notice. The package
// decides nothing about AWS and runs nothing inside the namespaces: resolvers and listeners are the keeper's, processes
// are the task runner's and the load balancer's.
//
// Start at [New]; [Network.Loop] keeps it going, [Network.AttachENI] and [Network.DetachENI] are for the owners of
// ENIs, who must not wait for a loop.
package network

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"github.com/neargate/neargate/internal/fabric"
	"github.com/neargate/neargate/internal/fault"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/reconcile"
)

// Source is where the wanted state comes from.
type Source interface {
	// VPC returns all records of a VPC as of one moment, and that moment's revision; ok is false if there is none.
	VPC(id string) (vpc fabric.VPC, revision int64, ok bool)
	// VPCs returns the identifiers of all VPCs.
	VPCs() []string
	// Interface returns an ENI's record.
	Interface(id string) (*model.NetworkInterface, bool)
	// SetNatInstalled notes whether a NAT gateway is wired and translates.
	SetNatInstalled(ctx context.Context, natID string, installed bool) error
}

// Config is what a Network needs.
type Config struct {
	Source Source
	Host   string // name of this host; ENIs of other hosts are not wired here
	// Services are the addresses on the edge's lo besides the outside client's: those of the AWS services.
	Services []netip.Addr
	Log      *slog.Logger
}

// Network is the network of this host.
type Network struct {
	cfg Config
	log *slog.Logger

	// rtnl orders all work on links: the kernel does one at a time anyway, and so it is first come, first served.
	rtnl sync.Mutex

	mu   sync.Mutex
	vpcs map[string]*vpc

	edge *edge
}

// New returns a Network. Nothing is touched before the first call.
func New(cfg Config) *Network {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	n := &Network{cfg: cfg, log: cfg.Log, vpcs: map[string]*vpc{}}
	n.edge = &edge{n: n}
	return n
}

// Loop returns the loop that reconciles VPCs by their identifiers.
func (n *Network) Loop(opts reconcile.Options[string], sources ...reconcile.Source[string]) *reconcile.Loop[string] {
	if opts.Log == nil {
		opts.Log = n.log
	}
	return reconcile.New[string](n, opts, sources...)
}

// Name returns the reconciler's name.
func (n *Network) Name() string { return "network" }

// Reconcile makes one VPC so.
func (n *Network) Reconcile(ctx context.Context, id string) (reconcile.Result, error) {
	if err := n.edge.ensure(); err != nil {
		return reconcile.Result{}, err
	}
	v := n.vpc(id)
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.reconcile(ctx); err != nil {
		return reconcile.Result{}, fmt.Errorf("vpc %s: %w", id, err)
	}
	return reconcile.Result{}, nil
}

// AttachENI wires an ENI between its owner's namespace, which is made if need be, and its VPC's. When it returns, the
// ENI works as its record says and its security groups are in force. Doing it again changes nothing.
func (n *Network) AttachENI(ctx context.Context, eni *model.NetworkInterface) error {
	if eni.Netns() == "" {
		return fmt.Errorf("attach %s: it has no owner", eni.ID)
	}
	if err := n.edge.ensure(); err != nil {
		return err
	}
	v := n.vpc(eni.VPCID)
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.inForce(eni.ID) {
		err := v.reconcile(ctx)
		switch {
		case err != nil && !v.inForce(eni.ID):
			return fmt.Errorf("attach %s: vpc %s: %w", eni.ID, eni.VPCID, err)
		case err != nil: // something else in the VPC; its loop tries again
			n.log.Warn("vpc is not all as it should be", "vpc", eni.VPCID, "error", err)
		}
	}
	if v.enis[eni.ID] == nil {
		return fmt.Errorf("attach to %s: %w", eni.VPCID, fault.NewNotFound("network interface", eni.ID))
	}
	if err := v.wire(v.enis[eni.ID]); err != nil {
		return fmt.Errorf("attach %s: %w", eni.ID, err)
	}
	return nil
}

// DetachENI removes an ENI's link. Its owner's namespace stays: whoever put processes there deletes it. It is no error
// if the ENI or its VPC is gone.
func (n *Network) DetachENI(_ context.Context, eni *model.NetworkInterface) error {
	v := n.vpc(eni.VPCID)
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.unwire(model.VethName(eni.ID)); err != nil {
		return fmt.Errorf("detach %s: %w", eni.ID, err)
	}
	return nil
}

// ByID attaches and detaches ENIs by their identifiers, for owners who keep no records.
type ByID struct{ Network *Network }

// AttachENI is [Network.AttachENI].
func (b ByID) AttachENI(ctx context.Context, id string) error {
	eni, ok := b.Network.cfg.Source.Interface(id)
	if !ok {
		return fmt.Errorf("attach: %w", fault.NewNotFound("network interface", id))
	}
	return b.Network.AttachENI(ctx, eni)
}

// DetachENI is [Network.DetachENI]; it also works when the record is gone.
func (b ByID) DetachENI(ctx context.Context, id string) error {
	if eni, ok := b.Network.cfg.Source.Interface(id); ok {
		return b.Network.DetachENI(ctx, eni)
	}
	name := model.VethName(id)
	for _, v := range b.Network.all() {
		v.mu.Lock()
		var err error
		if v.wired[name] {
			err = v.unwire(name)
		}
		v.mu.Unlock()
		if err != nil {
			return fmt.Errorf("detach %s: %w", id, err)
		}
	}
	return nil
}

// all returns the VPCs that are known.
func (n *Network) all() []*vpc {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Collect(maps.Values(n.vpcs))
}

// Installed returns the revision of the records that a VPC's namespace is known to follow, 0 if there is none.
func (n *Network) Installed(id string) int64 {
	v := n.vpc(id)
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.revision
}

// Drops returns how many packets were dropped per ENI, by reason (fabric.Counters).
func (n *Network) Drops(id string) (map[string]map[string]uint64, error) {
	v := n.vpc(id)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.nft == nil {
		return nil, nil
	}
	byName := map[string]string{}
	for _, i := range v.router.Interfaces {
		byName[i.Name] = i.Label
	}
	out := map[string]map[string]uint64{}
	for _, c := range fabric.Counters() {
		counts, err := v.nft.InterfaceCounters(c.Set)
		if err != nil {
			return nil, err
		}
		for name, packets := range counts {
			label := byName[name]
			if packets == 0 || label == "" {
				continue
			}
			if out[label] == nil {
				out[label] = map[string]uint64{}
			}
			out[label][c.What] = packets
		}
	}
	return out, nil
}

// Close gives the sockets back. What is in the kernel stays.
func (n *Network) Close() {
	for _, v := range n.all() {
		v.mu.Lock()
		v.close()
		v.mu.Unlock()
	}
	n.edge.close()
}

// vpc returns the state of a VPC, new if it was not seen before.
func (n *Network) vpc(id string) *vpc {
	n.mu.Lock()
	defer n.mu.Unlock()
	v := n.vpcs[id]
	if v == nil {
		v = &vpc{n: n, id: id, wired: map[string]bool{}, nats: map[string]bool{}}
		n.vpcs[id] = v
	}
	return v
}

// isHere reports whether an ENI is to be wired on this host.
func (n *Network) isHere(eni *model.NetworkInterface) bool {
	return eni.Host == "" || n.cfg.Host == "" || eni.Host == n.cfg.Host
}
