package gateway

import (
	"net/netip"
	"testing"
	"time"

	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
	"github.com/neargate/neargate/internal/store/storetest"
)

func TestPlanNat(t *testing.T) {
	cases := []struct {
		name        string
		nat         model.NatGateway
		hasInternet bool
		age         time.Duration
		want        step
	}{
		{"new", model.NatGateway{State: model.NatPending}, true, 0, wait},
		{"wired", model.NatGateway{State: model.NatPending, Installed: true}, true, 0, open},
		{"no internet gateway", model.NatGateway{State: model.NatPending, Installed: true}, false, 0, refuse},
		{"in use", model.NatGateway{State: model.NatAvailable, Installed: true}, true, 0, wait},
		{"in use, internet gateway gone", model.NatGateway{State: model.NatAvailable, Installed: true}, false, 0, wait},
		{"being taken down", model.NatGateway{State: model.NatDeleting, Installed: true}, true, 0, wait},
		{"taken down", model.NatGateway{State: model.NatDeleting}, true, 0, close},
		{"deleted", model.NatGateway{State: model.NatDeleted}, true, time.Minute, wait},
		{"deleted long ago", model.NatGateway{State: model.NatDeleted}, true, time.Hour, forget},
		{"failed long ago", model.NatGateway{State: model.NatFailed}, true, 2 * time.Hour, forget},
	}
	for _, c := range cases {
		if got := planNat(&c.nat, c.hasInternet, c.age); got != c.want {
			t.Errorf("%s: step %d, want %d", c.name, got, c.want)
		}
	}
}

func TestDeletionGivesEverythingBack(t *testing.T) {
	db, tables := storetest.New(t)
	g := New(db, tables, clock.Fixed(time.Unix(1e9, 0)))
	ip := netip.MustParseAddr("10.0.0.5")
	put := func(change func(*model.NatGateway)) {
		t.Helper()
		err := db.Update(t.Context(), func(tx *store.Txn) error {
			if tables.NatGateways.Edit(tx, "nat-1", change) {
				return nil
			}
			tables.InternetGateways.Put(tx, &model.InternetGateway{ID: "igw-1", VPCID: "vpc-1"})
			tables.Addresses.Put(tx, &model.Address{AllocationID: "eipalloc-1", AssociationID: "eipassoc-1", ENIID: "eni-1", PrivateIP: ip})
			tables.NetworkInterfaces.Put(tx, &model.NetworkInterface{ID: "eni-1", VPCID: "vpc-1", PrivateIPs: []netip.Addr{ip}})
			nat := &model.NatGateway{ID: "nat-1", VPCID: "vpc-1", ENIID: "eni-1", AllocationID: "eipalloc-1", AssociationID: "eipassoc-1", State: model.NatPending}
			change(nat)
			tables.NatGateways.Put(tx, nat)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.Reconcile(t.Context(), "nat-1"); err != nil {
			t.Fatal(err)
		}
	}
	state := func() string {
		nat, _ := tables.NatGateways.Get(db.View(), "nat-1")
		return nat.State
	}
	put(func(n *model.NatGateway) { n.Installed = true })
	if got := state(); got != model.NatAvailable {
		t.Fatalf("state %s after it was wired", got)
	}
	put(func(n *model.NatGateway) { n.State = model.NatDeleting })
	if got := state(); got != model.NatDeleting {
		t.Fatalf("state %s while it is still wired", got)
	}
	put(func(n *model.NatGateway) { n.Installed = false })
	if got := state(); got != model.NatDeleted {
		t.Fatalf("state %s after it was taken down", got)
	}
	address, _ := tables.Addresses.Get(db.View(), "eipalloc-1")
	if address.AssociationID != "" || tables.NetworkInterfaces.Len(db.View()) != 0 {
		t.Errorf("address %+v, %d interfaces left", address, tables.NetworkInterfaces.Len(db.View()))
	}
}
