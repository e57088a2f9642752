package stack

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Parameter is the declaration of a parameter.
type Parameter struct {
	Name                  string
	Type                  string
	Default               *string
	Description           string
	AllowedPattern        string
	AllowedValues         []string
	ConstraintDescription string
	MinLength, MaxLength  *int
	MinValue, MaxValue    *float64
	NoEcho                bool
	pattern               *regexp.Regexp
	Node                  *Node
}

// Given is a parameter's value in a request.
type Given struct {
	Key              string
	Value            string
	UsePreviousValue bool
}

// awsTypes are the types whose value names something that exists; the API checks that it does.
var awsTypes = map[string]bool{
	"AWS::EC2::AvailabilityZone::Name": true, "AWS::EC2::Image::Id": true, "AWS::EC2::Instance::Id": true,
	"AWS::EC2::KeyPair::KeyName": true, "AWS::EC2::SecurityGroup::GroupName": true, "AWS::EC2::SecurityGroup::Id": true,
	"AWS::EC2::Subnet::Id": true, "AWS::EC2::Volume::Id": true, "AWS::EC2::VPC::Id": true, "AWS::Route53::HostedZone::Id": true,
}

// Element returns the type of a list's elements, or the type itself.
func (p *Parameter) Element() string {
	if inner, ok := strings.CutPrefix(p.Type, "List<"); ok {
		return strings.TrimSuffix(inner, ">")
	}
	if p.Type == "CommaDelimitedList" {
		return "String"
	}
	return p.Type
}

// IsList reports whether the parameter's value is a list.
func (p *Parameter) IsList() bool {
	return p.Type == "CommaDelimitedList" || strings.HasPrefix(p.Type, "List<")
}

// NamesSomething reports whether the value must be the name of something that exists, and of what ("AWS::EC2::VPC::Id").
func (p *Parameter) NamesSomething() (string, bool) {
	element := p.Element()
	return element, awsTypes[element]
}

func (t *Template) addParameter(path string, f Field) error {
	p := &Parameter{Name: f.Key, Node: f.Value}
	if f.Value.Kind != Map {
		return errorf(f.Value, path, "Template format error: Every Parameters object must be an object.")
	}
	for _, m := range f.Value.Fields {
		if err := p.member(join(path, m.Key), m); err != nil {
			return err
		}
	}
	if p.Type == "" {
		return errorf(f.Value, path, "Template format error: Every Parameters object must contain a Type member.")
	}
	if strings.HasPrefix(p.Type, "AWS::SSM::Parameter::") {
		return errorf(f.Value, path, "Template format error: Parameter %s has type %s: parameters from Systems Manager are not supported", p.Name, p.Type)
	}
	element := p.Element()
	if element != "String" && element != "Number" && !awsTypes[element] {
		return errorf(f.Value, path, "Template format error: Unrecognized parameter type: %s", p.Type)
	}
	if p.Default != nil {
		if err := p.Validate(*p.Default); err != nil {
			err.Path, err.Line, err.Column = join(path, "Default"), f.Line, f.Column
			return err
		}
	}
	t.Parameters = append(t.Parameters, p)
	return nil
}

func (p *Parameter) member(path string, m Field) error {
	if m.Key == "AllowedValues" {
		if m.Value.Kind != List {
			return errorf(m.Value, path, "Template format error: Parameter '%s' AllowedValues must be a list.", p.Name)
		}
		for _, item := range m.Value.Items {
			if !item.IsScalar() {
				return errorf(item, path, "Template format error: Parameter '%s' AllowedValues must be a list of strings.", p.Name)
			}
			p.AllowedValues = append(p.AllowedValues, item.Text)
		}
		return nil
	}
	if m.Key == "Default" && m.Value.Kind == List {
		return errorf(m.Value, path, "Template format error: Every Default member must be a string.")
	}
	if !m.Value.IsScalar() {
		return errorf(m.Value, path, "Template format error: Every %s member must be a string.", m.Key)
	}
	text := m.Value.Text
	switch m.Key {
	case "Type":
		p.Type = text
	case "Default":
		p.Default = &text
	case "Description":
		p.Description = text
	case "ConstraintDescription":
		p.ConstraintDescription = text
	case "AllowedPattern":
		re, err := regexp.Compile(`^(?:` + text + `)$`)
		if err != nil {
			return errorf(m.Value, path, "Template format error: Parameter '%s' AllowedPattern '%s' is not a valid regular expression", p.Name, text)
		}
		p.AllowedPattern, p.pattern = text, re
	case "NoEcho":
		p.NoEcho = strings.EqualFold(text, "true")
	case "MinLength", "MaxLength":
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return errorf(m.Value, path, "Template format error: Parameter '%s' %s must be an integer.", p.Name, m.Key)
		}
		if m.Key == "MinLength" {
			p.MinLength = &n
		} else {
			p.MaxLength = &n
		}
	case "MinValue", "MaxValue":
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return errorf(m.Value, path, "Template format error: Parameter '%s' %s must be a number.", p.Name, m.Key)
		}
		if m.Key == "MinValue" {
			p.MinValue = &n
		} else {
			p.MaxValue = &n
		}
	default:
		return &Error{Message: fmt.Sprintf("Invalid template parameter property '%s'", m.Key), Path: path, Line: m.Line, Column: m.Column}
	}
	return nil
}

