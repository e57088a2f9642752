package iam

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/iamapi"
	"github.com/neargate/neargate/internal/iam"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// Quotas of roles.
const (
	maxTrustPolicy  = 2048
	maxInline       = 10240 // all inline policies of a role together
	maxAttached     = 10
	defaultSession  = 3600 // seconds
	identifierExtra = 17
)

// role returns the role of that name.
func (s *Server) role(r store.Reader, name *string) (*model.Role, error) {
	if role, ok := s.tables.Roles.Get(r, awsapi.Val(name)); ok {
		return role, nil
	}
	return nil, noSuchEntity("The role with name %s cannot be found.", awsapi.Val(name))
}

// editRole changes a role; those that AWS services own cannot be changed.
func (s *Server) editRole(ctx context.Context, name *string, change func(tx *store.Txn, r *model.Role) error) error {
	return s.update(ctx, func(tx *store.Txn) error {
		role, err := s.role(tx, name)
		if err != nil {
			return err
		}
		if role.ServiceLinked != "" {
			return awsapi.NewError(iamapi.ErrUnmodifiableEntity,
				"Cannot perform the operation on the protected role '%s' - this role is only modifiable by AWS", role.Name)
		}
		next := s.tables.Roles.Clone(role)
		if err := change(tx, next); err != nil {
			return err
		}
		s.tables.Roles.Put(tx, next)
		return nil
	})
}

func checkTrust(document string) error {
	if n := sizeOf(document); n > maxTrustPolicy {
		return limitExceeded("Cannot exceed quota for ACLSizePerRole: %d", maxTrustPolicy)
	}
	return checkPolicy(iam.TrustPolicy, document)
}

