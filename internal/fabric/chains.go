package fabric

import (
	"github.com/neargate/neargate/internal/fabric/firewall"
	"github.com/neargate/neargate/internal/fabric/mark"
	"github.com/neargate/neargate/internal/ruleset"
)

func verdict(k ruleset.VerdictKind, chain string) []ruleset.Action {
	return []ruleset.Action{ruleset.Verdict{Kind: k, Chain: chain}}
}

func iif(name string) []ruleset.Match {
	return []ruleset.Match{ruleset.Is{Field: ruleset.IIF, Value: ruleset.IfKey(name)}}
}

func oif(name string) []ruleset.Match {
	return []ruleset.Match{ruleset.Is{Field: ruleset.OIF, Value: ruleset.IfKey(name)}}
}

// baseChains are the steps that each packet takes, in order (docs/design/packet-path.md).
func (c *compiler) baseChains() []ruleset.Chain {
	hasGateway := c.in.Gateway != nil
	chains := []ruleset.Chain{c.prerouting(hasGateway), c.input(), c.forward(hasGateway)}
	if hasGateway {
		chains = append(chains, c.gatewayChains()...)
	}
	return append(chains,
		ruleset.Chain{Name: firewall.RefusedOut, Rules: refuse(ruleset.IIF, setNotOut)},
		ruleset.Chain{Name: firewall.RefusedIn, Rules: refuse(ruleset.OIF, setNotIn)},
	)
}

// refuse drops a packet and counts it for its interface.
func refuse(field ruleset.Field, counter string) []ruleset.Rule {
	return []ruleset.Rule{
		{Matches: []ruleset.Match{ruleset.In{Fields: []ruleset.Field{field}, Set: counter}}, Actions: verdict(ruleset.Drop, "")},
		{Actions: verdict(ruleset.Drop, "")},
	}
}

// prerouting gives the packet its mark and drops what does not come from where it says: one look-up does both. It lies
// before connection tracking, so that a spoofed packet leaves no trace there.
func (c *compiler) prerouting(hasGateway bool) ruleset.Chain {
	marked := ruleset.Rule{
		Matches: []ruleset.Match{ruleset.Is{Field: ruleset.Mark, Value: ruleset.MarkKey(0), Not: true}},
		Actions: verdict(ruleset.Accept, ""),
	}
	lookup := func(set string, fields ...ruleset.Field) ruleset.Rule {
		return ruleset.Rule{Actions: []ruleset.Action{ruleset.SetMarkBy{Fields: fields, Map: set}}}
	}
	rules := []ruleset.Rule{lookup(setOwn4, ruleset.IIF, ruleset.SAddr4), marked}
	if hasGateway {
		rules = append(rules, ruleset.Rule{Matches: iif(GatewayIf), Actions: verdict(ruleset.Goto, chainFromIGW)})
	}
	rules = append(rules,
		lookup(setOwn6, ruleset.IIF, ruleset.SAddr6),
		lookup(setUnchecked, ruleset.IIF),
		marked,
		ruleset.Rule{Matches: iif("lo"), Actions: verdict(ruleset.Accept, "")},
	)
	return ruleset.Chain{
		Name:  "prerouting",
		Hook:  &ruleset.Hook{Type: "filter", Point: "prerouting", Priority: ruleset.PriorityRaw},
		Rules: append(rules, refuse(ruleset.IIF, setSpoofed)...),
	}
}

// input lets nothing reach the router itself but queries to the resolver. AWS's router does not answer ping either.
func (c *compiler) input() ruleset.Chain {
	return ruleset.Chain{
		Name: "input",
		Hook: &ruleset.Hook{Type: "filter", Point: "input", Priority: ruleset.PriorityFilter, Drop: true},
		Rules: []ruleset.Rule{
			{Matches: iif("lo"), Actions: verdict(ruleset.Accept, "")},
			{
				Matches: []ruleset.Match{ruleset.In{Fields: []ruleset.Field{ruleset.DAddr4, ruleset.L4Proto, ruleset.DPort}, Set: setResolver}},
				Actions: verdict(ruleset.Accept, ""),
			},
		},
	}
}

