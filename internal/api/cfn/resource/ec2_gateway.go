package resource

import (
	"context"
	"fmt"
	"slices"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/stack"
)

func (t *ec2Types) gatewayTypes() []*Type {
	return []*Type{
		{
			Type: stack.Type{Name: "AWS::EC2::InternetGateway", Properties: props("Tags"), Attributes: []string{"InternetGatewayId"}},
			New: func(ctx context.Context, r *Request) (string, error) {
				out, err := invoke(ctx, t.d, t.api.CreateInternetGateway, &ec2api.CreateInternetGatewayInput{TagSpecifications: t.tags(r, ec2api.ResourceTypeInternetGateway)})
				if err != nil {
					return "", err
				}
				return awsapi.Val(out.InternetGateway.InternetGatewayId), nil
			},
			Find: func(ctx context.Context, r *Request) (string, bool, error) {
				out, err := invoke(ctx, t.d, t.api.DescribeInternetGateways, &ec2api.DescribeInternetGatewaysInput{Filters: mine(r)})
				if err != nil {
					return "", false, err
				}
				return unknown(r, out.InternetGateways, func(v *ec2api.InternetGateway) *string { return v.InternetGatewayId })
			},
			Apply: func(ctx context.Context, r *Request) error { return t.retag(ctx, r, r.PhysicalID) },
			Read: func(_ context.Context, r *Request) (Attributes, error) {
				return Attributes{"InternetGatewayId": r.PhysicalID}, nil
			},
			Remove: func(ctx context.Context, r *Request) error {
				_, err := invoke(ctx, t.d, t.api.DeleteInternetGateway, &ec2api.DeleteInternetGatewayInput{InternetGatewayId: &r.PhysicalID})
				return err
			},
			Taggable: true,
		},
		{
			Type: stack.Type{Name: "AWS::EC2::VPCGatewayAttachment", Properties: props("VpcId!*", "InternetGatewayId!*"), Attributes: []string{"AttachmentType"}},
			New: func(ctx context.Context, r *Request) (string, error) {
				in := &ec2api.AttachInternetGatewayInput{}
				if err := r.fill(in, "VpcId", "InternetGatewayId"); err != nil {
					return "", err
				}
				_, err := invoke(ctx, t.d, t.api.AttachInternetGateway, in)
				return "IGW|" + r.text("VpcId"), err
			},
			Find: t.findAttachment,
			Read: func(context.Context, *Request) (Attributes, error) { return Attributes{"AttachmentType": "IGW"}, nil },
			Remove: func(ctx context.Context, r *Request) error {
				in := &ec2api.DetachInternetGatewayInput{}
				if err := r.fill(in, "VpcId", "InternetGatewayId"); err != nil {
					return err
				}
				_, err := invoke(ctx, t.d, t.api.DetachInternetGateway, in)
				return err
			},
		},
		{
			Type: stack.Type{
				Name: "AWS::EC2::NatGateway",
				Properties: props("SubnetId!*", "AllocationId*", "ConnectivityType*", "PrivateIpAddress*", "SecondaryAllocationIds",
					"SecondaryPrivateIpAddresses", "SecondaryPrivateIpAddressCount", "Tags"),
				Attributes: []string{"NatGatewayId", "EniId"},
			},
			New: t.newNatGateway, Find: t.findNatGateway, Apply: t.applyNatGateway, Ready: t.natReady, Gone: t.natGone, Read: t.readNatGateway, Taggable: true,
			Remove: func(ctx context.Context, r *Request) error {
				_, err := invoke(ctx, t.d, t.api.DeleteNatGateway, &ec2api.DeleteNatGatewayInput{NatGatewayId: &r.PhysicalID})
				return err
			},
		},
		{
			Type: stack.Type{
				Name:       "AWS::EC2::EIP",
				Properties: props("Domain", "Address*", "PublicIpv4Pool*", "NetworkBorderGroup*", "Tags"),
				Attributes: []string{"AllocationId", "PublicIp"},
			},
			New: t.newEIP, Find: t.findEIP, Read: t.readEIP, Taggable: true,
			Apply: func(ctx context.Context, r *Request) error {
				if r.Old == nil {
					return nil
				}
				a, err := t.readEIP(ctx, r)
				if err != nil {
					return err
				}
				id, _ := a["AllocationId"].(string)
				return t.retag(ctx, r, id)
			},
			Remove: t.removeEIP,
		},
	}
}

func (t *ec2Types) findAttachment(ctx context.Context, r *Request) (string, bool, error) {
	out, err := invoke(ctx, t.d, t.api.DescribeInternetGateways, &ec2api.DescribeInternetGatewaysInput{InternetGatewayIds: []string{r.text("InternetGatewayId")}})
	if err != nil {
		return "", false, err
	}
	gateway, _ := first(out.InternetGateways)
	for _, a := range gateway.Attachments {
		if awsapi.Val(a.VpcId) == r.text("VpcId") {
			return "IGW|" + r.text("VpcId"), true, nil
		}
	}
	return "", false, nil
}

