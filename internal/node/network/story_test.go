package network

import (
	"errors"
	"io"
	"net/netip"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/neargate/neargate/internal/linux/conntrack"
	"github.com/neargate/neargate/internal/linux/netns"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/testkit/nettest"
)

func TestSecurityGroupReference(t *testing.T) {
	w := newWorld(t)
	v := w.vpc("10.0.0.0/16")
	front := w.group(v, egressAll())
	back := w.group(v, egressAll(), ingressTCP(80, front))
	client, server, stranger := w.task(v, 0, front), w.task(v, 1, back), w.task(v, 0, back)
	server.serve(80)
	server.serve(81)
	client.serve(80)
	if from := client.reaches(server.ip, 80); from != client.ip {
		t.Errorf("seen from %s", from)
	}
	client.fails(server.ip, 81)   // port
	stranger.fails(server.ip, 80) // not a member
	server.fails(client.ip, 80)   // direction
	// The same from a member that joins later.
	w.task(v, 1, front, back).reaches(server.ip, 80)
	drops, err := w.net.Drops(v.VPC.ID)
	if err != nil {
		t.Fatal(err)
	}
	if drops[server.eni.ID]["ingress"] == 0 || drops[client.eni.ID]["ingress"] == 0 {
		t.Errorf("drops: %v", drops)
	}
}

func TestEgressGate(t *testing.T) {
	w := newWorld(t)
	v := w.vpc("10.0.0.0/16")
	open := w.group(v, ingressTCP(80, "0.0.0.0/0"), egressAll())
	narrow := w.group(v, model.SecurityGroupRule{Egress: true, Protocol: model.ProtoTCP, From: 80, To: 80, CIDR: netip.MustParsePrefix("10.0.1.0/24")})
	client, near, far := w.task(v, 0, narrow), w.task(v, 0, open), w.task(v, 1, open)
	near.serve(80)
	far.serve(80)
	client.reaches(far.ip, 80)
	client.fails(near.ip, 80)
}

func TestOverlappingVPCsAreApart(t *testing.T) {
	w := newWorld(t)
	a, b := w.vpc("10.0.0.0/16"), w.vpc("10.0.0.0/16")
	ga := w.group(a, egressAll(), ingressTCP(80, "0.0.0.0/0"))
	gb := w.group(b, egressAll(), ingressTCP(80, "0.0.0.0/0"))
	inA, alsoA, inB := w.task(a, 0, ga), w.task(a, 0, ga), w.task(b, 0, gb)
	alsoA.serve(80)
	inB.serve(80)
	inA.reaches(alsoA.ip, 80)
	inA.fails(inB.ip, 80)
	inB.fails(alsoA.ip, 80)
	// Through their public addresses they meet, as on AWS.
	public := w.publish(b, inB)
	w.publish(a, inA)
	inA.reaches(public, 80)
	// Large segments too, although the gateways' links are narrower than the ENIs'.
	c, _, err := inA.dial(public, 80)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(ample))
	go func() { _, _ = c.Write(make([]byte, 1<<20)) }()
	if n, err := io.CopyN(io.Discard, c, 1<<20); err != nil {
		t.Errorf("%d bytes came back: %v", n, err)
	}
}

func TestRevokedRule(t *testing.T) {
	w := newWorld(t)
	v := w.vpc("10.0.0.0/16")
	front := w.group(v, egressAll())
	back := w.group(v, egressAll(), ingressTCP(80, front))
	client, server := w.task(v, 0, front), w.task(v, 1, back)
	server.serve(80)
	c, _, err := client.dial(server.ip, 80)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	rule := v.Rules[len(v.Rules)-1]
	w.change(v, func() {
		v.Rules = slices.DeleteFunc(slices.Clone(v.Rules), func(r *model.SecurityGroupRule) bool { return r == rule })
	})
	client.fails(server.ip, 80)
	if !echo(c, ample) {
		t.Error("the established, tracked connection was cut")
	}
	w.change(v, func() { v.Rules = append(v.Rules, rule) })
	client.reaches(server.ip, 80)
	if !echo(c, ample) {
		t.Error("the established connection was cut by authorising again")
	}
}

func TestRevokedUntrackedRule(t *testing.T) {
	w := newWorld(t)
	v := w.vpc("10.0.0.0/16")
	front := w.group(v, egressAll())
	back := w.group(v, egressAll(), ingressTCP(80, "0.0.0.0/0"), ingressTCP(81, "0.0.0.0/0"))
	client, server := w.task(v, 0, front), w.task(v, 1, back)
	server.serve(80)
	server.serve(81)
	cut, _, err := client.dial(server.ip, 80)
	if err != nil {
		t.Fatal(err)
	}
	defer cut.Close()
	kept, _, err := client.dial(server.ip, 81)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	rule := v.Rules[len(v.Rules)-2]
	w.change(v, func() {
		v.Rules = slices.DeleteFunc(slices.Clone(v.Rules), func(r *model.SecurityGroupRule) bool { return r == rule })
	})
	if echo(cut, patience) {
		t.Error("the untracked connection goes on")
	}
	if !echo(kept, ample) {
		t.Error("another connection was cut")
	}
}

