package ruleset

import (
	"fmt"
	"net/netip"
	"strings"
)

// Field is a part of a packet, or of what the kernel knows about it, that a rule can look at.
type Field uint8

// The fields. A packet that has no such field (an IPv6 address in an IPv4 packet, an ICMP type in TCP) does not match.
const (
	IIF Field = iota
	OIF
	Mark
	LowMark // the mark under LowMarkMask
	L4Proto
	SAddr4
	DAddr4
	SAddr6
	DAddr6
	DPort // second 16 bits of the transport header
	FieldICMPType
	FieldICMPCode
	FieldICMP6Type
	FieldICMP6Code
)

// LowMarkMask is the part of the mark that LowMark looks at.
const LowMarkMask = 0x000fffff

var fields = [...]struct {
	text string
	typ  Type
}{
	IIF: {"iifname", IfName}, OIF: {"oifname", IfName}, Mark: {"meta mark", Mark32}, LowMark: {"meta mark & 0x000fffff", Mark32},
	L4Proto: {"meta l4proto", Proto}, SAddr4: {"ip saddr", IPv4}, DAddr4: {"ip daddr", IPv4}, SAddr6: {"ip6 saddr", IPv6}, DAddr6: {"ip6 daddr", IPv6},
	DPort: {"th dport", Port}, FieldICMPType: {"icmp type", ICMPType}, FieldICMPCode: {"icmp code", ICMPCode},
	FieldICMP6Type: {"icmpv6 type", ICMP6Type}, FieldICMP6Code: {"icmpv6 code", ICMP6Code},
}

// String returns the field as nft writes it.
func (f Field) String() string { return fields[f].text }

// Type returns the type of the field's values.
func (f Field) Type() Type { return fields[f].typ }

// Rule does its Actions on packets that match all of Matches.
type Rule struct {
	Matches []Match
	Actions []Action
	// Because names the record that this rule comes from; it is not put into the kernel.
	Because []string
}

// Match is one condition: [In], [Is], [Within], [Family] or [State].
type Match interface {
	fmt.Stringer
	isMatch()
}

// In matches packets whose fields are in the set; Not inverts it.
type In struct {
	Fields []Field
	Set    string
	Not    bool
}

// Is matches packets whose field has that value, given as for a one-field key; Not inverts it.
type Is struct {
	Field Field
	Value string
	Not   bool
}

// Within matches packets whose address field lies in the prefix.
type Within struct {
	Field  Field
	Prefix netip.Prefix
}

// Family matches all packets of IPv4, or of IPv6.
type Family struct{ V6 bool }

// State matches packets by the state of their flow.
type State struct{ Mask ConnState }

// ConnState is a set of connection-tracking states, with the kernel's bits.
type ConnState uint32

// The states.
const (
	Invalid     ConnState = 1
	Established ConnState = 2
	Related     ConnState = 4
	New         ConnState = 8
)

// Action is what a rule does: [Verdict], [VerdictBy], [SetMark], [SetMarkBy], [NATBy], [SNATTo] or [Reset].
type Action interface {
	fmt.Stringer
	isAction()
}

// VerdictKind is what becomes of a packet.
type VerdictKind uint8

// The kinds. Continue is the zero value: go on with the next rule.
const (
	Continue VerdictKind = iota
	Accept
	Drop
	Return
	Jump
	Goto
)

// Verdict ends a rule; Chain is the target of Jump and Goto.
type Verdict struct {
	Kind  VerdictKind
	Chain string
}

// VerdictBy takes the verdict from a map; a packet whose key is not there goes on with the next rule.
type VerdictBy struct {
	Fields []Field
	Map    string
}

// SetMark sets the packet's mark.
type SetMark struct{ Value uint32 }

// SetMarkBy sets the mark from a map; a packet whose key is not there goes on with the next rule.
type SetMarkBy struct {
	Fields []Field
	Map    string
}

// NATBy translates the source (or the destination) address of a new flow by a map of IPv4 addresses, whose key is
// that same address.
type NATBy struct {
	Source bool
	Map    string
}

// SNATTo gives a new flow that source address and, if Low is not 0, a source port in the range.
type SNATTo struct {
	Addr      netip.Addr
	Low, High uint16
}

// Reset answers a TCP packet with RST and drops it.
type Reset struct{}

func (In) isMatch()     {}
func (Is) isMatch()     {}
func (Within) isMatch() {}
func (Family) isMatch() {}
func (State) isMatch()  {}

func (Verdict) isAction()   {}
func (VerdictBy) isAction() {}
func (SetMark) isAction()   {}
func (SetMarkBy) isAction() {}
func (NATBy) isAction()     {}
func (SNATTo) isAction()    {}
func (Reset) isAction()     {}

func fieldsText(fs []Field) string {
	parts := make([]string, 0, len(fs))
	for _, f := range fs {
		parts = append(parts, f.String())
	}
	return strings.Join(parts, " . ")
}

// String returns the match as nft reads it.
func (m In) String() string {
	op := " @"
	if m.Not {
		op = " != @"
	}
	return fieldsText(m.Fields) + op + m.Set
}

// String returns the match as nft reads it.
func (m Is) String() string {
	op := " "
	if m.Not {
		op = " != "
	}
	return m.Field.String() + op + m.Field.Type().text(m.Value)
}

// String returns the match as nft reads it.
func (m Within) String() string { return m.Field.String() + " " + m.Prefix.String() }

// String returns the match as nft reads it.
func (m Family) String() string {
	if m.V6 {
		return "meta nfproto ipv6"
	}
	return "meta nfproto ipv4"
}

// String returns the match as nft reads it.
func (m State) String() string {
	var names []string
	for _, s := range []struct {
		bit  ConnState
		name string
	}{{Invalid, "invalid"}, {Established, "established"}, {Related, "related"}, {New, "new"}} {
		if m.Mask&s.bit != 0 {
			names = append(names, s.name)
		}
	}
	return "ct state " + strings.Join(names, ",")
}

// String returns the verdict as nft reads it.
func (v Verdict) String() string {
	switch v.Kind {
	case Accept:
		return "accept"
	case Drop:
		return "drop"
	case Return:
		return "return"
	case Jump:
		return "jump " + v.Chain
	case Goto:
		return "goto " + v.Chain
	}
	return "continue"
}

// String returns the action as nft reads it.
func (a VerdictBy) String() string { return fieldsText(a.Fields) + " vmap @" + a.Map }

// String returns the action as nft reads it.
func (a SetMark) String() string { return "meta mark set " + markText(a.Value) }

// String returns the action as nft reads it.
func (a SetMarkBy) String() string { return "meta mark set " + fieldsText(a.Fields) + " map @" + a.Map }

// String returns the action as nft reads it.
func (a NATBy) String() string {
	if a.Source {
		return "snat ip to ip saddr map @" + a.Map
	}
	return "dnat ip to ip daddr map @" + a.Map
}

// String returns the action as nft reads it.
func (a SNATTo) String() string {
	if a.Low == 0 {
		return "snat ip to " + a.Addr.String()
	}
	return fmt.Sprintf("snat ip to %s:%d-%d", a.Addr, a.Low, a.High)
}

// String returns the action as nft reads it.
func (Reset) String() string { return "reject with tcp reset" }

// String returns the rule as nft reads it.
func (r *Rule) String() string {
	parts := make([]string, 0, len(r.Matches)+len(r.Actions))
	for _, m := range r.Matches {
		parts = append(parts, m.String())
	}
	for _, a := range r.Actions {
		parts = append(parts, a.String())
	}
	return strings.Join(parts, " ")
}
