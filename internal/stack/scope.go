package stack

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Unknown is a value that only exists after resources were made or changed: what [Diff] finds where a change set shows
// {{changeSet:KNOWN_AFTER_APPLY}}. It never gets into a real evaluation.
type Unknown struct {
	Resource  string // the logical ID it comes from
	Attribute string // "" for Ref
}

// noValue is what Ref of AWS::NoValue gives; it removes the property or the list item it stands in.
type noValue struct{}

// Pseudo are the values of the pseudo parameters.
type Pseudo struct {
	Region           string
	AccountID        string
	StackName        string
	StackID          string
	NotificationARNs []string
}

// Scope evaluates a template's values: parameters and pseudo parameters are fixed, resources are asked for.
type Scope struct {
	Template   *Template
	Parameters map[string]string // as Resolve returned them
	Pseudo     Pseudo
	Zones      []string // names of the availability zones, in order

	// Import returns the value of an export.
	Import func(name string) (value string, ok bool)
	// Ref and Att return what exists of a resource; ok is false where it does not exist yet, which is a defect of the
	// caller's order in a real run and an Unknown in a comparison.
	Ref func(logicalID string) (value any, ok bool)
	Att func(logicalID, attribute string) (value any, ok bool, err error)
	// AllowUnknown makes an Unknown of what does not exist yet instead of an error.
	AllowUnknown bool

	conditions map[string]bool
	visiting   map[string]bool
	budget     int
	used       *[]string // names of imports seen
	importing  bool      // inside the argument of Fn::ImportValue
	inRule     bool
}

// maxValueBytes bounds what one evaluation may build: functions nest, so a small template can ask for a large value.
const maxValueBytes = 4 << 20

// Eval returns the value of a node: nil, bool, json.Number, string, []any, map[string]any, or Unknown. ok is false when the
// node is AWS::NoValue, that is, absent.
func (s *Scope) Eval(n *Node, path string) (value any, ok bool, err error) {
	s.budget = maxValueBytes
	v, err := s.eval(n, path)
	if err != nil {
		return nil, false, err
	}
	if _, absent := v.(noValue); absent {
		return nil, false, nil
	}
	return v, true, nil
}

// EvalText returns the value of a node that must be text, as outputs and names of exports are.
func (s *Scope) EvalText(n *Node, path string) (text string, ok bool, err error) {
	v, ok, err := s.Eval(n, path)
	if err != nil || !ok {
		return "", ok, err
	}
	text, isText := Text(v)
	if !isText {
		return "", false, errorf(n, path, "Template format error: The Value field of every Outputs member must evaluate to a String.")
	}
	return text, true, nil
}

// Properties returns a resource's properties.
func (s *Scope) Properties(r *Resource) (map[string]any, error) {
	if r.Properties == nil {
		return map[string]any{}, nil
	}
	path := "Resources/" + r.LogicalID + "/Properties"
	v, ok, err := s.Eval(r.Properties, path)
	if err != nil {
		return nil, err
	}
	if !ok {
		return map[string]any{}, nil
	}
	m, isMap := v.(map[string]any)
	if !isMap {
		return nil, errorf(r.Properties, path, "Template format error: [/Resources/%s/Properties] Every Resources Properties member must be an object.", r.LogicalID)
	}
	return m, nil
}

// Text returns a scalar as CloudFormation writes it into text.
func Text(v any) (string, bool) {
	switch t := v.(type) {
	case string:
		return t, true
	case json.Number:
		return t.String(), true
	case bool:
		return strconv.FormatBool(t), true
	}
	return "", false
}

// spend counts bytes that an evaluation builds.
func (s *Scope) spend(n *Node, path string, bytes int) error {
	if s.budget -= bytes; s.budget < 0 {
		return errorf(n, path, "Template error: the value is too large")
	}
	return nil
}

func (s *Scope) eval(n *Node, path string) (any, error) {
	if n == nil {
		return nil, nil
	}
	if err := s.spend(n, path, len(n.Text)+8); err != nil {
		return nil, err
	}
	switch n.Kind {
	case List:
		out := make([]any, 0, len(n.Items))
		for i, item := range n.Items {
			v, err := s.eval(item, join(path, strconv.Itoa(i)))
			if err != nil {
				return nil, err
			}
			if _, absent := v.(noValue); !absent {
				out = append(out, v)
			}
		}
		return out, nil
	case Map:
		if name, arg, ok := n.Function(); ok {
			return s.call(n, name, arg, join(path, name))
		}
		return s.evalMap(n, path)
	}
	return n.literal(), nil
}

