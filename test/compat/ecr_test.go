package compat

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

func digestOf(content string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(content))) }

// upload pushes a layer through the API, as ECR's own clients can.
func (c *client) upload(repository, content string) string {
	c.t.Helper()
	digest := digestOf(content)
	id := must(c.t, c.ecr.InitiateLayerUpload, &ecr.InitiateLayerUploadInput{RepositoryName: &repository}).UploadId
	must(c.t, c.ecr.UploadLayerPart, &ecr.UploadLayerPartInput{RepositoryName: &repository, UploadId: id, PartFirstByte: aws.Int64(0), PartLastByte: aws.Int64(int64(len(content) - 1)), LayerPartBlob: []byte(content)})
	want(c.t, "layer", *must(c.t, c.ecr.CompleteLayerUpload, &ecr.CompleteLayerUploadInput{RepositoryName: &repository, UploadId: id, LayerDigests: []string{digest}}).LayerDigest, digest)
	return digest
}

const (
	layerContent  = "a layer"
	configContent = `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}`
)

func imageManifest(config, layer string) string {
	return fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":%q,"size":%d}]}`,
		config, len(configContent), layer, len(layerContent))
}

func scenarioECR(c *client) {
	t := c.t
	name := aws.String("team/app")
	made := must(t, c.ecr.CreateRepository, &ecr.CreateRepositoryInput{RepositoryName: name, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}}, ImageScanningConfiguration: &types.ImageScanningConfiguration{ScanOnPush: true}}).Repository
	refused(t, "RepositoryAlreadyExistsException", c.ecr.CreateRepository, &ecr.CreateRepositoryInput{RepositoryName: name})
	present(t, made, "RepositoryArn", "RepositoryUri", "RegistryId", "CreatedAt", "ImageTagMutability", "ImageScanningConfiguration", "EncryptionConfiguration")
	want(t, "encryption", made.EncryptionConfiguration.EncryptionType, types.EncryptionTypeAes256)
	want(t, "URI", *made.RepositoryUri, "000000000000.dkr.ecr.us-east-1.amazonaws.com/team/app")
	for i := range 3 {
		must(t, c.ecr.CreateRepository, &ecr.CreateRepositoryInput{RepositoryName: aws.String(fmt.Sprint("more-", i))})
	}
	seen := 0
	for p := ecr.NewDescribeRepositoriesPaginator(c.ecr, &ecr.DescribeRepositoriesInput{MaxResults: aws.Int32(3)}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		seen += len(page.Repositories)
	}
	want(t, "repositories of the pages", seen, 4)

	layer, config := c.upload(*name, layerContent), c.upload(*name, configContent)
	available := must(t, c.ecr.BatchCheckLayerAvailability, &ecr.BatchCheckLayerAvailabilityInput{RepositoryName: name, LayerDigests: []string{layer, digestOf("nothing")}})
	want(t, "layers and failures", []int{len(available.Layers), len(available.Failures)}, []int{2, 0})
	want(t, "availability", []types.LayerAvailability{available.Layers[0].LayerAvailability, available.Layers[1].LayerAvailability}, []types.LayerAvailability{types.LayerAvailabilityAvailable, types.LayerAvailabilityUnavailable})
	c.download(*must(t, c.ecr.GetDownloadUrlForLayer, &ecr.GetDownloadUrlForLayerInput{RepositoryName: name, LayerDigest: &layer}).DownloadUrl)
	manifest := imageManifest(config, layer)
	put := must(t, c.ecr.PutImage, &ecr.PutImageInput{RepositoryName: name, ImageManifest: &manifest, ImageTag: aws.String("1")}).Image
	want(t, "digest", *put.ImageId.ImageDigest, digestOf(manifest))
	refused(t, "ImageAlreadyExistsException", c.ecr.PutImage, &ecr.PutImageInput{RepositoryName: name, ImageManifest: &manifest, ImageTag: aws.String("1")})
	must(t, c.ecr.PutImage, &ecr.PutImageInput{RepositoryName: name, ImageManifest: &manifest, ImageTag: aws.String("latest")})
	seen = 0
	for p := ecr.NewListImagesPaginator(c.ecr, &ecr.ListImagesInput{RepositoryName: name, MaxResults: aws.Int32(1)}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		seen += len(page.ImageIds)
	}
	want(t, "image IDs of the pages", seen, 2)
	details := must(t, c.ecr.DescribeImages, &ecr.DescribeImagesInput{RepositoryName: name, ImageIds: []types.ImageIdentifier{{ImageTag: aws.String("1")}}}).ImageDetails
	if len(details) != 1 || len(details[0].ImageTags) != 2 || details[0].ImagePushedAt == nil || *details[0].ImageSizeInBytes == 0 {
		t.Errorf("details: %+v", details)
	}
	refused(t, "ImageNotFoundException", c.ecr.DescribeImages, &ecr.DescribeImagesInput{RepositoryName: name, ImageIds: []types.ImageIdentifier{{ImageTag: aws.String("2")}}})
	got := must(t, c.ecr.BatchGetImage, &ecr.BatchGetImageInput{RepositoryName: name, ImageIds: []types.ImageIdentifier{{ImageTag: aws.String("latest")}, {ImageTag: aws.String("none")}}})
	want(t, "manifest", *got.Images[0].ImageManifest, manifest)
	want(t, "failure", got.Failures[0].FailureCode, types.ImageFailureCodeImageNotFound)
	want(t, "deleted", len(must(t, c.ecr.BatchDeleteImage, &ecr.BatchDeleteImageInput{RepositoryName: name, ImageIds: []types.ImageIdentifier{{ImageTag: aws.String("latest")}}}).ImageIds), 1)

	must(t, c.ecr.PutImageTagMutability, &ecr.PutImageTagMutabilityInput{RepositoryName: name, ImageTagMutability: types.ImageTagMutabilityImmutable})
	other := strings.Replace(manifest, "{", "{ ", 1)
	refused(t, "ImageTagAlreadyExistsException", c.ecr.PutImage, &ecr.PutImageInput{RepositoryName: name, ImageManifest: &other, ImageTag: aws.String("1")})
	must(t, c.ecr.PutImageScanningConfiguration, &ecr.PutImageScanningConfigurationInput{RepositoryName: name, ImageScanningConfiguration: &types.ImageScanningConfiguration{ScanOnPush: false}})
	changed := must(t, c.ecr.DescribeRepositories, &ecr.DescribeRepositoriesInput{RepositoryNames: []string{*name}}).Repositories[0]
	want(t, "changed", []any{changed.ImageTagMutability, changed.ImageScanningConfiguration.ScanOnPush}, []any{types.ImageTagMutabilityImmutable, false})
	c.ecrPolicies(name, made.RepositoryArn)

	data := must(t, c.ecr.GetAuthorizationToken, &ecr.GetAuthorizationTokenInput{}).AuthorizationData[0]
	present(t, data, "ExpiresAt", "ProxyEndpoint")
	for alphabet, encoding := range map[string]*base64.Encoding{"standard": base64.StdEncoding, "URL-safe": base64.URLEncoding} { // docker's and Terraform's
		token, err := encoding.DecodeString(*data.AuthorizationToken)
		if parts := strings.Split(string(token), ":"); err != nil || len(parts) != 2 || parts[0] != "AWS" {
			t.Errorf("%s: the token is %q, %v", alphabet, token, err)
		}
	}
	want(t, "registry", *must(t, c.ecr.DescribeRegistry, &ecr.DescribeRegistryInput{}).RegistryId, "000000000000")
	refused(t, "RepositoryNotEmptyException", c.ecr.DeleteRepository, &ecr.DeleteRepositoryInput{RepositoryName: name})
	must(t, c.ecr.DeleteRepository, &ecr.DeleteRepositoryInput{RepositoryName: name, Force: true})
	refused(t, "RepositoryNotFoundException", c.ecr.DescribeRepositories, &ecr.DescribeRepositoriesInput{RepositoryNames: []string{*name}})
}

