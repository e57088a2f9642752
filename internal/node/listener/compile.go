package listener

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/neargate/neargate/internal/keeper/health"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/proxy"
)

// records is everything that one load balancer is made of.
type records struct {
	lb        *model.LoadBalancer
	listeners []*model.Listener
	rules     []*model.Rule
	groups    []*model.TargetGroup // those that listeners and rules forward to
	targets   []*model.Target
	health    map[string]*model.TargetHealth // by key
}

// compiled is what a load balancer is on a host.
type compiled struct {
	proxy  proxy.Config
	checks health.Config
}

// Compile returns the description of a load balancer's HAProxy, without what only the host knows (paths, users), and its
// health checks, without the runtime socket.
func Compile(r records) (compiled, error) {
	c := compiled{proxy: proxyOf(r.lb)}
	nodes := map[string]netip.Addr{} // zone -> the node's address
	for _, z := range r.lb.Zones {
		nodes[z.AZ] = z.IP
		c.proxy.Nodes = append(c.proxy.Nodes, proxy.Node{Name: nodeName(z), Address: z.IP})
	}
	byGroup := map[string][]*model.Target{}
	for _, t := range r.targets {
		byGroup[t.TargetGroupARN] = append(byGroup[t.TargetGroupARN], t)
	}
	names := map[string]string{}
	groups := slices.SortedFunc(slices.Values(r.groups), func(a, b *model.TargetGroup) int { return cmp.Compare(a.ARN, b.ARN) })
	for _, g := range groups {
		names[g.ARN] = g.ID
		targets := slices.SortedFunc(slices.Values(byGroup[g.ARN]), func(a, b *model.Target) int { return cmp.Compare(a.Key(), b.Key()) })
		checks := checksOf(r.lb, g, targets, nodes)
		c.checks.Groups = append(c.checks.Groups, checks)
		c.proxy.Groups = append(c.proxy.Groups, groupOf(g, targets, servingNow(checks, g.ARN, r.health)))
	}
	rules := map[string][]*model.Rule{}
	for _, rule := range r.rules {
		rules[rule.ListenerARN] = append(rules[rule.ListenerARN], rule)
	}
	for _, l := range slices.SortedFunc(slices.Values(r.listeners), func(a, b *model.Listener) int { return cmp.Compare(a.Port, b.Port) }) {
		compiled, err := listenerOf(l, rules[l.ARN], names)
		if err != nil {
			return c, fmt.Errorf("listener %s: %w", l.ARN, err)
		}
		c.proxy.Listeners = append(c.proxy.Listeners, compiled)
	}
	return c, nil
}

// nodeName names a node after the letter of its zone, of which a load balancer has each at most once.
func nodeName(z model.LBZone) string { return z.AZ[len(z.AZ)-1:] }

func proxyOf(lb *model.LoadBalancer) proxy.Config {
	seconds := func(key string) time.Duration {
		return time.Duration(model.AttributeInt(lb.Attributes, key)) * time.Second
	}
	// These times are of the protocol, not AWS's own delays: --speed does not shorten them.
	return proxy.Config{
		IdleTimeout:       seconds(model.AttrIdleTimeout),
		ClientKeepAlive:   seconds(model.AttrClientKeepAlive),
		Forwarded:         proxy.ForwardedMode(model.AttributeValue(lb.Attributes, model.AttrXFFMode)),
		ForwardedPort:     model.AttributeIsTrue(lb.Attributes, model.AttrXFFClientPort),
		PreserveHost:      model.AttributeIsTrue(lb.Attributes, model.AttrPreserveHost),
		DropInvalidHeader: model.AttributeIsTrue(lb.Attributes, model.AttrDropInvalidHeaders),
	}
}

// algorithms by the value of the target group's attribute.
func algorithm(name string) proxy.Algorithm {
	switch name {
	case "least_outstanding_requests":
		return proxy.LeastOutstanding
	case "weighted_random":
		return proxy.WeightedRandom
	}
	return proxy.RoundRobin
}

// groupOf describes a group's servers; those that do not serve now are rendered out of service.
func groupOf(g *model.TargetGroup, targets []*model.Target, serving map[string]bool) proxy.Group {
	out := proxy.Group{
		Name: g.ID, Algorithm: algorithm(model.AttributeValue(g.Attributes, model.AttrAlgorithm)), TLS: g.Protocol == "HTTPS",
		SlowStart: time.Duration(model.AttributeInt(g.Attributes, model.AttrSlowStart)) * time.Second,
	}
	for _, t := range targets {
		out.Servers = append(out.Servers, proxy.Server{Address: addressOf(t), Disabled: !serving[targetID(t)], Draining: !t.DrainingSince.IsZero()})
	}
	return out
}

func addressOf(t *model.Target) netip.AddrPort { return netip.AddrPortFrom(t.IP, uint16(t.Port)) }

// targetID names a target in its group, here and in the keeper's reports.
func targetID(t *model.Target) string { return addressOf(t).String() }

