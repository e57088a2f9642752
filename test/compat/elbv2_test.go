package compat

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

func scenarioELB(c *client) {
	s := c.makeSite()
	balancer := c.elbBalancers(s)
	group := c.elbGroups(s)
	c.elbListeners(balancer, group)
	c.elbTargets(s, balancer, group)
	c.elbTags(balancer, group)
	c.elbDelete(balancer)
}

func (c *client) makeBalancer(name string, subnets []string) types.LoadBalancer {
	c.t.Helper()
	arn := must(c.t, c.elb.CreateLoadBalancer, &elb.CreateLoadBalancerInput{Name: &name, Subnets: subnets}).LoadBalancers[0].LoadBalancerArn
	waiter := elb.NewLoadBalancerAvailableWaiter(c.elb, func(o *elb.LoadBalancerAvailableWaiterOptions) { o.MinDelay, o.MaxDelay = quick, quick })
	got, err := waiter.WaitForOutput(c.t.Context(), &elb.DescribeLoadBalancersInput{LoadBalancerArns: []string{*arn}}, patience)
	if err != nil {
		c.t.Fatal(err)
	}
	return got.LoadBalancers[0]
}

func (c *client) makeGroup(name, vpc string) string {
	c.t.Helper()
	return *must(c.t, c.elb.CreateTargetGroup, &elb.CreateTargetGroupInput{Name: &name, VpcId: &vpc, Port: aws.Int32(80), Protocol: types.ProtocolEnumHttp, TargetType: types.TargetTypeEnumIp}).TargetGroups[0].TargetGroupArn
}

func (c *client) elbBalancers(s site) string {
	t := c.t
	balancer := c.makeBalancer("web", s.subnets)
	present(t, balancer, "DNSName", "CanonicalHostedZoneId", "VpcId", "Scheme", "Type", "IpAddressType", "SecurityGroups", "CreatedTime", "State.Code")
	want(t, "zones", len(balancer.AvailabilityZones), 2)
	exists := elb.NewLoadBalancerExistsWaiter(c.elb, func(o *elb.LoadBalancerExistsWaiterOptions) { o.MinDelay, o.MaxDelay = quick, quick })
	if err := exists.Wait(t.Context(), &elb.DescribeLoadBalancersInput{Names: []string{"web"}}, patience); err != nil {
		t.Fatal(err)
	}
	refused(t, "DuplicateLoadBalancerName", c.elb.CreateLoadBalancer, &elb.CreateLoadBalancerInput{Name: aws.String("web"), Subnets: s.subnets, Scheme: types.LoadBalancerSchemeEnumInternal})
	for i := range 3 {
		c.makeBalancer(fmt.Sprint("more-", i), s.subnets)
	}
	seen := 0
	for p := elb.NewDescribeLoadBalancersPaginator(c.elb, &elb.DescribeLoadBalancersInput{PageSize: aws.Int32(2)}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		seen += len(page.LoadBalancers)
	}
	want(t, "load balancers of the pages", seen, 4)
	arn := balancer.LoadBalancerArn
	must(t, c.elb.ModifyLoadBalancerAttributes, &elb.ModifyLoadBalancerAttributesInput{LoadBalancerArn: arn, Attributes: []types.LoadBalancerAttribute{{Key: aws.String("idle_timeout.timeout_seconds"), Value: aws.String("30")}}})
	attributes := map[string]string{}
	for _, a := range must(t, c.elb.DescribeLoadBalancerAttributes, &elb.DescribeLoadBalancerAttributesInput{LoadBalancerArn: arn}).Attributes {
		attributes[*a.Key] = aws.ToString(a.Value)
	}
	want(t, "idle timeout", attributes["idle_timeout.timeout_seconds"], "30")
	want(t, "deletion protection", attributes["deletion_protection.enabled"], "false")
	group := must(t, c.ec2.CreateSecurityGroup, &ec2.CreateSecurityGroupInput{GroupName: aws.String("alb"), Description: aws.String("d"), VpcId: &s.vpc}).GroupId
	want(t, "groups", must(t, c.elb.SetSecurityGroups, &elb.SetSecurityGroupsInput{LoadBalancerArn: arn, SecurityGroups: []string{*group}}).SecurityGroupIds, []string{*group})
	want(t, "subnets", len(must(t, c.elb.SetSubnets, &elb.SetSubnetsInput{LoadBalancerArn: arn, Subnets: s.subnets}).AvailabilityZones), 2)
	want(t, "address type", must(t, c.elb.SetIpAddressType, &elb.SetIpAddressTypeInput{LoadBalancerArn: arn, IpAddressType: types.IpAddressTypeIpv4}).IpAddressType, types.IpAddressTypeIpv4)
	reservation := must(t, c.elb.DescribeCapacityReservation, &elb.DescribeCapacityReservationInput{LoadBalancerArn: arn})
	want(t, "reservation", reservation.MinimumLoadBalancerCapacity == nil, true)
	must(t, c.elb.DescribeAccountLimits, &elb.DescribeAccountLimitsInput{})
	must(t, c.elb.DescribeSSLPolicies, &elb.DescribeSSLPoliciesInput{})
	return *arn
}

