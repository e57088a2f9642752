package registry

import (
	"context"

	"github.com/neargate/neargate/internal/model"
)

// Catalog is the metadata of the registry: which repositories exist and which images and tags they hold. Its records are shared and not to be
// changed. Its errors are faults about the nouns "repository", "image" and "tag", in ECR's words: see [NoRepository], [NoImage], [ImmutableTag].
type Catalog interface {
	// Repository returns a repository, or [NoRepository].
	Repository(ctx context.Context, name string) (*model.Repository, error)
	// Repositories returns all of them, by name.
	Repositories(ctx context.Context) ([]*model.Repository, error)
	// Images returns the images of a repository.
	Images(ctx context.Context, repo string) ([]*model.Image, error)
	// Image returns the image with that digest, or [NoImage].
	Image(ctx context.Context, repo string, d Digest) (*model.Image, error)
	// Tagged returns the image that a tag names, or [NoImage].
	Tagged(ctx context.Context, repo, tag string) (*model.Image, error)
	// PutImage records an image and, unless tag is empty, moves the tag to it; an image that is there keeps its tags and the time of its push.
	// A tag that may not move is [ImmutableTag].
	PutImage(ctx context.Context, img *model.Image, tag string) error
	// DeleteImage removes an image and its tags, or returns [NoImage]; an image that an index names is a fault.InUse about "image".
	DeleteImage(ctx context.Context, repo string, d Digest) error
	// Untag removes a tag, or returns [NoImage]; an image without tags stays.
	Untag(ctx context.Context, repo, tag string) error
}
