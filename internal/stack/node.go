package stack

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Kind is what a node of a template is.
type Kind int

// The kinds of nodes.
const (
	Null Kind = iota
	Bool
	Number
	String
	List
	Map
)

// Node is one value of a template with the place it stands at. Short forms of functions (!Ref, !Sub) are already
// written out as maps, so there is one way to see a function: [Node.Function].
type Node struct {
	Kind   Kind
	Text   string // of Bool, Number and String
	Items  []*Node
	Fields []Field
	Line   int
	Column int
}

// Field is one key of a map, in the order of the template.
type Field struct {
	Key    string
	Value  *Node
	Line   int
	Column int
}

// Get returns the value of a key, nil if the node is no map or has no such key.
func (n *Node) Get(key string) *Node {
	if n == nil || n.Kind != Map {
		return nil
	}
	for _, f := range n.Fields {
		if f.Key == key {
			return f.Value
		}
	}
	return nil
}

// IsScalar reports whether the node is text, a number or a bool.
func (n *Node) IsScalar() bool {
	return n != nil && (n.Kind == String || n.Kind == Number || n.Kind == Bool)
}

// Function returns the intrinsic function that a node is, with its argument.
func (n *Node) Function() (name string, arg *Node, ok bool) {
	if n == nil || n.Kind != Map || len(n.Fields) != 1 {
		return "", nil, false
	}
	key := n.Fields[0].Key
	if key == "Ref" || strings.HasPrefix(key, "Fn::") {
		return key, n.Fields[0].Value, true
	}
	return "", nil, false
}

// literal returns the node as a plain value without evaluating anything in it.
func (n *Node) literal() any {
	if n == nil {
		return nil
	}
	switch n.Kind {
	case Bool:
		return n.Text == "true"
	case Number:
		return json.Number(n.Text)
	case String:
		return n.Text
	case List:
		out := make([]any, 0, len(n.Items))
		for _, item := range n.Items {
			out = append(out, item.literal())
		}
		return out
	case Map:
		out := make(map[string]any, len(n.Fields))
		for _, f := range n.Fields {
			out[f.Key] = f.Value.literal()
		}
		return out
	}
	return nil
}

// Limits of a document. AWS bounds a template by its bytes; depth and nodes bound what a small one can cost us.
const (
	maxDepth = 100
	maxNodes = 200_000
)

// builder makes nodes and counts them.
type builder struct{ nodes int }

func (b *builder) node(kind Kind, text string, line, column, depth int) (*Node, error) {
	if b.nodes++; b.nodes > maxNodes {
		return nil, &Error{Message: "Template format error: the template has too many values", Line: line, Column: column}
	}
	if depth > maxDepth {
		return nil, &Error{Message: "Template format error: the template is nested too deeply", Line: line, Column: column}
	}
	return &Node{Kind: kind, Text: text, Line: line, Column: column}, nil
}

// isDecimal reports whether text is a number as JSON writes it, so that it may stay a number.
func isDecimal(text string) bool {
	if text == "" || strings.HasPrefix(text, "+") {
		return false
	}
	digits := strings.TrimPrefix(text, "-")
	if len(digits) > 1 && digits[0] == '0' && digits[1] != '.' {
		return false // 012345678901 is an account, not a number
	}
	if strings.ContainsAny(text, "xXoObB_nNiI") {
		return false
	}
	_, err := strconv.ParseFloat(text, 64)
	return err == nil && json.Valid([]byte(text))
}

// splitAttribute turns "Resource.Attribute" into the list of two that Fn::GetAtt takes. Text without a dot stays as it is
// and is refused where the function is evaluated.
func splitAttribute(n *Node) *Node {
	resource, attribute, found := strings.Cut(n.Text, ".")
	if !found {
		return n
	}
	return &Node{Kind: List, Line: n.Line, Column: n.Column, Items: []*Node{
		{Kind: String, Text: resource, Line: n.Line, Column: n.Column},
		{Kind: String, Text: attribute, Line: n.Line, Column: n.Column},
	}}
}
