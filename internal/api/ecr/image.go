package ecr

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ecrapi"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/registry"
	"github.com/neargate/neargate/internal/store"
)

// PutImage records a manifest whose layers are uploaded.
func (s *Server) PutImage(ctx context.Context, in *ecrapi.PutImageInput) (*ecrapi.PutImageOutput, error) {
	view := s.db.View()
	repo, err := s.repository(view, in.RegistryId, in.RepositoryName)
	if err != nil {
		return nil, err
	}
	content, tag := []byte(awsapi.Val(in.ImageManifest)), awsapi.Val(in.ImageTag)
	digest := registry.DigestOf(content)
	old, exists := s.tables.Images.Get(view, model.ImageKey(repo.Name, digest.String()))
	if exists && (tag == "" || slices.Contains(old.Tags, tag)) {
		return nil, awsapi.NewError(ecrapi.ErrImageAlreadyExistsException,
			"Image with digest '%s' and tag '%s' already exists in the repository with name '%s' in registry with id '%s'",
			digest, awsapi.Or(in.ImageTag, "null"), repo.Name, s.scope.Account)
	}
	_, err = s.registry.Put(ctx, registry.Push{
		Repository: repo.Name, Content: content, MediaType: awsapi.Val(in.ImageManifestMediaType), Tag: tag, Digest: registry.Digest(awsapi.Val(in.ImageDigest)),
	})
	if err != nil {
		return nil, translate(err)
	}
	img, err := s.registry.Catalog.Image(ctx, repo.Name, digest)
	if err != nil {
		return nil, translate(err)
	}
	return &ecrapi.PutImageOutput{Image: s.imageView(img, in.ImageTag, content)}, nil
}

func (s *Server) imageView(img *model.Image, tag *string, content []byte) *ecrapi.Image {
	return &ecrapi.Image{
		ImageId:       &ecrapi.ImageIdentifier{ImageDigest: awsapi.Ptr(img.Digest), ImageTag: tag},
		ImageManifest: awsapi.Ptr(string(content)), ImageManifestMediaType: awsapi.Ptr(img.MediaType),
		RegistryId: s.account(), RepositoryName: awsapi.Ptr(img.Repository),
	}
}

// find returns the image that an identifier names, or what is wrong with the identifier.
func (s *Server) find(r store.Reader, repo string, id ecrapi.ImageIdentifier) (*model.Image, *ecrapi.ImageFailure) {
	fail := func(code ecrapi.ImageFailureCode, reason string) *ecrapi.ImageFailure {
		return &ecrapi.ImageFailure{FailureCode: code, FailureReason: awsapi.Ptr(reason), ImageId: &id}
	}
	if id.ImageDigest == nil && id.ImageTag == nil {
		return nil, fail(ecrapi.ImageFailureCodeMissingDigestAndTag, "Invalid request parameters: both tag and digest cannot be null")
	}
	if id.ImageDigest == nil {
		img, ok := s.tables.Images.FirstBy(r, "tag", repo+":"+*id.ImageTag)
		if !ok {
			return nil, fail(ecrapi.ImageFailureCodeImageNotFound, "Requested image not found")
		}
		return img, nil
	}
	if _, ok := registry.ParseDigest(*id.ImageDigest); !ok {
		return nil, fail(ecrapi.ImageFailureCodeInvalidImageDigest, "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'")
	}
	img, ok := s.tables.Images.Get(r, model.ImageKey(repo, *id.ImageDigest))
	if !ok {
		return nil, fail(ecrapi.ImageFailureCodeImageNotFound, "Requested image not found")
	}
	if id.ImageTag != nil && !slices.Contains(img.Tags, *id.ImageTag) {
		return nil, fail(ecrapi.ImageFailureCodeImageTagDoesNotMatchDigest, "Requested image tag and digest do not match")
	}
	return img, nil
}

