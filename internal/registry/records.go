package registry

import (
	"cmp"
	"context"
	"path"
	"slices"

	"github.com/neargate/neargate/internal/fault"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// Records is the catalog that the daemon uses: repositories and images are records of the store.
type Records struct {
	DB     *store.DB
	Tables *store.Tables
	Scope  model.Scope
}

var _ Catalog = (*Records)(nil)

// Repository returns a repository.
func (c *Records) Repository(_ context.Context, name string) (*model.Repository, error) {
	if repo, ok := c.Tables.Repositories.Get(c.DB.View(), name); ok {
		return repo, nil
	}
	return nil, NoRepository(c.Scope, name)
}

// Repositories returns all repositories, by name.
func (c *Records) Repositories(context.Context) ([]*model.Repository, error) {
	return slices.Collect(c.Tables.Repositories.List(c.DB.View())), nil
}

// Images returns the images of a repository, the latest push first.
func (c *Records) Images(_ context.Context, repo string) ([]*model.Image, error) {
	images := slices.Collect(c.Tables.Images.By(c.DB.View(), "repository", repo))
	slices.SortStableFunc(images, func(a, b *model.Image) int {
		return cmp.Or(b.PushedAt.Compare(a.PushedAt), cmp.Compare(a.Digest, b.Digest))
	})
	return images, nil
}

// Image returns the image with that digest.
func (c *Records) Image(_ context.Context, repo string, d Digest) (*model.Image, error) {
	if img, ok := c.Tables.Images.Get(c.DB.View(), model.ImageKey(repo, d.String())); ok {
		return img, nil
	}
	return nil, NoImage(d.String())
}

// Tagged returns the image that a tag names.
func (c *Records) Tagged(_ context.Context, repo, tag string) (*model.Image, error) {
	if img, ok := c.Tables.Images.FirstBy(c.DB.View(), "tag", repo+":"+tag); ok {
		return img, nil
	}
	return nil, NoImage(tag)
}

// PutImage records an image and moves the tag to it.
func (c *Records) PutImage(ctx context.Context, img *model.Image, tag string) error {
	return c.DB.Update(ctx, func(tx *store.Txn) error {
		repo, ok := c.Tables.Repositories.Get(tx, img.Repository)
		if !ok {
			return NoRepository(c.Scope, img.Repository)
		}
		next := c.Tables.Images.Clone(img)
		if old, ok := c.Tables.Images.Get(tx, img.Key()); ok {
			next = c.Tables.Images.Clone(old)
		}
		if tag != "" {
			holder, held := c.Tables.Images.FirstBy(tx, "tag", img.Repository+":"+tag)
			if held && IsImmutable(repo, tag) {
				return ImmutableTag(img.Repository, tag)
			}
			if held && holder.Digest != img.Digest {
				c.Tables.Images.Edit(tx, holder.Key(), func(i *model.Image) { i.Tags = without(i.Tags, tag) })
			}
			if !held || holder.Digest != img.Digest {
				next.Tags = append(next.Tags, tag)
				slices.Sort(next.Tags)
			}
		}
		c.Tables.Images.Put(tx, next)
		return nil
	})
}

// DeleteImage removes an image and its tags.
func (c *Records) DeleteImage(ctx context.Context, repo string, d Digest) error {
	return c.DB.Update(ctx, func(tx *store.Txn) error {
		key := model.ImageKey(repo, d.String())
		if !c.Tables.Images.Has(tx, key) {
			return NoImage(d.String())
		}
		for other := range c.Tables.Images.By(tx, "blob", d.String()) {
			if other.Repository == repo && slices.Contains(other.Manifests, d.String()) {
				return fault.New(fault.InUse, "image", d.String(), "Requested image referenced by manifest list: [%s]", other.Digest)
			}
		}
		c.Tables.Images.Delete(tx, key)
		return nil
	})
}

// Untag removes a tag.
func (c *Records) Untag(ctx context.Context, repo, tag string) error {
	return c.DB.Update(ctx, func(tx *store.Txn) error {
		img, ok := c.Tables.Images.FirstBy(tx, "tag", repo+":"+tag)
		if !ok {
			return NoImage(tag)
		}
		c.Tables.Images.Edit(tx, img.Key(), func(i *model.Image) { i.Tags = without(i.Tags, tag) })
		return nil
	})
}

// Tag mutability as ECR names it.
const (
	Mutable                = "MUTABLE"
	Immutable              = "IMMUTABLE"
	MutableWithExclusion   = "MUTABLE_WITH_EXCLUSION"
	ImmutableWithExclusion = "IMMUTABLE_WITH_EXCLUSION"
)

// IsImmutable reports whether a tag of the repository may not move once it is set.
func IsImmutable(repo *model.Repository, tag string) bool {
	excluded := slices.ContainsFunc(repo.TagExclusions, func(pattern string) bool {
		matched, err := path.Match(pattern, tag) // only '*' is let through by the API
		return err == nil && matched
	})
	switch repo.TagMutability {
	case Immutable:
		return true
	case ImmutableWithExclusion:
		return !excluded
	case MutableWithExclusion:
		return excluded
	}
	return false
}

func without(list []string, s string) []string {
	return slices.DeleteFunc(list, func(e string) bool { return e == s })
}
