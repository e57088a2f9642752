package stack

import (
	"encoding/json"
	"reflect"
	"slices"
)

// Deployed is a resource as a stack has it.
type Deployed struct {
	LogicalID  string
	PhysicalID string
	Type       string
	Properties map[string]any // resolved
	Attributes map[string]any
	Needs      []string // what it was made after
	Metadata   any
	Policies   [2]string // DeletionPolicy, UpdateReplacePolicy
	Failed     bool      // its last operation did not succeed, so it is made or changed again
}

// Change is what executing a change set would do to one resource.
type Change struct {
	Action      string // Add, Modify, Remove
	LogicalID   string
	PhysicalID  string `json:",omitempty"`
	Type        string
	Replacement string   `json:",omitempty"` // True, False, Conditional; of Modify
	Scope       []string `json:",omitempty"` // Properties, Metadata, Tags, DeletionPolicy, UpdateReplacePolicy
	Details     []Detail `json:",omitempty"`
	Retain      bool     `json:",omitempty"` // Remove leaves the resource where it is
}

// Detail is one change of a property or attribute.
type Detail struct {
	Attribute          string
	Name               string `json:",omitempty"`
	RequiresRecreation string `json:",omitempty"` // Never, Conditionally, Always
	Evaluation         string // Static, Dynamic
	ChangeSource       string
	CausingEntity      string `json:",omitempty"`
}

// Diff compares what is deployed with what the scope's template asks for. Values that exist only afterwards are
// compared as different, which gives Dynamic details and a Conditional replacement.
func Diff(s *Scope, deployed map[string]Deployed, types Types) ([]Change, error) {
	graph, err := s.Graph()
	if err != nil {
		return nil, err
	}
	replaced := make(map[string]bool)
	d := s.over(deployed, replaced)
	var out []Change
	for _, id := range graph.Order() {
		r := s.Template.Resource(id)
		old, exists := deployed[id]
		properties, err := d.Properties(r)
		if err != nil {
			return nil, err
		}
		if !exists || old.PhysicalID == "" {
			out = append(out, Change{Action: "Add", LogicalID: id, Type: r.Type})
			continue
		}
		change, ok := d.modify(r, old, properties, types)
		if !ok {
			continue
		}
		replaced[id] = change.Replacement != "False"
		out = append(out, change)
	}
	for _, id := range sortedKeys(deployed) {
		if _, wanted := graph.Needs[id]; wanted || deployed[id].PhysicalID == "" {
			continue
		}
		old := deployed[id]
		out = append(out, Change{Action: "Remove", LogicalID: id, PhysicalID: old.PhysicalID, Type: old.Type, Retain: Retained(old.Policies[0])})
	}
	return out, nil
}

// over returns a scope in which resources are what is deployed, but for those that are replaced; the rest is Unknown.
func (s *Scope) over(deployed map[string]Deployed, replaced map[string]bool) *Scope {
	d := *s
	d.AllowUnknown = true
	known := func(id string) (Deployed, bool) {
		r, ok := deployed[id]
		return r, ok && !replaced[id] && r.PhysicalID != "" && r.Type == s.Template.Resource(id).Type
	}
	d.Ref = func(id string) (any, bool) {
		r, ok := known(id)
		return r.PhysicalID, ok
	}
	d.Att = func(id, attribute string) (any, bool, error) {
		r, ok := known(id)
		if !ok {
			return nil, false, nil
		}
		v, ok := r.Attributes[attribute]
		return v, ok, nil
	}
	return &d
}

// OutputsDiffer reports whether the outputs would change although no resource does.
func OutputsDiffer(s *Scope, deployed map[string]Deployed, before []OutputValue) (bool, error) {
	now, err := s.over(deployed, nil).Outputs()
	if err != nil {
		return false, err
	}
	return !slices.Equal(before, now), nil
}

// Retained reports whether a policy leaves the resource behind when it is no longer part of the stack.
func Retained(policy string) bool { return policy == "Retain" || policy == "RetainExceptOnCreate" }