func (s *Scope) evalMap(n *Node, path string) (any, error) {
	out := make(map[string]any, len(n.Fields))
	for _, f := range n.Fields {
		if strings.HasPrefix(f.Key, "Fn::") {
			return nil, errorf(f.Value, join(path, f.Key), "Template error: %s must be the only member of its object", f.Key)
		}
		v, err := s.eval(f.Value, join(path, f.Key))
		if err != nil {
			return nil, err
		}
		if _, absent := v.(noValue); !absent {
			out[f.Key] = v
		}
	}
	return out, nil
}

// text evaluates a node that must be text; unknown is set if it depends on something that does not exist yet.
func (s *Scope) text(n *Node, path, otherwise string) (text string, unknown *Unknown, err error) {
	v, err := s.eval(n, path)
	if err != nil {
		return "", nil, err
	}
	if u, ok := v.(Unknown); ok {
		return "", &u, nil
	}
	text, ok := Text(v)
	if !ok {
		return "", nil, errorf(n, path, "%s", otherwise)
	}
	return text, nil, nil
}

// list evaluates a node that must be a list of text.
func (s *Scope) list(n *Node, path, otherwise string) (items []string, unknown *Unknown, err error) {
	v, err := s.eval(n, path)
	if err != nil {
		return nil, nil, err
	}
	if u, ok := v.(Unknown); ok {
		return nil, &u, nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, nil, errorf(n, path, "%s", otherwise)
	}
	for _, item := range list {
		if u, ok := item.(Unknown); ok {
			return nil, &u, nil
		}
		text, ok := Text(item)
		if !ok {
			return nil, nil, errorf(n, path, "%s", otherwise)
		}
		items = append(items, text)
	}
	return items, nil, nil
}

// ref evaluates Ref.
func (s *Scope) ref(n *Node, name, path string) (any, error) {
	switch name {
	case "AWS::Region":
		return s.Pseudo.Region, nil
	case "AWS::AccountId":
		return s.Pseudo.AccountID, nil
	case "AWS::StackName":
		return s.Pseudo.StackName, nil
	case "AWS::StackId":
		return s.Pseudo.StackID, nil
	case "AWS::Partition":
		return "aws", nil
	case "AWS::URLSuffix":
		return "amazonaws.com", nil
	case "AWS::NoValue":
		return noValue{}, nil
	case "AWS::NotificationARNs":
		out := []any{}
		for _, arn := range s.Pseudo.NotificationARNs {
			out = append(out, arn)
		}
		return out, nil
	}
	if p := s.Template.Parameter(name); p != nil {
		value := s.Parameters[name]
		if err := s.spend(n, path, len(value)); err != nil {
			return nil, err
		}
		return p.Value(value), nil
	}
	r := s.Template.Resource(name)
	if r == nil || s.importing {
		return nil, s.unresolved(n, name, path)
	}
	active, err := s.active(r.Condition, path)
	if err != nil {
		return nil, err
	}
	if !active {
		return nil, s.unresolved(n, name, path)
	}
	if s.Ref != nil {
		if v, ok := s.Ref(name); ok {
			return v, nil
		}
	}
	if s.AllowUnknown {
		return Unknown{Resource: name}, nil
	}
	return nil, errorf(n, path, "Template error: resource %s does not exist yet", name)
}

// unresolved is the error of a name that is nothing.
func (s *Scope) unresolved(n *Node, name, path string) error {
	if s.importing {
		return errorf(n, path, "Template error: the attribute in Fn::ImportValue must not depend on any resources, imported values, or Fn::GetAZs")
	}
	section, _, _ := strings.Cut(path, "/")
	if section == "Conditions" {
		return errorf(n, path, "Template format error: Unresolved dependencies [%s]. Cannot reference resources in the Conditions block of the template", name)
	}
	return errorf(n, path, "Template format error: Unresolved resource dependencies [%s] in the %s block of the template", name, section)
}

// att evaluates Fn::GetAtt.
func (s *Scope) att(n *Node, logicalID, attribute, path string) (any, error) {
	if s.importing {
		return nil, s.unresolved(n, logicalID, path)
	}
	r := s.Template.Resource(logicalID)
	if r == nil {
		return nil, errorf(n, path, "Template error: instance of Fn::GetAtt references undefined resource %s", logicalID)
	}
	active, err := s.active(r.Condition, path)
	if err != nil {
		return nil, err
	}
	if !active {
		return nil, s.unresolved(n, logicalID, path)
	}
	if s.Att != nil {
		v, ok, err := s.Att(logicalID, attribute)
		if err != nil {
			return nil, fmt.Errorf("read attribute %s of %s: %w", attribute, logicalID, err)
		}
		if ok {
			return v, nil
		}
	}
	if s.AllowUnknown {
		return Unknown{Resource: logicalID, Attribute: attribute}, nil
	}
	return nil, errorf(n, path, "Template error: attribute %s of resource %s does not exist yet", attribute, logicalID)
}
