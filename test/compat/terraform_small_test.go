package compat

import (
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// TestTerraformRole replays the provider's start, aws_iam_role with policies, and aws_iam_policy.
func TestTerraformRole(t *testing.T) {
	t.Parallel()
	c := newClient(t, nil)
	who := must(t, c.sts.GetCallerIdentity, &sts.GetCallerIdentityInput{})
	if !regexp.MustCompile(`^arn:aws:(iam|sts)::000000000000:.+`).MatchString(*who.Arn) || *who.Account != "000000000000" {
		t.Errorf("caller: %s of %s", *who.Arn, *who.Account)
	}
	present(t, must(t, c.iam.GetUser, &iam.GetUserInput{}).User, "Arn") // with skip_credentials_validation

	name := aws.String("exec")
	must(t, c.iam.CreateRole, &iam.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: aws.String(trustTasks), Path: aws.String("/"), MaxSessionDuration: aws.Int32(3600)})
	must(t, c.iam.PutRolePolicy, &iam.PutRolePolicyInput{RoleName: name, PolicyName: aws.String("logs"), PolicyDocument: aws.String(allowLogs)})
	policy := must(t, c.iam.CreatePolicy, &iam.CreatePolicyInput{PolicyName: aws.String("more"), PolicyDocument: aws.String(allowLogs), Path: aws.String("/")}).Policy.Arn
	for _, arn := range []string{managed, *policy} {
		must(t, c.iam.AttachRolePolicy, &iam.AttachRolePolicyInput{RoleName: name, PolicyArn: &arn})
		matches := 0
		for _, a := range must(t, c.iam.ListAttachedRolePolicies, &iam.ListAttachedRolePoliciesInput{RoleName: name}).AttachedPolicies {
			if *a.PolicyArn == arn {
				matches++
			}
		}
		want(t, "attachments of "+arn, matches, 1)
	}
	role := must(t, c.iam.GetRole, &iam.GetRoleInput{RoleName: name}).Role
	present(t, role, "Arn", "CreateDate", "Path", "RoleId", "MaxSessionDuration", "AssumeRolePolicyDocument") // CreateDate: a crash without
	absent(t, role, "Description", "PermissionsBoundary", "Tags")
	if strings.ContainsAny(*role.AssumeRolePolicyDocument, `{"+ `) {
		t.Errorf("the document is not URL-encoded: %s", *role.AssumeRolePolicyDocument)
	}
	want(t, "document", document(t, role.AssumeRolePolicyDocument), trustTasks)
	inline := oneOf(t, "inline policies", must(t, c.iam.ListRolePolicies, &iam.ListRolePoliciesInput{RoleName: name}).PolicyNames)
	want(t, "inline policy", document(t, must(t, c.iam.GetRolePolicy, &iam.GetRolePolicyInput{RoleName: name, PolicyName: &inline}).PolicyDocument), allowLogs)
	version := must(t, c.iam.GetPolicy, &iam.GetPolicyInput{PolicyArn: policy}).Policy.DefaultVersionId
	want(t, "policy", document(t, must(t, c.iam.GetPolicyVersion, &iam.GetPolicyVersionInput{PolicyArn: policy, VersionId: version}).PolicyVersion.Document), allowLogs)
	must(t, c.iam.TagRole, &iam.TagRoleInput{RoleName: name, Tags: []iamtypes.Tag{{Key: aws.String("a"), Value: aws.String("1")}}})

	want(t, "profiles", len(must(t, c.iam.ListInstanceProfilesForRole, &iam.ListInstanceProfilesForRoleInput{RoleName: name}).InstanceProfiles), 0)
	refused(t, "DeleteConflict", c.iam.DeleteRole, &iam.DeleteRoleInput{RoleName: name})
	for _, arn := range []string{managed, *policy} {
		must(t, c.iam.DetachRolePolicy, &iam.DetachRolePolicyInput{RoleName: name, PolicyArn: &arn})
		refused(t, "NoSuchEntity", c.iam.DetachRolePolicy, &iam.DetachRolePolicyInput{RoleName: name, PolicyArn: &arn})
	}
	must(t, c.iam.DeleteRolePolicy, &iam.DeleteRolePolicyInput{RoleName: name, PolicyName: &inline})
	must(t, c.iam.DeleteRole, &iam.DeleteRoleInput{RoleName: name})
	gone(t, "NoSuchEntity", c.iam.GetRole, &iam.GetRoleInput{RoleName: name})
	oneOf(t, "versions", must(t, c.iam.ListPolicyVersions, &iam.ListPolicyVersionsInput{PolicyArn: policy}).Versions)
	must(t, c.iam.DeletePolicy, &iam.DeletePolicyInput{PolicyArn: policy})
	gone(t, "NoSuchEntity", c.iam.GetPolicy, &iam.GetPolicyInput{PolicyArn: policy})
}

