package iam

import (
	"slices"
	"strings"
	"time"
)

// ManagedPolicy is a policy that AWS offers in every account.
type ManagedPolicy struct {
	Name     string
	Path     string
	Document string
	Created  time.Time
}

// ARN returns the policy's ARN.
func (p *ManagedPolicy) ARN() string { return managedPrefix + p.Path + p.Name }

const managedPrefix = "arn:aws:iam::aws:policy"

// Managed returns the AWS-managed policies that can be attached, by name. Only policies whose documents are small and known word by word are here;
// another one is answered as one that does not exist, so that nothing is attached whose content is a guess.
func Managed() []ManagedPolicy {
	since := time.Date(2015, 2, 6, 18, 40, 0, 0, time.UTC) // when AWS introduced managed policies
	allow := func(resource string, actions ...string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["` + strings.Join(actions, `","`) + `"],"Resource":"` + resource + `"}]}`
	}
	ecrRead := []string{
		"ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:GetRepositoryPolicy", "ecr:DescribeRepositories",
		"ecr:ListImages", "ecr:DescribeImages", "ecr:BatchGetImage", "ecr:GetLifecyclePolicy", "ecr:GetLifecyclePolicyPreview", "ecr:ListTagsForResource",
		"ecr:DescribeImageScanFindings",
	}
	return []ManagedPolicy{
		{Name: "AdministratorAccess", Path: "/", Created: since, Document: allow("*", "*")},
		{Name: "AmazonEC2ContainerRegistryPowerUser", Path: "/", Created: since, Document: allow("*", slices.Concat(ecrRead,
			[]string{"ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage"})...)},
		{Name: "AmazonEC2ContainerRegistryReadOnly", Path: "/", Created: since, Document: allow("*", ecrRead...)},
		{Name: "AmazonEC2ContainerServiceAutoscaleRole", Path: "/service-role/", Created: since, Document: `{"Version":"2012-10-17","Statement":[` +
			`{"Effect":"Allow","Action":["ecs:DescribeServices","ecs:UpdateService"],"Resource":["*"]},` +
			`{"Effect":"Allow","Action":["cloudwatch:DescribeAlarms","cloudwatch:PutMetricAlarm"],"Resource":["*"]}]}`},
		{Name: "AmazonECSTaskExecutionRolePolicy", Path: "/service-role/", Created: since, Document: allow("*",
			"ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage", "logs:CreateLogStream", "logs:PutLogEvents")},
		{Name: "AmazonS3FullAccess", Path: "/", Created: since, Document: allow("*", "s3:*", "s3-object-lambda:*")},
		{Name: "AmazonS3ReadOnlyAccess", Path: "/", Created: since, Document: allow("*", "s3:Get*", "s3:List*", "s3:Describe*", "s3-object-lambda:Get*", "s3-object-lambda:List*")},
		{Name: "AmazonSQSFullAccess", Path: "/", Created: since, Document: allow("*", "sqs:*")},
		{Name: "AmazonSSMManagedInstanceCore", Path: "/", Created: since, Document: `{"Version":"2012-10-17","Statement":[` +
			`{"Effect":"Allow","Action":["ssm:DescribeAssociation","ssm:GetDeployablePatchSnapshotForInstance","ssm:GetDocument","ssm:DescribeDocument","ssm:GetManifest",` +
			`"ssm:GetParameter","ssm:GetParameters","ssm:ListAssociations","ssm:ListInstanceAssociations","ssm:PutInventory","ssm:PutComplianceItems",` +
			`"ssm:PutConfigurePackageResult","ssm:UpdateAssociationStatus","ssm:UpdateInstanceAssociationStatus","ssm:UpdateInstanceInformation"],"Resource":"*"},` +
			`{"Effect":"Allow","Action":["ssmmessages:CreateControlChannel","ssmmessages:CreateDataChannel","ssmmessages:OpenControlChannel","ssmmessages:OpenDataChannel"],"Resource":"*"},` +
			`{"Effect":"Allow","Action":["ec2messages:AcknowledgeMessage","ec2messages:DeleteMessage","ec2messages:FailMessage","ec2messages:GetEndpoint",` +
			`"ec2messages:GetMessages","ec2messages:SendReply"],"Resource":"*"}]}`},
		{Name: "AWSLambdaBasicExecutionRole", Path: "/service-role/", Created: since, Document: allow("*", "logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")},
		{Name: "AWSXRayDaemonWriteAccess", Path: "/", Created: since, Document: allow("*",
			"xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets", "xray:GetSamplingStatisticSummaries")},
	}
}

// FindManaged returns the AWS-managed policy with an ARN.
func FindManaged(arn string) (*ManagedPolicy, bool) {
	if !strings.HasPrefix(arn, managedPrefix) {
		return nil, false
	}
	all := Managed()
	i := slices.IndexFunc(all, func(p ManagedPolicy) bool { return p.ARN() == arn })
	if i < 0 {
		return nil, false
	}
	return &all[i], true
}
