package resource

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/fault"
)

// Error is a failed call of another service, with the service's name for the reason text.
type Error struct {
	Service string
	Code    string
	Message string
	Status  int
	Err     error
}

// Error returns the text in the form of CloudFormation's status reasons.
func (e *Error) Error() string {
	return fmt.Sprintf("Resource handler returned message: \"%s (Service: %s, Status Code: %d, Error Code: %s)\" (HandlerErrorCode: %s)",
		e.Message, e.Service, e.Status, e.Code, handlerCode(e.Code))
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// handlerCode is the class that CloudFormation puts an error in.
func handlerCode(code string) string {
	switch {
	case isNotFound(code):
		return "NotFound"
	case strings.Contains(code, "AlreadyExists"), strings.HasPrefix(code, "Duplicate"), strings.HasSuffix(code, ".Duplicate"):
		return "AlreadyExists"
	case strings.Contains(code, "AccessDenied"), strings.Contains(code, "Unauthorized"):
		return "AccessDenied"
	case strings.Contains(code, "Limit"):
		return "ServiceLimitExceeded"
	case strings.Contains(code, "Invalid"), strings.Contains(code, "Validation"), strings.Contains(code, "Malformed"), strings.Contains(code, "Missing"):
		return "InvalidRequest"
	}
	return "GeneralServiceException"
}

func isNotFound(code string) bool {
	return strings.Contains(code, "NotFound") || code == "NoSuchEntity" || code == "Gateway.NotAttached" || code == "RepositoryPolicyNotFoundException"
}

// invoke checks an input against the service's model, as the edge does for a client, and calls the operation.
func invoke[I, O any](ctx context.Context, d *awsapi.Service, fn func(context.Context, *I) (*O, error), in *I) (*O, error) {
	name := strings.TrimSuffix(reflect.TypeFor[I]().Name(), "Input")
	if op := d.Operation(name); op != nil {
		if v := op.Validate(in); len(v) > 0 {
			return nil, &Error{Service: d.ID, Code: "ValidationException", Status: 400,
				Message: fmt.Sprintf("Value at '%s' failed to satisfy constraint: %s", v[0].Path, v[0].Constraint)}
		}
	}
	out, err := fn(ctx, in)
	if err == nil {
		return out, nil
	}
	return out, wrap(d, err)
}

func wrap(d *awsapi.Service, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	e := &Error{Service: d.ID, Code: "InternalFailure", Message: "An internal error occurred", Status: 500, Err: err}
	var aws *awsapi.Error
	if errors.As(err, &aws) {
		e.Code, e.Message, e.Status = aws.Code, aws.Message, aws.HTTPStatus
		if e.Status == 0 {
			e.Status = d.ErrorStatus(aws.Code)
		}
		return e
	}
	if f, ok := fault.As(err); ok && f.Kind != fault.Internal {
		e.Code, e.Message, e.Status = f.Kind.String(), f.Message, 400
		if f.Kind == fault.NotFound {
			e.Code = "NotFound"
		}
	}
	return e
}

// codeOf returns the code of a failed call, "" if there is none.
func codeOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// IsNotFound reports whether a call failed because the thing does not exist.
func IsNotFound(err error) bool { return err != nil && isNotFound(codeOf(err)) }

// isOurs reports whether something that was found by its name can be what this step made, and is not another's that had
// the name before.
func (r *Request) isOurs(created *time.Time) bool {
	return created == nil || !created.Before(r.Since.Truncate(time.Second))
}

// absent drops an error that says "not found".
func absent(err error) error {
	if IsNotFound(err) {
		return nil
	}
	return err
}

// inUse are the codes that say that something else is still there that soon will not be.
var inUse = []string{
	"DependencyViolation", "InvalidIPAddress.InUse", "InvalidNetworkInterface.InUse", "InvalidParameterValue.InUse", "AuthFailure", "ResourceInUse",
	"ResourceInUseException", "DeleteConflict", "ClusterContainsTasksException", "ClusterContainsServicesException", "InvalidAddress.InUse",
	"OperationAbortedException", "OperationNotPermitted.InUse", "UpdateInProgressException", "InvalidAddress.Locked",
}

// IsInUse reports whether a delete may succeed later.
func IsInUse(err error) bool { return slices.Contains(inUse, codeOf(err)) }