// download gets a layer where the URL says it is; the bucket's name is served by the edge.
func (c *client) download(from string) {
	c.t.Helper()
	u, err := url.Parse(from)
	if err != nil {
		c.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, c.url+u.RequestURI(), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Host = u.Host
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	want(c.t, "downloaded", string(body), layerContent)
}

func (c *client) ecrPolicies(name, arn *string) {
	t := c.t
	refused(t, "LifecyclePolicyNotFoundException", c.ecr.GetLifecyclePolicy, &ecr.GetLifecyclePolicyInput{RepositoryName: name})
	lifecycle := `{"rules":[{"rulePriority":1,"selection":{"tagStatus":"untagged","countType":"imageCountMoreThan","countNumber":5},"action":{"type":"expire"}}]}`
	must(t, c.ecr.PutLifecyclePolicy, &ecr.PutLifecyclePolicyInput{RepositoryName: name, LifecyclePolicyText: &lifecycle})
	want(t, "lifecycle", *must(t, c.ecr.GetLifecyclePolicy, &ecr.GetLifecyclePolicyInput{RepositoryName: name}).LifecyclePolicyText, lifecycle)
	must(t, c.ecr.DeleteLifecyclePolicy, &ecr.DeleteLifecyclePolicyInput{RepositoryName: name})
	refused(t, "RepositoryPolicyNotFoundException", c.ecr.GetRepositoryPolicy, &ecr.GetRepositoryPolicyInput{RepositoryName: name})
	must(t, c.ecr.TagResource, &ecr.TagResourceInput{ResourceArn: arn, Tags: []types.Tag{{Key: aws.String("b"), Value: aws.String("2")}}})
	must(t, c.ecr.UntagResource, &ecr.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"a"}})
	want(t, "tags", must(t, c.ecr.ListTagsForResource, &ecr.ListTagsForResourceInput{ResourceArn: arn}).Tags, []types.Tag{{Key: aws.String("b"), Value: aws.String("2")}})
}

