package ecr

import (
	"context"
	"time"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ecrapi"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/registry"
	"github.com/neargate/neargate/internal/store"
)

// SetRepositoryPolicy is refused: a policy that is stored but not evaluated would pretend to protect.
func (s *Server) SetRepositoryPolicy(_ context.Context, in *ecrapi.SetRepositoryPolicyInput) (*ecrapi.SetRepositoryPolicyOutput, error) {
	if _, err := s.repository(s.db.View(), in.RegistryId, in.RepositoryName); err != nil {
		return nil, err
	}
	return nil, invalid("Neargate does not evaluate repository policies yet, so it does not take them (policyText).")
}

func (s *Server) noPolicy(registryID, name *string) error {
	if _, err := s.repository(s.db.View(), registryID, name); err != nil {
		return err
	}
	return awsapi.NewError(ecrapi.ErrRepositoryPolicyNotFoundException,
		"Repository policy does not exist for the repository with name '%s' in the registry with id '%s'", awsapi.Val(name), s.scope.Account)
}

// GetRepositoryPolicy finds none: see SetRepositoryPolicy.
func (s *Server) GetRepositoryPolicy(_ context.Context, in *ecrapi.GetRepositoryPolicyInput) (*ecrapi.GetRepositoryPolicyOutput, error) {
	return nil, s.noPolicy(in.RegistryId, in.RepositoryName)
}

// DeleteRepositoryPolicy finds none: see SetRepositoryPolicy.
func (s *Server) DeleteRepositoryPolicy(_ context.Context, in *ecrapi.DeleteRepositoryPolicyInput) (*ecrapi.DeleteRepositoryPolicyOutput, error) {
	return nil, s.noPolicy(in.RegistryId, in.RepositoryName)
}

// PutLifecyclePolicy sets which images expire.
func (s *Server) PutLifecyclePolicy(ctx context.Context, in *ecrapi.PutLifecyclePolicyInput) (*ecrapi.PutLifecyclePolicyOutput, error) {
	text := awsapi.Val(in.LifecyclePolicyText)
	if _, err := parseLifecycle(text); err != nil {
		return nil, invalid("Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy validation failure: %s'", err)
	}
	repo, err := s.edit(ctx, in.RegistryId, in.RepositoryName, func(r *model.Repository) error {
		r.LifecyclePolicy = text
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ecrapi.PutLifecyclePolicyOutput{RegistryId: s.account(), RepositoryName: awsapi.Ptr(repo.Name), LifecyclePolicyText: awsapi.Ptr(text)}, nil
}

func (s *Server) noLifecycle(name string) error {
	return awsapi.NewError(ecrapi.ErrLifecyclePolicyNotFoundException,
		"Lifecycle policy does not exist for the repository with name '%s' in the registry with id '%s'", name, s.scope.Account)
}

// GetLifecyclePolicy returns the policy as it was put.
func (s *Server) GetLifecyclePolicy(_ context.Context, in *ecrapi.GetLifecyclePolicyInput) (*ecrapi.GetLifecyclePolicyOutput, error) {
	repo, err := s.repository(s.db.View(), in.RegistryId, in.RepositoryName)
	if err != nil {
		return nil, err
	}
	if repo.LifecyclePolicy == "" {
		return nil, s.noLifecycle(repo.Name)
	}
	return &ecrapi.GetLifecyclePolicyOutput{
		RegistryId: s.account(), RepositoryName: awsapi.Ptr(repo.Name), LifecyclePolicyText: awsapi.Ptr(repo.LifecyclePolicy),
	}, nil
}

// DeleteLifecyclePolicy removes the policy.
func (s *Server) DeleteLifecyclePolicy(ctx context.Context, in *ecrapi.DeleteLifecyclePolicyInput) (*ecrapi.DeleteLifecyclePolicyOutput, error) {
	var text string
	repo, err := s.edit(ctx, in.RegistryId, in.RepositoryName, func(r *model.Repository) error {
		if text = r.LifecyclePolicy; text == "" {
			return s.noLifecycle(r.Name)
		}
		r.LifecyclePolicy = ""
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ecrapi.DeleteLifecyclePolicyOutput{RegistryId: s.account(), RepositoryName: awsapi.Ptr(repo.Name), LifecyclePolicyText: awsapi.Ptr(text)}, nil
}

// cleanEvery is how often lifecycle policies are applied and layers collected. AWS promises 24 hours.
const cleanEvery = time.Hour

// RunCleaning applies lifecycle policies and removes layers that no image names, every hour until ctx ends.
func (s *Server) RunCleaning(ctx context.Context) {
	for {
		if err := s.clock.Sleep(ctx, cleanEvery); err != nil {
			return
		}
		if err := s.ApplyLifecycle(ctx); err != nil {
			s.log.ErrorContext(ctx, "apply lifecycle policies", "error", err)
		}
		done, err := s.registry.Blobs.Collect(ctx, s.registry.Catalog, time.Now()) // file times are real, whatever the speed
		if err != nil {
			s.log.ErrorContext(ctx, "collect layers", "error", err)
		} else if done != (registry.Collected{}) {
			s.log.InfoContext(ctx, "collected layers", "uploads", done.Uploads, "blobs", done.Blobs, "bytes", done.Bytes)
		}
	}
}

// ApplyLifecycle removes the images that have expired.
func (s *Server) ApplyLifecycle(ctx context.Context) error {
	for repo := range s.tables.Repositories.List(s.db.View()) {
		if repo.LifecyclePolicy == "" {
			continue
		}
		rules, err := parseLifecycle(repo.LifecyclePolicy)
		if err != nil {
			s.log.ErrorContext(ctx, "lifecycle policy in the store is not valid", "repository", repo.Name, "error", err)
			continue
		}
		err = s.update(ctx, func(tx *store.Txn) error {
			var images []*model.Image
			for img := range s.tables.Images.By(tx, "repository", repo.Name) {
				images = append(images, img)
			}
			for _, img := range planExpiry(rules, images, s.clock.Now()) {
				if s.listedBy(tx, img) == "" { // an image of an index goes after the index
					s.tables.Images.Delete(tx, img.Key())
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
