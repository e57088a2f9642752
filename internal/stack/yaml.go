package stack

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// shortForms are the functions that have a YAML tag. Those of the language extensions are known, to be refused by name.
var shortForms = map[string]string{
	"!Ref": "Ref", "!Condition": "Condition", "!GetAtt": "Fn::GetAtt", "!Sub": "Fn::Sub", "!Join": "Fn::Join",
	"!Select": "Fn::Select", "!Split": "Fn::Split", "!If": "Fn::If", "!Equals": "Fn::Equals", "!And": "Fn::And",
	"!Or": "Fn::Or", "!Not": "Fn::Not", "!FindInMap": "Fn::FindInMap", "!ImportValue": "Fn::ImportValue",
	"!Base64": "Fn::Base64", "!Cidr": "Fn::Cidr", "!GetAZs": "Fn::GetAZs", "!Transform": "Fn::Transform",
	"!Length": "Fn::Length", "!ToJsonString": "Fn::ToJsonString", "!ForEach": "Fn::ForEach",
	"!Contains": "Fn::Contains", "!EachMemberEquals": "Fn::EachMemberEquals", "!EachMemberIn": "Fn::EachMemberIn",
	"!RefAll": "Fn::RefAll", "!ValueOf": "Fn::ValueOf", "!ValueOfAll": "Fn::ValueOfAll",
}

var yamlLine = regexp.MustCompile(`line (\d+): (.*)`)

// parseYAML reads one YAML document.
func parseYAML(body string) (*Node, error) {
	dec := yaml.NewDecoder(strings.NewReader(body))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, &Error{Message: "Template format error: unsupported structure."}
		}
		return nil, yamlError(err)
	}
	var second yaml.Node
	if err := dec.Decode(&second); err == nil {
		return nil, &Error{Message: "Template format error: YAML not well-formed. A template is one document.", Line: second.Line, Column: second.Column}
	} else if !errors.Is(err, io.EOF) {
		return nil, yamlError(err)
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, &Error{Message: "Template format error: unsupported structure."}
	}
	b := &builder{}
	return b.fromYAML(doc.Content[0], "", 0)
}

// yamlError turns a syntax error of the YAML library into AWS's words.
func yamlError(err error) error {
	e := &Error{Message: "Template format error: YAML not well-formed."}
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		e.Line, _ = strconv.Atoi(m[1])
		e.Column = 1
		e.Message += " " + m[2]
	} else {
		e.Message += " " + strings.TrimPrefix(err.Error(), "yaml: ")
	}
	return e
}

func (b *builder) fromYAML(y *yaml.Node, path string, depth int) (*Node, error) {
	if y.Kind == yaml.AliasNode || y.Anchor != "" {
		return nil, &Error{Message: "Template format error: YAML aliases are not allowed in CloudFormation templates", Path: path, Line: y.Line, Column: y.Column}
	}
	var n *Node
	var err error
	switch y.Kind {
	case yaml.ScalarNode:
		n, err = b.scalar(y, path, depth)
	case yaml.SequenceNode:
		if n, err = b.node(List, "", y.Line, y.Column, depth); err != nil {
			return nil, err
		}
		for i, item := range y.Content {
			child, err := b.fromYAML(item, join(path, strconv.Itoa(i)), depth+1)
			if err != nil {
				return nil, err
			}
			n.Items = append(n.Items, child)
		}
	case yaml.MappingNode:
		n, err = b.mapping(y, path, depth)
	default:
		return nil, &Error{Message: "Template format error: unsupported structure.", Path: path, Line: y.Line, Column: y.Column}
	}
	if err != nil {
		return nil, err
	}
	return b.tagged(n, y, path, depth)
}

func (b *builder) mapping(y *yaml.Node, path string, depth int) (*Node, error) {
	n, err := b.node(Map, "", y.Line, y.Column, depth)
	if err != nil {
		return nil, err
	}
	seen := make(map[string]int, len(y.Content)/2)
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, value := y.Content[i], y.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.Anchor != "" || isCustomTag(key.Tag) {
			return nil, &Error{Message: "Template format error: a key of a map must be text", Path: path, Line: key.Line, Column: key.Column}
		}
		if first, ok := seen[key.Value]; ok {
			message := fmt.Sprintf("Template format error: duplicate key %q, first seen on line %d", key.Value, first)
			return nil, &Error{Message: message, Path: path, Line: key.Line, Column: key.Column}
		}
		seen[key.Value] = key.Line
		child, err := b.fromYAML(value, join(path, key.Value), depth+1)
		if err != nil {
			return nil, err
		}
		if key.Value == "Fn::GetAtt" && child.Kind == String {
			child = splitAttribute(child)
		}
		n.Fields = append(n.Fields, Field{Key: key.Value, Value: child, Line: key.Line, Column: key.Column})
	}
	return n, nil
}

// scalar keeps what a template means: dates and odd numbers stay the text they were written as.
func (b *builder) scalar(y *yaml.Node, path string, depth int) (*Node, error) {
	kind, text := String, y.Value
	if !isCustomTag(y.Tag) && y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
		switch y.ShortTag() {
		case "!!null":
			kind, text = Null, ""
		case "!!bool":
			kind, text = Bool, strings.ToLower(y.Value)
			if text != "true" && text != "false" {
				kind, text = String, y.Value
			}
		case "!!int", "!!float":
			if isDecimal(y.Value) {
				kind = Number
			}
		case "!!binary":
			return nil, &Error{Message: "Template format error: unsupported YAML tag !!binary", Path: path, Line: y.Line, Column: y.Column}
		}
	}
	return b.node(kind, text, y.Line, y.Column, depth)
}

// isCustomTag reports whether a tag is the template's own (!Ref) and not one of YAML (!!str).
func isCustomTag(tag string) bool {
	return strings.HasPrefix(tag, "!") && !strings.HasPrefix(tag, "!!") && tag != "!"
}

// tagged writes a short form out.
func (b *builder) tagged(n *Node, y *yaml.Node, path string, depth int) (*Node, error) {
	if !isCustomTag(y.Tag) {
		return n, nil
	}
	name, ok := shortForms[y.Tag]
	if !ok {
		return nil, &Error{Message: fmt.Sprintf("Template format error: unsupported YAML tag %s", y.Tag), Path: path, Line: y.Line, Column: y.Column}
	}
	if name == "Fn::GetAtt" && n.Kind == String {
		n = splitAttribute(n)
	}
	outer, err := b.node(Map, "", y.Line, y.Column, depth)
	if err != nil {
		return nil, err
	}
	outer.Fields = []Field{{Key: name, Value: n, Line: y.Line, Column: y.Column}}
	return outer, nil
}
