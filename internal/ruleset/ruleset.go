// Package ruleset describes, as data, what one namespace does with a packet: its nftables table, its routing and the
// interfaces it forwards between.
//
// It is the one description that three readers share: linux/nft and linux/route put it into the kernel, fabric.Evaluate
// works out from it what happens to a packet, and [Table.Script] prints it as an `nft` script. It imports only the
// standard library, does no I/O, knows no AWS words and decides nothing: package fabric makes rulesets from records.
// Values in sets are held as the bytes that the kernel compares (key.go). Start at [Router] and [Table].
package ruleset

import "net/netip"

// TableName is the name of every table of ours; its family is inet.
const TableName = "neargate"

// Router is everything that one routing namespace does.
type Router struct {
	Table      Table
	Interfaces []Interface  // sorted by name
	Addresses  []netip.Addr // the router's own, held by lo
	Policy     []PolicyRule // which routing table serves which mark, in order of priority
	Routes     []Route      // all but the host routes, which follow from Interfaces
}

// Interface is one link of the router with what is reached through it.
type Interface struct {
	Name  string
	Addrs []netip.Addr // a host route each
	MAC   string       // of the far end: a permanent neighbour for each address
	From  netip.Addr   // the router's own address towards it
	Label string       // identifier of what it belongs to, for messages
}

// PolicyRule selects a routing table for packets whose mark has Value under Mask; Mask 0 selects for all packets.
type PolicyRule struct {
	Priority    int
	Value, Mask uint32
	Table       int
}

// MainTable is the kernel's main routing table.
const MainTable = 254

// Route is one route. A blackhole has neither Dev nor Via.
type Route struct {
	Table     int
	Dst       netip.Prefix
	Blackhole bool
	Dev       string
	Via       netip.Addr // next hop, taken as directly connected to Dev
}

// Table is one nftables table of family inet.
type Table struct {
	Sets   []Set   // sorted by name
	Chains []Chain // base chains first
}

// Chain is a list of rules; with a Hook it is a base chain.
type Chain struct {
	Name  string
	Hook  *Hook
	Rules []Rule
}

// Hook attaches a base chain to the packet path.
type Hook struct {
	Type     string // filter, nat
	Point    string // prerouting, input, forward, postrouting
	Priority int
	Drop     bool // policy; otherwise accept
}

// Priorities of base chains, as the kernel's own (NF_IP_PRI_*).
const (
	PriorityRaw    = -300
	PriorityDstNAT = -100
	PriorityFilter = 0
	PrioritySrcNAT = 100
)

// Set is a named set or, when Value is not None, a map.
type Set struct {
	Name     string
	Key      []Type
	Value    ValueKind
	Interval bool // elements are ranges: Key to End in every field
	Counted  bool // each element counts what matches it
	Elements []Element
}

// ValueKind says what a map yields.
type ValueKind uint8

// The kinds of values.
const (
	None ValueKind = iota
	MarkValue
	AddrValue // an IPv4 address
	VerdictValue
)

// Element is one element of a set. Elements are sorted by Key, and no two of them overlap.
type Element struct {
	Key     string // see key.go
	End     string // last key of the range; empty unless the set has intervals
	Mark    uint32
	Addr    netip.Addr
	Verdict Verdict
	// Because names the records that this element comes from; it is not put into the kernel.
	Because []string
}

// Set returns the set with that name, nil if there is none.
func (t *Table) Set(name string) *Set {
	for i := range t.Sets {
		if t.Sets[i].Name == name {
			return &t.Sets[i]
		}
	}
	return nil
}

// Chain returns the chain with that name, nil if there is none.
func (t *Table) Chain(name string) *Chain {
	for i := range t.Chains {
		if t.Chains[i].Name == name {
			return &t.Chains[i]
		}
	}
	return nil
}
