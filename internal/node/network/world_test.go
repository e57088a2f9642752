package network

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/neargate/neargate/internal/fabric"
	"github.com/neargate/neargate/internal/linux/netns"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/testkit/nettest"
)

func TestMain(m *testing.M) { nettest.Main(m) }

// world is a set of records, a Network that follows them, and what tests do with both.
type world struct {
	t   testing.TB
	ctx context.Context
	net *Network

	mu   sync.Mutex
	rev  int64
	vpcs map[string]*fabric.VPC
	next int // of addresses in a subnet
	pub  int
}

var service = netip.MustParseAddr("198.19.0.10")

func newWorld(t testing.TB) *world {
	nettest.Require(t)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	w := &world{t: t, ctx: ctx, vpcs: map[string]*fabric.VPC{}, next: 10, pub: 10}
	w.net = New(Config{Source: w, Services: []netip.Addr{service}})
	t.Cleanup(func() {
		w.net.Close()
		cancel()
		if _, err := Remove(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// VPC gives a copy, as the store's views are: a change makes new records, never changes old ones.
func (w *world) VPC(id string) (fabric.VPC, int64, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := w.vpcs[id]
	if v == nil {
		return fabric.VPC{}, 0, false
	}
	out := *v
	out.Subnets, out.RouteTables, out.Rules = slices.Clone(v.Subnets), slices.Clone(v.RouteTables), slices.Clone(v.Rules)
	out.Interfaces, out.NatGateways, out.Addresses = slices.Clone(v.Interfaces), slices.Clone(v.NatGateways), slices.Clone(v.Addresses)
	return out, w.rev, true
}

func (w *world) VPCs() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var ids []string
	for id := range w.vpcs {
		ids = append(ids, id)
	}
	return ids
}

func (w *world) Interface(id string) (*model.NetworkInterface, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range w.vpcs {
		for _, e := range v.Interfaces {
			if e.ID == id {
				return e, true
			}
		}
	}
	return nil, false
}

func (w *world) SetNatInstalled(_ context.Context, id string, installed bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range w.vpcs {
		for i, g := range v.NatGateways {
			if g.ID == id {
				edited := *g
				edited.Installed = installed
				if installed {
					edited.State = model.NatAvailable
				}
				v.NatGateways[i] = &edited
			}
		}
	}
	return nil
}

// change edits a VPC's records and makes them so.
func (w *world) change(v *fabric.VPC, edit func()) {
	w.t.Helper()
	w.mu.Lock()
	w.rev++
	edit()
	w.mu.Unlock()
	w.sync(v)
}

func (w *world) sync(v *fabric.VPC) {
	w.t.Helper()
	if _, err := w.net.Reconcile(w.ctx, v.VPC.ID); err != nil {
		w.t.Fatal(err)
	}
}

// vpc makes a VPC with an internet gateway, a public subnet 0 and a private subnet 1.
func (w *world) vpc(cidr string) *fabric.VPC {
	block := netip.MustParsePrefix(cidr)
	b := block.Addr().As4()
	id := model.NewID(model.PrefixVPC)
	subnet := func(third byte) *model.Subnet {
		return &model.Subnet{ID: model.NewID(model.PrefixSubnet), VPCID: id, CIDR: netip.PrefixFrom(netip.AddrFrom4([4]byte{b[0], b[1], third, 0}), 24)}
	}
	public, private := subnet(0), subnet(1)
	igw := &model.InternetGateway{ID: model.NewID("igw"), VPCID: id}
	local := model.Route{Destination: block, GatewayID: "local"}
	main := &model.RouteTable{ID: model.NewID("rtb"), VPCID: id, Routes: []model.Route{local}}
	open := &model.RouteTable{ID: model.NewID("rtb"), VPCID: id,
		Routes:       []model.Route{local, {Destination: netip.MustParsePrefix("0.0.0.0/0"), GatewayID: igw.ID}},
		Associations: []model.RouteTableAssoc{{SubnetID: public.ID}}}
	v := &fabric.VPC{
		VPC:     &model.VPC{ID: id, CIDRs: []model.VPCCIDR{{Block: block}}, DNSSupport: true, MainRouteTableID: main.ID},
		Subnets: []*model.Subnet{public, private}, RouteTables: []*model.RouteTable{main, open}, Gateway: igw,
	}
	w.mu.Lock()
	w.vpcs[id] = v
	w.mu.Unlock()
	return v
}

var anywhere = netip.MustParsePrefix("0.0.0.0/0")

// group makes a security group with rules; a rule's identifiers are filled in.
func (w *world) group(v *fabric.VPC, rules ...model.SecurityGroupRule) string {
	id := model.NewID(model.PrefixSecurityGroup)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range rules {
		r.ID, r.GroupID = model.NewID(model.PrefixSecurityGroupRule), id
		if r.RefGroupID == "self" {
			r.RefGroupID = id
		}
		v.Rules = append(v.Rules, &r)
	}
	return id
}

func egressAll() model.SecurityGroupRule {
	return model.SecurityGroupRule{Egress: true, Protocol: model.ProtoAll, From: -1, To: -1, CIDR: anywhere}
}

func ingressTCP(port int, from string) model.SecurityGroupRule {
	r := model.SecurityGroupRule{Protocol: model.ProtoTCP, From: port, To: port}
	if p, err := netip.ParsePrefix(from); err == nil {
		r.CIDR = p
	} else {
		r.RefGroupID = from
	}
	return r
}

// host is a task with its ENI wired.
type host struct {
	w   *world
	eni *model.NetworkInterface
	ns  *netns.Namespace
	ip  netip.Addr
}

// record makes an ENI's record.
func (w *world) record(v *fabric.VPC, subnet int, groups ...string) *model.NetworkInterface {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := v.Subnets[subnet]
	b := s.CIDR.Addr().As4()
	b[2], b[3] = b[2]+byte(w.next>>8)*4, byte(w.next)
	w.next++
	eni := &model.NetworkInterface{
		ID: model.NewID(model.PrefixENI), VPCID: v.VPC.ID, SubnetID: s.ID, PrivateIPs: []netip.Addr{netip.AddrFrom4(b)}, MAC: model.NewMAC(),
		Groups: groups, SourceDestCheck: true, DeviceIndex: 1, OwnerKind: model.OwnerTask, OwnerID: model.NewTaskID(),
	}
	w.rev++
	v.Interfaces = append(v.Interfaces, eni)
	return eni
}

func (w *world) task(v *fabric.VPC, subnet int, groups ...string) *host {
	w.t.Helper()
	return w.attach(w.record(v, subnet, groups...))
}

func (w *world) attach(eni *model.NetworkInterface) *host {
	w.t.Helper()
	if err := w.net.AttachENI(w.ctx, eni); err != nil {
		w.t.Fatal(err)
	}
	ns, err := netns.Open(eni.Netns())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { ns.Close() })
	return &host{w: w, eni: eni, ns: ns, ip: eni.PrimaryIP()}
}

// publish gives an ENI an automatic public address.
func (w *world) publish(v *fabric.VPC, h *host) netip.Addr {
	a := netip.AddrFrom4([4]byte{198, 18, 0, byte(w.pub)})
	w.pub++
	w.change(v, func() {
		edited := *h.eni
		edited.AutoPublicIP = a
		v.Interfaces[slices.Index(v.Interfaces, h.eni)] = &edited
		h.eni = &edited
	})
	return a
}

// natGateway makes a NAT gateway in the public subnet and the private subnet's default route to it.
func (w *world) natGateway(v *fabric.VPC) *model.NatGateway {
	w.t.Helper()
	id := model.NewID(model.PrefixNatGateway)
	eni := w.record(v, 0)
	eni.OwnerKind, eni.OwnerID, eni.DeviceIndex, eni.SourceDestCheck = model.OwnerNatGateway, id, 0, false
	public := netip.AddrFrom4([4]byte{198, 18, 0, byte(w.pub)})
	w.pub++
	g := &model.NatGateway{ID: id, VPCID: v.VPC.ID, SubnetID: eni.SubnetID, State: model.NatPending, ENIID: eni.ID, PrivateIP: eni.PrimaryIP(), PublicIP: public}
	w.change(v, func() {
		v.NatGateways = append(v.NatGateways, g)
		edited := *v.RouteTables[0]
		edited.Routes = append(slices.Clone(edited.Routes), model.Route{Destination: anywhere, NatID: id})
		v.RouteTables[0] = &edited
	})
	return g
}

// outside is the simulated Internet client.
func (w *world) outside() *host {
	w.t.Helper()
	ns, err := netns.Open(model.EdgeNetns)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { ns.Close() })
	return &host{w: w, ns: ns, ip: model.OutsideClient}
}

// serve answers each line with itself and tells where it came from at first.
func (h *host) serve(port int) {
	h.w.t.Helper()
	h.serveAt(fmt.Sprintf("0.0.0.0:%d", port))
}

func (h *host) serveAt(address string) {
	h.w.t.Helper()
	l, err := h.ns.Listen(h.w.ctx, "tcp4", address)
	if err != nil {
		h.w.t.Fatal(err)
	}
	h.w.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				from := c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
				fmt.Fprintf(c, "%-15s\n", from)
				_, _ = io.Copy(c, c)
			}()
		}
	}()
}

