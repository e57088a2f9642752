// Package iam implements the part of IAM's API that gives tasks and stacks their roles: roles, inline and managed policies, tags.
//
// Policies are kept and their documents checked as IAM checks them; they are not evaluated yet (internal/iam says what is). There is
// one file per noun, and the method of an operation has the operation's name. Start at [Server].
package iam

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/iamapi"
	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/iam"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// Server implements [iamapi.API].
type Server struct {
	db      *store.DB
	tables  *store.Tables
	clock   *clock.Clock
	scope   model.Scope
	started time.Time
}

var _ iamapi.API = (*Server)(nil)

// Options are what a Server needs.
type Options struct {
	DB     *store.DB
	Tables *store.Tables
	Clock  *clock.Clock
	Scope  model.Scope
}

// New returns a Server.
func New(o Options) *Server {
	return &Server{db: o.DB, tables: o.Tables, clock: o.Clock, scope: o.Scope, started: o.Clock.Now()}
}

// update runs a transaction.
func (s *Server) update(ctx context.Context, fn func(tx *store.Txn) error) error {
	return s.db.Update(ctx, fn)
}

// maxItems is how many items an answer holds when the request does not say.
const maxItems = 100

// page returns a page of a listing with IAM's two marks of one.
func page[T any](kind string, items []T, key func(T) string, marker *string, max *int32) (list []T, next *string, truncated *bool, err error) {
	list, next, err = awsapi.Page("iam:"+kind, items, key, marker, awsapi.Ptr(awsapi.Or(max, maxItems)), 0)
	return list, next, awsapi.Ptr(next != nil), err
}

// encode writes a document as IAM answers it: percent-encoded, so that a client that decodes a query (where '+' is a space) gets it back.
func encode(document string) *string {
	return awsapi.Ptr(strings.ReplaceAll(url.QueryEscape(document), "+", "%20"))
}

// checkPolicy checks a document.
func checkPolicy(kind iam.PolicyKind, document string) error {
	_, err := iam.ParsePolicy(kind, document)
	var bad *iam.MalformedError
	if errors.As(err, &bad) {
		return awsapi.NewError(iamapi.ErrMalformedPolicyDocument, "%s", bad.Message)
	}
	return err
}

// sizeOf returns a document's size as IAM counts it: without white space.
func sizeOf(document string) int {
	n := 0
	for _, c := range document {
		if !strings.ContainsRune(" \t\r\n", c) {
			n++
		}
	}
	return n
}

func noSuchEntity(format string, args ...any) error {
	return awsapi.NewError(iamapi.ErrNoSuchEntity, format, args...)
}

func limitExceeded(format string, args ...any) error {
	return awsapi.NewError(iamapi.ErrLimitExceeded, format, args...)
}

// maxTags is how many tags a role or policy may have.
const maxTags = 50

// withTags returns tags with more added.
func withTags(tags model.Tags, more []iamapi.Tag) (model.Tags, error) {
	tags = maps.Clone(tags)
	if tags == nil && len(more) > 0 {
		tags = model.Tags{}
	}
	for _, t := range more {
		key := awsapi.Val(t.Key)
		if strings.HasPrefix(strings.ToLower(key), "aws:") {
			return nil, awsapi.NewError(iamapi.ErrInvalidInput, "Tag keys may not begin with aws: ('%s').", key)
		}
		tags[key] = awsapi.Val(t.Value)
	}
	if len(tags) > maxTags {
		return nil, limitExceeded("The number of tags has reached the maximum limit of %d.", maxTags)
	}
	return tags, nil
}

func withoutTags(tags model.Tags, keys []string) model.Tags {
	tags = maps.Clone(tags)
	for _, k := range keys {
		delete(tags, k)
	}
	return tags
}

// tagList returns tags as they are on the wire, by key.
func tagList(tags model.Tags) []iamapi.Tag {
	var list []iamapi.Tag
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, iamapi.Tag{Key: awsapi.Ptr(k), Value: awsapi.Ptr(tags[k])})
	}
	return list
}

func tagKey(t iamapi.Tag) string { return *t.Key }

// path returns the path that a request asks for; "/" if it does not.
func path(p *string) string { return awsapi.Or(p, "/") }
