package cfn_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/neargate/neargate/internal/api/cfn/resource"
	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/awsapi/elbv2api"
	"github.com/neargate/neargate/internal/awsapi/iamapi"
	"github.com/neargate/neargate/internal/awsapi/logsapi"
)

// thing is anything that exists in the fake cloud.
type thing struct {
	kind, id string
	tags     map[string]string
	refs     []string // IDs of things that cannot go while this exists
	text     map[string]string
}

// cloud is a fake of the services: enough behaviour to see whether things are made once, in order, and go away again.
type cloud struct {
	mu       sync.Mutex
	serial   int
	calls    []string
	things   map[string]*thing
	fail     map[string]error // by operation
	stuck    map[string]bool  // kinds that never become ready
	violated []string         // deletes that came too early
}

func newCloud() *cloud {
	return &cloud{things: make(map[string]*thing), fail: make(map[string]error), stuck: make(map[string]bool)}
}

// front is what one server sees of the cloud. A killed server's calls have no effect.
type front struct {
	ec2api.API
	*cloud
	killAt    int  // number of the call at which the server dies; 0 never
	killAfter bool // with the call's effect
	kill      func()
	dead      bool
}

var errDead = errors.New("the server is dead")

func call[O any](f *front, op string, effect func() (*O, error)) (*O, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return nil, errDead
	}
	f.calls = append(f.calls, op)
	die := f.killAt > 0 && len(f.calls) == f.killAt
	if die && !f.killAfter {
		f.dead = true
		f.kill()
		return nil, errDead
	}
	if err := f.fail[op]; err != nil {
		return nil, err
	}
	out, err := effect()
	if die {
		f.dead = true
		f.kill()
		return nil, errDead
	}
	return out, err
}

func (c *cloud) id(prefix string) string {
	c.serial++
	return fmt.Sprintf("%s-%04d", prefix, c.serial)
}

func (c *cloud) add(kind, id string, tags map[string]string, text map[string]string, refs ...string) *thing {
	t := &thing{kind: kind, id: id, tags: tags, refs: refs, text: text}
	c.things[id] = t
	return t
}

// drop deletes a thing unless something refers to it.
func (c *cloud) drop(id, notFound string) error {
	if _, ok := c.things[id]; !ok {
		return awsapi.NewError(notFound, "%s does not exist", id)
	}
	for _, other := range c.things {
		if other.id != id && slices.Contains(other.refs, id) {
			c.violated = append(c.violated, id+" by "+other.id)
			return awsapi.NewError("DependencyViolation", "%s has a dependent object %s", id, other.id)
		}
	}
	delete(c.things, id)
	return nil
}

func (c *cloud) list(kind string, ids []string, match func(*thing) bool) []*thing {
	var out []*thing
	for _, id := range slices.Sorted(maps.Keys(c.things)) {
		t := c.things[id]
		if t.kind == kind && (len(ids) == 0 || slices.Contains(ids, id)) && (match == nil || match(t)) {
			out = append(out, t)
		}
	}
	return out
}

// census counts what there is of each kind, as CloudFormation names it.
func (c *cloud) census() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[string]int)
	for _, t := range c.things {
		out[t.kind]++
	}
	return out
}

func (c *cloud) find(kind string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for _, t := range c.list(kind, nil, nil) {
		out = append(out, t.id)
	}
	return out
}

func (f *front) services() resource.Services {
	return resource.Services{EC2: f, ECS: &ecsFront{front: f}, ELBv2: &elbFront{front: f}, Logs: &logsFront{front: f}, IAM: &iamFront{front: f}}
}

func v(p *string) string { return awsapi.Val(p) }
func s(t string) *string { return &t }

// --- EC2 ---

func specTags(specs []ec2api.TagSpecification) map[string]string {
	out := make(map[string]string)
	for _, spec := range specs {
		for _, t := range spec.Tags {
			out[v(t.Key)] = v(t.Value)
		}
	}
	return out
}

func filtered(filters []ec2api.Filter) func(*thing) bool {
	return func(t *thing) bool {
		for _, f := range filters {
			if key, ok := strings.CutPrefix(v(f.Name), "tag:"); ok && !slices.Contains(f.Values, t.tags[key]) {
				return false
			}
		}
		return true
	}
}

func (f *front) CreateVpc(_ context.Context, in *ec2api.CreateVpcInput) (*ec2api.CreateVpcOutput, error) {
	return call(f, "CreateVpc", func() (*ec2api.CreateVpcOutput, error) {
		t := f.add("vpc", f.id("vpc"), specTags(in.TagSpecifications), map[string]string{"cidr": v(in.CidrBlock)})
		return &ec2api.CreateVpcOutput{Vpc: &ec2api.Vpc{VpcId: &t.id}}, nil
	})
}

func (f *front) DescribeVpcs(_ context.Context, in *ec2api.DescribeVpcsInput) (*ec2api.DescribeVpcsOutput, error) {
	return call(f, "DescribeVpcs", func() (*ec2api.DescribeVpcsOutput, error) {
		out := &ec2api.DescribeVpcsOutput{}
		for _, t := range f.list("vpc", in.VpcIds, filtered(in.Filters)) {
			out.Vpcs = append(out.Vpcs, ec2api.Vpc{VpcId: &t.id, State: "available", CidrBlock: s(t.text["cidr"])})
		}
		if len(in.VpcIds) > 0 && len(out.Vpcs) == 0 {
			return nil, awsapi.NewError("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", in.VpcIds[0])
		}
		return out, nil
	})
}

func (f *front) ModifyVpcAttribute(_ context.Context, in *ec2api.ModifyVpcAttributeInput) (*ec2api.ModifyVpcAttributeOutput, error) {
	return call(f, "ModifyVpcAttribute", func() (*ec2api.ModifyVpcAttributeOutput, error) {
		return &ec2api.ModifyVpcAttributeOutput{}, nil
	})
}

func (f *front) DeleteVpc(_ context.Context, in *ec2api.DeleteVpcInput) (*ec2api.DeleteVpcOutput, error) {
	return call(f, "DeleteVpc", func() (*ec2api.DeleteVpcOutput, error) {
		return &ec2api.DeleteVpcOutput{}, f.drop(v(in.VpcId), "InvalidVpcID.NotFound")
	})
}

