package resource

import (
	"context"
	"slices"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/iamapi"
	"github.com/neargate/neargate/internal/stack"
)

// iamTypes makes the types of AWS::IAM.
type iamTypes struct {
	api iamapi.API
	d   *awsapi.Service
}

func iamTags(tags map[string]string) []iamapi.Tag {
	return tagList(tags, func(k, v string) iamapi.Tag { return iamapi.Tag{Key: p(k), Value: p(v)} })
}

func (t *iamTypes) roleTypes() []*Type {
	return []*Type{{
		Type: stack.Type{
			Name: "AWS::IAM::Role", IAM: true, NameOf: "RoleName",
			Properties: props("AssumeRolePolicyDocument!", "Description", "ManagedPolicyArns", "MaxSessionDuration", "Path*", "PermissionsBoundary", "Policies", "RoleName*", "Tags"),
			Attributes: []string{"Arn", "RoleId"},
		},
		Named: "RoleName", New: t.newRole, Find: t.findRole, Apply: t.applyRole, Read: t.readRole, Remove: t.removeRole, Taggable: true,
	}}
}

func (t *iamTypes) newRole(ctx context.Context, r *Request) (string, error) {
	name := r.nameOr("RoleName", 64)
	in := &iamapi.CreateRoleInput{RoleName: &name, Tags: iamTags(userTags(r.Tags))}
	if err := r.fill(in, "Description", "MaxSessionDuration", "Path", "PermissionsBoundary"); err != nil {
		return "", err
	}
	document, err := r.document("AssumeRolePolicyDocument")
	if err != nil {
		return "", err
	}
	in.AssumeRolePolicyDocument = &document
	_, err = invoke(ctx, t.d, t.api.CreateRole, in)
	return name, err
}

func (t *iamTypes) role(ctx context.Context, name string) (*iamapi.Role, error) {
	out, err := invoke(ctx, t.d, t.api.GetRole, &iamapi.GetRoleInput{RoleName: &name})
	if err != nil {
		return nil, err
	}
	return out.Role, nil
}

func (t *iamTypes) findRole(ctx context.Context, r *Request) (string, bool, error) {
	name := r.nameOr("RoleName", 64)
	role, err := t.role(ctx, name)
	return name, err == nil && r.isOurs(role.CreateDate), absent(err)
}

// inlinePolicies returns the role's own policies, name to document, in order.
func (r *Request) inlinePolicies(properties map[string]any) (names []string, documents map[string]string, err error) {
	documents = make(map[string]string)
	for _, policy := range objects(properties, "Policies") {
		name, _ := stack.Text(policy["PolicyName"])
		if name == "" || policy["PolicyDocument"] == nil {
			return nil, nil, r.invalid("#/Policies", "required key [PolicyName, PolicyDocument] not found")
		}
		for key := range policy {
			if key != "PolicyName" && key != "PolicyDocument" {
				return nil, nil, r.invalid("#/Policies", "extraneous key [%s] is not permitted", key)
			}
		}
		document, err := jsonText(policy["PolicyDocument"])
		if err != nil {
			return nil, nil, r.invalid("#/Policies", "%v", err)
		}
		if _, twice := documents[name]; !twice {
			names = append(names, name)
		}
		documents[name] = document
	}
	return names, documents, nil
}

func (t *iamTypes) applyRole(ctx context.Context, r *Request) error {
	name := &r.PhysicalID
	if r.Old != nil {
		if err := t.updateRole(ctx, r); err != nil {
			return err
		}
	}
	if r.changed("ManagedPolicyArns") {
		had, want := texts(r.Old["ManagedPolicyArns"]), r.list("ManagedPolicyArns")
		for _, arn := range missing(had, want) {
			if _, err := invoke(ctx, t.d, t.api.DetachRolePolicy, &iamapi.DetachRolePolicyInput{RoleName: name, PolicyArn: p(arn)}); absent(err) != nil {
				return err
			}
		}
		for _, arn := range missing(want, nil) { // attaching twice is nothing
			if _, err := invoke(ctx, t.d, t.api.AttachRolePolicy, &iamapi.AttachRolePolicyInput{RoleName: name, PolicyArn: p(arn)}); err != nil {
				return err
			}
		}
	}
	if r.changed("Policies") {
		had, _, err := r.inlinePolicies(r.Old)
		if err != nil {
			return err
		}
		want, documents, err := r.inlinePolicies(r.Properties)
		if err != nil {
			return err
		}
		for _, policy := range missing(had, want) {
			if _, err := invoke(ctx, t.d, t.api.DeleteRolePolicy, &iamapi.DeleteRolePolicyInput{RoleName: name, PolicyName: p(policy)}); absent(err) != nil {
				return err
			}
		}
		for _, policy := range want {
			if _, err := invoke(ctx, t.d, t.api.PutRolePolicy, &iamapi.PutRolePolicyInput{RoleName: name, PolicyName: p(policy), PolicyDocument: p(documents[policy])}); err != nil {
				return err
			}
		}
	}
	return nil
}

