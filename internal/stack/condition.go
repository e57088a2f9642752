package stack

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Condition returns the value of a named condition.
func (s *Scope) Condition(name string) (bool, error) {
	s.budget = maxValueBytes
	return s.condition(nil, name, "Conditions")
}

// Active reports whether a resource's or output's condition holds; the empty name always does.
func (s *Scope) Active(condition string) (bool, error) {
	s.budget = maxValueBytes
	return s.active(condition, "")
}

func (s *Scope) active(condition, path string) (bool, error) {
	if condition == "" {
		return true, nil
	}
	return s.condition(nil, condition, path)
}

func (s *Scope) condition(at *Node, name, path string) (bool, error) {
	if v, ok := s.conditions[name]; ok {
		return v, nil
	}
	n, ok := s.Template.Conditions[name]
	if !ok {
		return false, errorf(at, path, "Template format error: Unresolved condition dependency %s in the %s block of the template", name, sectionOf(path))
	}
	if s.visiting[name] {
		return false, errorf(n, "Conditions/"+name, "Template format error: Circular dependencies in conditions: [%s]", name)
	}
	if s.visiting == nil {
		s.visiting, s.conditions = make(map[string]bool), make(map[string]bool)
	}
	s.visiting[name] = true
	v, err := s.truth(n, "Conditions/"+name)
	delete(s.visiting, name)
	if err != nil {
		return false, err
	}
	s.conditions[name] = v
	return v, nil
}

// truth evaluates what stands where a condition is wanted.
func (s *Scope) truth(n *Node, path string) (bool, error) {
	if err := s.spend(n, path, 8); err != nil {
		return false, err
	}
	if n.IsScalar() {
		switch n.Text {
		case "true", "True", "TRUE":
			return true, nil
		case "false", "False", "FALSE":
			return false, nil
		}
	}
	if n.Kind != Map || len(n.Fields) != 1 {
		return false, errorf(n, path, "Template format error: Conditions can only be boolean operations on parameters and other conditions")
	}
	name, arg := n.Fields[0].Key, n.Fields[0].Value
	path = join(path, name)
	switch name {
	case "Condition":
		if arg.Kind != String {
			return false, errorf(arg, path, "Template format error: every Condition object requires the name of a condition")
		}
		return s.condition(arg, arg.Text, path)
	case "Fn::Equals":
		return s.equals(arg, path)
	case "Fn::Not":
		if arg.Kind != List || len(arg.Items) != 1 {
			return false, errorf(arg, path, "Template error: every Fn::Not object requires one boolean parameter.")
		}
		v, err := s.truth(arg.Items[0], join(path, "0"))
		return !v, err
	case "Fn::And", "Fn::Or":
		if arg.Kind != List || len(arg.Items) < 2 || len(arg.Items) > 10 {
			return false, errorf(arg, path, "Template error: every %s object requires a list of at least 2 and at most 10 boolean parameters.", name)
		}
		result := name == "Fn::And"
		for i, item := range arg.Items {
			v, err := s.truth(item, join(path, strconv.Itoa(i)))
			if err != nil {
				return false, err
			}
			if name == "Fn::And" {
				result = result && v
			} else {
				result = result || v
			}
		}
		return result, nil
	case "Fn::Contains", "Fn::EachMemberEquals", "Fn::EachMemberIn":
		if s.inRule {
			return s.ruleFunction(name, arg, path)
		}
	}
	return false, errorf(n, path, "Template format error: Conditions can only be boolean operations on parameters and other conditions")
}

func (s *Scope) equals(arg *Node, path string) (bool, error) {
	const otherwise = "Template error: every Fn::Equals object requires a list of 2 string parameters."
	if arg.Kind != List || len(arg.Items) != 2 {
		return false, errorf(arg, path, "%s", otherwise)
	}
	left, lu, err := s.text(arg.Items[0], join(path, "0"), otherwise)
	if err != nil {
		return false, err
	}
	right, ru, err := s.text(arg.Items[1], join(path, "1"), otherwise)
	if err != nil {
		return false, err
	}
	if lu != nil || ru != nil {
		return false, errorf(arg, path, "Template format error: Unresolved dependencies. Cannot reference resources in the Conditions block of the template")
	}
	return left == right, nil
}

// Conditions evaluates every condition, so that a wrong one is found even if nothing uses it.
func (s *Scope) Conditions() error {
	for _, name := range sortedKeys(s.Template.Conditions) {
		if _, err := s.Condition(name); err != nil {
			return err
		}
	}
	return nil
}

// sectionOf returns the section that a path is in.
func sectionOf(path string) string {
	section, _, _ := strings.Cut(path, "/")
	return section
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