// forward lets known flows pass and leads new ones through the sender's gate and then the receiver's. A gate that is
// not found lets nothing pass: only a sender's gate (or the gateway) sets the mark that the third rule asks for, and a
// receiver's number is never a sender's.
func (c *compiler) forward(hasGateway bool) ruleset.Chain {
	rules := []ruleset.Rule{
		{Matches: []ruleset.Match{ruleset.State{Mask: ruleset.Established | ruleset.Related}}, Actions: verdict(ruleset.Accept, "")},
		{Matches: []ruleset.Match{ruleset.State{Mask: ruleset.Invalid}}, Actions: verdict(ruleset.Drop, "")},
		{Actions: []ruleset.Action{ruleset.VerdictBy{Fields: []ruleset.Field{ruleset.LowMark}, Map: firewall.SenderMap}}},
		{Matches: []ruleset.Match{ruleset.Is{Field: ruleset.Mark, Value: ruleset.MarkKey(mark.Passed), Not: true}}, Actions: verdict(ruleset.Drop, "")},
	}
	if hasGateway {
		rules = append(rules, ruleset.Rule{Matches: oif(GatewayIf), Actions: verdict(ruleset.Goto, chainToIGW)})
	}
	return ruleset.Chain{
		Name: "forward",
		Hook: &ruleset.Hook{Type: "filter", Point: "forward", Priority: ruleset.PriorityFilter, Drop: true},
		Rules: append(rules,
			ruleset.Rule{Actions: []ruleset.Action{ruleset.SetMarkBy{Fields: []ruleset.Field{ruleset.OIF}, Map: setReceivers}}},
			ruleset.Rule{Actions: []ruleset.Action{ruleset.VerdictBy{Fields: []ruleset.Field{ruleset.Mark}, Map: firewall.ReceiverMap}}},
		),
	}
}

// gatewayChains translate one public address to one private address and back, and let nothing else through.
func (c *compiler) gatewayChains() []ruleset.Chain {
	var from []ruleset.Rule
	for _, b := range c.in.VPC.CIDRs {
		from = append(from, ruleset.Rule{
			Matches: []ruleset.Match{ruleset.Within{Field: ruleset.SAddr4, Prefix: b.Block.Masked()}},
			Actions: verdict(ruleset.Drop, ""),
		})
	}
	from = append(from,
		ruleset.Rule{
			Matches: []ruleset.Match{ruleset.In{Fields: []ruleset.Field{ruleset.DAddr4}, Set: setPublic}},
			Actions: []ruleset.Action{ruleset.SetMark{Value: mark.Passed}, ruleset.Verdict{Kind: ruleset.Accept}},
		},
		ruleset.Rule{Actions: verdict(ruleset.Drop, "")},
	)
	return []ruleset.Chain{
		{
			Name:  "to-private",
			Hook:  &ruleset.Hook{Type: "nat", Point: "prerouting", Priority: ruleset.PriorityDstNAT},
			Rules: []ruleset.Rule{{Matches: iif(GatewayIf), Actions: []ruleset.Action{ruleset.NATBy{Map: setToPrivate}}}},
		},
		{
			Name:  "to-public",
			Hook:  &ruleset.Hook{Type: "nat", Point: "postrouting", Priority: ruleset.PrioritySrcNAT},
			Rules: []ruleset.Rule{{Matches: oif(GatewayIf), Actions: []ruleset.Action{ruleset.NATBy{Source: true, Map: setToPublic}}}},
		},
		{Name: chainFromIGW, Rules: from},
		{Name: chainToIGW, Rules: []ruleset.Rule{
			{
				Matches: []ruleset.Match{ruleset.In{Fields: []ruleset.Field{ruleset.SAddr4}, Set: setHasPublic}},
				Actions: verdict(ruleset.Accept, ""),
			},
			{Actions: verdict(ruleset.Drop, "")},
		}},
	}
}
