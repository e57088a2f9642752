package stack

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
)

// call evaluates one intrinsic function.
func (s *Scope) call(n *Node, name string, arg *Node, path string) (any, error) {
	switch name {
	case "Ref":
		if arg.Kind != String {
			return nil, errorf(arg, path, "Template format error: Ref must be a string: the name of a parameter or a resource")
		}
		return s.ref(arg, arg.Text, path)
	case "Fn::GetAtt":
		return s.getAtt(arg, path)
	case "Fn::Sub":
		return s.sub(arg, path)
	case "Fn::Join":
		return s.join(arg, path)
	case "Fn::Split":
		return s.split(arg, path)
	case "Fn::Select":
		return s.choose(arg, path)
	case "Fn::If":
		return s.ifElse(arg, path)
	case "Fn::FindInMap":
		return s.findInMap(arg, path)
	case "Fn::ImportValue":
		return s.importValue(arg, path)
	case "Fn::Base64":
		text, unknown, err := s.text(arg, path, "Template error: every Fn::Base64 object must have a String-typed value.")
		if err != nil || unknown != nil {
			return orUnknown(unknown), err
		}
		return base64.StdEncoding.EncodeToString([]byte(text)), s.spend(arg, path, len(text)*4/3)
	case "Fn::Cidr":
		return s.cidr(arg, path)
	case "Fn::GetAZs":
		return s.zones(arg, path)
	case "Fn::Equals", "Fn::And", "Fn::Or", "Fn::Not":
		return nil, errorf(n, path, "Template format error: %s can only be used in the Conditions block of the template", name)
	case "Fn::Transform":
		return nil, errorf(n, path, "Template format error: Fn::Transform is not supported: Neargate runs no macros")
	case "Fn::Length", "Fn::ToJsonString", "Fn::ForEach":
		return nil, errorf(n, path, "Template format error: %s needs the transform AWS::LanguageExtensions, which is not supported", name)
	}
	return nil, errorf(n, path, "Template error: %s is not an intrinsic function", name)
}

func orUnknown(u *Unknown) any {
	if u == nil {
		return nil
	}
	return *u
}

func (s *Scope) getAtt(arg *Node, path string) (any, error) {
	const otherwise = "Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute"
	if arg.Kind != List || len(arg.Items) < 2 || arg.Items[0].Kind != String || arg.Items[0].Text == "" {
		return nil, errorf(arg, path, otherwise)
	}
	var parts []string
	for i, item := range arg.Items[1:] {
		text, unknown, err := s.text(item, join(path, strconv.Itoa(i+1)), otherwise)
		if err != nil || unknown != nil {
			return orUnknown(unknown), err
		}
		parts = append(parts, text)
	}
	attribute := strings.Join(parts, ".")
	if attribute == "" {
		return nil, errorf(arg, path, otherwise)
	}
	return s.att(arg, arg.Items[0].Text, attribute, path)
}

func (s *Scope) join(arg *Node, path string) (any, error) {
	const otherwise = "Template error: every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be joined or a function that returns a list of strings (such as Fn::GetAZs) to be joined."
	if arg.Kind != List || len(arg.Items) != 2 || !arg.Items[0].IsScalar() {
		return nil, errorf(arg, path, otherwise)
	}
	items, unknown, err := s.list(arg.Items[1], join(path, "1"), otherwise)
	if err != nil || unknown != nil {
		return orUnknown(unknown), err
	}
	size := len(arg.Items[0].Text) * len(items)
	for _, item := range items {
		size += len(item)
	}
	if err := s.spend(arg, path, size); err != nil {
		return nil, err
	}
	return strings.Join(items, arg.Items[0].Text), nil
}

func (s *Scope) split(arg *Node, path string) (any, error) {
	const otherwise = "Template error: every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to be split or a function that returns a string to be split."
	if arg.Kind != List || len(arg.Items) != 2 || arg.Items[0].Kind != String || arg.Items[0].Text == "" {
		return nil, errorf(arg, path, otherwise)
	}
	text, unknown, err := s.text(arg.Items[1], join(path, "1"), otherwise)
	if err != nil || unknown != nil {
		return orUnknown(unknown), err
	}
	parts := strings.Split(text, arg.Items[0].Text)
	if err := s.spend(arg, path, len(text)+16*len(parts)); err != nil {
		return nil, err
	}
	out := make([]any, 0, len(parts))
	for _, part := range parts {
		out = append(out, part)
	}
	return out, nil
}