// BatchGetImage returns manifests.
func (s *Server) BatchGetImage(ctx context.Context, in *ecrapi.BatchGetImageInput) (*ecrapi.BatchGetImageOutput, error) {
	view := s.db.View()
	repo, err := s.repository(view, in.RegistryId, in.RepositoryName)
	if err != nil {
		return nil, err
	}
	out := &ecrapi.BatchGetImageOutput{Images: []ecrapi.Image{}, Failures: []ecrapi.ImageFailure{}}
	for _, id := range in.ImageIds {
		img, failure := s.find(view, repo.Name, id)
		if failure != nil {
			out.Failures = append(out.Failures, *failure)
			continue
		}
		if len(in.AcceptedMediaTypes) > 0 && !slices.Contains(in.AcceptedMediaTypes, img.MediaType) {
			out.Failures = append(out.Failures, ecrapi.ImageFailure{FailureCode: ecrapi.ImageFailureCodeImageNotFound, ImageId: &id,
				FailureReason: awsapi.Ptr(fmt.Sprintf("Requested image has the media type '%s', which acceptedMediaTypes does not list", img.MediaType))})
			continue
		}
		_, content, err := s.registry.Get(ctx, repo.Name, img.Digest)
		if err != nil {
			return nil, translate(err)
		}
		out.Images = append(out.Images, *s.imageView(img, id.ImageTag, content))
	}
	return out, nil
}

// BatchDeleteImage removes images by digest, or tags; with its last tag an image goes.
func (s *Server) BatchDeleteImage(ctx context.Context, in *ecrapi.BatchDeleteImageInput) (*ecrapi.BatchDeleteImageOutput, error) {
	var out *ecrapi.BatchDeleteImageOutput
	err := s.update(ctx, func(tx *store.Txn) error {
		out = &ecrapi.BatchDeleteImageOutput{ImageIds: []ecrapi.ImageIdentifier{}, Failures: []ecrapi.ImageFailure{}}
		repo, err := s.repository(tx, in.RegistryId, in.RepositoryName)
		if err != nil {
			return err
		}
		for _, id := range in.ImageIds {
			img, failure := s.find(tx, repo.Name, id)
			if failure != nil {
				out.Failures = append(out.Failures, *failure)
				continue
			}
			if id.ImageTag != nil && len(img.Tags) > 1 { // only the tag goes
				s.tables.Images.Edit(tx, img.Key(), func(i *model.Image) {
					i.Tags = slices.DeleteFunc(i.Tags, func(t string) bool { return t == *id.ImageTag })
				})
				out.ImageIds = append(out.ImageIds, ecrapi.ImageIdentifier{ImageDigest: awsapi.Ptr(img.Digest), ImageTag: id.ImageTag})
				continue
			}
			if list := s.listedBy(tx, img); list != "" {
				out.Failures = append(out.Failures, ecrapi.ImageFailure{
					FailureCode: ecrapi.ImageFailureCodeImageReferencedByManifestList, ImageId: &id,
					FailureReason: awsapi.Ptr(fmt.Sprintf("Requested image referenced by manifest list: [%s]", list)),
				})
				continue
			}
			s.tables.Images.Delete(tx, img.Key())
			out.ImageIds = append(out.ImageIds, identifiers(img)...)
		}
		return nil
	})
	return out, err
}

// listedBy returns the digest of an index of the same repository that names the image.
func (s *Server) listedBy(r store.Reader, img *model.Image) string {
	for other := range s.tables.Images.By(r, "blob", img.Digest) {
		if other.Repository == img.Repository && slices.Contains(other.Manifests, img.Digest) {
			return other.Digest
		}
	}
	return ""
}

// identifiers returns an identifier for each tag, or one without a tag.
func identifiers(img *model.Image) []ecrapi.ImageIdentifier {
	if len(img.Tags) == 0 {
		return []ecrapi.ImageIdentifier{{ImageDigest: awsapi.Ptr(img.Digest)}}
	}
	list := make([]ecrapi.ImageIdentifier, 0, len(img.Tags))
	for _, tag := range img.Tags {
		list = append(list, ecrapi.ImageIdentifier{ImageDigest: awsapi.Ptr(img.Digest), ImageTag: awsapi.Ptr(tag)})
	}
	return list
}