func (c *client) elbGroups(s site) string {
	t := c.t
	arn := c.makeGroup("web", s.vpc)
	want(t, "the same again", c.makeGroup("web", s.vpc), arn)
	refused(t, "DuplicateTargetGroupName", c.elb.CreateTargetGroup, &elb.CreateTargetGroupInput{Name: aws.String("web"), VpcId: &s.vpc, Port: aws.Int32(81), Protocol: types.ProtocolEnumHttp, TargetType: types.TargetTypeEnumIp})
	changed := must(t, c.elb.ModifyTargetGroup, &elb.ModifyTargetGroupInput{TargetGroupArn: &arn, HealthCheckPath: aws.String("/health"), HealthCheckIntervalSeconds: aws.Int32(10), Matcher: &types.Matcher{HttpCode: aws.String("200-299")}}).TargetGroups[0]
	want(t, "health check", []any{*changed.HealthCheckPath, *changed.HealthCheckIntervalSeconds, *changed.Matcher.HttpCode, *changed.HealthCheckPort}, []any{"/health", int32(10), "200-299", "traffic-port"})
	must(t, c.elb.ModifyTargetGroupAttributes, &elb.ModifyTargetGroupAttributesInput{TargetGroupArn: &arn, Attributes: []types.TargetGroupAttribute{{Key: aws.String("deregistration_delay.timeout_seconds"), Value: aws.String("20")}}})
	attributes := map[string]string{}
	for _, a := range must(t, c.elb.DescribeTargetGroupAttributes, &elb.DescribeTargetGroupAttributesInput{TargetGroupArn: &arn}).Attributes {
		attributes[*a.Key] = aws.ToString(a.Value)
	}
	want(t, "delay", attributes["deregistration_delay.timeout_seconds"], "20")
	for i := range 3 {
		c.makeGroup(fmt.Sprint("more-", i), s.vpc)
	}
	seen := 0
	for p := elb.NewDescribeTargetGroupsPaginator(c.elb, &elb.DescribeTargetGroupsInput{PageSize: aws.Int32(3)}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		seen += len(page.TargetGroups)
	}
	want(t, "groups of the pages", seen, 4)
	return arn
}

