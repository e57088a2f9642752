package iam

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/iamapi"
	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store/storetest"
)

var testTime = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

const (
	trust    = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	document = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"arn:aws:s3:::a b+c/*"}]}`
	ecsARN   = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
)

func newServer(t *testing.T) *Server {
	t.Helper()
	db, tables := storetest.New(t)
	return New(Options{DB: db, Tables: tables, Clock: clock.Fixed(testTime), Scope: model.Scope{Account: "000000000000", Region: "us-east-1"}})
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

func (s *Server) withRole(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		must[*iamapi.CreateRoleOutput](t)(s.CreateRole(t.Context(), &iamapi.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: awsapi.Ptr(trust)}))
	}
}

func TestRoles(t *testing.T) {
	s := newServer(t)
	name := awsapi.Ptr("app")
	out := must[*iamapi.CreateRoleOutput](t)(s.CreateRole(t.Context(), &iamapi.CreateRoleInput{RoleName: name, Path: awsapi.Ptr("/team/"), AssumeRolePolicyDocument: awsapi.Ptr(trust),
		Tags: []iamapi.Tag{{Key: awsapi.Ptr("a"), Value: awsapi.Ptr("1")}}}))
	want := &iamapi.Role{
		Arn: awsapi.Ptr("arn:aws:iam::000000000000:role/team/app"), RoleName: name, RoleId: out.Role.RoleId, Path: awsapi.Ptr("/team/"), CreateDate: awsapi.Ptr(testTime),
		AssumeRolePolicyDocument: encode(trust), MaxSessionDuration: awsapi.Ptr(int32(3600)), Tags: []iamapi.Tag{{Key: awsapi.Ptr("a"), Value: awsapi.Ptr("1")}},
	}
	if diff := cmp.Diff(want, out.Role); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if decoded, err := url.QueryUnescape(*out.Role.AssumeRolePolicyDocument); err != nil || decoded != trust {
		t.Errorf("document: %s %v", decoded, err)
	}
	_, err := s.CreateRole(t.Context(), &iamapi.CreateRoleInput{RoleName: awsapi.Ptr("APP"), AssumeRolePolicyDocument: awsapi.Ptr(trust)})
	wantError(t, err, "EntityAlreadyExists: Role with name APP already exists.")
	_, err = s.CreateRole(t.Context(), &iamapi.CreateRoleInput{RoleName: awsapi.Ptr("x"), AssumeRolePolicyDocument: awsapi.Ptr("{")})
	wantError(t, err, "MalformedPolicyDocument: This policy contains invalid Json")
	_, err = s.CreateRole(t.Context(), &iamapi.CreateRoleInput{RoleName: awsapi.Ptr("x"), AssumeRolePolicyDocument: awsapi.Ptr(trust), PermissionsBoundary: awsapi.Ptr("arn:aws:iam::aws:policy/None")})
	wantError(t, err, "NoSuchEntity: Scope ARN: arn:aws:iam::aws:policy/None does not exist or is not attachable.")
	_, err = s.GetRole(t.Context(), &iamapi.GetRoleInput{RoleName: awsapi.Ptr("none")})
	wantError(t, err, "NoSuchEntity: The role with name none cannot be found.")

	must[*iamapi.PutRolePolicyOutput](t)(s.PutRolePolicy(t.Context(), &iamapi.PutRolePolicyInput{RoleName: name, PolicyName: awsapi.Ptr("inline"), PolicyDocument: awsapi.Ptr(document)}))
	got := must[*iamapi.GetRolePolicyOutput](t)(s.GetRolePolicy(t.Context(), &iamapi.GetRolePolicyInput{RoleName: name, PolicyName: awsapi.Ptr("inline")}))
	if decoded, err := url.QueryUnescape(*got.PolicyDocument); err != nil || decoded != document || strings.Contains(*got.PolicyDocument, "+") {
		t.Errorf("inline document: %s %v", *got.PolicyDocument, err)
	}
	_, err = s.PutRolePolicy(t.Context(), &iamapi.PutRolePolicyInput{RoleName: name, PolicyName: awsapi.Ptr("big"), PolicyDocument: awsapi.Ptr(strings.Replace(document, "a b", strings.Repeat("x", maxInline), 1))})
	wantError(t, err, "LimitExceeded: Maximum policy size of 10240 bytes exceeded for role app")
	for range 2 {
		must[*iamapi.AttachRolePolicyOutput](t)(s.AttachRolePolicy(t.Context(), &iamapi.AttachRolePolicyInput{RoleName: name, PolicyArn: awsapi.Ptr(ecsARN)}))
	}
	_, err = s.AttachRolePolicy(t.Context(), &iamapi.AttachRolePolicyInput{RoleName: name, PolicyArn: awsapi.Ptr("arn:aws:iam::aws:policy/None")})
	wantError(t, err, "NoSuchEntity: Policy arn:aws:iam::aws:policy/None does not exist or is not attachable.")
	attached := must[*iamapi.ListAttachedRolePoliciesOutput](t)(s.ListAttachedRolePolicies(t.Context(), &iamapi.ListAttachedRolePoliciesInput{RoleName: name}))
	if len(attached.AttachedPolicies) != 1 || *attached.AttachedPolicies[0].PolicyName != "AmazonECSTaskExecutionRolePolicy" || *attached.IsTruncated {
		t.Errorf("attached: %+v", attached)
	}
	_, err = s.DeleteRole(t.Context(), &iamapi.DeleteRoleInput{RoleName: name})
	wantError(t, err, "DeleteConflict: Cannot delete entity, must detach all policies first.")
	must[*iamapi.DetachRolePolicyOutput](t)(s.DetachRolePolicy(t.Context(), &iamapi.DetachRolePolicyInput{RoleName: name, PolicyArn: awsapi.Ptr(ecsARN)}))
	_, err = s.DetachRolePolicy(t.Context(), &iamapi.DetachRolePolicyInput{RoleName: name, PolicyArn: awsapi.Ptr(ecsARN)})
	wantError(t, err, "NoSuchEntity: Policy "+ecsARN+" was not found.")
	_, err = s.DeleteRole(t.Context(), &iamapi.DeleteRoleInput{RoleName: name})
	wantError(t, err, "DeleteConflict: Cannot delete entity, must delete policies first.")
	must[*iamapi.DeleteRolePolicyOutput](t)(s.DeleteRolePolicy(t.Context(), &iamapi.DeleteRolePolicyInput{RoleName: name, PolicyName: awsapi.Ptr("inline")}))
	_, err = s.DeleteRolePolicy(t.Context(), &iamapi.DeleteRolePolicyInput{RoleName: name, PolicyName: awsapi.Ptr("inline")})
	wantError(t, err, "NoSuchEntity: The role policy with name inline cannot be found.")
	must[*iamapi.UpdateRoleOutput](t)(s.UpdateRole(t.Context(), &iamapi.UpdateRoleInput{RoleName: name, Description: awsapi.Ptr("d"), MaxSessionDuration: awsapi.Ptr(int32(7200))}))
	must[*iamapi.TagRoleOutput](t)(s.TagRole(t.Context(), &iamapi.TagRoleInput{RoleName: name, Tags: []iamapi.Tag{{Key: awsapi.Ptr("b"), Value: awsapi.Ptr("2")}}}))
	must[*iamapi.UntagRoleOutput](t)(s.UntagRole(t.Context(), &iamapi.UntagRoleInput{RoleName: name, TagKeys: []string{"a"}}))
	role := must[*iamapi.GetRoleOutput](t)(s.GetRole(t.Context(), &iamapi.GetRoleInput{RoleName: name})).Role
	if *role.Description != "d" || *role.MaxSessionDuration != 7200 || len(role.Tags) != 1 || *role.Tags[0].Key != "b" {
		t.Errorf("updated: %+v", role)
	}
	must[*iamapi.DeleteRoleOutput](t)(s.DeleteRole(t.Context(), &iamapi.DeleteRoleInput{RoleName: name}))
}

func TestListRolesInPages(t *testing.T) {
	s := newServer(t)
	for i := range 5 {
		s.withRole(t, fmt.Sprint("role", i))
	}
	var names []string
	in := &iamapi.ListRolesInput{MaxItems: awsapi.Ptr(int32(2))}
	for {
		out := must[*iamapi.ListRolesOutput](t)(s.ListRoles(t.Context(), in))
		for _, r := range out.Roles {
			names = append(names, *r.RoleName)
		}
		if *out.IsTruncated != (out.Marker != nil) {
			t.Errorf("IsTruncated %t with marker %v", *out.IsTruncated, out.Marker)
		}
		if in.Marker = out.Marker; in.Marker == nil {
			break
		}
	}
	if got := strings.Join(names, " "); got != "role0 role1 role2 role3 role4" {
		t.Errorf("listed %s", got)
	}
}

func TestPolicies(t *testing.T) {
	s := newServer(t)
	s.withRole(t, "app")
	out := must[*iamapi.CreatePolicyOutput](t)(s.CreatePolicy(t.Context(), &iamapi.CreatePolicyInput{PolicyName: awsapi.Ptr("p"), PolicyDocument: awsapi.Ptr(document)}))
	arn := out.Policy.Arn
	if *arn != "arn:aws:iam::000000000000:policy/p" || *out.Policy.DefaultVersionId != "v1" {
		t.Errorf("created %+v", out.Policy)
	}
	_, err := s.CreatePolicy(t.Context(), &iamapi.CreatePolicyInput{PolicyName: awsapi.Ptr("p"), PolicyDocument: awsapi.Ptr(document)})
	wantError(t, err, "EntityAlreadyExists: A policy called p already exists. Duplicate names are not allowed.")
	for i := range 4 {
		v := must[*iamapi.CreatePolicyVersionOutput](t)(s.CreatePolicyVersion(t.Context(), &iamapi.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: awsapi.Ptr(document), SetAsDefault: awsapi.Ptr(i == 1)}))
		if *v.PolicyVersion.VersionId != fmt.Sprint("v", i+2) {
			t.Errorf("version %s", *v.PolicyVersion.VersionId)
		}
	}
	_, err = s.CreatePolicyVersion(t.Context(), &iamapi.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: awsapi.Ptr(document)})
	wantError(t, err, "LimitExceeded: A managed policy can have up to 5 versions.")
	versions := must[*iamapi.ListPolicyVersionsOutput](t)(s.ListPolicyVersions(t.Context(), &iamapi.ListPolicyVersionsInput{PolicyArn: arn}))
	var ids []string
	for _, v := range versions.Versions {
		ids = append(ids, *v.VersionId+fmt.Sprint(*v.IsDefaultVersion))
	}
	if got := strings.Join(ids, " "); got != "v5false v4false v3true v2false v1false" {
		t.Errorf("versions: %s", got)
	}
	_, err = s.DeletePolicyVersion(t.Context(), &iamapi.DeletePolicyVersionInput{PolicyArn: arn, VersionId: awsapi.Ptr("v3")})
	wantError(t, err, "DeleteConflict: Cannot delete the default version of a policy.")
	must[*iamapi.AttachRolePolicyOutput](t)(s.AttachRolePolicy(t.Context(), &iamapi.AttachRolePolicyInput{RoleName: awsapi.Ptr("app"), PolicyArn: arn}))
	_, err = s.DeletePolicy(t.Context(), &iamapi.DeletePolicyInput{PolicyArn: arn})
	wantError(t, err, "DeleteConflict: Cannot delete a policy attached to entities.")
	entities := must[*iamapi.ListEntitiesForPolicyOutput](t)(s.ListEntitiesForPolicy(t.Context(), &iamapi.ListEntitiesForPolicyInput{PolicyArn: arn}))
	if len(entities.PolicyRoles) != 1 || *entities.PolicyRoles[0].RoleName != "app" {
		t.Errorf("entities: %+v", entities)
	}
	list := must[*iamapi.ListPoliciesOutput](t)(s.ListPolicies(t.Context(), &iamapi.ListPoliciesInput{OnlyAttached: awsapi.Ptr(true)}))
	if len(list.Policies) != 1 || *list.Policies[0].AttachmentCount != 1 {
		t.Errorf("attached: %+v", list.Policies)
	}
	must[*iamapi.DetachRolePolicyOutput](t)(s.DetachRolePolicy(t.Context(), &iamapi.DetachRolePolicyInput{RoleName: awsapi.Ptr("app"), PolicyArn: arn}))
	_, err = s.DeletePolicy(t.Context(), &iamapi.DeletePolicyInput{PolicyArn: arn})
	wantError(t, err, "DeleteConflict: This policy has more than one version.")
	for _, v := range []string{"v1", "v2", "v4", "v5"} {
		must[*iamapi.DeletePolicyVersionOutput](t)(s.DeletePolicyVersion(t.Context(), &iamapi.DeletePolicyVersionInput{PolicyArn: arn, VersionId: &v}))
	}
	must[*iamapi.DeletePolicyOutput](t)(s.DeletePolicy(t.Context(), &iamapi.DeletePolicyInput{PolicyArn: arn}))
	_, err = s.GetPolicy(t.Context(), &iamapi.GetPolicyInput{PolicyArn: arn})
	wantError(t, err, "NoSuchEntity: Policy "+*arn+" was not found.")
	managed := must[*iamapi.GetPolicyVersionOutput](t)(s.GetPolicyVersion(t.Context(), &iamapi.GetPolicyVersionInput{PolicyArn: awsapi.Ptr(ecsARN), VersionId: awsapi.Ptr("v1")}))
	if decoded, _ := url.QueryUnescape(*managed.PolicyVersion.Document); !strings.Contains(decoded, "ecr:BatchGetImage") {
		t.Errorf("managed: %s", decoded)
	}
	_, err = s.TagPolicy(t.Context(), &iamapi.TagPolicyInput{PolicyArn: awsapi.Ptr(ecsARN)})
	wantError(t, err, "NoSuchEntity: ")
}

func TestServiceLinkedRole(t *testing.T) {
	s := newServer(t)
	in := &iamapi.CreateServiceLinkedRoleInput{AWSServiceName: awsapi.Ptr("ecs.amazonaws.com")}
	out := must[*iamapi.CreateServiceLinkedRoleOutput](t)(s.CreateServiceLinkedRole(t.Context(), in))
	if *out.Role.Arn != "arn:aws:iam::000000000000:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS" {
		t.Errorf("role %s", *out.Role.Arn)
	}
	_, err := s.CreateServiceLinkedRole(t.Context(), in)
	wantError(t, err, "InvalidInput: Service role name AWSServiceRoleForECS has been taken in this account")
	_, err = s.AttachRolePolicy(t.Context(), &iamapi.AttachRolePolicyInput{RoleName: out.Role.RoleName, PolicyArn: awsapi.Ptr(ecsARN)})
	wantError(t, err, "UnmodifiableEntity: ")
}

func TestGetUser(t *testing.T) {
	s := newServer(t)
	as := func(principal string) context.Context {
		return awsapi.WithRequest(t.Context(), awsapi.Request{Principal: principal})
	}
	out := must[*iamapi.GetUserOutput](t)(s.GetUser(as("arn:aws:iam::000000000000:user/admin"), &iamapi.GetUserInput{}))
	if *out.User.Arn != "arn:aws:iam::000000000000:user/admin" || out.User.CreateDate == nil {
		t.Errorf("%+v", out.User)
	}
	_, err := s.GetUser(as("arn:aws:sts::000000000000:assumed-role/app/x"), &iamapi.GetUserInput{})
	wantError(t, err, "ValidationError: Must specify userName when calling with non-User credentials")
	_, err = s.GetUser(as("x"), &iamapi.GetUserInput{UserName: awsapi.Ptr("bob")})
	wantError(t, err, "NoSuchEntity: The user with name bob cannot be found.")
}
