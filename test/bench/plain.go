package main

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/neargate/neargate/internal/linux/netns"
)

// mtu is that of every link here, as on Fargate.
const mtu = 9001

// plain is a namespace of a baseline: made with nothing but the kernel's own means.
type plain struct {
	ns *netns.Namespace
	h  *netlink.Handle
}

func newPlain(name string) (*plain, error) {
	ns, err := netns.Create(name)
	if err != nil {
		return nil, err
	}
	var h *netlink.Handle
	err = ns.Do(func() error {
		h, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		ns.Close()
		return nil, fmt.Errorf("open netlink socket in %s: %w", name, err)
	}
	return &plain{ns: ns, h: h}, nil
}

func (p *plain) close() {
	p.h.Close()
	p.ns.Close()
}

// join makes a veth pair to another namespace with an address on both ends.
func (p *plain) join(name string, own netip.Prefix, far *plain, farName string, other netip.Prefix) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = name, mtu
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerMTU, veth.PeerNamespace = farName, mtu, netlink.NsFd(far.ns.FD())
	if err := p.h.LinkAdd(veth); err != nil {
		return fmt.Errorf("make %s: %w", name, err)
	}
	for _, end := range []struct {
		h       *netlink.Handle
		name    string
		address netip.Prefix
	}{{p.h, name, own}, {far.h, farName, other}} {
		l, err := end.h.LinkByName(end.name)
		if err != nil {
			return err
		}
		if err := end.h.AddrAdd(l, &netlink.Addr{IPNet: ipNet(end.address)}); err != nil {
			return fmt.Errorf("address of %s: %w", end.name, err)
		}
		if err := end.h.LinkSetUp(l); err != nil {
			return err
		}
	}
	return nil
}

// defaultRoute sets the namespace's default route.
func (p *plain) defaultRoute(via netip.Addr) error {
	return p.h.RouteAdd(&netlink.Route{Gw: via.AsSlice()})
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
}
