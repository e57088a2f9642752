// Package fault holds the error kinds that are used everywhere inside Neargate.
//
// A fault says what kind of thing went wrong (not found, exists, invalid, in use, denied, ...) and about which noun,
// in words a user can act on. It knows no AWS codes: internal/api/<service>/errors.go maps kind and noun to the code
// of its service, once, at the edge. Start at [Fault].
package fault

import (
	"errors"
	"fmt"
)

// Kind is the class of a fault.
type Kind int

// The kinds. Internal is the zero value, so that an unset kind is never shown to a user as something milder.
const (
	Internal    Kind = iota // a defect or a broken host: 5xx, the cause is logged and not shown
	NotFound                // the named thing does not exist
	Exists                  // the named thing exists already
	Invalid                 // a field has a wrong value
	Missing                 // a required field is absent
	InUse                   // something else depends on it
	Denied                  // the caller may not
	Limit                   // a quota is used up
	State                   // the thing is in a state that does not allow this
	Unsupported             // known to AWS, not to Neargate
	Conflict                // same token, other parameters; or a lost race that the caller may repeat
)

var kindNames = map[Kind]string{
	Internal: "internal", NotFound: "not found", Exists: "exists", Invalid: "invalid", Missing: "missing", InUse: "in use",
	Denied: "denied", Limit: "limit", State: "state", Unsupported: "unsupported", Conflict: "conflict",
}

// String returns the kind's name.
func (k Kind) String() string { return kindNames[k] }

// Fault is an error with a kind, the noun it is about ("vpc", "cluster", "target group") and that noun's
// identifier or the field's name. Message is for the user; Err is the cause and goes to the log only.
type Fault struct {
	Kind    Kind
	Noun    string
	ID      string // identifier of the thing, or the name of the field
	Message string
	Err     error
}

// Error returns the text for the user, and the cause behind it.
func (f *Fault) Error() string {
	if f.Err != nil {
		return f.Message + ": " + f.Err.Error()
	}
	return f.Message
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

// NewNotFound reports that the noun with that identifier does not exist.
func NewNotFound(noun, id string) *Fault {
	return &Fault{Kind: NotFound, Noun: noun, ID: id, Message: fmt.Sprintf("The %s '%s' does not exist", noun, id)}
}

// NewExists reports that the noun exists already.
func NewExists(noun, id string) *Fault {
	return &Fault{Kind: Exists, Noun: noun, ID: id, Message: fmt.Sprintf("The %s '%s' already exists", noun, id)}
}

// NewInvalid reports a wrong value of a field.
func NewInvalid(field, format string, args ...any) *Fault {
	return &Fault{Kind: Invalid, ID: field, Message: fmt.Sprintf(format, args...)}
}

// New returns a fault of any kind.
func New(kind Kind, noun, id, format string, args ...any) *Fault {
	return &Fault{Kind: kind, Noun: noun, ID: id, Message: fmt.Sprintf(format, args...)}
}

// KindOf returns the kind of the first fault in err's chain, Internal if there is none.
func KindOf(err error) Kind {
	if f, ok := As(err); ok {
		return f.Kind
	}
	return Internal
}

// As returns the first fault in err's chain.
func As(err error) (*Fault, bool) {
	var f *Fault
	ok := errors.As(err, &f)
	return f, ok
}

// IsNotFound reports whether err says that something does not exist.
func IsNotFound(err error) bool { return KindOf(err) == NotFound }
