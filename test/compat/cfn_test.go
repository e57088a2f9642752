package compat

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

const smallStack = `
Parameters:
  Days: {Type: Number, Default: 7}
Resources:
  Group:
    Type: AWS::Logs::LogGroup
    Properties: {RetentionInDays: !Ref Days}
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {Service: ecs-tasks.amazonaws.com}, Action: "sts:AssumeRole"}]
Outputs:
  Name: {Value: !Ref Group, Export: {Name: !Sub "${AWS::StackName}-Name"}}
`

const importingStack = `
Resources:
  Group:
    Type: AWS::Logs::LogGroup
    Properties: {LogGroupName: !Sub ["${N}-more", {N: !ImportValue base-Name}]}
`

func (c *client) stackParameters(days string) []types.Parameter {
	return []types.Parameter{{ParameterKey: aws.String("Days"), ParameterValue: &days}}
}

func (c *client) stackCreated(name string) types.Stack {
	c.t.Helper()
	waiter := cloudformation.NewStackCreateCompleteWaiter(c.cfn, func(o *cloudformation.StackCreateCompleteWaiterOptions) { o.MinDelay, o.MaxDelay = quick, quick })
	out, err := waiter.WaitForOutput(c.t.Context(), &cloudformation.DescribeStacksInput{StackName: &name}, patience)
	if err != nil {
		c.t.Fatal(err)
	}
	return out.Stacks[0]
}

func (c *client) stackIs(name string, status types.StackStatus) types.Stack {
	c.t.Helper()
	return eventually(c.t, c.cfn.DescribeStacks, &cloudformation.DescribeStacksInput{StackName: &name}, func(o *cloudformation.DescribeStacksOutput) bool { return o.Stacks[0].StackStatus == status }).Stacks[0]
}

func scenarioCFN(c *client) {
	t := c.t
	iam := []types.Capability{types.CapabilityCapabilityIam}
	valid := must(t, c.cfn.ValidateTemplate, &cloudformation.ValidateTemplateInput{TemplateBody: aws.String(smallStack)})
	want(t, "template", []any{len(valid.Parameters), valid.Capabilities}, []any{1, iam})
	must(t, c.cfn.CreateStack, &cloudformation.CreateStackInput{StackName: aws.String("base"), TemplateBody: aws.String(smallStack), Capabilities: iam, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}}})
	refused(t, "AlreadyExistsException", c.cfn.CreateStack, &cloudformation.CreateStackInput{StackName: aws.String("base"), TemplateBody: aws.String(smallStack), Capabilities: iam})
	stack := c.stackCreated("base")
	present(t, stack, "StackId", "CreationTime", "Tags", "Outputs", "Parameters", "Capabilities")
	want(t, "export", *stack.Outputs[0].ExportName, "base-Name")
	c.cfnReads(stack)

	must(t, c.cfn.CreateStack, &cloudformation.CreateStackInput{StackName: aws.String("user"), TemplateBody: aws.String(importingStack)})
	c.stackCreated("user")
	want(t, "exports", *must(t, c.cfn.ListExports, &cloudformation.ListExportsInput{}).Exports[0].Name, "base-Name")
	want(t, "imports", must(t, c.cfn.ListImports, &cloudformation.ListImportsInput{ExportName: aws.String("base-Name")}).Imports, []string{"user"})
	refused(t, "ValidationError", c.cfn.DeleteStack, &cloudformation.DeleteStackInput{StackName: aws.String("base")})

	must(t, c.cfn.UpdateStack, &cloudformation.UpdateStackInput{StackName: aws.String("base"), UsePreviousTemplate: aws.Bool(true), Capabilities: iam, Parameters: c.stackParameters("14")})
	updated := cloudformation.NewStackUpdateCompleteWaiter(c.cfn, func(o *cloudformation.StackUpdateCompleteWaiterOptions) { o.MinDelay, o.MaxDelay = quick, quick })
	if err := updated.Wait(t.Context(), &cloudformation.DescribeStacksInput{StackName: aws.String("base")}, patience); err != nil {
		t.Fatal(err)
	}
	if text := refused(t, "ValidationError", c.cfn.UpdateStack, &cloudformation.UpdateStackInput{StackName: aws.String("base"), UsePreviousTemplate: aws.Bool(true), Capabilities: iam, Parameters: c.stackParameters("14")}); text != "No updates are to be performed." {
		t.Errorf("got %q", text)
	}
	c.cfnChangeSets(iam)
	c.cfnRollback()

	must(t, c.cfn.UpdateTerminationProtection, &cloudformation.UpdateTerminationProtectionInput{StackName: aws.String("user"), EnableTerminationProtection: aws.Bool(true)})
	refused(t, "ValidationError", c.cfn.DeleteStack, &cloudformation.DeleteStackInput{StackName: aws.String("user")})
	must(t, c.cfn.UpdateTerminationProtection, &cloudformation.UpdateTerminationProtectionInput{StackName: aws.String("user"), EnableTerminationProtection: aws.Bool(false)})
	for _, name := range []string{"user", "base"} {
		must(t, c.cfn.DeleteStack, &cloudformation.DeleteStackInput{StackName: &name})
		deleted := cloudformation.NewStackDeleteCompleteWaiter(c.cfn, func(o *cloudformation.StackDeleteCompleteWaiterOptions) { o.MinDelay, o.MaxDelay = quick, quick })
		if err := deleted.Wait(t.Context(), &cloudformation.DescribeStacksInput{StackName: &name}, patience); err != nil {
			t.Fatal(err)
		}
	}
	want(t, "the deleted one by its ARN", must(t, c.cfn.DescribeStacks, &cloudformation.DescribeStacksInput{StackName: stack.StackId}).Stacks[0].StackStatus, types.StackStatusDeleteComplete)
	want(t, "log groups", len(must(t, c.logs.DescribeLogGroups, &cloudwatchlogs.DescribeLogGroupsInput{}).LogGroups), 0)
}

