package model

import "strings"

// Names of what Neargate puts into the kernel. Each is built here and parsed by its twin, so that whatever is found
// on a host can be traced back to its record, and what has no record can be removed.
const (
	// NetnsPrefix is the prefix of every network namespace of ours in /run/netns.
	NetnsPrefix = "ng-"
	// EdgeNetns is "the Internet": public addresses and AWS service addresses live there.
	EdgeNetns = "ng-edge"

	vpcNetnsPrefix  = NetnsPrefix + "vpc-"
	taskNetnsPrefix = NetnsPrefix + "task-"
	natNetnsPrefix  = NetnsPrefix + "nat-"
	lbNetnsPrefix   = NetnsPrefix + "lb-"

	vethPrefix    = "ng"
	vethHexDigits = 13 // IFNAMSIZ leaves 15 characters
)

// VPCNetns returns the namespace that is the VPC's router.
func VPCNetns(vpcID string) string { return vpcNetnsPrefix + strings.TrimPrefix(vpcID, PrefixVPC+"-") }

// TaskNetns returns the namespace that the containers of a task share.
func TaskNetns(taskID string) string { return taskNetnsPrefix + taskID }

// NatNetns returns the namespace of a NAT gateway.
func NatNetns(natID string) string {
	return natNetnsPrefix + strings.TrimPrefix(natID, PrefixNatGateway+"-")
}

// LoadBalancerNetns returns the namespace of a load balancer; id is the 16 hexadecimal digits that end its ARN.
func LoadBalancerNetns(id string) string { return lbNetnsPrefix + id }

// ParseNetns returns what kind of thing a namespace belongs to ("vpc", "task", "nat", "lb", "edge") and its identifier;
// ok is false for a namespace that is not ours.
func ParseNetns(name string) (kind, id string, ok bool) {
	switch {
	case name == EdgeNetns:
		return "edge", "", true
	case strings.HasPrefix(name, vpcNetnsPrefix):
		return "vpc", PrefixVPC + "-" + strings.TrimPrefix(name, vpcNetnsPrefix), true
	case strings.HasPrefix(name, taskNetnsPrefix):
		return "task", strings.TrimPrefix(name, taskNetnsPrefix), true
	case strings.HasPrefix(name, natNetnsPrefix):
		return "nat", PrefixNatGateway + "-" + strings.TrimPrefix(name, natNetnsPrefix), true
	case strings.HasPrefix(name, lbNetnsPrefix):
		return "lb", strings.TrimPrefix(name, lbNetnsPrefix), true
	}
	return "", "", false
}

// VethName returns the name of an ENI's end in the VPC namespace: "ng" and the first 13 of its 17 hexadecimal digits
// (52 random bits: a clash among 10,000 ENIs of one VPC has a chance of 1 in 90 million).
func VethName(eniID string) string {
	digits := strings.TrimPrefix(eniID, PrefixENI+"-")
	if len(digits) > vethHexDigits {
		digits = digits[:vethHexDigits]
	}
	return vethPrefix + digits
}

// IsVethName reports whether an interface name has the form of [VethName].
func IsVethName(name string) bool {
	digits, ok := strings.CutPrefix(name, vethPrefix)
	return ok && len(digits) <= vethHexDigits && isLowerHex(digits)
}
