package elbv2

import (
	"slices"
	"strconv"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/elbv2api"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// parseActions checks the actions of a listener or rule and returns them as they are kept, ordered.
func parseActions(in []elbv2api.Action) ([]model.Action, error) {
	if len(in) == 0 {
		return nil, invalid("At least one action must be specified")
	}
	var list []model.Action
	for _, a := range in {
		action, err := parseAction(a)
		if err != nil {
			return nil, err
		}
		list = append(list, action)
	}
	if len(list) > 1 { // the ones that may come before are for TLS listeners
		return nil, awsapi.NewError(elbv2api.ErrTooManyActions, "An HTTP listener's rule has exactly one action: forward, redirect or fixed-response")
	}
	return list, nil
}

func parseAction(in elbv2api.Action) (model.Action, error) {
	out := model.Action{Type: string(in.Type), Order: int(awsapi.Val(in.Order))}
	if err := checkConfigs(in); err != nil {
		return out, err
	}
	var err error
	switch out.Type {
	case model.ActionForward:
		out.Forward, err = parseForward(in)
	case model.ActionRedirect:
		out.Redirect, err = parseRedirect(in.RedirectConfig)
	case model.ActionFixedResponse:
		out.FixedResponse, err = parseFixedResponse(in.FixedResponseConfig)
	default:
		err = awsapi.NewError(elbv2api.ErrInvalidLoadBalancerAction, "The action type '%s' is only valid for HTTPS listeners, which Neargate does not support yet", in.Type)
	}
	return out, err
}

// checkConfigs refuses a configuration that is not that of the action's type, which would be ignored.
func checkConfigs(in elbv2api.Action) error {
	for _, c := range []struct {
		name string
		set  bool
		of   elbv2api.ActionTypeEnum
	}{
		{"TargetGroupArn", awsapi.Val(in.TargetGroupArn) != "", elbv2api.ActionTypeEnumForward},
		{"ForwardConfig", in.ForwardConfig != nil, elbv2api.ActionTypeEnumForward},
		{"RedirectConfig", in.RedirectConfig != nil, elbv2api.ActionTypeEnumRedirect},
		{"FixedResponseConfig", in.FixedResponseConfig != nil, elbv2api.ActionTypeEnumFixedResponse},
		{"AuthenticateCognitoConfig", in.AuthenticateCognitoConfig != nil, elbv2api.ActionTypeEnumAuthenticateCognito},
		{"AuthenticateOidcConfig", in.AuthenticateOidcConfig != nil, elbv2api.ActionTypeEnumAuthenticateOidc},
		{"JwtValidationConfig", in.JwtValidationConfig != nil, elbv2api.ActionTypeEnumJwtValidation},
	} {
		if c.set && c.of != in.Type {
			return invalid("An action of the type '%s' cannot have a %s", in.Type, c.name)
		}
	}
	return nil
}

func parseForward(in elbv2api.Action) (*model.ForwardAction, error) {
	arn := awsapi.Val(in.TargetGroupArn)
	if in.ForwardConfig == nil {
		if arn == "" {
			return nil, invalid("A target group ARN must be specified for a forward action")
		}
		return &model.ForwardAction{Groups: []model.WeightedGroup{{TargetGroupARN: arn, Weight: 1}}, Simple: true}, nil
	}
	f := &model.ForwardAction{}
	for _, t := range in.ForwardConfig.TargetGroups {
		weight := 1
		if t.Weight != nil {
			weight = int(*t.Weight)
		}
		if weight < 0 || weight > 999 {
			return nil, invalid("Target group weight '%d' must be between 0 and 999", weight)
		}
		group := awsapi.Val(t.TargetGroupArn)
		if slices.ContainsFunc(f.Groups, func(g model.WeightedGroup) bool { return g.TargetGroupARN == group }) {
			return nil, invalid("Target group '%s' is specified more than once", group)
		}
		f.Groups = append(f.Groups, model.WeightedGroup{TargetGroupARN: group, Weight: weight})
	}
	switch {
	case len(f.Groups) == 0 && arn == "":
		return nil, invalid("At least one target group must be specified for a forward action")
	case len(f.Groups) == 0:
		f.Groups = []model.WeightedGroup{{TargetGroupARN: arn, Weight: 1}}
	case arn != "" && (len(f.Groups) != 1 || f.Groups[0].TargetGroupARN != arn):
		return nil, invalid("You can specify both TargetGroupArn and ForwardConfig only if they name the same one target group")
	case len(f.Groups) > maxForwardGroups:
		return nil, awsapi.NewError(elbv2api.ErrTooManyActions, "A forward action can name at most %d target groups", maxForwardGroups)
	}
	f.Simple = arn != ""
	if c := in.ForwardConfig.TargetGroupStickinessConfig; c != nil {
		if awsapi.Val(c.Enabled) {
			return nil, unsupported("stickiness of target groups in a forward action yet: leave TargetGroupStickinessConfig.Enabled false.")
		}
		f.StickinessDuration = int(awsapi.Val(c.DurationSeconds))
	}
	return f, nil
}

func parseRedirect(in *elbv2api.RedirectActionConfig) (*model.Redirect, error) {
	if in == nil {
		return nil, invalid("A redirect action requires a redirect configuration")
	}
	r := &model.Redirect{
		Protocol: awsapi.Or(in.Protocol, "#{protocol}"), Host: awsapi.Or(in.Host, "#{host}"), Port: awsapi.Or(in.Port, "#{port}"),
		Path: awsapi.Or(in.Path, "/#{path}"), Query: awsapi.Or(in.Query, "#{query}"), StatusCode: string(in.StatusCode),
	}
	for _, c := range []struct{ name, value string }{{"protocol", r.Protocol}, {"host", r.Host}, {"port", r.Port}, {"path", r.Path}, {"query", r.Query}} {
		if strings.ContainsFunc(c.value, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			return nil, invalid("The redirect %s '%s' contains characters that are not allowed", c.name, c.value)
		}
	}
	if n, err := strconv.Atoi(r.Port); r.Port != "#{port}" && (err != nil || n < 1 || n > 65535) {
		return nil, invalid("The redirect port '%s' must be between 1 and 65535, or #{port}", r.Port)
	}
	if !strings.HasPrefix(r.Path, "/") {
		return nil, invalid("The redirect path '%s' must begin with a '/'", r.Path)
	}
	if r.Protocol == "#{protocol}" && r.Host == "#{host}" && r.Port == "#{port}" && r.Path == "/#{path}" {
		return nil, invalid("A redirect must change the protocol, the host, the port or the path, or it is a loop")
	}
	return r, nil
}

// contentTypes are what a fixed response can be.
var contentTypes = []string{"text/plain", "text/css", "text/html", "application/javascript", "application/json"}

func parseFixedResponse(in *elbv2api.FixedResponseActionConfig) (*model.FixedResponse, error) {
	if in == nil {
		return nil, invalid("A fixed-response action requires a fixed-response configuration")
	}
	f := &model.FixedResponse{StatusCode: awsapi.Val(in.StatusCode), ContentType: awsapi.Val(in.ContentType), Body: awsapi.Val(in.MessageBody)}
	if n, err := strconv.Atoi(f.StatusCode); err != nil || n < 200 || n > 599 || n/100 == 3 {
		return nil, invalid("The fixed-response status code '%s' must be 2XX, 4XX or 5XX", f.StatusCode)
	}
	if f.ContentType != "" && !slices.Contains(contentTypes, f.ContentType) {
		return nil, invalid("The content type '%s' must be one of [%s]", f.ContentType, strings.Join(contentTypes, ", "))
	}
	return f, nil
}

func describeActions(list []model.Action) []elbv2api.Action {
	out := make([]elbv2api.Action, 0, len(list))
	for _, a := range list {
		d := elbv2api.Action{Type: elbv2api.ActionTypeEnum(a.Type)}
		if a.Order != 0 {
			d.Order = awsapi.Ptr(int32(a.Order))
		}
		switch {
		case a.Forward != nil:
			describeForward(&d, a.Forward)
		case a.Redirect != nil:
			r := a.Redirect
			d.RedirectConfig = &elbv2api.RedirectActionConfig{Protocol: &r.Protocol, Host: &r.Host, Port: &r.Port, Path: &r.Path, Query: &r.Query,
				StatusCode: elbv2api.RedirectActionStatusCodeEnum(r.StatusCode)}
		case a.FixedResponse != nil:
			f := a.FixedResponse
			d.FixedResponseConfig = &elbv2api.FixedResponseActionConfig{StatusCode: &f.StatusCode, ContentType: awsapi.NonZero(f.ContentType), MessageBody: awsapi.NonZero(f.Body)}
		}
		out = append(out, d)
	}
	return out
}

// describeForward always tells the full form, as AWS does; the short one as well if there is one group.
func describeForward(d *elbv2api.Action, f *model.ForwardAction) {
	stickiness := &elbv2api.TargetGroupStickinessConfig{Enabled: awsapi.Ptr(f.StickinessEnabled)}
	if f.StickinessDuration > 0 {
		stickiness.DurationSeconds = awsapi.Ptr(int32(f.StickinessDuration))
	}
	d.ForwardConfig = &elbv2api.ForwardActionConfig{TargetGroupStickinessConfig: stickiness}
	for _, g := range f.Groups {
		d.ForwardConfig.TargetGroups = append(d.ForwardConfig.TargetGroups,
			elbv2api.TargetGroupTuple{TargetGroupArn: awsapi.Ptr(g.TargetGroupARN), Weight: awsapi.Ptr(int32(g.Weight))})
	}
	if len(f.Groups) == 1 && f.Simple {
		d.TargetGroupArn = awsapi.Ptr(f.Groups[0].TargetGroupARN)
	}
}

// checkGroups checks that the target groups of actions exist, are in the load balancer's VPC, and serve no other one.
func (s *Server) checkGroups(r store.Reader, lb *model.LoadBalancer, actions []model.Action) error {
	for _, a := range actions {
		if a.Forward == nil {
			continue
		}
		for _, g := range a.Forward.Groups {
			group, ok := s.tables.TargetGroups.Get(r, g.TargetGroupARN)
			if !ok {
				return targetGroupNotFound(g.TargetGroupARN)
			}
			if group.VPCID != lb.VPCID {
				return awsapi.NewError(elbv2api.ErrInvalidConfigurationRequest, "Target group '%s' is in %s, the load balancer in %s", group.ARN, group.VPCID, lb.VPCID)
			}
			for _, other := range s.loadBalancersOf(r, group.ARN) {
				if other != lb.ARN {
					return awsapi.NewError(elbv2api.ErrTargetGroupAssociationLimit, "The following target groups cannot be associated with more than one load balancer: %s", group.ARN)
				}
			}
		}
	}
	return nil
}

// checkGroupCount keeps the number of target groups of a load balancer below its quota, after a change.
func (s *Server) checkGroupCount(r store.Reader, lbARN string) error {
	groups := map[string]bool{}
	for l := range s.tables.Listeners.By(r, "load-balancer", lbARN) {
		addGroups(groups, l.DefaultActions)
		for rule := range s.tables.Rules.By(r, "listener", l.ARN) {
			addGroups(groups, rule.Actions)
		}
	}
	if len(groups) > maxGroupsPerLB {
		return awsapi.NewError(elbv2api.ErrTooManyUniqueTargetGroupsPerLoadBalancer, "A load balancer can use at most %d target groups", maxGroupsPerLB)
	}
	return nil
}

func addGroups(set map[string]bool, actions []model.Action) {
	for _, a := range actions {
		if a.Forward != nil {
			for _, g := range a.Forward.Groups {
				set[g.TargetGroupARN] = true
			}
		}
	}
}

// loadBalancersOf returns the load balancers whose listeners or rules use a target group, sorted.
func (s *Server) loadBalancersOf(r store.Reader, groupARN string) []string {
	set := map[string]bool{}
	for l := range s.tables.Listeners.By(r, "target-group", groupARN) {
		set[l.LoadBalancerARN] = true
	}
	for rule := range s.tables.Rules.By(r, "target-group", groupARN) {
		if l, ok := s.tables.Listeners.Get(r, rule.ListenerARN); ok {
			set[l.LoadBalancerARN] = true
		}
	}
	return sortedKeys(set)
}