func TestPrivateSubnetWithoutNat(t *testing.T) {
	w := newWorld(t)
	v := w.vpc("10.0.0.0/16")
	g := w.group(v, egressAll())
	task := w.task(v, 1, g)
	w.outside().serveAt("198.19.0.10:443")
	task.fails(service, 443)
	// A public address does not help without a route.
	w.publish(v, task)
	task.fails(service, 443)
}

func TestNatGateway(t *testing.T) {
	w := newWorld(t)
	v := w.vpc("10.0.0.0/16")
	g := w.group(v, egressAll())
	one, two := w.task(v, 1, g), w.task(v, 1, g)
	gateway := w.natGateway(v)
	w.outside().serveAt("198.19.0.10:443")
	for _, task := range []*host{one, two} {
		if from := task.reaches(service, 443); from != gateway.PublicIP {
			t.Errorf("seen from %s, want %s", from, gateway.PublicIP)
		}
	}
	if _, _, err := one.dial(netip.MustParseAddr("203.0.113.1"), 443); !errors.Is(err, syscall.ENETUNREACH) && !errors.Is(err, syscall.EHOSTUNREACH) {
		t.Errorf("an unknown destination through the gateway: %v", err)
	}
	if path, err := exec.LookPath("ping"); err == nil {
		nettest.Exec(t, one.ns, path, "-c", "1", "-W", "10", service.String())
		if out, err := nettest.Output(one.ns, path, "-c", "1", "-W", "1", gateway.PrivateIP.String()); err == nil {
			t.Errorf("the gateway answers ping: %s", out)
		}
	}
	// Both from the same port at the same time.
	for _, task := range []*host{one, two} {
		c, err := dialFrom(w, task, netip.AddrPortFrom(task.ip, 40000), netip.AddrPortFrom(service, 443))
		if err != nil {
			t.Fatalf("from port 40000 of %s: %v", task.ip, err)
		}
		defer c.Close()
	}
	// Idle for too long: the gateway has forgotten the connection and resets it when it is used again.
	c, _, err := one.dial(service, 443)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ns, err := netns.Open(model.NatNetns(gateway.ID))
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	if n, err := conntrack.Delete(ns, func(f conntrack.Flow) bool { return f.Original.Src == one.ip }); err != nil || n == 0 {
		t.Fatalf("%d flows deleted, %v", n, err)
	}
	_ = c.SetDeadline(time.Now().Add(ample))
	_, _ = c.Write([]byte("ping"))
	if _, err := c.Read(make([]byte, 4)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a forgotten connection: %v, want a reset", err)
	}
	// Nothing gets in through it, and it answers nobody.
	w.outside().fails(gateway.PublicIP, 80)
	one.fails(gateway.PrivateIP, 80)
	// Deleted: nothing passes, and nothing is left.
	ns.Close()
	w.change(v, func() {
		edited := *v.NatGateways[0]
		edited.State = model.NatDeleting
		v.NatGateways[0] = &edited
	})
	one.fails(service, 443)
	if g := v.NatGateways[0]; g.Installed {
		t.Error("still noted as installed")
	}
}

func TestInternetGateway(t *testing.T) {
	w := newWorld(t)
	v := w.vpc("10.0.0.0/16")
	g := w.group(v, egressAll(), ingressTCP(80, "0.0.0.0/0"))
	public, bare := w.task(v, 0, g), w.task(v, 0, g)
	out := w.outside()
	out.serveAt("198.19.0.10:443")
	public.serve(80)
	bare.serve(80)
	address := w.publish(v, public)
	if from := public.reaches(service, 443); from != address {
		t.Errorf("seen from %s, want %s", from, address)
	}
	bare.fails(service, 443)
	if from := out.reaches(address, 80); from != model.OutsideClient {
		t.Errorf("client seen as %s", from)
	}
	out.fails(address, 81)
	// There is no Internet behind the edge, and it says so instead of keeping its clients waiting.
	if _, _, err := public.dial(netip.MustParseAddr("203.0.113.1"), 443); !errors.Is(err, syscall.ENETUNREACH) && !errors.Is(err, syscall.EHOSTUNREACH) {
		t.Errorf("an unknown destination: %v", err)
	}
	// Hairpin: by its own public address, and a neighbour by it.
	if from := public.reaches(address, 80); from != address {
		t.Errorf("hairpin seen from %s", from)
	}
	neighbour := w.publish(v, bare)
	if from := public.reaches(neighbour, 80); from != address {
		t.Errorf("neighbour sees %s", from)
	}
	// The address is taken away: established connections end too.
	c, _, err := out.dial(address, 80)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w.change(v, func() {
		edited := *public.eni
		edited.AutoPublicIP = netip.Addr{}
		v.Interfaces[slices.Index(v.Interfaces, public.eni)] = &edited
		public.eni = &edited
	})
	out.fails(address, 80)
	if echo(c, patience) {
		t.Error("a connection survived the loss of the address")
	}
	// The gateway is detached.
	w.change(v, func() { v.Gateway = nil })
	out.fails(neighbour, 80)
	bare.fails(service, 443)
}

