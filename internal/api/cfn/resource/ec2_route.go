package resource

import (
	"context"
	"slices"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/stack"
)

// The properties of a route, which have the same names in the API.
var (
	routeDestinations = []string{"DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId"}
	routeTargets      = []string{
		"CarrierGatewayId", "CoreNetworkArn", "EgressOnlyInternetGatewayId", "GatewayId", "InstanceId", "LocalGatewayId", "NatGatewayId",
		"NetworkInterfaceId", "TransitGatewayId", "VpcEndpointId", "VpcPeeringConnectionId",
	}
)

func (t *ec2Types) routeTypes() []*Type {
	routeProps := props(append([]string{"RouteTableId!*", "DestinationCidrBlock*", "DestinationIpv6CidrBlock*", "DestinationPrefixListId*"}, routeTargets...)...)
	return []*Type{
		{
			Type: stack.Type{Name: "AWS::EC2::RouteTable", Properties: props("VpcId!*", "Tags"), Attributes: []string{"RouteTableId"}},
			New: func(ctx context.Context, r *Request) (string, error) {
				in := &ec2api.CreateRouteTableInput{TagSpecifications: t.tags(r, ec2api.ResourceTypeRouteTable)}
				if err := r.fill(in, "VpcId"); err != nil {
					return "", err
				}
				out, err := invoke(ctx, t.d, t.api.CreateRouteTable, in)
				if err != nil {
					return "", err
				}
				return awsapi.Val(out.RouteTable.RouteTableId), nil
			},
			Find: func(ctx context.Context, r *Request) (string, bool, error) {
				out, err := invoke(ctx, t.d, t.api.DescribeRouteTables, &ec2api.DescribeRouteTablesInput{Filters: mine(r)})
				if err != nil {
					return "", false, err
				}
				return unknown(r, out.RouteTables, func(v *ec2api.RouteTable) *string { return v.RouteTableId })
			},
			Apply: func(ctx context.Context, r *Request) error { return t.retag(ctx, r, r.PhysicalID) },
			Read: func(_ context.Context, r *Request) (Attributes, error) {
				return Attributes{"RouteTableId": r.PhysicalID}, nil
			},
			Remove: func(ctx context.Context, r *Request) error {
				_, err := invoke(ctx, t.d, t.api.DeleteRouteTable, &ec2api.DeleteRouteTableInput{RouteTableId: &r.PhysicalID})
				return err
			},
			Taggable: true,
		},
		{
			Type: stack.Type{Name: "AWS::EC2::Route", Properties: routeProps, Attributes: []string{"CidrBlock"}},
			New:  t.newRoute, Find: t.findRoute, Apply: t.applyRoute, Remove: t.removeRoute,
			Read: func(_ context.Context, r *Request) (Attributes, error) {
				return Attributes{"CidrBlock": destination(r)}, nil
			},
		},
		{
			Type: stack.Type{Name: "AWS::EC2::SubnetRouteTableAssociation", Properties: props("SubnetId!*", "RouteTableId!"), Attributes: []string{"Id"}},
			New:  t.newAssociation, Find: t.findAssociation, Apply: t.applyAssociation, Read: t.readAssociation, Live: true,
			Remove: t.removeAssociation,
		},
	}
}

func destination(r *Request) string {
	for _, name := range routeDestinations {
		if v := r.text(name); v != "" {
			return v
		}
	}
	return ""
}

func (t *ec2Types) newRoute(ctx context.Context, r *Request) (string, error) {
	in := &ec2api.CreateRouteInput{}
	if err := r.fill(in, slices.Concat([]string{"RouteTableId"}, routeDestinations, routeTargets)...); err != nil {
		return "", err
	}
	if _, err := invoke(ctx, t.d, t.api.CreateRoute, in); err != nil {
		return "", err
	}
	return r.text("RouteTableId") + "|" + destination(r), nil
}

func (t *ec2Types) findRoute(ctx context.Context, r *Request) (string, bool, error) {
	out, err := invoke(ctx, t.d, t.api.DescribeRouteTables, &ec2api.DescribeRouteTablesInput{RouteTableIds: []string{r.text("RouteTableId")}})
	if err != nil {
		return "", false, err
	}
	table, _ := first(out.RouteTables)
	for _, route := range table.Routes {
		for _, d := range []*string{route.DestinationCidrBlock, route.DestinationIpv6CidrBlock, route.DestinationPrefixListId} {
			if d != nil && *d == destination(r) && route.Origin == "CreateRoute" {
				return r.text("RouteTableId") + "|" + destination(r), true, nil
			}
		}
	}
	return "", false, nil
}

