package firewall

import (
	"maps"
	"slices"

	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/ruleset"
)

// box is what a rule allows besides addresses: one protocol and a port range, a range of protocols, or one or all ICMP
// types with one or all codes. Boxes of one list never overlap: the kernel refuses an element inside another.
type box struct {
	kind     byte
	outer    [2]int // protocol, or ICMP type
	inner    [2]int // port, or ICMP code
	because  []string
	hasInner bool
}

func (b *box) low(k *ruleset.Key) *ruleset.Key  { return b.corner(k, 0) }
func (b *box) high(k *ruleset.Key) *ruleset.Key { return b.corner(k, 1) }

func (b *box) corner(k *ruleset.Key, i int) *ruleset.Key {
	k.Byte(b.outer[i])
	if !b.hasInner {
		return k
	}
	if b.kind == kindPorts {
		return k.Port(b.inner[i])
	}
	return k.Byte(b.inner[i])
}

// boxes returns disjoint boxes that together allow what the rules allow, each with all rules that cover it.
func boxes(kind byte, rules []*model.SecurityGroupRule) []box {
	const maxByte, maxPort = 255, 65535
	// First along the outer field, then, within each piece, along the inner one.
	outer := make([]span, 0, len(rules))
	for _, r := range rules {
		s := span{low: r.Protocol, high: r.Protocol, rule: r}
		switch {
		case kind == kindICMP && r.From < 0:
			s.low, s.high = 0, maxByte
		case kind == kindICMP:
			s.low, s.high = r.From, r.From
		case r.Protocol == model.ProtoAll:
			s.low, s.high = 0, maxByte
		}
		outer = append(outer, s)
	}
	var out []box
	for _, o := range pieces(outer) {
		if kind == kindAny {
			out = append(out, box{kind: kind, outer: [2]int{o.low, o.high}, because: ids(o.rules)})
			continue
		}
		inner := make([]span, 0, len(o.rules))
		for _, r := range o.rules {
			s := span{low: r.From, high: r.To, rule: r}
			switch {
			case kind == kindICMP && (r.To < 0 || r.From < 0):
				s.low, s.high = 0, maxByte
			case kind == kindICMP:
				s.low, s.high = r.To, r.To
			case r.From < 0 || r.To < 0:
				s.low, s.high = 0, maxPort
			}
			inner = append(inner, s)
		}
		for _, i := range pieces(inner) {
			out = append(out, box{kind: kind, outer: [2]int{o.low, o.high}, inner: [2]int{i.low, i.high}, because: ids(i.rules), hasInner: true})
		}
	}
	return out
}

// span is the range of one rule along one field.
type span struct {
	low, high int
	rule      *model.SecurityGroupRule
}

// piece is a range in which the same rules apply throughout.
type piece struct {
	low, high int
	rules     []*model.SecurityGroupRule
}

// pieces cuts overlapping spans at each other's ends.
func pieces(spans []span) []piece {
	if len(spans) == 1 {
		return []piece{{low: spans[0].low, high: spans[0].high, rules: []*model.SecurityGroupRule{spans[0].rule}}}
	}
	starts := map[int][]int{} // where spans begin, by index
	cuts := map[int]bool{}
	for i, s := range spans {
		if s.high < s.low {
			continue
		}
		starts[s.low] = append(starts[s.low], i)
		cuts[s.low], cuts[s.high+1] = true, true
	}
	points := slices.Sorted(maps.Keys(cuts))
	var active []int
	var out []piece
	for i, at := range points {
		active = slices.DeleteFunc(active, func(j int) bool { return spans[j].high < at })
		active = append(active, starts[at]...)
		if len(active) == 0 {
			continue
		}
		p := piece{low: at, high: points[i+1] - 1}
		for _, j := range active {
			p.rules = append(p.rules, spans[j].rule)
		}
		out = append(out, p)
	}
	return out
}

func ids(rules []*model.SecurityGroupRule) []string {
	out := make([]string, 0, len(rules))
	for _, r := range rules {
		out = append(out, r.ID)
	}
	slices.Sort(out)
	return out
}