func (f *front) DescribeNetworkAcls(context.Context, *ec2api.DescribeNetworkAclsInput) (*ec2api.DescribeNetworkAclsOutput, error) {
	return &ec2api.DescribeNetworkAclsOutput{}, nil
}

func (f *front) CreateSubnet(_ context.Context, in *ec2api.CreateSubnetInput) (*ec2api.CreateSubnetOutput, error) {
	return call(f, "CreateSubnet", func() (*ec2api.CreateSubnetOutput, error) {
		t := f.add("subnet", f.id("subnet"), specTags(in.TagSpecifications), map[string]string{"cidr": v(in.CidrBlock), "az": v(in.AvailabilityZone), "vpc": v(in.VpcId)}, v(in.VpcId))
		return &ec2api.CreateSubnetOutput{Subnet: &ec2api.Subnet{SubnetId: &t.id}}, nil
	})
}

func (f *front) DescribeSubnets(_ context.Context, in *ec2api.DescribeSubnetsInput) (*ec2api.DescribeSubnetsOutput, error) {
	return call(f, "DescribeSubnets", func() (*ec2api.DescribeSubnetsOutput, error) {
		out := &ec2api.DescribeSubnetsOutput{}
		for _, t := range f.list("subnet", in.SubnetIds, filtered(in.Filters)) {
			out.Subnets = append(out.Subnets, ec2api.Subnet{SubnetId: &t.id, State: "available", VpcId: s(t.text["vpc"]), AvailabilityZone: s(t.text["az"])})
		}
		return out, nil
	})
}

func (f *front) ModifySubnetAttribute(context.Context, *ec2api.ModifySubnetAttributeInput) (*ec2api.ModifySubnetAttributeOutput, error) {
	return call(f, "ModifySubnetAttribute", func() (*ec2api.ModifySubnetAttributeOutput, error) {
		return &ec2api.ModifySubnetAttributeOutput{}, nil
	})
}

func (f *front) DeleteSubnet(_ context.Context, in *ec2api.DeleteSubnetInput) (*ec2api.DeleteSubnetOutput, error) {
	return call(f, "DeleteSubnet", func() (*ec2api.DeleteSubnetOutput, error) {
		return &ec2api.DeleteSubnetOutput{}, f.drop(v(in.SubnetId), "InvalidSubnetID.NotFound")
	})
}

func (f *front) CreateInternetGateway(_ context.Context, in *ec2api.CreateInternetGatewayInput) (*ec2api.CreateInternetGatewayOutput, error) {
	return call(f, "CreateInternetGateway", func() (*ec2api.CreateInternetGatewayOutput, error) {
		t := f.add("igw", f.id("igw"), specTags(in.TagSpecifications), nil)
		return &ec2api.CreateInternetGatewayOutput{InternetGateway: &ec2api.InternetGateway{InternetGatewayId: &t.id}}, nil
	})
}

func (f *front) DescribeInternetGateways(_ context.Context, in *ec2api.DescribeInternetGatewaysInput) (*ec2api.DescribeInternetGatewaysOutput, error) {
	return call(f, "DescribeInternetGateways", func() (*ec2api.DescribeInternetGatewaysOutput, error) {
		out := &ec2api.DescribeInternetGatewaysOutput{}
		for _, t := range f.list("igw", in.InternetGatewayIds, filtered(in.Filters)) {
			g := ec2api.InternetGateway{InternetGatewayId: &t.id}
			for _, a := range f.list("attachment", nil, func(a *thing) bool { return a.refs[0] == t.id }) {
				g.Attachments = append(g.Attachments, ec2api.InternetGatewayAttachment{VpcId: &a.refs[1]})
			}
			out.InternetGateways = append(out.InternetGateways, g)
		}
		return out, nil
	})
}

func (f *front) DeleteInternetGateway(_ context.Context, in *ec2api.DeleteInternetGatewayInput) (*ec2api.DeleteInternetGatewayOutput, error) {
	return call(f, "DeleteInternetGateway", func() (*ec2api.DeleteInternetGatewayOutput, error) {
		return &ec2api.DeleteInternetGatewayOutput{}, f.drop(v(in.InternetGatewayId), "InvalidInternetGatewayID.NotFound")
	})
}

func (f *front) AttachInternetGateway(_ context.Context, in *ec2api.AttachInternetGatewayInput) (*ec2api.AttachInternetGatewayOutput, error) {
	return call(f, "AttachInternetGateway", func() (*ec2api.AttachInternetGatewayOutput, error) {
		id := v(in.InternetGatewayId) + "+" + v(in.VpcId)
		if f.things[id] != nil {
			return nil, awsapi.NewError("Resource.AlreadyAssociated", "already attached")
		}
		f.add("attachment", id, nil, nil, v(in.InternetGatewayId), v(in.VpcId))
		return &ec2api.AttachInternetGatewayOutput{}, nil
	})
}

func (f *front) DetachInternetGateway(_ context.Context, in *ec2api.DetachInternetGatewayInput) (*ec2api.DetachInternetGatewayOutput, error) {
	return call(f, "DetachInternetGateway", func() (*ec2api.DetachInternetGatewayOutput, error) {
		return &ec2api.DetachInternetGatewayOutput{}, f.drop(v(in.InternetGatewayId)+"+"+v(in.VpcId), "Gateway.NotAttached")
	})
}

func (f *front) AllocateAddress(_ context.Context, in *ec2api.AllocateAddressInput) (*ec2api.AllocateAddressOutput, error) {
	return call(f, "AllocateAddress", func() (*ec2api.AllocateAddressOutput, error) {
		t := f.add("eip", f.id("eipalloc"), specTags(in.TagSpecifications), map[string]string{"ip": fmt.Sprintf("198.18.0.%d", f.serial%250)})
		return &ec2api.AllocateAddressOutput{AllocationId: &t.id, PublicIp: s(t.text["ip"])}, nil
	})
}

func (f *front) DescribeAddresses(_ context.Context, in *ec2api.DescribeAddressesInput) (*ec2api.DescribeAddressesOutput, error) {
	return call(f, "DescribeAddresses", func() (*ec2api.DescribeAddressesOutput, error) {
		out := &ec2api.DescribeAddressesOutput{}
		for _, t := range f.list("eip", nil, filtered(in.Filters)) {
			if len(in.PublicIps) == 0 || slices.Contains(in.PublicIps, t.text["ip"]) {
				out.Addresses = append(out.Addresses, ec2api.Address{AllocationId: &t.id, PublicIp: s(t.text["ip"])})
			}
		}
		if len(in.PublicIps) > 0 && len(out.Addresses) == 0 {
			return nil, awsapi.NewError("InvalidAddress.NotFound", "no such address")
		}
		return out, nil
	})
}

