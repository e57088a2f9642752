package ec2

import (
	"reflect"
	"slices"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
)

// notFound returns the error for an identifier that does not exist, with the code and the word of its noun.
// The texts are AWS's as far as aws-facts 2.12 knows them.
func notFound(code, noun, id string) error {
	return awsapi.NewError(code, "The %s ID '%s' does not exist", noun, id)
}

func vpcNotFound(id string) error    { return notFound("InvalidVpcID.NotFound", "vpc", id) }
func subnetNotFound(id string) error { return notFound("InvalidSubnetID.NotFound", "subnet", id) }
func routeTableNotFound(id string) error {
	return notFound("InvalidRouteTableID.NotFound", "routeTable", id)
}
func gatewayNotFound(id string) error {
	return notFound("InvalidInternetGatewayID.NotFound", "internetGateway", id)
}
func associationNotFound(id string) error {
	return notFound("InvalidAssociationID.NotFound", "association", id)
}
func allocationNotFound(id string) error {
	return notFound("InvalidAllocationID.NotFound", "allocation", id)
}
func interfaceNotFound(id string) error {
	return notFound("InvalidNetworkInterfaceID.NotFound", "networkInterface", id)
}
func natNotFound(id string) error {
	return awsapi.NewError("NatGatewayNotFound", "NAT gateway %s was not found", id)
}
func groupNotFound(id string) error {
	return awsapi.NewError("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
}

// ruleNotFound has the code that Terraform's provider expects.
func ruleNotFound(id string) error {
	return awsapi.NewError("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '%s' does not exist", id)
}

func inUse(noun, id string) error {
	return awsapi.NewError("DependencyViolation", "The %s '%s' has dependencies and cannot be deleted.", noun, id)
}

func invalidValue(parameter, value, why string) error {
	return awsapi.NewError("InvalidParameterValue", "Value (%s) for parameter %s is invalid. %s", value, parameter, why)
}

func missing(parameter string) error {
	return awsapi.NewError("MissingParameter", "The request must contain the parameter %s", parameter)
}

// sameToken refuses a client token that comes again with other parameters. With the same ones the caller did not hear
// the first answer, and gets it once more.
func sameToken(token string, same bool) error {
	if same {
		return nil
	}
	return awsapi.NewError("IdempotentParameterMismatch", "The client token %s was used with other parameters", token)
}

// only refuses an input in which any parameter is set that is not acted on. supported are the names of the fields that
// the operation acts on; DryRun, which the edge handles, and false are always fine.
func only(in any, supported ...string) error {
	v := reflect.ValueOf(in).Elem()
	for i := range v.NumField() {
		name, field := v.Type().Field(i).Name, v.Field(i)
		if field.IsZero() || name == "DryRun" || slices.Contains(supported, name) || isFalse(field) {
			continue
		}
		if field.Kind() == reflect.Slice && field.Len() == 0 {
			continue
		}
		operation := strings.TrimSuffix(v.Type().Name(), "Input")
		return awsapi.NewError("UnsupportedOperation", "Neargate does not support the parameter %s of %s. Leave it out.", name, operation)
	}
	return nil
}

// isFalse reports whether a field says no: a pointer to false, or an attribute whose value is false.
func isFalse(field reflect.Value) bool {
	if field.Kind() != reflect.Pointer || field.IsNil() {
		return false
	}
	switch e := field.Elem(); e.Kind() {
	case reflect.Bool:
		return !e.Bool()
	case reflect.Struct:
		value := e.FieldByName("Value")
		return value.IsValid() && isFalse(value)
	}
	return false
}