func (t *ec2Types) newNatGateway(ctx context.Context, r *Request) (string, error) {
	in := &ec2api.CreateNatGatewayInput{TagSpecifications: t.tags(r, ec2api.ResourceTypeNatgateway), ClientToken: p(r.Token)}
	if err := r.fill(in, "SubnetId", "AllocationId", "ConnectivityType", "PrivateIpAddress", "SecondaryAllocationIds", "SecondaryPrivateIpAddresses", "SecondaryPrivateIpAddressCount"); err != nil {
		return "", err
	}
	out, err := invoke(ctx, t.d, t.api.CreateNatGateway, in)
	if err != nil {
		return "", err
	}
	return awsapi.Val(out.NatGateway.NatGatewayId), nil
}

func (t *ec2Types) findNatGateway(ctx context.Context, r *Request) (string, bool, error) {
	out, err := invoke(ctx, t.d, t.api.DescribeNatGateways, &ec2api.DescribeNatGatewaysInput{Filter: mine(r)})
	if err != nil {
		return "", false, err
	}
	live := slices.DeleteFunc(slices.Clone(out.NatGateways), func(n ec2api.NatGateway) bool {
		return n.State == "deleted" || n.State == "deleting" || n.State == "failed"
	})
	return unknown(r, live, func(v *ec2api.NatGateway) *string { return v.NatGatewayId })
}

func (t *ec2Types) applyNatGateway(ctx context.Context, r *Request) error {
	if r.Old != nil && r.changed("SecondaryAllocationIds", "SecondaryPrivateIpAddresses", "SecondaryPrivateIpAddressCount") {
		return r.invalid("#", "secondary addresses of a NAT gateway cannot be changed")
	}
	return t.retag(ctx, r, r.PhysicalID)
}

func (t *ec2Types) nat(ctx context.Context, id string) (ec2api.NatGateway, bool, error) {
	out, err := invoke(ctx, t.d, t.api.DescribeNatGateways, &ec2api.DescribeNatGatewaysInput{NatGatewayIds: []string{id}})
	if err != nil {
		return ec2api.NatGateway{}, false, absent(err)
	}
	n, ok := first(out.NatGateways)
	return n, ok, nil
}

func (t *ec2Types) natReady(ctx context.Context, r *Request) (State, error) {
	n, ok, err := t.nat(ctx, r.PhysicalID)
	if err != nil {
		return State{}, err
	}
	if !ok || n.State == "failed" || n.State == "deleted" || n.State == "deleting" {
		return State{}, fmt.Errorf("NatGateway %s is in state %s and hence failed to stabilize. Detailed failure message: %s", r.PhysicalID, n.State, awsapi.Val(n.FailureMessage))
	}
	return State{Done: n.State == "available", Why: "state of the NAT gateway: " + string(n.State)}, nil
}

func (t *ec2Types) natGone(ctx context.Context, r *Request) (State, error) {
	n, ok, err := t.nat(ctx, r.PhysicalID)
	return State{Done: !ok || n.State == "deleted", Why: "state of the NAT gateway: " + string(n.State)}, err
}

func (t *ec2Types) readNatGateway(ctx context.Context, r *Request) (Attributes, error) {
	n, _, err := t.nat(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	a := Attributes{"NatGatewayId": r.PhysicalID}
	if address, ok := first(n.NatGatewayAddresses); ok {
		a["EniId"] = awsapi.Val(address.NetworkInterfaceId)
	}
	return a, nil
}

func (t *ec2Types) newEIP(ctx context.Context, r *Request) (string, error) {
	in := &ec2api.AllocateAddressInput{TagSpecifications: t.tags(r, ec2api.ResourceTypeElasticIp)}
	if err := r.fill(in, "Domain", "Address", "PublicIpv4Pool", "NetworkBorderGroup"); err != nil {
		return "", err
	}
	if in.Domain == "" {
		in.Domain = ec2api.DomainTypeVpc
	}
	out, err := invoke(ctx, t.d, t.api.AllocateAddress, in)
	if err != nil {
		return "", err
	}
	return awsapi.Val(out.PublicIp), nil
}

func (t *ec2Types) findEIP(ctx context.Context, r *Request) (string, bool, error) {
	out, err := invoke(ctx, t.d, t.api.DescribeAddresses, &ec2api.DescribeAddressesInput{Filters: mine(r)})
	if err != nil {
		return "", false, err
	}
	return unknown(r, out.Addresses, func(v *ec2api.Address) *string { return v.PublicIp })
}

func (t *ec2Types) readEIP(ctx context.Context, r *Request) (Attributes, error) {
	out, err := invoke(ctx, t.d, t.api.DescribeAddresses, &ec2api.DescribeAddressesInput{PublicIps: []string{r.PhysicalID}})
	if err != nil {
		return nil, err
	}
	a, _ := first(out.Addresses)
	return Attributes{"AllocationId": awsapi.Val(a.AllocationId), "PublicIp": r.PhysicalID}, nil
}

func (t *ec2Types) removeEIP(ctx context.Context, r *Request) error {
	id, _ := r.Attributes["AllocationId"].(string)
	if id == "" { // it never became ready
		a, err := t.readEIP(ctx, r)
		if err != nil {
			return err
		}
		id, _ = a["AllocationId"].(string)
	}
	_, err := invoke(ctx, t.d, t.api.ReleaseAddress, &ec2api.ReleaseAddressInput{AllocationId: &id})
	return err
}