// CreateRole makes a role.
func (s *Server) CreateRole(ctx context.Context, in *iamapi.CreateRoleInput) (*iamapi.CreateRoleOutput, error) {
	if err := checkTrust(awsapi.Val(in.AssumeRolePolicyDocument)); err != nil {
		return nil, err
	}
	tags, err := withTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	name := awsapi.Val(in.RoleName)
	role := &model.Role{
		Meta: model.Meta{Tags: tags, CreatedAt: s.clock.Now()}, Name: name, ID: "AROA" + iam.Identifier(identifierExtra), ARN: s.scope.RoleARN(path(in.Path), name), Path: path(in.Path),
		Description: awsapi.Val(in.Description), TrustPolicy: awsapi.Val(in.AssumeRolePolicyDocument),
		MaxSession: int(awsapi.Or(in.MaxSessionDuration, defaultSession)), PermissionsBoundary: awsapi.Val(in.PermissionsBoundary),
	}
	err = s.update(ctx, func(tx *store.Txn) error {
		if err := s.checkNewRole(tx, name); err != nil {
			return err
		}
		if err := s.checkBoundary(tx, in.PermissionsBoundary); err != nil {
			return err
		}
		s.tables.Roles.Put(tx, role)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &iamapi.CreateRoleOutput{Role: roleView(role)}, nil
}

// checkNewRole refuses a name that a role has already, in any case: names that differ only in case are one name to IAM.
func (s *Server) checkNewRole(tx *store.Txn, name string) error {
	for other := range s.tables.Roles.List(tx) {
		if strings.EqualFold(other.Name, name) {
			return awsapi.NewError(iamapi.ErrEntityAlreadyExists, "Role with name %s already exists.", name)
		}
	}
	return nil
}

func (s *Server) checkBoundary(r store.Reader, arn *string) error {
	if arn == nil || s.isPolicy(r, *arn) {
		return nil
	}
	return noSuchEntity("Scope ARN: %s does not exist or is not attachable.", *arn)
}

// roleView returns how a role looks on the wire.
func roleView(r *model.Role) *iamapi.Role {
	view := &iamapi.Role{
		Arn: awsapi.Ptr(r.ARN), RoleName: awsapi.Ptr(r.Name), RoleId: awsapi.Ptr(r.ID), Path: awsapi.Ptr(r.Path), CreateDate: awsapi.Ptr(r.CreatedAt),
		AssumeRolePolicyDocument: encode(r.TrustPolicy), Description: awsapi.NonZero(r.Description), MaxSessionDuration: awsapi.Ptr(int32(r.MaxSession)), Tags: tagList(r.Tags),
	}
	if r.PermissionsBoundary != "" {
		view.PermissionsBoundary = &iamapi.AttachedPermissionsBoundary{
			PermissionsBoundaryArn: awsapi.Ptr(r.PermissionsBoundary), PermissionsBoundaryType: iamapi.PermissionsBoundaryAttachmentTypePermissionsBoundaryPolicy,
		}
	}
	return view
}

// DeleteRole removes a role that has no policies any more.
func (s *Server) DeleteRole(ctx context.Context, in *iamapi.DeleteRoleInput) (*iamapi.DeleteRoleOutput, error) {
	err := s.update(ctx, func(tx *store.Txn) error {
		role, err := s.role(tx, in.RoleName)
		switch {
		case err != nil:
			return err
		case role.ServiceLinked != "":
			return awsapi.NewError(iamapi.ErrUnmodifiableEntity,
				"Cannot perform the operation on the protected role '%s' - this role is only modifiable by AWS", role.Name)
		case len(role.Attached) > 0:
			return awsapi.NewError(iamapi.ErrDeleteConflict, "Cannot delete entity, must detach all policies first.")
		case len(role.Inline) > 0:
			return awsapi.NewError(iamapi.ErrDeleteConflict, "Cannot delete entity, must delete policies first.")
		}
		s.tables.Roles.Delete(tx, role.Name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &iamapi.DeleteRoleOutput{}, nil
}

// GetRole describes a role.
func (s *Server) GetRole(_ context.Context, in *iamapi.GetRoleInput) (*iamapi.GetRoleOutput, error) {
	role, err := s.role(s.db.View(), in.RoleName)
	if err != nil {
		return nil, err
	}
	view := roleView(role)
	view.RoleLastUsed = &iamapi.RoleLastUsed{}
	return &iamapi.GetRoleOutput{Role: view}, nil
}

// ListRoles lists roles by path.
func (s *Server) ListRoles(_ context.Context, in *iamapi.ListRolesInput) (*iamapi.ListRolesOutput, error) {
	var found []*model.Role
	for r := range s.tables.Roles.List(s.db.View()) {
		if strings.HasPrefix(r.Path, path(in.PathPrefix)) {
			found = append(found, r)
		}
	}
	list, next, truncated, err := page("ListRoles", found, func(r *model.Role) string { return r.Name }, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	out := &iamapi.ListRolesOutput{Roles: make([]iamapi.Role, 0, len(list)), Marker: next, IsTruncated: truncated}
	for _, r := range list {
		view := roleView(r)
		view.Tags, view.PermissionsBoundary = nil, nil // as on AWS: GetRole tells them
		out.Roles = append(out.Roles, *view)
	}
	return out, nil
}

// UpdateRole changes the description and the longest session.
func (s *Server) UpdateRole(ctx context.Context, in *iamapi.UpdateRoleInput) (*iamapi.UpdateRoleOutput, error) {
	return &iamapi.UpdateRoleOutput{}, s.editRole(ctx, in.RoleName, func(_ *store.Txn, r *model.Role) error {
		r.Description = awsapi.Or(in.Description, r.Description)
		r.MaxSession = int(awsapi.Or(in.MaxSessionDuration, int32(r.MaxSession)))
		return nil
	})
}

// UpdateRoleDescription changes the description.
func (s *Server) UpdateRoleDescription(ctx context.Context, in *iamapi.UpdateRoleDescriptionInput) (*iamapi.UpdateRoleDescriptionOutput, error) {
	out := &iamapi.UpdateRoleDescriptionOutput{}
	return out, s.editRole(ctx, in.RoleName, func(_ *store.Txn, r *model.Role) error {
		r.Description = awsapi.Val(in.Description)
		out.Role = roleView(r)
		return nil
	})
}

// UpdateAssumeRolePolicy changes who may assume the role.
func (s *Server) UpdateAssumeRolePolicy(ctx context.Context, in *iamapi.UpdateAssumeRolePolicyInput) (*iamapi.UpdateAssumeRolePolicyOutput, error) {
	if err := checkTrust(awsapi.Val(in.PolicyDocument)); err != nil {
		return nil, err
	}
	return &iamapi.UpdateAssumeRolePolicyOutput{}, s.editRole(ctx, in.RoleName, func(_ *store.Txn, r *model.Role) error {
		r.TrustPolicy = awsapi.Val(in.PolicyDocument)
		return nil
	})
}

// PutRolePermissionsBoundary sets the boundary.
func (s *Server) PutRolePermissionsBoundary(ctx context.Context, in *iamapi.PutRolePermissionsBoundaryInput) (*iamapi.PutRolePermissionsBoundaryOutput, error) {
	return &iamapi.PutRolePermissionsBoundaryOutput{}, s.editRole(ctx, in.RoleName, func(tx *store.Txn, r *model.Role) error {
		r.PermissionsBoundary = awsapi.Val(in.PermissionsBoundary)
		return s.checkBoundary(tx, in.PermissionsBoundary)
	})
}

// DeleteRolePermissionsBoundary removes the boundary.
func (s *Server) DeleteRolePermissionsBoundary(ctx context.Context, in *iamapi.DeleteRolePermissionsBoundaryInput) (*iamapi.DeleteRolePermissionsBoundaryOutput, error) {
	return &iamapi.DeleteRolePermissionsBoundaryOutput{}, s.editRole(ctx, in.RoleName, func(_ *store.Txn, r *model.Role) error {
		if r.PermissionsBoundary == "" {
			return noSuchEntity("Role %s does not have a permissions boundary.", r.Name)
		}
		r.PermissionsBoundary = ""
		return nil
	})
}

// TagRole adds tags.
func (s *Server) TagRole(ctx context.Context, in *iamapi.TagRoleInput) (*iamapi.TagRoleOutput, error) {
	return &iamapi.TagRoleOutput{}, s.editRole(ctx, in.RoleName, func(_ *store.Txn, r *model.Role) (err error) {
		r.Tags, err = withTags(r.Tags, in.Tags)
		return err
	})
}

// UntagRole removes tags.
func (s *Server) UntagRole(ctx context.Context, in *iamapi.UntagRoleInput) (*iamapi.UntagRoleOutput, error) {
	return &iamapi.UntagRoleOutput{}, s.editRole(ctx, in.RoleName, func(_ *store.Txn, r *model.Role) error {
		r.Tags = withoutTags(r.Tags, in.TagKeys)
		return nil
	})
}

// ListRoleTags lists tags.
func (s *Server) ListRoleTags(_ context.Context, in *iamapi.ListRoleTagsInput) (*iamapi.ListRoleTagsOutput, error) {
	role, err := s.role(s.db.View(), in.RoleName)
	if err != nil {
		return nil, err
	}
	list, next, truncated, err := page("ListRoleTags:"+role.Name, tagList(role.Tags), tagKey, in.Marker, in.MaxItems)
	return &iamapi.ListRoleTagsOutput{Tags: list, Marker: next, IsTruncated: truncated}, err
}

// ListInstanceProfilesForRole finds none: a Fargate task has no instance.
func (s *Server) ListInstanceProfilesForRole(_ context.Context, in *iamapi.ListInstanceProfilesForRoleInput) (*iamapi.ListInstanceProfilesForRoleOutput, error) {
	if _, err := s.role(s.db.View(), in.RoleName); err != nil {
		return nil, err
	}
	return &iamapi.ListInstanceProfilesForRoleOutput{InstanceProfiles: []iamapi.InstanceProfile{}, IsTruncated: awsapi.Ptr(false)}, nil
}

// PutRolePolicy sets an inline policy.
func (s *Server) PutRolePolicy(ctx context.Context, in *iamapi.PutRolePolicyInput) (*iamapi.PutRolePolicyOutput, error) {
	document := awsapi.Val(in.PolicyDocument)
	if err := checkPolicy(iam.IdentityPolicy, document); err != nil {
		return nil, err
	}
	return &iamapi.PutRolePolicyOutput{}, s.editRole(ctx, in.RoleName, func(_ *store.Txn, r *model.Role) error {
		if r.Inline == nil {
			r.Inline = map[string]string{}
		}
		r.Inline[awsapi.Val(in.PolicyName)] = document
		n := 0
		for _, d := range r.Inline {
			n += sizeOf(d)
		}
		if n > maxInline {
			return limitExceeded("Maximum policy size of %d bytes exceeded for role %s", maxInline, r.Name)
		}
		return nil
	})
}

func noInline(name *string) error {
	return noSuchEntity("The role policy with name %s cannot be found.", awsapi.Val(name))
}

// GetRolePolicy returns an inline policy.
func (s *Server) GetRolePolicy(_ context.Context, in *iamapi.GetRolePolicyInput) (*iamapi.GetRolePolicyOutput, error) {
	role, err := s.role(s.db.View(), in.RoleName)
	if err != nil {
		return nil, err
	}
	document, ok := role.Inline[awsapi.Val(in.PolicyName)]
	if !ok {
		return nil, noInline(in.PolicyName)
	}
	return &iamapi.GetRolePolicyOutput{RoleName: awsapi.Ptr(role.Name), PolicyName: in.PolicyName, PolicyDocument: encode(document)}, nil
}

// DeleteRolePolicy removes an inline policy.
func (s *Server) DeleteRolePolicy(ctx context.Context, in *iamapi.DeleteRolePolicyInput) (*iamapi.DeleteRolePolicyOutput, error) {
	return &iamapi.DeleteRolePolicyOutput{}, s.editRole(ctx, in.RoleName, func(_ *store.Txn, r *model.Role) error {
		if _, ok := r.Inline[awsapi.Val(in.PolicyName)]; !ok {
			return noInline(in.PolicyName)
		}
		delete(r.Inline, awsapi.Val(in.PolicyName))
		return nil
	})
}

// ListRolePolicies lists the names of inline policies.
func (s *Server) ListRolePolicies(_ context.Context, in *iamapi.ListRolePoliciesInput) (*iamapi.ListRolePoliciesOutput, error) {
	role, err := s.role(s.db.View(), in.RoleName)
	if err != nil {
		return nil, err
	}
	names := slices.Sorted(maps.Keys(role.Inline))
	list, next, truncated, err := page("ListRolePolicies:"+role.Name, names, func(n string) string { return n }, in.Marker, in.MaxItems)
	return &iamapi.ListRolePoliciesOutput{PolicyNames: append([]string{}, list...), Marker: next, IsTruncated: truncated}, err
}
