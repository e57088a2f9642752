package elbv2

import (
	"strings"
	"testing"

	api "github.com/neargate/neargate/internal/awsapi/elbv2api"
)

// A configuration of another type than the action's would be ignored, so it is refused by name.
func TestActionsHaveOnlyTheirConfiguration(t *testing.T) {
	fixed := &api.FixedResponseActionConfig{StatusCode: ptr("404")}
	for name, c := range map[string]api.Action{
		"AuthenticateOidcConfig":    {Type: "fixed-response", FixedResponseConfig: fixed, AuthenticateOidcConfig: &api.AuthenticateOidcActionConfig{}},
		"AuthenticateCognitoConfig": {Type: "fixed-response", FixedResponseConfig: fixed, AuthenticateCognitoConfig: &api.AuthenticateCognitoActionConfig{}},
		"JwtValidationConfig":       {Type: "fixed-response", FixedResponseConfig: fixed, JwtValidationConfig: &api.JwtValidationActionConfig{}},
		"RedirectConfig":            {Type: "fixed-response", FixedResponseConfig: fixed, RedirectConfig: &api.RedirectActionConfig{}},
		"TargetGroupArn":            {Type: "fixed-response", FixedResponseConfig: fixed, TargetGroupArn: ptr("arn")},
		"FixedResponseConfig":       {Type: "forward", TargetGroupArn: ptr("arn"), FixedResponseConfig: fixed},
	} {
		if _, err := parseAction(c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := parseAction(api.Action{Type: "fixed-response", FixedResponseConfig: fixed, TargetGroupArn: ptr("")}); err != nil {
		t.Error(err)
	}
}

// The same for conditions. What DescribeRules answers, which has values twice, can be sent back.
func TestConditionsHaveOnlyTheirMember(t *testing.T) {
	hosts := &api.HostHeaderConditionConfig{Values: []string{"a.example.com"}}
	for name, c := range map[string]api.RuleCondition{
		"PathPatternConfig": {Field: ptr("host-header"), HostHeaderConfig: hosts, PathPatternConfig: &api.PathPatternConditionConfig{}},
		"not both":          {Field: ptr("host-header"), HostHeaderConfig: hosts, Values: []string{"b.example.com"}},
		"SourceIpConfig":    {Field: ptr("path-pattern"), Values: []string{"/a"}, SourceIpConfig: &api.SourceIpConditionConfig{}},
	} {
		if _, err := parseCondition(c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := parseCondition(api.RuleCondition{Field: ptr("host-header"), HostHeaderConfig: hosts, Values: hosts.Values}); err != nil {
		t.Error(err)
	}
}