// choose evaluates Fn::Select.
func (s *Scope) choose(arg *Node, path string) (any, error) {
	const otherwise = "Template error: Fn::Select requires a list argument with two elements: an integer index and a list"
	if arg.Kind != List || len(arg.Items) != 2 {
		return nil, errorf(arg, path, otherwise)
	}
	index, unknown, err := s.text(arg.Items[0], join(path, "0"), otherwise)
	if err != nil || unknown != nil {
		return orUnknown(unknown), err
	}
	i, err := strconv.Atoi(index)
	if err != nil {
		return nil, errorf(arg, path, otherwise)
	}
	v, err := s.eval(arg.Items[1], join(path, "1"))
	if err != nil {
		return nil, err
	}
	if u, ok := v.(Unknown); ok {
		return u, nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, errorf(arg, path, otherwise)
	}
	if i < 0 || i >= len(list) {
		return nil, errorf(arg, path, "Template error: Fn::Select  cannot select nonexistent value at index %d", i)
	}
	return list[i], nil
}

func (s *Scope) ifElse(arg *Node, path string) (any, error) {
	if arg.Kind != List || len(arg.Items) != 3 {
		return nil, errorf(arg, path, "Template error: Fn::If requires a list argument with three elements: a condition name and two values")
	}
	if arg.Items[0].Kind != String {
		return nil, errorf(arg.Items[0], path, "Template error: Fn::If requires the name of a condition as its first element")
	}
	v, err := s.condition(arg.Items[0], arg.Items[0].Text, path)
	if err != nil {
		return nil, err
	}
	branch := 2
	if v {
		branch = 1
	}
	return s.eval(arg.Items[branch], join(path, strconv.Itoa(branch)))
}

func (s *Scope) findInMap(arg *Node, path string) (any, error) {
	const otherwise = "Template error: every Fn::FindInMap object requires three parameters, the map name, map key and the attribute for return value"
	if arg.Kind == List && len(arg.Items) == 4 {
		return nil, errorf(arg, path, "Template format error: a default of Fn::FindInMap needs the transform AWS::LanguageExtensions, which is not supported")
	}
	if arg.Kind != List || len(arg.Items) != 3 {
		return nil, errorf(arg, path, otherwise)
	}
	var keys [3]string
	for i, item := range arg.Items {
		text, unknown, err := s.text(item, join(path, strconv.Itoa(i)), otherwise)
		if err != nil || unknown != nil {
			return orUnknown(unknown), err
		}
		keys[i] = text
	}
	m, ok := s.Template.Mappings[keys[0]]
	if !ok {
		return nil, errorf(arg, path, "Template error: Mapping named '%s' is not present in the 'Mappings' section of template.", keys[0])
	}
	v, ok := m[keys[1]][keys[2]]
	if !ok {
		return nil, errorf(arg, path, "Template error: Unable to get mapping for %s::%s::%s", keys[0], keys[1], keys[2])
	}
	size := 16
	if text, ok := Text(v); ok {
		size += len(text)
	}
	if list, ok := v.([]any); ok {
		v = slices.Clone(list)
		size += 64 * len(list)
	}
	return v, s.spend(arg, path, size)
}

func (s *Scope) importValue(arg *Node, path string) (any, error) {
	if s.importing {
		return nil, s.unresolved(arg, "Fn::ImportValue", path)
	}
	s.importing = true
	name, unknown, err := s.text(arg, path, "Template error: the attribute in Fn::ImportValue must be a string or a function that returns a string")
	s.importing = false
	if err != nil || unknown != nil {
		return orUnknown(unknown), err
	}
	if s.used != nil && !slices.Contains(*s.used, name) {
		*s.used = append(*s.used, name)
	}
	if s.Import != nil {
		if v, ok := s.Import(name); ok {
			return v, s.spend(arg, path, len(v))
		}
	}
	return nil, errorf(nil, "", "No export named %s found", name)
}

func (s *Scope) zones(arg *Node, path string) (any, error) {
	if s.importing {
		return nil, s.unresolved(arg, "Fn::GetAZs", path)
	}
	region, unknown, err := s.text(arg, path, "Template error: every Fn::GetAZs object must be the name of a region, or empty")
	if err != nil || unknown != nil {
		return orUnknown(unknown), err
	}
	if region != "" && region != s.Pseudo.Region {
		return nil, errorf(arg, path, "Template error: Fn::GetAZs: there is one region here, %s, and not %s", s.Pseudo.Region, region)
	}
	out := make([]any, 0, len(s.Zones))
	for _, z := range s.Zones {
		out = append(out, z)
	}
	return out, nil
}

// number reads a whole number that a function takes.
func number(v any) (int, bool) {
	text, ok := Text(v)
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}
