package stack

import (
	"fmt"
	"regexp"
	"sort"
	"strings"
)

// Template is a template as it was written: sections in order, nothing evaluated yet.
type Template struct {
	Version     string
	Description string
	Metadata    *Node
	Parameters  []*Parameter
	Mappings    map[string]map[string]map[string]any
	Conditions  map[string]*Node
	Rules       []*Rule
	Resources   []*Resource
	Outputs     []*Output
}

// Resource is one member of Resources.
type Resource struct {
	LogicalID           string
	Type                string
	Properties          *Node
	Condition           string
	DependsOn           []string
	DeletionPolicy      string // "", Delete, Retain, RetainExceptOnCreate, Snapshot
	UpdateReplacePolicy string
	Metadata            *Node
	Node                *Node
}

// Output is one member of Outputs.
type Output struct {
	Name        string
	Description string
	Value       *Node
	Condition   string
	Export      *Node // the name, nil if the output is not exported
	Node        *Node
}

// Rule is one member of Rules.
type Rule struct {
	Name       string
	Condition  *Node
	Assertions []Assertion
}

// Assertion is one assertion of a rule.
type Assertion struct {
	Assert      *Node
	Description string
}

// Resource returns the resource with a logical ID, nil if there is none.
func (t *Template) Resource(id string) *Resource {
	for _, r := range t.Resources {
		if r.LogicalID == id {
			return r
		}
	}
	return nil
}

