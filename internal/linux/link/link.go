// Package link makes and removes veth pairs between two namespaces and sets their addresses and neighbours.
//
// A pair is born in its two namespaces: no end is ever seen in the namespace of this process. Work goes through netlink
// sockets that are opened per namespace and speak from outside, so nothing runs inside. All of it takes the kernel's
// RTNL lock, so calling it from several goroutines gains nothing: node/network has one ordered worker. It knows no VPCs.
// Start at [Open] and [Conn.EnsureVeth].
package link

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"unsafe"

	"github.com/vishvananda/netlink"
	vns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/neargate/neargate/internal/linux/netns"
)

// Conn is a route netlink socket in one namespace. It may be used by one goroutine at a time.
type Conn struct {
	ns     *netns.Namespace
	h      *netlink.Handle
	socket int // for ioctls; -1 until needed
}

// Open opens a socket in the namespace, which must stay open as long as the Conn is used.
func Open(ns *netns.Namespace) (*Conn, error) {
	h, err := netlink.NewHandleAt(vns.NsHandle(ns.FD()), unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket in %s: %w", ns.Name(), err)
	}
	return &Conn{ns: ns, h: h, socket: -1}, nil
}

// Close closes the socket.
func (c *Conn) Close() {
	c.h.Close()
	if c.socket >= 0 {
		_ = unix.Close(c.socket)
		c.socket = -1
	}
}

// Namespace returns the namespace that the socket is in.
func (c *Conn) Namespace() *netns.Namespace { return c.ns }

// Handle gives linux/route the socket.
func (c *Conn) Handle() *netlink.Handle { return c.h }

// End is one end of a veth pair.
type End struct {
	Name string
	MAC  net.HardwareAddr
}

// Pair is a veth pair as it is in the kernel.
type Pair struct {
	Near, Far int  // interface indexes
	Made      bool // reports whether it was made just now
}

// EnsureVeth makes a veth pair between the Conn's namespace (near) and another one (far), up on both sides. A pair that
// is there already is kept; a link of the near name that leads elsewhere is replaced.
func (c *Conn) EnsureVeth(near End, far *Conn, peer End, mtu int) (Pair, error) {
	pair, err := c.makeVeth(near, far, peer, mtu)
	if err == nil || !errors.Is(err, unix.EEXIST) {
		return pair, err
	}
	a, aerr := c.h.LinkByName(near.Name)
	b, berr := far.h.LinkByName(peer.Name)
	if aerr == nil && berr == nil && isPair(a.Attrs(), b.Attrs()) {
		pair = Pair{Near: a.Attrs().Index, Far: b.Attrs().Index}
		return pair, errors.Join(c.setUp(a, near, mtu), far.setUp(b, peer, mtu))
	}
	for _, l := range []struct {
		c *Conn
		l netlink.Link
	}{{c, a}, {far, b}} {
		if l.l == nil {
			continue
		}
		if err := l.c.h.LinkDel(l.l); err != nil && !isGone(err) {
			return Pair{}, fmt.Errorf("delete stale link %s in %s: %w", l.l.Attrs().Name, l.c.ns.Name(), err)
		}
	}
	return c.makeVeth(near, far, peer, mtu)
}

func (c *Conn) makeVeth(near End, far *Conn, peer End, mtu int) (Pair, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.HardwareAddr, attrs.Flags = near.Name, mtu, near.MAC, net.FlagUp
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerHardwareAddr, veth.PeerMTU = peer.Name, peer.MAC, uint32(mtu)
	veth.PeerNamespace = netlink.NsFd(far.ns.FD())
	if err := c.h.LinkAdd(veth); err != nil {
		return Pair{}, fmt.Errorf("make veth %s in %s with %s in %s: %w", near.Name, c.ns.Name(), peer.Name, far.ns.Name(), err)
	}
	b, err := far.h.LinkByName(peer.Name)
	if err != nil {
		return Pair{}, fmt.Errorf("find %s in %s: %w", peer.Name, far.ns.Name(), err)
	}
	if err := far.h.LinkSetUp(b); err != nil {
		return Pair{}, fmt.Errorf("set %s in %s up: %w", peer.Name, far.ns.Name(), err)
	}
	for _, end := range []struct {
		c    *Conn
		name string
	}{{c, near.Name}, {far, peer.Name}} {
		if err := end.c.settle(end.name); err != nil {
			return Pair{}, err
		}
	}
	pair := Pair{Near: veth.Attrs().Index, Far: b.Attrs().Index, Made: true}
	if pair.Near == 0 {
		a, err := c.h.LinkByName(near.Name)
		if err != nil {
			return Pair{}, fmt.Errorf("find %s in %s: %w", near.Name, c.ns.Name(), err)
		}
		pair.Near = a.Attrs().Index
	}
	return pair, nil
}

// settle waits until a link really transmits. A link that has just got its carrier drops what it is given until the
// kernel's link watch has run, some time later; a first SYN lost there costs a second. Asking for the link's state the
// old way makes the kernel run that work at once (netlink does so too since Linux 6.8).
func (c *Conn) settle(name string) error {
	if c.socket < 0 {
		err := c.ns.Do(func() (err error) {
			c.socket, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			return err
		})
		if err != nil {
			return fmt.Errorf("open socket in %s: %w", c.ns.Name(), err)
		}
	}
	value := ethtoolValue{cmd: unix.ETHTOOL_GLINK}
	req := ifreqData{data: unsafe.Pointer(&value)}
	copy(req.name[:unix.IFNAMSIZ-1], name)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(c.socket), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))); errno != 0 {
		return fmt.Errorf("ask for the state of %s in %s: %w", name, c.ns.Name(), errno)
	}
	return nil
}