func (c *client) elbListeners(balancer, group string) {
	t := c.t
	create := &elb.CreateListenerInput{LoadBalancerArn: &balancer, Port: aws.Int32(80), Protocol: types.ProtocolEnumHttp, DefaultActions: []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: &group}}}
	listener := must(t, c.elb.CreateListener, create).Listeners[0].ListenerArn
	want(t, "the same again", *must(t, c.elb.CreateListener, create).Listeners[0].ListenerArn, *listener)
	other := *create
	other.DefaultActions = fixed("404", "nothing")
	refused(t, "DuplicateListener", c.elb.CreateListener, &other)
	other.Port = aws.Int32(81)
	second := must(t, c.elb.CreateListener, &other).Listeners[0].ListenerArn
	want(t, "port", *must(t, c.elb.ModifyListener, &elb.ModifyListenerInput{ListenerArn: second, Port: aws.Int32(82)}).Listeners[0].Port, int32(82))
	want(t, "by ARN", len(must(t, c.elb.DescribeListeners, &elb.DescribeListenersInput{ListenerArns: []string{*listener}}).Listeners), 1)
	seen := 0
	for p := elb.NewDescribeListenersPaginator(c.elb, &elb.DescribeListenersInput{LoadBalancerArn: &balancer, PageSize: aws.Int32(1)}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		seen += len(page.Listeners)
	}
	want(t, "listeners of the pages", seen, 2)
	must(t, c.elb.ModifyListenerAttributes, &elb.ModifyListenerAttributesInput{ListenerArn: listener, Attributes: []types.ListenerAttribute{{Key: aws.String("routing.http.response.server.enabled"), Value: aws.String("true")}}})
	if len(must(t, c.elb.DescribeListenerAttributes, &elb.DescribeListenerAttributesInput{ListenerArn: listener}).Attributes) == 0 {
		t.Error("no attributes of the listener")
	}
	want(t, "certificates", len(must(t, c.elb.DescribeListenerCertificates, &elb.DescribeListenerCertificatesInput{ListenerArn: listener}).Certificates), 0)

	var rules []string
	for i, condition := range []types.RuleCondition{
		{Field: aws.String("path-pattern"), PathPatternConfig: &types.PathPatternConditionConfig{Values: []string{"/api/*"}}},
		{Field: aws.String("host-header"), HostHeaderConfig: &types.HostHeaderConditionConfig{Values: []string{"*.example.com"}}},
	} {
		rule := must(t, c.elb.CreateRule, &elb.CreateRuleInput{ListenerArn: listener, Priority: aws.Int32(int32(10 * (i + 1))), Conditions: []types.RuleCondition{condition}, Actions: []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: &group}}}).Rules[0]
		if !strings.Contains(*rule.RuleArn, ":listener-rule/app/web/") {
			t.Errorf("rule %s", *rule.RuleArn)
		}
		rules = append(rules, *rule.RuleArn)
	}
	refused(t, "PriorityInUse", c.elb.CreateRule, &elb.CreateRuleInput{ListenerArn: listener, Priority: aws.Int32(10), Conditions: []types.RuleCondition{{Field: aws.String("path-pattern"), Values: []string{"/x"}}}, Actions: fixed("200", "x")})
	must(t, c.elb.ModifyRule, &elb.ModifyRuleInput{RuleArn: &rules[0], Actions: fixed("200", "x")})
	must(t, c.elb.SetRulePriorities, &elb.SetRulePrioritiesInput{RulePriorities: []types.RulePriorityPair{{RuleArn: &rules[0], Priority: aws.Int32(20)}, {RuleArn: &rules[1], Priority: aws.Int32(10)}}})
	var order []string
	for p := elb.NewDescribeRulesPaginator(c.elb, &elb.DescribeRulesInput{ListenerArn: listener, PageSize: aws.Int32(2)}); p.HasMorePages(); {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Rules {
			order = append(order, *r.Priority)
		}
	}
	want(t, "priorities", order, []string{"10", "20", "default"})
	one := must(t, c.elb.DescribeRules, &elb.DescribeRulesInput{RuleArns: []string{rules[0]}}).Rules
	if len(one) != 1 || *one[0].Priority != "20" || one[0].Conditions[0].PathPatternConfig == nil || *one[0].Actions[0].FixedResponseConfig.StatusCode != "200" {
		t.Errorf("rules: %+v", one)
	}
	refused(t, "ResourceInUse", c.elb.DeleteTargetGroup, &elb.DeleteTargetGroupInput{TargetGroupArn: &group})
	must(t, c.elb.DeleteRule, &elb.DeleteRuleInput{RuleArn: &rules[0]})
	refused(t, "RuleNotFound", c.elb.DescribeRules, &elb.DescribeRulesInput{RuleArns: []string{rules[0]}})
	must(t, c.elb.DeleteListener, &elb.DeleteListenerInput{ListenerArn: second})
	refused(t, "ListenerNotFound", c.elb.DescribeListeners, &elb.DescribeListenersInput{ListenerArns: []string{*second}})
}