// Parameter returns the parameter with a name, nil if there is none.
func (t *Template) Parameter(name string) *Parameter {
	for _, p := range t.Parameters {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// ResourceTypes returns the types that the template uses, sorted, each once.
func (t *Template) ResourceTypes() []string {
	seen := make(map[string]bool)
	for _, r := range t.Resources {
		seen[r.Type] = true
	}
	out := make([]string, 0, len(seen))
	for name := range seen {
		out = append(out, name)
	}
	sort.Strings(out)
	return out
}

// MaxTemplateBytes is what AWS takes in TemplateBody.
const MaxTemplateBytes = 51_200

// Limits of AWS on the sections of a template.
const (
	maxResources  = 500
	maxParameters = 200
	maxOutputs    = 200
	maxMappings   = 200
)

var alphanumeric = regexp.MustCompile(`^[A-Za-z0-9]{1,255}$`)

// Parse reads a template, YAML or JSON, and checks its structure. References are checked by [Template.Check].
func Parse(body string) (*Template, error) {
	trimmed := strings.TrimSpace(body)
	if trimmed == "" {
		return nil, &Error{Message: "Template format error: unsupported structure."}
	}
	var root *Node
	var err error
	if strings.HasPrefix(trimmed, "{") {
		root, err = parseJSON(body)
	} else {
		root, err = parseYAML(body)
	}
	if err != nil {
		return nil, err
	}
	if root.Kind != Map {
		return nil, errorf(root, "", "Template format error: unsupported structure.")
	}
	t := &Template{}
	for _, f := range root.Fields {
		if err := t.section(f); err != nil {
			return nil, err
		}
	}
	if len(t.Resources) == 0 {
		return nil, &Error{Message: "Template format error: At least one Resources member must be defined."}
	}
	return t, nil
}

// section reads one top-level member.
func (t *Template) section(f Field) error {
	var each func(path string, f Field) error
	limit := 0
	switch f.Key {
	case "AWSTemplateFormatVersion":
		if !f.Value.IsScalar() || f.Value.Text != "2010-09-09" {
			return errorf(f.Value, f.Key, "Template format error: %s is not a supported value for AWSTemplateFormatVersion.", f.Value.Text)
		}
		t.Version = f.Value.Text
		return nil
	case "Description":
		if f.Value.Kind != String && f.Value.Kind != Number && f.Value.Kind != Bool {
			return errorf(f.Value, f.Key, "Template format error: Description must be a string.")
		}
		if len(f.Value.Text) > 1024 {
			return errorf(f.Value, f.Key, "Template format error: 'Description' length is greater than 1024.")
		}
		t.Description = f.Value.Text
		return nil
	case "Metadata":
		t.Metadata = f.Value
		return nil
	case "Transform":
		return errorf(f.Value, f.Key, "Template format error: Transform %s is not supported: Neargate runs no macros and no language extensions", describe(f.Value))
	case "Hooks":
		return errorf(f.Value, f.Key, "Template format error: Hooks are not supported")
	case "Parameters":
		each, limit = t.addParameter, maxParameters
	case "Mappings":
		each, limit = t.addMapping, maxMappings
	case "Conditions":
		each, limit = t.addCondition, maxResources
	case "Rules":
		each, limit = t.addRule, maxResources
	case "Resources":
		each, limit = t.addResource, maxResources
	case "Outputs":
		each, limit = t.addOutput, maxOutputs
	default:
		return &Error{Message: fmt.Sprintf("Invalid template property or properties [%s]", f.Key), Line: f.Line, Column: f.Column}
	}
	if f.Value.Kind != Map {
		if f.Value.Kind == Null {
			return errorf(f.Value, f.Key, "Template format error: [/%s] 'null' values are not allowed in templates", f.Key)
		}
		return errorf(f.Value, f.Key, "Template format error: %s section must be an object.", f.Key)
	}
	if len(f.Value.Fields) > limit {
		return errorf(f.Value, f.Key, "Template format error: Number of %s, %d, is greater than maximum allowed, %d", strings.ToLower(f.Key), len(f.Value.Fields), limit)
	}
	for _, member := range f.Value.Fields {
		if !alphanumeric.MatchString(member.Key) {
			return &Error{Message: fmt.Sprintf("Template format error: %s name '%s' is non alphanumeric.", strings.TrimSuffix(f.Key, "s"), member.Key), Path: join(f.Key, member.Key), Line: member.Line, Column: member.Column}
		}
		if err := each(join(f.Key, member.Key), member); err != nil {
			return err
		}
	}
	return nil
}

// describe shows a scalar or a list of scalars in a message.
func describe(n *Node) string {
	if n.IsScalar() {
		return "[" + n.Text + "]"
	}
	var out []string
	for _, item := range n.Items {
		if item.IsScalar() {
			out = append(out, item.Text)
		}
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func (t *Template) addMapping(path string, f Field) error {
	if t.Mappings == nil {
		t.Mappings = make(map[string]map[string]map[string]any)
	}
	if f.Value.Kind != Map {
		return errorf(f.Value, path, "Template format error: Every Mappings member must be a map.")
	}
	top := make(map[string]map[string]any, len(f.Value.Fields))
	for _, first := range f.Value.Fields {
		if first.Value.Kind != Map {
			return errorf(first.Value, join(path, first.Key), "Template format error: Every Mappings member %s must be a map.", first.Key)
		}
		second := make(map[string]any, len(first.Value.Fields))
		for _, attr := range first.Value.Fields {
			at := join(join(path, first.Key), attr.Key)
			switch attr.Value.Kind {
			case String, Number, Bool:
			case List:
				for _, item := range attr.Value.Items {
					if !item.IsScalar() {
						return errorf(item, at, "Template format error: Every Mappings attribute must be a String or a List.")
					}
				}
			default:
				return errorf(attr.Value, at, "Template format error: Every Mappings attribute must be a String or a List.")
			}
			second[attr.Key] = attr.Value.literal()
		}
		top[first.Key] = second
	}
	t.Mappings[f.Key] = top
	return nil
}

func (t *Template) addCondition(path string, f Field) error {
	if t.Conditions == nil {
		t.Conditions = make(map[string]*Node)
	}
	if f.Value.Kind != Map || len(f.Value.Fields) != 1 {
		return errorf(f.Value, path, "Template format error: Every Conditions member must be an intrinsic function.")
	}
	t.Conditions[f.Key] = f.Value
	return nil
}

func (t *Template) addRule(path string, f Field) error {
	rule := &Rule{Name: f.Key, Condition: f.Value.Get("RuleCondition")}
	assertions := f.Value.Get("Assertions")
	if f.Value.Kind != Map || assertions == nil || assertions.Kind != List {
		return errorf(f.Value, path, "Template format error: Every Rules member must contain a list of Assertions.")
	}
	for _, a := range assertions.Items {
		assert := a.Get("Assert")
		if assert == nil {
			return errorf(a, join(path, "Assertions"), "Template format error: Every assertion of a rule must contain an Assert member.")
		}
		item := Assertion{Assert: assert}
		if d := a.Get("AssertDescription"); d.IsScalar() {
			item.Description = d.Text
		}
		rule.Assertions = append(rule.Assertions, item)
	}
	t.Rules = append(t.Rules, rule)
	return nil
}

func (t *Template) addOutput(path string, f Field) error {
	o := &Output{Name: f.Key, Node: f.Value}
	if f.Value.Kind != Map {
		return errorf(f.Value, path, "Template format error: Every Outputs object must contain a Value object.")
	}
	for _, m := range f.Value.Fields {
		switch m.Key {
		case "Value":
			o.Value = m.Value
		case "Description":
			if !m.Value.IsScalar() {
				return errorf(m.Value, join(path, m.Key), "Template format error: Every Outputs Description must be a string.")
			}
			o.Description = m.Value.Text
		case "Condition":
			if !m.Value.IsScalar() {
				return errorf(m.Value, join(path, m.Key), "Template format error: Every Outputs Condition must be a string.")
			}
			o.Condition = m.Value.Text
		case "Export":
			o.Export = m.Value.Get("Name")
			if o.Export == nil || len(m.Value.Fields) != 1 {
				return errorf(m.Value, join(path, m.Key), "Template format error: Output %s is malformed. The Export must contain the member Name only.", f.Key)
			}
		default:
			return &Error{Message: fmt.Sprintf("Template format error: Invalid output property '%s'", m.Key), Path: join(path, m.Key), Line: m.Line, Column: m.Column}
		}
	}
	if o.Value == nil || o.Value.Kind == Null {
		return errorf(f.Value, path, "Template format error: Every Outputs object must contain a Value object.")
	}
	t.Outputs = append(t.Outputs, o)
	return nil
}

// MetadataValue returns the resource's Metadata as it was written, nil if it has none.
func (r *Resource) MetadataValue() any { return r.Metadata.literal() }

// MetadataValue returns the template's Metadata as it was written, nil if it has none.
func (t *Template) MetadataValue() any { return t.Metadata.literal() }
