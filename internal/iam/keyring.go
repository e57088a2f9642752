// Package iam knows who calls and what policies say: access keys and temporary credentials ([Keyring]), policy documents
// ([ParsePolicy]), the AWS-managed policies that can be attached ([Managed]).
//
// It is not the IAM or STS API (internal/api/iam, internal/api/sts), and it does not evaluate identity policies: nothing that a
// caller may not do is refused yet. Start at [Keyring.Credential] and [Keyring.Issue].
package iam

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/fault"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// ErrUnknownKey says that there is no such access key.
var ErrUnknownKey = errors.New("the access key does not exist")

// Admin is the key pair of the installation's administrator.
type Admin struct {
	AccessKeyID string // test in development mode
	Secret      string
}

// AdminUser is the name of the administrator. It is a user, not the account's root: a root user can assume no roles.
const AdminUser = "admin"

// Keyring finds and issues credentials. Temporary ones are records of the store, so that every host of a cluster knows them and they survive a
// restart.
type Keyring struct {
	DB     *store.DB
	Tables *store.Tables
	Clock  *clock.Clock
	Scope  model.Scope
	Admin  Admin
}

// Credential is what belongs to an access key. Its fields are those of wire.Credential, so that one converts to the other.
type Credential struct {
	Secret       string
	SessionToken string    // temporary credentials only
	Expires      time.Time // temporary credentials only
	Principal    string    // ARN
	Account      string
}

// Credential returns what belongs to an access key, or ErrUnknownKey. Expired credentials are returned: the edge says that they are.
func (k *Keyring) Credential(_ context.Context, accessKey string) (Credential, error) {
	if subtle.ConstantTimeCompare([]byte(accessKey), []byte(k.Admin.AccessKeyID)) == 1 {
		return Credential{Secret: k.Admin.Secret, Principal: k.AdminARN(), Account: k.Scope.Account}, nil
	}
	s, ok := k.Tables.Sessions.Get(k.DB.View(), accessKey)
	if !ok {
		return Credential{}, ErrUnknownKey
	}
	return Credential{Secret: s.Secret, SessionToken: s.Token, Expires: s.ExpiresAt, Principal: s.Principal, Account: k.Scope.Account}, nil
}

// AdminARN returns the administrator's ARN.
func (k *Keyring) AdminARN() string {
	return model.ARN{Service: "iam", Account: k.Scope.Account, Resource: "user/" + AdminUser}.String()
}

// Grant says for whom credentials are issued.
type Grant struct {
	Role    string // name; empty: for Principal itself (GetSessionToken)
	Session string // name of the session of the role
	// Principal is who it is for when there is no role.
	Principal string
	TaskID    string // the credentials go with the task
	Lifetime  time.Duration
}

// Issue makes temporary credentials. A role that does not exist is a fault.NotFound about "role".
func (k *Keyring) Issue(ctx context.Context, g Grant) (*model.Session, error) {
	const secretBytes, tokenBytes = 30, 264 // 40 and 352 characters, as AWS's have
	s := &model.Session{
		AccessKeyID: "ASIA" + Identifier(16), Secret: secret(secretBytes), Token: secret(tokenBytes), Principal: g.Principal,
		Name: g.Session, TaskID: g.TaskID, ExpiresAt: k.Clock.Now().Add(g.Lifetime).Truncate(time.Second),
	}
	err := k.DB.Update(ctx, func(tx *store.Txn) error {
		if g.Role != "" {
			role, ok := k.Tables.Roles.Get(tx, g.Role)
			if !ok {
				return fault.NewNotFound("role", g.Role)
			}
			s.Principal, s.RoleName, s.RoleID = k.Scope.AssumedRoleARN(role.Name, g.Session), role.Name, role.ID
		}
		k.Tables.Sessions.Put(tx, s)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("issue credentials: %w", err)
	}
	return s, nil
}

// IssueForTask makes credentials of a role for a task. As on Fargate the session's name is the task's identifier, which is what error texts show.
func (k *Keyring) IssueForTask(ctx context.Context, role, taskID string, lifetime time.Duration) (*model.Session, error) {
	return k.Issue(ctx, Grant{Role: model.LastSegment(role), Session: taskID, TaskID: taskID, Lifetime: lifetime})
}

// RevokeTask removes the credentials of a task that has stopped.
func (k *Keyring) RevokeTask(ctx context.Context, taskID string) error {
	return k.remove(ctx, func(tx *store.Txn, drop func(*model.Session) bool) {
		for s := range k.Tables.Sessions.By(tx, "task", taskID) {
			if !drop(s) {
				return
			}
		}
	})
}

// Sweep removes credentials that expired an hour ago or earlier: until then a caller is told that they expired.
func (k *Keyring) Sweep(ctx context.Context) error {
	before := k.Clock.Now().Add(-time.Hour)
	return k.remove(ctx, func(tx *store.Txn, drop func(*model.Session) bool) {
		for s := range k.Tables.Sessions.List(tx) {
			if s.ExpiresAt.Before(before) && !drop(s) {
				return
			}
		}
	})
}

// remove deletes what find drops, in parts that a transaction can take. drop reports whether there is room for more.
func (k *Keyring) remove(ctx context.Context, find func(tx *store.Txn, drop func(*model.Session) bool)) error {
	const part = 100
	for more := true; more; {
		err := k.DB.Update(ctx, func(tx *store.Txn) error {
			n := 0
			more = false
			find(tx, func(s *model.Session) bool {
				k.Tables.Sessions.Delete(tx, s.AccessKeyID)
				n++
				more = n == part
				return !more
			})
			return nil
		})
		if err != nil {
			return fmt.Errorf("remove credentials: %w", err)
		}
	}
	return nil
}

// Identifier returns n random capital letters and digits, the alphabet of IAM's identifiers.
func Identifier(n int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	var id strings.Builder
	for _, c := range b {
		id.WriteByte(alphabet[int(c)%len(alphabet)])
	}
	return id.String()
}

func secret(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails
	return base64.StdEncoding.EncodeToString(b)
}

// AdminUserID returns the administrator's identifier, the same every time.
func AdminUserID(account string) string { return "AIDA" + "ADMIN" + account }

// sweepEvery is how often expired credentials are removed.
const sweepEvery = time.Hour

// RunSweep removes expired credentials every hour until ctx ends; failed is told what goes wrong.
func (k *Keyring) RunSweep(ctx context.Context, failed func(error)) error {
	for {
		if err := k.Clock.Sleep(ctx, sweepEvery); err != nil {
			return err
		}
		if err := k.Sweep(ctx); err != nil {
			failed(err)
		}
	}
}