func fixed(status, body string) []types.Action {
	return []types.Action{{Type: types.ActionTypeEnumFixedResponse, FixedResponseConfig: &types.FixedResponseActionConfig{StatusCode: &status, MessageBody: &body, ContentType: aws.String("text/plain")}}}
}

func (c *client) elbTargets(s site, balancer, group string) {
	t := c.t
	eni := must(t, c.ec2.CreateNetworkInterface, &ec2.CreateNetworkInterfaceInput{SubnetId: &s.subnets[0]}).NetworkInterface
	target := []types.TargetDescription{{Id: eni.PrivateIpAddress, Port: aws.Int32(8080)}}
	must(t, c.elb.RegisterTargets, &elb.RegisterTargetsInput{TargetGroupArn: &group, Targets: target})
	in := &elb.DescribeTargetHealthInput{TargetGroupArn: &group, Targets: target}
	waiter := elb.NewTargetInServiceWaiter(c.elb, func(o *elb.TargetInServiceWaiterOptions) { o.MinDelay, o.MaxDelay = quick, quick })
	got, err := waiter.WaitForOutput(t.Context(), in, patience)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "health", len(got.TargetHealthDescriptions), 1)
	want(t, "zone", *got.TargetHealthDescriptions[0].Target.AvailabilityZone, "us-east-1a")
	refused(t, "InvalidTarget", c.elb.RegisterTargets, &elb.RegisterTargetsInput{TargetGroupArn: &group, Targets: []types.TargetDescription{{Id: aws.String("8.8.8.8")}}})
	must(t, c.elb.DeregisterTargets, &elb.DeregisterTargetsInput{TargetGroupArn: &group, Targets: target})
	after := must(t, c.elb.DescribeTargetHealth, in).TargetHealthDescriptions[0].TargetHealth
	if after.State != types.TargetHealthStateEnumDraining && after.State != types.TargetHealthStateEnumUnused {
		t.Errorf("state after the deregistration: %s", after.State)
	}
	eventually(t, c.elb.DescribeTargetHealth, &elb.DescribeTargetHealthInput{TargetGroupArn: &group}, func(o *elb.DescribeTargetHealthOutput) bool { return len(o.TargetHealthDescriptions) == 0 })
	asked := must(t, c.elb.DescribeTargetHealth, in).TargetHealthDescriptions[0].TargetHealth
	want(t, "of one that is not registered", []string{string(asked.State), string(asked.Reason)}, []string{"unused", "Target.NotRegistered"})
	must(t, c.elb.RegisterTargets, &elb.RegisterTargetsInput{TargetGroupArn: &group, Targets: target})
	must(t, c.elb.DeregisterTargets, &elb.DeregisterTargetsInput{TargetGroupArn: &group, Targets: target})
	deregistered := elb.NewTargetDeregisteredWaiter(c.elb, func(o *elb.TargetDeregisteredWaiterOptions) { o.MinDelay, o.MaxDelay = quick, quick })
	if err := deregistered.Wait(t.Context(), in, patience); err != nil {
		t.Error(err)
	}
}

func (c *client) elbTags(arns ...string) {
	t := c.t
	must(t, c.elb.AddTags, &elb.AddTagsInput{ResourceArns: arns, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}, {Key: aws.String("b"), Value: aws.String("2")}}})
	must(t, c.elb.RemoveTags, &elb.RemoveTagsInput{ResourceArns: arns, TagKeys: []string{"b"}})
	got := must(t, c.elb.DescribeTags, &elb.DescribeTagsInput{ResourceArns: arns}).TagDescriptions
	want(t, "descriptions", len(got), len(arns))
	for _, d := range got {
		want(t, "tags of "+*d.ResourceArn, d.Tags, []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}})
		want(t, "is asked for", slices.Contains(arns, *d.ResourceArn), true)
	}
}

