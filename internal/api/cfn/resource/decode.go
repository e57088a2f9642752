package resource

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/neargate/neargate/internal/stack"
)

// Check refuses properties that the type does not have and asks for those it must have.
func (t *Type) Check(r *Request) error {
	for _, name := range slices.Sorted(maps.Keys(r.Properties)) {
		if _, ok := t.Properties[name]; !ok {
			return fmt.Errorf("Encountered unsupported property %s", name) // CloudFormation's own words
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Properties)) {
		if _, ok := r.Properties[name]; t.Properties[name].Required && !ok {
			return r.invalid("#", "required key [%s] not found", name)
		}
	}
	return nil
}

// invalid is an error about the shape of a property.
func (r *Request) invalid(path, format string, args ...any) error {
	return fmt.Errorf("Properties validation failed for resource %s with message:\n%s: %s", r.LogicalID, path, fmt.Sprintf(format, args...))
}

// fill sets the fields of an API input from the named properties. "Property=Field" renames; names of fields below are
// the same in both, which is how AWS made them. Text becomes numbers and bools where the API wants such, and the other
// way round, since a parameter is always text.
func (r *Request) fill(input any, names ...string) error {
	v := reflect.ValueOf(input).Elem()
	for _, name := range names {
		property, field, renamed := strings.Cut(name, "=")
		if !renamed {
			field = property
		}
		value, ok := r.Properties[property]
		if !ok {
			continue
		}
		if err := r.set(v.FieldByName(field), value, "#/"+property); err != nil {
			return err
		}
	}
	return nil
}

// set converts a property's value to the type of a field.
func (r *Request) set(dst reflect.Value, value any, path string) error {
	t := dst.Type()
	if t.Kind() == reflect.Pointer {
		elem := reflect.New(t.Elem())
		if err := r.set(elem.Elem(), value, path); err != nil {
			return err
		}
		dst.Set(elem)
		return nil
	}
	switch t.Kind() {
	case reflect.String:
		text, ok := stack.Text(value)
		if !ok {
			return r.mismatch(path, "String", value)
		}
		dst.SetString(text)
	case reflect.Bool:
		text, _ := stack.Text(value)
		b, err := strconv.ParseBool(text)
		if err != nil {
			return r.mismatch(path, "Boolean", value)
		}
		dst.SetBool(b)
	case reflect.Int32, reflect.Int64:
		text, _ := stack.Text(value)
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || f != math.Trunc(f) || dst.OverflowInt(int64(f)) || math.Abs(f) > 1<<53 {
			return r.mismatch(path, "Integer", value)
		}
		dst.SetInt(int64(f))
	case reflect.Float32, reflect.Float64:
		text, _ := stack.Text(value)
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return r.mismatch(path, "Number", value)
		}
		dst.SetFloat(f)
	case reflect.Slice:
		return r.setSlice(dst, value, path)
	case reflect.Map:
		return r.setMap(dst, value, path)
	case reflect.Struct:
		return r.setStruct(dst, value, path)
	default:
		return r.invalid(path, "cannot be set")
	}
	return nil
}

func (r *Request) setSlice(dst reflect.Value, value any, path string) error {
	if dst.Type().Elem().Kind() == reflect.Uint8 { // a JSON document without a schema
		text, err := jsonText(value)
		if err != nil {
			return r.invalid(path, "%v", err)
		}
		dst.SetBytes([]byte(text))
		return nil
	}
	list, ok := value.([]any)
	if !ok {
		list = []any{value} // CloudFormation takes one value for a list of one
	}
	out := reflect.MakeSlice(dst.Type(), len(list), len(list))
	for i, item := range list {
		if err := r.set(out.Index(i), item, fmt.Sprintf("%s/%d", path, i)); err != nil {
			return err
		}
	}
	dst.Set(out)
	return nil
}

