package iam

import (
	"context"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/iamapi"
	"github.com/neargate/neargate/internal/iam"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// GetUser describes the administrator, who is the only user there is.
func (s *Server) GetUser(ctx context.Context, in *iamapi.GetUserInput) (*iamapi.GetUserOutput, error) {
	arn := model.ARN{Service: "iam", Account: s.scope.Account, Resource: "user/" + iam.AdminUser}.String()
	if caller := awsapi.RequestFrom(ctx).Principal; in.UserName == nil && caller != arn {
		return nil, awsapi.NewError("ValidationError", "Must specify userName when calling with non-User credentials")
	}
	if name := awsapi.Or(in.UserName, iam.AdminUser); name != iam.AdminUser {
		return nil, noSuchEntity("The user with name %s cannot be found.", name)
	}
	return &iamapi.GetUserOutput{User: &iamapi.User{
		Arn: awsapi.Ptr(arn), UserName: awsapi.Ptr(iam.AdminUser), UserId: awsapi.Ptr(iam.AdminUserID(s.scope.Account)), Path: awsapi.Ptr("/"), CreateDate: awsapi.Ptr(s.started),
	}}, nil
}

// linkedRole describes the role of a service.
type linkedRole struct{ service, name string }

// linkedRoles are the services whose roles stacks create.
var linkedRoles = []linkedRole{
	{service: "ecs.amazonaws.com", name: "AWSServiceRoleForECS"},
	{service: "elasticloadbalancing.amazonaws.com", name: "AWSServiceRoleForElasticLoadBalancing"},
	{service: "ecs.application-autoscaling.amazonaws.com", name: "AWSServiceRoleForApplicationAutoScaling_ECSService"},
}

// CreateServiceLinkedRole makes the role of an AWS service. Neargate's services need none, so it has no policies.
func (s *Server) CreateServiceLinkedRole(ctx context.Context, in *iamapi.CreateServiceLinkedRoleInput) (*iamapi.CreateServiceLinkedRoleOutput, error) {
	service := awsapi.Val(in.AWSServiceName)
	var linked *linkedRole
	for i := range linkedRoles {
		if linkedRoles[i].service == service {
			linked = &linkedRoles[i]
		}
	}
	if linked == nil {
		return nil, awsapi.NewError(iamapi.ErrInvalidInput, "Neargate has no service-linked role for %s (AWSServiceName).", service)
	}
	if in.CustomSuffix != nil {
		return nil, awsapi.NewError(iamapi.ErrInvalidInput, "Custom suffix is not allowed for %s", service)
	}
	rolePath := "/aws-service-role/" + service + "/"
	role := &model.Role{
		Meta: model.Meta{CreatedAt: s.clock.Now()}, Name: linked.name, ID: "AROA" + iam.Identifier(identifierExtra), ARN: s.scope.RoleARN(rolePath, linked.name), Path: rolePath,
		Description: awsapi.Val(in.Description), MaxSession: defaultSession, ServiceLinked: service,
		TrustPolicy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":"sts:AssumeRole"}]}`,
	}
	err := s.update(ctx, func(tx *store.Txn) error {
		for other := range s.tables.Roles.List(tx) {
			if strings.EqualFold(other.Name, role.Name) {
				return awsapi.NewError(iamapi.ErrInvalidInput, "Service role name %s has been taken in this account, please try a different suffix.", role.Name)
			}
		}
		s.tables.Roles.Put(tx, role)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &iamapi.CreateServiceLinkedRoleOutput{Role: roleView(role)}, nil
}
