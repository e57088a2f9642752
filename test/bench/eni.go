package main

import (
	"context"
	"fmt"
	"net/netip"
	"time"
)

// enisPerRun is how many ENIs one run makes; a p99 over all runs needs some.
const enisPerRun = 40

// wireENIs measures an ENI from its record to the moment at which it can be used, the namespace of its task included, in a
// VPC with few others and in one with 500; the baseline is a namespace, a veth pair, addresses and a route.
func wireENIs(ctx context.Context, b *inside) ([]Row, error) {
	w, err := newWorld(ctx)
	if err != nil {
		return nil, err
	}
	var makers []func() (time.Duration, error)
	for _, others := range []int{0, manyENIs} {
		v, err := w.vpc()
		if err != nil {
			return nil, err
		}
		group, err := v.group(ingress(80, "10.0.0.0/16"))
		if err != nil {
			return nil, err
		}
		if err := v.crowd(others, group); err != nil {
			return nil, err
		}
		makers = append(makers, func() (time.Duration, error) {
			e := v.eni(0, group)
			began := time.Now()
			h, err := v.attach(e)
			took := time.Since(began)
			if err == nil {
				h.ns.Close()
			}
			return took, err
		})
	}
	router, err := newPlain("bare-router")
	if err != nil {
		return nil, err
	}
	n := 0
	bare := func() (time.Duration, error) {
		n++
		began := time.Now()
		err := bareENI(router, n)
		return time.Since(began), err
	}
	for _, f := range append(makers, bare) { // the first one also makes its VPC
		if _, err := f(); err != nil {
			return nil, err
		}
	}
	var few, many pairs
	var fewAll, manyAll, bareAll []float64
	for run := range b.runs {
		var own, crowded, base []float64
		for range enisPerRun {
			for _, m := range []struct {
				f    func() (time.Duration, error)
				into *[]float64
			}{{makers[0], &own}, {bare, &base}, {makers[1], &crowded}} {
				took, err := m.f()
				if err != nil {
					return nil, err
				}
				*m.into = append(*m.into, took.Seconds()*1000)
			}
		}
		say("  run %d: %.2f ms, with 500 others %.2f ms, bare %.2f ms", run+1, median(own), median(crowded), median(base))
		few.add(median(own), median(base))
		many.add(median(crowded), median(base))
		fewAll, manyAll, bareAll = append(fewAll, own...), append(manyAll, crowded...), append(bareAll, base...)
	}
	tail := func(name string, all []float64) Row {
		value, base := percentile(all, 99), percentile(bareAll, 99)
		ratio := value / base
		r := Row{Name: name, Value: value, Unit: "ms", Baseline: &base, Ratio: &ratio, Runs: b.runs, Spread: [2]float64{percentile(all, 0), percentile(all, 100)}}
		r.setFloor(value, limit{AtMost: 15, isValue: true})
		return r
	}
	return []Row{
		few.row("ENI made and wired, median / netns, veth, address, route", "ms", limit{AtMost: 3, isValue: true}),
		tail("ENI made and wired, p99 / the same", fewAll),
		many.row("the same with 500 ENIs in the VPC, median", "ms", limit{AtMost: 3, isValue: true}),
		tail("the same with 500 ENIs in the VPC, p99", manyAll),
	}, nil
}

// bareENI makes a namespace that reaches others through the router.
func bareENI(router *plain, n int) error {
	p, err := newPlain(fmt.Sprintf("bare-%d", n))
	if err != nil {
		return err
	}
	defer p.close()
	third, fourth := byte(n>>6), byte(n<<2)
	gateway, own := netip.AddrFrom4([4]byte{10, 8, third, fourth + 1}), netip.AddrFrom4([4]byte{10, 8, third, fourth + 2})
	if err := router.join(fmt.Sprintf("v%d", n), netip.PrefixFrom(gateway, 30), p, "eth0", netip.PrefixFrom(own, 30)); err != nil {
		return err
	}
	return p.defaultRoute(gateway)
}