func (c *client) cfnReads(stack types.Stack) {
	t, name := c.t, stack.StackName
	var events []types.StackEvent
	for p := cloudformation.NewDescribeStackEventsPaginator(c.cfn, &cloudformation.DescribeStackEventsInput{StackName: name}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, page.StackEvents...)
	}
	want(t, "newest event", []any{*events[0].PhysicalResourceId, events[0].ResourceStatus}, []any{*stack.StackId, types.ResourceStatusCreateComplete})
	for _, e := range events {
		present(t, e, "EventId", "Timestamp", "ResourceStatus", "LogicalResourceId", "ResourceType")
	}
	want(t, "resource", *must(t, c.cfn.DescribeStackResource, &cloudformation.DescribeStackResourceInput{StackName: name, LogicalResourceId: aws.String("Group")}).StackResourceDetail.ResourceType, "AWS::Logs::LogGroup")
	want(t, "resources", len(must(t, c.cfn.DescribeStackResources, &cloudformation.DescribeStackResourcesInput{StackName: name}).StackResources), 2)
	want(t, "resource list", len(must(t, c.cfn.ListStackResources, &cloudformation.ListStackResourcesInput{StackName: name}).StackResourceSummaries), 2)
	want(t, "template", *must(t, c.cfn.GetTemplate, &cloudformation.GetTemplateInput{StackName: name, TemplateStage: types.TemplateStageOriginal}).TemplateBody, smallStack)
	want(t, "summary", len(must(t, c.cfn.GetTemplateSummary, &cloudformation.GetTemplateSummaryInput{StackName: name}).Parameters), 1)
	want(t, "stacks", len(must(t, c.cfn.ListStacks, &cloudformation.ListStacksInput{StackStatusFilter: []types.StackStatus{types.StackStatusCreateComplete}}).StackSummaries), 1)
	absent(t, must(t, c.cfn.GetStackPolicy, &cloudformation.GetStackPolicyInput{StackName: name}), "StackPolicyBody")
}

