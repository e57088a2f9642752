package resource

import (
	"context"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/iamapi"
	"github.com/neargate/neargate/internal/stack"
)

func (t *iamTypes) policyTypes() []*Type {
	return []*Type{
		{
			// Groups and Users are not listed: there are none here.
			Type: stack.Type{Name: "AWS::IAM::Policy", IAM: true, Properties: props("PolicyName!", "PolicyDocument!", "Roles"), Attributes: []string{"Id"}},
			New: func(_ context.Context, r *Request) (string, error) {
				if len(r.list("Roles")) == 0 {
					return "", r.invalid("#", "At least one of [Groups,Roles,Users] must be non-empty.")
				}
				return r.Name(128), nil
			},
			Apply: t.applyInlinePolicy, Remove: t.removeInlinePolicy, Read: readID,
		},
		{
			Type: stack.Type{
				Name: "AWS::IAM::ManagedPolicy", IAM: true, NameOf: "ManagedPolicyName",
				Properties: props("ManagedPolicyName*", "Path*", "Description*", "PolicyDocument!", "Roles"),
				Attributes: []string{"PolicyArn", "PolicyId", "DefaultVersionId", "AttachmentCount"},
			},
			Named: "ManagedPolicyName", New: t.newManagedPolicy, Find: t.findManagedPolicy, Apply: t.applyManagedPolicy, Read: t.readManagedPolicy, Remove: t.removeManagedPolicy,
		},
	}
}

func (t *iamTypes) applyInlinePolicy(ctx context.Context, r *Request) error {
	if before := r.old("PolicyName"); r.Old != nil && before != r.text("PolicyName") {
		if err := t.dropInline(ctx, texts(r.Old["Roles"]), before); err != nil {
			return err
		}
	}
	if err := t.dropInline(ctx, missing(texts(r.Old["Roles"]), r.list("Roles")), r.text("PolicyName")); err != nil {
		return err
	}
	document, err := r.document("PolicyDocument")
	if err != nil {
		return err
	}
	for _, role := range r.list("Roles") {
		if _, err := invoke(ctx, t.d, t.api.PutRolePolicy, &iamapi.PutRolePolicyInput{RoleName: p(role), PolicyName: p(r.text("PolicyName")), PolicyDocument: &document}); err != nil {
			return err
		}
	}
	return nil
}

func (t *iamTypes) dropInline(ctx context.Context, roles []string, policy string) error {
	for _, role := range roles {
		if _, err := invoke(ctx, t.d, t.api.DeleteRolePolicy, &iamapi.DeleteRolePolicyInput{RoleName: p(role), PolicyName: p(policy)}); absent(err) != nil {
			return err
		}
	}
	return nil
}

func (t *iamTypes) removeInlinePolicy(ctx context.Context, r *Request) error {
	return t.dropInline(ctx, r.list("Roles"), r.text("PolicyName"))
}

func (t *iamTypes) newManagedPolicy(ctx context.Context, r *Request) (string, error) {
	in := &iamapi.CreatePolicyInput{PolicyName: p(r.nameOr("ManagedPolicyName", 128))}
	if err := r.fill(in, "Path", "Description"); err != nil {
		return "", err
	}
	document, err := r.document("PolicyDocument")
	if err != nil {
		return "", err
	}
	in.PolicyDocument = &document
	out, err := invoke(ctx, t.d, t.api.CreatePolicy, in)
	if err != nil {
		return "", err
	}
	return awsapi.Val(out.Policy.Arn), nil
}

func (t *iamTypes) findManagedPolicy(ctx context.Context, r *Request) (string, bool, error) {
	name := r.nameOr("ManagedPolicyName", 128)
	in := &iamapi.ListPoliciesInput{Scope: "Local"}
	for {
		out, err := invoke(ctx, t.d, t.api.ListPolicies, in)
		if err != nil {
			return "", false, err
		}
		for _, policy := range out.Policies {
			if awsapi.Val(policy.PolicyName) == name && r.isOurs(policy.CreateDate) {
				return awsapi.Val(policy.Arn), true, nil
			}
		}
		if !awsapi.Val(out.IsTruncated) {
			return "", false, nil
		}
		in.Marker = out.Marker
	}
}

func (t *iamTypes) applyManagedPolicy(ctx context.Context, r *Request) error {
	if r.Old != nil && r.changed("PolicyDocument") {
		if err := t.newVersion(ctx, r); err != nil {
			return err
		}
	}
	for _, role := range missing(texts(r.Old["Roles"]), r.list("Roles")) {
		if _, err := invoke(ctx, t.d, t.api.DetachRolePolicy, &iamapi.DetachRolePolicyInput{RoleName: p(role), PolicyArn: &r.PhysicalID}); absent(err) != nil {
			return err
		}
	}
	for _, role := range r.list("Roles") {
		if _, err := invoke(ctx, t.d, t.api.AttachRolePolicy, &iamapi.AttachRolePolicyInput{RoleName: p(role), PolicyArn: &r.PhysicalID}); err != nil {
			return err
		}
	}
	return nil
}

// newVersion makes the new document the default and drops the versions before: there may be five only.
func (t *iamTypes) newVersion(ctx context.Context, r *Request) error {
	document, err := r.document("PolicyDocument")
	if err != nil {
		return err
	}
	if err := t.dropVersions(ctx, r.PhysicalID); err != nil {
		return err
	}
	_, err = invoke(ctx, t.d, t.api.CreatePolicyVersion, &iamapi.CreatePolicyVersionInput{PolicyArn: &r.PhysicalID, PolicyDocument: &document, SetAsDefault: p(true)})
	if err != nil {
		return err
	}
	return t.dropVersions(ctx, r.PhysicalID)
}

func (t *iamTypes) dropVersions(ctx context.Context, arn string) error {
	out, err := invoke(ctx, t.d, t.api.ListPolicyVersions, &iamapi.ListPolicyVersionsInput{PolicyArn: &arn})
	if err != nil {
		return err
	}
	for _, v := range out.Versions {
		if awsapi.Val(v.IsDefaultVersion) {
			continue
		}
		if _, err := invoke(ctx, t.d, t.api.DeletePolicyVersion, &iamapi.DeletePolicyVersionInput{PolicyArn: &arn, VersionId: v.VersionId}); absent(err) != nil {
			return err
		}
	}
	return nil
}

func (t *iamTypes) readManagedPolicy(ctx context.Context, r *Request) (Attributes, error) {
	out, err := invoke(ctx, t.d, t.api.GetPolicy, &iamapi.GetPolicyInput{PolicyArn: &r.PhysicalID})
	if err != nil {
		return nil, err
	}
	a := Attributes{"PolicyArn": r.PhysicalID}
	if out.Policy != nil {
		a["PolicyId"], a["DefaultVersionId"] = awsapi.Val(out.Policy.PolicyId), awsapi.Val(out.Policy.DefaultVersionId)
		a["AttachmentCount"] = itoa(int(awsapi.Val(out.Policy.AttachmentCount)))
	}
	return a, nil
}

func (t *iamTypes) removeManagedPolicy(ctx context.Context, r *Request) error {
	for _, role := range r.list("Roles") {
		if _, err := invoke(ctx, t.d, t.api.DetachRolePolicy, &iamapi.DetachRolePolicyInput{RoleName: p(role), PolicyArn: &r.PhysicalID}); absent(err) != nil {
			return err
		}
	}
	if err := t.dropVersions(ctx, r.PhysicalID); err != nil {
		return err
	}
	_, err := invoke(ctx, t.d, t.api.DeletePolicy, &iamapi.DeletePolicyInput{PolicyArn: &r.PhysicalID})
	return err
}
