package registry

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/fault"
	"github.com/neargate/neargate/internal/model"
)

// Registry puts blobs and catalog together: what docker push does through [Handler] and PutImage through the ECR API is one code path.
type Registry struct {
	Blobs   *Blobs
	Catalog Catalog
	Clock   *clock.Clock
	Scope   model.Scope
}

// Push is a manifest that is to be stored.
type Push struct {
	Repository string
	Content    []byte
	MediaType  string // empty: what the document says
	Tag        string // may be empty
	Digest     Digest // what the client expects; may be empty
}

// Put checks a manifest, stores it and records the image. Everything that it names has to be in the repository.
func (r *Registry) Put(ctx context.Context, p Push) (*model.Image, error) {
	if _, err := r.Catalog.Repository(ctx, p.Repository); err != nil {
		return nil, err
	}
	if p.Tag != "" && !IsTag(p.Tag) {
		return nil, fault.New(fault.Invalid, "tag", "imageTag", "Invalid parameter at 'imageTag' failed to satisfy constraint: '%s'", tagPattern)
	}
	m, err := DecodeManifest(p.MediaType, p.Content)
	if err != nil {
		return nil, fault.New(fault.Invalid, "manifest", "imageManifest",
			"Invalid parameter at 'ImageManifest' failed to satisfy constraint: '%s'", err)
	}
	d := DigestOf(p.Content)
	if p.Digest != "" && p.Digest != d {
		return nil, fault.New(fault.Invalid, "digest", "imageDigest", "image digest '%s' does not match the calculated digest '%s'", p.Digest, d)
	}
	blobs, manifests := m.needed()
	img := &model.Image{
		Repository: p.Repository, Digest: d.String(), MediaType: m.MediaType, ArtifactType: m.artifactType(),
		ManifestSize: int64(len(p.Content)), SizeBytes: m.layersSize(), Blobs: written(blobs), Manifests: written(manifests),
		PushedAt: r.Clock.Now(),
	}
	if m.Subject != nil {
		img.Subject = m.Subject.Digest.String()
	}

	r.Blobs.gc.RLock() // nothing that was found here may be collected before the image is recorded
	defer r.Blobs.gc.RUnlock()
	if err := r.checkNeeded(ctx, p.Repository, blobs, manifests); err != nil {
		return nil, err
	}
	if _, err := r.Blobs.put(p.Repository, p.Content); err != nil {
		return nil, err
	}
	if err := r.Catalog.PutImage(ctx, img, p.Tag); err != nil {
		return nil, err
	}
	return img, nil
}

func (r *Registry) checkNeeded(ctx context.Context, repo string, blobs, manifests []Digest) error {
	var missing []string
	for _, d := range blobs {
		if _, err := r.Blobs.touch(repo, d); errors.Is(err, ErrNoBlob) {
			missing = append(missing, d.String())
		} else if err != nil {
			return err
		}
	}
	if len(missing) > 0 {
		return fault.New(fault.NotFound, "layer", missing[0],
			"Layers with digests '[%s]' required for pushing image into repository with name '%s' in the registry with id '%s' do not exist",
			strings.Join(missing, ", "), repo, r.Scope.Account)
	}
	for _, d := range manifests {
		if _, err := r.Catalog.Image(ctx, repo, d); fault.IsNotFound(err) {
			missing = append(missing, d.String())
		} else if err != nil {
			return err
		}
	}
	if len(missing) > 0 {
		return fault.New(fault.NotFound, "referenced image", missing[0],
			"Images with digests '[%s]' required for pushing image into repository with name '%s' in the registry with id '%s' do not exist",
			strings.Join(missing, ", "), repo, r.Scope.Account)
	}
	return nil
}

// written returns digests as records hold them.
func written(digests []Digest) []string {
	var s []string
	for _, d := range digests {
		s = append(s, d.String())
	}
	return s
}

// Get returns an image and its manifest by tag or digest.
func (r *Registry) Get(ctx context.Context, repo, ref string) (*model.Image, []byte, error) {
	img, err := r.Find(ctx, repo, ref)
	if err != nil {
		return nil, nil, err
	}
	content, err := r.Blobs.Read(repo, Digest(img.Digest), maxManifest)
	if err != nil {
		return nil, nil, fmt.Errorf("read manifest %s of %s: %w", img.Digest, repo, err)
	}
	return img, content, nil
}

// Find returns an image by tag or digest.
func (r *Registry) Find(ctx context.Context, repo, ref string) (*model.Image, error) {
	if _, err := r.Catalog.Repository(ctx, repo); err != nil {
		return nil, err
	}
	if d, ok := ParseDigest(ref); ok {
		return r.Catalog.Image(ctx, repo, d)
	}
	return r.Catalog.Tagged(ctx, repo, ref)
}

// NoRepository is the fault that a catalog returns for a repository that does not exist, in ECR's words.
func NoRepository(s model.Scope, name string) error {
	return fault.New(fault.NotFound, "repository", name,
		"The repository with name '%s' does not exist in the registry with id '%s'", name, s.Account)
}

// NoImage is the fault that a catalog returns for an image that does not exist, in ECR's words.
func NoImage(ref string) error {
	return fault.New(fault.NotFound, "image", ref, "Requested image not found")
}

// ImmutableTag is the fault that a catalog returns for a tag that may not move, in ECR's words.
func ImmutableTag(repo, tag string) error {
	return fault.New(fault.Exists, "tag", tag,
		"The image tag '%s' already exists in the '%s' repository and cannot be overwritten because the tag is immutable.", tag, repo)
}
