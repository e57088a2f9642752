package codegen

import (
	"fmt"
	"maps"
	"slices"
)

// selection is the part of a model that a list of operations reaches.
type selection struct {
	model      *Model
	operations []string          // sorted
	shapes     map[string]*Shape // by Go name; inputs and outputs are named after their operation
	names      []string          // of shapes, sorted
	errors     []string          // names of error shapes, sorted
}

func selectOperations(m *Model, operations []string) (*selection, error) {
	s := &selection{model: m, shapes: map[string]*Shape{}}
	errors := map[string]bool{}
	for _, name := range slices.Sorted(slices.Values(operations)) {
		op, ok := m.Operations[name]
		if !ok {
			return nil, fmt.Errorf("the model has no operation %s", name)
		}
		s.operations = append(s.operations, name)
		if err := s.addTop(name+"Input", op.Input); err != nil {
			return nil, err
		}
		if err := s.addTop(name+"Output", op.Output); err != nil {
			return nil, err
		}
		for _, e := range op.Errors {
			errors[e.Shape] = true
		}
	}
	s.names = slices.Sorted(maps.Keys(s.shapes))
	s.errors = slices.Sorted(maps.Keys(errors))
	return s, nil
}

// addTop adds an input or output under the name of its operation, so that two operations never share a Go type and
// every operation has both.
func (s *selection) addTop(goName string, ref *Ref) error {
	shape := &Shape{Type: "structure"}
	if ref != nil {
		shape = s.model.Shapes[ref.Shape]
	}
	if _, taken := s.shapes[goName]; taken {
		return fmt.Errorf("two shapes want the name %s", goName)
	}
	s.shapes[goName] = shape
	return s.addParts(shape)
}

func (s *selection) add(name string) error {
	shape, ok := s.model.Shapes[name]
	if !ok {
		return fmt.Errorf("the model has no shape %s", name)
	}
	goName := exported(name)
	if have, ok := s.shapes[goName]; ok {
		if have != shape {
			return fmt.Errorf("two shapes want the name %s", goName)
		}
		return nil
	}
	s.shapes[goName] = shape
	return s.addParts(shape)
}

func (s *selection) addParts(shape *Shape) error {
	for _, member := range slices.Sorted(maps.Keys(shape.Members)) {
		if err := s.add(shape.Members[member].Shape); err != nil {
			return err
		}
	}
	for _, ref := range []*Ref{shape.Member, shape.Value} {
		if ref == nil {
			continue
		}
		if err := s.add(ref.Shape); err != nil {
			return err
		}
	}
	return nil
}
