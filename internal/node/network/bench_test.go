package network

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/neargate/neargate/internal/fabric"
	"github.com/neargate/neargate/internal/model"
)

// crowd makes the records of n more ENIs without wiring them; their rules are in force all the same.
func (w *world) crowd(v *fabric.VPC, n int, groups ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := &model.Subnet{ID: model.NewID(model.PrefixSubnet), VPCID: v.VPC.ID, CIDR: netip.MustParsePrefix("10.0.128.0/17")}
	v.Subnets = append(v.Subnets, s)
	a := s.CIDR.Addr()
	for range n {
		a = a.Next()
		v.Interfaces = append(v.Interfaces, &model.NetworkInterface{
			ID: model.NewID(model.PrefixENI), VPCID: v.VPC.ID, SubnetID: s.ID, PrivateIPs: []netip.Addr{a}, MAC: model.NewMAC(),
			Groups: groups, SourceDestCheck: true, DeviceIndex: 1, OwnerKind: model.OwnerTask, OwnerID: model.NewTaskID(),
		})
	}
}

// manyRules adds n CIDR rules to a group.
func (w *world) manyRules(v *fabric.VPC, group string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range n {
		v.Rules = append(v.Rules, &model.SecurityGroupRule{
			ID: model.NewID(model.PrefixSecurityGroupRule), GroupID: group, Protocol: model.ProtoTCP, From: 1000 + i, To: 1000 + i,
			CIDR: netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 16, byte(i >> 8), byte(i)}), 24+i%9).Masked(),
		})
	}
}

func BenchmarkAttachENI(b *testing.B) {
	for _, others := range []int{2, 500} {
		b.Run(fmt.Sprintf("others=%d", others), func(b *testing.B) {
			w := newWorld(b)
			v := w.vpc("10.0.0.0/16")
			g := w.group(v, egressAll(), ingressTCP(80, "self"))
			w.crowd(v, others, g)
			w.sync(v)
			var times []time.Duration
			for b.Loop() {
				eni := w.record(v, 0, g)
				start := time.Now()
				if err := w.net.AttachENI(w.ctx, eni); err != nil {
					b.Fatal(err)
				}
				times = append(times, time.Since(start))
			}
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "ms-median")
			b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "ms-p99")
		})
	}
}

// BenchmarkRuleChange is the time from a change of the records to its being in force for all 500 members.
func BenchmarkRuleChange(b *testing.B) {
	w := newWorld(b)
	v := w.vpc("10.0.0.0/16")
	g := w.group(v, egressAll(), ingressTCP(80, "self"))
	w.manyRules(v, g, 1000)
	w.crowd(v, 500, g)
	w.sync(v)
	rule := &model.SecurityGroupRule{ID: "sgr-1", GroupID: g, Protocol: model.ProtoTCP, From: 8080, To: 8080, CIDR: anywhere}
	for b.Loop() {
		w.change(v, func() { v.Rules = append(v.Rules, rule) })
		w.change(v, func() { v.Rules = v.Rules[:len(v.Rules)-1] })
	}
}

func BenchmarkRestart(b *testing.B) {
	w := newWorld(b)
	v := w.vpc("10.0.0.0/16")
	g := w.group(v, egressAll(), ingressTCP(80, "self"))
	w.manyRules(v, g, 1000)
	w.crowd(v, 500, g)
	w.sync(v)
	for b.Loop() {
		w.net.Close()
		w.net = New(Config{Source: w})
		w.sync(v)
	}
}
