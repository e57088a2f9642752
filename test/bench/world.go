package main

import (
	"context"
	"log/slog"
	"net/netip"

	"github.com/neargate/neargate/internal/linux/netns"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/node/network"
	"github.com/neargate/neargate/internal/reconcile"
	"github.com/neargate/neargate/internal/store"
	"github.com/neargate/neargate/internal/store/mem"
)

// world is a store in memory and the network that follows it, as the daemon has them.
type world struct {
	ctx    context.Context
	db     *store.DB
	tables *store.Tables
	net    *network.Network
}

func newWorld(ctx context.Context) (*world, error) {
	quiet := slog.New(slog.DiscardHandler)
	db, tables, err := store.OpenTables(ctx, mem.New(), store.Options{Log: quiet})
	if err != nil {
		return nil, err
	}
	records := network.NewRecords(db, tables)
	w := &world{ctx: ctx, db: db, tables: tables, net: network.New(network.Config{Source: records, Log: quiet})}
	// The loop runs as it does in the daemon: what it does about a change that was already made so is part of the price.
	go func() {
		_ = w.net.Loop(reconcile.Options[string]{Workers: 1, Log: quiet}, records.Sources(ctx)...).Run(ctx)
	}()
	return w, nil
}

func (w *world) update(fn func(tx *store.Txn)) error {
	return w.db.Update(w.ctx, func(tx *store.Txn) error { fn(tx); return nil })
}

var anywhere = netip.MustParsePrefix("0.0.0.0/0")

// Subnets of a VPC; the last one is for ENIs that are records only.
var blocks = []netip.Prefix{netip.MustParsePrefix("10.0.1.0/24"), netip.MustParsePrefix("10.0.2.0/24"), netip.MustParsePrefix("10.0.128.0/17")}

// vpc is a VPC with an internet gateway.
type vpc struct {
	w       *world
	id      string
	subnets []string
	next    []netip.Addr // free address of each subnet
}

func (w *world) vpc() (*vpc, error) {
	v := &vpc{w: w, id: model.NewID(model.PrefixVPC)}
	block, table := netip.MustParsePrefix("10.0.0.0/16"), model.NewID("rtb")
	err := w.update(func(tx *store.Txn) {
		v.subnets, v.next = nil, nil
		w.tables.VPCs.Put(tx, &model.VPC{ID: v.id, CIDRs: []model.VPCCIDR{{Block: block}}, MainRouteTableID: table, DNSSupport: true})
		gateway := &model.InternetGateway{ID: model.NewID("igw"), VPCID: v.id}
		w.tables.InternetGateways.Put(tx, gateway)
		w.tables.RouteTables.Put(tx, &model.RouteTable{ID: table, VPCID: v.id, Associations: []model.RouteTableAssoc{{ID: model.NewID("rtbassoc"), Main: true}},
			Routes: []model.Route{{Destination: block, GatewayID: "local"}, {Destination: anywhere, GatewayID: gateway.ID}}})
		for i, b := range blocks {
			s := &model.Subnet{ID: model.NewID(model.PrefixSubnet), VPCID: v.id, CIDR: b, AZ: "us-east-1" + string("aba"[i])}
			w.tables.Subnets.Put(tx, s)
			v.subnets = append(v.subnets, s.ID)
			first := b.Addr()
			for range 10 {
				first = first.Next()
			}
			v.next = append(v.next, first)
		}
	})
	return v, err
}

// group makes a security group that lets everything out, with more rules.
func (v *vpc) group(rules ...model.SecurityGroupRule) (string, error) {
	id := model.NewID(model.PrefixSecurityGroup)
	rules = append(rules, model.SecurityGroupRule{Egress: true, Protocol: model.ProtoAll, From: -1, To: -1, CIDR: anywhere})
	return id, v.w.update(func(tx *store.Txn) {
		v.w.tables.SecurityGroups.Put(tx, &model.SecurityGroup{ID: id, VPCID: v.id, Name: id})
		for _, r := range rules {
			r.ID, r.GroupID = model.NewID(model.PrefixSecurityGroupRule), id
			v.w.tables.SecurityGroupRules.Put(tx, &r)
		}
	})
}

func ingress(port int, from string) model.SecurityGroupRule {
	r := model.SecurityGroupRule{Protocol: model.ProtoTCP, From: port, To: port}
	if p, err := netip.ParsePrefix(from); err == nil {
		r.CIDR = p
	} else {
		r.RefGroupID = from
	}
	return r
}

// eni returns a task's ENI with the next address of the subnet, as a record that is not written yet.
func (v *vpc) eni(subnet int, groups ...string) *model.NetworkInterface {
	address := v.next[subnet]
	v.next[subnet] = address.Next()
	return &model.NetworkInterface{
		ID: model.NewID(model.PrefixENI), VPCID: v.id, SubnetID: v.subnets[subnet], PrivateIPs: []netip.Addr{address}, MAC: model.NewMAC(), Groups: groups,
		SourceDestCheck: true, Status: model.ENIInUse, DeviceIndex: 1, OwnerKind: model.OwnerTask, OwnerID: model.NewTaskID(),
	}
}

// put writes the records of ENIs.
func (v *vpc) put(enis ...*model.NetworkInterface) error {
	return v.w.update(func(tx *store.Txn) {
		for _, e := range enis {
			v.w.tables.NetworkInterfaces.Put(tx, e)
		}
	})
}

// crowd writes the records of many ENIs that are not wired; packets meet them in the sets of the packet filter.
func (v *vpc) crowd(n int, groups ...string) error {
	var enis []*model.NetworkInterface
	for range n {
		enis = append(enis, v.eni(2, groups...))
	}
	return v.put(enis...)
}

// host is a namespace with an address.
type host struct {
	ns      *netns.Namespace
	address netip.Addr
}

// attach writes an ENI's record and wires it.
func (v *vpc) attach(e *model.NetworkInterface) (host, error) {
	if err := v.put(e); err != nil {
		return host{}, err
	}
	if err := v.w.net.AttachENI(v.w.ctx, e); err != nil {
		return host{}, err
	}
	ns, err := netns.Open(e.Netns())
	return host{ns: ns, address: e.PrimaryIP()}, err
}