func (c *client) elbDelete(balancer string) {
	t := c.t
	must(t, c.elb.ModifyLoadBalancerAttributes, &elb.ModifyLoadBalancerAttributesInput{LoadBalancerArn: &balancer, Attributes: []types.LoadBalancerAttribute{{Key: aws.String("deletion_protection.enabled"), Value: aws.String("true")}}})
	refused(t, "OperationNotPermitted", c.elb.DeleteLoadBalancer, &elb.DeleteLoadBalancerInput{LoadBalancerArn: &balancer})
	must(t, c.elb.ModifyLoadBalancerAttributes, &elb.ModifyLoadBalancerAttributesInput{LoadBalancerArn: &balancer, Attributes: []types.LoadBalancerAttribute{{Key: aws.String("deletion_protection.enabled"), Value: aws.String("false")}}})
	must(t, c.elb.DeleteLoadBalancer, &elb.DeleteLoadBalancerInput{LoadBalancerArn: &balancer})
	waiter := elb.NewLoadBalancersDeletedWaiter(c.elb, func(o *elb.LoadBalancersDeletedWaiterOptions) { o.MinDelay, o.MaxDelay = quick, quick })
	if err := waiter.Wait(t.Context(), &elb.DescribeLoadBalancersInput{LoadBalancerArns: []string{balancer}}, patience); err != nil {
		t.Fatal(err)
	}
	for _, g := range must(t, c.elb.DescribeTargetGroups, &elb.DescribeTargetGroupsInput{Names: []string{"web"}}).TargetGroups {
		want(t, "load balancers of the group", len(g.LoadBalancerArns), 0)
		must(t, c.elb.DeleteTargetGroup, &elb.DeleteTargetGroupInput{TargetGroupArn: g.TargetGroupArn})
	}
	refused(t, "TargetGroupNotFound", c.elb.DescribeTargetGroups, &elb.DescribeTargetGroupsInput{Names: []string{"web"}})
}

const (
	elbARN        = "arn:aws:elasticloadbalancing:us-east-1:000000000000:"
	noBalancer    = "'LoadBalancerArn': '" + elbARN + "loadbalancer/app/web/0123456789abcdef'"
	noListener    = "'ListenerArn': '" + elbARN + "listener/app/web/0123456789abcdef/0123456789abcdef'"
	noRuleARN     = "'" + elbARN + "listener-rule/app/web/0123456789abcdef/0123456789abcdef/0123456789abcdef'"
	noTargetGroup = "'TargetGroupArn': '" + elbARN + "targetgroup/web/0123456789abcdef'"
	okAction      = "[{'Type': 'fixed-response', 'FixedResponseConfig': {'StatusCode': '200'}}]"
	oneTarget     = "'Targets': [{'Id': '10.0.0.9', 'Port': 80}]"
)

