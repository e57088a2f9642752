package deploy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/neargate/neargate/internal/model"
)

// rebalanceAgain is how long a service that could not be evened out, such as for want of addresses in a zone, is left
// as it is.
const rebalanceAgain = 15 * time.Minute

// rebalance lets one more task start in the emptiest zone when all is well but the zones are uneven; the surplus is then
// taken from the fullest zone (aws-facts 1.8).
func (p *planner) rebalance() {
	s := p.next
	_, upper := bounds(s)
	if s.AZRebalancing != "ENABLED" || s.Status != model.ServiceActive || upper <= s.DesiredCount || len(s.Deployments) > 1 {
		if s.Rebalancing {
			s.Rebalancing, p.changed = false, true
		}
		return
	}
	if p.healthy != len(p.alive) {
		return
	}
	switch perZone := p.perZone(p.alive); {
	case !s.Rebalancing && len(p.alive) == s.DesiredCount && isUneven(perZone):
		if wait := s.RebalanceAfter.Sub(p.now); wait > 0 {
			p.later(wait)
			return
		}
		s.Rebalancing, p.changed = true, true
		p.event("service (%s) is not AZ balanced with %s. AZ Rebalancing in progress.", s.Name, inWords(perZone))
	case s.Rebalancing && len(p.alive) > s.DesiredCount:
		s.Rebalancing, p.changed = false, true
		before := without(perZone, newest(p.alive).AZ)
		after := without(perZone, fullest(perZone))
		switch {
		case !isUneven(after):
			p.event("service (%s) is AZ balanced with %s.", s.Name, inWords(after))
		case squares(after) >= squares(before):
			s.RebalanceAfter = p.now.Add(rebalanceAgain)
		}
	}
}

// perZone counts tasks by zone, with a zero for each zone that has none.
func (p *planner) perZone(tasks []*model.Task) map[string]int {
	counts := map[string]int{}
	for _, zone := range p.zones {
		counts[zone] = 0
	}
	for _, t := range tasks {
		counts[t.AZ]++
	}
	return counts
}

// isUneven reports whether some zone has two tasks more than another one. Tasks that have no zone yet make it unknown.
func isUneven(perZone map[string]int) bool {
	if perZone[""] > 0 || len(perZone) < 2 {
		return false
	}
	most, least := 0, -1
	for _, n := range perZone {
		most = max(most, n)
		if least < 0 || n < least {
			least = n
		}
	}
	return most-least >= 2
}

func newest(tasks []*model.Task) *model.Task {
	return slices.MaxFunc(tasks, func(a, b *model.Task) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
}

func fullest(perZone map[string]int) string {
	best := ""
	for zone, n := range perZone {
		if best == "" || n > perZone[best] || (n == perZone[best] && zone < best) {
			best = zone
		}
	}
	return best
}

func without(perZone map[string]int, zone string) map[string]int {
	rest := map[string]int{}
	for z, n := range perZone {
		rest[z] = n
	}
	rest[zone]--
	return rest
}

// squares measures how uneven zones are: for one number of tasks, the less the evener.
func squares(perZone map[string]int) int {
	sum := 0
	for _, n := range perZone {
		sum += n * n
	}
	return sum
}

// inWords returns "2 tasks in us-east-1a and 1 in us-east-1b".
func inWords(perZone map[string]int) string {
	zones := make([]string, 0, len(perZone))
	for zone := range perZone {
		zones = append(zones, zone)
	}
	slices.Sort(zones)
	parts := make([]string, 0, len(zones))
	for i, zone := range zones {
		noun := ""
		if i == 0 {
			noun = "tasks "
		}
		parts = append(parts, fmt.Sprintf("%d %sin %s", perZone[zone], noun, zone))
	}
	if len(parts) < 3 {
		return strings.Join(parts, " and ")
	}
	last := len(parts) - 1
	return strings.Join(parts[:last], ", ") + ", and " + parts[last]
}
