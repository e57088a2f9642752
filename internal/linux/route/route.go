// Package route sets the routes and the policy rules of a namespace.
//
// Every route it makes carries our protocol number, so that what is ours can be told from the kernel's own, compared
// with what is wanted, and removed. It knows no VPCs. Start at [Apply].
package route

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/neargate/neargate/internal/linux/link"
	"github.com/neargate/neargate/internal/ruleset"
)

// Protocol marks our routes in the kernel.
const Protocol = 78

// entry is a route as it is compared with the kernel's.
type entry struct {
	table     int
	dst       netip.Prefix
	blackhole bool
	index     int
	via, src  netip.Addr
}

// SetHost makes the host route to an address behind a link; src, if valid, is the router's own address towards it.
func SetHost(c *link.Conn, index int, addr, src netip.Addr) error {
	return replace(c, entry{table: ruleset.MainTable, dst: netip.PrefixFrom(addr, addr.BitLen()), index: index, src: src})
}

// SetDefault makes a default route through a next hop that is taken as directly connected to the link. Among several
// in one table the lowest priority wins.
func SetDefault(c *link.Conn, index int, via netip.Addr, table, priority int) error {
	r := entry{table: table, dst: netip.PrefixFrom(netip.IPv4Unspecified(), 0), index: index, via: via}.netlink()
	r.Priority = priority
	if err := c.Handle().RouteReplace(r); err != nil {
		return fmt.Errorf("set default route in %s: %w", c.Namespace().Name(), err)
	}
	return nil
}

// SetSource makes packets from an address use a table of its own.
func SetSource(c *link.Conn, addr netip.Addr, table, priority int) error {
	r := netlink.NewRule()
	r.Family, r.Priority, r.Table = unix.AF_INET, priority, table
	r.Src = &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(addr.BitLen(), addr.BitLen())}
	if err := c.Handle().RuleAdd(r); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add rule for %s in %s: %w", addr, c.Namespace().Name(), err)
	}
	return nil
}

// Apply makes our routes in the namespace exactly those wanted, and its policy rules exactly those of policy besides
// the look-up of local addresses. A route through an interface that does not exist becomes a blackhole. First what is
// missing is added, then what is too much is removed. A nil policy leaves the rules alone.
func Apply(c *link.Conn, routes []ruleset.Route, hosts []ruleset.Interface, policy []ruleset.PolicyRule, indexes map[string]int) error {
	want := make(map[string]entry, len(routes)+len(hosts))
	for _, r := range routes {
		e := entry{table: r.Table, dst: r.Dst.Masked(), blackhole: r.Blackhole, via: r.Via}
		if !r.Blackhole {
			var ok bool
			if e.index, ok = indexes[r.Dev]; !ok {
				e.blackhole, e.via = true, netip.Addr{}
			}
		}
		want[e.key()] = e
	}
	for _, h := range hosts {
		index, ok := indexes[h.Name]
		if !ok {
			continue
		}
		for _, a := range h.Addrs {
			e := entry{table: ruleset.MainTable, dst: netip.PrefixFrom(a, a.BitLen()), index: index, src: h.From}
			want[e.key()] = e
		}
	}
	have, err := list(c)
	if err != nil {
		return err
	}
	old := make(map[string]entry, len(have))
	for _, e := range have {
		old[e.key()] = e
	}
	for _, k := range sortedKeys(want) {
		if old[k] != want[k] {
			if err := replace(c, want[k]); err != nil {
				return err
			}
		}
	}
	if policy != nil {
		if err := applyPolicy(c, policy); err != nil {
			return err
		}
	}
	for _, k := range sortedKeys(old) {
		if _, ok := want[k]; ok {
			continue
		}
		if err := c.Handle().RouteDel(old[k].netlink()); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("delete route %s in %s: %w", old[k].dst, c.Namespace().Name(), err)
		}
	}
	return nil
}

func replace(c *link.Conn, e entry) error {
	if err := c.Handle().RouteReplace(e.netlink()); err != nil {
		return fmt.Errorf("set route %s in %s: %w", e.dst, c.Namespace().Name(), err)
	}
	return nil
}

// key identifies a route: a table holds one per destination.
func (e entry) key() string { return fmt.Sprintf("%05d %s", e.table, e.dst) }

func (e entry) netlink() *netlink.Route {
	r := &netlink.Route{
		Table: e.table, Protocol: Protocol, LinkIndex: e.index,
		Dst: &net.IPNet{IP: e.dst.Addr().AsSlice(), Mask: net.CIDRMask(e.dst.Bits(), e.dst.Addr().BitLen())},
	}
	switch {
	case e.blackhole:
		r.Type = unix.RTN_BLACKHOLE
	case e.via.IsValid():
		r.Gw = e.via.AsSlice()
		r.Flags = int(netlink.FLAG_ONLINK)
	default:
		r.Scope = netlink.SCOPE_LINK
	}
	if e.src.IsValid() {
		r.Src = e.src.AsSlice()
	}
	return r
}

// list returns our routes of all tables.
func list(c *link.Conn) ([]entry, error) {
	filter := &netlink.Route{Table: unix.RT_TABLE_UNSPEC, Protocol: Protocol}
	found, err := c.Handle().RouteListFiltered(unix.AF_INET, filter, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		return nil, fmt.Errorf("list routes in %s: %w", c.Namespace().Name(), err)
	}
	out := make([]entry, 0, len(found))
	for _, r := range found {
		e := entry{table: r.Table, dst: netip.PrefixFrom(netip.IPv4Unspecified(), 0), blackhole: r.Type == unix.RTN_BLACKHOLE}
		if !e.blackhole {
			e.index = r.LinkIndex
		}
		if r.Dst != nil {
			a, _ := netip.AddrFromSlice(r.Dst.IP)
			bits, _ := r.Dst.Mask.Size()
			e.dst = netip.PrefixFrom(a.Unmap(), bits)
		}
		e.via, e.src = toAddr(r.Gw), toAddr(r.Src)
		out = append(out, e)
	}
	return out, nil
}

func toAddr(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// applyPolicy makes the rules after the first (local addresses, priority 0) exactly those wanted.
func applyPolicy(c *link.Conn, want []ruleset.PolicyRule) error {
	found, err := c.Handle().RuleList(unix.AF_INET)
	if err != nil {
		return fmt.Errorf("list rules in %s: %w", c.Namespace().Name(), err)
	}
	have := map[ruleset.PolicyRule]bool{}
	var extra []netlink.Rule
	for _, r := range found {
		p := ruleset.PolicyRule{Priority: max(r.Priority, 0), Table: r.Table, Value: r.Mark}
		if r.Mask != nil {
			p.Mask = *r.Mask
		}
		switch {
		case p.Priority == 0:
		case slices.Contains(want, p) && !have[p]:
			have[p] = true
		default:
			extra = append(extra, r)
		}
	}
	for _, p := range want {
		if have[p] {
			continue
		}
		r := netlink.NewRule()
		r.Family, r.Priority, r.Table = unix.AF_INET, p.Priority, p.Table
		if p.Mask != 0 {
			r.Mark, r.Mask = p.Value, &p.Mask
		}
		if err := c.Handle().RuleAdd(r); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("add rule %d in %s: %w", p.Priority, c.Namespace().Name(), err)
		}
	}
	for i := range extra {
		extra[i].Family = unix.AF_INET
		if err := c.Handle().RuleDel(&extra[i]); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("delete rule %d in %s: %w", extra[i].Priority, c.Namespace().Name(), err)
		}
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, cmp.Compare[string])
	return keys
}