func (c *client) cfnChangeSets(iam []types.Capability) {
	t := c.t
	for _, name := range []string{"same", "days", "drop"} {
		days := map[string]string{"same": "14", "days": "30", "drop": "60"}[name]
		must(t, c.cfn.CreateChangeSet, &cloudformation.CreateChangeSetInput{StackName: aws.String("base"), ChangeSetName: &name, UsePreviousTemplate: aws.Bool(true), Capabilities: iam, Parameters: c.stackParameters(days)})
	}
	set := func(name string) *cloudformation.DescribeChangeSetInput {
		return &cloudformation.DescribeChangeSetInput{StackName: aws.String("base"), ChangeSetName: &name}
	}
	waiter := cloudformation.NewChangeSetCreateCompleteWaiter(c.cfn, func(o *cloudformation.ChangeSetCreateCompleteWaiterOptions) { o.MinDelay, o.MaxDelay = quick, quick })
	for _, name := range []string{"days", "drop"} {
		if err := waiter.Wait(t.Context(), set(name), patience); err != nil {
			t.Fatal(err)
		}
	}
	same := eventually(t, c.cfn.DescribeChangeSet, set("same"), func(o *cloudformation.DescribeChangeSetOutput) bool { return o.Status == types.ChangeSetStatusFailed })
	if !strings.HasPrefix(*same.StatusReason, "The submitted information didn't contain changes.") {
		t.Errorf("reason of the empty change set: %q", *same.StatusReason)
	}
	change := must(t, c.cfn.DescribeChangeSet, set("days")).Changes
	if len(change) != 1 || change[0].ResourceChange.Action != types.ChangeActionModify || *change[0].ResourceChange.LogicalResourceId != "Group" {
		t.Errorf("changes: %+v", change)
	}
	want(t, "change sets", len(must(t, c.cfn.ListChangeSets, &cloudformation.ListChangeSetsInput{StackName: aws.String("base")}).Summaries), 3)
	must(t, c.cfn.DeleteChangeSet, &cloudformation.DeleteChangeSetInput{StackName: aws.String("base"), ChangeSetName: aws.String("drop")})
	gone(t, "ChangeSetNotFound", c.cfn.DescribeChangeSet, set("drop"))
	must(t, c.cfn.ExecuteChangeSet, &cloudformation.ExecuteChangeSetInput{StackName: aws.String("base"), ChangeSetName: aws.String("days")})
	c.stackIs("base", types.StackStatusUpdateComplete)
	eventually(t, c.logs.DescribeLogGroups, &cloudwatchlogs.DescribeLogGroupsInput{}, func(o *cloudwatchlogs.DescribeLogGroupsOutput) bool {
		return slices.ContainsFunc(o.LogGroups, func(g logtypes.LogGroup) bool { return aws.ToInt32(g.RetentionInDays) == 30 })
	})
}

const rollingStack = `
Parameters:
  Days: {Type: Number, Default: 7}
  More: {Type: String, Default: "no"}
Conditions:
  More: !Equals [!Ref More, "yes"]
Resources:
  Group:
    Type: AWS::Logs::LogGroup
    Properties: {LogGroupName: rolling, RetentionInDays: !Ref Days}
  VPC: {Type: "AWS::EC2::VPC", Properties: {CidrBlock: 10.0.0.0/16}}
  Subnet: {Type: "AWS::EC2::Subnet", Properties: {VpcId: !Ref VPC, CidrBlock: 10.0.0.0/24}}
  Gateway: {Type: "AWS::EC2::InternetGateway"}
  Attachment: {Type: "AWS::EC2::VPCGatewayAttachment", Properties: {VpcId: !Ref VPC, InternetGatewayId: !Ref Gateway}}
  Address: {Type: "AWS::EC2::EIP", DependsOn: Attachment, Properties: {Domain: vpc}}
  NAT:
    Type: AWS::EC2::NatGateway
    Condition: More
    Properties: {SubnetId: !Ref Subnet, AllocationId: !GetAtt Address.AllocationId}
`

// cfnRollback holds an update at a NAT gateway that the host does not make, cancels it, and lets the way back fail first.
func (c *client) cfnRollback() {
	t, name := c.t, aws.String("rolling")
	must(t, c.cfn.CreateStack, &cloudformation.CreateStackInput{StackName: name, TemplateBody: aws.String(rollingStack)})
	c.stackCreated(*name)
	c.paused.Store(true)
	must(t, c.cfn.UpdateStack, &cloudformation.UpdateStackInput{StackName: name, UsePreviousTemplate: aws.Bool(true), Parameters: append(c.stackParameters("14"), types.Parameter{ParameterKey: aws.String("More"), ParameterValue: aws.String("yes")})})
	eventually(t, c.cfn.DescribeStackResources, &cloudformation.DescribeStackResourcesInput{StackName: name}, func(o *cloudformation.DescribeStackResourcesOutput) bool {
		var changed, waits bool
		for _, r := range o.StackResources {
			changed = changed || *r.LogicalResourceId == "Group" && r.ResourceStatus == types.ResourceStatusUpdateComplete
			waits = waits || *r.LogicalResourceId == "NAT" && r.ResourceStatus == types.ResourceStatusCreateInProgress
		}
		return changed && waits
	})
	must(t, c.logs.DeleteLogGroup, &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: aws.String("rolling")})
	must(t, c.cfn.CancelUpdateStack, &cloudformation.CancelUpdateStackInput{StackName: name})
	c.paused.Store(false)
	c.stackIs(*name, types.StackStatusUpdateRollbackFailed)
	must(t, c.logs.CreateLogGroup, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String("rolling")})
	must(t, c.cfn.ContinueUpdateRollback, &cloudformation.ContinueUpdateRollbackInput{StackName: name})
	waiter := cloudformation.NewStackRollbackCompleteWaiter(c.cfn, func(o *cloudformation.StackRollbackCompleteWaiterOptions) { o.MinDelay, o.MaxDelay = quick, quick })
	if err := waiter.Wait(t.Context(), &cloudformation.DescribeStacksInput{StackName: name}, patience); err != nil {
		t.Error(err)
	}
	must(t, c.cfn.DeleteStack, &cloudformation.DeleteStackInput{StackName: name})
	gone(t, "ValidationError", c.cfn.DescribeStacks, &cloudformation.DescribeStacksInput{StackName: name})
}

