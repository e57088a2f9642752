package ec2

import (
	"context"
	"slices"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// CreateRouteTable makes a route table that holds the VPC's local routes.
func (s *Server) CreateRouteTable(ctx context.Context, in *ec2api.CreateRouteTableInput) (*ec2api.CreateRouteTableOutput, error) {
	if err := only(in, "VpcId", "TagSpecifications", "ClientToken"); err != nil {
		return nil, err
	}
	meta, err := s.meta(in.TagSpecifications, ec2api.ResourceTypeRouteTable)
	if err != nil {
		return nil, err
	}
	rt := &model.RouteTable{Meta: meta, ID: model.NewID(model.PrefixRouteTable), VPCID: awsapi.Val(in.VpcId), ClientToken: awsapi.Val(in.ClientToken)}
	var answer ec2api.RouteTable
	err = s.update(ctx, func(tx *store.Txn) error {
		if had, ok := s.tables.RouteTables.FirstBy(tx, "token", rt.ClientToken); ok && rt.ClientToken != "" {
			answer = s.routeTable(tx, had)
			return sameToken(rt.ClientToken, had.VPCID == rt.VPCID)
		}
		vpc, ok := s.tables.VPCs.Get(tx, rt.VPCID)
		if !ok {
			return vpcNotFound(rt.VPCID)
		}
		rt.Routes = nil
		for _, c := range vpc.CIDRs {
			rt.Routes = append(rt.Routes, localRoute(c.Block))
		}
		s.tables.RouteTables.Put(tx, rt)
		answer = s.routeTable(tx, rt)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.CreateRouteTableOutput{RouteTable: &answer, ClientToken: in.ClientToken}, nil
}

// DeleteRouteTable deletes a route table that no subnet uses and that is not the main one.
func (s *Server) DeleteRouteTable(ctx context.Context, in *ec2api.DeleteRouteTableInput) (*ec2api.DeleteRouteTableOutput, error) {
	id := awsapi.Val(in.RouteTableId)
	err := s.update(ctx, func(tx *store.Txn) error {
		rt, ok := s.tables.RouteTables.Get(tx, id)
		if !ok {
			return routeTableNotFound(id)
		}
		if len(rt.Associations) > 0 {
			return inUse("routeTable", id)
		}
		s.tables.RouteTables.Delete(tx, id)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.DeleteRouteTableOutput{}, nil
}

// AssociateRouteTable makes a subnet use a route table.
func (s *Server) AssociateRouteTable(ctx context.Context, in *ec2api.AssociateRouteTableInput) (*ec2api.AssociateRouteTableOutput, error) {
	if err := only(in, "RouteTableId", "SubnetId"); err != nil {
		return nil, err
	}
	id, subnetID := awsapi.Val(in.RouteTableId), awsapi.Val(in.SubnetId)
	if subnetID == "" {
		return nil, missing("SubnetId")
	}
	fresh := model.RouteTableAssoc{ID: model.NewID(model.PrefixRouteTableAssoc), SubnetID: subnetID}
	var association model.RouteTableAssoc
	err := s.update(ctx, func(tx *store.Txn) error {
		association = fresh
		rt, ok := s.tables.RouteTables.Get(tx, id)
		if !ok {
			return routeTableNotFound(id)
		}
		subnet, ok := s.tables.Subnets.Get(tx, subnetID)
		if !ok {
			return subnetNotFound(subnetID)
		}
		if subnet.VPCID != rt.VPCID {
			return awsapi.NewError("InvalidParameterValue", "Route table %s and subnet %s belong to different networks", id, subnetID)
		}
		if had, _ := s.association(tx, func(a model.RouteTableAssoc) bool { return a.SubnetID == subnetID }); had != nil {
			if had.ID == id { // AWS answers with the association that is there
				i := slices.IndexFunc(had.Associations, func(a model.RouteTableAssoc) bool { return a.SubnetID == subnetID })
				association = had.Associations[i]
				return nil
			}
			return awsapi.NewError("Resource.AlreadyAssociated", "the specified association for route table %s conflicts with an existing association", id)
		}
		s.tables.RouteTables.Edit(tx, id, func(rt *model.RouteTable) { rt.Associations = append(rt.Associations, association) })
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.AssociateRouteTableOutput{AssociationId: &association.ID, AssociationState: associated()}, nil
}

// DisassociateRouteTable makes a subnet use the main route table again.
func (s *Server) DisassociateRouteTable(ctx context.Context, in *ec2api.DisassociateRouteTableInput) (*ec2api.DisassociateRouteTableOutput, error) {
	id := awsapi.Val(in.AssociationId)
	err := s.update(ctx, func(tx *store.Txn) error {
		rt, at := s.association(tx, func(a model.RouteTableAssoc) bool { return a.ID == id })
		if rt == nil {
			return associationNotFound(id)
		}
		if rt.Associations[at].Main {
			return awsapi.NewError("InvalidParameterValue", "cannot disassociate the main route table association %s", id)
		}
		s.tables.RouteTables.Edit(tx, rt.ID, func(rt *model.RouteTable) { rt.Associations = slices.Delete(rt.Associations, at, at+1) })
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.DisassociateRouteTableOutput{}, nil
}

// ReplaceRouteTableAssociation moves an association, also the main one, to another route table under a new identifier.
func (s *Server) ReplaceRouteTableAssociation(ctx context.Context, in *ec2api.ReplaceRouteTableAssociationInput) (*ec2api.ReplaceRouteTableAssociationOutput, error) {
	id, tableID := awsapi.Val(in.AssociationId), awsapi.Val(in.RouteTableId)
	moved := model.NewID(model.PrefixRouteTableAssoc)
	err := s.update(ctx, func(tx *store.Txn) error {
		from, at := s.association(tx, func(a model.RouteTableAssoc) bool { return a.ID == id })
		if from == nil {
			return associationNotFound(id)
		}
		to, ok := s.tables.RouteTables.Get(tx, tableID)
		if !ok {
			return routeTableNotFound(tableID)
		}
		if to.VPCID != from.VPCID {
			return awsapi.NewError("InvalidParameterValue", "Route table %s and association %s belong to different networks", tableID, id)
		}
		association := from.Associations[at]
		association.ID = moved
		s.tables.RouteTables.Edit(tx, from.ID, func(rt *model.RouteTable) { rt.Associations = slices.Delete(rt.Associations, at, at+1) })
		s.tables.RouteTables.Edit(tx, to.ID, func(rt *model.RouteTable) { rt.Associations = append(rt.Associations, association) })
		if association.Main {
			s.tables.VPCs.Edit(tx, to.VPCID, func(v *model.VPC) { v.MainRouteTableID = to.ID })
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.ReplaceRouteTableAssociationOutput{NewAssociationId: &moved, AssociationState: associated()}, nil
}

// association returns the route table that holds the association that is looked for, and its place; nil if there is none.
func (s *Server) association(r store.Reader, is func(model.RouteTableAssoc) bool) (*model.RouteTable, int) {
	for rt := range s.tables.RouteTables.List(r) {
		if i := slices.IndexFunc(rt.Associations, is); i >= 0 {
			return rt, i
		}
	}
	return nil, 0
}

func associated() *ec2api.RouteTableAssociationState {
	return &ec2api.RouteTableAssociationState{State: ec2api.RouteTableAssociationStateCodeAssociated}
}

// DescribeRouteTables lists route tables.
func (s *Server) DescribeRouteTables(_ context.Context, in *ec2api.DescribeRouteTablesInput) (*ec2api.DescribeRouteTablesOutput, error) {
	view := s.db.View()
	associations := func(get func(model.RouteTableAssoc) string) field[model.RouteTable] {
		return func(rt *model.RouteTable) (values []string) {
			for _, a := range rt.Associations {
				if v := get(a); v != "" {
					values = append(values, v)
				}
			}
			return values
		}
	}
	routes := func(get func(model.Route) string) field[model.RouteTable] {
		return func(rt *model.RouteTable) (values []string) {
			for _, r := range rt.Routes {
				if v := get(r); v != "" {
					values = append(values, v)
				}
			}
			return values
		}
	}
	out, next, err := describe(query{ids: in.RouteTableIds, filters: in.Filters, maxResults: in.MaxResults, nextToken: in.NextToken}, noun[model.RouteTable, ec2api.RouteTable]{
		id:      func(rt *model.RouteTable) string { return rt.ID },
		missing: routeTableNotFound,
		tags:    func(rt *model.RouteTable) model.Tags { return rt.Tags },
		fields: fields[model.RouteTable]{
			"route-table-id":                         func(rt *model.RouteTable) []string { return one(rt.ID) },
			"vpc-id":                                 func(rt *model.RouteTable) []string { return one(rt.VPCID) },
			"owner-id":                               func(*model.RouteTable) []string { return one(s.scope.Account) },
			"association.route-table-association-id": associations(func(a model.RouteTableAssoc) string { return a.ID }),
			"association.route-table-id":             func(rt *model.RouteTable) []string { return one(rt.ID) },
			"association.subnet-id":                  associations(func(a model.RouteTableAssoc) string { return a.SubnetID }),
			"association.main":                       associations(func(a model.RouteTableAssoc) string { return boolean(a.Main)[0] }),
			"association.gateway-id":                 associations(func(model.RouteTableAssoc) string { return "" }),
			"route.destination-cidr-block":           routes(func(r model.Route) string { return r.Destination.String() }),
			"route.gateway-id":                       routes(func(r model.Route) string { return r.GatewayID }),
			"route.nat-gateway-id":                   routes(func(r model.Route) string { return r.NatID }),
			"route.origin":                           routes(func(r model.Route) string { return r.Origin }),
			"route.state":                            routes(func(r model.Route) string { return string(s.routeState(view, r)) }),
			"route.destination-prefix-list-id":       routes(func(model.Route) string { return "" }),
			"route.destination-ipv6-cidr-block":      routes(func(model.Route) string { return "" }),
		},
		convert: func(rt *model.RouteTable) ec2api.RouteTable { return s.routeTable(view, rt) },
	}, func(id string) (*model.RouteTable, bool) { return s.tables.RouteTables.Get(view, id) }, s.tables.RouteTables.List(view))
	if err != nil {
		return nil, err
	}
	return &ec2api.DescribeRouteTablesOutput{RouteTables: out, NextToken: next}, nil
}

func (s *Server) routeTable(r store.Reader, rt *model.RouteTable) ec2api.RouteTable {
	out := ec2api.RouteTable{OwnerId: s.owner(), RouteTableId: awsapi.Ptr(rt.ID), Tags: tagList(rt.Tags), VpcId: awsapi.Ptr(rt.VPCID)}
	for _, a := range rt.Associations {
		out.Associations = append(out.Associations, ec2api.RouteTableAssociation{
			AssociationState: associated(), Main: awsapi.Ptr(a.Main), RouteTableAssociationId: awsapi.Ptr(a.ID),
			RouteTableId: awsapi.Ptr(rt.ID), SubnetId: awsapi.NonZero(a.SubnetID),
		})
	}
	for _, route := range rt.Routes {
		out.Routes = append(out.Routes, ec2api.Route{
			DestinationCidrBlock: awsapi.Ptr(route.Destination.String()), GatewayId: awsapi.NonZero(route.GatewayID),
			NatGatewayId: awsapi.NonZero(route.NatID), NetworkInterfaceId: awsapi.NonZero(route.ENIID),
			Origin: ec2api.RouteOrigin(route.Origin), State: s.routeState(r, route),
		})
	}
	return out
}