// hasStatus reports whether an image is what a filter wants. Nothing is ever archived here.
func hasStatus(img *model.Image, tags ecrapi.TagStatus, status ecrapi.ImageStatusFilter) bool {
	switch {
	case status != "" && status != ecrapi.ImageStatusFilterActive && status != ecrapi.ImageStatusFilterAny,
		tags == ecrapi.TagStatusTagged && len(img.Tags) == 0, tags == ecrapi.TagStatusUntagged && len(img.Tags) > 0:
		return false
	}
	return true
}

// ListImages lists digests and tags.
func (s *Server) ListImages(_ context.Context, in *ecrapi.ListImagesInput) (*ecrapi.ListImagesOutput, error) {
	view := s.db.View()
	repo, err := s.repository(view, in.RegistryId, in.RepositoryName)
	if err != nil {
		return nil, err
	}
	filter := awsapi.Val(in.Filter)
	var ids []ecrapi.ImageIdentifier
	for img := range s.tables.Images.By(view, "repository", repo.Name) {
		if hasStatus(img, filter.TagStatus, filter.ImageStatus) {
			ids = append(ids, identifiers(img)...)
		}
	}
	key := func(id ecrapi.ImageIdentifier) string { return *id.ImageDigest + ":" + awsapi.Val(id.ImageTag) }
	page, next, err := awsapi.Page("ecr:ListImages:"+repo.Name, ids, key, in.NextToken, in.MaxResults, 1000)
	if err != nil {
		return nil, err
	}
	return &ecrapi.ListImagesOutput{ImageIds: append([]ecrapi.ImageIdentifier{}, page...), NextToken: next}, nil
}

// DescribeImages describes images, all or by tag or digest.
func (s *Server) DescribeImages(_ context.Context, in *ecrapi.DescribeImagesInput) (*ecrapi.DescribeImagesOutput, error) {
	view := s.db.View()
	repo, err := s.repository(view, in.RegistryId, in.RepositoryName)
	if err != nil {
		return nil, err
	}
	filter := awsapi.Val(in.Filter)
	var found []*model.Image
	for _, id := range in.ImageIds {
		img, failure := s.find(view, repo.Name, id)
		if failure != nil {
			return nil, awsapi.NewError(ecrapi.ErrImageNotFoundException,
				"The image with imageId {imageDigest:'%s', imageTag:'%s'} does not exist within the repository with name '%s' in the registry with id '%s'",
				awsapi.Or(id.ImageDigest, "null"), awsapi.Or(id.ImageTag, "null"), repo.Name, s.scope.Account)
		}
		if !slices.Contains(found, img) {
			found = append(found, img)
		}
	}
	if len(in.ImageIds) == 0 {
		for img := range s.tables.Images.By(view, "repository", repo.Name) {
			if hasStatus(img, filter.TagStatus, filter.ImageStatus) {
				found = append(found, img)
			}
		}
	}
	page, next, err := awsapi.Page("ecr:DescribeImages:"+repo.Name, found, func(i *model.Image) string { return i.Digest }, in.NextToken, in.MaxResults, 1000)
	if err != nil {
		return nil, err
	}
	out := &ecrapi.DescribeImagesOutput{ImageDetails: make([]ecrapi.ImageDetail, 0, len(page)), NextToken: next}
	for _, img := range page {
		out.ImageDetails = append(out.ImageDetails, s.detail(repo, img))
	}
	return out, nil
}