func (t *ec2Types) applyRoute(ctx context.Context, r *Request) error {
	if r.Old == nil && !r.Repeated {
		return nil
	}
	in := &ec2api.ReplaceRouteInput{}
	if err := r.fill(in, slices.Concat([]string{"RouteTableId"}, routeDestinations, routeTargets)...); err != nil {
		return err
	}
	_, err := invoke(ctx, t.d, t.api.ReplaceRoute, in)
	return err
}

func (t *ec2Types) removeRoute(ctx context.Context, r *Request) error {
	in := &ec2api.DeleteRouteInput{}
	if err := r.fill(in, slices.Concat([]string{"RouteTableId"}, routeDestinations)...); err != nil {
		return err
	}
	_, err := invoke(ctx, t.d, t.api.DeleteRoute, in)
	return err
}

func (t *ec2Types) newAssociation(ctx context.Context, r *Request) (string, error) {
	in := &ec2api.AssociateRouteTableInput{}
	if err := r.fill(in, "SubnetId", "RouteTableId"); err != nil {
		return "", err
	}
	out, err := invoke(ctx, t.d, t.api.AssociateRouteTable, in)
	if err != nil {
		return "", err
	}
	return awsapi.Val(out.AssociationId), nil
}

// association returns the explicit association of the subnet.
func (t *ec2Types) association(ctx context.Context, r *Request) (ec2api.RouteTableAssociation, bool, error) {
	out, err := invoke(ctx, t.d, t.api.DescribeRouteTables, &ec2api.DescribeRouteTablesInput{
		Filters: []ec2api.Filter{{Name: p("association.subnet-id"), Values: []string{r.text("SubnetId")}}}})
	if err != nil {
		return ec2api.RouteTableAssociation{}, false, err
	}
	for _, table := range out.RouteTables {
		for _, a := range table.Associations {
			if awsapi.Val(a.SubnetId) == r.text("SubnetId") {
				return a, true, nil
			}
		}
	}
	return ec2api.RouteTableAssociation{}, false, nil
}

func (t *ec2Types) findAssociation(ctx context.Context, r *Request) (string, bool, error) {
	a, ok, err := t.association(ctx, r)
	ok = ok && awsapi.Val(a.RouteTableId) == r.text("RouteTableId")
	return awsapi.Val(a.RouteTableAssociationId), ok, err
}

// applyAssociation moves the subnet to another table. EC2 gives the association a new ID with that; the resource keeps
// its physical ID, so it is looked up by the subnet from then on.
func (t *ec2Types) applyAssociation(ctx context.Context, r *Request) error {
	if r.Old == nil {
		return nil
	}
	a, ok, err := t.association(ctx, r)
	if err != nil {
		return err
	}
	if !ok {
		_, err := t.newAssociation(ctx, r)
		return err
	}
	if awsapi.Val(a.RouteTableId) == r.text("RouteTableId") {
		return nil
	}
	_, err = invoke(ctx, t.d, t.api.ReplaceRouteTableAssociation, &ec2api.ReplaceRouteTableAssociationInput{
		AssociationId: a.RouteTableAssociationId, RouteTableId: p(r.text("RouteTableId"))})
	return err
}

func (t *ec2Types) readAssociation(ctx context.Context, r *Request) (Attributes, error) {
	a, ok, err := t.association(ctx, r)
	if err != nil || !ok {
		return Attributes{"Id": r.PhysicalID}, err
	}
	return Attributes{"Id": awsapi.Val(a.RouteTableAssociationId)}, nil
}

func (t *ec2Types) removeAssociation(ctx context.Context, r *Request) error {
	a, ok, err := t.association(ctx, r)
	if err != nil || !ok {
		return err
	}
	if id := awsapi.Val(a.RouteTableAssociationId); id != r.PhysicalID && awsapi.Val(a.RouteTableId) != r.text("RouteTableId") {
		return nil // somebody else's by now
	}
	_, err = invoke(ctx, t.d, t.api.DisassociateRouteTable, &ec2api.DisassociateRouteTableInput{AssociationId: a.RouteTableAssociationId})
	return err
}
