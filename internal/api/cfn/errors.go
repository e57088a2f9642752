package cfn

import (
	"errors"
	"fmt"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/cfnapi"
	"github.com/neargate/neargate/internal/stack"
)

// codeValidation is CloudFormation's code for nearly everything that a request can get wrong.
const codeValidation = "ValidationError"

func invalid(format string, args ...any) error {
	return awsapi.NewError(codeValidation, format, args...)
}

// unsupported refuses a setting that nothing here acts on.
func unsupported(field, why string) error {
	return invalid("%s is not supported: %s", field, why)
}

func noStack(nameOrID string) error {
	return invalid("Stack with id %s does not exist", nameOrID)
}

func noChangeSet(nameOrID string) error {
	return awsapi.NewError(cfnapi.ErrChangeSetNotFound, "ChangeSet [%s] does not exist", nameOrID)
}

// bad turns an error of the engine into a validation error; others pass.
func bad(err error) error {
	var e *stack.Error
	if errors.As(err, &e) {
		return &awsapi.Error{Code: codeValidation, Message: e.Error(), Err: err}
	}
	return err
}

// badToken turns a page token that was never given out into CloudFormation's error.
func badToken(err error) error {
	if errors.Is(err, awsapi.ErrToken) {
		return invalid("The NextToken is not valid")
	}
	return fmt.Errorf("cut page: %w", err)
}
