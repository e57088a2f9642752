package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
)

// jsonReader reads JSON into nodes and knows where it is.
type jsonReader struct {
	builder
	dec   *json.Decoder
	body  string
	lines []int // offsets at which lines start
}

// parseJSON reads a JSON template. It is not left to the YAML parser: tabs between tokens are legal here.
func parseJSON(body string) (*Node, error) {
	r := &jsonReader{dec: json.NewDecoder(strings.NewReader(body)), body: body, lines: []int{0}}
	r.dec.UseNumber()
	for i, c := range []byte(body) {
		if c == '\n' {
			r.lines = append(r.lines, i+1)
		}
	}
	n, err := r.value("", 0)
	if err != nil {
		return nil, r.wrap(err)
	}
	if _, err := r.dec.Token(); !errors.Is(err, io.EOF) {
		line, column := r.place(r.dec.InputOffset())
		return nil, &Error{Message: "Template format error: JSON not well-formed. Text follows the template.", Line: line, Column: column}
	}
	return n, nil
}

func (r *jsonReader) wrap(err error) error {
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	offset := r.dec.InputOffset()
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) && syntax.Offset > 0 {
		offset = syntax.Offset - 1
	}
	line, column := r.place(offset)
	return &Error{Message: "Template format error: JSON not well-formed.", Line: line, Column: column}
}

func (r *jsonReader) place(offset int64) (line, column int) {
	i := sort.SearchInts(r.lines, int(offset)+1) - 1
	return i + 1, int(offset) - r.lines[i] + 1
}

// next returns the place of the token that comes next.
func (r *jsonReader) next() (line, column int) {
	offset := r.dec.InputOffset()
	for int(offset) < len(r.body) && strings.IndexByte(" \t\r\n,:", r.body[offset]) >= 0 {
		offset++
	}
	return r.place(offset)
}

func (r *jsonReader) value(path string, depth int) (*Node, error) {
	line, column := r.next()
	token, err := r.dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case string:
		return r.node(String, t, line, column, depth)
	case json.Number:
		return r.node(Number, t.String(), line, column, depth)
	case bool:
		return r.node(Bool, strconv.FormatBool(t), line, column, depth)
	case nil:
		return r.node(Null, "", line, column, depth)
	case json.Delim:
		if t == '[' {
			return r.list(path, line, column, depth)
		}
		if t == '{' {
			return r.object(path, line, column, depth)
		}
	}
	return nil, &Error{Message: "Template format error: JSON not well-formed.", Path: path, Line: line, Column: column}
}

func (r *jsonReader) list(path string, line, column, depth int) (*Node, error) {
	n, err := r.node(List, "", line, column, depth)
	if err != nil {
		return nil, err
	}
	for i := 0; r.dec.More(); i++ {
		item, err := r.value(join(path, strconv.Itoa(i)), depth+1)
		if err != nil {
			return nil, err
		}
		n.Items = append(n.Items, item)
	}
	_, err = r.dec.Token()
	return n, err
}

func (r *jsonReader) object(path string, line, column, depth int) (*Node, error) {
	n, err := r.node(Map, "", line, column, depth)
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool)
	for r.dec.More() {
		kl, kc := r.next()
		token, err := r.dec.Token()
		if err != nil {
			return nil, err
		}
		key, ok := token.(string)
		if !ok {
			return nil, &Error{Message: "Template format error: JSON not well-formed.", Path: path, Line: kl, Column: kc}
		}
		if seen[key] {
			return nil, &Error{Message: fmt.Sprintf("Template format error: duplicate key %q", key), Path: path, Line: kl, Column: kc}
		}
		seen[key] = true
		value, err := r.value(join(path, key), depth+1)
		if err != nil {
			return nil, err
		}
		if key == "Fn::GetAtt" && value.Kind == String {
			// "Fn::GetAtt": "A.B" is YAML's long form, and accepted in JSON too.
			value = splitAttribute(value)
		}
		n.Fields = append(n.Fields, Field{Key: key, Value: value, Line: kl, Column: kc})
	}
	_, err = r.dec.Token()
	return n, err
}
