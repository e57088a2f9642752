// Package wire is the HTTP edge: it verifies signatures, finds out which operation of which AWS service is meant, decodes
// and validates its input, calls the handler, and writes the answer or the error as that service does.
//
// It holds no state of AWS resources and knows no handler: services are mounted by the description that awsapi's
// generator wrote. Start at [NewServer], [Server.Mount] and [Server.ServeHTTP].
package wire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"time"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/wire/codec"
	"github.com/neargate/neargate/internal/wire/sigv4"
)

// Options are what a server needs.
type Options struct {
	Account     string // of callers whose credential names none
	Region      string // the one region that is served
	Credentials Credentials
	Now         func() time.Time
	Log         *slog.Logger
	MaxBody     int64 // bytes, also after decompression; 0: 32 MiB, enough for a layer part of ECR
}

// Credentials finds the secret of an access key.
type Credentials interface {
	// Credential returns ErrUnknownKey for a key that does not exist.
	Credential(ctx context.Context, accessKey string) (Credential, error)
}

// Credential is what belongs to an access key.
type Credential struct {
	Secret       string
	SessionToken string    // temporary credentials only: has to come with each request
	Expires      time.Time // temporary credentials only
	Principal    string    // ARN of the caller
	Account      string    // empty: the server's
}

// ErrUnknownKey says that there is no such access key.
var ErrUnknownKey = errors.New("the access key does not exist")

// Server dispatches requests. Mount and Handle everything before the first request.
type Server struct {
	opts     Options
	keys     sigv4.Keys
	services []*service
	targets  map[string]*service // by prefix of X-Amz-Target
	routes   []route
}

type service struct {
	*awsapi.Service
	protocol   protocol
	operations map[string]*operation
}

type operation struct {
	*awsapi.Operation
	in, out *codec.Codec
	handler awsapi.Handler
	dryRun  int // index of the field in the input, -1 if it has none
}

type route struct {
	match   func(*http.Request) bool
	handler http.Handler
}

// NewServer returns a server without services.
func NewServer(opts Options) *Server {
	if opts.MaxBody == 0 {
		opts.MaxBody = 32 << 20
	}
	return &Server{opts: opts, targets: map[string]*service{}}
}

// Mount makes the server answer for a service with the methods that impl has. An operation that impl has no method for
// is answered like one that does not exist. Mount returns the names of those operations.
func (s *Server) Mount(desc *awsapi.Service, impl any) (missing []string) {
	svc := &service{Service: desc, protocol: protocolOf(desc), operations: map[string]*operation{}}
	for _, op := range desc.Operations {
		handler := op.Bind(impl)
		if handler == nil {
			missing = append(missing, op.Name)
			continue
		}
		in, out := reflect.TypeOf(op.NewInput()).Elem(), reflect.TypeOf(op.NewOutput()).Elem()
		mounted := &operation{
			Operation: op, handler: handler, dryRun: -1,
			in: codec.Compile(op.Input, in), out: codec.Compile(op.Output, out),
		}
		if field, ok := in.FieldByName("DryRun"); ok && desc.Protocol == awsapi.EC2 {
			mounted.dryRun = field.Index[0]
		}
		svc.operations[op.Name] = mounted
	}
	s.services = append(s.services, svc)
	if desc.TargetPrefix != "" {
		s.targets[desc.TargetPrefix] = svc
	}
	return missing
}

// Handle gives requests for which match reports true to h, before any AWS service is looked for. The first match wins.
func (s *Server) Handle(match func(*http.Request) bool, h http.Handler) {
	s.routes = append(s.routes, route{match: match, handler: h})
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, route := range s.routes {
		if route.match(r) {
			route.handler.ServeHTTP(w, r)
			return
		}
	}
	s.serveAWS(w, r)
}

// invoke calls the handler and turns a panic into an error: one broken request does not end the daemon.
func (op *operation) invoke(ctx context.Context, in any) (out any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{value: p, stack: stack()}
		}
	}()
	if op.dryRun >= 0 {
		if v := reflect.ValueOf(in).Elem().Field(op.dryRun); !v.IsNil() && v.Elem().Bool() {
			return nil, &awsapi.Error{
				Code: "DryRunOperation", HTTPStatus: http.StatusPreconditionFailed,
				Message: "Request would have succeeded, but DryRun flag is set.",
			}
		}
	}
	return op.handler(ctx, in)
}

type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.value, e.stack) }
