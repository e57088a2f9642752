package logs

import (
	"errors"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/logsapi"
	"github.com/neargate/neargate/internal/logstore"
)

func invalid(format string, args ...any) error {
	return awsapi.NewError(logsapi.ErrInvalidParameterException, format, args...)
}

// unsupported refuses a parameter that would be accepted without any effect.
func unsupported(parameter string) error {
	return invalid("Neargate does not support the parameter %s. Leave it out.", parameter)
}

func errNoGroup() error {
	return awsapi.NewError(logsapi.ErrResourceNotFoundException, "The specified log group does not exist.")
}

// storeError translates an error of logstore.
func storeError(source string, err error) error {
	var overlap *logstore.OverlapError
	switch {
	case errors.As(err, &overlap):
		token := logstore.Token(source, overlap.At, overlap.At)
		return &awsapi.Error{
			Code:    logsapi.ErrInvalidSequenceTokenException,
			Message: "The given sequenceToken is invalid. The next expected sequenceToken is: " + token,
			Fields:  map[string]any{"expectedSequenceToken": token}, Err: err,
		}
	case errors.Is(err, logstore.ErrClosed):
		return &awsapi.Error{Code: logsapi.ErrServiceUnavailableException, Message: "The service is shutting down.", Err: err}
	}
	return err
}
