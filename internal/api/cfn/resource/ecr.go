package resource

import (
	"context"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ecrapi"
	"github.com/neargate/neargate/internal/stack"
)

// ecrTypes makes the types of AWS::ECR.
type ecrTypes struct {
	api ecrapi.API
	d   *awsapi.Service
}

func ecrTags(tags map[string]string) []ecrapi.Tag {
	return tagList(tags, func(k, v string) ecrapi.Tag { return ecrapi.Tag{Key: p(k), Value: p(v)} })
}

func (t *ecrTypes) types() []*Type {
	return []*Type{{
		Type: stack.Type{
			Name: "AWS::ECR::Repository",
			Properties: props("RepositoryName*", "EncryptionConfiguration*", "ImageScanningConfiguration", "ImageTagMutability", "LifecyclePolicy",
				"RepositoryPolicyText", "EmptyOnDelete", "Tags"),
			Attributes: []string{"Arn", "RepositoryUri"},
		},
		Named: "RepositoryName", New: t.newRepository, Find: t.findRepository, Apply: t.applyRepository, Read: t.readRepository, Taggable: true,
		Remove: func(ctx context.Context, r *Request) error {
			in := &ecrapi.DeleteRepositoryInput{RepositoryName: &r.PhysicalID}
			if err := r.fill(in, "EmptyOnDelete=Force"); err != nil {
				return err
			}
			_, err := invoke(ctx, t.d, t.api.DeleteRepository, in)
			return err
		},
	}}
}

func repositoryName(r *Request) string {
	if name := r.text("RepositoryName"); name != "" {
		return name
	}
	return strings.ToLower(r.Name(256))
}

func (t *ecrTypes) newRepository(ctx context.Context, r *Request) (string, error) {
	name := repositoryName(r)
	in := &ecrapi.CreateRepositoryInput{RepositoryName: &name, Tags: ecrTags(userTags(r.Tags))}
	if err := r.fill(in, "EncryptionConfiguration", "ImageScanningConfiguration", "ImageTagMutability"); err != nil {
		return "", err
	}
	_, err := invoke(ctx, t.d, t.api.CreateRepository, in)
	return name, err
}

func (t *ecrTypes) repository(ctx context.Context, name string) (ecrapi.Repository, bool, error) {
	out, err := invoke(ctx, t.d, t.api.DescribeRepositories, &ecrapi.DescribeRepositoriesInput{RepositoryNames: []string{name}})
	if err != nil {
		return ecrapi.Repository{}, false, absent(err)
	}
	repository, ok := first(out.Repositories)
	return repository, ok, nil
}

func (t *ecrTypes) findRepository(ctx context.Context, r *Request) (string, bool, error) {
	name := repositoryName(r)
	repository, ok, err := t.repository(ctx, name)
	return name, ok && r.isOurs(repository.CreatedAt), err
}

func (t *ecrTypes) applyRepository(ctx context.Context, r *Request) error {
	id := &r.PhysicalID
	if r.Old != nil && r.changed("ImageTagMutability") {
		in := &ecrapi.PutImageTagMutabilityInput{RepositoryName: id, ImageTagMutability: "MUTABLE"}
		if err := r.fill(in, "ImageTagMutability"); err != nil {
			return err
		}
		if _, err := invoke(ctx, t.d, t.api.PutImageTagMutability, in); err != nil {
			return err
		}
	}
	if r.Old != nil && r.changed("ImageScanningConfiguration") {
		in := &ecrapi.PutImageScanningConfigurationInput{RepositoryName: id, ImageScanningConfiguration: &ecrapi.ImageScanningConfiguration{}}
		if err := r.fill(in, "ImageScanningConfiguration"); err != nil {
			return err
		}
		if _, err := invoke(ctx, t.d, t.api.PutImageScanningConfiguration, in); err != nil {
			return err
		}
	}
	if r.changed("LifecyclePolicy") {
		text := ""
		if policy, ok := r.Properties["LifecyclePolicy"].(map[string]any); ok {
			text, _ = stack.Text(policy["LifecyclePolicyText"])
		}
		var err error
		if text != "" {
			_, err = invoke(ctx, t.d, t.api.PutLifecyclePolicy, &ecrapi.PutLifecyclePolicyInput{RepositoryName: id, LifecyclePolicyText: &text})
		} else {
			_, err = invoke(ctx, t.d, t.api.DeleteLifecyclePolicy, &ecrapi.DeleteLifecyclePolicyInput{RepositoryName: id})
			err = absent(err)
		}
		if err != nil {
			return err
		}
	}
	if r.changed("RepositoryPolicyText") {
		var err error
		if r.has("RepositoryPolicyText") {
			text, bad := r.document("RepositoryPolicyText")
			if bad != nil {
				return bad
			}
			_, err = invoke(ctx, t.d, t.api.SetRepositoryPolicy, &ecrapi.SetRepositoryPolicyInput{RepositoryName: id, PolicyText: &text})
		} else {
			_, err = invoke(ctx, t.d, t.api.DeleteRepositoryPolicy, &ecrapi.DeleteRepositoryPolicyInput{RepositoryName: id})
			err = absent(err)
		}
		if err != nil {
			return err
		}
	}
	return t.retag(ctx, r)
}

func (t *ecrTypes) retag(ctx context.Context, r *Request) error {
	set, remove := r.tagChanges()
	if len(set)+len(remove) == 0 {
		return nil
	}
	repository, _, err := t.repository(ctx, r.PhysicalID)
	if err != nil {
		return err
	}
	if len(set) > 0 {
		if _, err := invoke(ctx, t.d, t.api.TagResource, &ecrapi.TagResourceInput{ResourceArn: repository.RepositoryArn, Tags: ecrTags(set)}); err != nil {
			return err
		}
	}
	if len(remove) > 0 {
		if _, err := invoke(ctx, t.d, t.api.UntagResource, &ecrapi.UntagResourceInput{ResourceArn: repository.RepositoryArn, TagKeys: remove}); err != nil {
			return err
		}
	}
	return nil
}

func (t *ecrTypes) readRepository(ctx context.Context, r *Request) (Attributes, error) {
	repository, _, err := t.repository(ctx, r.PhysicalID)
	return Attributes{"Arn": awsapi.Val(repository.RepositoryArn), "RepositoryUri": awsapi.Val(repository.RepositoryUri)}, err
}
