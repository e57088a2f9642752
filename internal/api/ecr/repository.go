package ecr

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ecrapi"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/registry"
	"github.com/neargate/neargate/internal/store"
)

// encryption is the only one there is: ECR's default. KMS needs keys that Neargate does not have.
const encryption = string(ecrapi.EncryptionTypeAes256)

// CreateRepository makes a repository.
func (s *Server) CreateRepository(ctx context.Context, in *ecrapi.CreateRepositoryInput) (*ecrapi.CreateRepositoryOutput, error) {
	name := awsapi.Val(in.RepositoryName)
	if e := in.EncryptionConfiguration; e != nil && e.EncryptionType != ecrapi.EncryptionTypeAes256 {
		return nil, invalid("Neargate supports the encryption type AES256 only, not '%s' (encryptionConfiguration.encryptionType).", e.EncryptionType)
	}
	if e := in.EncryptionConfiguration; e != nil && e.KmsKey != nil {
		return nil, invalid("A KMS key cannot be specified with the encryption type AES256 (encryptionConfiguration.kmsKey).")
	}
	if id := awsapi.Or(in.RegistryId, s.scope.Account); id != s.scope.Account {
		return nil, invalid("Invalid parameter at 'registryId' failed to satisfy constraint: 'must be the caller's account %s'", s.scope.Account)
	}
	mutability, exclusions, err := mutabilityOf(in.ImageTagMutability, in.ImageTagMutabilityExclusionFilters)
	if err != nil {
		return nil, err
	}
	tags, err := tagsOf(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	repo := &model.Repository{
		Meta: model.Meta{Tags: tags, CreatedAt: s.clock.Now()}, Name: name, ARN: s.scope.RepositoryARN(name), URI: s.scope.RepositoryHost() + "/" + name,
		TagMutability: mutability, TagExclusions: exclusions, Encryption: encryption,
	}
	if c := in.ImageScanningConfiguration; c != nil {
		repo.ScanOnPush = awsapi.Val(c.ScanOnPush)
	}
	err = s.update(ctx, func(tx *store.Txn) error {
		if s.tables.Repositories.Has(tx, name) {
			return awsapi.NewError(ecrapi.ErrRepositoryAlreadyExistsException,
				"The repository with name '%s' already exists in the registry with id '%s'", name, s.scope.Account)
		}
		s.tables.Repositories.Put(tx, repo)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ecrapi.CreateRepositoryOutput{Repository: s.view(repo)}, nil
}

// DeleteRepository removes a repository; with force also one that holds images.
func (s *Server) DeleteRepository(ctx context.Context, in *ecrapi.DeleteRepositoryInput) (*ecrapi.DeleteRepositoryOutput, error) {
	var gone *model.Repository
	// There may be more images than one transaction takes, so they go in parts; the repository goes with the last.
	const part = 200
	for more := true; more; {
		err := s.update(ctx, func(tx *store.Txn) error {
			more = false
			repo, err := s.repository(tx, in.RegistryId, in.RepositoryName)
			if err != nil {
				return err
			}
			n := 0
			for img := range s.tables.Images.By(tx, "repository", repo.Name) {
				if !awsapi.Val(in.Force) {
					return awsapi.NewError(ecrapi.ErrRepositoryNotEmptyException,
						"The repository with name '%s' in registry with id '%s' cannot be deleted because it still contains images", repo.Name, s.scope.Account)
				}
				if n++; n > part {
					more = true
					return nil
				}
				s.tables.Images.Delete(tx, img.Key())
			}
			s.tables.Repositories.Delete(tx, repo.Name)
			gone = repo
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if err := s.registry.Blobs.Forget(gone.Name); err != nil {
		s.log.ErrorContext(ctx, "remove the layers of a deleted repository", "repository", gone.Name, "error", err) // the next collection does
	}
	return &ecrapi.DeleteRepositoryOutput{Repository: s.view(gone)}, nil
}

// DescribeRepositories lists repositories, all or by name.
func (s *Server) DescribeRepositories(_ context.Context, in *ecrapi.DescribeRepositoriesInput) (*ecrapi.DescribeRepositoriesOutput, error) {
	view := s.db.View()
	var found []*model.Repository
	for _, name := range in.RepositoryNames {
		repo, err := s.repository(view, in.RegistryId, &name)
		if err != nil {
			return nil, err
		}
		found = append(found, repo)
	}
	if len(in.RepositoryNames) == 0 && awsapi.Or(in.RegistryId, s.scope.Account) == s.scope.Account {
		found = slices.Collect(s.tables.Repositories.List(view))
	}
	page, next, err := awsapi.Page("ecr:DescribeRepositories", found, func(r *model.Repository) string { return r.Name }, in.NextToken, in.MaxResults, 1000)
	if err != nil {
		return nil, err
	}
	out := &ecrapi.DescribeRepositoriesOutput{Repositories: make([]ecrapi.Repository, 0, len(page)), NextToken: next}
	for _, repo := range page {
		out.Repositories = append(out.Repositories, *s.view(repo))
	}
	return out, nil
}

// view returns how a repository looks on the wire.
func (s *Server) view(r *model.Repository) *ecrapi.Repository {
	return &ecrapi.Repository{
		CreatedAt: awsapi.Ptr(r.CreatedAt), RegistryId: s.account(), RepositoryName: awsapi.Ptr(r.Name),
		RepositoryArn: awsapi.Ptr(r.ARN), RepositoryUri: awsapi.Ptr(r.URI),
		ImageTagMutability: ecrapi.ImageTagMutability(r.TagMutability), ImageTagMutabilityExclusionFilters: filters(r.TagExclusions),
		ImageScanningConfiguration: &ecrapi.ImageScanningConfiguration{ScanOnPush: awsapi.Ptr(r.ScanOnPush)},
		EncryptionConfiguration:    &ecrapi.EncryptionConfiguration{EncryptionType: ecrapi.EncryptionType(r.Encryption)},
	}
}

// mutabilityOf checks a tag mutability and its exclusions.
func mutabilityOf(m ecrapi.ImageTagMutability, list []ecrapi.ImageTagMutabilityExclusionFilter) (mutability string, exclusions []string, err error) {
	mutability = string(m)
	if mutability == "" {
		mutability = registry.Mutable
	}
	excluding := mutability == registry.MutableWithExclusion || mutability == registry.ImmutableWithExclusion
	if excluding != (len(list) > 0) {
		return "", nil, invalid("imageTagMutabilityExclusionFilters are needed by, and only allowed with, an image tag mutability _WITH_EXCLUSION.")
	}
	for _, f := range list {
		exclusions = append(exclusions, awsapi.Val(f.Filter))
	}
	return mutability, exclusions, nil
}

func filters(exclusions []string) []ecrapi.ImageTagMutabilityExclusionFilter {
	var list []ecrapi.ImageTagMutabilityExclusionFilter
	for _, e := range exclusions {
		list = append(list, ecrapi.ImageTagMutabilityExclusionFilter{Filter: awsapi.Ptr(e), FilterType: ecrapi.ImageTagMutabilityExclusionFilterTypeWildcard})
	}
	return list
}

func (s *Server) edit(ctx context.Context, registryID, name *string, change func(*model.Repository) error) (*model.Repository, error) {
	var next *model.Repository
	err := s.update(ctx, func(tx *store.Txn) error {
		repo, err := s.repository(tx, registryID, name)
		if err != nil {
			return err
		}
		next = s.tables.Repositories.Clone(repo)
		if err := change(next); err != nil {
			return err
		}
		s.tables.Repositories.Put(tx, next)
		return nil
	})
	return next, err
}

// PutImageTagMutability sets whether tags may move.
func (s *Server) PutImageTagMutability(ctx context.Context, in *ecrapi.PutImageTagMutabilityInput) (*ecrapi.PutImageTagMutabilityOutput, error) {
	mutability, exclusions, err := mutabilityOf(in.ImageTagMutability, in.ImageTagMutabilityExclusionFilters)
	if err != nil {
		return nil, err
	}
	repo, err := s.edit(ctx, in.RegistryId, in.RepositoryName, func(r *model.Repository) error {
		r.TagMutability, r.TagExclusions = mutability, exclusions
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ecrapi.PutImageTagMutabilityOutput{
		RegistryId: s.account(), RepositoryName: awsapi.Ptr(repo.Name), ImageTagMutability: ecrapi.ImageTagMutability(repo.TagMutability),
		ImageTagMutabilityExclusionFilters: filters(repo.TagExclusions),
	}, nil
}

// PutImageScanningConfiguration sets whether images are scanned when they are pushed. There is no scanner: with it on, every image says that its
// scan failed for that reason.
func (s *Server) PutImageScanningConfiguration(ctx context.Context, in *ecrapi.PutImageScanningConfigurationInput) (*ecrapi.PutImageScanningConfigurationOutput, error) {
	repo, err := s.edit(ctx, in.RegistryId, in.RepositoryName, func(r *model.Repository) error {
		r.ScanOnPush = awsapi.Val(in.ImageScanningConfiguration.ScanOnPush)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ecrapi.PutImageScanningConfigurationOutput{
		RegistryId: s.account(), RepositoryName: awsapi.Ptr(repo.Name),
		ImageScanningConfiguration: &ecrapi.ImageScanningConfiguration{ScanOnPush: awsapi.Ptr(repo.ScanOnPush)},
	}, nil
}

// GetAuthorizationToken returns a password for docker login, valid for 12 hours.
func (s *Server) GetAuthorizationToken(ctx context.Context, in *ecrapi.GetAuthorizationTokenInput) (*ecrapi.GetAuthorizationTokenOutput, error) {
	for _, id := range in.RegistryIds {
		if id != s.scope.Account {
			return nil, invalid("Neargate has no registry with id '%s' (registryIds).", id)
		}
	}
	password, expires := s.key.Password(awsapi.RequestFrom(ctx).Principal, s.clock.Now())
	return &ecrapi.GetAuthorizationTokenOutput{AuthorizationData: []ecrapi.AuthorizationData{{
		AuthorizationToken: awsapi.Ptr(base64.StdEncoding.EncodeToString([]byte("AWS:" + password))),
		ExpiresAt:          awsapi.Ptr(expires), ProxyEndpoint: awsapi.Ptr("https://" + s.scope.RepositoryHost()),
	}}}, nil
}

// DescribeRegistry tells the registry's identifier. Nothing is replicated.
func (s *Server) DescribeRegistry(context.Context, *ecrapi.DescribeRegistryInput) (*ecrapi.DescribeRegistryOutput, error) {
	return &ecrapi.DescribeRegistryOutput{
		RegistryId: s.account(), ReplicationConfiguration: &ecrapi.ReplicationConfiguration{Rules: []ecrapi.ReplicationRule{}},
	}, nil
}

// maxTags is how many tags a repository may have.
const maxTags = 50

// tagsOf returns tags with more added.
func tagsOf(tags model.Tags, more []ecrapi.Tag) (model.Tags, error) {
	if len(more) > 0 && tags == nil {
		tags = model.Tags{}
	}
	for _, t := range more {
		if strings.HasPrefix(strings.ToLower(awsapi.Val(t.Key)), "aws:") {
			return nil, awsapi.NewError(ecrapi.ErrInvalidTagParameterException, "Tag keys may not begin with aws: ('%s')", awsapi.Val(t.Key))
		}
		tags[awsapi.Val(t.Key)] = awsapi.Val(t.Value)
	}
	if len(tags) > maxTags {
		return nil, awsapi.NewError(ecrapi.ErrTooManyTagsException, "The maximum number of tags per resource is %d", maxTags)
	}
	return tags, nil
}

// repositoryOf returns the name of the repository that an ARN names.
func (s *Server) repositoryOf(arn *string) (*string, error) {
	a, ok := model.ParseARN(awsapi.Val(arn))
	name, isRepo := strings.CutPrefix(a.Resource, "repository/")
	if !ok || a.Service != "ecr" || !isRepo {
		return nil, invalid("Invalid parameter at 'resourceArn' failed to satisfy constraint: 'Invalid ARN'")
	}
	return &name, nil
}

// TagResource adds tags to a repository.
func (s *Server) TagResource(ctx context.Context, in *ecrapi.TagResourceInput) (*ecrapi.TagResourceOutput, error) {
	name, err := s.repositoryOf(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	_, err = s.edit(ctx, nil, name, func(r *model.Repository) error {
		var err error
		r.Tags, err = tagsOf(r.Tags, in.Tags)
		return err
	})
	return &ecrapi.TagResourceOutput{}, err
}

// UntagResource removes tags from a repository.
func (s *Server) UntagResource(ctx context.Context, in *ecrapi.UntagResourceInput) (*ecrapi.UntagResourceOutput, error) {
	name, err := s.repositoryOf(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	_, err = s.edit(ctx, nil, name, func(r *model.Repository) error {
		for _, k := range in.TagKeys {
			delete(r.Tags, k)
		}
		return nil
	})
	return &ecrapi.UntagResourceOutput{}, err
}

// ListTagsForResource lists the tags of a repository.
func (s *Server) ListTagsForResource(_ context.Context, in *ecrapi.ListTagsForResourceInput) (*ecrapi.ListTagsForResourceOutput, error) {
	name, err := s.repositoryOf(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	repo, err := s.repository(s.db.View(), nil, name)
	if err != nil {
		return nil, err
	}
	out := &ecrapi.ListTagsForResourceOutput{Tags: []ecrapi.Tag{}}
	for k, v := range repo.Tags {
		out.Tags = append(out.Tags, ecrapi.Tag{Key: awsapi.Ptr(k), Value: awsapi.Ptr(v)})
	}
	slices.SortFunc(out.Tags, func(a, b ecrapi.Tag) int { return strings.Compare(*a.Key, *b.Key) })
	return out, nil
}
