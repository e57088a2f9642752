// Package ecr implements Amazon ECR's API: repositories, images, layers, authorization tokens, lifecycle policies.
//
// What docker push and pull speak is internal/registry; both work on the same records and blobs. There is one file per noun, and
// the method of an operation has the operation's name. Repository policies are refused until policies are evaluated; images are
// not scanned, and say so. Start at [Server].
package ecr

import (
	"context"
	"log/slog"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ecrapi"
	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/registry"
	"github.com/neargate/neargate/internal/store"
)

// Server implements [ecrapi.API].
type Server struct {
	db       *store.DB
	tables   *store.Tables
	clock    *clock.Clock
	scope    model.Scope
	registry *registry.Registry
	key      registry.Key
	signer   *registry.LayerSigner
	log      *slog.Logger
}

var _ ecrapi.API = (*Server)(nil)

// Options are what a Server needs.
type Options struct {
	DB       *store.DB
	Tables   *store.Tables
	Clock    *clock.Clock
	Scope    model.Scope
	Registry *registry.Registry
	Key      registry.Key
	Signer   *registry.LayerSigner
	Log      *slog.Logger
}

// New returns a Server.
func New(o Options) *Server {
	return &Server{db: o.DB, tables: o.Tables, clock: o.Clock, scope: o.Scope, registry: o.Registry, key: o.Key, signer: o.Signer, log: o.Log}
}

// update runs a transaction.
func (s *Server) update(ctx context.Context, fn func(tx *store.Txn) error) error {
	return s.db.Update(ctx, fn)
}

// repository returns the repository that a request names; registryID, if set, has to be this account.
func (s *Server) repository(r store.Reader, registryID, name *string) (*model.Repository, error) {
	if id := awsapi.Or(registryID, s.scope.Account); id != s.scope.Account {
		return nil, noRepository(id, awsapi.Val(name))
	}
	if repo, ok := s.tables.Repositories.Get(r, awsapi.Val(name)); ok {
		return repo, nil
	}
	return nil, noRepository(s.scope.Account, awsapi.Val(name))
}

// account returns the registry's identifier.
func (s *Server) account() *string { return awsapi.Ptr(s.scope.Account) }
