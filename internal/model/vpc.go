package model

import (
	"net/netip"
	"time"
)

// VPC is a virtual private cloud. On a host it is the namespace [VPCNetns].
type VPC struct {
	Meta
	ID                  string    `json:"id"`
	State               string    `json:"state"` // pending, available
	CIDRs               []VPCCIDR `json:"cidrs"` // the first is the primary one
	Tenancy             string    `json:"tenancy"`
	DHCPOptionsID       string    `json:"dhcpOptionsId"`
	IsDefault           bool      `json:"isDefault,omitempty"`
	DNSSupport          bool      `json:"dnsSupport"`
	DNSHostnames        bool      `json:"dnsHostnames"`
	AddressUsageMetrics bool      `json:"addressUsageMetrics,omitempty"`
	MainRouteTableID    string    `json:"mainRouteTableId"`
	DefaultGroupID      string    `json:"defaultGroupId"`
	DefaultACLID        string    `json:"defaultAclId"`
}

// VPCCIDR is one IPv4 block of a VPC.
type VPCCIDR struct {
	AssociationID string       `json:"associationId"`
	Block         netip.Prefix `json:"block"`
	State         string       `json:"state"` // associated
}

// PrimaryCIDR returns the VPC's first block.
func (v *VPC) PrimaryCIDR() netip.Prefix {
	if len(v.CIDRs) == 0 {
		return netip.Prefix{}
	}
	return v.CIDRs[0].Block
}

// ResolverAddress returns the VPC's DNS address: base of the primary block plus two.
func (v *VPC) ResolverAddress() netip.Addr { return v.PrimaryCIDR().Addr().Next().Next() }

// Subnet is a range of a VPC in one availability zone.
type Subnet struct {
	Meta
	ID                  string       `json:"id"`
	VPCID               string       `json:"vpcId"`
	CIDR                netip.Prefix `json:"cidr"`
	AZ                  string       `json:"az"`
	State               string       `json:"state"`
	MapPublicIPOnLaunch bool         `json:"mapPublicIpOnLaunch,omitempty"`
	DefaultForAZ        bool         `json:"defaultForAz,omitempty"`
	ACLAssociationID    string       `json:"aclAssociationId"`
	HostnameType        string       `json:"hostnameType"` // ip-name, resource-name
	ResourceNameDNSA    bool         `json:"resourceNameDnsA,omitempty"`
}

// Router returns the subnet's gateway address, base plus one.
func (s *Subnet) Router() netip.Addr { return s.CIDR.Addr().Next() }

// RouteTable is a route table of a VPC. Its main association is Main; other associations name subnets.
type RouteTable struct {
	Meta
	ID           string            `json:"id"`
	VPCID        string            `json:"vpcId"`
	Routes       []Route           `json:"routes"` // the local routes are the first ones
	Associations []RouteTableAssoc `json:"associations,omitempty"`
	ClientToken  string            `json:"clientToken,omitempty"`
}

// Route is one entry of a route table; exactly one target is set. The target "local" is GatewayID "local".
type Route struct {
	Destination netip.Prefix `json:"destination"`
	GatewayID   string       `json:"gatewayId,omitempty"` // local or igw-...
	NatID       string       `json:"natId,omitempty"`
	ENIID       string       `json:"eniId,omitempty"`
	Origin      string       `json:"origin"` // CreateRouteTable, CreateRoute
}

// RouteTableAssoc ties a route table to a subnet, or makes it the VPC's main table.
type RouteTableAssoc struct {
	ID       string `json:"id"`
	SubnetID string `json:"subnetId,omitempty"`
	Main     bool   `json:"main,omitempty"`
}

// InternetGateway is attached to at most one VPC.
type InternetGateway struct {
	Meta
	ID    string `json:"id"`
	VPCID string `json:"vpcId,omitempty"`
}

// NatGateway states, as the API prints them.
const (
	NatPending   = "pending"
	NatAvailable = "available"
	NatFailed    = "failed"
	NatDeleting  = "deleting"
	NatDeleted   = "deleted"
)

// NatGateway translates the source address of a private subnet's traffic. On a host it is the namespace [NatNetns].
type NatGateway struct {
	Meta
	ID             string     `json:"id"`
	VPCID          string     `json:"vpcId"`
	SubnetID       string     `json:"subnetId"`
	Connectivity   string     `json:"connectivity"` // public
	State          string     `json:"state"`
	AllocationID   string     `json:"allocationId,omitempty"`
	AssociationID  string     `json:"associationId,omitempty"`
	ENIID          string     `json:"eniId,omitempty"`
	PrivateIP      netip.Addr `json:"privateIp"`
	PublicIP       netip.Addr `json:"publicIp"`
	ClientToken    string     `json:"clientToken,omitempty"`
	FailureCode    string     `json:"failureCode,omitempty"`
	FailureMessage string     `json:"failureMessage,omitempty"`
	DeletedAt      time.Time  `json:"deletedAt"`
	Installed      bool       `json:"installed,omitempty"` // node: the namespace is wired and translates
}

// Address is an Elastic IP address.
type Address struct {
	Meta
	AllocationID  string     `json:"allocationId"`
	PublicIP      netip.Addr `json:"publicIp"`
	AssociationID string     `json:"associationId,omitempty"`
	ENIID         string     `json:"eniId,omitempty"`
	PrivateIP     netip.Addr `json:"privateIp"`
	// ServiceManaged is "nlb", "alb" or "" and tells who holds the address.
	ServiceManaged string `json:"serviceManaged,omitempty"`
}
