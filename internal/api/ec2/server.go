// Package ec2 implements the part of Amazon EC2's API that makes a VPC: VPCs, subnets, route tables, gateways, addresses,
// security groups and network interfaces.
//
// A method checks its input, changes records in one transaction, and answers from them; node makes the records real.
// There is one file per noun, and the method of an operation has the operation's name. describe.go and filter.go hold
// what all Describe operations share, errors.go EC2's error codes. Start at [Server].
package ec2

import (
	"context"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// Server implements [ec2api.API].
type Server struct {
	db     *store.DB
	tables *store.Tables
	clock  *clock.Clock
	scope  model.Scope
}

var _ ec2api.API = (*Server)(nil)

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

// meta returns the Meta of a record that is made now, with the tags asked for it.
func (s *Server) meta(specs []ec2api.TagSpecification, kind ec2api.ResourceType) (model.Meta, error) {
	tags, err := tagsFor(specs, kind)
	if err != nil {
		return model.Meta{}, err
	}
	return model.Meta{Tags: tags, CreatedAt: s.clock.Now()}, nil
}

// update runs a transaction; the error of fn comes back as it is.
func (s *Server) update(ctx context.Context, fn func(tx *store.Txn) error) error {
	return s.db.Update(ctx, fn)
}

// owner returns the account that everything belongs to.
func (s *Server) owner() *string { return awsapi.Ptr(s.scope.Account) }

func isTrue(b *bool) bool { return b != nil && *b }

func attributeIsTrue(b *ec2api.AttributeBooleanValue) bool { return b != nil && isTrue(b.Value) }
