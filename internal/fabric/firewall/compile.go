// Package firewall turns security groups and their rules into sets and chains.
//
// A packet of a new flow passes two independent gates: the egress rules of the sender's groups and the ingress rules of
// the receiver's groups. All groups of an ENI together are its group set; each group set has one chain per direction
// (out-..., in-...). A rule never becomes a rule of the kernel: all CIDR rules of a group with the same prefix length go
// into one interval set (prefixes of one length are equal or disjoint, so nothing nests, and there are never more
// elements than rules), and a rule that names a group is one look-up in the set of that group's addresses. A chain's
// length therefore depends on how many prefix lengths and referenced groups there are, not on rules or members.
// It knows nothing of hooks, routing and interfaces: see package fabric. Start at [Compile].
package firewall

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/neargate/neargate/internal/fabric/mark"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/ruleset"
)

// Chains that every packet of a refused flow ends in; package fabric makes them.
const (
	RefusedOut = "refused-out"
	RefusedIn  = "refused-in"
)

// Names of the maps from group set to chain.
const (
	SenderMap   = "sender"   // group set -> out-...
	ReceiverMap = "receiver" // mark.Receiver | group set -> in-...
)

// Input is what the security groups of one VPC consist of.
type Input struct {
	Rules []*model.SecurityGroupRule
	// Members are the addresses that belong to each group, each of a group's ENIs with all its private addresses.
	Members map[string][]netip.Addr
	// GroupSets are the distinct sets of groups that ENIs have, as [SetKey]s.
	GroupSets []string
}

// Output is what Compile makes.
type Output struct {
	Sets    []ruleset.Set
	Chains  []ruleset.Chain
	Numbers map[string]uint32 // of group sets, by key
}

// SetKey returns the identity of a set of groups: sorted, without duplicates.
func SetKey(groups []string) string {
	if len(groups) == 1 {
		return groups[0]
	}
	sorted := slices.Clone(groups)
	slices.Sort(sorted)
	return strings.Join(slices.Compact(sorted), ",")
}

// ChainSuffix returns the part of a group set's chain names that follows "out-" or "in-".
func ChainSuffix(key string) string {
	if !strings.Contains(key, ",") {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:8])
}

// Memo keeps what was compiled last time, so that groups whose rules have not changed are not compiled again. Records
// are never changed in place, so the same pointers mean the same rules. The zero value is an empty one.
type Memo struct {
	gates  map[gateKey]*gate
	chains map[string]chainMemo
}

// chainMemo is a chain's rules and the gates that they were put together from.
type chainMemo struct {
	gates []*gate
	rules []ruleset.Rule
}