var wrongELB = []wrong{
	{operation: "CreateLoadBalancer", input: `{'Name': 'web', 'Subnets': ['subnet-0123456789abcdef0', 'subnet-0123456789abcdef1']}`, code: "SubnetNotFound"},
	{operation: "CreateLoadBalancer", input: `{'Name': 'web', 'Type': 'gateway', 'Subnets': ['subnet-0123456789abcdef0']}`, code: "InvalidConfigurationRequest", says: "gateway"},
	{operation: "DeleteLoadBalancer", input: `{'LoadBalancerArn': 'nonsense'}`, code: "ValidationError"},
	{operation: "DescribeLoadBalancers", input: `{'Names': ['nothing']}`, code: "LoadBalancerNotFound"},
	{operation: "DescribeLoadBalancerAttributes", input: "{" + noBalancer + "}", code: "LoadBalancerNotFound"},
	{operation: "ModifyLoadBalancerAttributes", input: "{" + noBalancer + ", 'Attributes': [{'Key': 'idle_timeout.timeout_seconds', 'Value': '30'}]}", code: "LoadBalancerNotFound"},
	{operation: "SetSubnets", input: "{" + noBalancer + ", 'Subnets': ['subnet-0123456789abcdef0']}", code: "LoadBalancerNotFound"},
	{operation: "SetSecurityGroups", input: "{" + noBalancer + ", 'SecurityGroups': ['sg-0123456789abcdef0']}", code: "LoadBalancerNotFound"},
	{operation: "SetIpAddressType", input: "{" + noBalancer + ", 'IpAddressType': 'ipv4'}", code: "LoadBalancerNotFound"},
	{operation: "CreateListener", input: "{" + noBalancer + ", 'Port': 80, 'Protocol': 'HTTP', 'DefaultActions': " + okAction + "}", code: "LoadBalancerNotFound"},
	{operation: "DeleteListener", input: "{" + noListener + "}", code: "ListenerNotFound"},
	{operation: "DescribeListeners", input: "{" + noBalancer + "}", code: "LoadBalancerNotFound"},
	{operation: "ModifyListener", input: "{" + noListener + ", 'Port': 81}", code: "ListenerNotFound"},
	{operation: "DescribeListenerAttributes", input: "{" + noListener + "}", code: "ListenerNotFound"},
	{operation: "ModifyListenerAttributes", input: "{" + noListener + ", 'Attributes': [{'Key': 'routing.http.response.server.enabled', 'Value': 'true'}]}", code: "ListenerNotFound"},
	{operation: "DescribeListenerCertificates", input: "{" + noListener + "}", code: "ListenerNotFound"},
	{operation: "CreateRule", input: "{" + noListener + ", 'Priority': 1, 'Conditions': [{'Field': 'path-pattern', 'Values': ['/x']}], 'Actions': " + okAction + "}", code: "ListenerNotFound"},
	{operation: "DeleteRule", input: "{'RuleArn': " + noRuleARN + "}", code: "RuleNotFound"},
	{operation: "DescribeRules", input: "{'RuleArns': [" + noRuleARN + "]}", code: "RuleNotFound"},
	{operation: "ModifyRule", input: "{'RuleArn': " + noRuleARN + ", 'Actions': " + okAction + "}", code: "RuleNotFound"},
	{operation: "SetRulePriorities", input: "{'RulePriorities': [{'RuleArn': " + noRuleARN + ", 'Priority': 5}]}", code: "RuleNotFound"},
	{operation: "CreateTargetGroup", input: "{'Name': 'web', 'Port': 80, 'Protocol': 'HTTP', " + noVPC + ", 'TargetType': 'ip'}", code: "ValidationError", says: "vpc-0123456789abcdef0"},
	{operation: "DeleteTargetGroup", input: `{'TargetGroupArn': 'nonsense'}`, code: "ValidationError"},
	{operation: "DescribeTargetGroups", input: `{'Names': ['nothing']}`, code: "TargetGroupNotFound"},
	{operation: "ModifyTargetGroup", input: "{" + noTargetGroup + ", 'HealthCheckPath': '/x'}", code: "TargetGroupNotFound"},
	{operation: "DescribeTargetGroupAttributes", input: "{" + noTargetGroup + "}", code: "TargetGroupNotFound"},
	{operation: "ModifyTargetGroupAttributes", input: "{" + noTargetGroup + ", 'Attributes': [{'Key': 'deregistration_delay.timeout_seconds', 'Value': '3'}]}", code: "TargetGroupNotFound"},
	{operation: "RegisterTargets", input: "{" + noTargetGroup + ", " + oneTarget + "}", code: "TargetGroupNotFound"},
	{operation: "DeregisterTargets", input: "{" + noTargetGroup + ", " + oneTarget + "}", code: "TargetGroupNotFound"},
	{operation: "DescribeTargetHealth", input: "{" + noTargetGroup + "}", code: "TargetGroupNotFound"},
	{operation: "AddTags", input: "{'ResourceArns': ['" + elbARN + "targetgroup/web/0123456789abcdef'], 'Tags': [{'Key': 'a', 'Value': 'b'}]}", code: "TargetGroupNotFound"},
	{operation: "RemoveTags", input: "{'ResourceArns': ['" + elbARN + "targetgroup/web/0123456789abcdef'], 'TagKeys': ['a']}", code: "TargetGroupNotFound"},
	{operation: "DescribeTags", input: "{'ResourceArns': ['" + elbARN + "loadbalancer/app/web/0123456789abcdef']}", code: "LoadBalancerNotFound"},
	{operation: "DescribeAccountLimits", input: `{'Marker': 'nonsense'}`, code: "ValidationError"},
	{operation: "DescribeSSLPolicies", input: `{'Names': ['nothing']}`, code: "SSLPolicyNotFound"},
	{operation: "DescribeCapacityReservation", input: "{" + noBalancer + "}", code: "LoadBalancerNotFound"},
}
