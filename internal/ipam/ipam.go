// Package ipam chooses free addresses: private ones of a subnet, public ones of the edge's pool.
//
// It is pure: which addresses are taken is an argument, and writing the choice down is the caller's transaction, which
// must have read the taken addresses (the store then refuses a second taker). Addresses are not handed out lowest
// first but from a start that the caller's seed picks, as on AWS: an address that has just become free is then rarely
// given to somebody else while old connections still mean its former owner. Start at [Private] and [Public].
package ipam

import (
	"hash/fnv"
	"net/netip"

	"github.com/neargate/neargate/internal/model"
)

// reservedAtStart is how many addresses AWS keeps at the start of each subnet: network, router, DNS, future use.
// The last address is kept too (aws-facts 2.3).
const reservedAtStart = 4

// firstPublic is the offset of the first public address that is handed out.
const firstPublic = 10

// IsReserved reports whether AWS keeps that address of the subnet for itself.
func IsReserved(subnet netip.Prefix, addr netip.Addr) bool {
	offset := offsetOf(subnet, addr)
	return offset < reservedAtStart || offset == size(subnet)-1
}

// Capacity returns how many addresses of a subnet can be handed out.
func Capacity(subnet netip.Prefix) int { return int(size(subnet)) - reservedAtStart - 1 }

// Private returns a free address of the subnet; ok is false when all are taken. seed is any text, such as the ENI's ID.
func Private(subnet netip.Prefix, taken func(netip.Addr) bool, seed string) (addr netip.Addr, ok bool) {
	return pick(subnet.Masked(), reservedAtStart, size(subnet)-1, taken, seed)
}

// Public returns a free address of [model.PublicPool]; ok is false when all are taken.
func Public(taken func(netip.Addr) bool, seed string) (addr netip.Addr, ok bool) {
	return pick(model.PublicPool, firstPublic, size(model.PublicPool)-1, taken, seed)
}

// pick tries the addresses at offsets low..high-1 once each, from a start that the seed picks.
func pick(block netip.Prefix, low, high uint32, taken func(netip.Addr) bool, seed string) (netip.Addr, bool) {
	if high <= low {
		return netip.Addr{}, false
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(seed))
	span := high - low
	for i, at := uint32(0), h.Sum32()%span; i < span; i, at = i+1, (at+1)%span {
		if addr := at4(block, low+at); !taken(addr) {
			return addr, true
		}
	}
	return netip.Addr{}, false
}

// size returns the number of addresses of an IPv4 block of at least one and at most 2^31 addresses.
func size(block netip.Prefix) uint32 { return 1 << (32 - block.Bits()) }

func offsetOf(block netip.Prefix, addr netip.Addr) uint32 {
	return toUint(addr) - toUint(block.Masked().Addr())
}

func at4(block netip.Prefix, offset uint32) netip.Addr {
	n := toUint(block.Addr()) + offset
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

func toUint(addr netip.Addr) uint32 {
	b := addr.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}