// checksOf describes the health checks of a group. The node in a target's zone checks it.
func checksOf(lb *model.LoadBalancer, g *model.TargetGroup, targets []*model.Target, nodes map[string]netip.Addr) health.Group {
	h := g.HealthCheck
	out := health.Group{
		ID: g.ARN, Protocol: h.Protocol, Path: h.Path, Matcher: h.Matcher,
		Interval: time.Duration(h.Interval) * time.Second, Timeout: time.Duration(h.Timeout) * time.Second,
		HealthyThreshold: h.HealthyThreshold, UnhealthyThreshold: h.UnhealthyThreshold,
		MinimumHealthy: model.AttributeInt(g.Attributes, model.AttrMinimumHealthy),
	}
	for _, z := range lb.Zones {
		out.Backends = append(out.Backends, proxy.BackendName(g.ID, nodeName(z)))
	}
	for _, t := range targets {
		spec := health.TargetSpec{ID: targetID(t), Address: t.IP, Port: uint16(t.Port), Server: proxy.ServerName(addressOf(t)), Draining: !t.DrainingSince.IsZero()}
		if n, err := strconv.ParseUint(h.Port, 10, 16); err == nil {
			spec.Port = uint16(n)
		}
		source, enabled := nodes[t.AZ]
		switch {
		case enabled:
			spec.Source = source
		case t.AZ == "all" || t.AZ == "":
			if len(lb.Zones) > 0 {
				spec.Source = lb.Zones[0].IP
			}
		default:
			spec.Unused = health.DescribeZoneNotEnabled
		}
		out.Targets = append(out.Targets, spec)
	}
	return out
}

// servingNow tells which targets get requests, by what was last seen of them: the healthy ones, or all when there are too
// few. It is what a fresh HAProxy begins with; the keeper corrects it within moments.
func servingNow(g health.Group, groupARN string, seen map[string]*model.TargetHealth) map[string]bool {
	state := func(t health.TargetSpec) string {
		a, err := netip.ParseAddrPort(t.ID)
		if err != nil {
			return ""
		}
		if h := seen[model.TargetKey(groupARN, a.Addr(), int(a.Port()))]; h != nil {
			return h.State
		}
		return health.Initial
	}
	healthy := 0
	for _, t := range g.Targets {
		if state(t) == health.Healthy && !t.Draining && t.Unused == "" {
			healthy++
		}
	}
	out := map[string]bool{}
	for _, t := range g.Targets {
		out[t.ID] = !t.Draining && t.Unused == "" && (healthy < max(g.MinimumHealthy, 1) || state(t) == health.Healthy)
	}
	return out
}

func listenerOf(l *model.Listener, rules []*model.Rule, groups map[string]string) (proxy.Listener, error) {
	out := proxy.Listener{Port: l.Port, HideServer: !model.AttributeIsTrue(l.Attributes, model.AttrResponseServer)}
	for _, h := range model.ResponseHeaders() {
		if v := l.Attributes[h.Key]; v != "" {
			out.SetHeaders = append(out.SetHeaders, proxy.Header{Name: h.Header, Value: v})
		}
	}
	slices.SortFunc(rules, func(a, b *model.Rule) int { return cmp.Compare(a.Priority, b.Priority) })
	for _, r := range rules {
		action, err := actionOf(r.Actions, groups)
		if err != nil {
			return out, fmt.Errorf("rule %s: %w", r.ARN, err)
		}
		conditions, err := conditionsOf(r.Conditions)
		if err != nil {
			return out, fmt.Errorf("rule %s: %w", r.ARN, err)
		}
		out.Rules = append(out.Rules, proxy.Rule{Name: "priority " + strconv.Itoa(r.Priority), Conditions: conditions, Action: action})
	}
	var err error
	out.Default, err = actionOf(l.DefaultActions, groups)
	return out, err
}

func actionOf(actions []model.Action, groups map[string]string) (proxy.Action, error) {
	if len(actions) == 0 {
		return proxy.Action{}, fmt.Errorf("no action")
	}
	a := actions[len(actions)-1] // the last one answers
	switch {
	case a.Forward != nil:
		out := proxy.Action{Forward: []proxy.Weighted{}}
		for _, g := range a.Forward.Groups {
			name, ok := groups[g.TargetGroupARN]
			if !ok {
				return out, fmt.Errorf("target group %s does not exist", g.TargetGroupARN)
			}
			out.Forward = append(out.Forward, proxy.Weighted{Group: name, Weight: g.Weight})
		}
		return out, nil
	case a.Redirect != nil:
		r := a.Redirect
		status := 301
		if r.StatusCode == "HTTP_302" {
			status = 302
		}
		return proxy.Action{Redirect: &proxy.Redirect{Status: status, Protocol: schemeOf(r.Protocol), Host: r.Host, Port: r.Port, Path: r.Path, Query: r.Query}}, nil
	case a.FixedResponse != nil:
		f := a.FixedResponse
		status, err := strconv.Atoi(f.StatusCode)
		return proxy.Action{Fixed: &proxy.Fixed{Status: status, ContentType: f.ContentType, Body: f.Body}}, err
	}
	return proxy.Action{}, fmt.Errorf("action of type %q", a.Type)
}

// schemeOf writes a protocol as it stands in a URL.
func schemeOf(protocol string) string {
	switch protocol {
	case "HTTP":
		return "http"
	case "HTTPS":
		return "https"
	}
	return protocol
}

var fields = map[string]proxy.Field{
	"path-pattern": proxy.FieldPath, "host-header": proxy.FieldHost, "http-header": proxy.FieldHeader,
	"http-request-method": proxy.FieldMethod, "query-string": proxy.FieldQuery, "source-ip": proxy.FieldSourceIP,
}

func conditionsOf(list []model.Condition) ([]proxy.Condition, error) {
	var out []proxy.Condition
	for _, c := range list {
		field, ok := fields[c.Field]
		if !ok {
			return nil, fmt.Errorf("condition on %q", c.Field)
		}
		cond := proxy.Condition{Field: field, Header: c.HeaderName, Values: c.Values}
		for _, q := range c.Query {
			cond.Query = append(cond.Query, proxy.Query{Key: q.Key, Value: q.Value})
		}
		out = append(out, cond)
	}
	return out, nil
}
