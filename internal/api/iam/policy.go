package iam

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/iamapi"
	"github.com/neargate/neargate/internal/iam"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// Quotas of managed policies.
const (
	maxPolicy   = 6144
	maxVersions = 5
)

// isPolicy reports whether there is a managed policy with that ARN, ours or AWS's.
func (s *Server) isPolicy(r store.Reader, arn string) bool {
	_, managed := iam.FindManaged(arn)
	return managed || s.tables.Policies.Has(r, arn)
}

// policy returns the customer-managed policy with an ARN.
func (s *Server) policy(r store.Reader, arn *string) (*model.Policy, error) {
	if p, ok := s.tables.Policies.Get(r, awsapi.Val(arn)); ok {
		return p, nil
	}
	return nil, noSuchEntity("Policy %s was not found.", awsapi.Val(arn))
}

// anyPolicy returns a policy of ours, or one of AWS's in the same form.
func (s *Server) anyPolicy(r store.Reader, arn *string) (*model.Policy, error) {
	if p, ok := iam.FindManaged(awsapi.Val(arn)); ok {
		return recordOf(p), nil
	}
	return s.policy(r, arn)
}

// recordOf returns an AWS-managed policy in the form of one of ours.
func recordOf(p *iam.ManagedPolicy) *model.Policy {
	const version = "v1"
	return &model.Policy{
		Meta: model.Meta{CreatedAt: p.Created}, Name: p.Name, ID: managedID(p.Name), ARN: p.ARN(), Path: p.Path, DefaultVersion: version, UpdatedAt: p.Created,
		Versions: []model.PolicyVersion{{ID: version, Document: p.Document, CreatedAt: p.Created}},
	}
}

// managedID returns an identifier that is the same every time.
func managedID(name string) string {
	id := []byte("ANPA")
	for i := range identifierExtra {
		id = append(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[(int(name[i%len(name)])+i)%32])
	}
	return string(id)
}

func (s *Server) editPolicy(ctx context.Context, arn *string, change func(tx *store.Txn, p *model.Policy) error) error {
	return s.update(ctx, func(tx *store.Txn) error {
		p, err := s.policy(tx, arn)
		if err != nil {
			return err
		}
		next := s.tables.Policies.Clone(p)
		if err := change(tx, next); err != nil {
			return err
		}
		s.tables.Policies.Put(tx, next)
		return nil
	})
}

func checkManaged(document string) error {
	if sizeOf(document) > maxPolicy {
		return limitExceeded("Cannot exceed quota for PolicySize: %d", maxPolicy)
	}
	return checkPolicy(iam.IdentityPolicy, document)
}

// policyView returns how a policy looks on the wire.
func (s *Server) policyView(r store.Reader, p *model.Policy) *iamapi.Policy {
	boundaries := int32(0)
	for role := range s.tables.Roles.List(r) {
		if role.PermissionsBoundary == p.ARN {
			boundaries++
		}
	}
	return &iamapi.Policy{
		Arn: awsapi.Ptr(p.ARN), PolicyName: awsapi.Ptr(p.Name), PolicyId: awsapi.Ptr(p.ID), Path: awsapi.Ptr(p.Path), CreateDate: awsapi.Ptr(p.CreatedAt),
		UpdateDate: awsapi.Ptr(p.UpdatedAt), DefaultVersionId: awsapi.Ptr(p.DefaultVersion), Description: awsapi.NonZero(p.Description), IsAttachable: awsapi.Ptr(true),
		AttachmentCount: awsapi.Ptr(int32(s.tables.Roles.LenBy(r, "policy", p.ARN))), PermissionsBoundaryUsageCount: awsapi.Ptr(boundaries), Tags: tagList(p.Tags),
	}
}