func (f *front) ReleaseAddress(_ context.Context, in *ec2api.ReleaseAddressInput) (*ec2api.ReleaseAddressOutput, error) {
	return call(f, "ReleaseAddress", func() (*ec2api.ReleaseAddressOutput, error) {
		return &ec2api.ReleaseAddressOutput{}, f.drop(v(in.AllocationId), "InvalidAllocationID.NotFound")
	})
}

func (f *front) CreateNatGateway(_ context.Context, in *ec2api.CreateNatGatewayInput) (*ec2api.CreateNatGatewayOutput, error) {
	return call(f, "CreateNatGateway", func() (*ec2api.CreateNatGatewayOutput, error) {
		t := f.add("nat", f.id("nat"), specTags(in.TagSpecifications), map[string]string{"polls": ""}, v(in.SubnetId), v(in.AllocationId))
		return &ec2api.CreateNatGatewayOutput{NatGateway: &ec2api.NatGateway{NatGatewayId: &t.id}}, nil
	})
}

func (f *front) DescribeNatGateways(_ context.Context, in *ec2api.DescribeNatGatewaysInput) (*ec2api.DescribeNatGatewaysOutput, error) {
	return call(f, "DescribeNatGateways", func() (*ec2api.DescribeNatGatewaysOutput, error) {
		out := &ec2api.DescribeNatGatewaysOutput{}
		for _, t := range f.list("nat", in.NatGatewayIds, filtered(in.Filter)) {
			state := ec2api.NatGatewayState("available")
			if t.text["polls"] += "."; len(t.text["polls"]) < 3 || f.stuck["nat"] {
				state = "pending"
			}
			out.NatGateways = append(out.NatGateways, ec2api.NatGateway{NatGatewayId: &t.id, State: state})
		}
		return out, nil
	})
}

func (f *front) DeleteNatGateway(_ context.Context, in *ec2api.DeleteNatGatewayInput) (*ec2api.DeleteNatGatewayOutput, error) {
	return call(f, "DeleteNatGateway", func() (*ec2api.DeleteNatGatewayOutput, error) {
		return &ec2api.DeleteNatGatewayOutput{}, f.drop(v(in.NatGatewayId), "NatGatewayNotFound")
	})
}

func (f *front) CreateRouteTable(_ context.Context, in *ec2api.CreateRouteTableInput) (*ec2api.CreateRouteTableOutput, error) {
	return call(f, "CreateRouteTable", func() (*ec2api.CreateRouteTableOutput, error) {
		t := f.add("rtb", f.id("rtb"), specTags(in.TagSpecifications), nil, v(in.VpcId))
		return &ec2api.CreateRouteTableOutput{RouteTable: &ec2api.RouteTable{RouteTableId: &t.id}}, nil
	})
}

func (f *front) DescribeRouteTables(_ context.Context, in *ec2api.DescribeRouteTablesInput) (*ec2api.DescribeRouteTablesOutput, error) {
	return call(f, "DescribeRouteTables", func() (*ec2api.DescribeRouteTablesOutput, error) {
		out := &ec2api.DescribeRouteTablesOutput{}
		for _, t := range f.list("rtb", in.RouteTableIds, filtered(in.Filters)) {
			table := ec2api.RouteTable{RouteTableId: &t.id}
			for _, r := range f.list("route", nil, func(r *thing) bool { return r.refs[0] == t.id }) {
				table.Routes = append(table.Routes, ec2api.Route{DestinationCidrBlock: s(r.text["to"]), Origin: "CreateRoute"})
			}
			for _, a := range f.list("association", nil, func(a *thing) bool { return a.refs[0] == t.id }) {
				table.Associations = append(table.Associations, ec2api.RouteTableAssociation{RouteTableAssociationId: &a.id, SubnetId: &a.refs[1], RouteTableId: &t.id})
			}
			out.RouteTables = append(out.RouteTables, table)
		}
		return out, nil
	})
}

func (f *front) DeleteRouteTable(_ context.Context, in *ec2api.DeleteRouteTableInput) (*ec2api.DeleteRouteTableOutput, error) {
	return call(f, "DeleteRouteTable", func() (*ec2api.DeleteRouteTableOutput, error) {
		return &ec2api.DeleteRouteTableOutput{}, f.drop(v(in.RouteTableId), "InvalidRouteTableID.NotFound")
	})
}

func (f *front) CreateRoute(_ context.Context, in *ec2api.CreateRouteInput) (*ec2api.CreateRouteOutput, error) {
	return call(f, "CreateRoute", func() (*ec2api.CreateRouteOutput, error) {
		id := v(in.RouteTableId) + "|" + v(in.DestinationCidrBlock)
		if f.things[id] != nil {
			return nil, awsapi.NewError("RouteAlreadyExists", "The route identified by %s already exists.", v(in.DestinationCidrBlock))
		}
		f.add("route", id, nil, map[string]string{"to": v(in.DestinationCidrBlock)}, v(in.RouteTableId), v(in.GatewayId)+v(in.NatGatewayId))
		return &ec2api.CreateRouteOutput{}, nil
	})
}

func (f *front) ReplaceRoute(_ context.Context, in *ec2api.ReplaceRouteInput) (*ec2api.ReplaceRouteOutput, error) {
	return call(f, "ReplaceRoute", func() (*ec2api.ReplaceRouteOutput, error) {
		f.things[v(in.RouteTableId)+"|"+v(in.DestinationCidrBlock)].refs[1] = v(in.GatewayId) + v(in.NatGatewayId)
		return &ec2api.ReplaceRouteOutput{}, nil
	})
}

func (f *front) DeleteRoute(_ context.Context, in *ec2api.DeleteRouteInput) (*ec2api.DeleteRouteOutput, error) {
	return call(f, "DeleteRoute", func() (*ec2api.DeleteRouteOutput, error) {
		return &ec2api.DeleteRouteOutput{}, f.drop(v(in.RouteTableId)+"|"+v(in.DestinationCidrBlock), "InvalidRoute.NotFound")
	})
}

