// Package conntrack looks at and deletes entries of a namespace's connection tracking table.
//
// It decides nothing: the caller says which flows have to go. Start at [Delete].
package conntrack

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	vns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/neargate/neargate/internal/linux/netns"
)

// Tuple is one direction of a flow. Ports are 0 for protocols without them.
type Tuple struct {
	Proto            uint8
	Src, Dst         netip.Addr
	SrcPort, DstPort uint16
}

// Flow is one tracked flow: as it began, and as its answers look.
type Flow struct{ Original, Reply Tuple }

// Delete removes the IPv4 flows that match and returns how many they were.
func Delete(ns *netns.Namespace, match func(Flow) bool) (int, error) {
	h, err := netlink.NewHandleAt(vns.NsHandle(ns.FD()), unix.NETLINK_NETFILTER)
	if err != nil {
		return 0, fmt.Errorf("open conntrack socket in %s: %w", ns.Name(), err)
	}
	defer h.Close()
	n, err := h.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, filter(match))
	if err != nil {
		return int(n), fmt.Errorf("delete flows in %s: %w", ns.Name(), err)
	}
	return int(n), nil
}

// List returns the IPv4 flows of the namespace.
func List(ns *netns.Namespace) ([]Flow, error) {
	h, err := netlink.NewHandleAt(vns.NsHandle(ns.FD()), unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("open conntrack socket in %s: %w", ns.Name(), err)
	}
	defer h.Close()
	found, err := h.ConntrackTableList(netlink.ConntrackTable, unix.AF_INET)
	if err != nil {
		return nil, fmt.Errorf("list flows in %s: %w", ns.Name(), err)
	}
	out := make([]Flow, 0, len(found))
	for _, f := range found {
		out = append(out, flow(f))
	}
	return out, nil
}

type filter func(Flow) bool

// MatchConntrackFlow makes a filter what the netlink package asks for.
func (f filter) MatchConntrackFlow(c *netlink.ConntrackFlow) bool { return f(flow(c)) }

func flow(c *netlink.ConntrackFlow) Flow {
	return Flow{Original: tuple(&c.Forward), Reply: tuple(&c.Reverse)}
}

func tuple(t *netlink.IPTuple) Tuple {
	return Tuple{Proto: t.Protocol, Src: addr(t.SrcIP), Dst: addr(t.DstIP), SrcPort: t.SrcPort, DstPort: t.DstPort}
}

func addr(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}
