package wire

import (
	"net/http"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/wire/codec"
	"github.com/neargate/neargate/internal/wire/sigv4"
)

// find sets the service, its protocol and, for JSON, the operation of a call: by X-Amz-Target, else by the service that
// the signature is for, else by the host name. The protocol is set in any case, for the error if there is no service.
func (s *Server) find(c *call, r *http.Request, sig *sigv4.Signature) {
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		prefix, operation, _ := strings.Cut(target, ".")
		c.svc, c.operation = s.targets[prefix], operation
		if c.svc == nil {
			c.operation = target
		}
	} else if sig != nil {
		c.svc = s.bySigningName(sig.Service)
	} else {
		c.svc = s.byHost(r.Host)
	}
	switch {
	case c.svc != nil:
		c.protocol = c.svc.protocol
	case r.Header.Get("X-Amz-Target") != "" || strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-amz-json"):
		c.protocol = jsonProtocol{}
	default:
		c.protocol = queryProtocol{}
	}
}

// findByAction is the last resort, for an unsigned request to an address without a name: its error should look as the
// client expects.
func (s *Server) findByAction(c *call, form *codec.Form) {
	if form == nil {
		return
	}
	version := form.Take("Version")
	for _, svc := range s.services {
		if svc.Protocol != awsapi.JSON && svc.Version == version && svc.operations[c.operation] != nil {
			c.svc, c.protocol = svc, svc.protocol
			return
		}
	}
}

func (s *Server) bySigningName(name string) *service {
	for _, svc := range s.services {
		if svc.SigningName == name || svc.EndpointPrefix == name {
			return svc
		}
	}
	return nil
}

// byHost finds ecs.us-east-1.amazonaws.com, api.ecr.us-east-1.amazonaws.com, iam.amazonaws.com.
func (s *Server) byHost(host string) *service {
	name, _, _ := strings.Cut(host, ":")
	name, isAWS := strings.CutSuffix(strings.ToLower(name), ".amazonaws.com")
	if !isAWS {
		return nil
	}
	name = strings.TrimSuffix(name, "."+s.opts.Region)
	return s.bySigningName(name)
}
