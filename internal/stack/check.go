package stack

import (
	"slices"
	"strconv"
	"strings"
)

var pseudoParameters = []string{
	"AWS::AccountId", "AWS::NoValue", "AWS::NotificationARNs", "AWS::Partition", "AWS::Region", "AWS::StackId", "AWS::StackName", "AWS::URLSuffix",
}

// Check finds what is wrong with a template before any parameter has a value: names that are nothing, attributes that a
// type does not have, conditions that are not declared. Types that are not known are accepted here: a resource whose
// condition is false is never made. [Scope.Active] and [Template.Unrecognized] have the last word.
func (t *Template) Check(types Types) error {
	c := &checker{template: t, types: types}
	for _, name := range sortedKeys(t.Conditions) {
		if err := c.walk(t.Conditions[name], "Conditions/"+name); err != nil {
			return err
		}
	}
	for _, r := range t.Resources {
		path := "Resources/" + r.LogicalID
		if err := c.condition(r.Node, r.Condition, path); err != nil {
			return err
		}
		for _, name := range r.DependsOn {
			if t.Resource(name) == nil {
				return errorf(r.Node, join(path, "DependsOn"), "Template format error: Unresolved resource dependencies [%s] in the Resources block of the template", name)
			}
		}
		if err := c.walk(r.Properties, join(path, "Properties")); err != nil {
			return err
		}
	}
	for _, o := range t.Outputs {
		path := "Outputs/" + o.Name
		if err := c.condition(o.Node, o.Condition, path); err != nil {
			return err
		}
		if err := c.walk(o.Value, join(path, "Value")); err != nil {
			return err
		}
		if err := c.walk(o.Export, join(path, "Export/Name")); err != nil {
			return err
		}
	}
	return nil
}

// Unrecognized returns the error for types of the named resources that do not exist here, nil if all do.
func (t *Template) Unrecognized(types Types, active []string) error {
	var unknown []string
	var first *Resource
	for _, r := range t.Resources {
		if _, ok := types.Lookup(r.Type); ok || !slices.Contains(active, r.LogicalID) || slices.Contains(unknown, r.Type) {
			continue
		}
		if first == nil {
			first = r
		}
		unknown = append(unknown, r.Type)
	}
	if first == nil {
		return nil
	}
	return errorf(first.Node, "Resources/"+first.LogicalID, "Template format error: Unrecognized resource types: [%s]", strings.Join(unknown, ", "))
}

// checker walks nodes and looks at the names in them, whatever branch of Fn::If they stand in.
type checker struct {
	template *Template
	types    Types
}

func (c *checker) condition(at *Node, name, path string) error {
	if name == "" {
		return nil
	}
	if _, ok := c.template.Conditions[name]; !ok {
		return errorf(at, path, "Template format error: Unresolved condition dependency %s in the %s block of the template", name, sectionOf(path))
	}
	return nil
}

func (c *checker) walk(n *Node, path string) error {
	if n == nil {
		return nil
	}
	if n.Kind == List {
		for i, item := range n.Items {
			if err := c.walk(item, join(path, strconv.Itoa(i))); err != nil {
				return err
			}
		}
		return nil
	}
	if n.Kind != Map {
		return nil
	}
	if name, arg, ok := n.Function(); ok {
		done, err := c.function(name, arg, join(path, name))
		if err != nil || done {
			return err
		}
		return c.walk(arg, join(path, name))
	}
	for _, f := range n.Fields {
		if err := c.walk(f.Value, join(path, f.Key)); err != nil {
			return err
		}
	}
	return nil
}

// function checks the names in one function; done says that its argument needs no further walk.
func (c *checker) function(name string, arg *Node, path string) (done bool, err error) {
	switch name {
	case "Ref":
		if arg.Kind != String {
			return true, errorf(arg, path, "Template format error: Ref must be a string: the name of a parameter or a resource")
		}
		return true, c.name(arg, arg.Text, path)
	case "Fn::GetAtt":
		if arg.Kind != List || len(arg.Items) < 2 || arg.Items[0].Kind != String {
			return true, errorf(arg, path, "Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute")
		}
		var parts []string
		for _, item := range arg.Items[1:] {
			if !item.IsScalar() {
				return false, nil // an attribute that a Ref names
			}
			parts = append(parts, item.Text)
		}
		return true, c.attribute(arg, arg.Items[0].Text, strings.Join(parts, "."), path)
	case "Fn::Sub":
		parts, vars, err := subParts(arg, path)
		if err != nil {
			return true, err
		}
		for _, part := range parts {
			if !part.variable || vars.Get(part.text) != nil {
				continue
			}
			if resource, attribute, dotted := strings.Cut(part.text, "."); dotted {
				if c.template.Resource(resource) == nil {
					return true, c.undefined(arg, resource, path)
				}
				err = c.attribute(arg, resource, attribute, path)
			} else {
				err = c.name(arg, part.text, path)
			}
			if err != nil {
				return true, err
			}
		}
		return true, c.walk(vars, path)
	case "Fn::If":
		if arg.Kind != List || len(arg.Items) != 3 || arg.Items[0].Kind != String {
			return true, errorf(arg, path, "Template error: Fn::If requires a list argument with three elements: a condition name and two values")
		}
		return false, c.condition(arg.Items[0], arg.Items[0].Text, path)
	case "Fn::FindInMap":
		if arg.Kind == List && len(arg.Items) == 3 && arg.Items[0].Kind == String {
			if _, ok := c.template.Mappings[arg.Items[0].Text]; !ok {
				return true, errorf(arg, path, "Template error: Mapping named '%s' is not present in the 'Mappings' section of template.", arg.Items[0].Text)
			}
		}
	case "Fn::Transform", "Fn::Length", "Fn::ToJsonString", "Fn::ForEach":
		_, err := (&Scope{Template: c.template, budget: maxValueBytes}).call(arg, name, arg, path)
		return true, err
	}
	return false, nil
}

// name checks what Ref names.
func (c *checker) name(at *Node, name, path string) error {
	if slices.Contains(pseudoParameters, name) || c.template.Parameter(name) != nil {
		return nil
	}
	if sectionOf(path) == "Conditions" || c.template.Resource(name) == nil {
		return c.undefined(at, name, path)
	}
	return nil
}

func (c *checker) undefined(at *Node, name, path string) error {
	return (&Scope{Template: c.template}).unresolved(at, name, path)
}

// attribute checks what Fn::GetAtt names.
func (c *checker) attribute(at *Node, logicalID, attribute, path string) error {
	if sectionOf(path) == "Conditions" {
		return c.undefined(at, logicalID, path)
	}
	r := c.template.Resource(logicalID)
	if r == nil {
		return errorf(at, path, "Template error: instance of Fn::GetAtt references undefined resource %s", logicalID)
	}
	if typ, ok := c.types.Lookup(r.Type); ok && !typ.HasAttribute(attribute) {
		return errorf(at, path, "Template error: resource %s does not support attribute type %s in Fn::GetAtt", logicalID, attribute)
	}
	return nil
}
