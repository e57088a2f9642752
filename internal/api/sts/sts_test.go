package sts

import (
	"strings"
	"testing"
	"time"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/stsapi"
	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/iam"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
	"github.com/neargate/neargate/internal/store/storetest"
)

var testTime = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

func newServer(t *testing.T) *Server {
	t.Helper()
	db, tables := storetest.New(t)
	keys := &iam.Keyring{DB: db, Tables: tables, Clock: clock.Fixed(testTime), Scope: model.Scope{Account: "000000000000", Region: "us-east-1"},
		Admin: iam.Admin{AccessKeyID: "test", Secret: "test"}}
	trust := func(principal string) string {
		return `{"Statement":[{"Effect":"Allow","Principal":` + principal + `,"Action":"sts:AssumeRole"}]}`
	}
	if err := db.Update(t.Context(), func(tx *store.Txn) error {
		for name, policy := range map[string]string{"deploy": trust(`{"AWS":"arn:aws:iam::000000000000:root"}`), "task": trust(`{"Service":"ecs-tasks.amazonaws.com"}`)} {
			tables.Roles.Put(tx, &model.Role{Name: name, ID: "AROA" + name, ARN: keys.Scope.RoleARN("/", name), Path: "/", TrustPolicy: policy, MaxSession: 7200})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return New(keys)
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestAssumeRole(t *testing.T) {
	s := newServer(t)
	const admin = "arn:aws:iam::000000000000:user/admin"
	ctx := awsapi.WithRequest(t.Context(), awsapi.Request{Principal: admin, Account: "000000000000", AccessKey: "test"})
	arn := "arn:aws:iam::000000000000:role/deploy"
	out, err := s.AssumeRole(ctx, &stsapi.AssumeRoleInput{RoleArn: &arn, RoleSessionName: awsapi.Ptr("me")})
	if err != nil {
		t.Fatal(err)
	}
	if *out.AssumedRoleUser.Arn != "arn:aws:sts::000000000000:assumed-role/deploy/me" || !out.Credentials.Expiration.Equal(testTime.Add(time.Hour)) {
		t.Errorf("%+v", out)
	}
	c, err := s.keys.Credential(ctx, *out.Credentials.AccessKeyId)
	if err != nil || c.SessionToken != *out.Credentials.SessionToken || c.Secret != *out.Credentials.SecretAccessKey {
		t.Errorf("the edge would not accept them: %+v %v", c, err)
	}
	session := awsapi.WithRequest(t.Context(), awsapi.Request{Principal: c.Principal, Account: "000000000000", AccessKey: *out.Credentials.AccessKeyId})
	who, err := s.GetCallerIdentity(session, &stsapi.GetCallerIdentityInput{})
	if err != nil || *who.Arn != c.Principal || *who.UserId != "AROAdeploy:me" || *who.Account != "000000000000" {
		t.Errorf("session: %+v %v", who, err)
	}
	if who, err := s.GetCallerIdentity(ctx, &stsapi.GetCallerIdentityInput{}); err != nil || *who.Arn != admin || *who.UserId != "AIDAADMIN000000000000" {
		t.Errorf("administrator: %+v %v", who, err)
	}
	_, err = s.AssumeRole(session, &stsapi.AssumeRoleInput{RoleArn: &arn, RoleSessionName: awsapi.Ptr("me"), DurationSeconds: awsapi.Ptr(int32(7200))})
	wantError(t, err, "ValidationError: The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	_, err = s.AssumeRole(ctx, &stsapi.AssumeRoleInput{RoleArn: &arn, RoleSessionName: awsapi.Ptr("me"), DurationSeconds: awsapi.Ptr(int32(7201))})
	wantError(t, err, "ValidationError: The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	for _, other := range []string{"arn:aws:iam::000000000000:role/task", "arn:aws:iam::000000000000:role/none", "arn:aws:iam::000000000000:role/path/deploy"} {
		_, err = s.AssumeRole(ctx, &stsapi.AssumeRoleInput{RoleArn: &other, RoleSessionName: awsapi.Ptr("me")})
		wantError(t, err, "AccessDenied: User: "+admin+" is not authorized to perform: sts:AssumeRole on resource: "+other)
	}
	_, err = s.AssumeRole(ctx, &stsapi.AssumeRoleInput{RoleArn: awsapi.Ptr("role/deploy-and-more"), RoleSessionName: awsapi.Ptr("me")})
	wantError(t, err, "ValidationError: role/deploy-and-more is invalid")
	_, err = s.AssumeRole(ctx, &stsapi.AssumeRoleInput{RoleArn: &arn, RoleSessionName: awsapi.Ptr("me"), Policy: awsapi.Ptr("{}")})
	wantError(t, err, "ValidationError: Neargate does not support the parameter Policy of AssumeRole.")
}

func TestGetSessionToken(t *testing.T) {
	s := newServer(t)
	ctx := awsapi.WithRequest(t.Context(), awsapi.Request{Principal: s.keys.AdminARN(), Account: "000000000000", AccessKey: "test"})
	out, err := s.GetSessionToken(ctx, &stsapi.GetSessionTokenInput{})
	if err != nil || !out.Credentials.Expiration.Equal(testTime.Add(12*time.Hour)) {
		t.Fatalf("%+v %v", out, err)
	}
	c, err := s.keys.Credential(ctx, *out.Credentials.AccessKeyId)
	if err != nil || c.Principal != s.keys.AdminARN() {
		t.Errorf("%+v %v", c, err)
	}
	again := awsapi.WithRequest(t.Context(), awsapi.Request{Principal: c.Principal, AccessKey: *out.Credentials.AccessKeyId})
	_, err = s.GetSessionToken(again, &stsapi.GetSessionTokenInput{})
	wantError(t, err, "AccessDenied: Cannot call GetSessionToken with session credentials")
	info, err := s.GetAccessKeyInfo(ctx, &stsapi.GetAccessKeyInfoInput{AccessKeyId: out.Credentials.AccessKeyId})
	if err != nil || *info.Account != "000000000000" {
		t.Errorf("%+v %v", info, err)
	}
	_, err = s.GetAccessKeyInfo(ctx, &stsapi.GetAccessKeyInfoInput{AccessKeyId: awsapi.Ptr("AKIAUNKNOWN")})
	wantError(t, err, "ValidationError: AKIAUNKNOWN is not a valid access key.")
}
