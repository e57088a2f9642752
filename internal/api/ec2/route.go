package ec2

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// localGateway is the target of a VPC's own routes.
const localGateway = "local"

// linkLocalServices is the range that no route may point into (aws-facts 2.6).
var linkLocalServices = netip.MustParsePrefix("169.254.168.0/22")

func localRoute(block netip.Prefix) model.Route {
	return model.Route{Destination: block, GatewayID: localGateway, Origin: string(ec2api.RouteOriginCreateRouteTable)}
}

func removeRoute(rt *model.RouteTable, destination netip.Prefix) {
	rt.Routes = slices.DeleteFunc(rt.Routes, func(r model.Route) bool { return r.Destination == destination })
}

// CreateRoute adds a route to a table.
func (s *Server) CreateRoute(ctx context.Context, in *ec2api.CreateRouteInput) (*ec2api.CreateRouteOutput, error) {
	if err := only(in, "RouteTableId", "DestinationCidrBlock", "GatewayId", "NatGatewayId", "NetworkInterfaceId"); err != nil {
		return nil, err
	}
	route, err := newRoute(in.DestinationCidrBlock, in.GatewayId, in.NatGatewayId, in.NetworkInterfaceId)
	if err != nil {
		return nil, err
	}
	id := awsapi.Val(in.RouteTableId)
	err = s.update(ctx, func(tx *store.Txn) error {
		rt, ok := s.tables.RouteTables.Get(tx, id)
		if !ok {
			return routeTableNotFound(id)
		}
		if err := s.checkRoute(tx, rt, route); err != nil {
			return err
		}
		if i := routeIndex(rt, route.Destination); i >= 0 {
			had := rt.Routes[i]
			if had == route {
				return nil // the same route again is a success on AWS
			}
			return awsapi.NewError("RouteAlreadyExists", "The route identified by %s already exists.", route.Destination)
		}
		s.tables.RouteTables.Edit(tx, id, func(rt *model.RouteTable) { rt.Routes = append(rt.Routes, route) })
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.CreateRouteOutput{Return: awsapi.Ptr(true)}, nil
}

// ReplaceRoute gives a route another target.
func (s *Server) ReplaceRoute(ctx context.Context, in *ec2api.ReplaceRouteInput) (*ec2api.ReplaceRouteOutput, error) {
	if err := only(in, "RouteTableId", "DestinationCidrBlock", "GatewayId", "NatGatewayId", "NetworkInterfaceId"); err != nil {
		return nil, err
	}
	route, err := newRoute(in.DestinationCidrBlock, in.GatewayId, in.NatGatewayId, in.NetworkInterfaceId)
	if err != nil {
		return nil, err
	}
	id := awsapi.Val(in.RouteTableId)
	err = s.update(ctx, func(tx *store.Txn) error {
		rt, ok := s.tables.RouteTables.Get(tx, id)
		if !ok {
			return routeTableNotFound(id)
		}
		i := routeIndex(rt, route.Destination)
		if i < 0 {
			return routeMissing(route.Destination, id)
		}
		if rt.Routes[i].GatewayID == localGateway {
			return awsapi.NewError("InvalidParameterValue", "cannot replace local route %s in route table %s: Neargate does not send a VPC's own traffic elsewhere", route.Destination, id)
		}
		if err := s.checkRoute(tx, rt, route); err != nil {
			return err
		}
		s.tables.RouteTables.Edit(tx, id, func(rt *model.RouteTable) { rt.Routes[i] = route })
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.ReplaceRouteOutput{}, nil
}

// DeleteRoute takes a route out of a table.
func (s *Server) DeleteRoute(ctx context.Context, in *ec2api.DeleteRouteInput) (*ec2api.DeleteRouteOutput, error) {
	if err := only(in, "RouteTableId", "DestinationCidrBlock"); err != nil {
		return nil, err
	}
	destination, err := routeDestination(in.DestinationCidrBlock)
	if err != nil {
		return nil, err
	}
	id := awsapi.Val(in.RouteTableId)
	err = s.update(ctx, func(tx *store.Txn) error {
		rt, ok := s.tables.RouteTables.Get(tx, id)
		if !ok {
			return routeTableNotFound(id)
		}
		i := routeIndex(rt, destination)
		if i < 0 {
			return routeMissing(destination, id)
		}
		if rt.Routes[i].GatewayID == localGateway {
			return awsapi.NewError("InvalidParameterValue", "cannot remove local route %s in route table %s", destination, id)
		}
		s.tables.RouteTables.Edit(tx, id, func(rt *model.RouteTable) { removeRoute(rt, destination) })
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.DeleteRouteOutput{}, nil
}

func routeMissing(destination netip.Prefix, table string) error {
	return awsapi.NewError("InvalidRoute.NotFound", "no route with destination-cidr-block %s in route table %s", destination, table)
}

func routeIndex(rt *model.RouteTable, destination netip.Prefix) int {
	return slices.IndexFunc(rt.Routes, func(r model.Route) bool { return r.Destination == destination })
}

func routeDestination(text *string) (netip.Prefix, error) {
	if text == nil {
		return netip.Prefix{}, missing("destinationCidrBlock")
	}
	block, err := netip.ParsePrefix(*text)
	if err != nil || !block.Addr().Is4() {
		return netip.Prefix{}, invalidValue("destinationCidrBlock", *text, "This is not a valid CIDR block.")
	}
	return block.Masked(), nil
}

// newRoute returns the route that a request asks for; it has exactly one target.
func newRoute(destination, gateway, nat, eni *string) (model.Route, error) {
	block, err := routeDestination(destination)
	if err != nil {
		return model.Route{}, err
	}
	targets := 0
	for _, t := range []*string{gateway, nat, eni} {
		if awsapi.Val(t) != "" {
			targets++
		}
	}
	switch {
	case targets == 0:
		return model.Route{}, awsapi.NewError("MissingParameter", "The request must contain exactly one of gatewayId, natGatewayId, networkInterfaceId, vpcPeeringConnectionId, egressOnlyInternetGatewayId, transitGatewayId, localGatewayId, carrierGatewayId or instanceId")
	case targets > 1:
		return model.Route{}, awsapi.NewError("InvalidParameterCombination", "The request must contain exactly one target of the route %s", block)
	}
	return model.Route{
		Destination: block, GatewayID: awsapi.Val(gateway), NatID: awsapi.Val(nat), ENIID: awsapi.Val(eni), Origin: string(ec2api.RouteOriginCreateRoute),
	}, nil
}

// checkRoute refuses a route whose target does not exist or is of another VPC, or whose destination must not be routed.
func (s *Server) checkRoute(r store.Reader, rt *model.RouteTable, route model.Route) error {
	if route.Destination.Overlaps(linkLocalServices) && route.Destination.Bits() >= linkLocalServices.Bits() {
		return awsapi.NewError("InvalidParameterValue", "The destination %s lies in 169.254.168.0/22, which cannot be routed", route.Destination)
	}
	for _, local := range rt.Routes {
		if local.GatewayID == localGateway && local.Destination != route.Destination && local.Destination.Bits() <= route.Destination.Bits() && local.Destination.Contains(route.Destination.Addr()) {
			return awsapi.NewError("InvalidParameterValue", "The destination CIDR block %s is equal to or more specific than one of this VPC's CIDR blocks. Neargate routes a VPC's own addresses locally only.", route.Destination)
		}
	}
	switch {
	case route.NatID != "":
		nat, ok := s.tables.NatGateways.Get(r, route.NatID)
		if !ok || nat.State == model.NatDeleted {
			return natNotFound(route.NatID)
		}
		return sameVPC(rt, route.NatID, nat.VPCID)
	case route.ENIID != "":
		eni, ok := s.tables.NetworkInterfaces.Get(r, route.ENIID)
		if !ok {
			return interfaceNotFound(route.ENIID)
		}
		return sameVPC(rt, route.ENIID, eni.VPCID)
	case strings.HasPrefix(route.GatewayID, model.PrefixInternetGateway+"-"):
		igw, ok := s.tables.InternetGateways.Get(r, route.GatewayID)
		if !ok {
			return gatewayNotFound(route.GatewayID)
		}
		if igw.VPCID != rt.VPCID {
			return awsapi.NewError("InvalidParameterValue", "route table %s and network gateway %s belong to different networks", rt.ID, route.GatewayID)
		}
		return nil
	case route.GatewayID == localGateway:
		return awsapi.NewError("InvalidParameterValue", "The destination %s is not a CIDR block of the VPC: it cannot be routed locally", route.Destination)
	default:
		return awsapi.NewError("InvalidGatewayID.NotFound", "The gateway ID '%s' does not exist", route.GatewayID)
	}
}

func sameVPC(rt *model.RouteTable, target, vpcID string) error {
	if vpcID == rt.VPCID {
		return nil
	}
	return awsapi.NewError("InvalidParameterValue", "route table %s and %s belong to different networks", rt.ID, target)
}

// routeState is blackhole when the target is gone or cannot carry packets.
func (s *Server) routeState(r store.Reader, route model.Route) ec2api.RouteState {
	alive := true
	switch {
	case route.NatID != "":
		nat, ok := s.tables.NatGateways.Get(r, route.NatID)
		alive = ok && (nat.State == model.NatAvailable || nat.State == model.NatPending)
	case route.ENIID != "":
		eni, ok := s.tables.NetworkInterfaces.Get(r, route.ENIID)
		alive = ok && eni.OwnerKind != model.OwnerNone
	case route.GatewayID != localGateway:
		igw, ok := s.tables.InternetGateways.Get(r, route.GatewayID)
		alive = ok && igw.VPCID != ""
	}
	if alive {
		return ec2api.RouteStateActive
	}
	return ec2api.RouteStateBlackhole
}
