package wire

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/wire/codec"
)

// authProblem is a reason why a caller is not accepted.
type authProblem int

const (
	missingSignature authProblem = iota
	malformedSignature
	unknownKey
	expiredToken
	wrongSignature
	expiredSignature
	wrongScope
)

const (
	invalidToken = "The security token included in the request is invalid."
	notMatching  = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
	tokenExpired = "The security token included in the request is expired"
)

// authWording returns the error for a problem as services of the protocol word it. detail replaces the text if it is set.
func authWording(c *call, problem authProblem, detail string) *awsapi.Error {
	table := queryAuth
	switch c.protocol.(type) {
	case jsonProtocol:
		table = jsonAuth
	case ec2Protocol:
		table = ec2Auth
	}
	e := table(problem)
	if detail != "" {
		e.Message = detail
	}
	return &e
}

func jsonAuth(problem authProblem) awsapi.Error {
	e := awsapi.Error{HTTPStatus: http.StatusBadRequest}
	switch problem {
	case missingSignature:
		e.Code, e.Message = "MissingAuthenticationTokenException", "Missing Authentication Token"
		e.HTTPStatus = http.StatusForbidden
	case malformedSignature:
		e.Code = "IncompleteSignatureException"
	case unknownKey:
		e.Code, e.Message = "UnrecognizedClientException", invalidToken
	case expiredToken:
		e.Code, e.Message = "ExpiredTokenException", tokenExpired
	case expiredSignature:
		e.Code, e.Message = "InvalidSignatureException", "Signature expired: the date of the request is too far from the current time."
	default:
		e.Code, e.Message = "InvalidSignatureException", notMatching
		e.HTTPStatus = http.StatusForbidden
	}
	return e
}

func queryAuth(problem authProblem) awsapi.Error {
	e := awsapi.Error{HTTPStatus: http.StatusForbidden}
	switch problem {
	case missingSignature:
		e.Code, e.Message = "MissingAuthenticationToken", "Request is missing Authentication Token"
	case malformedSignature:
		e.Code, e.HTTPStatus = "IncompleteSignature", http.StatusBadRequest
	case unknownKey:
		e.Code, e.Message = "InvalidClientTokenId", invalidToken
	case expiredToken:
		e.Code, e.Message = "ExpiredToken", tokenExpired
	case expiredSignature:
		e.Code, e.Message = "SignatureDoesNotMatch", "Signature expired: the date of the request is too far from the current time."
	default:
		e.Code, e.Message = "SignatureDoesNotMatch", notMatching
	}
	return e
}

func ec2Auth(problem authProblem) awsapi.Error {
	e := awsapi.Error{Code: "AuthFailure", HTTPStatus: http.StatusUnauthorized, Message: "AWS was not able to validate the provided access credentials"}
	switch problem {
	case missingSignature:
		e = awsapi.Error{Code: "MissingAuthenticationToken", HTTPStatus: http.StatusForbidden, Message: "Request is missing Authentication Token"}
	case malformedSignature:
		e.Code, e.HTTPStatus = "IncompleteSignature", http.StatusBadRequest
	case expiredToken, expiredSignature:
		e.Code, e.HTTPStatus, e.Message = "RequestExpired", http.StatusBadRequest, "Request has expired."
	}
	return e
}

// unknownOperation returns the error for an operation that does not exist here. It is never a 5xx: clients would repeat
// the call for minutes.
func unknownOperation(c *call) *awsapi.Error {
	if _, isJSON := c.protocol.(jsonProtocol); isJSON {
		return &awsapi.Error{Code: "UnknownOperationException", HTTPStatus: http.StatusBadRequest,
			Message: fmt.Sprintf("The operation %s is not implemented by Neargate.", c.operation)}
	}
	if c.operation == "" {
		return &awsapi.Error{Code: "MissingAction", HTTPStatus: http.StatusBadRequest,
			Message: "The request must contain the parameter Action for a service that Neargate implements."}
	}
	return &awsapi.Error{Code: "InvalidAction", HTTPStatus: http.StatusBadRequest,
		Message: fmt.Sprintf("The action %s is not valid for this web service.", c.operation)}
}

// inputError returns the error for an input that cannot be read.
func inputError(c *call, err error) error {
	var bad *codec.InputError
	if !errors.As(err, &bad) {
		return err
	}
	switch c.protocol.(type) {
	case jsonProtocol:
		if bad.Unknown {
			return awsapi.NewError(invalidCode(c.svc.Service, c.operation), "The parameter %s is not known to Neargate.", bad.Name)
		}
		return awsapi.NewError("SerializationException", "%s: %s", bad.Name, bad.Reason)
	case ec2Protocol:
		if bad.Unknown {
			return awsapi.NewError("UnknownParameter", "The parameter %s is not recognized", bad.Name)
		}
		return awsapi.NewError("InvalidParameterValue", "Invalid value for parameter %s: %s", bad.Name, bad.Reason)
	}
	if bad.Unknown {
		return awsapi.NewError("ValidationError", "The parameter %s is not known to Neargate.", bad.Name)
	}
	return awsapi.NewError("ValidationError", "Invalid value for parameter %s: %s", bad.Name, bad.Reason)
}

// tokenError returns the error for a page token that is not ours.
func tokenError(c *call) *awsapi.Error {
	switch {
	case c.svc.Protocol == awsapi.EC2:
		return awsapi.NewError("InvalidParameterValue", "Unable to parse pagination token")
	case c.svc.Protocol == awsapi.JSON:
		return awsapi.NewError("InvalidParameterException", "Invalid token: the specified nextToken is invalid.")
	}
	return awsapi.NewError("ValidationError", "Invalid token: the specified marker or NextToken is invalid.")
}

// violationError returns the error for values that the model does not allow.
func violationError(svc *awsapi.Service, operation string, violations []awsapi.Violation) *awsapi.Error {
	if svc.Protocol == awsapi.EC2 {
		return ec2Violation(violations[0])
	}
	var b strings.Builder
	noun := "errors"
	if len(violations) == 1 {
		noun = "error"
	}
	fmt.Fprintf(&b, "%d validation %s detected: ", len(violations), noun)
	for i, v := range violations {
		if i > 0 {
			b.WriteString("; ")
		}
		value := "null"
		if v.Rule != awsapi.RuleRequired {
			value = "'" + shorten(v.Value) + "'"
		}
		fmt.Fprintf(&b, "Value %s at '%s' failed to satisfy constraint: %s", value, v.Path, v.Constraint)
	}
	return &awsapi.Error{Code: invalidCode(svc, operation), Message: b.String(), HTTPStatus: http.StatusBadRequest}
}

// invalidCode returns the code for a wrong value in services other than EC2.
func invalidCode(svc *awsapi.Service, operation string) string {
	switch {
	case svc.Name == "ecs" && strings.Contains(operation, "TaskDefinition"):
		return "ClientException"
	case svc.Protocol == awsapi.JSON:
		return "InvalidParameterException"
	}
	return "ValidationError"
}

func ec2Violation(v awsapi.Violation) *awsapi.Error {
	if v.Rule == awsapi.RuleRequired {
		return awsapi.NewError("MissingParameter", "The request must contain the parameter %s", v.Parameter)
	}
	return awsapi.NewError("InvalidParameterValue", "Value (%s) for parameter %s is invalid. %s", shorten(v.Value), v.Path, v.Constraint)
}

// shorten keeps an error readable when the wrong value is a whole document.
func shorten(value string) string {
	const most = 256
	if len(value) > most {
		return strings.ToValidUTF8(value[:most], "") + "..."
	}
	return value
}