// How long is waited for what should not come, and for what should.
const (
	patience = 150 * time.Millisecond
	ample    = 10 * time.Second
)

// dial connects and returns the connection and the address that the server saw.
func (h *host) dial(to netip.Addr, port int) (net.Conn, netip.Addr, error) {
	return h.dialWithin(to, port, ample)
}

func (h *host) dialWithin(to netip.Addr, port int, within time.Duration) (net.Conn, netip.Addr, error) {
	d := netns.Dialer{Namespace: h.ns, Timeout: within}
	if h.eni == nil {
		d.LocalAddr = h.ip
	}
	c, err := d.DialContext(h.w.ctx, "tcp", netip.AddrPortFrom(to, uint16(port)).String())
	if err != nil {
		return nil, netip.Addr{}, err
	}
	buf := make([]byte, 16)
	_ = c.SetDeadline(time.Now().Add(ample))
	if _, err := io.ReadFull(c, buf); err != nil {
		c.Close()
		return nil, netip.Addr{}, err
	}
	_ = c.SetDeadline(time.Time{})
	from, err := netip.ParseAddr(string(trim(buf)))
	return c, from, err
}

func trim(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\n') {
		b = b[:len(b)-1]
	}
	return b
}

// reaches fails the test unless a connection succeeds; it returns the source that the server saw.
func (h *host) reaches(to netip.Addr, port int) netip.Addr {
	h.w.t.Helper()
	c, from, err := h.dial(to, port)
	if err != nil {
		h.w.t.Fatalf("%s cannot reach %s:%d: %v", h.ip, to, port, err)
	}
	c.Close()
	return from
}

// fails fails the test if a connection succeeds.
func (h *host) fails(to netip.Addr, port int) {
	h.w.t.Helper()
	if c, _, err := h.dialWithin(to, port, patience); err == nil {
		c.Close()
		h.w.t.Fatalf("%s reaches %s:%d", h.ip, to, port)
	}
}

// echo sends a line over a connection and reports whether it comes back in time.
func echo(c net.Conn, within time.Duration) bool {
	_ = c.SetDeadline(time.Now().Add(within))
	defer func() { _ = c.SetDeadline(time.Time{}) }()
	if _, err := c.Write([]byte("ping")); err != nil {
		return false
	}
	buf := make([]byte, 4)
	_, err := io.ReadFull(c, buf)
	return err == nil && string(buf) == "ping"
}
