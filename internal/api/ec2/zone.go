package ec2

import (
	"context"
	"slices"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/model"
)

// DescribeAvailabilityZones lists the region's zones.
func (s *Server) DescribeAvailabilityZones(_ context.Context, in *ec2api.DescribeAvailabilityZonesInput) (*ec2api.DescribeAvailabilityZonesOutput, error) {
	zones := model.Zones(s.scope.Region)
	find := func(get func(model.Zone) string, id string) (*model.Zone, bool) {
		i := slices.IndexFunc(zones, func(z model.Zone) bool { return get(z) == id })
		if i < 0 {
			return nil, false
		}
		return &zones[i], true
	}
	ids := slices.Clone(in.ZoneNames)
	for _, id := range in.ZoneIds {
		zone, ok := find(func(z model.Zone) string { return z.ID }, id)
		if !ok {
			return nil, awsapi.NewError("InvalidParameterValue", "Invalid availability zone-id: [%s]", id)
		}
		ids = append(ids, zone.Name)
	}
	region := func(*model.Zone) []string { return one(s.scope.Region) }
	out, _, err := describe(query{ids: ids, filters: in.Filters}, noun[model.Zone, ec2api.AvailabilityZone]{
		id: func(z *model.Zone) string { return z.Name },
		missing: func(id string) error {
			return awsapi.NewError("InvalidParameterValue", "Invalid availability zone: [%s]", id)
		},
		fields: fields[model.Zone]{
			"zone-name":     func(z *model.Zone) []string { return one(z.Name) },
			"zone-id":       func(z *model.Zone) []string { return one(z.ID) },
			"region-name":   region,
			"group-name":    region,
			"state":         func(*model.Zone) []string { return one("available") },
			"zone-type":     func(*model.Zone) []string { return one("availability-zone") },
			"opt-in-status": func(*model.Zone) []string { return one("opt-in-not-required") },
		},
		convert: func(z *model.Zone) ec2api.AvailabilityZone {
			return ec2api.AvailabilityZone{
				GroupName: &s.scope.Region, NetworkBorderGroup: &s.scope.Region, OptInStatus: "opt-in-not-required", RegionName: &s.scope.Region,
				State: "available", ZoneId: &z.ID, ZoneName: &z.Name, ZoneType: awsapi.Ptr("availability-zone"),
			}
		},
	}, func(id string) (*model.Zone, bool) { return find(func(z model.Zone) string { return z.Name }, id) }, pointers(zones))
	if err != nil {
		return nil, err
	}
	return &ec2api.DescribeAvailabilityZonesOutput{AvailabilityZones: out}, nil
}

// pointers iterates over the addresses of a slice's elements.
func pointers[T any](list []T) func(yield func(*T) bool) {
	return func(yield func(*T) bool) {
		for i := range list {
			if !yield(&list[i]) {
				return
			}
		}
	}
}

// DescribeRegions lists the one region that this Neargate is.
func (s *Server) DescribeRegions(_ context.Context, in *ec2api.DescribeRegionsInput) (*ec2api.DescribeRegionsOutput, error) {
	regions := []string{s.scope.Region}
	endpoint := "ec2." + s.scope.Region + ".amazonaws.com"
	out, _, err := describe(query{ids: in.RegionNames, filters: in.Filters}, noun[string, ec2api.Region]{
		id: func(r *string) string { return *r },
		missing: func(id string) error {
			return awsapi.NewError("InvalidParameterValue", "Invalid region provided: %s", id)
		},
		fields: fields[string]{
			"region-name":   func(r *string) []string { return one(*r) },
			"endpoint":      func(*string) []string { return one(endpoint) },
			"opt-in-status": func(*string) []string { return one("opt-in-not-required") },
		},
		convert: func(r *string) ec2api.Region {
			return ec2api.Region{RegionName: r, Endpoint: &endpoint, OptInStatus: awsapi.Ptr("opt-in-not-required")}
		},
	}, func(id string) (*string, bool) { return &regions[0], id == regions[0] }, pointers(regions))
	if err != nil {
		return nil, err
	}
	return &ec2api.DescribeRegionsOutput{Regions: out}, nil
}

// DescribeAccountAttributes tells old clients that there is no EC2-Classic, and the quotas of Elastic IPs.
func (s *Server) DescribeAccountAttributes(_ context.Context, in *ec2api.DescribeAccountAttributesInput) (*ec2api.DescribeAccountAttributesOutput, error) {
	attributes := []struct{ name, value string }{
		{"supported-platforms", "VPC"}, {"default-vpc", "none"}, {"vpc-max-security-groups-per-interface", number(maxGroups)},
	}
	out := &ec2api.DescribeAccountAttributesOutput{}
	for _, a := range attributes {
		if len(in.AttributeNames) > 0 && !slices.Contains(in.AttributeNames, ec2api.AccountAttributeName(a.name)) {
			continue
		}
		out.AccountAttributes = append(out.AccountAttributes, ec2api.AccountAttribute{
			AttributeName: awsapi.Ptr(a.name), AttributeValues: []ec2api.AccountAttributeValue{{AttributeValue: awsapi.Ptr(a.value)}},
		})
	}
	return out, nil
}

// DescribeInstances lists no instances: Neargate runs Fargate tasks only.
func (s *Server) DescribeInstances(_ context.Context, in *ec2api.DescribeInstancesInput) (*ec2api.DescribeInstancesOutput, error) {
	if len(in.InstanceIds) > 0 {
		return nil, notFound("InvalidInstanceID.NotFound", "instance", in.InstanceIds[0])
	}
	return &ec2api.DescribeInstancesOutput{}, nil
}

// DescribePrefixLists lists no prefix lists: they come with gateway endpoints.
func (s *Server) DescribePrefixLists(_ context.Context, in *ec2api.DescribePrefixListsInput) (*ec2api.DescribePrefixListsOutput, error) {
	if len(in.PrefixListIds) > 0 {
		return nil, notFound("InvalidPrefixListId.NotFound", "prefix list", in.PrefixListIds[0])
	}
	return &ec2api.DescribePrefixListsOutput{}, nil
}

// DescribeManagedPrefixLists lists no prefix lists: they come with gateway endpoints.
func (s *Server) DescribeManagedPrefixLists(_ context.Context, in *ec2api.DescribeManagedPrefixListsInput) (*ec2api.DescribeManagedPrefixListsOutput, error) {
	if len(in.PrefixListIds) > 0 {
		return nil, notFound("InvalidPrefixListID.NotFound", "prefix list", in.PrefixListIds[0])
	}
	return &ec2api.DescribeManagedPrefixListsOutput{}, nil
}

// DescribeVpcEndpoints lists no endpoints: none can be made yet.
func (s *Server) DescribeVpcEndpoints(_ context.Context, in *ec2api.DescribeVpcEndpointsInput) (*ec2api.DescribeVpcEndpointsOutput, error) {
	if len(in.VpcEndpointIds) > 0 {
		return nil, awsapi.NewError("InvalidVpcEndpointId.NotFound", "The Vpc Endpoint Id '%s' does not exist", in.VpcEndpointIds[0])
	}
	return &ec2api.DescribeVpcEndpointsOutput{}, nil
}
