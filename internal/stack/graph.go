package stack

import (
	"slices"
	"strings"
)

// Graph is which resource needs which, of those whose condition holds.
type Graph struct {
	Needs map[string][]string // sorted; every active resource is a key
}

// Graph returns the dependencies between the active resources, and an error if they go in a circle.
func (s *Scope) Graph() (*Graph, error) {
	g := &Graph{Needs: make(map[string][]string)}
	for _, r := range s.Template.Resources {
		active, err := s.Active(r.Condition)
		if err != nil {
			return nil, err
		}
		if active {
			g.Needs[r.LogicalID] = nil
		}
	}
	for id := range g.Needs {
		r := s.Template.Resource(id)
		needs := make(map[string]bool)
		if err := s.references(r.Properties, needs); err != nil {
			return nil, err
		}
		for _, name := range r.DependsOn {
			needs[name] = true
		}
		for name := range needs {
			if _, ok := g.Needs[name]; ok {
				g.Needs[id] = append(g.Needs[id], name)
			}
		}
		slices.Sort(g.Needs[id])
	}
	if circle := g.circle(); circle != nil {
		return nil, &Error{Message: "Circular dependency between resources: [" + strings.Join(circle, ", ") + "]"}
	}
	return g, nil
}

// references collects the resources that a node refers to, following only the branch of Fn::If that holds.
func (s *Scope) references(n *Node, into map[string]bool) error {
	if n == nil {
		return nil
	}
	name, arg, isFunction := n.Function()
	if isFunction {
		switch name {
		case "Ref":
			into[arg.Text] = true
			return nil
		case "Fn::GetAtt":
			if arg.Kind == List && len(arg.Items) > 0 {
				into[arg.Items[0].Text] = true
			}
		case "Fn::Sub":
			parts, vars, err := subParts(arg, "")
			if err != nil {
				return err
			}
			for _, part := range parts {
				if part.variable && vars.Get(part.text) == nil {
					resource, _, _ := strings.Cut(part.text, ".")
					into[resource] = true
				}
			}
		case "Fn::If":
			if arg.Kind == List && len(arg.Items) == 3 {
				holds, err := s.Active(arg.Items[0].Text)
				if err != nil {
					return err
				}
				if holds {
					return s.references(arg.Items[1], into)
				}
				return s.references(arg.Items[2], into)
			}
		}
	}
	for _, item := range n.Items {
		if err := s.references(item, into); err != nil {
			return err
		}
	}
	for _, f := range n.Fields {
		if err := s.references(f.Value, into); err != nil {
			return err
		}
	}
	return nil
}

// Order returns the resources so that each comes after what it needs; among equals by name.
func (g *Graph) Order() []string {
	var out []string
	done := make(map[string]bool, len(g.Needs))
	for len(out) < len(g.Needs) {
		before := len(out)
		for _, id := range sortedKeys(g.Needs) {
			if done[id] || slices.ContainsFunc(g.Needs[id], func(n string) bool { return !done[n] }) {
				continue
			}
			out = append(out, id)
		}
		for _, id := range out[before:] {
			done[id] = true
		}
		if len(out) == before {
			return out // a circle; Graph refuses them
		}
	}
	return out
}

// circle returns the members of the circles, sorted, nil if there is none: what is left when everything that does not
// lead into a circle, and everything that is not needed by one, is taken away.
func (g *Graph) circle() []string {
	left := make(map[string][]string, len(g.Needs))
	for id, needs := range g.Needs {
		left[id] = needs
	}
	for {
		needed := make(map[string]bool)
		for _, needs := range left {
			for _, n := range needs {
				if _, ok := left[n]; ok {
					needed[n] = true
				}
			}
		}
		before := len(left)
		for id, needs := range left {
			leads := slices.ContainsFunc(needs, func(n string) bool { _, ok := left[n]; return ok })
			if !leads || !needed[id] {
				delete(left, id)
			}
		}
		if len(left) == before {
			break
		}
	}
	if len(left) == 0 {
		return nil
	}
	return sortedKeys(left)
}
