package elbv2

import (
	"reflect"
	"slices"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/elbv2api"
)

// errValidation is the query protocol's general code for a bad value; the models do not list it.
const errValidation = "ValidationError"

func invalid(format string, args ...any) error {
	return awsapi.NewError(errValidation, format, args...)
}

// unsupported is the answer to what AWS has and Neargate has not: it names the thing and says that leaving it out helps.
func unsupported(format string, args ...any) error {
	return awsapi.NewError(elbv2api.ErrInvalidConfigurationRequest, "Neargate does not support "+format, args...)
}

func loadBalancerNotFound(id string) error {
	return awsapi.NewError(elbv2api.ErrLoadBalancerNotFound, "Load balancers '[%s]' not found", id)
}

func targetGroupNotFound(id string) error {
	return awsapi.NewError(elbv2api.ErrTargetGroupNotFound, "Target groups '%s' not found", id)
}

func listenerNotFound(arn string) error {
	return awsapi.NewError(elbv2api.ErrListenerNotFound, "One or more listeners not found: '%s'", arn)
}

func ruleNotFound(arn string) error {
	return awsapi.NewError(elbv2api.ErrRuleNotFound, "One or more rules not found: '%s'", arn)
}

// only refuses an input in which any parameter is set that is not acted on. supported are the fields that are.
func only(in any, supported ...string) error {
	v := reflect.ValueOf(in).Elem()
	for i := range v.NumField() {
		name, field := v.Type().Field(i).Name, v.Field(i)
		if isUnset(field) || slices.Contains(supported, name) {
			continue
		}
		return unsupported("the parameter %s of %s. Leave it out.", name, strings.TrimSuffix(v.Type().Name(), "Input"))
	}
	return nil
}

// isUnset reports whether a field says nothing: absent, empty, or no.
func isUnset(field reflect.Value) bool {
	switch field.Kind() {
	case reflect.Slice:
		return field.Len() == 0
	case reflect.Pointer:
		if field.IsNil() {
			return true
		}
		switch e := field.Elem(); e.Kind() {
		case reflect.Bool, reflect.String:
			return e.IsZero()
		}
		return false
	}
	return field.IsZero()
}
