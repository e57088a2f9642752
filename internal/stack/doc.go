// Package stack is the CloudFormation engine without CloudFormation's API: a template goes in, a plan comes out.
//
// [Parse] reads YAML or JSON into a [Template] and says what is wrong with it in AWS's words, with line, column and path.
// [Template.Resolve] binds parameters, [Scope] evaluates conditions and intrinsic functions, [Template.Graph] orders the
// resources, [Diff] compares what is deployed with what is asked for, and [MakePlan] puts it all into the two passes in
// which CloudFormation works: create and update in dependency order, then delete what is no longer wanted.
//
// Everything here is pure: no I/O, no clock, no goroutines. The resource types are data that the caller brings ([Types]);
// who runs a plan and keeps its progress is internal/api/cfn. Start at [Parse] and [MakePlan].
package stack
