package model

import (
	"fmt"
	"strings"
)

// Scope is the account and region that a resource belongs to.
type Scope struct {
	Account string `json:"account"`
	Region  string `json:"region"`
}

// ARN is a parsed Amazon Resource Name: arn:aws:<service>:<region>:<account>:<resource>.
type ARN struct {
	Service, Region, Account, Resource string
}

// String returns the ARN in its written form.
func (a ARN) String() string {
	return "arn:aws:" + a.Service + ":" + a.Region + ":" + a.Account + ":" + a.Resource
}

// ParseARN parses the written form; ok is false when it is not one of the partition aws.
func ParseARN(s string) (a ARN, ok bool) {
	parts := strings.SplitN(s, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[1] != "aws" {
		return ARN{}, false
	}
	return ARN{Service: parts[2], Region: parts[3], Account: parts[4], Resource: parts[5]}, true
}

// ARN returns the ARN of a resource of a service in this scope.
func (s Scope) ARN(service, format string, args ...any) string {
	return ARN{Service: service, Region: s.Region, Account: s.Account, Resource: fmt.Sprintf(format, args...)}.String()
}

// ClusterARN and the functions after it build the ARNs of ECS resources (aws-facts 1.1).
func (s Scope) ClusterARN(name string) string { return s.ARN("ecs", "cluster/%s", name) }

// ServiceARN returns the long form of a service's ARN.
func (s Scope) ServiceARN(cluster, name string) string {
	return s.ARN("ecs", "service/%s/%s", cluster, name)
}

// TaskARN returns the long form of a task's ARN.
func (s Scope) TaskARN(cluster, id string) string { return s.ARN("ecs", "task/%s/%s", cluster, id) }

// TaskDefinitionARN returns the ARN of a revision.
func (s Scope) TaskDefinitionARN(family string, revision int) string {
	return s.ARN("ecs", "task-definition/%s:%d", family, revision)
}

// ContainerARN returns the ARN of a container of a task.
func (s Scope) ContainerARN(cluster, taskID, uuid string) string {
	return s.ARN("ecs", "container/%s/%s/%s", cluster, taskID, uuid)
}

// LoadBalancerARN returns an ALB's ARN; id is 16 hexadecimal digits.
func (s Scope) LoadBalancerARN(name, id string) string {
	return s.ARN("elasticloadbalancing", "loadbalancer/app/%s/%s", name, id)
}

// ListenerARN returns the ARN of a listener of a load balancer.
func (s Scope) ListenerARN(lbName, lbID, id string) string {
	return s.ARN("elasticloadbalancing", "listener/app/%s/%s/%s", lbName, lbID, id)
}

// RuleARN returns the ARN of a rule of a listener.
func (s Scope) RuleARN(lbName, lbID, listenerID, id string) string {
	return s.ARN("elasticloadbalancing", "listener-rule/app/%s/%s/%s/%s", lbName, lbID, listenerID, id)
}

// TargetGroupARN returns a target group's ARN; id is 16 hexadecimal digits.
func (s Scope) TargetGroupARN(name, id string) string {
	return s.ARN("elasticloadbalancing", "targetgroup/%s/%s", name, id)
}

// RoleARN returns a role's ARN; path begins and ends with a slash.
func (s Scope) RoleARN(path, name string) string {
	return ARN{Service: "iam", Account: s.Account, Resource: "role" + path + name}.String()
}

// PolicyARN returns a customer-managed policy's ARN; path begins and ends with a slash.
func (s Scope) PolicyARN(path, name string) string {
	return ARN{Service: "iam", Account: s.Account, Resource: "policy" + path + name}.String()
}

// AssumedRoleARN returns the principal of a session of a role.
func (s Scope) AssumedRoleARN(role, session string) string {
	return ARN{Service: "sts", Account: s.Account, Resource: "assumed-role/" + role + "/" + session}.String()
}

// LogGroupARN returns a log group's ARN without the trailing `:*`.
func (s Scope) LogGroupARN(name string) string { return s.ARN("logs", "log-group:%s", name) }

// RepositoryARN returns an ECR repository's ARN.
func (s Scope) RepositoryARN(name string) string { return s.ARN("ecr", "repository/%s", name) }

// RepositoryHost returns the registry's host name.
func (s Scope) RepositoryHost() string {
	return s.Account + ".dkr.ecr." + s.Region + ".amazonaws.com"
}

// StackARN returns a stack's identifier.
func (s Scope) StackARN(name, uuid string) string {
	return s.ARN("cloudformation", "stack/%s/%s", name, uuid)
}

// ChangeSetARN returns a change set's identifier.
func (s Scope) ChangeSetARN(name, uuid string) string {
	return s.ARN("cloudformation", "changeSet/%s/%s", name, uuid)
}

// LastSegment returns what follows the last slash of an ARN or a name.
func LastSegment(s string) string { return s[strings.LastIndexByte(s, '/')+1:] }
