package stack

import (
	"fmt"
	"strings"
)

// Error is something wrong with a template or its parameters. Message is AWS's wording where that is known; Line and
// Column are zero where no one place is to blame.
type Error struct {
	Message string
	Path    string // as "Resources/Web/Properties/Port"
	Line    int
	Column  int
}

// Error returns the message and where it happened.
func (e *Error) Error() string {
	var where []string
	if e.Line > 0 {
		where = append(where, fmt.Sprintf("line %d, column %d", e.Line, e.Column))
	}
	if e.Path != "" {
		where = append(where, "at "+e.Path)
	}
	if len(where) == 0 {
		return e.Message
	}
	return e.Message + " (" + strings.Join(where, ", ") + ")"
}

// errorf returns an error about a node.
func errorf(n *Node, path string, format string, args ...any) *Error {
	e := &Error{Message: fmt.Sprintf(format, args...), Path: path}
	if n != nil {
		e.Line, e.Column = n.Line, n.Column
	}
	return e
}

// join extends a path.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "/" + key
}
