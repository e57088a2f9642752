package ecr

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ecrapi"
	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/registry"
	"github.com/neargate/neargate/internal/store/storetest"
)

var testTime = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

func newServer(t *testing.T, repositories ...string) *Server {
	t.Helper()
	db, tables := storetest.New(t)
	scope := model.Scope{Account: "000000000000", Region: "us-east-1"}
	c := clock.Fixed(testTime)
	dir := t.TempDir()
	blobs, err := registry.OpenBlobs(dir)
	if err != nil {
		t.Fatal(err)
	}
	key, err := registry.LoadKey(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{
		DB: db, Tables: tables, Clock: c, Scope: scope, Key: key, Signer: &registry.LayerSigner{Key: key, Scope: scope, Clock: c},
		Registry: &registry.Registry{Blobs: blobs, Catalog: &registry.Records{DB: db, Tables: tables, Scope: scope}, Clock: c, Scope: scope},
		Log:      slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	for _, name := range repositories {
		must[*ecrapi.CreateRepositoryOutput](t)(s.CreateRepository(t.Context(), &ecrapi.CreateRepositoryInput{RepositoryName: &name}))
	}
	return s
}

func must[T any](t *testing.T) func(T, error) T {
	return func(out T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// push uploads an image of one layer through the API.
func (s *Server) push(t *testing.T, repo, tag, layer string) string {
	t.Helper()
	put := func(content string) registry.Descriptor {
		d := registry.DigestOf([]byte(content))
		desc := registry.Descriptor{MediaType: "application/octet-stream", Digest: d, Size: int64(len(content))}
		up := must[*ecrapi.InitiateLayerUploadOutput](t)(s.InitiateLayerUpload(t.Context(), &ecrapi.InitiateLayerUploadInput{RepositoryName: &repo}))
		must[*ecrapi.UploadLayerPartOutput](t)(s.UploadLayerPart(t.Context(), &ecrapi.UploadLayerPartInput{RepositoryName: &repo, UploadId: up.UploadId,
			PartFirstByte: awsapi.Ptr(int64(0)), PartLastByte: awsapi.Ptr(int64(len(content) - 1)), LayerPartBlob: []byte(content)}))
		_, err := s.CompleteLayerUpload(t.Context(), &ecrapi.CompleteLayerUploadInput{RepositoryName: &repo, UploadId: up.UploadId, LayerDigests: []string{d.String()}})
		if err != nil && !strings.HasPrefix(err.Error(), "LayerAlreadyExistsException") {
			t.Fatal(err)
		}
		return desc
	}
	config := put("config of " + layer)
	m, err := json.Marshal(registry.Manifest{SchemaVersion: 2, MediaType: registry.MediaTypeOCIManifest, Config: &config, Layers: []registry.Descriptor{put(layer)}})
	if err != nil {
		t.Fatal(err)
	}
	out := must[*ecrapi.PutImageOutput](t)(s.PutImage(t.Context(), &ecrapi.PutImageInput{RepositoryName: &repo, ImageTag: &tag, ImageManifest: awsapi.Ptr(string(m))}))
	return *out.Image.ImageId.ImageDigest
}

func TestRepositories(t *testing.T) {
	s := newServer(t, "web/api", "other")
	name := awsapi.Ptr("web/api")
	_, err := s.CreateRepository(t.Context(), &ecrapi.CreateRepositoryInput{RepositoryName: name})
	wantError(t, err, "RepositoryAlreadyExistsException: The repository with name 'web/api' already exists in the registry with id '000000000000'")
	_, err = s.CreateRepository(t.Context(), &ecrapi.CreateRepositoryInput{RepositoryName: awsapi.Ptr("kms"),
		EncryptionConfiguration: &ecrapi.EncryptionConfiguration{EncryptionType: ecrapi.EncryptionTypeKms}})
	wantError(t, err, "InvalidParameterException: Neargate supports the encryption type AES256 only")
	_, err = s.CreateRepository(t.Context(), &ecrapi.CreateRepositoryInput{RepositoryName: awsapi.Ptr("kms"),
		EncryptionConfiguration: &ecrapi.EncryptionConfiguration{EncryptionType: "AES256", KmsKey: awsapi.Ptr("alias/mine")}})
	wantError(t, err, "InvalidParameterException: A KMS key cannot be specified")
	out := must[*ecrapi.DescribeRepositoriesOutput](t)(s.DescribeRepositories(t.Context(), &ecrapi.DescribeRepositoriesInput{RepositoryNames: []string{"web/api"}}))
	want := []ecrapi.Repository{{
		CreatedAt: awsapi.Ptr(testTime), RegistryId: awsapi.Ptr("000000000000"), RepositoryName: name,
		RepositoryArn: awsapi.Ptr("arn:aws:ecr:us-east-1:000000000000:repository/web/api"),
		RepositoryUri: awsapi.Ptr("000000000000.dkr.ecr.us-east-1.amazonaws.com/web/api"), ImageTagMutability: "MUTABLE",
		ImageScanningConfiguration: &ecrapi.ImageScanningConfiguration{ScanOnPush: awsapi.Ptr(false)},
		EncryptionConfiguration:    &ecrapi.EncryptionConfiguration{EncryptionType: "AES256"},
	}}
	if diff := cmp.Diff(want, out.Repositories); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	_, err = s.DescribeRepositories(t.Context(), &ecrapi.DescribeRepositoriesInput{RepositoryNames: []string{"none"}})
	wantError(t, err, "RepositoryNotFoundException: The repository with name 'none' does not exist in the registry with id '000000000000'")
	_, err = s.DescribeImages(t.Context(), &ecrapi.DescribeImagesInput{RepositoryName: name, RegistryId: awsapi.Ptr("111111111111")})
	wantError(t, err, "RepositoryNotFoundException: The repository with name 'web/api' does not exist in the registry with id '111111111111'")
	arn := out.Repositories[0].RepositoryArn
	must[*ecrapi.TagResourceOutput](t)(s.TagResource(t.Context(), &ecrapi.TagResourceInput{ResourceArn: arn, Tags: []ecrapi.Tag{{Key: awsapi.Ptr("a"), Value: awsapi.Ptr("1")}}}))
	tags := must[*ecrapi.ListTagsForResourceOutput](t)(s.ListTagsForResource(t.Context(), &ecrapi.ListTagsForResourceInput{ResourceArn: arn}))
	if len(tags.Tags) != 1 || *tags.Tags[0].Value != "1" {
		t.Errorf("tags: %+v", tags.Tags)
	}
	s.push(t, "web/api", "v1", "layer")
	_, err = s.DeleteRepository(t.Context(), &ecrapi.DeleteRepositoryInput{RepositoryName: name})
	wantError(t, err, "RepositoryNotEmptyException: The repository with name 'web/api' in registry with id '000000000000' cannot be deleted because it still contains images")
	must[*ecrapi.DeleteRepositoryOutput](t)(s.DeleteRepository(t.Context(), &ecrapi.DeleteRepositoryInput{RepositoryName: name, Force: awsapi.Ptr(true)}))
	must[*ecrapi.CreateRepositoryOutput](t)(s.CreateRepository(t.Context(), &ecrapi.CreateRepositoryInput{RepositoryName: name}))
	if _, err := s.registry.Blobs.Stat("web/api", registry.DigestOf([]byte("layer"))); err == nil {
		t.Error("a repository that is made again has the layers of the old one")
	}
	_, err = s.SetRepositoryPolicy(t.Context(), &ecrapi.SetRepositoryPolicyInput{RepositoryName: name, PolicyText: awsapi.Ptr("{}")})
	wantError(t, err, "InvalidParameterException: Neargate does not evaluate repository policies yet")
	_, err = s.GetRepositoryPolicy(t.Context(), &ecrapi.GetRepositoryPolicyInput{RepositoryName: name})
	wantError(t, err, "RepositoryPolicyNotFoundException: ")
}

func TestAcceptedMediaTypes(t *testing.T) {
	s := newServer(t, "web")
	repo, digest := awsapi.Ptr("web"), s.push(t, "web", "v1", "layer")
	for accepted, failures := range map[string]int{registry.MediaTypeOCIManifest: 0, "application/vnd.docker.distribution.manifest.v2+json": 1} {
		out := must[*ecrapi.BatchGetImageOutput](t)(s.BatchGetImage(t.Context(), &ecrapi.BatchGetImageInput{
			RepositoryName: repo, ImageIds: []ecrapi.ImageIdentifier{{ImageDigest: &digest}}, AcceptedMediaTypes: []string{accepted},
		}))
		if len(out.Failures) != failures || len(out.Images) != 1-failures {
			t.Errorf("%s: %+v", accepted, out)
		}
	}
}

func TestAuthorizationToken(t *testing.T) {
	s := newServer(t)
	ctx := awsapi.WithRequest(t.Context(), awsapi.Request{Principal: "arn:aws:iam::000000000000:root"})
	out := must[*ecrapi.GetAuthorizationTokenOutput](t)(s.GetAuthorizationToken(ctx, &ecrapi.GetAuthorizationTokenInput{}))
	d := out.AuthorizationData[0]
	if *d.ProxyEndpoint != "https://000000000000.dkr.ecr.us-east-1.amazonaws.com" || !d.ExpiresAt.Equal(testTime.Add(12*time.Hour)) {
		t.Errorf("%+v", d)
	}
	for name, enc := range map[string]*base64.Encoding{"standard": base64.StdEncoding, "URL-safe": base64.URLEncoding} {
		b, err := enc.DecodeString(*d.AuthorizationToken)
		parts := strings.Split(string(b), ":")
		if err != nil || len(parts) != 2 || parts[0] != "AWS" {
			t.Errorf("in the %s alphabet: %q, %v", name, b, err)
			continue
		}
		if who, err := s.key.Principal(parts[1], testTime); err != nil || who != "arn:aws:iam::000000000000:root" {
			t.Errorf("password of %q, %v", who, err)
		}
	}
}

func TestImages(t *testing.T) {
	s := newServer(t, "web")
	repo := awsapi.Ptr("web")
	one := s.push(t, "web", "v1", "one")
	two := s.push(t, "web", "v2", "two")
	if again := s.push(t, "web", "latest", "two"); again != two {
		t.Errorf("the same image has two digests: %s %s", again, two)
	}
	list := must[*ecrapi.ListImagesOutput](t)(s.ListImages(t.Context(), &ecrapi.ListImagesInput{RepositoryName: repo, Filter: &ecrapi.ListImagesFilter{TagStatus: "TAGGED"}}))
	if len(list.ImageIds) != 3 {
		t.Errorf("listed: %+v", list.ImageIds)
	}
	described := must[*ecrapi.DescribeImagesOutput](t)(s.DescribeImages(t.Context(), &ecrapi.DescribeImagesInput{RepositoryName: repo,
		ImageIds: []ecrapi.ImageIdentifier{{ImageTag: awsapi.Ptr("v2")}}}))
	want := []ecrapi.ImageDetail{{ImageDigest: &two, ImageTags: []string{"latest", "v2"}, ImageManifestMediaType: awsapi.Ptr(registry.MediaTypeOCIManifest),
		ArtifactMediaType: awsapi.Ptr("application/octet-stream"), ImageSizeInBytes: awsapi.Ptr(int64(len("two") + len("config of two"))),
		ImagePushedAt: awsapi.Ptr(testTime), ImageStatus: "ACTIVE", RegistryId: awsapi.Ptr("000000000000"), RepositoryName: repo}}
	if diff := cmp.Diff(want, described.ImageDetails); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	_, err := s.DescribeImages(t.Context(), &ecrapi.DescribeImagesInput{RepositoryName: repo, ImageIds: []ecrapi.ImageIdentifier{{ImageTag: awsapi.Ptr("x")}}})
	wantError(t, err, "ImageNotFoundException: The image with imageId {imageDigest:'null', imageTag:'x'} does not exist within the repository with name 'web' in the registry with id '000000000000'")

	got := must[*ecrapi.BatchGetImageOutput](t)(s.BatchGetImage(t.Context(), &ecrapi.BatchGetImageInput{RepositoryName: repo,
		ImageIds: []ecrapi.ImageIdentifier{{ImageTag: awsapi.Ptr("v1")}, {ImageTag: awsapi.Ptr("x")}, {}, {ImageDigest: &two, ImageTag: awsapi.Ptr("v1")}}}))
	if len(got.Images) != 1 || registry.DigestOf([]byte(*got.Images[0].ImageManifest)).String() != one || len(got.Failures) != 3 ||
		got.Failures[0].FailureCode != "ImageNotFound" || got.Failures[1].FailureCode != "MissingDigestAndTag" || got.Failures[2].FailureCode != "ImageTagDoesNotMatchDigest" {
		t.Errorf("got %+v", got)
	}
	manifest := got.Images[0].ImageManifest
	_, err = s.PutImage(t.Context(), &ecrapi.PutImageInput{RepositoryName: repo, ImageTag: awsapi.Ptr("v1"), ImageManifest: manifest})
	wantError(t, err, "ImageAlreadyExistsException: Image with digest '"+one+"' and tag 'v1' already exists in the repository with name 'web'")
	must[*ecrapi.PutImageTagMutabilityOutput](t)(s.PutImageTagMutability(t.Context(), &ecrapi.PutImageTagMutabilityInput{RepositoryName: repo, ImageTagMutability: "IMMUTABLE_WITH_EXCLUSION",
		ImageTagMutabilityExclusionFilters: []ecrapi.ImageTagMutabilityExclusionFilter{{Filter: awsapi.Ptr("late*"), FilterType: "WILDCARD"}}}))
	_, err = s.PutImage(t.Context(), &ecrapi.PutImageInput{RepositoryName: repo, ImageTag: awsapi.Ptr("v2"), ImageManifest: manifest})
	wantError(t, err, "ImageTagAlreadyExistsException: The image tag 'v2' already exists in the 'web' repository and cannot be overwritten because the tag is immutable.")
	must[*ecrapi.PutImageOutput](t)(s.PutImage(t.Context(), &ecrapi.PutImageInput{RepositoryName: repo, ImageTag: awsapi.Ptr("latest"), ImageManifest: manifest}))
	_, err = s.PutImage(t.Context(), &ecrapi.PutImageInput{RepositoryName: repo, ImageManifest: awsapi.Ptr("{}")})
	wantError(t, err, "InvalidParameterException: Invalid parameter at 'ImageManifest'")
	_, err = s.PutImage(t.Context(), &ecrapi.PutImageInput{RepositoryName: repo, ImageManifest: awsapi.Ptr(*manifest + " "), ImageDigest: &one})
	wantError(t, err, "ImageDigestDoesNotMatchException: ")

	must[*ecrapi.PutImageScanningConfigurationOutput](t)(s.PutImageScanningConfiguration(t.Context(), &ecrapi.PutImageScanningConfigurationInput{RepositoryName: repo,
		ImageScanningConfiguration: &ecrapi.ImageScanningConfiguration{ScanOnPush: awsapi.Ptr(true)}}))
	described = must[*ecrapi.DescribeImagesOutput](t)(s.DescribeImages(t.Context(), &ecrapi.DescribeImagesInput{RepositoryName: repo}))
	if st := described.ImageDetails[0].ImageScanStatus; st == nil || st.Status != "FAILED" {
		t.Errorf("scan: %+v", st)
	}
	del := must[*ecrapi.BatchDeleteImageOutput](t)(s.BatchDeleteImage(t.Context(), &ecrapi.BatchDeleteImageInput{RepositoryName: repo,
		ImageIds: []ecrapi.ImageIdentifier{{ImageTag: awsapi.Ptr("v2")}, {ImageTag: awsapi.Ptr("v1")}, {ImageDigest: &two}}}))
	if len(del.ImageIds) != 2 || len(del.Failures) != 1 { // v2 was the last tag of two; v1 leaves latest behind
		t.Errorf("deleted %+v", del)
	}
	list = must[*ecrapi.ListImagesOutput](t)(s.ListImages(t.Context(), &ecrapi.ListImagesInput{RepositoryName: repo}))
	if len(list.ImageIds) != 1 || *list.ImageIds[0].ImageTag != "latest" {
		t.Errorf("left: %+v", list.ImageIds)
	}
}

func TestLayers(t *testing.T) {
	s := newServer(t, "web")
	repo := awsapi.Ptr("web")
	start := func() *string {
		return must[*ecrapi.InitiateLayerUploadOutput](t)(s.InitiateLayerUpload(t.Context(), &ecrapi.InitiateLayerUploadInput{RepositoryName: repo})).UploadId
	}
	part := func(id *string, first int64, content string) error {
		_, err := s.UploadLayerPart(t.Context(), &ecrapi.UploadLayerPartInput{RepositoryName: repo, UploadId: id, PartFirstByte: &first,
			PartLastByte: awsapi.Ptr(first + int64(len(content)) - 1), LayerPartBlob: []byte(content)})
		return err
	}
	complete := func(id *string, d string) error {
		_, err := s.CompleteLayerUpload(t.Context(), &ecrapi.CompleteLayerUploadInput{RepositoryName: repo, UploadId: id, LayerDigests: []string{d}})
		return err
	}
	id := start()
	big := strings.Repeat("x", partMinimum)
	digest := registry.DigestOf([]byte(big + "y")).String()
	wantError(t, complete(id, digest), "EmptyUploadException")
	if err := part(id, 0, big); err != nil {
		t.Fatal(err)
	}
	wantError(t, part(id, partMinimum+1, "y"), "InvalidLayerPartException: Invalid layer part received. Last valid byte received was '5242879', part was received from byte '5242881'")
	wantError(t, part(id, 3, "y"), "LayerPartTooSmallException")
	if err := part(id, partMinimum, "y"); err != nil {
		t.Fatal(err)
	}
	wantError(t, complete(id, registry.DigestOf(nil).String()), "InvalidLayerException")
	if err := complete(id, digest); err != nil {
		t.Fatal(err)
	}
	wantError(t, complete(id, digest), "UploadNotFoundException")
	id = start()
	if err := part(id, 0, "other"); err != nil {
		t.Fatal(err)
	}
	wantError(t, complete(id, digest), "LayerAlreadyExistsException")
	absent := registry.DigestOf([]byte("absent")).String()
	out := must[*ecrapi.BatchCheckLayerAvailabilityOutput](t)(s.BatchCheckLayerAvailability(t.Context(), &ecrapi.BatchCheckLayerAvailabilityInput{RepositoryName: repo,
		LayerDigests: []string{digest, absent, "x"}}))
	if len(out.Layers) != 2 || out.Layers[0].LayerAvailability != "AVAILABLE" || *out.Layers[0].LayerSize != partMinimum+1 || out.Layers[1].LayerAvailability != "UNAVAILABLE" ||
		len(out.Failures) != 1 {
		t.Errorf("%+v", out)
	}
	u := must[*ecrapi.GetDownloadUrlForLayerOutput](t)(s.GetDownloadUrlForLayer(t.Context(), &ecrapi.GetDownloadUrlForLayerInput{RepositoryName: repo, LayerDigest: &digest}))
	if !strings.HasPrefix(*u.DownloadUrl, "https://prod-us-east-1-starport-layer-bucket.s3.us-east-1.amazonaws.com/") {
		t.Errorf("URL: %s", *u.DownloadUrl)
	}
	_, err := s.GetDownloadUrlForLayer(t.Context(), &ecrapi.GetDownloadUrlForLayerInput{RepositoryName: repo, LayerDigest: &absent})
	wantError(t, err, "LayersNotFoundException")
}

func TestLifecycle(t *testing.T) {
	s := newServer(t, "web")
	repo := awsapi.Ptr("web")
	_, err := s.GetLifecyclePolicy(t.Context(), &ecrapi.GetLifecyclePolicyInput{RepositoryName: repo})
	wantError(t, err, "LifecyclePolicyNotFoundException: Lifecycle policy does not exist for the repository with name 'web' in the registry with id '000000000000'")
	text := `{"rules":[{"rulePriority":1,"description":"d","selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":1},"action":{"type":"expire"}}]}`
	must[*ecrapi.PutLifecyclePolicyOutput](t)(s.PutLifecyclePolicy(t.Context(), &ecrapi.PutLifecyclePolicyInput{RepositoryName: repo, LifecyclePolicyText: &text}))
	s.push(t, "web", "v1", "one")
	s.push(t, "web", "v2", "two")
	if err := s.ApplyLifecycle(t.Context()); err != nil {
		t.Fatal(err)
	}
	list := must[*ecrapi.ListImagesOutput](t)(s.ListImages(t.Context(), &ecrapi.ListImagesInput{RepositoryName: repo}))
	if len(list.ImageIds) != 1 {
		t.Errorf("left: %+v", list.ImageIds)
	}
	for _, bad := range []string{`{`, `{"rules":[]}`, strings.Replace(text, "expire", "transition", 1), strings.Replace(text, `"any"`, `"tagged"`, 1),
		strings.Replace(text, `:1}`, `:0}`, 1), strings.Replace(text, "imageCountMoreThan", "sinceImagePushed", 1), strings.Replace(text, "imageCountMoreThan", "sinceImagePulled", 1),
		strings.Replace(text, "description", "unknown", 1)} {
		_, err := s.PutLifecyclePolicy(t.Context(), &ecrapi.PutLifecyclePolicyInput{RepositoryName: repo, LifecyclePolicyText: &bad})
		wantError(t, err, "InvalidParameterException: Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy validation failure: ")
	}
	must[*ecrapi.DeleteLifecyclePolicyOutput](t)(s.DeleteLifecyclePolicy(t.Context(), &ecrapi.DeleteLifecyclePolicyInput{RepositoryName: repo}))
}

func TestPlanExpiry(t *testing.T) {
	image := func(digest string, days int, tags ...string) *model.Image {
		return &model.Image{Digest: digest, PushedAt: testTime.Add(-time.Duration(days) * 24 * time.Hour), Tags: tags}
	}
	images := []*model.Image{image("a", 1, "prod-1"), image("b", 2, "prod-2"), image("c", 3, "prod-3", "x"), image("d", 20), image("e", 4), image("f", 30, "dev")}
	rule := func(text string) string { return `{"rules":[` + text + `]}` }
	tests := []struct{ name, policy, want string }{
		{"count", rule(`{"rulePriority":1,"selection":{"tagStatus":"tagged","tagPrefixList":["prod-"],"countType":"imageCountMoreThan","countNumber":1},"action":{"type":"expire"}}`), "b c"},
		{"age of untagged", rule(`{"rulePriority":1,"selection":{"tagStatus":"untagged","countType":"sinceImagePushed","countUnit":"days","countNumber":14},"action":{"type":"expire"}}`), "d"},
		{"priority protects", rule(`{"rulePriority":2,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":1},"action":{"type":"expire"}},` +
			`{"rulePriority":1,"selection":{"tagStatus":"tagged","tagPatternList":["prod*"],"countType":"imageCountMoreThan","countNumber":99},"action":{"type":"expire"}}`), "d f"},
		{"all patterns", rule(`{"rulePriority":1,"selection":{"tagStatus":"tagged","tagPatternList":["prod*","x"],"countType":"sinceImagePushed","countUnit":"days","countNumber":1},"action":{"type":"expire"}}`), "c"},
	}
	for _, tt := range tests {
		rules, err := parseLifecycle(tt.policy)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		var got []string
		for _, img := range planExpiry(rules, images, testTime) {
			got = append(got, img.Digest)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %v, want %s", tt.name, got, tt.want)
		}
	}
}

func FuzzParseLifecycle(f *testing.F) {
	f.Add(`{"rules":[{"rulePriority":1,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":1},"action":{"type":"expire"}}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		if rules, err := parseLifecycle(text); err == nil {
			planExpiry(rules, []*model.Image{{Digest: "a", Tags: []string{"x"}}}, testTime)
		}
	})
}