func (f *front) AssociateRouteTable(_ context.Context, in *ec2api.AssociateRouteTableInput) (*ec2api.AssociateRouteTableOutput, error) {
	return call(f, "AssociateRouteTable", func() (*ec2api.AssociateRouteTableOutput, error) {
		t := f.add("association", f.id("rtbassoc"), nil, nil, v(in.RouteTableId), v(in.SubnetId))
		return &ec2api.AssociateRouteTableOutput{AssociationId: &t.id}, nil
	})
}

func (f *front) DisassociateRouteTable(_ context.Context, in *ec2api.DisassociateRouteTableInput) (*ec2api.DisassociateRouteTableOutput, error) {
	return call(f, "DisassociateRouteTable", func() (*ec2api.DisassociateRouteTableOutput, error) {
		return &ec2api.DisassociateRouteTableOutput{}, f.drop(v(in.AssociationId), "InvalidAssociationID.NotFound")
	})
}

func (f *front) CreateSecurityGroup(_ context.Context, in *ec2api.CreateSecurityGroupInput) (*ec2api.CreateSecurityGroupOutput, error) {
	return call(f, "CreateSecurityGroup", func() (*ec2api.CreateSecurityGroupOutput, error) {
		t := f.add("sg", f.id("sg"), specTags(in.TagSpecifications), map[string]string{"name": v(in.GroupName)}, v(in.VpcId))
		f.add("rule", f.id("sgr"), nil, map[string]string{"rule": ruleText(true, allowAll()), "group": t.id}, "")
		return &ec2api.CreateSecurityGroupOutput{GroupId: &t.id}, nil
	})
}

func allowAll() ec2api.IpPermission {
	return ec2api.IpPermission{IpProtocol: s("-1"), IpRanges: []ec2api.IpRange{{CidrIp: s("0.0.0.0/0")}}}
}

func (f *front) DescribeSecurityGroups(_ context.Context, in *ec2api.DescribeSecurityGroupsInput) (*ec2api.DescribeSecurityGroupsOutput, error) {
	return call(f, "DescribeSecurityGroups", func() (*ec2api.DescribeSecurityGroupsOutput, error) {
		out := &ec2api.DescribeSecurityGroupsOutput{}
		for _, t := range f.list("sg", in.GroupIds, filtered(in.Filters)) {
			out.SecurityGroups = append(out.SecurityGroups, ec2api.SecurityGroup{GroupId: &t.id, GroupName: s(t.text["name"]), VpcId: &t.refs[0]})
		}
		return out, nil
	})
}

func (f *front) DeleteSecurityGroup(_ context.Context, in *ec2api.DeleteSecurityGroupInput) (*ec2api.DeleteSecurityGroupOutput, error) {
	return call(f, "DeleteSecurityGroup", func() (*ec2api.DeleteSecurityGroupOutput, error) {
		for _, r := range f.list("rule", nil, func(r *thing) bool { return r.text["group"] == v(in.GroupId) }) {
			delete(f.things, r.id)
		}
		return &ec2api.DeleteSecurityGroupOutput{}, f.drop(v(in.GroupId), "InvalidGroup.NotFound")
	})
}

func ruleText(egress bool, p ec2api.IpPermission) string {
	text := fmt.Sprintf("%v %s %d-%d", egress, v(p.IpProtocol), awsapi.Val(p.FromPort), awsapi.Val(p.ToPort))
	for _, r := range p.IpRanges {
		text += " " + v(r.CidrIp)
	}
	for _, r := range p.UserIdGroupPairs {
		text += " " + v(r.GroupId)
	}
	return text
}

func (f *front) authorize(group string, egress bool, list []ec2api.IpPermission) ([]ec2api.SecurityGroupRule, error) {
	var out []ec2api.SecurityGroupRule
	for _, p := range list {
		text := ruleText(egress, p)
		if len(f.list("rule", nil, func(r *thing) bool { return r.text["group"] == group && r.text["rule"] == text })) > 0 {
			return nil, awsapi.NewError("InvalidPermission.Duplicate", "the specified rule already exists")
		}
		peer := ""
		for _, r := range p.UserIdGroupPairs {
			peer = v(r.GroupId)
		}
		t := f.add("rule", f.id("sgr"), nil, map[string]string{"rule": text, "group": group}, peer)
		out = append(out, ec2api.SecurityGroupRule{SecurityGroupRuleId: &t.id})
	}
	return out, nil
}

func (f *front) revoke(group string, egress bool, list []ec2api.IpPermission) error {
	for _, p := range list {
		found := f.list("rule", nil, func(r *thing) bool { return r.text["group"] == group && r.text["rule"] == ruleText(egress, p) })
		if len(found) == 0 {
			return awsapi.NewError("InvalidPermission.NotFound", "The specified rule does not exist")
		}
		delete(f.things, found[0].id)
	}
	return nil
}

func (f *front) AuthorizeSecurityGroupIngress(_ context.Context, in *ec2api.AuthorizeSecurityGroupIngressInput) (*ec2api.AuthorizeSecurityGroupIngressOutput, error) {
	return call(f, "AuthorizeSecurityGroupIngress", func() (*ec2api.AuthorizeSecurityGroupIngressOutput, error) {
		rules, err := f.authorize(v(in.GroupId), false, in.IpPermissions)
		return &ec2api.AuthorizeSecurityGroupIngressOutput{SecurityGroupRules: rules}, err
	})
}

func (f *front) AuthorizeSecurityGroupEgress(_ context.Context, in *ec2api.AuthorizeSecurityGroupEgressInput) (*ec2api.AuthorizeSecurityGroupEgressOutput, error) {
	return call(f, "AuthorizeSecurityGroupEgress", func() (*ec2api.AuthorizeSecurityGroupEgressOutput, error) {
		rules, err := f.authorize(v(in.GroupId), true, in.IpPermissions)
		return &ec2api.AuthorizeSecurityGroupEgressOutput{SecurityGroupRules: rules}, err
	})
}

func (f *front) RevokeSecurityGroupIngress(_ context.Context, in *ec2api.RevokeSecurityGroupIngressInput) (*ec2api.RevokeSecurityGroupIngressOutput, error) {
	return call(f, "RevokeSecurityGroupIngress", func() (*ec2api.RevokeSecurityGroupIngressOutput, error) {
		return &ec2api.RevokeSecurityGroupIngressOutput{}, f.revoke(v(in.GroupId), false, in.IpPermissions)
	})
}

