package awsapi

import "fmt"

// Error is an answer of an AWS service that is not a success. Handlers return it; wire writes it in the protocol of
// the service. Any other error becomes an internal error whose text stays in the log.
type Error struct {
	Code       string         // as on the wire: "InvalidVpcID.NotFound"
	Message    string         // for the user
	HTTPStatus int            // 0: what the model says for the code, else 400
	Fields     map[string]any // further members of the error's shape (JSON services)
	Err        error          // the cause, for the log only
}

// NewError returns an error of that code.
func NewError(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Error returns the code, the text and the cause.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Code + ": " + e.Message + ": " + e.Err.Error()
	}
	return e.Code + ": " + e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// IsSenderFault reports whether the sender is to blame, for an error of that HTTP status.
func IsSenderFault(status int) bool { return status < 500 }
