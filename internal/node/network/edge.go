package network

import (
	"errors"
	"net/netip"
	"slices"
	"sync"

	"github.com/neargate/neargate/internal/fabric"
	fabricedge "github.com/neargate/neargate/internal/fabric/edge"
	"github.com/neargate/neargate/internal/linux/link"
	"github.com/neargate/neargate/internal/linux/netns"
	"github.com/neargate/neargate/internal/linux/nft"
	"github.com/neargate/neargate/internal/linux/route"
	"github.com/neargate/neargate/internal/linux/sysctl"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/ruleset"
)

// edge is the namespace that stands for the Internet. It is always compiled from all VPCs, never from those seen so
// far: after a restart, a part of them would cut the others off.
type edge struct {
	n *Network

	mu     sync.Mutex
	ns     *netns.Namespace
	link   *link.Conn
	nft    *nft.Conn
	router *ruleset.Router
	links  map[string]bool
}

// ensure makes and opens the edge.
func (e *edge) ensure() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ns != nil {
		return nil
	}
	ns, _, err := netns.Ensure(model.EdgeNetns)
	if err != nil {
		return err
	}
	e.ns = ns
	if err := e.open(); err != nil {
		e.closeLocked()
		return err
	}
	return nil
}

func (e *edge) open() error {
	var err error
	if e.link, err = link.Open(e.ns); err != nil {
		return err
	}
	if e.nft, err = nft.Open(e.ns); err != nil {
		return err
	}
	if err := sysctl.Set(e.ns, routerParams); err != nil {
		return err
	}
	lo, ok := e.link.Index("lo")
	if !ok {
		return errors.New("no lo in the edge")
	}
	local := append(slices.Clone(e.n.cfg.Services), model.OutsideClient)
	if err := e.link.SetAddresses(lo, hostPrefixes(local), false); err != nil {
		return err
	}
	links, err := e.link.List()
	if err != nil {
		return err
	}
	e.links = map[string]bool{}
	for name := range links {
		e.links[name] = true
	}
	return e.applyLocked()
}

func (e *edge) hasLink(vpcID string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.links[fabricedge.LinkName(vpcID)]
}

// connect makes the link between a VPC and the edge.
func (e *edge) connect(v *vpc) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	name := v.edgeLink()
	pair, err := v.link.EnsureVeth(link.End{Name: fabric.GatewayIf, MAC: gatewayMAC}, e.link, link.End{Name: name, MAC: edgeMAC}, gatewayMTU)
	if err != nil {
		return err
	}
	e.links[name] = true
	if err := v.link.SetNeighbour(pair.Near, fabric.EdgeHop, edgeMAC); err != nil {
		return err
	}
	if err := e.link.SetNeighbour(pair.Far, fabric.RouterHop, gatewayMAC); err != nil {
		return err
	}
	e.router = nil // the routes through a new link are missing, or went with an old one
	return nil
}

// apply makes the edge follow the public addresses of all VPCs.
func (e *edge) apply() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ns == nil {
		return nil
	}
	return e.applyLocked()
}

func (e *edge) applyLocked() error {
	var vpcs []fabricedge.VPC
	for _, id := range e.n.cfg.Source.VPCs() {
		in, _, ok := e.n.cfg.Source.VPC(id)
		if !ok || in.Gateway == nil {
			continue
		}
		v := fabricedge.VPC{Link: fabricedge.LinkName(id)}
		for _, public := range fabric.PublicAddresses(in) {
			v.Public = append(v.Public, public)
		}
		slices.SortFunc(v.Public, netip.Addr.Compare)
		vpcs = append(vpcs, v)
	}
	router := fabricedge.Compile(vpcs, e.n.cfg.Services, fabric.RouterHop)
	if e.router != nil && slices.Equal(e.router.Routes, router.Routes) {
		if delta, ok := ruleset.Diff(&e.router.Table, &router.Table); ok && delta.IsEmpty() {
			return nil
		}
	}
	if err := e.nft.Replace(&router.Table); err != nil {
		return err
	}
	links, err := e.link.List()
	if err != nil {
		return err
	}
	e.links = map[string]bool{}
	for name := range links {
		e.links[name] = true
	}
	if err := route.Apply(e.link, router.Routes, nil, nil, links); err != nil {
		return err
	}
	e.router = router
	return nil
}

func (e *edge) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closeLocked()
}

func (e *edge) closeLocked() {
	if e.nft != nil {
		e.nft.Close()
	}
	if e.link != nil {
		e.link.Close()
	}
	if e.ns != nil {
		e.ns.Close()
	}
	e.ns, e.link, e.nft, e.router, e.links = nil, nil, nil, nil, nil
}
