// Package nat is the packet path of a NAT gateway's own namespace, which has one interface: the gateway's ENI.
//
// It translates the source of TCP, UDP and ICMP to the gateway's private address (the VPC's internet gateway then
// translates that to the Elastic IP), and forgets nothing silently: what belongs to no known flow is answered with RST,
// as AWS does after the idle time-out. Everything else, a ping to the gateway included, is dropped. Start at [Compile].
package nat

import (
	"net/netip"

	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/ruleset"
)

// LowPort and HighPort bound the source ports: 55,000 of them, which is AWS's limit of simultaneous connections to one
// destination, within AWS's range of 1024 to 65535.
const (
	LowPort  = 10536
	HighPort = 65535
)

// IdleSeconds is how long an idle flow is remembered.
const IdleSeconds = 350

// Compile makes the table of a NAT gateway with that private address.
func Compile(private netip.Addr) *ruleset.Table {
	proto := func(p int) []ruleset.Match {
		return []ruleset.Match{ruleset.Is{Field: ruleset.L4Proto, Value: string([]byte{byte(p)})}}
	}
	accept := []ruleset.Action{ruleset.Verdict{Kind: ruleset.Accept}}
	ports := []ruleset.Action{ruleset.SNATTo{Addr: private, Low: LowPort, High: HighPort}}
	return &ruleset.Table{Chains: []ruleset.Chain{
		{
			Name:  "input",
			Hook:  &ruleset.Hook{Type: "filter", Point: "input", Priority: ruleset.PriorityFilter, Drop: true},
			Rules: []ruleset.Rule{{Matches: []ruleset.Match{ruleset.Is{Field: ruleset.IIF, Value: ruleset.IfKey("lo")}}, Actions: accept}},
		},
		{
			Name: "forward",
			Hook: &ruleset.Hook{Type: "filter", Point: "forward", Priority: ruleset.PriorityFilter, Drop: true},
			Rules: []ruleset.Rule{
				{Matches: []ruleset.Match{ruleset.State{Mask: ruleset.Established | ruleset.Related}}, Actions: accept},
				{Matches: append(proto(model.ProtoTCP), ruleset.State{Mask: ruleset.Invalid}), Actions: []ruleset.Action{ruleset.Reset{}}},
				{Matches: []ruleset.Match{ruleset.State{Mask: ruleset.Invalid}}, Actions: []ruleset.Action{ruleset.Verdict{Kind: ruleset.Drop}}},
				{Matches: proto(model.ProtoTCP), Actions: accept},
				{Matches: proto(model.ProtoUDP), Actions: accept},
				{Matches: proto(model.ProtoICMP), Actions: accept},
			},
		},
		{
			Name: "postrouting",
			Hook: &ruleset.Hook{Type: "nat", Point: "postrouting", Priority: ruleset.PrioritySrcNAT},
			Rules: []ruleset.Rule{
				{Matches: proto(model.ProtoTCP), Actions: ports},
				{Matches: proto(model.ProtoUDP), Actions: ports},
				{Matches: proto(model.ProtoICMP), Actions: []ruleset.Action{ruleset.SNATTo{Addr: private}}},
			},
		},
	}}
}
