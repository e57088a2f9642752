package codegen

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

var kindOf = map[string]string{
	"structure": "Struct", "list": "List", "map": "Map", "string": "String", "boolean": "Bool", "integer": "Integer",
	"long": "Long", "float": "Float", "double": "Double", "timestamp": "Timestamp", "blob": "Blob",
}

// renderShapes writes the table of shapes. It is built anew by each call of Description, so that nobody shares it.
func (s *selection) renderShapes() string {
	var b strings.Builder
	b.WriteString("func shapes() []awsapi.Shape {\n\tlimit := func(v float64) *float64 { return &v }\n\t_ = limit\n\treturn []awsapi.Shape{\n")
	for _, name := range s.names {
		shape := s.shapes[name]
		kind := kindOf[shape.Type]
		if shape.Document {
			kind = "Any"
		}
		fmt.Fprintf(&b, "{Name: %q, Kind: awsapi.%s", name, kind)
		if shape.Member != nil {
			fmt.Fprintf(&b, ", ElemRef: %q, ElemName: %q", exported(shape.Member.Shape), or(shape.Member.LocationName, "member"))
		}
		if shape.Value != nil {
			fmt.Fprintf(&b, ", ElemRef: %q, KeyName: %q, ElemName: %q", exported(shape.Value.Shape),
				or(shape.Key.LocationName, "key"), or(shape.Value.LocationName, "value"))
		}
		if shape.Flattened {
			b.WriteString(", Flattened: true")
		}
		if len(shape.Enum) > 0 {
			fmt.Fprintf(&b, ", Enum: %#v", shape.Enum)
		}
		if shape.Min != nil {
			fmt.Fprintf(&b, ", Min: limit(%v)", *shape.Min)
		}
		if shape.Max != nil {
			fmt.Fprintf(&b, ", Max: limit(%v)", *shape.Max)
		}
		if shape.Pattern != "" {
			fmt.Fprintf(&b, ", Pattern: %q", shape.Pattern)
		}
		if s.isStruct(name) && len(shape.Members) > 0 {
			b.WriteString(", Members: []awsapi.Member{\n")
			for _, member := range slices.Sorted(maps.Keys(shape.Members)) {
				s.renderMember(&b, shape, member)
			}
			b.WriteString("}")
		}
		b.WriteString("},\n")
	}
	b.WriteString("}\n}\n")
	return b.String()
}

func (s *selection) renderMember(b *strings.Builder, shape *Shape, member string) {
	ref := shape.Members[member]
	out := or(ref.LocationName, member)
	in := out
	if s.model.Metadata.Protocol == "ec2" {
		// EC2 asks with a capital letter for what it answers with a small one.
		in = member
		if ref.LocationName != "" {
			in = exported(ref.LocationName)
		}
		in = or(ref.QueryName, in)
	}
	fmt.Fprintf(b, "{Name: %q, Field: %q, In: %q, Out: %q, Ref: %q", member, exported(member), in, out, exported(ref.Shape))
	if slices.Contains(shape.Required, member) {
		b.WriteString(", Required: true")
	}
	if ref.IdempotencyToken {
		b.WriteString(", Token: true")
	}
	b.WriteString("},\n")
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
