package place

import (
	"cmp"
	"slices"

	"github.com/neargate/neargate/internal/model"
)

// candidate is a subnet that a task may go to.
type candidate struct {
	subnet *model.Subnet
	free   int // addresses that can still be handed out
	mine   int // tasks of the same deployment that live in the subnet's zone
	tasks  int // tasks of the same group that live there
}

// planSubnets returns the subnets to try, best first: those in the zone with the fewest tasks of the task's deployment,
// then of its group, and of these the one with the most free addresses (aws-facts 1.8). The deployment counts first
// because the group's other tasks are on their way out. A full subnet is not among them.
func planSubnets(candidates []candidate) []*model.Subnet {
	usable := slices.DeleteFunc(slices.Clone(candidates), func(c candidate) bool { return c.free <= 0 })
	slices.SortStableFunc(usable, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.mine, b.mine), cmp.Compare(a.tasks, b.tasks), cmp.Compare(b.free, a.free), cmp.Compare(a.subnet.AZ, b.subnet.AZ), cmp.Compare(a.subnet.ID, b.subnet.ID))
	})
	subnets := make([]*model.Subnet, 0, len(usable))
	for _, c := range usable {
		subnets = append(subnets, c.subnet)
	}
	return subnets
}
