package listener

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/keeper/health"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/proxy"
)

var (
	scope   = model.Scope{Account: "000000000000", Region: "us-east-1"}
	groupID = "0123456789abcdef"
	groupA  = scope.TargetGroupARN("web", groupID)
	lbID    = "fedcba9876543210"
	compare = cmp.Options{cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })}
)

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func sample() records {
	lb := &model.LoadBalancer{ID: lbID, ARN: scope.LoadBalancerARN("web", lbID), Name: "web", Attributes: map[string]string{model.AttrIdleTimeout: "90"},
		Zones: []model.LBZone{{AZ: "us-east-1a", IP: ip("10.0.1.5"), ENIID: "eni-a"}, {AZ: "us-east-1b", IP: ip("10.0.2.5"), ENIID: "eni-b"}}}
	group := &model.TargetGroup{ARN: groupA, ID: groupID, Name: "web", Protocol: "HTTP", Port: 80,
		HealthCheck: model.TargetHealthCheck{Enabled: true, Protocol: "HTTP", Port: "traffic-port", Path: "/ping", Interval: 30, Timeout: 5, HealthyThreshold: 5, UnhealthyThreshold: 2, Matcher: "200"}}
	target := func(addr, az string) *model.Target {
		return &model.Target{TargetGroupARN: groupA, IP: ip(addr), Port: 80, AZ: az}
	}
	drains := target("10.0.1.9", "us-east-1a")
	drains.DrainingSince = time.Unix(1, 0)
	forward := []model.Action{{Type: model.ActionForward, Forward: &model.ForwardAction{Groups: []model.WeightedGroup{{TargetGroupARN: groupA, Weight: 1}}}}}
	l := &model.Listener{ARN: scope.ListenerARN("web", lbID, "aaaa"), LoadBalancerARN: lb.ARN, Port: 80, Protocol: "HTTP", DefaultActions: forward}
	return records{lb: lb, groups: []*model.TargetGroup{group}, listeners: []*model.Listener{l},
		rules: []*model.Rule{
			{ARN: "r2", ListenerARN: l.ARN, Priority: 20, Conditions: []model.Condition{{Field: "path-pattern", Values: []string{"/a/*"}}}, Actions: forward},
			{ARN: "r1", ListenerARN: l.ARN, Priority: 3, Conditions: []model.Condition{{Field: "query-string", Query: []model.QueryKV{{Key: "a", Value: "b"}}}},
				Actions: []model.Action{{Type: model.ActionRedirect, Redirect: &model.Redirect{Protocol: "HTTPS", Host: "#{host}", Port: "443", Path: "/#{path}", Query: "#{query}", StatusCode: "HTTP_302"}}}},
		},
		targets: []*model.Target{target("10.0.2.7", "us-east-1b"), target("10.0.1.7", "us-east-1a"), target("10.0.3.7", "us-east-1c"), drains},
		health:  map[string]*model.TargetHealth{},
	}
}

func TestCompile(t *testing.T) {
	r := sample()
	r.health[model.TargetKey(groupA, ip("10.0.1.7"), 80)] = &model.TargetHealth{State: model.TargetHealthy}
	got, err := Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	web := []proxy.Weighted{{Group: groupID, Weight: 1}}
	want := proxy.Config{
		IdleTimeout: 90 * time.Second, ClientKeepAlive: time.Hour, Forwarded: proxy.ForwardedAppend,
		Nodes: []proxy.Node{{Name: "a", Address: ip("10.0.1.5")}, {Name: "b", Address: ip("10.0.2.5")}},
		Listeners: []proxy.Listener{{Port: 80, Default: proxy.Action{Forward: web}, Rules: []proxy.Rule{
			{Name: "priority 3", Conditions: []proxy.Condition{{Field: proxy.FieldQuery, Query: []proxy.Query{{Key: "a", Value: "b"}}}},
				Action: proxy.Action{Redirect: &proxy.Redirect{Status: 302, Protocol: "https", Host: "#{host}", Port: "443", Path: "/#{path}", Query: "#{query}"}}},
			{Name: "priority 20", Conditions: []proxy.Condition{{Field: proxy.FieldPath, Values: []string{"/a/*"}}}, Action: proxy.Action{Forward: web}},
		}}},
		Groups: []proxy.Group{{Name: groupID, Algorithm: proxy.RoundRobin, Servers: []proxy.Server{
			{Address: netip.MustParseAddrPort("10.0.1.7:80")},
			{Address: netip.MustParseAddrPort("10.0.1.9:80"), Disabled: true, Draining: true},
			{Address: netip.MustParseAddrPort("10.0.2.7:80"), Disabled: true},
			{Address: netip.MustParseAddrPort("10.0.3.7:80"), Disabled: true},
		}}},
	}
	if diff := cmp.Diff(want, got.proxy, compare); diff != "" {
		t.Errorf("proxy: %s", diff)
	}
	wantChecks := health.Config{Groups: []health.Group{{ID: groupA, Protocol: "HTTP", Path: "/ping", Matcher: "200", Interval: 30 * time.Second, Timeout: 5 * time.Second,
		HealthyThreshold: 5, UnhealthyThreshold: 2, MinimumHealthy: 1, Backends: []string{"g-" + groupID + "-a", "g-" + groupID + "-b"},
		Targets: []health.TargetSpec{
			{ID: "10.0.1.7:80", Address: ip("10.0.1.7"), Port: 80, Source: ip("10.0.1.5"), Server: "t-10.0.1.7-80"},
			{ID: "10.0.1.9:80", Address: ip("10.0.1.9"), Port: 80, Source: ip("10.0.1.5"), Server: "t-10.0.1.9-80", Draining: true},
			{ID: "10.0.2.7:80", Address: ip("10.0.2.7"), Port: 80, Source: ip("10.0.2.5"), Server: "t-10.0.2.7-80"},
			{ID: "10.0.3.7:80", Address: ip("10.0.3.7"), Port: 80, Server: "t-10.0.3.7-80", Unused: health.DescribeZoneNotEnabled},
		}}}}
	if diff := cmp.Diff(wantChecks, got.checks, compare); diff != "" {
		t.Errorf("checks: %s", diff)
	}
	if err := got.checks.Validate(); err != nil {
		t.Error(err)
	}
}

