package codegen

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// fieldType returns the Go type of a struct field of that shape.
func (s *selection) fieldType(name string) string {
	goName := exported(name)
	shape := s.shapes[goName]
	switch shape.Type {
	case "structure":
		if shape.Document {
			return "awsapi.Document"
		}
		return "*" + goName
	case "string":
		if len(shape.Enum) > 0 {
			return goName
		}
		return "*string"
	case "boolean", "integer", "long", "float", "double", "timestamp":
		return "*" + s.elemType(name)
	default:
		return s.elemType(name)
	}
}

// elemType returns the Go type of that shape as an element of a list or map.
func (s *selection) elemType(name string) string {
	goName := exported(name)
	shape := s.shapes[goName]
	switch shape.Type {
	case "structure":
		if shape.Document {
			return "awsapi.Document"
		}
		return goName
	case "list":
		return "[]" + s.elemType(shape.Member.Shape)
	case "map":
		return "map[string]" + s.elemType(shape.Value.Shape)
	case "string":
		if len(shape.Enum) > 0 {
			return goName
		}
		return "string"
	case "boolean":
		return "bool"
	case "integer":
		return "int32"
	case "long":
		return "int64"
	case "float":
		return "float32"
	case "double":
		return "float64"
	case "timestamp":
		return "time.Time"
	case "blob":
		return "[]byte"
	}
	panic(fmt.Sprintf("codegen: shape %s has type %q", name, shape.Type))
}

func (s *selection) isStruct(name string) bool {
	return s.shapes[name].Type == "structure" && !s.shapes[name].Document
}

func (s *selection) renderTypes() string {
	var b strings.Builder
	for _, name := range s.names {
		if !s.isStruct(name) {
			continue
		}
		shape := s.shapes[name]
		fmt.Fprintf(&b, "// %s %s.\ntype %s struct {\n", name, s.describe(name), name)
		for _, member := range slices.Sorted(maps.Keys(shape.Members)) {
			fmt.Fprintf(&b, "%s %s", exported(member), s.fieldType(shape.Members[member].Shape))
			if slices.Contains(shape.Required, member) {
				b.WriteString(" // required")
			}
			b.WriteString("\n")
		}
		b.WriteString("}\n\n")
	}
	return b.String()
}

func (s *selection) describe(name string) string {
	for _, op := range s.operations {
		switch name {
		case op + "Input":
			return "is what " + op + " is asked"
		case op + "Output":
			return "is what " + op + " answers"
		}
	}
	return "is the structure of that name in the API model"
}

func (s *selection) renderEnums() string {
	var b strings.Builder
	taken := map[string]string{}
	for _, name := range s.names {
		taken[name] = "a type"
	}
	for _, name := range s.names {
		shape := s.shapes[name]
		if shape.Type != "string" || len(shape.Enum) == 0 {
			continue
		}
		fmt.Fprintf(&b, "// %s is an enum; \"\" is absent.\ntype %s string\n\n// The values of %s.\nconst (\n", name, name, name)
		for _, value := range shape.Enum {
			constant := name + enumSuffix(value)
			for n := 2; taken[constant] != ""; n++ {
				constant = fmt.Sprintf("%s%s_%d", name, enumSuffix(value), n)
			}
			taken[constant] = "a value of " + name
			fmt.Fprintf(&b, "%s %s = %q\n", constant, name, value)
		}
		b.WriteString(")\n\n")
	}
	return b.String()
}
