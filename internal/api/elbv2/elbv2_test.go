package elbv2

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/awsapi"
	api "github.com/neargate/neargate/internal/awsapi/elbv2api"
	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
	"github.com/neargate/neargate/internal/store/storetest"
)

var (
	now   = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	scope = model.Scope{Account: "000000000000", Region: "us-east-1"}
	ptr   = awsapi.Ptr[string]
	num   = awsapi.Ptr[int32]
)

// newServer returns a server with a VPC: three subnets in two zones, an internet gateway, two groups; and a foreign VPC.
func newServer(t *testing.T) *Server {
	t.Helper()
	db, tables := storetest.New(t)
	err := db.Update(t.Context(), func(tx *store.Txn) error {
		for _, v := range []string{"vpc-1", "vpc-2"} {
			tables.VPCs.Put(tx, &model.VPC{ID: v, DefaultGroupID: "sg-default-" + v,
				CIDRs: []model.VPCCIDR{{Block: netip.MustParsePrefix("10.0.0.0/16")}}})
			tables.SecurityGroups.Put(tx, &model.SecurityGroup{ID: "sg-default-" + v, VPCID: v})
		}
		tables.SecurityGroups.Put(tx, &model.SecurityGroup{ID: "sg-web", VPCID: "vpc-1"})
		for _, s := range []struct{ id, vpc, cidr, az string }{
			{"subnet-a", "vpc-1", "10.0.1.0/24", "us-east-1a"}, {"subnet-b", "vpc-1", "10.0.2.0/24", "us-east-1b"},
			{"subnet-a2", "vpc-1", "10.0.3.0/24", "us-east-1a"}, {"subnet-c", "vpc-1", "10.0.4.0/28", "us-east-1c"},
			{"subnet-x", "vpc-2", "10.0.1.0/24", "us-east-1b"}, {"subnet-y", "vpc-2", "10.0.2.0/24", "us-east-1c"},
		} {
			tables.Subnets.Put(tx, &model.Subnet{ID: s.id, VPCID: s.vpc, CIDR: netip.MustParsePrefix(s.cidr), AZ: s.az})
		}
		tables.InternetGateways.Put(tx, &model.InternetGateway{ID: "igw-1", VPCID: "vpc-1"})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{DB: db, Tables: tables, Clock: clock.Fixed(now), Scope: scope})
}

// must returns the answer of a call that has to succeed.
func must[T any](t *testing.T) func(out T, err error) T {
	return func(out T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

func code(err error) string {
	var e *awsapi.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return fmt.Sprint(err)
}

func wantCode(t *testing.T, err error, want, part string) {
	t.Helper()
	if code(err) != want || !strings.Contains(err.Error(), part) {
		t.Errorf("got %v, want code %s and %q in the text", err, want, part)
	}
}

func createLB(t *testing.T, s *Server, name string) api.LoadBalancer {
	t.Helper()
	return must[*api.CreateLoadBalancerOutput](t)(s.CreateLoadBalancer(t.Context(), &api.CreateLoadBalancerInput{
		Name: &name, Subnets: []string{"subnet-b", "subnet-a"}, SecurityGroups: []string{"sg-web"}})).LoadBalancers[0]
}

func createGroup(t *testing.T, s *Server, name string) string {
	t.Helper()
	return *must[*api.CreateTargetGroupOutput](t)(s.CreateTargetGroup(t.Context(), &api.CreateTargetGroupInput{
		Name: &name, Protocol: "HTTP", ProtocolVersion: ptr(""), Port: num(80), VpcId: ptr("vpc-1"), TargetType: "ip"})).TargetGroups[0].TargetGroupArn
}

func forwardTo(arn string) []api.Action {
	return []api.Action{{Type: "forward", TargetGroupArn: &arn}}
}

func createListener(t *testing.T, s *Server, lb string, port int32, actions []api.Action) api.Listener {
	t.Helper()
	return must[*api.CreateListenerOutput](t)(s.CreateListener(t.Context(), &api.CreateListenerInput{
		LoadBalancerArn: &lb, Port: &port, Protocol: "HTTP", DefaultActions: actions})).Listeners[0]
}

func TestCreateLoadBalancer(t *testing.T) {
	s := newServer(t)
	lb := createLB(t, s, "web")
	id := model.LastSegment(*lb.LoadBalancerArn)
	if *lb.LoadBalancerArn != "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/web/"+id || len(id) != 16 {
		t.Error(*lb.LoadBalancerArn)
	}
	if !strings.HasPrefix(*lb.DNSName, "web-") || !strings.HasSuffix(*lb.DNSName, ".us-east-1.elb.amazonaws.com") {
		t.Error(*lb.DNSName)
	}
	if lb.State.Code != "provisioning" || lb.Scheme != "internet-facing" || lb.IpAddressType != "ipv4" || lb.Type != "application" || *lb.VpcId != "vpc-1" {
		t.Errorf("%+v", lb)
	}
	var zones []string
	for _, z := range lb.AvailabilityZones {
		zones = append(zones, *z.ZoneName+" "+*z.SubnetId)
	}
	if diff := cmp.Diff([]string{"us-east-1a subnet-a", "us-east-1b subnet-b"}, zones); diff != "" {
		t.Error(diff)
	}
	n := 0
	for eni := range s.tables.NetworkInterfaces.By(s.db.View(), "owner", id) {
		n++
		if eni.Description != "ELB app/web/"+id || !eni.RequesterManaged || !model.PublicPool.Contains(eni.AutoPublicIP) || eni.Netns() != "ng-lb-"+id ||
			fmt.Sprintf("%s %d", eni.SubnetID, eni.DeviceIndex) != map[string]string{"subnet-a": "subnet-a 1", "subnet-b": "subnet-b 2"}[eni.SubnetID] || eni.Groups[0] != "sg-web" {
			t.Errorf("interface %+v", eni)
		}
	}
	if n != 2 {
		t.Errorf("%d interfaces", n)
	}
	again := createLB(t, s, "web")
	if *again.LoadBalancerArn != *lb.LoadBalancerArn {
		t.Error("repeating made another one")
	}
	_, err := s.CreateLoadBalancer(t.Context(), &api.CreateLoadBalancerInput{Name: ptr("web"), Subnets: []string{"subnet-b", "subnet-a2"}})
	wantCode(t, err, api.ErrDuplicateLoadBalancerName, "web")
}

func TestCreateLoadBalancerRefuses(t *testing.T) {
	s := newServer(t)
	ok := func() *api.CreateLoadBalancerInput {
		return &api.CreateLoadBalancerInput{Name: ptr("x"), Subnets: []string{"subnet-a", "subnet-b"}}
	}
	for name, c := range map[string]struct {
		change     func(*api.CreateLoadBalancerInput)
		code, part string
	}{
		"one subnet":      {func(in *api.CreateLoadBalancerInput) { in.Subnets = in.Subnets[:1] }, errValidation, "two subnets"},
		"unknown subnet":  {func(in *api.CreateLoadBalancerInput) { in.Subnets[0] = "subnet-0" }, api.ErrSubnetNotFound, "subnet-0"},
		"same zone":       {func(in *api.CreateLoadBalancerInput) { in.Subnets[1] = "subnet-a2" }, api.ErrInvalidConfigurationRequest, "same Availability Zone"},
		"two VPCs":        {func(in *api.CreateLoadBalancerInput) { in.Subnets[1] = "subnet-x" }, api.ErrInvalidConfigurationRequest, "same VPC"},
		"no gateway":      {func(in *api.CreateLoadBalancerInput) { in.Subnets = []string{"subnet-x", "subnet-y"} }, api.ErrInvalidSubnet, "no internet gateway"},
		"foreign group":   {func(in *api.CreateLoadBalancerInput) { in.SecurityGroups = []string{"sg-default-vpc-2"} }, api.ErrInvalidConfigurationRequest, "sg-default-vpc-2"},
		"unknown group":   {func(in *api.CreateLoadBalancerInput) { in.SecurityGroups = []string{"sg-0"} }, api.ErrInvalidSecurityGroup, "sg-0"},
		"name too long":   {func(in *api.CreateLoadBalancerInput) { in.Name = ptr(strings.Repeat("x", 33)) }, errValidation, "32"},
		"name's hyphen":   {func(in *api.CreateLoadBalancerInput) { in.Name = ptr("-x") }, errValidation, "hyphen"},
		"internal name":   {func(in *api.CreateLoadBalancerInput) { in.Name = ptr("internal-x") }, errValidation, "internal-"},
		"network":         {func(in *api.CreateLoadBalancerInput) { in.Type = "network" }, api.ErrInvalidConfigurationRequest, "network"},
		"unknown setting": {func(in *api.CreateLoadBalancerInput) { in.CustomerOwnedIpv4Pool = ptr("p") }, api.ErrInvalidConfigurationRequest, "CustomerOwnedIpv4Pool"},
	} {
		in := ok()
		c.change(in)
		_, err := s.CreateLoadBalancer(t.Context(), in)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		wantCode(t, err, c.code, c.part)
	}
	if n := s.tables.NetworkInterfaces.Len(s.db.View()) + s.tables.LoadBalancers.Len(s.db.View()); n != 0 {
		t.Errorf("%d records are half made", n)
	}
}

// What the widdix templates ask for is accepted and shown again.
func TestWiddix(t *testing.T) {
	s := newServer(t)
	lb := must[*api.CreateLoadBalancerOutput](t)(s.CreateLoadBalancer(t.Context(), &api.CreateLoadBalancerInput{Name: ptr("web"), IpAddressType: "dualstack",
		Subnets: []string{"subnet-a", "subnet-b"}, SecurityGroups: []string{"sg-web"}, Scheme: "internet-facing", Type: "application"})).LoadBalancers[0]
	if lb.IpAddressType != "dualstack" || *lb.State.Reason != dualStackNote {
		t.Errorf("%+v %v", lb, lb.State)
	}
	out := must[*api.ModifyLoadBalancerAttributesOutput](t)(s.ModifyLoadBalancerAttributes(t.Context(), &api.ModifyLoadBalancerAttributesInput{
		LoadBalancerArn: lb.LoadBalancerArn, Attributes: []api.LoadBalancerAttribute{
			{Key: ptr("idle_timeout.timeout_seconds"), Value: ptr("90")}, {Key: ptr("routing.http2.enabled"), Value: ptr("true")},
			{Key: ptr("access_logs.s3.enabled"), Value: ptr("false")}}}))
	got := map[string]string{}
	for _, a := range out.Attributes {
		got[*a.Key] = *a.Value
	}
	if got["idle_timeout.timeout_seconds"] != "90" || got["routing.http.xff_header_processing.mode"] != "append" || len(got) != len(lbAttributes.specs) {
		t.Error(got)
	}
	group := must[*api.CreateTargetGroupOutput](t)(s.CreateTargetGroup(t.Context(), &api.CreateTargetGroupInput{Name: ptr("g"),
		HealthCheckIntervalSeconds: num(15), HealthCheckPath: ptr("/"), HealthCheckProtocol: "HTTP", HealthCheckTimeoutSeconds: num(10),
		HealthyThresholdCount: num(2), UnhealthyThresholdCount: num(2), Matcher: &api.Matcher{HttpCode: ptr("200-299")},
		Port: num(8080), Protocol: "HTTP", TargetType: "ip", VpcId: ptr("vpc-1")})).TargetGroups[0]
	if *group.Matcher.HttpCode != "200-299" || *group.HealthCheckPort != "traffic-port" || *group.ProtocolVersion != "HTTP1" {
		t.Errorf("%+v", group)
	}
	must[*api.ModifyTargetGroupAttributesOutput](t)(s.ModifyTargetGroupAttributes(t.Context(), &api.ModifyTargetGroupAttributesInput{TargetGroupArn: group.TargetGroupArn,
		Attributes: []api.TargetGroupAttribute{{Key: ptr("deregistration_delay.timeout_seconds"), Value: ptr("60")}}}))
	l := createListener(t, s, *lb.LoadBalancerArn, 80, []api.Action{{Type: "fixed-response",
		FixedResponseConfig: &api.FixedResponseActionConfig{ContentType: ptr("text/plain"), MessageBody: ptr("default"), StatusCode: ptr("404")}}})
	if f := l.DefaultActions[0].FixedResponseConfig; *f.StatusCode != "404" || *f.MessageBody != "default" {
		t.Errorf("%+v", f)
	}
}

func TestAttributesRefused(t *testing.T) {
	s := newServer(t)
	lb := createLB(t, s, "web")
	for kv, want := range map[string]string{
		"access_logs.s3.enabled=true":                   api.ErrInvalidConfigurationRequest,
		"idle_timeout.timeout_seconds=0":                errValidation,
		"idle_timeout.timeout_seconds=x":                errValidation,
		"nonsense=1":                                    errValidation,
		"deletion_protection.enabled=maybe":             errValidation,
		"waf.fail_open.enabled=true":                    api.ErrInvalidConfigurationRequest,
		"client_keep_alive.seconds=59":                  errValidation,
		"routing.http.desync_mitigation_mode=strictest": api.ErrInvalidConfigurationRequest,
	} {
		k, v, _ := strings.Cut(kv, "=")
		_, err := s.ModifyLoadBalancerAttributes(t.Context(), &api.ModifyLoadBalancerAttributesInput{LoadBalancerArn: lb.LoadBalancerArn,
			Attributes: []api.LoadBalancerAttribute{{Key: &k, Value: &v}}})
		if err == nil {
			t.Errorf("%s was accepted", kv)
			continue
		}
		wantCode(t, err, want, k)
	}
	group := createGroup(t, s, "g")
	for kv, want := range map[string]string{"stickiness.enabled=true": api.ErrInvalidConfigurationRequest, "slow_start.duration_seconds=29": errValidation} {
		k, v, _ := strings.Cut(kv, "=")
		_, err := s.ModifyTargetGroupAttributes(t.Context(), &api.ModifyTargetGroupAttributesInput{TargetGroupArn: &group,
			Attributes: []api.TargetGroupAttribute{{Key: &k, Value: &v}}})
		wantCode(t, err, want, k)
	}
}

func TestDeletionProtection(t *testing.T) {
	s := newServer(t)
	lb := createLB(t, s, "web")
	set := func(v string) {
		must[*api.ModifyLoadBalancerAttributesOutput](t)(s.ModifyLoadBalancerAttributes(t.Context(), &api.ModifyLoadBalancerAttributesInput{LoadBalancerArn: lb.LoadBalancerArn,
			Attributes: []api.LoadBalancerAttribute{{Key: ptr("deletion_protection.enabled"), Value: &v}}}))
	}
	set("true")
	_, err := s.DeleteLoadBalancer(t.Context(), &api.DeleteLoadBalancerInput{LoadBalancerArn: lb.LoadBalancerArn})
	wantCode(t, err, api.ErrOperationNotPermitted, "deletion protection")
	set("false")
	createListener(t, s, *lb.LoadBalancerArn, 80, forwardTo(createGroup(t, s, "g")))
	must[*api.DeleteLoadBalancerOutput](t)(s.DeleteLoadBalancer(t.Context(), &api.DeleteLoadBalancerInput{LoadBalancerArn: lb.LoadBalancerArn}))
	must[*api.DeleteLoadBalancerOutput](t)(s.DeleteLoadBalancer(t.Context(), &api.DeleteLoadBalancerInput{LoadBalancerArn: lb.LoadBalancerArn}))
	v := s.db.View()
	if n := s.tables.NetworkInterfaces.Len(v) + s.tables.Listeners.Len(v) + s.tables.LoadBalancers.Len(v); n != 0 {
		t.Errorf("%d records are left", n)
	}
	_, err = s.DescribeLoadBalancers(t.Context(), &api.DescribeLoadBalancersInput{LoadBalancerArns: []string{*lb.LoadBalancerArn}})
	wantCode(t, err, api.ErrLoadBalancerNotFound, "not found")
}

func TestSetSubnetsKeepsInterfaces(t *testing.T) {
	s := newServer(t)
	lb := createLB(t, s, "web")
	before, _ := s.tables.LoadBalancers.Get(s.db.View(), *lb.LoadBalancerArn)
	_, err := s.SetSubnets(t.Context(), &api.SetSubnetsInput{LoadBalancerArn: lb.LoadBalancerArn, Subnets: []string{"subnet-a", "subnet-c"}})
	if err != nil {
		t.Fatal(err)
	}
	after, _ := s.tables.LoadBalancers.Get(s.db.View(), *lb.LoadBalancerArn)
	if len(after.Zones) != 2 || after.Zones[0].ENIID != before.Zones[0].ENIID || after.Zones[1].SubnetID != "subnet-c" {
		t.Errorf("%+v became %+v", before.Zones, after.Zones)
	}
	if s.tables.NetworkInterfaces.Has(s.db.View(), before.Zones[1].ENIID) || s.tables.NetworkInterfaces.Len(s.db.View()) != 2 {
		t.Error("the old interface is still there")
	}
	must[*api.SetSecurityGroupsOutput](t)(s.SetSecurityGroups(t.Context(), &api.SetSecurityGroupsInput{LoadBalancerArn: lb.LoadBalancerArn, SecurityGroups: []string{"sg-default-vpc-1"}}))
	if eni, _ := s.tables.NetworkInterfaces.Get(s.db.View(), after.Zones[0].ENIID); eni.Groups[0] != "sg-default-vpc-1" {
		t.Error(eni.Groups)
	}
}

func TestListenersAndRules(t *testing.T) {
	s := newServer(t)
	lb := *createLB(t, s, "web").LoadBalancerArn
	one, two := createGroup(t, s, "one"), createGroup(t, s, "two")
	l := createListener(t, s, lb, 80, forwardTo(one))
	if again := createListener(t, s, lb, 80, forwardTo(one)); *again.ListenerArn != *l.ListenerArn {
		t.Error("repeating made another listener")
	}
	_, err := s.CreateListener(t.Context(), &api.CreateListenerInput{LoadBalancerArn: &lb, Port: num(80), Protocol: "HTTP", DefaultActions: forwardTo(two)})
	wantCode(t, err, api.ErrDuplicateListener, lb)
	_, err = s.CreateListener(t.Context(), &api.CreateListenerInput{LoadBalancerArn: &lb, Port: num(443), Protocol: "HTTPS", DefaultActions: forwardTo(two),
		Certificates: []api.Certificate{{CertificateArn: ptr("arn:aws:acm:us-east-1:000000000000:certificate/x")}}})
	wantCode(t, err, api.ErrCertificateNotFound, "certificate/x")
	other := *createLB(t, s, "other").LoadBalancerArn
	_, err = s.CreateListener(t.Context(), &api.CreateListenerInput{LoadBalancerArn: &other, Port: num(80), Protocol: "HTTP", DefaultActions: forwardTo(one)})
	wantCode(t, err, api.ErrTargetGroupAssociationLimit, one)

	path := func(v ...string) []api.RuleCondition {
		return []api.RuleCondition{{Field: ptr("path-pattern"), Values: v}}
	}
	rule := func(p int32, c []api.RuleCondition, a []api.Action) (*api.CreateRuleOutput, error) {
		return s.CreateRule(t.Context(), &api.CreateRuleInput{ListenerArn: l.ListenerArn, Priority: &p, Conditions: c, Actions: a})
	}
	r := must[*api.CreateRuleOutput](t)(rule(20, path("/api/*"), []api.Action{{Type: "forward", ForwardConfig: &api.ForwardActionConfig{
		TargetGroups: []api.TargetGroupTuple{{TargetGroupArn: &one, Weight: num(1)}, {TargetGroupArn: &two}}}}})).Rules[0]
	if *r.Priority != "20" || r.Conditions[0].PathPatternConfig.Values[0] != "/api/*" || r.Actions[0].TargetGroupArn != nil ||
		r.Actions[0].ForwardConfig.TargetGroupStickinessConfig == nil || !strings.Contains(*r.RuleArn, ":listener-rule/app/web/") {
		t.Errorf("%+v", r)
	}
	must[*api.CreateRuleOutput](t)(rule(3, []api.RuleCondition{{Field: ptr("host-header"), HostHeaderConfig: &api.HostHeaderConditionConfig{Values: []string{"*.example.com"}}}},
		[]api.Action{{Type: "redirect", RedirectConfig: &api.RedirectActionConfig{StatusCode: "HTTP_301", Protocol: ptr("HTTPS"), Port: ptr("443")}}}))
	_, err = rule(20, path("/x"), forwardTo(one))
	wantCode(t, err, api.ErrPriorityInUse, "20")
	for name, c := range map[string]struct {
		cond []api.RuleCondition
		part string
	}{
		"six values":     {path("/1", "/2", "/3", "/4", "/5", "/6"), "condition values"},
		"six wildcards":  {path("/*?*?*?"), "wildcards"},
		"space":          {path("/a b"), "/a b"},
		"unknown field":  {[]api.RuleCondition{{Field: ptr("colour"), Values: []string{"red"}}}, "colour"},
		"two of a kind":  {append(path("/a"), path("/b")...), "only one"},
		"no values":      {[]api.RuleCondition{{Field: ptr("path-pattern")}}, "value must be specified"},
		"host no dot":    {[]api.RuleCondition{{Field: ptr("host-header"), Values: []string{"localhost"}}}, "'.'"},
		"broken CIDR":    {[]api.RuleCondition{{Field: ptr("source-ip"), SourceIpConfig: &api.SourceIpConditionConfig{Values: []string{"10.0.0.1/8"}}}}, "CIDR"},
		"lower method":   {[]api.RuleCondition{{Field: ptr("http-request-method"), HttpRequestMethodConfig: &api.HttpRequestMethodConditionConfig{Values: []string{"get"}}}}, "A-Z"},
		"regular expr":   {[]api.RuleCondition{{Field: ptr("path-pattern"), PathPatternConfig: &api.PathPatternConditionConfig{RegexValues: []string{"^/"}}}}, "RegexValues"},
		"header's name":  {[]api.RuleCondition{{Field: ptr("http-header"), HttpHeaderConfig: &api.HttpHeaderConditionConfig{HttpHeaderName: ptr("a b"), Values: []string{"x"}}}}, "a b"},
		"query no value": {[]api.RuleCondition{{Field: ptr("query-string"), QueryStringConfig: &api.QueryStringConditionConfig{Values: []api.QueryStringKeyValuePair{{Key: ptr("k")}}}}}, "value is required"},
	} {
		if _, err := rule(99, c.cond, forwardTo(one)); err == nil || !strings.Contains(err.Error(), c.part) {
			t.Errorf("%s: %v", name, err)
		}
	}
	order := func() (got []string) {
		for _, r := range must[*api.DescribeRulesOutput](t)(s.DescribeRules(t.Context(), &api.DescribeRulesInput{ListenerArn: l.ListenerArn})).Rules {
			got = append(got, *r.Priority)
		}
		return got
	}
	if diff := cmp.Diff([]string{"3", "20", "default"}, order()); diff != "" {
		t.Error(diff)
	}
	must[*api.SetRulePrioritiesOutput](t)(s.SetRulePriorities(t.Context(), &api.SetRulePrioritiesInput{RulePriorities: []api.RulePriorityPair{{RuleArn: r.RuleArn, Priority: num(1)}}}))
	_, err = s.SetRulePriorities(t.Context(), &api.SetRulePrioritiesInput{RulePriorities: []api.RulePriorityPair{{RuleArn: r.RuleArn, Priority: num(3)}}})
	wantCode(t, err, api.ErrPriorityInUse, "3")
	if diff := cmp.Diff([]string{"1", "3", "default"}, order()); diff != "" {
		t.Error(diff)
	}
	def := must[*api.DescribeRulesOutput](t)(s.DescribeRules(t.Context(), &api.DescribeRulesInput{ListenerArn: l.ListenerArn})).Rules[2]
	_, err = s.DeleteRule(t.Context(), &api.DeleteRuleInput{RuleArn: def.RuleArn})
	wantCode(t, err, api.ErrOperationNotPermitted, "Default rule")
	_, err = s.DeleteTargetGroup(t.Context(), &api.DeleteTargetGroupInput{TargetGroupArn: &two})
	wantCode(t, err, api.ErrResourceInUse, "is currently in use by a listener or a rule")
	must[*api.DeleteRuleOutput](t)(s.DeleteRule(t.Context(), &api.DeleteRuleInput{RuleArn: r.RuleArn}))
	must[*api.DeleteTargetGroupOutput](t)(s.DeleteTargetGroup(t.Context(), &api.DeleteTargetGroupInput{TargetGroupArn: &two}))
	_, err = rule(98, path("/x"), []api.Action{{Type: "redirect", RedirectConfig: &api.RedirectActionConfig{StatusCode: "HTTP_302"}}})
	wantCode(t, err, errValidation, "loop")
}

func TestTargets(t *testing.T) {
	s := newServer(t)
	lb := *createLB(t, s, "web").LoadBalancerArn
	group := createGroup(t, s, "g")
	register := func(d ...api.TargetDescription) error {
		_, err := s.RegisterTargets(t.Context(), &api.RegisterTargetsInput{TargetGroupArn: &group, Targets: d})
		return err
	}
	states := func(d ...api.TargetDescription) (got []string) {
		out := must[*api.DescribeTargetHealthOutput](t)(s.DescribeTargetHealth(t.Context(), &api.DescribeTargetHealthInput{TargetGroupArn: &group, Targets: d}))
		for _, h := range out.TargetHealthDescriptions {
			got = append(got, fmt.Sprintf("%s:%d %s %s %s", *h.Target.Id, *h.Target.Port, awsapi.Val(h.Target.AvailabilityZone), h.TargetHealth.State, h.TargetHealth.Reason))
		}
		return got
	}
	if err := register(api.TargetDescription{Id: ptr("10.0.2.7")}, api.TargetDescription{Id: ptr("10.0.2.7"), Port: num(8080)},
		api.TargetDescription{Id: ptr("192.168.1.1"), AvailabilityZone: ptr("all")}); err != nil {
		t.Fatal(err)
	}
	want := []string{"10.0.2.7:80 us-east-1b unused Target.NotInUse", "10.0.2.7:8080 us-east-1b unused Target.NotInUse", "192.168.1.1:80 all unused Target.NotInUse"}
	if diff := cmp.Diff(want, states()); diff != "" {
		t.Error(diff)
	}
	for id, part := range map[string]string{"8.8.8.8": "8.8.8.8", "192.168.1.2": "'all'", "10.0.200.1": "no subnet", "web": "web"} {
		if err := register(api.TargetDescription{Id: &id}); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v", id, err)
		}
	}
	createListener(t, s, lb, 80, forwardTo(group))
	if got := states(api.TargetDescription{Id: ptr("10.0.2.7"), Port: num(80)}, api.TargetDescription{Id: ptr("10.0.9.9")}); !cmp.Equal(got,
		[]string{"10.0.2.7:80 us-east-1b initial Elb.RegistrationInProgress", "10.0.9.9:80  unused Target.NotRegistered"}) {
		t.Error(got)
	}
	key := model.TargetKey(group, netip.MustParseAddr("10.0.2.7"), 80)
	if err := s.db.Update(context.Background(), func(tx *store.Txn) error {
		s.tables.TargetHealth.Put(tx, &model.TargetHealth{TargetGroupARN: group, IP: netip.MustParseAddr("10.0.2.7"), Port: 80, State: model.TargetHealthy})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := states(api.TargetDescription{Id: ptr("10.0.2.7"), Port: num(80)}); got[0] != "10.0.2.7:80 us-east-1b healthy " {
		t.Error(got)
	}
	must[*api.DeregisterTargetsOutput](t)(s.DeregisterTargets(t.Context(), &api.DeregisterTargetsInput{TargetGroupArn: &group, Targets: []api.TargetDescription{{Id: ptr("10.0.2.7"), Port: num(80)}}}))
	if got := states(api.TargetDescription{Id: ptr("10.0.2.7"), Port: num(80)}); got[0] != "10.0.2.7:80 us-east-1b draining Target.DeregistrationInProgress" {
		t.Error(got)
	}
	if err := register(api.TargetDescription{Id: ptr("10.0.2.7")}); err != nil {
		t.Fatal(err)
	}
	if tg, _ := s.tables.Targets.Get(s.db.View(), key); !tg.DrainingSince.IsZero() || s.tables.TargetHealth.Has(s.db.View(), key) {
		t.Error("registering again did not end the draining")
	}
}

func TestInstanceAndOtherGroups(t *testing.T) {
	s := newServer(t)
	in := func(change func(*api.CreateTargetGroupInput)) *api.CreateTargetGroupInput {
		i := &api.CreateTargetGroupInput{Name: ptr("g"), Protocol: "HTTP", Port: num(80), VpcId: ptr("vpc-1")}
		change(i)
		return i
	}
	arn := must[*api.CreateTargetGroupOutput](t)(s.CreateTargetGroup(t.Context(), in(func(*api.CreateTargetGroupInput) {}))).TargetGroups[0]
	if arn.TargetType != "instance" {
		t.Error(arn.TargetType)
	}
	_, err := s.RegisterTargets(t.Context(), &api.RegisterTargetsInput{TargetGroupArn: arn.TargetGroupArn, Targets: []api.TargetDescription{{Id: ptr("i-123")}}})
	wantCode(t, err, api.ErrInvalidTarget, "i-123")
	for name, c := range map[string]struct {
		change     func(*api.CreateTargetGroupInput)
		code, part string
	}{
		"other settings":   {func(i *api.CreateTargetGroupInput) { i.Port = num(81) }, api.ErrDuplicateTargetGroupName, "g"},
		"lambda":           {func(i *api.CreateTargetGroupInput) { i.TargetType = "lambda" }, api.ErrInvalidConfigurationRequest, "lambda"},
		"TCP":              {func(i *api.CreateTargetGroupInput) { i.Protocol = "TCP" }, api.ErrInvalidConfigurationRequest, "TCP"},
		"interval":         {func(i *api.CreateTargetGroupInput) { i.HealthCheckIntervalSeconds = num(4) }, errValidation, "interval '4'"},
		"timeout too long": {func(i *api.CreateTargetGroupInput) { i.HealthCheckTimeoutSeconds = num(30) }, errValidation, "smaller than the interval"},
		"matcher":          {func(i *api.CreateTargetGroupInput) { i.Matcher = &api.Matcher{HttpCode: ptr("200-599")} }, errValidation, "200-599"},
		"path":             {func(i *api.CreateTargetGroupInput) { i.HealthCheckPath = ptr("x") }, errValidation, "'x'"},
		"check port":       {func(i *api.CreateTargetGroupInput) { i.HealthCheckPort = ptr("0") }, errValidation, "'0'"},
		"unknown VPC":      {func(i *api.CreateTargetGroupInput) { i.Name, i.VpcId = ptr("h"), ptr("vpc-0") }, errValidation, "vpc-0"},
	} {
		_, err := s.CreateTargetGroup(t.Context(), in(c.change))
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		wantCode(t, err, c.code, c.part)
	}
}

func TestTagsAndPages(t *testing.T) {
	s := newServer(t)
	var arns []string
	for i := range 5 {
		arns = append(arns, *createLB(t, s, fmt.Sprintf("lb-%d", i)).LoadBalancerArn)
	}
	must[*api.AddTagsOutput](t)(s.AddTags(t.Context(), &api.AddTagsInput{ResourceArns: arns[:1], Tags: []api.Tag{{Key: ptr("b"), Value: ptr("2")}, {Key: ptr("a"), Value: ptr("1")}}}))
	must[*api.RemoveTagsOutput](t)(s.RemoveTags(t.Context(), &api.RemoveTagsInput{ResourceArns: arns[:1], TagKeys: []string{"b", "c"}}))
	tags := must[*api.DescribeTagsOutput](t)(s.DescribeTags(t.Context(), &api.DescribeTagsInput{ResourceArns: arns[:2]})).TagDescriptions
	if len(tags) != 2 || len(tags[0].Tags) != 1 || *tags[0].Tags[0].Key != "a" || len(tags[1].Tags) != 0 {
		t.Errorf("%+v", tags)
	}
	_, err := s.DescribeTags(t.Context(), &api.DescribeTagsInput{ResourceArns: []string{scope.TargetGroupARN("x", "0123456789abcdef")}})
	wantCode(t, err, api.ErrTargetGroupNotFound, "x")
	seen := 0
	for marker, pages := (*string)(nil), 0; pages == 0 || marker != nil; pages++ {
		out := must[*api.DescribeLoadBalancersOutput](t)(s.DescribeLoadBalancers(t.Context(), &api.DescribeLoadBalancersInput{Marker: marker, PageSize: num(2)}))
		seen += len(out.LoadBalancers)
		marker = out.NextMarker
	}
	if seen != 5 {
		t.Errorf("pages had %d", seen)
	}
}

func TestListenerAttributes(t *testing.T) {
	s := newServer(t)
	l := createListener(t, s, *createLB(t, s, "web").LoadBalancerArn, 80, forwardTo(createGroup(t, s, "g")))
	set := func(k, v string) error {
		_, err := s.ModifyListenerAttributes(t.Context(), &api.ModifyListenerAttributesInput{ListenerArn: l.ListenerArn, Attributes: []api.ListenerAttribute{{Key: &k, Value: &v}}})
		return err
	}
	if err := errors.Join(set("routing.http.response.server.enabled", "false"), set("routing.http.response.x_frame_options.header_value", "DENY")); err != nil {
		t.Fatal(err)
	}
	if err := set("routing.http.response.x_frame_options.header_value", "a\nb"); err == nil {
		t.Error("a line end was accepted")
	}
	out := must[*api.DescribeListenerAttributesOutput](t)(s.DescribeListenerAttributes(t.Context(), &api.DescribeListenerAttributesInput{ListenerArn: l.ListenerArn}))
	if len(out.Attributes) != 2 || *out.Attributes[0].Value != "false" || *out.Attributes[1].Value != "DENY" {
		t.Errorf("%+v", out.Attributes)
	}
}