// CreatePolicy makes a managed policy.
func (s *Server) CreatePolicy(ctx context.Context, in *iamapi.CreatePolicyInput) (*iamapi.CreatePolicyOutput, error) {
	name, document, now := awsapi.Val(in.PolicyName), awsapi.Val(in.PolicyDocument), s.clock.Now()
	if err := checkManaged(document); err != nil {
		return nil, err
	}
	tags, err := withTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	p := &model.Policy{
		Meta: model.Meta{Tags: tags, CreatedAt: now}, Name: name, ID: "ANPA" + iam.Identifier(identifierExtra), ARN: s.scope.PolicyARN(path(in.Path), name), Path: path(in.Path),
		Description: awsapi.Val(in.Description), UpdatedAt: now, DefaultVersion: "v1", NextVersion: 2,
		Versions: []model.PolicyVersion{{ID: "v1", Document: document, CreatedAt: now}},
	}
	out := &iamapi.CreatePolicyOutput{}
	err = s.update(ctx, func(tx *store.Txn) error {
		if s.tables.Policies.LenBy(tx, "name", name) > 0 {
			return awsapi.NewError(iamapi.ErrEntityAlreadyExists, "A policy called %s already exists. Duplicate names are not allowed.", name)
		}
		s.tables.Policies.Put(tx, p)
		out.Policy = s.policyView(tx, p)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DeletePolicy removes a policy that nothing has attached and that has one version.
func (s *Server) DeletePolicy(ctx context.Context, in *iamapi.DeletePolicyInput) (*iamapi.DeletePolicyOutput, error) {
	err := s.update(ctx, func(tx *store.Txn) error {
		p, err := s.policy(tx, in.PolicyArn)
		if err != nil {
			return err
		}
		if view := s.policyView(tx, p); *view.AttachmentCount+*view.PermissionsBoundaryUsageCount > 0 {
			return awsapi.NewError(iamapi.ErrDeleteConflict, "Cannot delete a policy attached to entities.")
		}
		if len(p.Versions) > 1 {
			return awsapi.NewError(iamapi.ErrDeleteConflict, "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. "+
				"The default version is deleted with the policy.")
		}
		s.tables.Policies.Delete(tx, p.ARN)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &iamapi.DeletePolicyOutput{}, nil
}

// GetPolicy describes a managed policy, ours or AWS's.
func (s *Server) GetPolicy(_ context.Context, in *iamapi.GetPolicyInput) (*iamapi.GetPolicyOutput, error) {
	view := s.db.View()
	p, err := s.anyPolicy(view, in.PolicyArn)
	if err != nil {
		return nil, err
	}
	return &iamapi.GetPolicyOutput{Policy: s.policyView(view, p)}, nil
}

// ListPolicies lists managed policies.
func (s *Server) ListPolicies(_ context.Context, in *iamapi.ListPoliciesInput) (*iamapi.ListPoliciesOutput, error) {
	view := s.db.View()
	var all []*model.Policy
	if in.Scope != iamapi.PolicyScopeTypeAws {
		all = slices.Collect(s.tables.Policies.List(view))
	}
	if in.Scope != iamapi.PolicyScopeTypeLocal {
		for _, p := range iam.Managed() {
			all = append(all, recordOf(&p))
		}
	}
	var found []iamapi.Policy
	for _, p := range all {
		v := s.policyView(view, p)
		attached, bounding := *v.AttachmentCount > 0, *v.PermissionsBoundaryUsageCount > 0
		switch {
		case !strings.HasPrefix(p.Path, path(in.PathPrefix)), awsapi.Val(in.OnlyAttached) && !attached,
			in.PolicyUsageFilter == iamapi.PolicyUsageTypePermissionsPolicy && !attached, in.PolicyUsageFilter == iamapi.PolicyUsageTypePermissionsBoundary && !bounding:
			continue
		}
		v.Tags, v.Description = nil, nil // as on AWS: GetPolicy tells them
		found = append(found, *v)
	}
	list, next, truncated, err := page("ListPolicies", found, func(p iamapi.Policy) string { return *p.Arn }, in.Marker, in.MaxItems)
	return &iamapi.ListPoliciesOutput{Policies: append([]iamapi.Policy{}, list...), Marker: next, IsTruncated: truncated}, err
}

// ListEntitiesForPolicy lists the roles that have attached a policy, or are bounded by it.
func (s *Server) ListEntitiesForPolicy(_ context.Context, in *iamapi.ListEntitiesForPolicyInput) (*iamapi.ListEntitiesForPolicyOutput, error) {
	view := s.db.View()
	p, err := s.anyPolicy(view, in.PolicyArn)
	if err != nil {
		return nil, err
	}
	wantsRoles := in.EntityFilter == "" || in.EntityFilter == iamapi.EntityTypeRole
	var found []iamapi.PolicyRole
	for r := range s.tables.Roles.List(view) {
		attached := slices.Contains(r.Attached, p.ARN) && in.PolicyUsageFilter != iamapi.PolicyUsageTypePermissionsBoundary
		bounded := r.PermissionsBoundary == p.ARN && in.PolicyUsageFilter != iamapi.PolicyUsageTypePermissionsPolicy
		if wantsRoles && (attached || bounded) && strings.HasPrefix(r.Path, path(in.PathPrefix)) {
			found = append(found, iamapi.PolicyRole{RoleName: awsapi.Ptr(r.Name), RoleId: awsapi.Ptr(r.ID)})
		}
	}
	list, next, truncated, err := page("ListEntitiesForPolicy:"+p.ARN, found, func(r iamapi.PolicyRole) string { return *r.RoleName }, in.Marker, in.MaxItems)
	return &iamapi.ListEntitiesForPolicyOutput{
		PolicyRoles: append([]iamapi.PolicyRole{}, list...), PolicyGroups: []iamapi.PolicyGroup{}, PolicyUsers: []iamapi.PolicyUser{}, Marker: next, IsTruncated: truncated,
	}, err
}

// AttachRolePolicy attaches a managed policy to a role; attaching it again changes nothing.
func (s *Server) AttachRolePolicy(ctx context.Context, in *iamapi.AttachRolePolicyInput) (*iamapi.AttachRolePolicyOutput, error) {
	arn := awsapi.Val(in.PolicyArn)
	return &iamapi.AttachRolePolicyOutput{}, s.editRole(ctx, in.RoleName, func(tx *store.Txn, r *model.Role) error {
		switch {
		case !s.isPolicy(tx, arn):
			return noSuchEntity("Policy %s does not exist or is not attachable.", arn)
		case slices.Contains(r.Attached, arn):
			return nil
		case len(r.Attached) >= maxAttached:
			return limitExceeded("Cannot exceed quota for PoliciesPerRole: %d", maxAttached)
		}
		r.Attached = append(r.Attached, arn)
		return nil
	})
}

// DetachRolePolicy detaches a managed policy from a role.
func (s *Server) DetachRolePolicy(ctx context.Context, in *iamapi.DetachRolePolicyInput) (*iamapi.DetachRolePolicyOutput, error) {
	arn := awsapi.Val(in.PolicyArn)
	return &iamapi.DetachRolePolicyOutput{}, s.editRole(ctx, in.RoleName, func(_ *store.Txn, r *model.Role) error {
		if !slices.Contains(r.Attached, arn) {
			return noSuchEntity("Policy %s was not found.", arn)
		}
		r.Attached = slices.DeleteFunc(r.Attached, func(a string) bool { return a == arn })
		return nil
	})
}

// ListAttachedRolePolicies lists the managed policies of a role.
func (s *Server) ListAttachedRolePolicies(_ context.Context, in *iamapi.ListAttachedRolePoliciesInput) (*iamapi.ListAttachedRolePoliciesOutput, error) {
	view := s.db.View()
	role, err := s.role(view, in.RoleName)
	if err != nil {
		return nil, err
	}
	var found []iamapi.AttachedPolicy
	for _, arn := range role.Attached {
		p, err := s.anyPolicy(view, &arn)
		if err != nil || !strings.HasPrefix(p.Path, path(in.PathPrefix)) {
			continue // an attached policy cannot be deleted, so the first does not happen
		}
		found = append(found, iamapi.AttachedPolicy{PolicyArn: awsapi.Ptr(arn), PolicyName: awsapi.Ptr(p.Name)})
	}
	list, next, truncated, err := page("ListAttachedRolePolicies:"+role.Name, found, func(p iamapi.AttachedPolicy) string { return *p.PolicyArn }, in.Marker, in.MaxItems)
	return &iamapi.ListAttachedRolePoliciesOutput{AttachedPolicies: append([]iamapi.AttachedPolicy{}, list...), Marker: next, IsTruncated: truncated}, err
}

// versionView returns how a version looks on the wire.
func versionView(p *model.Policy, v *model.PolicyVersion) iamapi.PolicyVersion {
	return iamapi.PolicyVersion{VersionId: awsapi.Ptr(v.ID), CreateDate: awsapi.Ptr(v.CreatedAt), IsDefaultVersion: awsapi.Ptr(v.ID == p.DefaultVersion)}
}

// version returns the index of a version.
func version(p *model.Policy, id *string) (int, error) {
	i := slices.IndexFunc(p.Versions, func(v model.PolicyVersion) bool { return v.ID == awsapi.Val(id) })
	if i < 0 {
		return 0, noSuchEntity("Policy %s version %s does not exist or is not attachable.", p.ARN, awsapi.Val(id))
	}
	return i, nil
}

// GetPolicyVersion returns a version with its document.
func (s *Server) GetPolicyVersion(_ context.Context, in *iamapi.GetPolicyVersionInput) (*iamapi.GetPolicyVersionOutput, error) {
	p, err := s.anyPolicy(s.db.View(), in.PolicyArn)
	if err != nil {
		return nil, err
	}
	i, err := version(p, in.VersionId)
	if err != nil {
		return nil, err
	}
	view := versionView(p, &p.Versions[i])
	view.Document = encode(p.Versions[i].Document)
	return &iamapi.GetPolicyVersionOutput{PolicyVersion: &view}, nil
}

// ListPolicyVersions lists versions, the latest first as AWS does, without their documents.
func (s *Server) ListPolicyVersions(_ context.Context, in *iamapi.ListPolicyVersionsInput) (*iamapi.ListPolicyVersionsOutput, error) {
	p, err := s.anyPolicy(s.db.View(), in.PolicyArn)
	if err != nil {
		return nil, err
	}
	var all []iamapi.PolicyVersion
	for i := range p.Versions {
		all = append(all, versionView(p, &p.Versions[i]))
	}
	newestFirst := func(v iamapi.PolicyVersion) string {
		n, _ := strconv.Atoi(strings.TrimPrefix(*v.VersionId, "v"))
		return strconv.Itoa(1<<30 - n) // all have ten digits
	}
	list, next, truncated, err := page("ListPolicyVersions:"+p.ARN, all, newestFirst, in.Marker, in.MaxItems)
	return &iamapi.ListPolicyVersionsOutput{Versions: list, Marker: next, IsTruncated: truncated}, err
}

// CreatePolicyVersion adds a version.
func (s *Server) CreatePolicyVersion(ctx context.Context, in *iamapi.CreatePolicyVersionInput) (*iamapi.CreatePolicyVersionOutput, error) {
	document := awsapi.Val(in.PolicyDocument)
	if err := checkManaged(document); err != nil {
		return nil, err
	}
	out := &iamapi.CreatePolicyVersionOutput{}
	return out, s.editPolicy(ctx, in.PolicyArn, func(_ *store.Txn, p *model.Policy) error {
		if len(p.Versions) >= maxVersions {
			return limitExceeded("A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.", maxVersions)
		}
		v := model.PolicyVersion{ID: "v" + strconv.Itoa(p.NextVersion), Document: document, CreatedAt: s.clock.Now()}
		p.Versions, p.NextVersion = append(p.Versions, v), p.NextVersion+1
		if awsapi.Val(in.SetAsDefault) {
			p.DefaultVersion, p.UpdatedAt = v.ID, v.CreatedAt
		}
		view := versionView(p, &v)
		out.PolicyVersion = &view
		return nil
	})
}

// DeletePolicyVersion removes a version that is not the default.
func (s *Server) DeletePolicyVersion(ctx context.Context, in *iamapi.DeletePolicyVersionInput) (*iamapi.DeletePolicyVersionOutput, error) {
	return &iamapi.DeletePolicyVersionOutput{}, s.editPolicy(ctx, in.PolicyArn, func(_ *store.Txn, p *model.Policy) error {
		i, err := version(p, in.VersionId)
		if err != nil {
			return err
		}
		if p.Versions[i].ID == p.DefaultVersion {
			return awsapi.NewError(iamapi.ErrDeleteConflict, "Cannot delete the default version of a policy.")
		}
		p.Versions = slices.Delete(p.Versions, i, i+1)
		return nil
	})
}

// SetDefaultPolicyVersion makes a version the one that counts.
func (s *Server) SetDefaultPolicyVersion(ctx context.Context, in *iamapi.SetDefaultPolicyVersionInput) (*iamapi.SetDefaultPolicyVersionOutput, error) {
	return &iamapi.SetDefaultPolicyVersionOutput{}, s.editPolicy(ctx, in.PolicyArn, func(_ *store.Txn, p *model.Policy) error {
		i, err := version(p, in.VersionId)
		if err != nil {
			return err
		}
		p.DefaultVersion, p.UpdatedAt = p.Versions[i].ID, s.clock.Now()
		return nil
	})
}

// TagPolicy adds tags.
func (s *Server) TagPolicy(ctx context.Context, in *iamapi.TagPolicyInput) (*iamapi.TagPolicyOutput, error) {
	return &iamapi.TagPolicyOutput{}, s.editPolicy(ctx, in.PolicyArn, func(_ *store.Txn, p *model.Policy) (err error) {
		p.Tags, err = withTags(p.Tags, in.Tags)
		return err
	})
}

// UntagPolicy removes tags.
func (s *Server) UntagPolicy(ctx context.Context, in *iamapi.UntagPolicyInput) (*iamapi.UntagPolicyOutput, error) {
	return &iamapi.UntagPolicyOutput{}, s.editPolicy(ctx, in.PolicyArn, func(_ *store.Txn, p *model.Policy) error {
		p.Tags = withoutTags(p.Tags, in.TagKeys)
		return nil
	})
}

// ListPolicyTags lists tags.
func (s *Server) ListPolicyTags(_ context.Context, in *iamapi.ListPolicyTagsInput) (*iamapi.ListPolicyTagsOutput, error) {
	p, err := s.policy(s.db.View(), in.PolicyArn)
	if err != nil {
		return nil, err
	}
	list, next, truncated, err := page("ListPolicyTags:"+p.ARN, tagList(p.Tags), tagKey, in.Marker, in.MaxItems)
	return &iamapi.ListPolicyTagsOutput{Tags: list, Marker: next, IsTruncated: truncated}, err
}
