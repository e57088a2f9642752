// Package dns is the resolver of a VPC: it answers the names that a VPC knows (AWS services, load balancers, private
// addresses of its hosts) from data that is handed to it whole, and nothing else unless an upstream is named.
//
// It is no recursive resolver and no client of the store: whoever runs it computes a [Zone] and calls [Resolver.Set].
// It opens no sockets in namespaces either: it serves the sockets it is given. Start at [Resolver].
package dns

import (
	"net/netip"
)

// Zone is everything that one resolver knows. It is replaced as a whole and never changed in place.
type Zone struct {
	// Records by fully qualified name without the final dot; case does not matter. A name that begins with "*."
	// answers for every name below it that has no record of its own.
	Records map[string]Record `json:"records,omitempty"`
	// Owned lists the suffixes that the zone knows completely: any other name below them does not exist. Names outside of them go to Upstream.
	Owned []string `json:"owned,omitempty"`
	// PrivateDomain is the domain of the names computed from addresses ("ec2.internal", "eu-west-1.compute.internal"):
	// ip-10-0-1-5.<PrivateDomain> is 10.0.1.5 and the other way round, for every address in Private.
	PrivateDomain string         `json:"privateDomain,omitempty"`
	Private       []netip.Prefix `json:"private,omitempty"`
	// Upstream resolvers get the questions that the zone does not answer. None: such names do not exist (NXDOMAIN),
	// for nothing of a VPC may leak onto the real network unasked.
	Upstream []netip.AddrPort `json:"upstream,omitempty"`
}

// Record is what one name stands for: either addresses (v4 and v6 mixed) or another name.
type Record struct {
	Addresses []netip.Addr `json:"addresses,omitempty"`
	CNAME     string       `json:"cname,omitempty"`
	TTL       uint32       `json:"ttl,omitempty"` // seconds; 0 means DefaultTTL
	// Rotate gives the addresses in random order, at most MaxRotated of them, as for load balancers.
	Rotate bool `json:"rotate,omitempty"`
}

const (
	// DefaultTTL is the time to live of load balancer and service names on AWS.
	DefaultTTL = 60
	// MaxRotated is how many addresses an answer for a load balancer holds at most.
	MaxRotated = 8
	// PacketsPerSecond is how many packets one source may send; AWS drops what exceeds 1024 per network interface.
	PacketsPerSecond = 1024
)
