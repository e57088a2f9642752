package compat

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// recorded are the operations of two real stacks, as Terraform called them (../shared/calls), by the manifest's names.
var recorded = map[string]string{
	"ec2": `AllocateAddress AssociateRouteTable AttachInternetGateway AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress CreateInternetGateway
		CreateNatGateway CreateNetworkAclEntry CreateRoute CreateRouteTable CreateSecurityGroup CreateSubnet CreateTags CreateVpc CreateVpcEndpoint DeleteInternetGateway
		DeleteNatGateway DeleteNetworkAclEntry DeleteRoute DeleteRouteTable DeleteSecurityGroup DeleteSubnet DeleteVpc DeleteVpcEndpoints DescribeAddresses
		DescribeAvailabilityZones DescribeInternetGateways DescribeNatGateways DescribeNetworkAcls DescribeNetworkInterfaces DescribePrefixLists
		DescribeRouteTables DescribeSecurityGroupRules DescribeSecurityGroups DescribeSubnets DescribeVpcAttribute DescribeVpcEndpoints DescribeVpcs
		DetachInternetGateway DisassociateAddress DisassociateRouteTable ModifySubnetAttribute ModifyVpcAttribute ReleaseAddress
		RevokeSecurityGroupEgress RevokeSecurityGroupIngress`,
	"ecs": `CreateCluster CreateService DeleteCluster DeleteService DeregisterTaskDefinition DescribeClusters DescribeServices DescribeTaskDefinition
		PutClusterCapacityProviders RegisterTaskDefinition UpdateService`,
	"elbv2": `CreateListener CreateLoadBalancer CreateRule CreateTargetGroup DeleteListener DeleteLoadBalancer DeleteRule DeleteTargetGroup
		DescribeListeners DescribeLoadBalancerAttributes DescribeLoadBalancers DescribeRules DescribeTags DescribeTargetGroupAttributes DescribeTargetGroups
		ModifyLoadBalancerAttributes ModifyTargetGroupAttributes`,
	"iam": `AttachRolePolicy CreatePolicy CreateRole DeleteRole DeleteRolePolicy GetPolicy GetPolicyVersion GetRole GetRolePolicy GetUser
		ListAttachedRolePolicies ListInstanceProfilesForRole ListRolePolicies PutRolePolicy`,
	"logs":                    `CreateLogGroup DeleteLogGroup DescribeLogGroups ListTagsLogGroup PutRetentionPolicy`,
	"sts":                     `GetCallerIdentity`,
	"servicediscovery":        `CreateHttpNamespace DeleteNamespace GetNamespace GetOperation ListTagsForResource`,
	"application-autoscaling": `DescribeScalableTargets ListTagsForResource RegisterScalableTarget`,
}

// later are those of them that come with another piece of work, by what brings them. A new operation leaves this list.
var later = map[string]string{
	"ec2 CreateNetworkAclEntry":                       "issue 3, the whole VPC",
	"ec2 DeleteNetworkAclEntry":                       "issue 3, the whole VPC",
	"ec2 CreateVpcEndpoint":                           "issue 3, the whole VPC",
	"ec2 DeleteVpcEndpoints":                          "issue 3, the whole VPC",
	"servicediscovery CreateHttpNamespace":            "an issue of its own: Cloud Map",
	"servicediscovery DeleteNamespace":                "an issue of its own: Cloud Map",
	"servicediscovery GetNamespace":                   "an issue of its own: Cloud Map",
	"servicediscovery GetOperation":                   "an issue of its own: Cloud Map",
	"servicediscovery ListTagsForResource":            "an issue of its own: Cloud Map",
	"application-autoscaling DescribeScalableTargets": "an issue of its own: Application Auto Scaling",
	"application-autoscaling ListTagsForResource":     "an issue of its own: Application Auto Scaling",
	"application-autoscaling RegisterScalableTarget":  "an issue of its own: Application Auto Scaling",
}

// TestRecordedCalls demands the operations of real stacks, but for those that are named as coming later.
func TestRecordedCalls(t *testing.T) {
	there := manifest(t)
	var missing, named []string
	for service, operations := range recorded {
		for operation := range strings.FieldsSeq(operations) {
			if name := service + " " + operation; !slices.Contains(there, name) {
				missing = append(missing, name)
			}
		}
	}
	for name, why := range later {
		named = append(named, name)
		t.Logf("later, with %s: %s", why, name)
	}
	slices.Sort(missing)
	slices.Sort(named)
	if diff := cmp.Diff(named, missing); diff != "" {
		t.Errorf("operations of real stacks that are not there (-named in later, +missing):\n%s", diff)
	}
}

// TestNotThere demands a quick, clear refusal of what is not there: after a 5xx Terraform tries 25 times.
func TestNotThere(t *testing.T) {
	t.Parallel()
	c := newClient(t, nil)
	for service, version := range map[string]string{"ec2": "2016-11-15", "elasticloadbalancing": "2015-12-01", "iam": "2010-05-08"} {
		status, body := c.form(service, url.Values{"Action": {"CreateNothing"}, "Version": {version}})
		if status != 400 || !strings.Contains(body, "<Code>InvalidAction</Code>") {
			t.Errorf("%s: %d %s", service, status, body)
		}
	}
	for _, w := range []wrong{
		{operation: "CreateNetworkAcl", input: "{" + noVPC + "}", code: "InvalidAction"},
		{operation: "CreateVpcEndpoint", input: "{" + noVPC + ", 'ServiceName': 'com.amazonaws.us-east-1.s3'}", code: "InvalidAction"},
	} {
		w.try(c, "ec2")
	}
	_, err := c.any.Call(t.Context(), "ecs", "ListServiceDeployments", []byte(`{"Service":"web"}`))
	want(t, "code of an unknown ECS operation", codeOf(err), "UnknownOperationException")
}
