package awsapi

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Rule is what an input may violate.
type Rule string

// The rules that a model states.
const (
	RuleRequired Rule = "required"
	RuleEnum     Rule = "enum"
	RuleRange    Rule = "range"
	RuleLength   Rule = "length"
	RulePattern  Rule = "pattern"
)

// Violation is one value of an input that the model does not allow.
type Violation struct {
	Rule       Rule
	Path       string // as most services print it: "tags.1.member.key"
	Parameter  string // as in a query request: "Tag.1.Key"
	Value      string // empty when absent
	Constraint string // "Member must not be null"
}

// Validate returns what the model does not allow in an input of the operation: required, enum, range, length, pattern.
func (o *Operation) Validate(in any) []Violation {
	var found []Violation
	check(o.Input, reflect.ValueOf(in).Elem(), nil, &found)
	return found
}

// place is where a value is, as a list from the inside to the outside: no text is made until something is wrong.
type place struct {
	outer  *place
	member *Member
	index  int    // of an element, from 1
	key    string // of an entry of a map
}

func (p *place) path() string {
	var outer string
	if p.outer != nil {
		outer = p.outer.path() + "."
	}
	switch {
	case p.member != nil:
		return outer + strings.ToLower(p.member.Name[:1]) + p.member.Name[1:]
	case p.index > 0:
		return outer + strconv.Itoa(p.index) + ".member"
	}
	return outer + p.key
}

func (p *place) parameter() string {
	var outer string
	if p.outer != nil {
		outer = p.outer.parameter() + "."
	}
	switch {
	case p.member != nil:
		return outer + p.member.In
	case p.index > 0:
		return outer + strconv.Itoa(p.index)
	}
	return outer + p.key
}

func check(s *Shape, v reflect.Value, at *place, found *[]Violation) {
	if !s.constrained {
		return
	}
	switch s.Kind {
	case Struct:
		checkStruct(s, v, at, found)
	case List:
		checkSize(s, v.Len(), at, found)
		if !s.Elem.constrained {
			return
		}
		for i := range v.Len() {
			check(s.Elem, v.Index(i), &place{outer: at, index: i + 1}, found)
		}
	case Map:
		checkSize(s, v.Len(), at, found)
		if !s.Elem.constrained {
			return
		}
		for iter := v.MapRange(); iter.Next(); {
			check(s.Elem, iter.Value(), &place{outer: at, key: iter.Key().String()}, found)
		}
	case String:
		checkString(s, v.String(), at, found)
	case Integer, Long:
		checkRange(s, float64(v.Int()), strconv.FormatInt(v.Int(), 10), at, found)
	case Float, Double:
		checkRange(s, v.Float(), strconv.FormatFloat(v.Float(), 'g', -1, 64), at, found)
	case Blob:
		checkSize(s, v.Len(), at, found)
	}
}

func checkStruct(s *Shape, v reflect.Value, at *place, found *[]Violation) {
	for i := range s.Members {
		m := &s.Members[i]
		if !m.Required && !m.Shape.constrained {
			continue
		}
		field := v.Field(i)
		if isAbsent(field) {
			if m.Required {
				here := &place{outer: at, member: m}
				*found = append(*found, Violation{
					Rule: RuleRequired, Path: here.path(), Parameter: here.parameter(), Constraint: "Member must not be null",
				})
			}
			continue
		}
		if field.Kind() == reflect.Pointer {
			field = field.Elem()
		}
		check(m.Shape, field, &place{outer: at, member: m}, found)
	}
}

// isAbsent reports whether a field of an input or output is not there.
func isAbsent(field reflect.Value) bool {
	switch field.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return field.IsNil()
	}
	return field.Len() == 0 // an enum
}

func checkString(s *Shape, value string, at *place, found *[]Violation) {
	add := func(rule Rule, constraint string) {
		*found = append(*found, Violation{
			Rule: rule, Path: at.path(), Parameter: at.parameter(), Value: value, Constraint: constraint,
		})
	}
	if len(s.Enum) > 0 {
		if _, ok := s.enum[value]; !ok {
			add(RuleEnum, "Member must satisfy enum value set: ["+strings.Join(s.Enum, ", ")+"]")
		}
		return
	}
	if s.Min != nil || s.Max != nil {
		n := float64(utf8.RuneCountInString(value))
		if s.Max != nil && n > *s.Max {
			add(RuleLength, fmt.Sprintf("Member must have length less than or equal to %.0f", *s.Max))
		}
		if s.Min != nil && n < *s.Min {
			add(RuleLength, fmt.Sprintf("Member must have length greater than or equal to %.0f", *s.Min))
		}
	}
	if s.pattern != nil && !s.pattern.MatchString(value) {
		add(RulePattern, "Member must satisfy regular expression pattern: "+s.Pattern)
	}
}

func checkRange(s *Shape, n float64, text string, at *place, found *[]Violation) {
	add := func(constraint string, limit float64) {
		*found = append(*found, Violation{
			Rule: RuleRange, Path: at.path(), Parameter: at.parameter(), Value: text,
			Constraint: fmt.Sprintf("Member must have value %s than or equal to %.0f", constraint, limit),
		})
	}
	if s.Max != nil && n > *s.Max {
		add("less", *s.Max)
	}
	if s.Min != nil && n < *s.Min {
		add("greater", *s.Min)
	}
}

// checkSize checks the number of entries or bytes.
func checkSize(s *Shape, n int, at *place, found *[]Violation) {
	add := func(constraint string, limit float64) {
		*found = append(*found, Violation{
			Rule: RuleLength, Path: at.path(), Parameter: at.parameter(), Value: "[...]",
			Constraint: fmt.Sprintf("Member must have length %s than or equal to %.0f", constraint, limit),
		})
	}
	if s.Max != nil && float64(n) > *s.Max {
		add("less", *s.Max)
	}
	if s.Min != nil && float64(n) < *s.Min {
		add("greater", *s.Min)
	}
}
