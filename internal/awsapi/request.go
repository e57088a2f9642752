package awsapi

import (
	"context"
	"net/netip"
)

// Request is what a handler knows about the request it serves beyond its input.
type Request struct {
	ID         string     // x-amzn-RequestId
	Account    string     // of the caller, and of everything it makes
	Region     string     // of the credential scope
	Principal  string     // ARN of the caller
	AccessKey  string     // of the signature; empty for calls made inside the process
	SourceAddr netip.Addr // client's address; of the task, for calls from inside a VPC
	UserAgent  string
	Host       string // of the request, with the port
}

type requestKey struct{}

// WithRequest returns a context for a call of a handler. The edge makes one per request; code that calls a generated
// API interface in the same process (a CloudFormation run) makes its own.
func WithRequest(ctx context.Context, r Request) context.Context {
	return context.WithValue(ctx, requestKey{}, &r)
}

// RequestFrom returns the request that ctx belongs to; an empty one if there is none.
func RequestFrom(ctx context.Context) Request {
	if r, ok := ctx.Value(requestKey{}).(*Request); ok {
		return *r
	}
	return Request{}
}