const noStack = "'StackName': 'nothing'"

var wrongCFN = []wrong{
	{operation: "CreateStack", input: `{'StackName': 'x', 'TemplateBody': 'Resources: {}'}`, code: "ValidationError"},
	{operation: "CreateStack", input: `{'StackName': 'x', 'TemplateBody': 'Resources: {A: {Type: AWS::Nothing::Here}}'}`, code: "ValidationError", says: "AWS::Nothing::Here"},
	{operation: "UpdateStack", input: "{" + noStack + ", 'UsePreviousTemplate': true}", code: "ValidationError", says: "does not exist"},
	{operation: "DescribeStacks", input: "{" + noStack + "}", code: "ValidationError", says: "Stack with id nothing does not exist"},
	{operation: "ListStacks", input: `{'StackStatusFilter': ['NONSENSE']}`, code: "ValidationError"},
	{operation: "DescribeStackEvents", input: "{" + noStack + "}", code: "ValidationError", says: "Stack [nothing] does not exist"},
	{operation: "DescribeStackResource", input: "{" + noStack + ", 'LogicalResourceId': 'A'}", code: "ValidationError"},
	{operation: "DescribeStackResources", input: "{" + noStack + "}", code: "ValidationError"},
	{operation: "ListStackResources", input: "{" + noStack + "}", code: "ValidationError"},
	{operation: "GetTemplate", input: "{" + noStack + "}", code: "ValidationError"},
	{operation: "GetTemplateSummary", input: "{" + noStack + "}", code: "ValidationError"},
	{operation: "ValidateTemplate", input: `{'TemplateBody': 'nonsense'}`, code: "ValidationError"},
	{operation: "ListExports", input: `{'NextToken': 'nonsense'}`, code: "ValidationError"},
	{operation: "ListImports", input: `{'ExportName': 'nothing'}`, code: "ValidationError"},
	{operation: "CreateChangeSet", input: "{" + noStack + ", 'ChangeSetName': 'x', 'ChangeSetType': 'UPDATE', 'UsePreviousTemplate': true}", code: "ValidationError"},
	{operation: "DescribeChangeSet", input: "{" + noStack + ", 'ChangeSetName': 'x'}", code: "ValidationError"},
	{operation: "DescribeChangeSet", input: `{'ChangeSetName': 'arn:aws:cloudformation:us-east-1:000000000000:changeSet/x/1'}`, code: "ChangeSetNotFound"},
	{operation: "ExecuteChangeSet", input: `{'ChangeSetName': 'arn:aws:cloudformation:us-east-1:000000000000:changeSet/x/1'}`, code: "ChangeSetNotFound"},
	{operation: "DeleteChangeSet", input: "{" + noStack + ", 'ChangeSetName': 'x'}", code: "ValidationError"},
	{operation: "ListChangeSets", input: "{" + noStack + "}", code: "ValidationError"},
	{operation: "CancelUpdateStack", input: "{" + noStack + "}", code: "ValidationError"},
	{operation: "ContinueUpdateRollback", input: "{" + noStack + "}", code: "ValidationError"},
	{operation: "SetStackPolicy", input: "{" + noStack + ", 'StackPolicyBody': '{}'}", code: "ValidationError"},
	{operation: "GetStackPolicy", input: "{" + noStack + "}", code: "ValidationError"},
	{operation: "UpdateTerminationProtection", input: "{" + noStack + ", 'EnableTerminationProtection': true}", code: "ValidationError"},
}
