// Package elbv2 implements the part of Elastic Load Balancing v2 that makes Application Load Balancers: load balancers,
// listeners, rules, target groups, targets, their attributes and tags.
//
// A method checks its input, changes records in one transaction, and answers from them; node/listener makes the records
// real, and control/targets registers the tasks of services. Network and Gateway Load Balancers, TLS listeners and Lambda
// targets are refused with an error that says so. There is one file per noun, and the method of an operation has the
// operation's name. attribute.go has the tables of what is accepted. Start at [Server].
package elbv2

import (
	"context"
	"net/netip"
	"slices"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/elbv2api"
	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/ipam"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// Server implements [elbv2api.API].
type Server struct {
	db     *store.DB
	tables *store.Tables
	clock  *clock.Clock
	scope  model.Scope
}

var _ elbv2api.API = (*Server)(nil)

// Options are what a Server needs.
type Options struct {
	DB     *store.DB
	Tables *store.Tables
	Clock  *clock.Clock
	Scope  model.Scope
}

// New returns a Server.
func New(o Options) *Server {
	return &Server{db: o.DB, tables: o.Tables, clock: o.Clock, scope: o.Scope}
}

// Quotas of an account and region (aws-facts 3.5).
const (
	maxLoadBalancers = 50
	maxListeners     = 50
	maxRules         = 100
	maxTargetGroups  = 3000
	maxGroupsPerLB   = 100
	maxTargets       = 1000
	maxForwardGroups = 5
	maxSecurityGroup = 5
)

// pageLimit is the most that one page has.
const pageLimit = 400

func (s *Server) update(ctx context.Context, fn func(tx *store.Txn) error) error {
	return s.db.Update(ctx, fn)
}

// meta returns the Meta of a record that is made now, with its tags.
func (s *Server) meta(tags []elbv2api.Tag) (model.Meta, error) {
	set, err := tagSet(nil, tags)
	if err != nil {
		return model.Meta{}, err
	}
	return model.Meta{Tags: set, CreatedAt: s.clock.Now()}, nil
}

// freeAddress returns a free private address of the subnet.
func (s *Server) freeAddress(r store.Reader, subnet *model.Subnet, seed string) (netip.Addr, error) {
	taken := map[netip.Addr]bool{}
	for eni := range s.tables.NetworkInterfaces.By(r, "subnet", subnet.ID) {
		for _, ip := range eni.PrivateIPs {
			taken[ip] = true
		}
	}
	ip, ok := ipam.Private(subnet.CIDR, func(a netip.Addr) bool { return taken[a] }, seed)
	if !ok {
		return netip.Addr{}, awsapi.NewError(elbv2api.ErrInvalidSubnet, "Not enough IP space available in %s. ELB requires at least 8 free IP addresses in each subnet.", subnet.ID)
	}
	return ip, nil
}

// freePublicAddress returns a public address that nobody has.
func (s *Server) freePublicAddress(r store.Reader, seed string) (netip.Addr, error) {
	ip, ok := ipam.Public(func(a netip.Addr) bool {
		return s.tables.Addresses.LenBy(r, "ip", a.String()) > 0 || s.tables.NetworkInterfaces.LenBy(r, "public-ip", a.String()) > 0
	}, seed)
	if !ok {
		return netip.Addr{}, awsapi.NewError(elbv2api.ErrInvalidConfigurationRequest, "Neargate's pool of public addresses, %s, is used up.", model.PublicPool)
	}
	return ip, nil
}

// page cuts a list; key must be unique and in the order wanted.
func page[T any](operation string, items []T, key func(T) string, marker *string, size *int32) ([]T, *string, error) {
	return awsapi.Page("elbv2:"+operation, items, key, marker, size, pageLimit)
}

// equalSets reports whether two lists hold the same strings in any order.
func equalSets(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