func (r *Request) setMap(dst reflect.Value, value any, path string) error {
	m, ok := value.(map[string]any)
	if !ok {
		return r.mismatch(path, "Map", value)
	}
	out := reflect.MakeMapWithSize(dst.Type(), len(m))
	for key, item := range m {
		elem := reflect.New(dst.Type().Elem()).Elem()
		if err := r.set(elem, item, path+"/"+key); err != nil {
			return err
		}
		out.SetMapIndex(reflect.ValueOf(key), elem)
	}
	dst.Set(out)
	return nil
}

func (r *Request) setStruct(dst reflect.Value, value any, path string) error {
	m, ok := value.(map[string]any)
	if !ok {
		return r.mismatch(path, "JSONObject", value)
	}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		field := dst.FieldByName(key)
		if !field.IsValid() && key != "" && key[0] >= 'A' && key[0] <= 'Z' {
			// EFSVolumeConfiguration here is EfsVolumeConfiguration there.
			field = dst.FieldByNameFunc(func(name string) bool { return strings.EqualFold(name, key) })
		}
		if !field.IsValid() {
			return r.invalid(path, "extraneous key [%s] is not permitted", key)
		}
		if err := r.set(field, m[key], path+"/"+key); err != nil {
			return err
		}
	}
	return nil
}

func (r *Request) mismatch(path, want string, value any) error {
	got := "JSONObject"
	switch value.(type) {
	case string:
		got = "String"
	case json.Number:
		got = "Number"
	case bool:
		got = "Boolean"
	case []any:
		got = "JSONArray"
	}
	return r.invalid(path, "expected type: %s, found: %s", want, got)
}

// reset returns the request with defaults for the properties that an update takes away.
func (r *Request) reset(defaults map[string]any) *Request {
	out := *r
	out.Properties = maps.Clone(r.Properties)
	for name := range r.Old {
		value, known := defaults[name]
		if _, still := r.Properties[name]; !still && known {
			out.Properties[name] = value
		}
	}
	return &out
}

// text returns a property as text, "" if it is absent.
func (r *Request) text(name string) string {
	text, _ := stack.Text(r.Properties[name])
	return text
}

// old returns a property before the update as text.
func (r *Request) old(name string) string {
	text, _ := stack.Text(r.Old[name])
	return text
}

// has reports whether a property is set.
func (r *Request) has(name string) bool {
	_, ok := r.Properties[name]
	return ok
}

// changed reports whether an update changes one of the properties; everything is changed when the resource is new.
func (r *Request) changed(names ...string) bool {
	if r.Old == nil {
		return slices.ContainsFunc(names, r.has)
	}
	return slices.ContainsFunc(stack.Changed(r.Old, r.Properties), func(name string) bool { return slices.Contains(names, name) })
}

// document returns a property that is a JSON document, as text. A template may give it as text or as a value.
func (r *Request) document(name string) (string, error) {
	text, err := jsonText(r.Properties[name])
	if err != nil {
		return "", r.invalid("#/"+name, "%v", err)
	}
	return text, nil
}

func jsonText(value any) (string, error) {
	if text, ok := value.(string); ok {
		return text, nil
	}
	out, err := json.Marshal(value)
	return string(out), err
}

// list returns a property that is a list of text.
func (r *Request) list(name string) []string { return texts(r.Properties[name]) }

func texts(value any) []string {
	items, ok := value.([]any)
	if !ok && value != nil {
		items = []any{value}
	}
	var out []string
	for _, item := range items {
		if text, ok := stack.Text(item); ok {
			out = append(out, text)
		}
	}
	return out
}

// objects returns a property that is a list of maps.
func objects(properties map[string]any, name string) []map[string]any {
	items, ok := properties[name].([]any)
	if !ok && properties[name] != nil {
		items = []any{properties[name]}
	}
	var out []map[string]any
	for _, item := range items {
		if m, ok := item.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// missing returns the items of a that are not in b.
func missing(a, b []string) []string {
	var out []string
	for _, item := range a {
		if !slices.Contains(b, item) && !slices.Contains(out, item) {
			out = append(out, item)
		}
	}
	return out
}
