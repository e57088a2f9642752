package stack

import "fmt"

// addResource reads one member of Resources.
func (t *Template) addResource(path string, f Field) error {
	r := &Resource{LogicalID: f.Key, Node: f.Value}
	if f.Value.Kind != Map {
		return errorf(f.Value, path, "Template format error: [/Resources/%s] Every Resources object must be an object.", f.Key)
	}
	for _, m := range f.Value.Fields {
		at := join(path, m.Key)
		switch m.Key {
		case "Type":
			if m.Value.Kind != String {
				return errorf(m.Value, at, "Template format error: [/Resources/%s/Type] Every Resources Type must be a string.", f.Key)
			}
			r.Type = m.Value.Text
		case "Properties":
			if m.Value.Kind != Map {
				return errorf(m.Value, at, "Template format error: [/Resources/%s/Properties] Every Resources Properties member must be an object.", f.Key)
			}
			r.Properties = m.Value
		case "Condition":
			if m.Value.Kind != String {
				return errorf(m.Value, at, "Template format error: [/Resources/%s/Condition] Every Condition member must be a string.", f.Key)
			}
			r.Condition = m.Value.Text
		case "DependsOn":
			names, err := dependsOn(m.Value, at)
			if err != nil {
				return err
			}
			r.DependsOn = names
		case "DeletionPolicy", "UpdateReplacePolicy":
			if err := r.policy(m, at); err != nil {
				return err
			}
		case "Metadata":
			r.Metadata = m.Value
		case "CreationPolicy", "UpdatePolicy":
			// They belong to instances, Auto Scaling groups, Lambda aliases and the like: none of our types acts on them.
			return &Error{Message: fmt.Sprintf("%s is not supported for resource type %s", m.Key, typeOf(f.Value)), Path: at, Line: m.Line, Column: m.Column}
		case "Description":
		default:
			return &Error{Message: fmt.Sprintf("Invalid template resource property '%s'", m.Key), Path: at, Line: m.Line, Column: m.Column}
		}
	}
	if r.Type == "" {
		return errorf(f.Value, path, "Template format error: [/Resources/%s] Every Resources object must contain a Type member.", f.Key)
	}
	if err := noNulls(r.Properties, join(path, "Properties"), "/Resources/"+f.Key+"/Properties"); err != nil {
		return err
	}
	t.Resources = append(t.Resources, r)
	return nil
}

func typeOf(n *Node) string {
	if t := n.Get("Type"); t != nil {
		return t.Text
	}
	return "unknown"
}

func dependsOn(n *Node, path string) ([]string, error) {
	items := []*Node{n}
	if n.Kind == List {
		items = n.Items
	}
	var out []string
	for _, item := range items {
		if item.Kind != String {
			return nil, errorf(item, path, "Template format error: DependsOn must be a string or list of strings.")
		}
		out = append(out, item.Text)
	}
	return out, nil
}

// policy reads DeletionPolicy or UpdateReplacePolicy.
func (r *Resource) policy(m Field, path string) error {
	if m.Value.Kind != String {
		return errorf(m.Value, path, "Template format error: Every %s member must be a string.", m.Key)
	}
	switch m.Value.Text {
	case "Delete", "Retain":
	case "RetainExceptOnCreate":
		if m.Key == "UpdateReplacePolicy" {
			return errorf(m.Value, path, "Template format error: Unrecognized %s %s", m.Key, m.Value.Text)
		}
	case "Snapshot":
		return errorf(m.Value, path, "Template error: resource type %s does not support %s Snapshot", r.Type, m.Key)
	default:
		return errorf(m.Value, path, "Template format error: Unrecognized %s %s", m.Key, m.Value.Text)
	}
	if m.Key == "DeletionPolicy" {
		r.DeletionPolicy = m.Value.Text
	} else {
		r.UpdateReplacePolicy = m.Value.Text
	}
	return nil
}

// noNulls refuses nulls, which AWS does not take anywhere in properties.
func noNulls(n *Node, path, aws string) error {
	if n == nil {
		return nil
	}
	switch n.Kind {
	case Null:
		return errorf(n, path, "Template format error: [%s] 'null' values are not allowed in templates", aws)
	case List:
		for i, item := range n.Items {
			if err := noNulls(item, join(path, fmt.Sprint(i)), fmt.Sprintf("%s/%d", aws, i)); err != nil {
				return err
			}
		}
	case Map:
		for _, f := range n.Fields {
			if err := noNulls(f.Value, join(path, f.Key), aws+"/"+f.Key); err != nil {
				return err
			}
		}
	}
	return nil
}
