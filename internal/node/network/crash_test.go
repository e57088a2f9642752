package network

import (
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"sync"
	"testing"

	"github.com/neargate/neargate/internal/fabric"
	"github.com/neargate/neargate/internal/linux/link"
	"github.com/neargate/neargate/internal/linux/netns"
	"github.com/neargate/neargate/internal/linux/nft"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/ruleset"
	"github.com/neargate/neargate/internal/testkit/nettest"
)

// TestHalfMade starts from what a daemon leaves that was killed somewhere in between.
func TestHalfMade(t *testing.T) {
	w := newWorld(t)
	v := w.vpc("10.0.0.0/16")
	g := w.group(v, egressAll(), ingressTCP(80, "self"))
	a, b := w.record(v, 0, g), w.record(v, 1, g)
	// The VPC's namespace is there, with a table of our name from some other version and half of a gateway.
	router := mustCreate(t, model.VPCNetns(v.VPC.ID))
	c, err := nft.Open(router)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.Replace(&ruleset.Table{
		Sets:   []ruleset.Set{{Name: "own4", Key: []ruleset.Type{ruleset.IfName}}},
		Chains: []ruleset.Chain{{Name: "forward", Hook: &ruleset.Hook{Type: "filter", Point: "forward", Priority: 5, Drop: true}}, {Name: "old"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	near, err := link.Open(router)
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	// One task has a link without an address, and one a namespace file without a namespace.
	far, err := link.Open(mustCreate(t, a.Netns()))
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	if _, err := near.EnsureVeth(link.End{Name: model.VethName(a.ID), MAC: edgeMAC}, far, link.End{Name: "eth1", MAC: edgeMAC}, 1500); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(netns.Path(b.Netns()), nil, 0o444); err != nil {
		t.Fatal(err)
	}
	// An ENI that has no record any more.
	if _, err := near.EnsureVeth(link.End{Name: "ngdeadbeef", MAC: edgeMAC}, far, link.End{Name: "eth9", MAC: edgeMAC}, 1500); err != nil {
		t.Fatal(err)
	}
	client, server := w.attach(a), w.attach(b)
	server.serve(80)
	client.reaches(server.ip, 80)
	client.fails(server.ip, 81)
	if links := nettest.Links(t, client.ns); !slices.Equal(links, []string{"lo", "eth1"}) {
		t.Errorf("links of the task: %v", links)
	}
	// A link in the place of the gateway that leads nowhere near the edge.
	if _, err := near.EnsureVeth(link.End{Name: "ngfeed", MAC: edgeMAC}, far, link.End{Name: "eth8", MAC: edgeMAC}, 1500); err != nil {
		t.Fatal(err)
	}
	w.net.Close()
	w.net = New(Config{Source: w, Services: []netip.Addr{service}})
	nettest.Tool(t, "ip")
	nettest.Exec(t, router, "ip", "link", "del", "igw0")
	nettest.Exec(t, router, "ip", "link", "set", "ngfeed", "name", "igw0")
	w.outside().serveAt("198.19.0.10:443")
	w.publish(v, client)
	client.reaches(service, 443)
}

func mustCreate(t *testing.T, name string) *netns.Namespace {
	t.Helper()
	ns, err := netns.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	return ns
}

// TestCrowd attaches and detaches from all sides while rules change.
func TestCrowd(t *testing.T) {
	const tasks = 30
	w := newWorld(t)
	v := w.vpc("10.0.0.0/16")
	g := w.group(v, egressAll(), ingressTCP(80, "self"))
	stays := w.task(v, 0, g)
	stays.serve(80)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	var changes sync.WaitGroup
	changes.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			rule := &model.SecurityGroupRule{ID: fmt.Sprintf("sgr-%d", i), GroupID: g, Protocol: model.ProtoTCP, From: 100 + i, To: 100 + i, CIDR: anywhere}
			w.mu.Lock()
			v.Rules = append(slices.Clone(v.Rules), rule)
			if len(v.Rules) > 6 {
				v.Rules = slices.Delete(v.Rules, 2, 4)
			}
			w.rev++
			w.mu.Unlock()
			if _, err := w.net.Reconcile(w.ctx, v.VPC.ID); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for i := range tasks {
		eni := w.record(v, i%2, g)
		wg.Go(func() {
			if err := w.net.AttachENI(w.ctx, eni); err != nil {
				t.Error(err)
				return
			}
			ns, err := netns.Open(eni.Netns())
			if err != nil {
				t.Error(err)
				return
			}
			defer ns.Close()
			h := &host{w: w, eni: eni, ns: ns, ip: eni.PrimaryIP()}
			c, _, err := h.dial(stays.ip, 80)
			if err != nil {
				t.Errorf("%s: %v", h.ip, err)
				return
			}
			c.Close()
			if i%3 == 0 {
				return
			}
			if err := w.net.DetachENI(w.ctx, eni); err != nil {
				t.Error(err)
			}
			if err := netns.Delete(eni.Netns()); err != nil {
				t.Error(err)
			}
			w.mu.Lock()
			v.Interfaces = slices.DeleteFunc(slices.Clone(v.Interfaces), func(e *model.NetworkInterface) bool { return e == eni })
			w.rev++
			w.mu.Unlock()
		})
	}
	wg.Wait()
	close(stop)
	changes.Wait()
	w.sync(v)
	router, err := netns.Open(model.VPCNetns(v.VPC.ID))
	if err != nil {
		t.Fatal(err)
	}
	defer router.Close()
	want := 2 + len(v.Interfaces) // lo and igw0
	if links := nettest.Links(t, router); len(links) != want {
		t.Errorf("%d links, want %d: %v", len(links), want, links)
	}
	nettest.Tool(t, "nft")
	in, _, _ := w.VPC(v.VPC.ID)
	fresh := nettest.LoadRules(t, "ng-test-nft", fabric.Compile(in).Table.Script())
	if rules := nettest.Rules(t, router); stripCounts(rules) != stripCounts(fresh) {
		t.Error("the packet filter is not what a fresh compilation gives")
	}
}

var counted = regexp.MustCompile(`\\*"(packets|bytes)\\*":[0-9]+`)

// stripCounts makes listings comparable in which packets were counted.
func stripCounts(listing string) string { return counted.ReplaceAllString(listing, "$1") }