func (f *front) RevokeSecurityGroupEgress(_ context.Context, in *ec2api.RevokeSecurityGroupEgressInput) (*ec2api.RevokeSecurityGroupEgressOutput, error) {
	return call(f, "RevokeSecurityGroupEgress", func() (*ec2api.RevokeSecurityGroupEgressOutput, error) {
		return &ec2api.RevokeSecurityGroupEgressOutput{}, f.revoke(v(in.GroupId), true, in.IpPermissions)
	})
}

func (f *front) DescribeSecurityGroupRules(_ context.Context, in *ec2api.DescribeSecurityGroupRulesInput) (*ec2api.DescribeSecurityGroupRulesOutput, error) {
	return call(f, "DescribeSecurityGroupRules", func() (*ec2api.DescribeSecurityGroupRulesOutput, error) {
		out := &ec2api.DescribeSecurityGroupRulesOutput{}
		for _, t := range f.list("rule", nil, func(r *thing) bool { return slices.Contains(in.Filters[0].Values, r.text["group"]) }) {
			var egress bool
			var protocol, peer string
			var from, to int32
			_, _ = fmt.Sscanf(t.text["rule"], "%v %s %d-%d %s", &egress, &protocol, &from, &to, &peer)
			r := ec2api.SecurityGroupRule{SecurityGroupRuleId: &t.id, IsEgress: &egress, IpProtocol: &protocol, FromPort: &from, ToPort: &to}
			if strings.HasPrefix(peer, "sg-") {
				r.ReferencedGroupInfo = &ec2api.ReferencedSecurityGroup{GroupId: &peer}
			} else {
				r.CidrIpv4 = &peer
			}
			out.SecurityGroupRules = append(out.SecurityGroupRules, r)
		}
		return out, nil
	})
}

func (f *front) CreateTags(_ context.Context, in *ec2api.CreateTagsInput) (*ec2api.CreateTagsOutput, error) {
	return call(f, "CreateTags", func() (*ec2api.CreateTagsOutput, error) {
		for _, t := range in.Tags {
			f.things[in.Resources[0]].tags[v(t.Key)] = v(t.Value)
		}
		return &ec2api.CreateTagsOutput{}, nil
	})
}

// --- ECS ---

type ecsFront struct {
	ecsapi.API
	*front
}

func ecsTags(list []ecsapi.Tag) map[string]string {
	out := make(map[string]string)
	for _, t := range list {
		out[v(t.Key)] = v(t.Value)
	}
	return out
}

func (f *ecsFront) CreateCluster(_ context.Context, in *ecsapi.CreateClusterInput) (*ecsapi.CreateClusterOutput, error) {
	return call(f.front, "CreateCluster", func() (*ecsapi.CreateClusterOutput, error) {
		f.add("cluster", v(in.ClusterName), ecsTags(in.Tags), nil)
		return &ecsapi.CreateClusterOutput{}, nil
	})
}

func (f *ecsFront) DescribeClusters(_ context.Context, in *ecsapi.DescribeClustersInput) (*ecsapi.DescribeClustersOutput, error) {
	return call(f.front, "DescribeClusters", func() (*ecsapi.DescribeClustersOutput, error) {
		out := &ecsapi.DescribeClustersOutput{}
		for _, t := range f.list("cluster", in.Clusters, nil) {
			out.Clusters = append(out.Clusters, ecsapi.Cluster{ClusterName: &t.id, ClusterArn: s("arn:cluster/" + t.id), Status: s("ACTIVE")})
		}
		return out, nil
	})
}

func (f *ecsFront) DeleteCluster(_ context.Context, in *ecsapi.DeleteClusterInput) (*ecsapi.DeleteClusterOutput, error) {
	return call(f.front, "DeleteCluster", func() (*ecsapi.DeleteClusterOutput, error) {
		return &ecsapi.DeleteClusterOutput{}, f.drop(v(in.Cluster), "ClusterNotFoundException")
	})
}

func (f *ecsFront) RegisterTaskDefinition(_ context.Context, in *ecsapi.RegisterTaskDefinitionInput) (*ecsapi.RegisterTaskDefinitionOutput, error) {
	return call(f.front, "RegisterTaskDefinition", func() (*ecsapi.RegisterTaskDefinitionOutput, error) {
		f.serial++
		arn := fmt.Sprintf("arn:aws:ecs:us-east-1:000000000000:task-definition/%s:%04d", v(in.Family), f.serial)
		f.add("taskdef", arn, ecsTags(in.Tags), map[string]string{"family": v(in.Family), "image": v(in.ContainerDefinitions[0].Image)})
		return &ecsapi.RegisterTaskDefinitionOutput{TaskDefinition: &ecsapi.TaskDefinition{TaskDefinitionArn: &arn}}, nil
	})
}

func (f *ecsFront) DescribeTaskDefinition(_ context.Context, in *ecsapi.DescribeTaskDefinitionInput) (*ecsapi.DescribeTaskDefinitionOutput, error) {
	return call(f.front, "DescribeTaskDefinition", func() (*ecsapi.DescribeTaskDefinitionOutput, error) {
		list := f.list("taskdef", nil, func(t *thing) bool { return t.text["family"] == v(in.TaskDefinition) })
		if len(list) == 0 {
			return nil, awsapi.NewError("ClientException", "Unable to describe task definition.")
		}
		t := list[len(list)-1]
		out := &ecsapi.DescribeTaskDefinitionOutput{TaskDefinition: &ecsapi.TaskDefinition{TaskDefinitionArn: &t.id}}
		for key, value := range t.tags {
			out.Tags = append(out.Tags, ecsapi.Tag{Key: s(key), Value: s(value)})
		}
		return out, nil
	})
}

func (f *ecsFront) DeregisterTaskDefinition(_ context.Context, in *ecsapi.DeregisterTaskDefinitionInput) (*ecsapi.DeregisterTaskDefinitionOutput, error) {
	return call(f.front, "DeregisterTaskDefinition", func() (*ecsapi.DeregisterTaskDefinitionOutput, error) {
		return &ecsapi.DeregisterTaskDefinitionOutput{}, f.drop(v(in.TaskDefinition), "NotFound")
	})
}

