package stack

import "slices"

// Step is one resource of a plan.
type Step struct {
	LogicalID string
	Type      string
	Action    Action
	After     []string // steps of the same pass that must have ended before
}

// Action is what a step does.
type Action string

// The actions. Modify is decided when the step runs, since only then its properties are known: it may change nothing,
// change in place, or make a replacement.
const (
	Create Action = "Create"
	Modify Action = "Modify"
	Delete Action = "Delete"
)

// Plan is the work of one stack operation in CloudFormation's two passes.
type Plan struct {
	Forward []Step // create and update, in dependency order
	Cleanup []Step // delete what the template no longer has, dependants first
}

// MakePlan returns the plan that brings a stack from what is deployed to what the scope's template asks for. Whoever
// runs it may run steps side by side as soon as the steps named in After have ended.
func MakePlan(s *Scope, deployed map[string]Deployed) (*Plan, error) {
	graph, err := s.Graph()
	if err != nil {
		return nil, err
	}
	p := &Plan{}
	for _, id := range graph.Order() {
		step := Step{LogicalID: id, Type: s.Template.Resource(id).Type, Action: Create, After: graph.Needs[id]}
		if old, ok := deployed[id]; ok && old.PhysicalID != "" {
			step.Action = Modify
		}
		p.Forward = append(p.Forward, step)
	}
	var gone []string
	for id := range deployed {
		if _, wanted := graph.Needs[id]; !wanted {
			gone = append(gone, id)
		}
	}
	p.Cleanup = Removal(deployed, gone)
	return p, nil
}

// Removal returns the steps that delete the named resources, each after everything that needs it.
func Removal(deployed map[string]Deployed, ids []string) []Step {
	g := &Graph{Needs: make(map[string][]string, len(ids))}
	for _, id := range ids {
		g.Needs[id] = nil
	}
	for _, id := range ids {
		for _, need := range deployed[id].Needs {
			if _, ok := g.Needs[need]; ok {
				g.Needs[need] = append(g.Needs[need], id)
			}
		}
	}
	var out []Step
	order := g.Order()
	for _, id := range order {
		slices.Sort(g.Needs[id])
		out = append(out, Step{LogicalID: id, Type: deployed[id].Type, Action: Delete, After: g.Needs[id]})
	}
	// Old and new versions of resources can need each other in a circle. Then the order is left to who deletes: what is
	// still in use is tried again.
	for _, id := range ids {
		if !slices.Contains(order, id) {
			out = append(out, Step{LogicalID: id, Type: deployed[id].Type, Action: Delete})
		}
	}
	return out
}