// Compile makes the sets and chains of the group sets. Rules of groups that no group set contains make nothing. The
// memo may be nil; it changes nothing but the time that it takes.
func Compile(in Input, memo *Memo) Output {
	if memo == nil {
		memo = &Memo{}
	}
	keys := slices.Clone(in.GroupSets)
	slices.Sort(keys)
	keys = slices.Compact(keys)
	wanted := map[string]bool{}
	for _, k := range keys {
		for g := range strings.SplitSeq(k, ",") {
			wanted[g] = true
		}
	}
	gates := compileGates(in.Rules, wanted, memo.gates)
	chains := make(map[string]chainMemo, 2*len(keys))
	out := Output{Numbers: mark.AssignGroupSets(keys)}
	referenced := map[string]bool{}
	for _, g := range slices.SortedFunc(maps.Values(gates), func(a, b *gate) int { return strings.Compare(a.name(), b.name()) }) {
		out.Sets = append(out.Sets, g.sets...)
		for _, ref := range g.refs {
			referenced[ref] = true
		}
	}
	for _, group := range slices.Sorted(maps.Keys(referenced)) {
		out.Sets = append(out.Sets, memberSets(group, in.Members[group])...)
	}
	sender := ruleset.Set{Name: SenderMap, Key: []ruleset.Type{ruleset.Mark32}, Value: ruleset.VerdictValue}
	receiver := ruleset.Set{Name: ReceiverMap, Key: []ruleset.Type{ruleset.Mark32}, Value: ruleset.VerdictValue}
	add := func(number uint32, suffix string) {
		sender.Elements = append(sender.Elements, ruleset.Element{
			Key: ruleset.MarkKey(number), Verdict: ruleset.Verdict{Kind: ruleset.Jump, Chain: "out-" + suffix}})
		receiver.Elements = append(receiver.Elements, ruleset.Element{
			Key: ruleset.MarkKey(mark.Receiver | number), Verdict: ruleset.Verdict{Kind: ruleset.Goto, Chain: "in-" + suffix}})
	}
	for _, k := range keys {
		suffix := ChainSuffix(k)
		add(out.Numbers[k], suffix)
		for _, egress := range []bool{true, false} {
			name, refused := "in-"+suffix, RefusedIn
			if egress {
				name, refused = "out-"+suffix, RefusedOut
			}
			var parts []*gate
			for group := range strings.SplitSeq(k, ",") {
				if g := gates[gateKey{group: group, egress: egress}]; g != nil {
					parts = append(parts, g)
				}
			}
			c, ok := memo.chains[name]
			if !ok || !slices.Equal(c.gates, parts) {
				c = chainMemo{gates: parts}
				for _, g := range parts {
					c.rules = append(c.rules, g.rules...)
				}
				c.rules = append(c.rules, gotoRule(refused))
			}
			chains[name] = c
			out.Chains = append(out.Chains, ruleset.Chain{Name: name, Rules: c.rules})
		}
	}
	memo.gates, memo.chains = gates, chains
	add(mark.Open, "open")
	add(mark.Closed, "closed")
	out.Chains = append(out.Chains,
		ruleset.Chain{Name: "out-open", Rules: []ruleset.Rule{{Actions: allow(true)}}},
		ruleset.Chain{Name: "in-open", Rules: []ruleset.Rule{{Actions: allow(false)}}},
		ruleset.Chain{Name: "out-closed", Rules: []ruleset.Rule{gotoRule(RefusedOut)}},
		ruleset.Chain{Name: "in-closed", Rules: []ruleset.Rule{gotoRule(RefusedIn)}},
	)
	sortElements(sender.Elements)
	sortElements(receiver.Elements)
	out.Sets = append(out.Sets, sender, receiver)
	return out
}

func gotoRule(chain string) ruleset.Rule {
	return ruleset.Rule{Actions: []ruleset.Action{ruleset.Verdict{Kind: ruleset.Goto, Chain: chain}}}
}

// allow returns what lets a packet through a gate: the sender's gate leads on to the receiver's.
func allow(egress bool) []ruleset.Action {
	if egress {
		return []ruleset.Action{ruleset.SetMark{Value: mark.Passed}, ruleset.Verdict{Kind: ruleset.Return}}
	}
	return []ruleset.Action{ruleset.Verdict{Kind: ruleset.Accept}}
}

// memberSet returns the name of the set of a group's addresses of one family.
func memberSet(group string, v6 bool) string {
	if v6 {
		return "m6-" + group
	}
	return "m4-" + group
}

func memberSets(group string, members []netip.Addr) []ruleset.Set {
	four := ruleset.Set{Name: memberSet(group, false), Key: []ruleset.Type{ruleset.IPv4}}
	six := ruleset.Set{Name: memberSet(group, true), Key: []ruleset.Type{ruleset.IPv6}}
	for _, a := range members {
		if a.Is4() {
			four.Elements = append(four.Elements, ruleset.Element{Key: ruleset.AddrKey(a)})
		} else {
			six.Elements = append(six.Elements, ruleset.Element{Key: ruleset.AddrKey(a)})
		}
	}
	sortElements(four.Elements)
	sortElements(six.Elements)
	four.Elements = slices.CompactFunc(four.Elements, sameKey)
	six.Elements = slices.CompactFunc(six.Elements, sameKey)
	return []ruleset.Set{four, six}
}

func sameKey(a, b ruleset.Element) bool { return a.Key == b.Key }

func sortElements(es []ruleset.Element) {
	slices.SortFunc(es, func(a, b ruleset.Element) int { return strings.Compare(a.Key, b.Key) })
}