func (f *ecsFront) CreateService(_ context.Context, in *ecsapi.CreateServiceInput) (*ecsapi.CreateServiceOutput, error) {
	return call(f.front, "CreateService", func() (*ecsapi.CreateServiceOutput, error) {
		arn := fmt.Sprintf("arn:aws:ecs:us-east-1:000000000000:service/%s/%s", v(in.Cluster), v(in.ServiceName))
		if f.things[arn] != nil {
			return nil, awsapi.NewError("InvalidParameterException", "Creation of service was not idempotent.")
		}
		refs := append([]string{v(in.TaskDefinition), v(in.Cluster)}, in.NetworkConfiguration.AwsvpcConfiguration.Subnets...)
		refs = append(refs, in.NetworkConfiguration.AwsvpcConfiguration.SecurityGroups...)
		f.add("service", arn, ecsTags(in.Tags), map[string]string{"taskdef": v(in.TaskDefinition)}, refs...)
		return &ecsapi.CreateServiceOutput{Service: &ecsapi.Service{ServiceArn: &arn}}, nil
	})
}

func (f *ecsFront) DescribeServices(_ context.Context, in *ecsapi.DescribeServicesInput) (*ecsapi.DescribeServicesOutput, error) {
	return call(f.front, "DescribeServices", func() (*ecsapi.DescribeServicesOutput, error) {
		out := &ecsapi.DescribeServicesOutput{}
		for _, t := range f.list("service", nil, func(t *thing) bool { return strings.HasSuffix(t.id, in.Services[0]) }) {
			running := int32(2)
			if f.stuck["service"] || strings.HasSuffix(f.things[t.text["taskdef"]].text["image"], "never") {
				running = 0
			}
			state := ecsapi.DeploymentRolloutState("COMPLETED")
			if strings.HasSuffix(f.things[t.text["taskdef"]].text["image"], "broken") {
				state = "FAILED"
			}
			out.Services = append(out.Services, ecsapi.Service{
				ServiceArn: &t.id, Status: s("ACTIVE"), DesiredCount: awsapi.Ptr(int32(2)), RunningCount: &running,
				Deployments: []ecsapi.Deployment{{Status: s("PRIMARY"), TaskDefinition: s(t.text["taskdef"]), RolloutState: state}},
			})
		}
		return out, nil
	})
}

func (f *ecsFront) UpdateService(_ context.Context, in *ecsapi.UpdateServiceInput) (*ecsapi.UpdateServiceOutput, error) {
	return call(f.front, "UpdateService", func() (*ecsapi.UpdateServiceOutput, error) {
		t := f.things[v(in.Service)]
		if in.TaskDefinition != nil {
			t.text["taskdef"], t.refs[0] = v(in.TaskDefinition), v(in.TaskDefinition)
		}
		return &ecsapi.UpdateServiceOutput{}, nil
	})
}

func (f *ecsFront) DeleteService(_ context.Context, in *ecsapi.DeleteServiceInput) (*ecsapi.DeleteServiceOutput, error) {
	return call(f.front, "DeleteService", func() (*ecsapi.DeleteServiceOutput, error) {
		return &ecsapi.DeleteServiceOutput{}, f.drop(v(in.Service), "ServiceNotFoundException")
	})
}

func (f *ecsFront) TagResource(_ context.Context, in *ecsapi.TagResourceInput) (*ecsapi.TagResourceOutput, error) {
	return call(f.front, "ecs TagResource", func() (*ecsapi.TagResourceOutput, error) { return &ecsapi.TagResourceOutput{}, nil })
}

// --- ELB ---

type elbFront struct {
	elbv2api.API
	*front
}

func (f *elbFront) CreateLoadBalancer(_ context.Context, in *elbv2api.CreateLoadBalancerInput) (*elbv2api.CreateLoadBalancerOutput, error) {
	return call(f.front, "CreateLoadBalancer", func() (*elbv2api.CreateLoadBalancerOutput, error) {
		arn := "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/" + v(in.Name) + "/0123456789abcdef"
		if f.things[arn] != nil {
			return nil, awsapi.NewError("DuplicateLoadBalancerName", "A load balancer with the same name exists")
		}
		f.add("lb", arn, nil, map[string]string{"name": v(in.Name)}, append(slices.Clone(in.Subnets), in.SecurityGroups...)...)
		return &elbv2api.CreateLoadBalancerOutput{LoadBalancers: []elbv2api.LoadBalancer{{LoadBalancerArn: &arn}}}, nil
	})
}

func (f *elbFront) DescribeLoadBalancers(_ context.Context, in *elbv2api.DescribeLoadBalancersInput) (*elbv2api.DescribeLoadBalancersOutput, error) {
	return call(f.front, "DescribeLoadBalancers", func() (*elbv2api.DescribeLoadBalancersOutput, error) {
		out := &elbv2api.DescribeLoadBalancersOutput{}
		for _, t := range f.list("lb", in.LoadBalancerArns, func(t *thing) bool { return len(in.Names) == 0 || t.text["name"] == in.Names[0] }) {
			out.LoadBalancers = append(out.LoadBalancers, elbv2api.LoadBalancer{
				LoadBalancerArn: &t.id, LoadBalancerName: s(t.text["name"]), DNSName: s(t.text["name"] + ".us-east-1.elb.amazonaws.com"),
				CanonicalHostedZoneId: s("Z35SXDOTRQ7X7K"), State: &elbv2api.LoadBalancerState{Code: "active"},
			})
		}
		if len(out.LoadBalancers) == 0 {
			return nil, awsapi.NewError("LoadBalancerNotFound", "One or more load balancers not found")
		}
		return out, nil
	})
}

func (f *elbFront) ModifyLoadBalancerAttributes(context.Context, *elbv2api.ModifyLoadBalancerAttributesInput) (*elbv2api.ModifyLoadBalancerAttributesOutput, error) {
	return call(f.front, "ModifyLoadBalancerAttributes", func() (*elbv2api.ModifyLoadBalancerAttributesOutput, error) {
		return &elbv2api.ModifyLoadBalancerAttributesOutput{}, nil
	})
}

func (f *elbFront) SetSubnets(_ context.Context, in *elbv2api.SetSubnetsInput) (*elbv2api.SetSubnetsOutput, error) {
	return call(f.front, "SetSubnets", func() (*elbv2api.SetSubnetsOutput, error) {
		f.swap(v(in.LoadBalancerArn), "subnet-", in.Subnets)
		return &elbv2api.SetSubnetsOutput{}, nil
	})
}