func TestRestartAdopts(t *testing.T) {
	w := newWorld(t)
	v := w.vpc("10.0.0.0/16")
	g := w.group(v, egressAll(), ingressTCP(80, "0.0.0.0/0"))
	a, b := w.task(v, 0, g), w.task(v, 1, g)
	b.serve(80)
	address := w.publish(v, a)
	gateway := w.natGateway(v)
	out := w.outside()
	out.serveAt("198.19.0.10:443")
	a.serve(80)
	inside, _, err := a.dial(b.ip, 80)
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	natted, _, err := b.dial(service, 443)
	if err != nil {
		t.Fatal(err)
	}
	defer natted.Close()
	incoming, _, err := out.dial(address, 80)
	if err != nil {
		t.Fatal(err)
	}
	defer incoming.Close()
	for range 2 {
		w.net.Close()
		w.net = New(Config{Source: w, Services: []netip.Addr{service}})
		w.sync(v)
		if !echo(inside, ample) || !echo(natted, ample) || !echo(incoming, ample) {
			t.Fatal("a connection did not survive the restart")
		}
		a.reaches(b.ip, 80)
		if from := b.reaches(service, 443); from != gateway.PublicIP {
			t.Errorf("seen from %s", from)
		}
		out.reaches(address, 80)
		if err := w.net.AttachENI(w.ctx, a.eni); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDamageIsRepaired(t *testing.T) {
	nettest.Require(t)
	nettest.Tool(t, "nft")
	w := newWorld(t)
	v := w.vpc("10.0.0.0/16")
	g := w.group(v, egressAll(), ingressTCP(80, "self"))
	a, b := w.task(v, 0, g), w.task(v, 1, g)
	b.serve(80)
	gateway := w.natGateway(v)
	w.outside().serveAt("198.19.0.10:443")
	ns, err := netns.Open(model.VPCNetns(v.VPC.ID))
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	for _, damage := range [][]string{
		{"nft", "flush", "ruleset"},
		{"nft", "delete", "element", "inet", "neargate", "receivers", "{ " + model.VethName(b.eni.ID) + " }"},
		{"ip", "route", "flush", "table", "main"},
		{"ip", "rule", "del", "priority", "1000"},
		{"ip", "link", "del", "igw0"},
		{"ip", "link", "del", model.VethName(gateway.ENIID)},
	} {
		nettest.Exec(t, ns, damage[0], damage[1:]...)
		if err := w.net.Sweep(w.ctx); err != nil {
			t.Fatalf("after %v: %v", damage, err)
		}
		a.reaches(b.ip, 80)
		a.fails(b.ip, 81)
		if from := b.reaches(service, 443); from != gateway.PublicIP {
			t.Errorf("after %v: seen from %s", damage, from)
		}
	}
}

// TestLoadBalancerNamespace has one ENI per zone in one namespace: each answers and connects as itself.
func TestLoadBalancerNamespace(t *testing.T) {
	w := newWorld(t)
	v := w.vpc("10.0.0.0/16")
	g := w.group(v, egressAll(), ingressTCP(80, "0.0.0.0/0"))
	server, client := w.task(v, 1, g), w.task(v, 0, g)
	server.serve(80)
	var nodes []*host
	for i := range 2 {
		eni := w.record(v, i, g)
		eni.OwnerKind, eni.OwnerID, eni.DeviceIndex = model.OwnerLoadBalancer, "0123456789abcdef", i+1
		nodes = append(nodes, w.attach(eni))
	}
	nodes[0].serve(80)
	for _, n := range nodes {
		client.reaches(n.ip, 80)
		c, err := dialFrom(w, n, netip.AddrPortFrom(n.ip, 0), netip.AddrPortFrom(server.ip, 80))
		if err != nil {
			t.Fatalf("from %s: %v", n.ip, err)
		}
		c.Close()
	}
	for range 2 { // a second time changes nothing
		for _, n := range nodes {
			if err := w.net.AttachENI(w.ctx, n.eni); err != nil {
				t.Fatal(err)
			}
			client.reaches(n.ip, 80)
		}
	}
}
