package network

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/fabric"
	"github.com/neargate/neargate/internal/fabric/nat"
	"github.com/neargate/neargate/internal/linux/nft"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/ruleset"
	"github.com/neargate/neargate/internal/testkit/nettest"
)

// randomRules adds rules that overlap in all ways.
func (w *world) randomRules(v *fabric.VPC, r *rand.Rand, groups []string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for range n {
		rule := &model.SecurityGroupRule{ID: model.NewID(model.PrefixSecurityGroupRule), GroupID: groups[r.IntN(len(groups))], Egress: r.IntN(2) == 0,
			Protocol: []int{model.ProtoAll, model.ProtoTCP, model.ProtoTCP, model.ProtoTCP, model.ProtoUDP, model.ProtoICMP, 47}[r.IntN(7)], From: -1, To: -1}
		if rule.Protocol == model.ProtoTCP || rule.Protocol == model.ProtoUDP {
			rule.From = 80 + r.IntN(4)
			rule.To = rule.From + r.IntN(3)
		}
		switch r.IntN(4) {
		case 0, 1:
			rule.RefGroupID = groups[r.IntN(len(groups))]
		default:
			a := netip.AddrFrom4([4]byte{10, 0, byte(r.IntN(2)), byte(8 + r.IntN(16))})
			rule.CIDR = netip.PrefixFrom(a, []int{0, 16, 24, 28, 30, 31, 32}[r.IntN(7)]).Masked()
		}
		v.Rules = append(v.Rules, rule)
	}
}

// TestVerdictsAgree compares what fabric.Evaluate says with what a real packet does, pair by pair.
func TestVerdictsAgree(t *testing.T) {
	const vpcs, tasks, ports = 2, 6, 4
	r := rand.New(rand.NewPCG(3, 4))
	for range vpcs {
		w := newWorld(t)
		v := w.vpc("10.0.0.0/16")
		groups := []string{w.group(v), w.group(v), w.group(v)}
		w.randomRules(v, r, groups, 12)
		var hosts []*host
		for i := range tasks {
			h := w.task(v, i%2, groups[r.IntN(3)], groups[r.IntN(3)])
			for p := range ports {
				h.serve(80 + p)
			}
			hosts = append(hosts, h)
		}
		in, _, _ := w.VPC(v.VPC.ID)
		router := fabric.Compile(in)
		var wg sync.WaitGroup
		passes, drops := 0, 0
		for _, from := range hosts {
			for _, to := range hosts {
				for p := range ports {
					if from == to {
						continue
					}
					want := fabric.Evaluate(router, fabric.Packet{In: model.VethName(from.eni.ID), Src: from.ip, Dst: to.ip, Proto: model.ProtoTCP, SrcPort: 40000, DstPort: 80 + p})
					if want.Passes {
						passes++
					} else {
						drops++
					}
					wg.Go(func() {
						within := ample
						if !want.Passes {
							within = patience
						}
						c, _, err := from.dialWithin(to.ip, 80+p, within)
						if err == nil {
							c.Close()
						}
						if (err == nil) != want.Passes {
							t.Errorf("%s -> %s:%d: passes %t, Evaluate says %+v", from.ip, to.ip, 80+p, err == nil, want)
						}
					})
				}
			}
		}
		wg.Wait()
		if passes < 10 || drops < 10 {
			t.Errorf("%d pass, %d do not: not much of a test", passes, drops)
		}
		w.net.Close()
		if _, err := Remove(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestScriptsAndBatchesAgree loads compiled tables by `nft -f` and by our own batches, wholly and step by step.
func TestScriptsAndBatchesAgree(t *testing.T) {
	nettest.Require(t)
	nettest.Tool(t, "nft")
	r := rand.New(rand.NewPCG(5, 6))
	w := newWorld(t)
	v := w.vpc("10.0.0.0/16")
	groups := []string{w.group(v), w.group(v), w.group(v)}
	own := nettest.Namespace(t, "ng-test-own")
	conn, err := nft.Open(own)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var compiler fabric.Compiler
	var last *ruleset.Table
	for step := range 6 {
		w.randomRules(v, r, groups, 20)
		w.record(v, step%2, groups[r.IntN(3)], groups[r.IntN(3)])
		if step == 3 {
			v.Rules = v.Rules[30:]
			v.Interfaces = v.Interfaces[1:]
			v.Gateway = nil
		}
		in, _, _ := w.VPC(v.VPC.ID)
		table := &compiler.Compile(in).Table
		if last == nil {
			err = conn.Replace(table)
		} else {
			err = conn.Update(last, table)
		}
		if err != nil {
			t.Fatal(err)
		}
		last = table
		if diff := cmp.Diff(nettest.LoadRules(t, fmt.Sprint("ng-test-nft-", step), table.Script()), nettest.Rules(t, own)); diff != "" {
			t.Fatalf("step %d (-nft +own):\n%s", step, diff)
		}
	}
	table := nat.Compile(netip.MustParseAddr("10.0.0.9"))
	if err := conn.Replace(table); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(nettest.LoadRules(t, "ng-test-nft-nat", table.Script()), nettest.Rules(t, own)); diff != "" {
		t.Fatalf("NAT gateway (-nft +own):\n%s", diff)
	}
}