func (f *elbFront) SetSecurityGroups(_ context.Context, in *elbv2api.SetSecurityGroupsInput) (*elbv2api.SetSecurityGroupsOutput, error) {
	return call(f.front, "SetSecurityGroups", func() (*elbv2api.SetSecurityGroupsOutput, error) {
		f.swap(v(in.LoadBalancerArn), "sg-", in.SecurityGroups)
		return &elbv2api.SetSecurityGroupsOutput{}, nil
	})
}

// swap replaces a thing's references of one kind.
func (c *cloud) swap(id, prefix string, refs []string) {
	t := c.things[id]
	t.refs = append(slices.DeleteFunc(slices.Clone(t.refs), func(r string) bool { return strings.HasPrefix(r, prefix) }), refs...)
}

func (f *elbFront) DeleteLoadBalancer(_ context.Context, in *elbv2api.DeleteLoadBalancerInput) (*elbv2api.DeleteLoadBalancerOutput, error) {
	return call(f.front, "DeleteLoadBalancer", func() (*elbv2api.DeleteLoadBalancerOutput, error) {
		return &elbv2api.DeleteLoadBalancerOutput{}, f.drop(v(in.LoadBalancerArn), "LoadBalancerNotFound")
	})
}

func (f *elbFront) CreateTargetGroup(_ context.Context, in *elbv2api.CreateTargetGroupInput) (*elbv2api.CreateTargetGroupOutput, error) {
	return call(f.front, "CreateTargetGroup", func() (*elbv2api.CreateTargetGroupOutput, error) {
		arn := "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/" + v(in.Name) + "/0123456789abcdef"
		if f.things[arn] != nil {
			return nil, awsapi.NewError("DuplicateTargetGroupName", "A target group with the same name exists")
		}
		f.add("tg", arn, nil, map[string]string{"name": v(in.Name)}, v(in.VpcId))
		return &elbv2api.CreateTargetGroupOutput{TargetGroups: []elbv2api.TargetGroup{{TargetGroupArn: &arn}}}, nil
	})
}

func (f *elbFront) DescribeTargetGroups(_ context.Context, in *elbv2api.DescribeTargetGroupsInput) (*elbv2api.DescribeTargetGroupsOutput, error) {
	return call(f.front, "DescribeTargetGroups", func() (*elbv2api.DescribeTargetGroupsOutput, error) {
		out := &elbv2api.DescribeTargetGroupsOutput{}
		for _, t := range f.list("tg", in.TargetGroupArns, func(t *thing) bool { return len(in.Names) == 0 || t.text["name"] == in.Names[0] }) {
			out.TargetGroups = append(out.TargetGroups, elbv2api.TargetGroup{TargetGroupArn: &t.id, TargetGroupName: s(t.text["name"])})
		}
		if len(out.TargetGroups) == 0 {
			return nil, awsapi.NewError("TargetGroupNotFound", "One or more target groups not found")
		}
		return out, nil
	})
}

func (f *elbFront) ModifyTargetGroupAttributes(context.Context, *elbv2api.ModifyTargetGroupAttributesInput) (*elbv2api.ModifyTargetGroupAttributesOutput, error) {
	return call(f.front, "ModifyTargetGroupAttributes", func() (*elbv2api.ModifyTargetGroupAttributesOutput, error) {
		return &elbv2api.ModifyTargetGroupAttributesOutput{}, nil
	})
}

func (f *elbFront) ModifyTargetGroup(context.Context, *elbv2api.ModifyTargetGroupInput) (*elbv2api.ModifyTargetGroupOutput, error) {
	return call(f.front, "ModifyTargetGroup", func() (*elbv2api.ModifyTargetGroupOutput, error) { return &elbv2api.ModifyTargetGroupOutput{}, nil })
}

func (f *elbFront) AddTags(_ context.Context, in *elbv2api.AddTagsInput) (*elbv2api.AddTagsOutput, error) {
	return call(f.front, "AddTags", func() (*elbv2api.AddTagsOutput, error) { return &elbv2api.AddTagsOutput{}, nil })
}

func (f *elbFront) DeleteTargetGroup(_ context.Context, in *elbv2api.DeleteTargetGroupInput) (*elbv2api.DeleteTargetGroupOutput, error) {
	return call(f.front, "DeleteTargetGroup", func() (*elbv2api.DeleteTargetGroupOutput, error) {
		return &elbv2api.DeleteTargetGroupOutput{}, f.drop(v(in.TargetGroupArn), "TargetGroupNotFound")
	})
}

func (f *elbFront) CreateListener(_ context.Context, in *elbv2api.CreateListenerInput) (*elbv2api.CreateListenerOutput, error) {
	return call(f.front, "CreateListener", func() (*elbv2api.CreateListenerOutput, error) {
		arn := strings.Replace(v(in.LoadBalancerArn), "loadbalancer/", "listener/", 1) + fmt.Sprintf("/%d", awsapi.Val(in.Port))
		if f.things[arn] != nil {
			return nil, awsapi.NewError("DuplicateListener", "A listener already exists on this port")
		}
		f.add("listener", arn, nil, map[string]string{"port": fmt.Sprint(awsapi.Val(in.Port))}, v(in.LoadBalancerArn), v(in.DefaultActions[0].TargetGroupArn))
		return &elbv2api.CreateListenerOutput{Listeners: []elbv2api.Listener{{ListenerArn: &arn}}}, nil
	})
}

func (f *elbFront) DescribeListeners(_ context.Context, in *elbv2api.DescribeListenersInput) (*elbv2api.DescribeListenersOutput, error) {
	return call(f.front, "DescribeListeners", func() (*elbv2api.DescribeListenersOutput, error) {
		out := &elbv2api.DescribeListenersOutput{}
		for _, t := range f.list("listener", nil, func(t *thing) bool { return t.refs[0] == v(in.LoadBalancerArn) }) {
			out.Listeners = append(out.Listeners, elbv2api.Listener{ListenerArn: &t.id, Port: awsapi.Ptr(int32(80))})
		}
		return out, nil
	})
}

func (f *elbFront) ModifyListener(_ context.Context, in *elbv2api.ModifyListenerInput) (*elbv2api.ModifyListenerOutput, error) {
	return call(f.front, "ModifyListener", func() (*elbv2api.ModifyListenerOutput, error) {
		if awsapi.Val(in.Port) == 81 {
			return nil, awsapi.NewError("ValidationError", "no port 81 today")
		}
		f.things[v(in.ListenerArn)].refs[1] = v(in.DefaultActions[0].TargetGroupArn)
		return &elbv2api.ModifyListenerOutput{}, nil
	})
}