const (
	noRepository = "'RepositoryName': 'nothing'"
	noLayer      = "'sha256:0000000000000000000000000000000000000000000000000000000000000000'"
	noRepoARN    = "'ResourceArn': 'arn:aws:ecr:us-east-1:000000000000:repository/nothing'"
	noUpload     = "'UploadId': '00000000-0000-0000-0000-000000000000'"
)

var wrongECR = []wrong{
	{operation: "CreateRepository", input: `{'RepositoryName': 'UPPER'}`, code: "InvalidParameterException"},
	{operation: "CreateRepository", input: `{'RepositoryName': 'app', 'EncryptionConfiguration': {'EncryptionType': 'KMS'}}`, code: "InvalidParameterException", says: "encryptionType"},
	{operation: "DeleteRepository", input: "{" + noRepository + "}", code: "RepositoryNotFoundException"},
	{operation: "DescribeRepositories", input: `{'RepositoryNames': ['nothing']}`, code: "RepositoryNotFoundException"},
	{operation: "GetAuthorizationToken", input: `{'RegistryIds': ['nonsense']}`, code: "InvalidParameterException"},
	{operation: "ListImages", input: "{" + noRepository + "}", code: "RepositoryNotFoundException"},
	{operation: "DescribeImages", input: "{" + noRepository + "}", code: "RepositoryNotFoundException"},
	{operation: "BatchGetImage", input: "{" + noRepository + ", 'ImageIds': [{'ImageTag': '1'}]}", code: "RepositoryNotFoundException"},
	{operation: "BatchDeleteImage", input: "{" + noRepository + ", 'ImageIds': [{'ImageTag': '1'}]}", code: "RepositoryNotFoundException"},
	{operation: "BatchCheckLayerAvailability", input: "{" + noRepository + ", 'LayerDigests': [" + noLayer + "]}", code: "RepositoryNotFoundException"},
	{operation: "GetDownloadUrlForLayer", input: "{" + noRepository + ", 'LayerDigest': " + noLayer + "}", code: "RepositoryNotFoundException"},
	{operation: "InitiateLayerUpload", input: "{" + noRepository + "}", code: "RepositoryNotFoundException"},
	{operation: "UploadLayerPart", input: "{" + noRepository + ", " + noUpload + ", 'PartFirstByte': 0, 'PartLastByte': 0, 'LayerPartBlob': 'YQ=='}", code: "RepositoryNotFoundException"},
	{operation: "CompleteLayerUpload", input: "{" + noRepository + ", " + noUpload + ", 'LayerDigests': [" + noLayer + "]}", code: "RepositoryNotFoundException"},
	{operation: "PutImage", input: "{" + noRepository + ", 'ImageManifest': '{}'}", code: "RepositoryNotFoundException"},
	{operation: "PutImageTagMutability", input: "{" + noRepository + ", 'ImageTagMutability': 'IMMUTABLE'}", code: "RepositoryNotFoundException"},
	{operation: "PutImageScanningConfiguration", input: "{" + noRepository + ", 'ImageScanningConfiguration': {}}", code: "RepositoryNotFoundException"},
	{operation: "GetLifecyclePolicy", input: "{" + noRepository + "}", code: "RepositoryNotFoundException"},
	{operation: "PutLifecyclePolicy", input: "{" + noRepository + ", 'LifecyclePolicyText': '{" + strings.Repeat(" ", 100) + "}'}", code: "InvalidParameterException", says: "rules is empty"},
	{operation: "DeleteLifecyclePolicy", input: "{" + noRepository + "}", code: "RepositoryNotFoundException"},
	{operation: "SetRepositoryPolicy", input: "{" + noRepository + ", 'PolicyText': '{}'}", code: "RepositoryNotFoundException"},
	{operation: "GetRepositoryPolicy", input: "{" + noRepository + "}", code: "RepositoryNotFoundException"},
	{operation: "DeleteRepositoryPolicy", input: "{" + noRepository + "}", code: "RepositoryNotFoundException"},
	{operation: "TagResource", input: "{" + noRepoARN + ", 'Tags': [{'Key': 'a', 'Value': 'b'}]}", code: "RepositoryNotFoundException"},
	{operation: "UntagResource", input: "{" + noRepoARN + ", 'TagKeys': ['a']}", code: "RepositoryNotFoundException"},
	{operation: "ListTagsForResource", input: "{" + noRepoARN + "}", code: "RepositoryNotFoundException"},
}