// Validate checks a value against the declaration's constraints, each element of a list by itself.
func (p *Parameter) Validate(value string) *Error {
	if len(value) > 4096 {
		return &Error{Message: fmt.Sprintf("Parameter '%s' must contain at most 4096 characters", p.Name)}
	}
	if !p.IsList() {
		return p.element(value)
	}
	for _, item := range splitList(value) {
		if err := p.element(item); err != nil {
			return err
		}
	}
	return nil
}

func (p *Parameter) element(value string) *Error {
	fail := func(format string, args ...any) *Error {
		if p.ConstraintDescription != "" {
			return &Error{Message: fmt.Sprintf("Parameter %s failed to satisfy constraint: %s", p.Name, p.ConstraintDescription)}
		}
		return &Error{Message: fmt.Sprintf("Parameter '%s' ", p.Name) + fmt.Sprintf(format, args...)}
	}
	if p.Element() == "Number" {
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return &Error{Message: fmt.Sprintf("Parameter '%s' must be a number", p.Name)}
		}
		if p.MinValue != nil && n < *p.MinValue {
			return fail("must be a number not less than %s", strconv.FormatFloat(*p.MinValue, 'f', -1, 64))
		}
		if p.MaxValue != nil && n > *p.MaxValue {
			return fail("must be a number not greater than %s", strconv.FormatFloat(*p.MaxValue, 'f', -1, 64))
		}
	}
	if p.AllowedValues != nil {
		found := false
		for _, allowed := range p.AllowedValues {
			found = found || allowed == value
		}
		if !found {
			return fail("must be one of AllowedValues")
		}
	}
	if p.MinLength != nil && utf8.RuneCountInString(value) < *p.MinLength {
		return fail("must contain at least %d characters", *p.MinLength)
	}
	if p.MaxLength != nil && utf8.RuneCountInString(value) > *p.MaxLength {
		return fail("must contain at most %d characters", *p.MaxLength)
	}
	if p.pattern != nil && !p.pattern.MatchString(value) {
		return fail("must match pattern %s", p.AllowedPattern)
	}
	return nil
}

// splitList splits the text of a list parameter as CloudFormation does: at commas, without the spaces around.
func splitList(value string) []string {
	if value == "" {
		return nil
	}
	items := strings.Split(value, ",")
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	return items
}

// Resolve binds the values of a request, the values before (of an update) and the defaults to the parameters. It
// returns the text of each.
func (t *Template) Resolve(given []Given, previous map[string]string) (map[string]string, error) {
	byKey := make(map[string]Given, len(given))
	var unknown []string
	for _, g := range given {
		if _, ok := byKey[g.Key]; ok {
			return nil, &Error{Message: fmt.Sprintf("Duplicate parameter key: %s", g.Key)}
		}
		byKey[g.Key] = g
		if t.Parameter(g.Key) == nil {
			unknown = append(unknown, g.Key)
		}
	}
	if len(unknown) > 0 {
		return nil, &Error{Message: fmt.Sprintf("Parameters: [%s] do not exist in the template", strings.Join(unknown, ", "))}
	}
	values := make(map[string]string, len(t.Parameters))
	var missing []string
	for _, p := range t.Parameters {
		g, ok := byKey[p.Name]
		switch {
		case ok && g.UsePreviousValue:
			before, had := previous[p.Name]
			if !had {
				return nil, &Error{Message: fmt.Sprintf("Invalid input for parameter key %s. Cannot specify usePreviousValue as true for a parameter key not in the previous template", p.Name)}
			}
			values[p.Name] = before
		case ok:
			values[p.Name] = g.Value
		case p.Default != nil:
			values[p.Name] = *p.Default
		default:
			missing = append(missing, p.Name)
			continue
		}
		if err := p.Validate(values[p.Name]); err != nil {
			return nil, err
		}
	}
	if len(missing) > 0 {
		return nil, &Error{Message: fmt.Sprintf("Parameters: [%s] must have values", strings.Join(missing, ", "))}
	}
	return values, nil
}

// Value returns what Ref of a parameter gives: text, or a list.
func (p *Parameter) Value(text string) any {
	if !p.IsList() {
		return text
	}
	out := []any{}
	for _, item := range splitList(text) {
		out = append(out, item)
	}
	return out
}
