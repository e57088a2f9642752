package model

import "net/netip"

// SecurityGroup is a stateful packet filter that ENIs are members of. Its rules are records of their own.
type SecurityGroup struct {
	Meta
	ID          string `json:"id"`
	VPCID       string `json:"vpcId"`
	Name        string `json:"name"`
	Description string `json:"description"`
}

// Protocol numbers as a rule names them. ProtoAll stands for every protocol ("-1" at the API).
const (
	ProtoAll    = -1
	ProtoICMP   = 1
	ProtoTCP    = 6
	ProtoUDP    = 17
	ProtoICMPv6 = 58
)

// SecurityGroupRule is one rule of a group: exactly one of CIDR and RefGroupID is set.
// From and To are ports for TCP and UDP, type and code for ICMP (-1: any), and -1 for all others.
type SecurityGroupRule struct {
	Meta
	ID          string       `json:"id"`
	GroupID     string       `json:"groupId"`
	Egress      bool         `json:"egress,omitempty"`
	Protocol    int          `json:"protocol"`
	From        int          `json:"from"`
	To          int          `json:"to"`
	CIDR        netip.Prefix `json:"cidr"`
	RefGroupID  string       `json:"refGroupId,omitempty"`
	Description string       `json:"description,omitempty"`
}

// NetworkInterface states.
const (
	ENIPending   = "pending"
	ENIAvailable = "available"
	ENIInUse     = "in-use"
)

// Kinds of an ENI's owner; they decide which namespace holds the ENI.
const (
	OwnerTask         = "task"
	OwnerLoadBalancer = "loadbalancer"
	OwnerNatGateway   = "natgateway"
	OwnerNone         = "" // a user's own ENI, attached to nothing
)

// NetworkInterface is an ENI: a veth pair between its owner's namespace and the VPC's.
type NetworkInterface struct {
	Meta
	ID               string       `json:"id"`
	VPCID            string       `json:"vpcId"`
	SubnetID         string       `json:"subnetId"`
	AZ               string       `json:"az"`
	PrivateIPs       []netip.Addr `json:"privateIps"` // the first is the primary one
	MAC              string       `json:"mac"`
	Groups           []string     `json:"groups"`
	Status           string       `json:"status"`
	Description      string       `json:"description,omitempty"`
	InterfaceType    string       `json:"interfaceType"` // interface, nat_gateway
	RequesterManaged bool         `json:"requesterManaged,omitempty"`
	RequesterID      string       `json:"requesterId,omitempty"`
	SourceDestCheck  bool         `json:"sourceDestCheck"`
	AttachmentID     string       `json:"attachmentId,omitempty"`
	DeviceIndex      int          `json:"deviceIndex,omitempty"` // names the owner's end: eth<DeviceIndex>
	InstanceOwnerID  string       `json:"instanceOwnerId,omitempty"`
	OwnerKind        string       `json:"ownerKind,omitempty"`
	OwnerID          string       `json:"ownerId,omitempty"` // task id, load balancer's 16 hex digits, NAT gateway id
	AutoPublicIP     netip.Addr   `json:"autoPublicIp"`      // assigned with the ENI, gone with it; zero when none
	Host             string       `json:"host,omitempty"`    // the host that must wire it
	ClientToken      string       `json:"clientToken,omitempty"`
}

// PrimaryIP returns the ENI's first private address.
func (e *NetworkInterface) PrimaryIP() netip.Addr {
	if len(e.PrivateIPs) == 0 {
		return netip.Addr{}
	}
	return e.PrivateIPs[0]
}

// Netns returns the namespace that holds the owner's end, empty for an ENI without an owner.
func (e *NetworkInterface) Netns() string {
	switch e.OwnerKind {
	case OwnerTask:
		return TaskNetns(e.OwnerID)
	case OwnerLoadBalancer:
		return LoadBalancerNetns(e.OwnerID)
	case OwnerNatGateway:
		return NatNetns(e.OwnerID)
	}
	return ""
}
