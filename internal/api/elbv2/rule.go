package elbv2

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/elbv2api"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

const maxPriority = 50000

// CreateRule adds a rule to a listener.
func (s *Server) CreateRule(ctx context.Context, in *elbv2api.CreateRuleInput) (*elbv2api.CreateRuleOutput, error) {
	if err := only(in, "ListenerArn", "Priority", "Conditions", "Actions", "Tags"); err != nil {
		return nil, err
	}
	priority := int(awsapi.Val(in.Priority))
	if priority < 1 || priority > maxPriority {
		return nil, invalid("Priority '%d' must be between 1 and %d", priority, maxPriority)
	}
	conditions, err := parseConditions(in.Conditions)
	if err != nil {
		return nil, err
	}
	actions, err := parseActions(in.Actions)
	if err != nil {
		return nil, err
	}
	meta, err := s.meta(in.Tags)
	if err != nil {
		return nil, err
	}
	var answer elbv2api.Rule
	err = s.update(ctx, func(tx *store.Txn) error {
		l, lb, err := s.listener(tx, awsapi.Val(in.ListenerArn))
		if err != nil {
			return err
		}
		for other := range s.tables.Rules.By(tx, "listener", l.ARN) {
			if other.Priority == priority {
				return priorityInUse(priority)
			}
		}
		if s.ruleCount(tx, lb.ARN) >= maxRules {
			return awsapi.NewError(elbv2api.ErrTooManyRules, "A load balancer can have at most %d rules", maxRules)
		}
		if err := s.checkGroups(tx, lb, actions); err != nil {
			return err
		}
		r := &model.Rule{Meta: meta, ARN: s.scope.RuleARN(lb.Name, lb.ID, l.ID, model.Hex(16)), ListenerARN: l.ARN, Priority: priority, Conditions: conditions, Actions: actions}
		s.tables.Rules.Put(tx, r)
		answer = describeRule(r)
		return s.checkGroupCount(tx, lb.ARN)
	})
	if err != nil {
		return nil, err
	}
	return &elbv2api.CreateRuleOutput{Rules: []elbv2api.Rule{answer}}, nil
}

func priorityInUse(p int) error {
	return awsapi.NewError(elbv2api.ErrPriorityInUse, "Priority '%d' is currently in use", p)
}

func (s *Server) ruleCount(r store.Reader, lbARN string) int {
	n := 0
	for l := range s.tables.Listeners.By(r, "load-balancer", lbARN) {
		n += s.tables.Rules.LenBy(r, "listener", l.ARN)
	}
	return n
}

// ModifyRule changes conditions or actions of a rule.
func (s *Server) ModifyRule(ctx context.Context, in *elbv2api.ModifyRuleInput) (*elbv2api.ModifyRuleOutput, error) {
	if err := only(in, "RuleArn", "Conditions", "Actions", "ResetTransforms"); err != nil {
		return nil, err
	}
	var conditions []model.Condition
	var actions []model.Action
	var err error
	if len(in.Conditions) > 0 {
		if conditions, err = parseConditions(in.Conditions); err != nil {
			return nil, err
		}
	}
	if len(in.Actions) > 0 {
		if actions, err = parseActions(in.Actions); err != nil {
			return nil, err
		}
	}
	arn := awsapi.Val(in.RuleArn)
	var answer elbv2api.Rule
	err = s.update(ctx, func(tx *store.Txn) error {
		old, err := s.rule(tx, arn)
		if err != nil {
			return err
		}
		_, lb, err := s.listener(tx, old.ListenerARN)
		if err != nil {
			return err
		}
		r := s.tables.Rules.Clone(old)
		if conditions != nil {
			r.Conditions = conditions
		}
		if actions != nil {
			if err := s.checkGroups(tx, lb, actions); err != nil {
				return err
			}
			r.Actions = actions
		}
		s.tables.Rules.Put(tx, r)
		answer = describeRule(r)
		return s.checkGroupCount(tx, lb.ARN)
	})
	if err != nil {
		return nil, err
	}
	return &elbv2api.ModifyRuleOutput{Rules: []elbv2api.Rule{answer}}, nil
}

// rule returns a rule that can be changed: not a default one.
func (s *Server) rule(r store.Reader, arn string) (*model.Rule, error) {
	if rec, ok := s.tables.Rules.Get(r, arn); ok {
		return rec, nil
	}
	if _, ok := s.listenerOfDefaultRule(r, arn); ok {
		return nil, awsapi.NewError(elbv2api.ErrOperationNotPermitted, "Default rule '%s' cannot be modified or deleted", arn)
	}
	return nil, ruleNotFound(arn)
}