// With nobody healthy everybody serves, but for what drains or is not in a zone of the load balancer.
func TestCompileFailsOpen(t *testing.T) {
	got, err := Compile(sample())
	if err != nil {
		t.Fatal(err)
	}
	var serving []string
	for _, s := range got.proxy.Groups[0].Servers {
		if !s.Disabled {
			serving = append(serving, s.Address.String())
		}
	}
	if diff := cmp.Diff([]string{"10.0.1.7:80", "10.0.2.7:80"}, serving); diff != "" {
		t.Error(diff)
	}
}

// journal is a HAProxy that notes what it is told.
type journal struct {
	have []proxy.ServerStatus
	busy bool
	did  []string
}

func (j *journal) Servers(context.Context) ([]proxy.ServerStatus, error) { return j.have, nil }
func (j *journal) AddServer(_ context.Context, g proxy.Group, node string, s proxy.Server) error {
	j.did = append(j.did, fmt.Sprintf("add %s-%s %s", g.Name, node, s.Address))
	return nil
}
func (j *journal) SetState(_ context.Context, backend, server string, s proxy.State) error {
	j.did = append(j.did, fmt.Sprintf("%s %s %s", s, backend, server))
	return nil
}
func (j *journal) CloseSessions(_ context.Context, backend, server string) error {
	j.did = append(j.did, "close "+backend+" "+server)
	return nil
}
func (j *journal) DeleteServer(_ context.Context, backend, server string) error {
	j.did = append(j.did, "delete "+backend+" "+server)
	if j.busy {
		return proxy.ErrBusy
	}
	return nil
}

func TestSyncServers(t *testing.T) {
	server := func(a string) proxy.Server { return proxy.Server{Address: netip.MustParseAddrPort(a)} }
	drains, checked := server("10.0.0.2:80"), server("10.0.0.3:80")
	drains.Draining, checked.Disabled = true, true
	c := proxy.Config{Nodes: []proxy.Node{{Name: "a"}}, Groups: []proxy.Group{{Name: "w", Servers: []proxy.Server{server("10.0.0.1:80"), drains, checked, server("10.0.0.4:80")}}}}
	j := &journal{busy: true, have: []proxy.ServerStatus{
		{Backend: "g-w-a", Name: "t-10.0.0.2-80", State: proxy.Ready}, {Backend: "g-w-a", Name: "t-10.0.0.4-80", State: proxy.Maint},
		{Backend: "g-w-a", Name: "t-10.0.0.9-80", State: proxy.Drain},
	}}
	busy, err := syncServers(t.Context(), j, c)
	if err != nil || !busy {
		t.Errorf("busy %v, %v", busy, err)
	}
	want := []string{"add w-a 10.0.0.1:80", "ready g-w-a t-10.0.0.1-80", "drain g-w-a t-10.0.0.2-80", "add w-a 10.0.0.3:80",
		"close g-w-a t-10.0.0.9-80", "delete g-w-a t-10.0.0.9-80"}
	if diff := cmp.Diff(want, j.did); diff != "" {
		t.Error(diff)
	}
}

func TestBalancerOf(t *testing.T) {
	for arn, want := range map[string]string{
		scope.ListenerARN("web", lbID, "aa"): lbID, scope.RuleARN("web", lbID, "aa", "bb"): lbID, groupA: "", "": "",
	} {
		if got := balancerOf(arn); got != want {
			t.Errorf("%s is of %q, want %q", arn, got, want)
		}
	}
}
