package ruleset

import "slices"

// Delta is what has to be done to a table in the kernel so that it becomes another one. Applied as one batch in the
// order of the fields it never refers to what is not there.
type Delta struct {
	NewSets     []*Set         // without their elements: those are in AddElements
	DelElements []ElementDelta // before the chains that verdicts point to go
	NewChains   []*Chain       // made empty
	SetRules    []*Chain       // all rules of these chains are replaced
	AddElements []ElementDelta
	DelChains   []*Chain
	DelSets     []*Set
}

// ElementDelta is a list of elements to add to or remove from a set.
type ElementDelta struct {
	Set      *Set
	Elements []Element
}

// IsEmpty reports whether nothing has to be done.
func (d *Delta) IsEmpty() bool {
	return len(d.NewSets)+len(d.DelElements)+len(d.NewChains)+len(d.SetRules)+len(d.AddElements)+len(d.DelChains)+len(d.DelSets) == 0
}

// Diff returns how to come from one table to the other. A set or base chain whose shape changes under the same name is
// not expected (names are built from shapes); ok is false then, and the whole table has to be replaced.
func Diff(from, to *Table) (delta *Delta, ok bool) {
	d := &Delta{}
	if !diffSets(d, from.Sets, to.Sets) || !diffChains(d, from.Chains, to.Chains) {
		return nil, false
	}
	return d, true
}

// diffSets relies on both lists being sorted by name.
func diffSets(d *Delta, from, to []Set) bool {
	for i, j := 0, 0; i < len(from) || j < len(to); {
		switch {
		case j == len(to) || i < len(from) && from[i].Name < to[j].Name:
			if from[i].Value == VerdictValue && len(from[i].Elements) > 0 {
				// Frees the chains at once: the kernel would only do so when the set itself goes.
				d.DelElements = append(d.DelElements, ElementDelta{Set: &from[i], Elements: from[i].Elements})
			}
			d.DelSets = append(d.DelSets, &from[i])
			i++
		case i == len(from) || from[i].Name > to[j].Name:
			d.NewSets = append(d.NewSets, &to[j])
			if len(to[j].Elements) > 0 {
				d.AddElements = append(d.AddElements, ElementDelta{Set: &to[j], Elements: to[j].Elements})
			}
			j++
		default:
			a, b := &from[i], &to[j]
			if a.Value != b.Value || a.Interval != b.Interval || a.Counted != b.Counted || !slices.Equal(a.Key, b.Key) {
				return false
			}
			diffElements(d, a, b)
			i, j = i+1, j+1
		}
	}
	return true
}

func diffElements(d *Delta, from, to *Set) {
	if len(from.Elements) > 0 && len(from.Elements) == len(to.Elements) && &from.Elements[0] == &to.Elements[0] {
		return // the same list, not a copy
	}
	var add, del []Element
	a, b := from.Elements, to.Elements
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case j == len(b) || i < len(a) && a[i].Key < b[j].Key:
			del = append(del, a[i])
			i++
		case i == len(a) || a[i].Key > b[j].Key:
			add = append(add, b[j])
			j++
		default:
			if a[i].End != b[j].End || a[i].Mark != b[j].Mark || a[i].Addr != b[j].Addr || a[i].Verdict != b[j].Verdict {
				del = append(del, a[i])
				add = append(add, b[j])
			}
			i, j = i+1, j+1
		}
	}
	if del != nil {
		d.DelElements = append(d.DelElements, ElementDelta{Set: to, Elements: del})
	}
	if add != nil {
		d.AddElements = append(d.AddElements, ElementDelta{Set: to, Elements: add})
	}
}

func diffChains(d *Delta, from, to []Chain) bool {
	old := make(map[string]*Chain, len(from))
	for i := range from {
		old[from[i].Name] = &from[i]
	}
	for i := range to {
		c := &to[i]
		o := old[c.Name]
		delete(old, c.Name)
		switch {
		case o == nil:
			d.NewChains = append(d.NewChains, c)
			if len(c.Rules) > 0 {
				d.SetRules = append(d.SetRules, c)
			}
		case (o.Hook == nil) != (c.Hook == nil) || o.Hook != nil && *o.Hook != *c.Hook:
			return false
		case !sameRules(o.Rules, c.Rules):
			d.SetRules = append(d.SetRules, c)
		}
	}
	for i := range from {
		if _, gone := old[from[i].Name]; gone {
			d.DelChains = append(d.DelChains, &from[i])
		}
	}
	return true
}

func sameRules(a, b []Rule) bool {
	if len(a) != len(b) {
		return false
	}
	if len(a) > 0 && &a[0] == &b[0] {
		return true
	}
	return slices.EqualFunc(a, b, func(x, y Rule) bool { return x.String() == y.String() })
}