// DeleteRule deletes a rule.
func (s *Server) DeleteRule(ctx context.Context, in *elbv2api.DeleteRuleInput) (*elbv2api.DeleteRuleOutput, error) {
	err := s.update(ctx, func(tx *store.Txn) error {
		r, err := s.rule(tx, awsapi.Val(in.RuleArn))
		if err != nil {
			return err
		}
		s.tables.Rules.Delete(tx, r.ARN)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &elbv2api.DeleteRuleOutput{}, nil
}

// SetRulePriorities changes the order of rules of one listener, all at once.
func (s *Server) SetRulePriorities(ctx context.Context, in *elbv2api.SetRulePrioritiesInput) (*elbv2api.SetRulePrioritiesOutput, error) {
	out := &elbv2api.SetRulePrioritiesOutput{}
	err := s.update(ctx, func(tx *store.Txn) error {
		out.Rules = nil
		listener := ""
		for _, p := range in.RulePriorities {
			old, err := s.rule(tx, awsapi.Val(p.RuleArn))
			if err != nil {
				return err
			}
			if listener == "" {
				listener = old.ListenerARN
			}
			priority := int(awsapi.Val(p.Priority))
			switch {
			case old.ListenerARN != listener:
				return invalid("All rules must belong to the same listener")
			case priority < 1 || priority > maxPriority:
				return invalid("Priority '%d' must be between 1 and %d", priority, maxPriority)
			}
			r := s.tables.Rules.Clone(old)
			r.Priority = priority
			s.tables.Rules.Put(tx, r)
			out.Rules = append(out.Rules, describeRule(r))
		}
		taken := map[int]bool{}
		for r := range s.tables.Rules.By(tx, "listener", listener) {
			if taken[r.Priority] {
				return priorityInUse(r.Priority)
			}
			taken[r.Priority] = true
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DescribeRules lists the rules of a listener, the default one last, or those named.
func (s *Server) DescribeRules(_ context.Context, in *elbv2api.DescribeRulesInput) (*elbv2api.DescribeRulesOutput, error) {
	view := s.db.View()
	type entry struct {
		key  string
		rule elbv2api.Rule
	}
	entryOf := func(r *model.Rule) entry {
		return entry{key: fmt.Sprintf("%s %06d %s", r.ListenerARN, r.Priority, r.ARN), rule: describeRule(r)}
	}
	byDefault := func(l *model.Listener) entry {
		return entry{key: fmt.Sprintf("%s default", l.ARN), rule: defaultRule(l)}
	}
	var found []entry
	switch arn := awsapi.Val(in.ListenerArn); {
	case arn != "" && len(in.RuleArns) > 0:
		return nil, invalid("You cannot specify both a listener ARN and rule ARNs")
	case arn != "":
		l, ok := s.tables.Listeners.Get(view, arn)
		if !ok {
			return nil, listenerNotFound(arn)
		}
		for r := range s.tables.Rules.By(view, "listener", arn) {
			found = append(found, entryOf(r))
		}
		found = append(found, byDefault(l))
	case len(in.RuleArns) == 0:
		return nil, invalid("You must specify either a listener ARN or rule ARNs")
	default:
		for _, arn := range in.RuleArns {
			if r, ok := s.tables.Rules.Get(view, arn); ok {
				found = append(found, entryOf(r))
			} else if l, ok := s.listenerOfDefaultRule(view, arn); ok {
				found = append(found, byDefault(l))
			} else {
				return nil, ruleNotFound(arn)
			}
		}
	}
	cut, next, err := page("DescribeRules", found, func(e entry) string { return e.key }, in.Marker, in.PageSize)
	if err != nil {
		return nil, err
	}
	out := &elbv2api.DescribeRulesOutput{NextMarker: next}
	for _, e := range cut {
		out.Rules = append(out.Rules, e.rule)
	}
	return out, nil
}

func describeRule(r *model.Rule) elbv2api.Rule {
	return elbv2api.Rule{
		RuleArn: awsapi.Ptr(r.ARN), Priority: awsapi.Ptr(strconv.Itoa(r.Priority)), IsDefault: awsapi.Ptr(false),
		Conditions: describeConditions(slices.Clone(r.Conditions)), Actions: describeActions(r.Actions),
	}
}

func defaultRule(l *model.Listener) elbv2api.Rule {
	return elbv2api.Rule{
		RuleArn: awsapi.Ptr(l.DefaultRuleARN), Priority: awsapi.Ptr("default"), IsDefault: awsapi.Ptr(true),
		Conditions: []elbv2api.RuleCondition{}, Actions: describeActions(l.DefaultActions),
	}
}
