package network

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/neargate/neargate/internal/linux/netns"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/reconcile"
	"github.com/neargate/neargate/internal/store"
	"github.com/neargate/neargate/internal/store/storetest"
	"github.com/neargate/neargate/internal/testkit/nettest"
)

// TestLoopFollowsTheStore runs the whole chain: a record is written, the loop sees it, packets obey.
func TestLoopFollowsTheStore(t *testing.T) {
	nettest.Require(t)
	w := newWorld(t) // for its records and its verbs; the Network under test reads the store
	db, tables := storetest.New(t)
	records := NewRecords(db, tables)
	w.net.Close()
	w.net = New(Config{Source: records, Services: []netip.Addr{service}})
	write := func(fn func(tx *store.Txn)) {
		t.Helper()
		if err := db.Update(w.ctx, func(tx *store.Txn) error { fn(tx); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	v := w.vpc("10.0.0.0/16")
	g := w.group(v, egressAll())
	write(func(tx *store.Txn) {
		tables.VPCs.Put(tx, v.VPC)
		for _, s := range v.Subnets {
			tables.Subnets.Put(tx, s)
		}
		for _, r := range v.RouteTables {
			tables.RouteTables.Put(tx, r)
		}
		tables.InternetGateways.Put(tx, v.Gateway)
		tables.SecurityGroups.Put(tx, &model.SecurityGroup{ID: g, VPCID: v.VPC.ID})
		for _, r := range v.Rules {
			tables.SecurityGroupRules.Put(tx, r)
		}
	})
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan error, 1)
	loop := w.net.Loop(reconcile.Options[string]{Workers: 2}, records.Sources(ctx)...)
	go func() { done <- loop.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	task := func() *host {
		eni := w.record(v, 0, g)
		write(func(tx *store.Txn) { tables.NetworkInterfaces.Put(tx, eni) })
		if err := (ByID{w.net}).AttachENI(w.ctx, eni.ID); err != nil {
			t.Fatal(err)
		}
		ns, err := netns.Open(eni.Netns())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ns.Close() })
		return &host{w: w, eni: eni, ns: ns, ip: eni.PrimaryIP()}
	}
	installed := func() {
		t.Helper()
		want := db.Revision()
		eventually(t, func() bool { return w.net.Installed(v.VPC.ID) >= want })
	}
	a, b := task(), task()
	b.serve(80)
	a.fails(b.ip, 80)
	rule := &model.SecurityGroupRule{ID: "sgr-0123456789abcdef0", GroupID: g, Protocol: model.ProtoTCP, From: 80, To: 80, RefGroupID: g}
	write(func(tx *store.Txn) { tables.SecurityGroupRules.Put(tx, rule) })
	installed()
	a.reaches(b.ip, 80)
	write(func(tx *store.Txn) { tables.SecurityGroupRules.Delete(tx, rule.ID) })
	installed()
	a.fails(b.ip, 80)
	// An Elastic IP comes and goes.
	w.outside().serveAt("198.19.0.10:443")
	a.fails(service, 443)
	address := &model.Address{AllocationID: "eipalloc-0123456789abcdef0", PublicIP: netip.MustParseAddr("198.18.0.77"), ENIID: a.eni.ID, PrivateIP: a.ip}
	write(func(tx *store.Txn) { tables.Addresses.Put(tx, address) })
	installed()
	if from := a.reaches(service, 443); from != address.PublicIP {
		t.Errorf("seen from %s", from)
	}
	write(func(tx *store.Txn) {
		tables.Addresses.Edit(tx, address.AllocationID, func(a *model.Address) { a.ENIID, a.PrivateIP = "", netip.Addr{} })
	})
	installed()
	a.fails(service, 443)
	// The ENI's record goes, and its link with it; detaching it afterwards is no error.
	write(func(tx *store.Txn) { tables.NetworkInterfaces.Delete(tx, b.eni.ID) })
	installed()
	if links := nettest.Links(t, b.ns); len(links) != 1 {
		t.Errorf("links of a deleted ENI: %v", links)
	}
	if err := (ByID{w.net}).DetachENI(w.ctx, b.eni.ID); err != nil {
		t.Error(err)
	}
	// The VPC goes.
	write(func(tx *store.Txn) {
		tables.NetworkInterfaces.Delete(tx, a.eni.ID)
		for _, s := range v.Subnets {
			tables.Subnets.Delete(tx, s.ID)
		}
		tables.VPCs.Delete(tx, v.VPC.ID)
	})
	eventually(t, func() bool { return !netns.Exists(model.VPCNetns(v.VPC.ID)) })
}

// eventually waits for something that has no event to wait for.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(ample); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen in time")
		}
	}
}