func (s *Server) detail(repo *model.Repository, img *model.Image) ecrapi.ImageDetail {
	d := ecrapi.ImageDetail{
		ImageDigest: awsapi.Ptr(img.Digest), ImageTags: img.Tags, ImageManifestMediaType: awsapi.Ptr(img.MediaType),
		ArtifactMediaType: awsapi.NonZero(img.ArtifactType), ImageSizeInBytes: awsapi.Ptr(img.SizeBytes), ImagePushedAt: awsapi.Ptr(img.PushedAt),
		ImageStatus: ecrapi.ImageStatusActive, SubjectManifestDigest: awsapi.NonZero(img.Subject), RegistryId: s.account(), RepositoryName: awsapi.Ptr(img.Repository),
	}
	if repo.ScanOnPush {
		d.ImageScanStatus = &ecrapi.ImageScanStatus{Status: ecrapi.ScanStatusFailed,
			Description: awsapi.Ptr("Neargate has no vulnerability scanner: scanOnPush has no effect.")}
	}
	return d
}

// Parts of layers.
const (
	partSize    = 20 << 20 // what ECR advises
	partMinimum = 5 << 20  // of all parts but the last
)

// InitiateLayerUpload begins an upload.
func (s *Server) InitiateLayerUpload(_ context.Context, in *ecrapi.InitiateLayerUploadInput) (*ecrapi.InitiateLayerUploadOutput, error) {
	repo, err := s.repository(s.db.View(), in.RegistryId, in.RepositoryName)
	if err != nil {
		return nil, err
	}
	id, err := s.registry.Blobs.StartUpload(repo.Name)
	if err != nil {
		return nil, err
	}
	return &ecrapi.InitiateLayerUploadOutput{UploadId: awsapi.Ptr(id), PartSize: awsapi.Ptr(int64(partSize))}, nil
}

// UploadLayerPart adds a part; parts come in order.
func (s *Server) UploadLayerPart(ctx context.Context, in *ecrapi.UploadLayerPartInput) (*ecrapi.UploadLayerPartOutput, error) {
	repo, err := s.repository(s.db.View(), in.RegistryId, in.RepositoryName)
	if err != nil {
		return nil, err
	}
	id, first, last := awsapi.Val(in.UploadId), awsapi.Val(in.PartFirstByte), awsapi.Val(in.PartLastByte)
	wrong := func(size int64) error {
		return &awsapi.Error{
			Code:    ecrapi.ErrInvalidLayerPartException,
			Message: fmt.Sprintf("Invalid layer part received. Last valid byte received was '%d', part was received from byte '%d'", size-1, first),
			Fields: map[string]any{"registryId": s.scope.Account, "repositoryName": repo.Name, "uploadId": id,
				"lastValidByteReceived": size - 1},
		}
	}
	if last-first+1 != int64(len(in.LayerPartBlob)) {
		return nil, invalid("Invalid parameter at 'partLastByte' failed to satisfy constraint: 'the part has %d bytes'", len(in.LayerPartBlob))
	}
	if first > 0 && first < partMinimum {
		return nil, awsapi.NewError(ecrapi.ErrLayerPartTooSmallException, "Layer parts must be at least %d bytes in size", partMinimum)
	}
	size, err := s.registry.Blobs.AppendUpload(ctx, repo.Name, id, first, bytes.NewReader(in.LayerPartBlob))
	if errors.Is(err, registry.ErrWrongOffset) {
		return nil, wrong(size)
	} else if err != nil {
		return nil, uploadError(id, err)
	}
	return &ecrapi.UploadLayerPartOutput{
		RegistryId: s.account(), RepositoryName: awsapi.Ptr(repo.Name), UploadId: in.UploadId, LastByteReceived: awsapi.Ptr(size - 1),
	}, nil
}