// ethtoolValue is the kernel's struct ethtool_value.
type ethtoolValue struct{ cmd, data uint32 }

// ifreqData is the kernel's struct ifreq with a pointer in its union, which is 24 bytes long.
type ifreqData struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [24 - unsafe.Sizeof(uintptr(0))]byte
}

// isPair reports whether two links are each other's peers. The kernel names a peer by its index in its namespace.
func isPair(a, b *netlink.LinkAttrs) bool {
	return a.ParentIndex == b.Index && b.ParentIndex == a.Index && a.NetNsID >= 0 && b.NetNsID >= 0
}

func (c *Conn) setUp(l netlink.Link, want End, mtu int) error {
	at := l.Attrs()
	if at.HardwareAddr.String() != want.MAC.String() {
		if err := c.h.LinkSetHardwareAddr(l, want.MAC); err != nil {
			return fmt.Errorf("set MAC of %s in %s: %w", at.Name, c.ns.Name(), err)
		}
	}
	if at.MTU != mtu {
		if err := c.h.LinkSetMTU(l, mtu); err != nil {
			return fmt.Errorf("set MTU of %s in %s: %w", at.Name, c.ns.Name(), err)
		}
	}
	if at.Flags&net.FlagUp == 0 {
		if err := c.h.LinkSetUp(l); err != nil {
			return fmt.Errorf("set %s in %s up: %w", at.Name, c.ns.Name(), err)
		}
	}
	return nil
}

// Delete removes a link, and with it its peer; its absence is no error.
func (c *Conn) Delete(name string) error {
	l, err := c.h.LinkByName(name)
	if isGone(err) {
		return nil
	}
	if err == nil {
		err = c.h.LinkDel(l)
	}
	if err != nil && !isGone(err) {
		return fmt.Errorf("delete link %s in %s: %w", name, c.ns.Name(), err)
	}
	return nil
}

// Index returns a link's index; ok is false if there is no such link.
func (c *Conn) Index(name string) (index int, ok bool) {
	l, err := c.h.LinkByName(name)
	if err != nil {
		return 0, false
	}
	return l.Attrs().Index, true
}

// List returns the indexes of all links by name.
func (c *Conn) List() (map[string]int, error) {
	links, err := c.h.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list links in %s: %w", c.ns.Name(), err)
	}
	out := make(map[string]int, len(links))
	for _, l := range links {
		out[l.Attrs().Name] = l.Attrs().Index
	}
	return out, nil
}

// SetAddresses gives the link exactly these IPv4 addresses; no route follows from their prefixes.
func (c *Conn) SetAddresses(index int, want []netip.Prefix, fresh bool) error {
	l := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}}
	have := map[netip.Prefix]bool{}
	removed := false
	if !fresh {
		list, err := c.h.AddrList(l, unix.AF_INET)
		if err != nil {
			return fmt.Errorf("list addresses in %s: %w", c.ns.Name(), err)
		}
		for i := range list {
			p := prefix(list[i].IPNet)
			if slices.Contains(want, p) || p.Addr().IsLoopback() {
				have[p] = true
				continue
			}
			if err := c.h.AddrDel(l, &list[i]); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
				return fmt.Errorf("remove address %s in %s: %w", p, c.ns.Name(), err)
			}
			removed = true // with the first of a prefix the kernel removes the others of that prefix
		}
	}
	for _, p := range want {
		if have[p] && !removed {
			continue
		}
		addr := &netlink.Addr{IPNet: ipNet(p), Flags: unix.IFA_F_NOPREFIXROUTE | unix.IFA_F_PERMANENT}
		if err := c.h.AddrAdd(l, addr); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("add address %s in %s: %w", p, c.ns.Name(), err)
		}
	}
	return nil
}

// SetNeighbour makes a permanent neighbour entry, so that no ARP is needed.
func (c *Conn) SetNeighbour(index int, addr netip.Addr, mac net.HardwareAddr) error {
	n := &netlink.Neigh{LinkIndex: index, State: netlink.NUD_PERMANENT, IP: addr.AsSlice(), HardwareAddr: mac}
	if err := c.h.NeighSet(n); err != nil {
		return fmt.Errorf("set neighbour %s in %s: %w", addr, c.ns.Name(), err)
	}
	return nil
}

// Counters are a link's byte and packet counts.
type Counters struct{ RxBytes, TxBytes, RxPackets, TxPackets uint64 }

// Counters returns what went through a link, seen from its namespace.
func (c *Conn) Counters(name string) (Counters, error) {
	l, err := c.h.LinkByName(name)
	if err != nil {
		return Counters{}, fmt.Errorf("find %s in %s: %w", name, c.ns.Name(), err)
	}
	s := l.Attrs().Statistics
	if s == nil {
		return Counters{}, fmt.Errorf("link %s in %s has no statistics", name, c.ns.Name())
	}
	return Counters{RxBytes: s.RxBytes, TxBytes: s.TxBytes, RxPackets: s.RxPackets, TxPackets: s.TxPackets}, nil
}

func isGone(err error) bool {
	var notFound netlink.LinkNotFoundError
	return errors.As(err, &notFound) || errors.Is(err, unix.ENODEV)
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func prefix(n *net.IPNet) netip.Prefix {
	a, _ := netip.AddrFromSlice(n.IP)
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(a.Unmap(), bits)
}
