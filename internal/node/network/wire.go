package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/neargate/neargate/internal/fabric/nat"
	"github.com/neargate/neargate/internal/linux/link"
	"github.com/neargate/neargate/internal/linux/netns"
	"github.com/neargate/neargate/internal/linux/nft"
	"github.com/neargate/neargate/internal/linux/route"
	"github.com/neargate/neargate/internal/linux/sysctl"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/ruleset"
)

// Source rules of a load balancer: each of its ENIs answers and connects through itself.
const (
	ownerTableBase = 100
	ownerPriority  = 100
)

// wire puts an ENI between its owner's namespace and the VPC's. Its security groups are in force already, for the
// packet filter goes by the interface's name and may know it before it exists.
func (v *vpc) wire(eni *model.NetworkInterface) error {
	subnet := v.subnet(eni.SubnetID)
	if subnet == nil || !eni.PrimaryIP().IsValid() {
		return fmt.Errorf("%s has no subnet or no address", eni.ID)
	}
	mac, err := net.ParseMAC(eni.MAC)
	if err != nil {
		return fmt.Errorf("%s: %w", eni.ID, err)
	}
	v.n.rtnl.Lock()
	defer v.n.rtnl.Unlock()
	owner, made, err := netns.Ensure(eni.Netns())
	if err != nil {
		return err
	}
	defer owner.Close()
	name := model.VethName(eni.ID)
	if made || !v.wired[name] {
		if err := sysctl.Set(owner, ownerParams); err != nil {
			return err
		}
	}
	far, err := link.Open(owner)
	if err != nil {
		return err
	}
	defer far.Close()
	pair, err := v.link.EnsureVeth(link.End{Name: name, MAC: routerMAC}, far,
		link.End{Name: fmt.Sprintf("eth%d", eni.DeviceIndex), MAC: mac}, eniMTU)
	if err != nil {
		return err
	}
	v.wired[name] = true
	if err := v.wireOwner(far, pair, eni, subnet); err != nil {
		return err
	}
	for _, a := range eni.PrivateIPs {
		if !a.Is4() {
			continue
		}
		if err := v.link.SetNeighbour(pair.Near, a, mac); err != nil {
			return err
		}
		if err := route.SetHost(v.link, pair.Near, a, subnet.Router()); err != nil {
			return err
		}
	}
	return nil
}

// wireOwner gives the owner's end its addresses, its next hop and a default route.
func (v *vpc) wireOwner(far *link.Conn, pair link.Pair, eni *model.NetworkInterface, subnet *model.Subnet) error {
	var addrs []netip.Prefix
	for _, a := range eni.PrivateIPs {
		if a.Is4() {
			addrs = append(addrs, netip.PrefixFrom(a, subnet.CIDR.Bits()))
		}
	}
	if err := far.SetAddresses(pair.Far, addrs, pair.Made); err != nil {
		return err
	}
	router := subnet.Router()
	if err := far.SetNeighbour(pair.Far, router, routerMAC); err != nil {
		return err
	}
	if err := route.SetDefault(far, pair.Far, router, ruleset.MainTable, eni.DeviceIndex); err != nil {
		return err
	}
	if eni.OwnerKind != model.OwnerLoadBalancer {
		return nil
	}
	table := ownerTableBase + eni.DeviceIndex
	if err := route.SetDefault(far, pair.Far, router, table, 0); err != nil {
		return err
	}
	for _, a := range addrs {
		if err := route.SetSource(far, a.Addr(), table, ownerPriority); err != nil {
			return err
		}
	}
	return nil
}

func (v *vpc) subnet(id string) *model.Subnet {
	for _, s := range v.input.Subnets {
		if s.ID == id {
			return s
		}
	}
	return nil
}

// unwire removes an ENI's link by its name in the VPC's namespace; routes and neighbours go with it.
func (v *vpc) unwire(name string) error {
	if v.ns == nil {
		if !netns.Exists(model.VPCNetns(v.id)) {
			return nil
		}
		if err := v.open(); err != nil { // after a restart, before the VPC was looked at
			return err
		}
	}
	v.n.rtnl.Lock()
	defer v.n.rtnl.Unlock()
	if err := v.link.Delete(name); err != nil {
		return err
	}
	delete(v.wired, name)
	return nil
}

// wireOwn makes the NAT gateways, whose namespaces are this package's matter, and removes the links of ENIs that are
// gone. What fails does not hold up the rest.
func (v *vpc) wireOwn(ctx context.Context) error {
	errs := []error{v.natGateways(ctx)}
	wanted := make(map[string]bool, len(v.enis))
	for _, e := range v.input.Interfaces {
		wanted[model.VethName(e.ID)] = v.n.isHere(e)
	}
	for name := range v.wired {
		if !wanted[name] {
			errs = append(errs, v.unwire(name))
		}
	}
	return errors.Join(errs...)
}

// natGateways makes the namespaces of NAT gateways that should work and deletes those of others.
func (v *vpc) natGateways(ctx context.Context) error {
	var errs []error
	for _, g := range v.input.NatGateways {
		eni := v.enis[g.ENIID]
		want := eni != nil && v.n.isHere(eni) && (g.State == model.NatPending || g.State == model.NatAvailable)
		var err error
		switch {
		case want && (!v.nats[g.ID] || !g.Installed || !v.wired[model.VethName(g.ENIID)]):
			err = v.openNat(ctx, g, eni)
		case !want && (v.nats[g.ID] || g.Installed):
			err = v.closeNat(ctx, g)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("nat gateway %s: %w", g.ID, err))
		}
	}
	for id := range v.nats {
		if v.nat(id) == nil {
			errs = append(errs, netns.Delete(model.NatNetns(id)))
			delete(v.nats, id)
		}
	}
	return errors.Join(errs...)
}

// openNat makes a NAT gateway and says so once its routes lead to it.
func (v *vpc) openNat(ctx context.Context, g *model.NatGateway, eni *model.NetworkInterface) error {
	if err := v.wireNat(g, eni); err != nil {
		return err
	}
	v.nats[g.ID], v.routed = true, false
	if err := v.route(); err != nil {
		return err
	}
	return v.n.cfg.Source.SetNatInstalled(ctx, g.ID, true)
}

// closeNat takes a NAT gateway away and says so.
func (v *vpc) closeNat(ctx context.Context, g *model.NatGateway) error {
	if err := v.unwire(model.VethName(g.ENIID)); err != nil {
		return err
	}
	if err := netns.Delete(model.NatNetns(g.ID)); err != nil {
		return err
	}
	delete(v.nats, g.ID)
	v.routed = false
	return v.n.cfg.Source.SetNatInstalled(ctx, g.ID, false)
}

func (v *vpc) nat(id string) *model.NatGateway {
	for _, g := range v.input.NatGateways {
		if g.ID == id {
			return g
		}
	}
	return nil
}

// wireNat makes a NAT gateway: a namespace that forwards out of the interface that it received on.
func (v *vpc) wireNat(g *model.NatGateway, eni *model.NetworkInterface) error {
	ns, made, err := netns.Ensure(model.NatNetns(g.ID))
	if err != nil {
		return err
	}
	defer ns.Close()
	if made {
		if err := sysctl.Set(ns, routerParams); err != nil {
			return err
		}
	}
	c, err := nft.Open(ns)
	if err != nil {
		return err
	}
	defer c.Close()
	// Replacing it does not touch the flows that are being translated.
	if err := c.Replace(nat.Compile(eni.PrimaryIP())); err != nil {
		return err
	}
	if err := sysctl.Set(ns, natTracking); err != nil {
		return err
	}
	return v.wire(eni)
}