func (f *elbFront) DeleteListener(_ context.Context, in *elbv2api.DeleteListenerInput) (*elbv2api.DeleteListenerOutput, error) {
	return call(f.front, "DeleteListener", func() (*elbv2api.DeleteListenerOutput, error) {
		return &elbv2api.DeleteListenerOutput{}, f.drop(v(in.ListenerArn), "ListenerNotFound")
	})
}

// --- Logs, IAM ---

type logsFront struct {
	logsapi.API
	*front
}

func (f *logsFront) CreateLogGroup(_ context.Context, in *logsapi.CreateLogGroupInput) (*logsapi.CreateLogGroupOutput, error) {
	return call(f.front, "CreateLogGroup", func() (*logsapi.CreateLogGroupOutput, error) {
		if f.things[v(in.LogGroupName)] != nil {
			return nil, awsapi.NewError("ResourceAlreadyExistsException", "The specified log group already exists")
		}
		f.add("loggroup", v(in.LogGroupName), in.Tags, make(map[string]string))
		return &logsapi.CreateLogGroupOutput{}, nil
	})
}

func (f *logsFront) DescribeLogGroups(_ context.Context, in *logsapi.DescribeLogGroupsInput) (*logsapi.DescribeLogGroupsOutput, error) {
	return call(f.front, "DescribeLogGroups", func() (*logsapi.DescribeLogGroupsOutput, error) {
		out := &logsapi.DescribeLogGroupsOutput{}
		for _, t := range f.list("loggroup", nil, func(t *thing) bool { return strings.HasPrefix(t.id, v(in.LogGroupNamePrefix)) }) {
			arn := "arn:aws:logs:us-east-1:000000000000:log-group:" + t.id
			out.LogGroups = append(out.LogGroups, logsapi.LogGroup{LogGroupName: &t.id, LogGroupArn: &arn, Arn: s(arn + ":*")})
		}
		return out, nil
	})
}

func (f *logsFront) PutRetentionPolicy(_ context.Context, in *logsapi.PutRetentionPolicyInput) (*logsapi.PutRetentionPolicyOutput, error) {
	return call(f.front, "PutRetentionPolicy", func() (*logsapi.PutRetentionPolicyOutput, error) {
		f.things[v(in.LogGroupName)].text["days"] = fmt.Sprint(awsapi.Val(in.RetentionInDays))
		return &logsapi.PutRetentionPolicyOutput{}, nil
	})
}

func (f *logsFront) TagResource(_ context.Context, in *logsapi.TagResourceInput) (*logsapi.TagResourceOutput, error) {
	return call(f.front, "logs TagResource", func() (*logsapi.TagResourceOutput, error) {
		_, name, _ := strings.Cut(v(in.ResourceArn), "log-group:")
		maps.Copy(f.things[name].tags, in.Tags)
		return &logsapi.TagResourceOutput{}, nil
	})
}

func (f *logsFront) DeleteLogGroup(_ context.Context, in *logsapi.DeleteLogGroupInput) (*logsapi.DeleteLogGroupOutput, error) {
	return call(f.front, "DeleteLogGroup", func() (*logsapi.DeleteLogGroupOutput, error) {
		return &logsapi.DeleteLogGroupOutput{}, f.drop(v(in.LogGroupName), "ResourceNotFoundException")
	})
}

type iamFront struct {
	iamapi.API
	*front
}

func (f *iamFront) CreateRole(_ context.Context, in *iamapi.CreateRoleInput) (*iamapi.CreateRoleOutput, error) {
	return call(f.front, "CreateRole", func() (*iamapi.CreateRoleOutput, error) {
		if f.things[v(in.RoleName)] != nil {
			return nil, awsapi.NewError("EntityAlreadyExists", "Role with name %s already exists.", v(in.RoleName))
		}
		f.add("role", v(in.RoleName), nil, nil)
		return &iamapi.CreateRoleOutput{}, nil
	})
}

func (f *iamFront) GetRole(_ context.Context, in *iamapi.GetRoleInput) (*iamapi.GetRoleOutput, error) {
	return call(f.front, "GetRole", func() (*iamapi.GetRoleOutput, error) {
		t := f.things[v(in.RoleName)]
		if t == nil {
			return nil, awsapi.NewError("NoSuchEntity", "The role with name %s cannot be found.", v(in.RoleName))
		}
		return &iamapi.GetRoleOutput{Role: &iamapi.Role{RoleName: &t.id, Arn: s("arn:aws:iam::000000000000:role/" + t.id), RoleId: s("AROA")}}, nil
	})
}

func (f *iamFront) PutRolePolicy(_ context.Context, in *iamapi.PutRolePolicyInput) (*iamapi.PutRolePolicyOutput, error) {
	return call(f.front, "PutRolePolicy", func() (*iamapi.PutRolePolicyOutput, error) {
		f.add("policy", v(in.RoleName)+"/"+v(in.PolicyName), nil, nil, v(in.RoleName))
		return &iamapi.PutRolePolicyOutput{}, nil
	})
}

func (f *iamFront) DeleteRolePolicy(_ context.Context, in *iamapi.DeleteRolePolicyInput) (*iamapi.DeleteRolePolicyOutput, error) {
	return call(f.front, "DeleteRolePolicy", func() (*iamapi.DeleteRolePolicyOutput, error) {
		return &iamapi.DeleteRolePolicyOutput{}, f.drop(v(in.RoleName)+"/"+v(in.PolicyName), "NoSuchEntity")
	})
}

func (f *iamFront) TagRole(context.Context, *iamapi.TagRoleInput) (*iamapi.TagRoleOutput, error) {
	return call(f.front, "TagRole", func() (*iamapi.TagRoleOutput, error) { return &iamapi.TagRoleOutput{}, nil })
}

func (f *iamFront) DeleteRole(_ context.Context, in *iamapi.DeleteRoleInput) (*iamapi.DeleteRoleOutput, error) {
	return call(f.front, "DeleteRole", func() (*iamapi.DeleteRoleOutput, error) {
		return &iamapi.DeleteRoleOutput{}, f.drop(v(in.RoleName), "NoSuchEntity")
	})
}
