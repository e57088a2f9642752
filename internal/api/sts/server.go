// Package sts implements AWS STS: who the caller is, and temporary credentials of roles.
//
// A role's trust policy is evaluated when it is assumed, by principal and external identifier; what the credentials may then do is
// not limited yet. Credentials are issued by internal/iam. Start at [Server].
package sts

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/stsapi"
	"github.com/neargate/neargate/internal/fault"
	"github.com/neargate/neargate/internal/iam"
	"github.com/neargate/neargate/internal/model"
)

// Server implements [stsapi.API].
type Server struct {
	keys *iam.Keyring
}

var _ stsapi.API = (*Server)(nil)

// New returns a Server.
func New(keys *iam.Keyring) *Server { return &Server{keys: keys} }

// Durations in seconds.
const (
	defaultRoleSession = 3600
	maxChained         = 3600
	defaultUserSession = 43200
)

func accessDenied(format string, args ...any) error {
	err := awsapi.NewError("AccessDenied", format, args...)
	err.HTTPStatus = http.StatusForbidden
	return err
}

func invalid(format string, args ...any) error {
	return awsapi.NewError("ValidationError", format, args...)
}

// isSession reports whether a principal is a session of a role.
func isSession(principal string) bool { return strings.Contains(principal, ":assumed-role/") }

// GetCallerIdentity tells who calls.
func (s *Server) GetCallerIdentity(ctx context.Context, _ *stsapi.GetCallerIdentityInput) (*stsapi.GetCallerIdentityOutput, error) {
	r := awsapi.RequestFrom(ctx)
	return &stsapi.GetCallerIdentityOutput{Account: awsapi.Ptr(r.Account), Arn: awsapi.Ptr(r.Principal), UserId: awsapi.Ptr(s.userID(r))}, nil
}

// userID returns the identifier of the caller: of a session, the role's and the session's name.
func (s *Server) userID(r awsapi.Request) string {
	session, ok := s.keys.Tables.Sessions.Get(s.keys.DB.View(), r.AccessKey)
	switch {
	case ok && session.RoleName != "":
		return session.RoleID + ":" + session.Name
	case r.Principal == s.keys.AdminARN():
		return iam.AdminUserID(s.keys.Scope.Account)
	}
	return r.Account
}

// AssumeRole issues credentials of a role.
func (s *Server) AssumeRole(ctx context.Context, in *stsapi.AssumeRoleInput) (*stsapi.AssumeRoleOutput, error) {
	for _, p := range []struct {
		name string
		set  bool
	}{
		{name: "Policy", set: in.Policy != nil}, {name: "PolicyArns", set: len(in.PolicyArns) > 0}, {name: "Tags", set: len(in.Tags) > 0},
		{name: "TransitiveTagKeys", set: len(in.TransitiveTagKeys) > 0}, {name: "SerialNumber", set: in.SerialNumber != nil}, {name: "TokenCode", set: in.TokenCode != nil},
		{name: "SourceIdentity", set: in.SourceIdentity != nil}, {name: "ProvidedContexts", set: len(in.ProvidedContexts) > 0},
	} {
		if p.set {
			return nil, invalid("Neargate does not support the parameter %s of AssumeRole. Leave it out.", p.name)
		}
	}
	r := awsapi.RequestFrom(ctx)
	role, err := s.assumable(r, awsapi.Val(in.RoleArn), awsapi.Val(in.ExternalId))
	if err != nil {
		return nil, err
	}
	seconds := int(awsapi.Or(in.DurationSeconds, defaultRoleSession))
	switch {
	case seconds > role.MaxSession:
		return nil, invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	case isSession(r.Principal) && seconds > maxChained:
		return nil, invalid("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	}
	name := awsapi.Val(in.RoleSessionName)
	session, err := s.keys.Issue(ctx, iam.Grant{Role: role.Name, Session: name, Lifetime: time.Duration(seconds) * time.Second})
	if fault.IsNotFound(err) { // deleted this very moment
		return nil, denied(r, awsapi.Val(in.RoleArn))
	} else if err != nil {
		return nil, err
	}
	return &stsapi.AssumeRoleOutput{
		AssumedRoleUser: &stsapi.AssumedRoleUser{Arn: awsapi.Ptr(session.Principal), AssumedRoleId: awsapi.Ptr(role.ID + ":" + name)},
		Credentials:     credentials(session),
	}, nil
}

func denied(r awsapi.Request, role string) error {
	return accessDenied("User: %s is not authorized to perform: sts:AssumeRole on resource: %s", r.Principal, role)
}

// assumable returns a role that exists and trusts the caller; otherwise AWS does not tell which of the two is wrong.
func (s *Server) assumable(r awsapi.Request, arn, externalID string) (*model.Role, error) {
	parsed, ok := model.ParseARN(arn)
	if !ok || parsed.Service != "iam" || !strings.HasPrefix(parsed.Resource, "role/") {
		return nil, invalid("%s is invalid", arn)
	}
	role, ok := s.keys.Tables.Roles.FirstBy(s.keys.DB.View(), "arn", arn)
	if !ok {
		return nil, denied(r, arn)
	}
	policy, err := iam.ParsePolicy(iam.TrustPolicy, role.TrustPolicy)
	if err != nil {
		return nil, err
	}
	if !policy.Trusts(r.Principal, s.keys.Scope.Account, externalID) {
		return nil, denied(r, arn)
	}
	return role, nil
}

func credentials(s *model.Session) *stsapi.Credentials {
	return &stsapi.Credentials{
		AccessKeyId: awsapi.Ptr(s.AccessKeyID), SecretAccessKey: awsapi.Ptr(s.Secret), SessionToken: awsapi.Ptr(s.Token), Expiration: awsapi.Ptr(s.ExpiresAt),
	}
}

// GetSessionToken issues temporary credentials of the caller itself.
func (s *Server) GetSessionToken(ctx context.Context, in *stsapi.GetSessionTokenInput) (*stsapi.GetSessionTokenOutput, error) {
	if in.SerialNumber != nil || in.TokenCode != nil {
		return nil, invalid("Neargate does not support the parameters SerialNumber and TokenCode of GetSessionToken. Leave them out.")
	}
	r := awsapi.RequestFrom(ctx)
	if strings.HasPrefix(r.AccessKey, "ASIA") {
		return nil, accessDenied("Cannot call GetSessionToken with session credentials")
	}
	session, err := s.keys.Issue(ctx, iam.Grant{Principal: r.Principal, Lifetime: time.Duration(awsapi.Or(in.DurationSeconds, defaultUserSession)) * time.Second})
	if err != nil {
		return nil, err
	}
	return &stsapi.GetSessionTokenOutput{Credentials: credentials(session)}, nil
}

// GetAccessKeyInfo tells the account of an access key.
func (s *Server) GetAccessKeyInfo(ctx context.Context, in *stsapi.GetAccessKeyInfoInput) (*stsapi.GetAccessKeyInfoOutput, error) {
	c, err := s.keys.Credential(ctx, awsapi.Val(in.AccessKeyId))
	if err != nil {
		return nil, invalid("%s is not a valid access key.", awsapi.Val(in.AccessKeyId))
	}
	return &stsapi.GetAccessKeyInfoOutput{Account: awsapi.Ptr(c.Account)}, nil
}