// updateRole changes what CreateRole sets.
func (t *iamTypes) updateRole(ctx context.Context, r *Request) error {
	name := &r.PhysicalID
	if r.changed("AssumeRolePolicyDocument") {
		document, err := r.document("AssumeRolePolicyDocument")
		if err != nil {
			return err
		}
		if _, err := invoke(ctx, t.d, t.api.UpdateAssumeRolePolicy, &iamapi.UpdateAssumeRolePolicyInput{RoleName: name, PolicyDocument: &document}); err != nil {
			return err
		}
	}
	if r.changed("Description", "MaxSessionDuration") {
		in := &iamapi.UpdateRoleInput{RoleName: name, Description: p(""), MaxSessionDuration: p(int32(3600))}
		if err := r.fill(in, "Description", "MaxSessionDuration"); err != nil {
			return err
		}
		if _, err := invoke(ctx, t.d, t.api.UpdateRole, in); err != nil {
			return err
		}
	}
	if r.changed("PermissionsBoundary") {
		var err error
		if r.has("PermissionsBoundary") {
			_, err = invoke(ctx, t.d, t.api.PutRolePermissionsBoundary, &iamapi.PutRolePermissionsBoundaryInput{RoleName: name, PermissionsBoundary: p(r.text("PermissionsBoundary"))})
		} else {
			_, err = invoke(ctx, t.d, t.api.DeleteRolePermissionsBoundary, &iamapi.DeleteRolePermissionsBoundaryInput{RoleName: name})
			err = absent(err)
		}
		if err != nil {
			return err
		}
	}
	set, remove := r.tagChanges()
	if len(set) > 0 {
		if _, err := invoke(ctx, t.d, t.api.TagRole, &iamapi.TagRoleInput{RoleName: name, Tags: iamTags(set)}); err != nil {
			return err
		}
	}
	if len(remove) > 0 {
		if _, err := invoke(ctx, t.d, t.api.UntagRole, &iamapi.UntagRoleInput{RoleName: name, TagKeys: remove}); err != nil {
			return err
		}
	}
	return nil
}

func (t *iamTypes) readRole(ctx context.Context, r *Request) (Attributes, error) {
	role, err := t.role(ctx, r.PhysicalID)
	if err != nil || role == nil {
		return nil, err
	}
	return Attributes{"Arn": awsapi.Val(role.Arn), "RoleId": awsapi.Val(role.RoleId)}, nil
}

// removeRole takes away what the template put on the role and then the role. What others attached stays, and stops the
// deletion, as on AWS.
func (t *iamTypes) removeRole(ctx context.Context, r *Request) error {
	name := &r.PhysicalID
	for _, arn := range slices.Compact(slices.Sorted(slices.Values(r.list("ManagedPolicyArns")))) {
		if _, err := invoke(ctx, t.d, t.api.DetachRolePolicy, &iamapi.DetachRolePolicyInput{RoleName: name, PolicyArn: p(arn)}); absent(err) != nil {
			return err
		}
	}
	policies, _, err := r.inlinePolicies(r.Properties)
	if err != nil {
		return err
	}
	for _, policy := range policies {
		if _, err := invoke(ctx, t.d, t.api.DeleteRolePolicy, &iamapi.DeleteRolePolicyInput{RoleName: name, PolicyName: p(policy)}); absent(err) != nil {
			return err
		}
	}
	_, err = invoke(ctx, t.d, t.api.DeleteRole, &iamapi.DeleteRoleInput{RoleName: name})
	return err
}