// TestTerraformLogGroup replays aws_cloudwatch_log_group, as versions 5 and 6 of the provider read it.
func TestTerraformLogGroup(t *testing.T) {
	t.Parallel()
	c := newClient(t, nil)
	name := aws.String("/ecs/app")
	must(t, c.logs.CreateLogGroup, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: name, Tags: map[string]string{"a": "1"}, LogGroupClass: types.LogGroupClassStandard})
	must(t, c.logs.CreateLogGroup, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String("/ecs/app-two")})
	read := func() types.LogGroup {
		var exact []types.LogGroup
		for _, g := range must(t, c.logs.DescribeLogGroups, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: name}).LogGroups {
			if *g.LogGroupName == *name {
				exact = append(exact, g)
			}
		}
		return oneOf(t, "group", exact)
	}
	absent(t, read(), "RetentionInDays", "KmsKeyId")
	must(t, c.logs.PutRetentionPolicy, &cloudwatchlogs.PutRetentionPolicyInput{LogGroupName: name, RetentionInDays: aws.Int32(30)})
	got := read()
	want(t, "group", []any{*got.RetentionInDays, got.LogGroupClass}, []any{int32(30), types.LogGroupClassStandard})
	arn := strings.TrimSuffix(*got.Arn, ":*")
	//lint:ignore SA1019 version 5 of Terraform's provider calls it
	want(t, "tags in version 5", must(t, c.logs.ListTagsLogGroup, &cloudwatchlogs.ListTagsLogGroupInput{LogGroupName: name}).Tags, map[string]string{"a": "1"})
	want(t, "tags in version 6", must(t, c.logs.ListTagsForResource, &cloudwatchlogs.ListTagsForResourceInput{ResourceArn: &arn}).Tags, map[string]string{"a": "1"})
	must(t, c.logs.DeleteRetentionPolicy, &cloudwatchlogs.DeleteRetentionPolicyInput{LogGroupName: name})
	absent(t, read(), "RetentionInDays")
	must(t, c.logs.DeleteLogGroup, &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: name})
	refused(t, "ResourceNotFoundException", c.logs.DeleteLogGroup, &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: name})
}

// TestTerraformRepository replays aws_ecr_repository and aws_ecr_lifecycle_policy.
func TestTerraformRepository(t *testing.T) {
	t.Parallel()
	c := newClient(t, nil)
	name := aws.String("team/app")
	must(t, c.ecr.CreateRepository, &ecr.CreateRepositoryInput{RepositoryName: name, ImageTagMutability: "MUTABLE"})
	got := oneOf(t, "repository", must(t, c.ecr.DescribeRepositories, &ecr.DescribeRepositoriesInput{RepositoryNames: []string{*name}}).Repositories)
	present(t, got, "RepositoryArn", "RepositoryUri", "RegistryId", "ImageTagMutability", "EncryptionConfiguration.EncryptionType", "ImageScanningConfiguration")
	must(t, c.ecr.ListTagsForResource, &ecr.ListTagsForResourceInput{ResourceArn: got.RepositoryArn})
	refused(t, "LifecyclePolicyNotFoundException", c.ecr.GetLifecyclePolicy, &ecr.GetLifecyclePolicyInput{RepositoryName: name})
	refused(t, "RepositoryPolicyNotFoundException", c.ecr.GetRepositoryPolicy, &ecr.GetRepositoryPolicyInput{RepositoryName: name})
	must(t, c.ecr.DeleteRepository, &ecr.DeleteRepositoryInput{RepositoryName: name, Force: false})
	gone(t, "RepositoryNotFoundException", c.ecr.DescribeRepositories, &ecr.DescribeRepositoriesInput{RepositoryNames: []string{*name}})
}
