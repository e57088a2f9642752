package resource

import (
	"context"
	"strconv"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/stack"
)

func (t *ec2Types) interfaceTypes() []*Type {
	return []*Type{{
		Type: stack.Type{
			Name: "AWS::EC2::NetworkInterface",
			Properties: props("SubnetId!*", "Description", "GroupSet", "PrivateIpAddress*", "PrivateIpAddresses*", "SecondaryPrivateIpAddressCount*",
				"Ipv6AddressCount*", "Ipv6Addresses*", "InterfaceType*", "SourceDestCheck", "Tags"),
			Attributes: []string{"Id", "PrimaryPrivateIpAddress", "PrimaryIpv6Address", "SecondaryPrivateIpAddresses", "VpcId"},
		},
		New: t.newInterface, Find: t.findInterface, Apply: t.applyInterface, Ready: t.interfaceReady, Read: t.readInterface, Taggable: true,
		Remove: func(ctx context.Context, r *Request) error {
			_, err := invoke(ctx, t.d, t.api.DeleteNetworkInterface, &ec2api.DeleteNetworkInterfaceInput{NetworkInterfaceId: &r.PhysicalID})
			return err
		},
	}}
}

func itoa(n int) string { return strconv.Itoa(n) }

func (t *ec2Types) newInterface(ctx context.Context, r *Request) (string, error) {
	in := &ec2api.CreateNetworkInterfaceInput{TagSpecifications: t.tags(r, ec2api.ResourceTypeNetworkInterface), ClientToken: p(r.Token)}
	if err := r.fill(in, "SubnetId", "Description", "GroupSet=Groups", "PrivateIpAddress", "PrivateIpAddresses", "SecondaryPrivateIpAddressCount", "Ipv6AddressCount", "Ipv6Addresses", "InterfaceType"); err != nil {
		return "", err
	}
	out, err := invoke(ctx, t.d, t.api.CreateNetworkInterface, in)
	if err != nil {
		return "", err
	}
	return awsapi.Val(out.NetworkInterface.NetworkInterfaceId), nil
}

func (t *ec2Types) findInterface(ctx context.Context, r *Request) (string, bool, error) {
	out, err := invoke(ctx, t.d, t.api.DescribeNetworkInterfaces, &ec2api.DescribeNetworkInterfacesInput{Filters: mine(r)})
	if err != nil {
		return "", false, err
	}
	return unknown(r, out.NetworkInterfaces, func(v *ec2api.NetworkInterface) *string { return v.NetworkInterfaceId })
}

func (t *ec2Types) applyInterface(ctx context.Context, r *Request) error {
	modify := func(in *ec2api.ModifyNetworkInterfaceAttributeInput) error {
		in.NetworkInterfaceId = &r.PhysicalID
		_, err := invoke(ctx, t.d, t.api.ModifyNetworkInterfaceAttribute, in)
		return err
	}
	if r.changed("SourceDestCheck") {
		v, err := boolValue(r, "SourceDestCheck")
		if err != nil {
			return err
		}
		if v.Value == nil {
			v.Value = p(true)
		}
		if err := modify(&ec2api.ModifyNetworkInterfaceAttributeInput{SourceDestCheck: v}); err != nil {
			return err
		}
	}
	if r.Old != nil && r.changed("Description") {
		if err := modify(&ec2api.ModifyNetworkInterfaceAttributeInput{Description: &ec2api.AttributeValue{Value: p(r.text("Description"))}}); err != nil {
			return err
		}
	}
	if r.Old != nil && r.changed("GroupSet") {
		if err := modify(&ec2api.ModifyNetworkInterfaceAttributeInput{Groups: r.list("GroupSet")}); err != nil {
			return err
		}
	}
	return t.retag(ctx, r, r.PhysicalID)
}

func (t *ec2Types) networkInterface(ctx context.Context, id string) (ec2api.NetworkInterface, error) {
	out, err := invoke(ctx, t.d, t.api.DescribeNetworkInterfaces, &ec2api.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{id}})
	if err != nil {
		return ec2api.NetworkInterface{}, err
	}
	n, _ := first(out.NetworkInterfaces)
	return n, nil
}

func (t *ec2Types) interfaceReady(ctx context.Context, r *Request) (State, error) {
	n, err := t.networkInterface(ctx, r.PhysicalID)
	return State{Done: n.Status == "available" || n.Status == "in-use", Why: "status of the network interface: " + string(n.Status)}, err
}

func (t *ec2Types) readInterface(ctx context.Context, r *Request) (Attributes, error) {
	n, err := t.networkInterface(ctx, r.PhysicalID)
	if err != nil {
		return nil, err
	}
	var secondary []string
	for _, a := range n.PrivateIpAddresses {
		if !awsapi.Val(a.Primary) {
			secondary = append(secondary, awsapi.Val(a.PrivateIpAddress))
		}
	}
	return Attributes{
		"Id": r.PhysicalID, "PrimaryPrivateIpAddress": awsapi.Val(n.PrivateIpAddress), "PrimaryIpv6Address": awsapi.Val(n.Ipv6Address),
		"SecondaryPrivateIpAddresses": secondary, "VpcId": awsapi.Val(n.VpcId),
	}, nil
}