// CompleteLayerUpload ends an upload: the layer is there if its content is what its digest says.
func (s *Server) CompleteLayerUpload(_ context.Context, in *ecrapi.CompleteLayerUploadInput) (*ecrapi.CompleteLayerUploadOutput, error) {
	repo, err := s.repository(s.db.View(), in.RegistryId, in.RepositoryName)
	if err != nil {
		return nil, err
	}
	id, text := awsapi.Val(in.UploadId), ""
	if len(in.LayerDigests) > 0 {
		text = in.LayerDigests[0]
	}
	digest, ok := registry.ParseDigest(text)
	if !ok {
		return nil, invalid("Invalid parameter at 'layerDigests' failed to satisfy constraint: 'must be a sha256 digest'")
	}
	size, err := s.registry.Blobs.UploadSize(repo.Name, id)
	switch {
	case err != nil:
		return nil, uploadError(id, err)
	case size == 0:
		return nil, awsapi.NewError(ecrapi.ErrEmptyUploadException, "The upload with ID '%s' has no parts", id)
	}
	if _, err := s.registry.Blobs.Stat(repo.Name, digest); err == nil {
		return nil, awsapi.NewError(ecrapi.ErrLayerAlreadyExistsException,
			"Layer with digest '%s' already exists in the repository with name '%s' in the registry with id '%s'", digest, repo.Name, s.scope.Account)
	}
	if _, err := s.registry.Blobs.CommitUpload(repo.Name, id, digest); err != nil {
		return nil, uploadError(id, err)
	}
	return &ecrapi.CompleteLayerUploadOutput{
		RegistryId: s.account(), RepositoryName: awsapi.Ptr(repo.Name), UploadId: in.UploadId, LayerDigest: awsapi.Ptr(digest.String()),
	}, nil
}

// BatchCheckLayerAvailability tells which layers a repository holds.
func (s *Server) BatchCheckLayerAvailability(_ context.Context, in *ecrapi.BatchCheckLayerAvailabilityInput) (*ecrapi.BatchCheckLayerAvailabilityOutput, error) {
	repo, err := s.repository(s.db.View(), in.RegistryId, in.RepositoryName)
	if err != nil {
		return nil, err
	}
	out := &ecrapi.BatchCheckLayerAvailabilityOutput{Layers: []ecrapi.Layer{}, Failures: []ecrapi.LayerFailure{}}
	for _, text := range in.LayerDigests {
		digest, ok := registry.ParseDigest(text)
		if !ok {
			out.Failures = append(out.Failures, ecrapi.LayerFailure{LayerDigest: awsapi.Ptr(text), FailureCode: ecrapi.LayerFailureCodeInvalidLayerDigest,
				FailureReason: awsapi.Ptr("Layer digest is not a sha256 digest")})
			continue
		}
		layer := ecrapi.Layer{LayerDigest: awsapi.Ptr(text), LayerAvailability: ecrapi.LayerAvailabilityUnavailable}
		size, err := s.registry.Blobs.Touch(repo.Name, digest)
		if err == nil {
			layer.LayerAvailability, layer.LayerSize = ecrapi.LayerAvailabilityAvailable, awsapi.Ptr(size)
		} else if !errors.Is(err, registry.ErrNoBlob) {
			return nil, err
		}
		out.Layers = append(out.Layers, layer)
	}
	return out, nil
}

// GetDownloadUrlForLayer returns where a layer can be downloaded for an hour: at S3's host name, which resolves inside VPCs.
func (s *Server) GetDownloadUrlForLayer(_ context.Context, in *ecrapi.GetDownloadUrlForLayerInput) (*ecrapi.GetDownloadUrlForLayerOutput, error) {
	repo, err := s.repository(s.db.View(), in.RegistryId, in.RepositoryName)
	if err != nil {
		return nil, err
	}
	digest, ok := registry.ParseDigest(awsapi.Val(in.LayerDigest))
	if ok {
		_, err = s.registry.Blobs.Stat(repo.Name, digest)
	}
	if !ok || errors.Is(err, registry.ErrNoBlob) {
		return nil, awsapi.NewError(ecrapi.ErrLayersNotFoundException, "The layer with digest '%s' does not exist in the repository with name '%s' in the registry with id '%s'",
			awsapi.Val(in.LayerDigest), repo.Name, s.scope.Account)
	} else if err != nil {
		return nil, err
	}
	return &ecrapi.GetDownloadUrlForLayerOutput{LayerDigest: in.LayerDigest, DownloadUrl: awsapi.Ptr(s.signer.URL("GET", repo.Name, digest))}, nil
}
