package ec2

import (
	"context"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// CreateInternetGateway makes an internet gateway that is attached to nothing.
func (s *Server) CreateInternetGateway(ctx context.Context, in *ec2api.CreateInternetGatewayInput) (*ec2api.CreateInternetGatewayOutput, error) {
	meta, err := s.meta(in.TagSpecifications, ec2api.ResourceTypeInternetGateway)
	if err != nil {
		return nil, err
	}
	igw := &model.InternetGateway{Meta: meta, ID: model.NewID(model.PrefixInternetGateway)}
	err = s.update(ctx, func(tx *store.Txn) error {
		s.tables.InternetGateways.Put(tx, igw)
		return nil
	})
	if err != nil {
		return nil, err
	}
	answer := s.internetGateway(igw)
	return &ec2api.CreateInternetGatewayOutput{InternetGateway: &answer}, nil
}

// DeleteInternetGateway deletes a gateway that is attached to nothing.
func (s *Server) DeleteInternetGateway(ctx context.Context, in *ec2api.DeleteInternetGatewayInput) (*ec2api.DeleteInternetGatewayOutput, error) {
	id := awsapi.Val(in.InternetGatewayId)
	err := s.update(ctx, func(tx *store.Txn) error {
		igw, ok := s.tables.InternetGateways.Get(tx, id)
		if !ok {
			return gatewayNotFound(id)
		}
		if igw.VPCID != "" {
			return inUse("internetGateway", id)
		}
		s.tables.InternetGateways.Delete(tx, id)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.DeleteInternetGatewayOutput{}, nil
}

// AttachInternetGateway attaches a gateway to a VPC; each has at most one of the other.
func (s *Server) AttachInternetGateway(ctx context.Context, in *ec2api.AttachInternetGatewayInput) (*ec2api.AttachInternetGatewayOutput, error) {
	id, vpcID := awsapi.Val(in.InternetGatewayId), awsapi.Val(in.VpcId)
	err := s.update(ctx, func(tx *store.Txn) error {
		igw, ok := s.tables.InternetGateways.Get(tx, id)
		if !ok {
			return gatewayNotFound(id)
		}
		if !s.tables.VPCs.Has(tx, vpcID) {
			return vpcNotFound(vpcID)
		}
		if igw.VPCID != "" {
			return awsapi.NewError("Resource.AlreadyAssociated", "resource %s is already attached to network %s", id, igw.VPCID)
		}
		if other, ok := s.tables.InternetGateways.FirstBy(tx, "vpc", vpcID); ok {
			return awsapi.NewError("InvalidParameterValue", "Network %s already has an internet gateway attached: %s", vpcID, other.ID)
		}
		s.tables.InternetGateways.Edit(tx, id, func(g *model.InternetGateway) { g.VPCID = vpcID })
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.AttachInternetGatewayOutput{}, nil
}

// DetachInternetGateway detaches a gateway from a VPC in which no public address is left.
func (s *Server) DetachInternetGateway(ctx context.Context, in *ec2api.DetachInternetGatewayInput) (*ec2api.DetachInternetGatewayOutput, error) {
	id, vpcID := awsapi.Val(in.InternetGatewayId), awsapi.Val(in.VpcId)
	err := s.update(ctx, func(tx *store.Txn) error {
		igw, ok := s.tables.InternetGateways.Get(tx, id)
		if !ok {
			return gatewayNotFound(id)
		}
		if igw.VPCID == "" || igw.VPCID != vpcID {
			return awsapi.NewError("Gateway.NotAttached", "resource %s is not attached to network %s", id, vpcID)
		}
		for eni := range s.tables.NetworkInterfaces.By(tx, "vpc", vpcID) {
			if _, mapped := s.tables.Addresses.FirstBy(tx, "eni", eni.ID); mapped || eni.AutoPublicIP.IsValid() {
				return awsapi.NewError("DependencyViolation", "Network %s has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.", vpcID)
			}
		}
		s.tables.InternetGateways.Edit(tx, id, func(g *model.InternetGateway) { g.VPCID = "" })
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2api.DetachInternetGatewayOutput{}, nil
}

// DescribeInternetGateways lists internet gateways.
func (s *Server) DescribeInternetGateways(_ context.Context, in *ec2api.DescribeInternetGatewaysInput) (*ec2api.DescribeInternetGatewaysOutput, error) {
	view := s.db.View()
	attached := func(value func(*model.InternetGateway) string) field[model.InternetGateway] {
		return func(g *model.InternetGateway) []string {
			if g.VPCID == "" {
				return nil
			}
			return one(value(g))
		}
	}
	out, next, err := describe(query{ids: in.InternetGatewayIds, filters: in.Filters, maxResults: in.MaxResults, nextToken: in.NextToken}, noun[model.InternetGateway, ec2api.InternetGateway]{
		id:      func(g *model.InternetGateway) string { return g.ID },
		missing: gatewayNotFound,
		tags:    func(g *model.InternetGateway) model.Tags { return g.Tags },
		fields: fields[model.InternetGateway]{
			"internet-gateway-id": func(g *model.InternetGateway) []string { return one(g.ID) },
			"owner-id":            func(*model.InternetGateway) []string { return one(s.scope.Account) },
			"attachment.vpc-id":   attached(func(g *model.InternetGateway) string { return g.VPCID }),
			"attachment.state":    attached(func(*model.InternetGateway) string { return "available" }),
		},
		convert: s.internetGateway,
	}, func(id string) (*model.InternetGateway, bool) { return s.tables.InternetGateways.Get(view, id) }, s.tables.InternetGateways.List(view))
	if err != nil {
		return nil, err
	}
	return &ec2api.DescribeInternetGatewaysOutput{InternetGateways: out, NextToken: next}, nil
}

func (s *Server) internetGateway(g *model.InternetGateway) ec2api.InternetGateway {
	out := ec2api.InternetGateway{InternetGatewayId: awsapi.Ptr(g.ID), OwnerId: s.owner(), Tags: tagList(g.Tags)}
	if g.VPCID != "" {
		// The API prints `available` where its documentation says attached (aws-facts 2.1).
		out.Attachments = []ec2api.InternetGatewayAttachment{{State: "available", VpcId: awsapi.Ptr(g.VPCID)}}
	}
	return out
}
