// Package mark says how the 32 bits of a packet's mark are used inside a VPC's namespace, and gives stable numbers to
// route tables and group sets.
//
// A packet gets its mark once, when it comes out of an ENI: the upper 12 bits are the number of the route table of its
// subnet (0: none), the lower 20 bits the number of its ENI's group set. Numbers are derived from identifiers by a
// hash, so that compiling the same records after a restart gives the same numbers. Start at [Assign].
package mark

import (
	"hash/fnv"

	"github.com/neargate/neargate/internal/ruleset"
)

// The layout of a mark.
const (
	GroupBits  = 20
	GroupMask  = ruleset.LowMarkMask
	TableShift = GroupBits
	TableMask  = ^uint32(GroupMask)

	// Passed marks a packet that has no sender's gate to pass, or has passed it. Its table number is never assigned.
	Passed = uint32(0xffe << TableShift)
	// Receiver is the upper part of a mark that holds the receiver's group set, so that it can never be taken for a
	// sender's.
	Receiver = uint32(0xfff << TableShift)

	// MaxTable is the largest assigned number of a route table.
	MaxTable = 0xffd
	// Open is the group set of ENIs without security groups, as a NAT gateway's: everything passes.
	Open = 1
	// Closed is the group set of ENIs that should have groups but have none: nothing passes.
	Closed = 2

	firstGroup = 16
	maxGroup   = GroupMask
)

// Assign gives each key a number from low to high. Of keys that hash to the same number the first one gets it and the
// others the next free ones, so a caller that lists older keys first never renumbers them by adding one.
func Assign(keys []string, low, high uint32) map[string]uint32 {
	numbers := make(map[string]uint32, len(keys))
	taken := make(map[uint32]bool, len(keys))
	span := high - low + 1
	for _, k := range keys {
		if _, ok := numbers[k]; ok {
			continue
		}
		h := fnv.New32a()
		_, _ = h.Write([]byte(k)) // never fails
		n := h.Sum32() % span
		for taken[n] && uint32(len(taken)) < span {
			n = (n + 1) % span
		}
		taken[n] = true
		numbers[k] = low + n
	}
	return numbers
}

// AssignTables numbers route tables.
func AssignTables(ids []string) map[string]uint32 { return Assign(ids, 1, MaxTable) }

// AssignGroupSets numbers group sets.
func AssignGroupSets(keys []string) map[string]uint32 { return Assign(keys, firstGroup, maxGroup) }
