// Package ecs implements Amazon ECS's API for tasks on Fargate: clusters, task definitions, tasks and services.
//
// A method checks its input and writes records; which task runs where is decided by control, and node runs it. There is
// one file per noun, and the method of an operation has the operation's name. definition_check.go holds Fargate's rules
// for task definitions, *_view.go how records look on the wire. Start at [Server].
package ecs

import (
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// Server implements [ecsapi.API].
type Server struct {
	db     *store.DB
	tables *store.Tables
	clock  *clock.Clock
	scope  model.Scope
}

var _ ecsapi.API = (*Server)(nil)

// Options are what a Server needs.
type Options struct {
	DB     *store.DB
	Tables *store.Tables
	Clock  *clock.Clock
	Scope  model.Scope
}

// New returns a Server.
func New(o Options) *Server {
	return &Server{db: o.DB, tables: o.Tables, clock: o.Clock, scope: o.Scope}
}

// defaultCluster is the cluster that a request means when it names none.
const defaultCluster = "default"

// platformVersion is what LATEST means for Linux (aws-facts 1.7).
const platformVersion = "1.4.0"

// clusterName returns the name of the cluster that a request names by name or ARN.
func clusterName(ref *string) string {
	name := awsapi.Val(ref)
	if name == "" {
		return defaultCluster
	}
	return model.LastSegment(name)
}

// activeCluster returns the cluster that a request names.
func (s *Server) activeCluster(r store.Reader, ref *string) (*model.Cluster, error) {
	cluster, ok := s.tables.Clusters.Get(r, clusterName(ref))
	if !ok || cluster.Status != model.ClusterActive {
		return nil, awsapi.NewError(ecsapi.ErrClusterNotFoundException, "Cluster not found.")
	}
	return cluster, nil
}

// unsupported returns the error for a parameter that Neargate does not act on.
func unsupported(field, why string) error {
	return awsapi.NewError(ecsapi.ErrUnsupportedFeatureException, "Neargate does not support %s: %s", field, why)
}

func invalid(format string, args ...any) error {
	return awsapi.NewError(ecsapi.ErrInvalidParameterException, format, args...)
}

func client(format string, args ...any) error {
	return awsapi.NewError(ecsapi.ErrClientException, format, args...)
}

// Limits of tags (ECS API, Tag).
const (
	maxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
)

// tagsOf checks tags and returns them. Tags that begin with aws: come from AWS itself: from the service scheduler, and
// from CloudFormation, whose resource types set them through this same API.
func tagsOf(list []ecsapi.Tag) (model.Tags, error) {
	if len(list) == 0 {
		return nil, nil
	}
	tags := make(model.Tags, len(list))
	for _, t := range list {
		key, value := awsapi.Val(t.Key), awsapi.Val(t.Value)
		switch {
		case key == "" || len([]rune(key)) > maxTagKey:
			return nil, invalid("The tag key '%s' is invalid: it must have 1 to %d characters.", key, maxTagKey)
		case len([]rune(value)) > maxTagValue:
			return nil, invalid("The value of the tag '%s' is longer than %d characters.", key, maxTagValue)
		case strings.HasPrefix(key, "aws:") && !strings.HasPrefix(key, "aws:cloudformation:"):
			return nil, invalid("The tag key '%s' is invalid: the prefix aws: is reserved.", key)
		}
		tags[key] = value
	}
	if len(tags) > maxTags {
		return nil, invalid("A resource has at most %d tags.", maxTags)
	}
	return tags, nil
}
