package ec2

import (
	"slices"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/model"
)

// field returns the values that a record has under a filter's name; an empty list when it has none.
type field[R any] func(*R) []string

// fields are the filters that a Describe operation knows, besides tag:<key> and tag-key.
type fields[R any] map[string]field[R]

// matcher returns a predicate that reports whether a record passes all filters: each filter must match one of its values.
func matcher[R any](filters []ec2api.Filter, known fields[R], tags func(*R) model.Tags) (func(*R) bool, error) {
	var checks []func(*R) bool
	for _, f := range filters {
		name, patterns := awsapi.Val(f.Name), f.Values
		if name == "" {
			return nil, missing("Filter.Name")
		}
		if len(patterns) == 0 {
			return nil, awsapi.NewError("InvalidParameterValue", "The filter '%s' has no values", name)
		}
		values, ok := known[name]
		if !ok {
			values = tagField(name, tags)
		}
		if values == nil {
			return nil, awsapi.NewError("InvalidParameterValue", "The filter '%s' is invalid", name)
		}
		checks = append(checks, func(rec *R) bool {
			return slices.ContainsFunc(values(rec), func(value string) bool {
				return slices.ContainsFunc(patterns, func(p string) bool { return wildcard(p, value) })
			})
		})
	}
	return func(rec *R) bool {
		for _, check := range checks {
			if !check(rec) {
				return false
			}
		}
		return true
	}, nil
}

// tagField returns the values of a filter on tags, nil when the name is none or the noun has no tags.
func tagField[R any](name string, tags func(*R) model.Tags) field[R] {
	if tags == nil {
		return nil
	}
	if name == "tag-key" {
		return func(rec *R) []string {
			var keys []string
			for k := range tags(rec) {
				keys = append(keys, k)
			}
			return keys
		}
	}
	key, ok := strings.CutPrefix(name, "tag:")
	if !ok {
		return nil
	}
	return func(rec *R) []string {
		if v, ok := tags(rec)[key]; ok {
			return []string{v}
		}
		return nil
	}
}

// wildcard reports whether value matches a pattern in which * stands for any text and ? for one character; a backslash
// takes the next character's meaning away. It is case-sensitive, as EC2's filters are.
func wildcard(pattern, value string) bool {
	if !strings.ContainsAny(pattern, `*?\`) {
		return pattern == value
	}
	p, v := []rune(pattern), []rune(value)
	star, mark := -1, 0 // where the last * is, and how much of value it has eaten
	i, j := 0, 0
	for j < len(v) {
		switch {
		case i < len(p) && p[i] == '*':
			star, mark = i, j
			i++
		case i+1 < len(p) && p[i] == '\\' && p[i+1] == v[j]:
			i, j = i+2, j+1
		case i < len(p) && p[i] != '\\' && (p[i] == '?' || p[i] == v[j]):
			i, j = i+1, j+1
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}

func one(value string) []string { return []string{value} }

func boolean(b bool) []string {
	if b {
		return []string{"true"}
	}
	return []string{"false"}
}
