package gateway

import (
	"time"

	"github.com/neargate/neargate/internal/model"
)

// keepDeleted is how long AWS still describes a deleted or failed NAT gateway (aws-facts 2.8: about an hour).
const keepDeleted = time.Hour

// step is what has to be done about a NAT gateway.
type step int

const (
	wait   step = iota // for node, or for nothing at all
	open               // it works: say available
	refuse             // it can never work: say failed, give its address and interface back
	close              // node has taken it down: say deleted, give its address and interface back
	forget             // it was deleted long enough ago
)

// planNat returns the next step for a NAT gateway. hasInternet reports that its VPC has an internet gateway.
func planNat(nat *model.NatGateway, hasInternet bool, age time.Duration) step {
	switch nat.State {
	case model.NatPending:
		if !hasInternet {
			return refuse
		}
		if nat.Installed {
			return open
		}
	case model.NatDeleting:
		if !nat.Installed {
			return close
		}
	case model.NatDeleted, model.NatFailed:
		if age >= keepDeleted {
			return forget
		}
	}
	return wait
}