// modify compares one resource that exists; ok is false when nothing changes.
func (s *Scope) modify(r *Resource, old Deployed, properties map[string]any, types Types) (Change, bool) {
	c := Change{Action: "Modify", LogicalID: r.LogicalID, PhysicalID: old.PhysicalID, Type: r.Type, Replacement: "False"}
	if old.Type != r.Type {
		c.Replacement, c.Scope = "True", []string{"Properties"}
		c.Details = []Detail{{Attribute: "Properties", RequiresRecreation: "Always", Evaluation: "Static", ChangeSource: "DirectModification"}}
		return c, true
	}
	typ, _ := types.Lookup(r.Type)
	for _, name := range Changed(old.Properties, properties) {
		detail := Detail{Attribute: "Properties", Name: name, Evaluation: "Static", ChangeSource: "DirectModification", RequiresRecreation: "Never"}
		update := InPlace
		if typ != nil {
			update = typ.Properties[name].Update
		}
		if name == "Tags" {
			detail.Attribute, detail.Name = "Tags", ""
		}
		switch update {
		case Replace:
			detail.RequiresRecreation = "Always"
		case Conditionally:
			detail.RequiresRecreation = "Conditionally"
		}
		if u, ok := firstUnknown(properties[name]); ok {
			detail.Evaluation, detail.ChangeSource, detail.CausingEntity = "Dynamic", "ResourceReference", u.Resource
			if u.Attribute != "" {
				detail.ChangeSource, detail.CausingEntity = "ResourceAttribute", u.Resource+"."+u.Attribute
			}
		}
		switch {
		case detail.RequiresRecreation == "Always" && detail.Evaluation == "Static":
			c.Replacement = "True"
		case detail.RequiresRecreation != "Never" && c.Replacement == "False":
			c.Replacement = "Conditional"
		}
		c.Details = append(c.Details, detail)
		if !slices.Contains(c.Scope, detail.Attribute) {
			c.Scope = append(c.Scope, detail.Attribute)
		}
	}
	for _, other := range []struct {
		name string
		same bool
	}{
		{"Metadata", equal(old.Metadata, r.Metadata.literal())},
		{"DeletionPolicy", old.Policies[0] == r.DeletionPolicy},
		{"UpdateReplacePolicy", old.Policies[1] == r.UpdateReplacePolicy},
	} {
		if !other.same {
			c.Scope = append(c.Scope, other.name)
			c.Details = append(c.Details, Detail{Attribute: other.name, Evaluation: "Static", ChangeSource: "DirectModification", RequiresRecreation: "Never"})
		}
	}
	return c, len(c.Scope) > 0
}

// Changed returns the names of the properties that differ, sorted. Numbers and text are compared as text, since
// CloudFormation turns one into the other.
func Changed(old, now map[string]any) []string {
	var out []string
	for name, v := range now {
		before, had := old[name]
		if !had || !equal(before, v) {
			out = append(out, name)
		}
	}
	for name := range old {
		if _, has := now[name]; !has {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func equal(a, b any) bool { return reflect.DeepEqual(loose(a), loose(b)) }

// loose writes scalars as text, all the way down.
func loose(v any) any {
	switch t := v.(type) {
	case []any:
		out := make([]any, len(t))
		for i := range t {
			out[i] = loose(t[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(t))
		for k := range t {
			out[k] = loose(t[k])
		}
		return out
	case json.Number, bool:
		text, _ := Text(t)
		return text
	}
	return v
}

func firstUnknown(v any) (Unknown, bool) {
	switch t := v.(type) {
	case Unknown:
		return t, true
	case []any:
		for _, item := range t {
			if u, ok := firstUnknown(item); ok {
				return u, true
			}
		}
	case map[string]any:
		for _, key := range sortedKeys(t) {
			if u, ok := firstUnknown(t[key]); ok {
				return u, true
			}
		}
	}
	return Unknown{}, false
}
