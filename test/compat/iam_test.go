package compat

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

const (
	trustAll  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000000:root"},"Action":"sts:AssumeRole"}]}`
	allowLogs = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"logs:*","Resource":"*","Condition":{"StringLike":{"aws:PrincipalTag/a":"b+c d"}}}]}`
	managed   = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
)

// document decodes a policy as Terraform does, which unescapes a query: a plus sign must not come as itself.
func document(t testing.TB, encoded *string) string {
	t.Helper()
	text, err := url.QueryUnescape(aws.ToString(encoded))
	if err != nil {
		t.Error(err)
	}
	return text
}

func scenarioIAM(c *client) {
	t := c.t
	name := aws.String("app")
	made := must(t, c.iam.CreateRole, &iam.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: aws.String(trustTasks), Description: aws.String("d"), Path: aws.String("/team/"), Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}}}).Role
	refused(t, "EntityAlreadyExists", c.iam.CreateRole, &iam.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: aws.String(trustTasks)})
	present(t, made, "Arn", "RoleId", "CreateDate", "Path")
	exists := iam.NewRoleExistsWaiter(c.iam, func(o *iam.RoleExistsWaiterOptions) { o.MinDelay, o.MaxDelay = quick, quick })
	if err := exists.Wait(t.Context(), &iam.GetRoleInput{RoleName: name}, patience); err != nil {
		t.Fatal(err)
	}
	must(t, c.iam.UpdateRole, &iam.UpdateRoleInput{RoleName: name, MaxSessionDuration: aws.Int32(7200), Description: aws.String("e")})
	must(t, c.iam.UpdateRoleDescription, &iam.UpdateRoleDescriptionInput{RoleName: name, Description: aws.String("f")})
	must(t, c.iam.UpdateAssumeRolePolicy, &iam.UpdateAssumeRolePolicyInput{RoleName: name, PolicyDocument: aws.String(trustAll)})
	must(t, c.iam.PutRolePermissionsBoundary, &iam.PutRolePermissionsBoundaryInput{RoleName: name, PermissionsBoundary: aws.String("arn:aws:iam::aws:policy/AdministratorAccess")})
	got := must(t, c.iam.GetRole, &iam.GetRoleInput{RoleName: name}).Role
	want(t, "role", []any{*got.MaxSessionDuration, *got.Description, document(t, got.AssumeRolePolicyDocument), got.PermissionsBoundary != nil}, []any{int32(7200), "f", trustAll, true})
	must(t, c.iam.DeleteRolePermissionsBoundary, &iam.DeleteRolePermissionsBoundaryInput{RoleName: name})
	absent(t, must(t, c.iam.GetRole, &iam.GetRoleInput{RoleName: name}).Role, "PermissionsBoundary")
	for i := range 3 {
		must(t, c.iam.CreateRole, &iam.CreateRoleInput{RoleName: aws.String(fmt.Sprint("more-", i)), AssumeRolePolicyDocument: aws.String(trustTasks)})
	}
	seen := 0
	for p := iam.NewListRolesPaginator(c.iam, &iam.ListRolesInput{MaxItems: aws.Int32(2)}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		seen += len(page.Roles)
	}
	want(t, "roles of the pages", seen, 4)
	want(t, "roles of a path", len(must(t, c.iam.ListRoles, &iam.ListRolesInput{PathPrefix: aws.String("/team/")}).Roles), 1)

	must(t, c.iam.PutRolePolicy, &iam.PutRolePolicyInput{RoleName: name, PolicyName: aws.String("inline"), PolicyDocument: aws.String(allowLogs)})
	want(t, "inline", document(t, must(t, c.iam.GetRolePolicy, &iam.GetRolePolicyInput{RoleName: name, PolicyName: aws.String("inline")}).PolicyDocument), allowLogs)
	want(t, "inline policies", must(t, c.iam.ListRolePolicies, &iam.ListRolePoliciesInput{RoleName: name}).PolicyNames, []string{"inline"})
	must(t, c.iam.TagRole, &iam.TagRoleInput{RoleName: name, Tags: []types.Tag{{Key: aws.String("b"), Value: aws.String("2")}}})
	must(t, c.iam.UntagRole, &iam.UntagRoleInput{RoleName: name, TagKeys: []string{"a"}})
	want(t, "tags", must(t, c.iam.ListRoleTags, &iam.ListRoleTagsInput{RoleName: name}).Tags, []types.Tag{{Key: aws.String("b"), Value: aws.String("2")}})
	policy := c.iamPolicies(name)
	refused(t, "DeleteConflict", c.iam.DeleteRole, &iam.DeleteRoleInput{RoleName: name})
	for _, arn := range []string{policy, managed} {
		must(t, c.iam.DetachRolePolicy, &iam.DetachRolePolicyInput{RoleName: name, PolicyArn: &arn})
	}
	refused(t, "DeleteConflict", c.iam.DeletePolicy, &iam.DeletePolicyInput{PolicyArn: &policy}) // it has versions
	for _, version := range []string{"v1", "v3", "v4"} {
		must(t, c.iam.DeletePolicyVersion, &iam.DeletePolicyVersionInput{PolicyArn: &policy, VersionId: &version})
	}
	must(t, c.iam.DeletePolicy, &iam.DeletePolicyInput{PolicyArn: &policy})
	must(t, c.iam.DeleteRolePolicy, &iam.DeleteRolePolicyInput{RoleName: name, PolicyName: aws.String("inline")})
	want(t, "profiles", len(must(t, c.iam.ListInstanceProfilesForRole, &iam.ListInstanceProfilesForRoleInput{RoleName: name}).InstanceProfiles), 0)
	must(t, c.iam.DeleteRole, &iam.DeleteRoleInput{RoleName: name})
	refused(t, "NoSuchEntity", c.iam.GetRole, &iam.GetRoleInput{RoleName: name})
	present(t, must(t, c.iam.GetUser, &iam.GetUserInput{UserName: c.adminName()}).User, "Arn", "UserName", "CreateDate")
	want(t, "linked role", *must(t, c.iam.CreateServiceLinkedRole, &iam.CreateServiceLinkedRoleInput{AWSServiceName: aws.String("ecs.amazonaws.com")}).Role.RoleName, "AWSServiceRoleForECS")
}

// adminName returns the name of the caller, when it is a user.
func (c *client) adminName() *string {
	arn := *must(c.t, c.sts.GetCallerIdentity, &sts.GetCallerIdentityInput{}).Arn
	if _, name, ok := strings.Cut(arn, ":user/"); ok {
		return &name
	}
	return nil
}

// iamPolicies makes a policy with several versions, and attaches it and one of AWS's to the role.
func (c *client) iamPolicies(role *string) string {
	t := c.t
	arn := must(t, c.iam.CreatePolicy, &iam.CreatePolicyInput{PolicyName: aws.String("logs"), PolicyDocument: aws.String(allowLogs), Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}}}).Policy.Arn
	exists := iam.NewPolicyExistsWaiter(c.iam, func(o *iam.PolicyExistsWaiterOptions) { o.MinDelay, o.MaxDelay = quick, quick })
	if err := exists.Wait(t.Context(), &iam.GetPolicyInput{PolicyArn: arn}, patience); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		must(t, c.iam.CreatePolicyVersion, &iam.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: aws.String(allowLogs), SetAsDefault: true})
	}
	refused(t, "LimitExceeded", c.iam.CreatePolicyVersion, &iam.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: aws.String(allowLogs)})
	must(t, c.iam.SetDefaultPolicyVersion, &iam.SetDefaultPolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v2")})
	must(t, c.iam.DeletePolicyVersion, &iam.DeletePolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v5")})
	want(t, "default", *must(t, c.iam.GetPolicy, &iam.GetPolicyInput{PolicyArn: arn}).Policy.DefaultVersionId, "v2")
	want(t, "document", document(t, must(t, c.iam.GetPolicyVersion, &iam.GetPolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v2")}).PolicyVersion.Document), allowLogs)
	want(t, "versions", len(must(t, c.iam.ListPolicyVersions, &iam.ListPolicyVersionsInput{PolicyArn: arn}).Versions), 4)
	must(t, c.iam.TagPolicy, &iam.TagPolicyInput{PolicyArn: arn, Tags: []types.Tag{{Key: aws.String("b"), Value: aws.String("2")}}})
	must(t, c.iam.UntagPolicy, &iam.UntagPolicyInput{PolicyArn: arn, TagKeys: []string{"a"}})
	want(t, "tags", must(t, c.iam.ListPolicyTags, &iam.ListPolicyTagsInput{PolicyArn: arn}).Tags, []types.Tag{{Key: aws.String("b"), Value: aws.String("2")}})
	want(t, "own policies", len(must(t, c.iam.ListPolicies, &iam.ListPoliciesInput{Scope: types.PolicyScopeTypeLocal}).Policies), 1)
	for _, policy := range []string{*arn, managed} {
		must(t, c.iam.AttachRolePolicy, &iam.AttachRolePolicyInput{RoleName: role, PolicyArn: &policy})
		must(t, c.iam.AttachRolePolicy, &iam.AttachRolePolicyInput{RoleName: role, PolicyArn: &policy}) // again is fine
	}
	seen := 0
	for p := iam.NewListAttachedRolePoliciesPaginator(c.iam, &iam.ListAttachedRolePoliciesInput{RoleName: role, MaxItems: aws.Int32(1)}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		seen += len(page.AttachedPolicies)
	}
	want(t, "attached policies of the pages", seen, 2)
	want(t, "roles of the policy", len(must(t, c.iam.ListEntitiesForPolicy, &iam.ListEntitiesForPolicyInput{PolicyArn: arn}).PolicyRoles), 1)
	refused(t, "DeleteConflict", c.iam.DeletePolicy, &iam.DeletePolicyInput{PolicyArn: arn})
	return *arn
}

func scenarioSTS(c *client) {
	t := c.t
	want(t, "account", *must(t, c.sts.GetCallerIdentity, &sts.GetCallerIdentityInput{}).Account, "000000000000")
	want(t, "account of the key", *must(t, c.sts.GetAccessKeyInfo, &sts.GetAccessKeyInfoInput{AccessKeyId: must(t, c.sts.GetSessionToken, &sts.GetSessionTokenInput{}).Credentials.AccessKeyId}).Account, "000000000000")
	role := must(t, c.iam.CreateRole, &iam.CreateRoleInput{RoleName: aws.String("deploy"), AssumeRolePolicyDocument: aws.String(trustAll)}).Role.Arn
	assumed := must(t, c.sts.AssumeRole, &sts.AssumeRoleInput{RoleArn: role, RoleSessionName: aws.String("me")})
	if assumed.Credentials.Expiration.Before(time.Now().Add(30 * time.Minute)) {
		t.Errorf("expires at %v", assumed.Credentials.Expiration)
	}
	cfg := config(c.url, nil)
	cfg.Credentials = credentials.NewStaticCredentialsProvider(*assumed.Credentials.AccessKeyId, *assumed.Credentials.SecretAccessKey, *assumed.Credentials.SessionToken)
	as := c.cloud.client(t, cfg)
	want(t, "who", *must(t, as.sts.GetCallerIdentity, &sts.GetCallerIdentityInput{}).Arn, "arn:aws:sts::000000000000:assumed-role/deploy/me")
	must(t, as.iam.ListRoles, &iam.ListRolesInput{})
	closed := must(t, c.iam.CreateRole, &iam.CreateRoleInput{RoleName: aws.String("closed"), AssumeRolePolicyDocument: aws.String(trustTasks)}).Role.Arn
	refused(t, "AccessDenied", c.sts.AssumeRole, &sts.AssumeRoleInput{RoleArn: closed, RoleSessionName: aws.String("me")})
}

// TestCredentials tries keys that are not right.
func TestCredentials(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for code, key := range map[string][3]string{
		"InvalidClientTokenId": {"nobody", "test", ""}, "SignatureDoesNotMatch": {"test", "wrong", ""},
	} {
		cfg := config(c.url, nil)
		cfg.Credentials = credentials.NewStaticCredentialsProvider(key[0], key[1], key[2])
		refused(t, code, c.client(t, cfg).sts.GetCallerIdentity, &sts.GetCallerIdentityInput{})
	}
}

const (
	noRole   = "'RoleName': 'nothing'"
	noPolicy = "'PolicyArn': 'arn:aws:iam::000000000000:policy/nothing'"
)

var wrongIAM = []wrong{
	{operation: "CreateRole", input: `{'RoleName': 'r', 'AssumeRolePolicyDocument': 'nonsense'}`, code: "MalformedPolicyDocument"},
	{operation: "DeleteRole", input: "{" + noRole + "}", code: "NoSuchEntity"},
	{operation: "GetRole", input: "{" + noRole + "}", code: "NoSuchEntity"},
	{operation: "ListRoles", input: `{'Marker': 'nonsense'}`, code: "ValidationError"},
	{operation: "UpdateRole", input: "{" + noRole + "}", code: "NoSuchEntity"},
	{operation: "UpdateRoleDescription", input: "{" + noRole + ", 'Description': 'd'}", code: "NoSuchEntity"},
	{operation: "UpdateAssumeRolePolicy", input: "{" + noRole + ", 'PolicyDocument': '{}'}", code: "MalformedPolicyDocument"},
	{operation: "PutRolePolicy", input: "{" + noRole + ", 'PolicyName': 'p', 'PolicyDocument': '{}'}", code: "MalformedPolicyDocument"},
	{operation: "GetRolePolicy", input: "{" + noRole + ", 'PolicyName': 'p'}", code: "NoSuchEntity"},
	{operation: "DeleteRolePolicy", input: "{" + noRole + ", 'PolicyName': 'p'}", code: "NoSuchEntity"},
	{operation: "ListRolePolicies", input: "{" + noRole + "}", code: "NoSuchEntity"},
	{operation: "AttachRolePolicy", input: "{" + noRole + ", " + noPolicy + "}", code: "NoSuchEntity"},
	{operation: "DetachRolePolicy", input: "{" + noRole + ", " + noPolicy + "}", code: "NoSuchEntity"},
	{operation: "ListAttachedRolePolicies", input: "{" + noRole + "}", code: "NoSuchEntity"},
	{operation: "CreatePolicy", input: `{'PolicyName': 'p', 'PolicyDocument': 'nonsense'}`, code: "MalformedPolicyDocument"},
	{operation: "DeletePolicy", input: "{" + noPolicy + "}", code: "NoSuchEntity"},
	{operation: "GetPolicy", input: "{" + noPolicy + "}", code: "NoSuchEntity"},
	{operation: "GetPolicyVersion", input: "{" + noPolicy + ", 'VersionId': 'v1'}", code: "NoSuchEntity"},
	{operation: "ListPolicies", input: `{'Marker': 'nonsense'}`, code: "ValidationError"},
	{operation: "ListPolicyVersions", input: "{" + noPolicy + "}", code: "NoSuchEntity"},
	{operation: "CreatePolicyVersion", input: "{" + noPolicy + ", 'PolicyDocument': '{}'}", code: "MalformedPolicyDocument"},
	{operation: "DeletePolicyVersion", input: "{" + noPolicy + ", 'VersionId': 'v1'}", code: "NoSuchEntity"},
	{operation: "SetDefaultPolicyVersion", input: "{" + noPolicy + ", 'VersionId': 'v1'}", code: "NoSuchEntity"},
	{operation: "ListEntitiesForPolicy", input: "{" + noPolicy + "}", code: "NoSuchEntity"},
	{operation: "TagRole", input: "{" + noRole + ", 'Tags': [{'Key': 'a', 'Value': 'b'}]}", code: "NoSuchEntity"},
	{operation: "UntagRole", input: "{" + noRole + ", 'TagKeys': ['a']}", code: "NoSuchEntity"},
	{operation: "ListRoleTags", input: "{" + noRole + "}", code: "NoSuchEntity"},
	{operation: "TagPolicy", input: "{" + noPolicy + ", 'Tags': [{'Key': 'a', 'Value': 'b'}]}", code: "NoSuchEntity"},
	{operation: "UntagPolicy", input: "{" + noPolicy + ", 'TagKeys': ['a']}", code: "NoSuchEntity"},
	{operation: "ListPolicyTags", input: "{" + noPolicy + "}", code: "NoSuchEntity"},
	{operation: "ListInstanceProfilesForRole", input: "{" + noRole + "}", code: "NoSuchEntity"},
	{operation: "GetUser", input: `{'UserName': 'nobody'}`, code: "NoSuchEntity"},
	{operation: "CreateServiceLinkedRole", input: `{'AWSServiceName': 'nothing.amazonaws.com'}`, code: "InvalidInput"},
	{operation: "PutRolePermissionsBoundary", input: "{" + noRole + ", 'PermissionsBoundary': 'arn:aws:iam::aws:policy/AdministratorAccess'}", code: "NoSuchEntity"},
	{operation: "DeleteRolePermissionsBoundary", input: "{" + noRole + "}", code: "NoSuchEntity"},
}

var wrongSTS = []wrong{
	{operation: "AssumeRole", input: `{'RoleArn': 'arn:aws:iam::000000000000:role/nothing', 'RoleSessionName': 'me'}`, code: "AccessDenied"},
	{operation: "GetSessionToken", input: `{'DurationSeconds': 1}`, code: "ValidationError"},
	{operation: "GetAccessKeyInfo", input: `{'AccessKeyId': 'AKIA0000000000000000'}`, code: "ValidationError"},
}
