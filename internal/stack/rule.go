package stack

import (
	"fmt"
	"slices"
)

// Rules checks the template's rules, which say what combinations of parameters are allowed.
func (s *Scope) Rules() error {
	s.inRule = true
	defer func() { s.inRule = false }()
	for _, rule := range s.Template.Rules {
		s.budget = maxValueBytes
		path := "Rules/" + rule.Name
		if rule.Condition != nil {
			applies, err := s.truth(rule.Condition, join(path, "RuleCondition"))
			if err != nil {
				return err
			}
			if !applies {
				continue
			}
		}
		for i, a := range rule.Assertions {
			at := fmt.Sprintf("%s/Assertions/%d", path, i)
			holds, err := s.truth(a.Assert, at)
			if err != nil {
				return err
			}
			if !holds {
				return errorf(a.Assert, at, "Template Validation Error: Rule '%s' failed: %s", rule.Name, a.Description)
			}
		}
	}
	return nil
}

// ruleFunction evaluates the functions that only rules have.
func (s *Scope) ruleFunction(name string, arg *Node, path string) (bool, error) {
	otherwise := fmt.Sprintf("Template error: every %s object requires a list of strings and a value to compare with", name)
	if arg.Kind != List || len(arg.Items) != 2 {
		return false, errorf(arg, path, "%s", otherwise)
	}
	items, _, err := s.list(arg.Items[0], join(path, "0"), otherwise)
	if err != nil {
		return false, err
	}
	if name == "Fn::EachMemberIn" {
		allowed, _, err := s.list(arg.Items[1], join(path, "1"), otherwise)
		if err != nil {
			return false, err
		}
		return !slices.ContainsFunc(items, func(item string) bool { return !slices.Contains(allowed, item) }), nil
	}
	want, _, err := s.text(arg.Items[1], join(path, "1"), otherwise)
	if err != nil {
		return false, err
	}
	if name == "Fn::Contains" {
		return slices.Contains(items, want), nil
	}
	return !slices.ContainsFunc(items, func(item string) bool { return item != want }), nil
}
