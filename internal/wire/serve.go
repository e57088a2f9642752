package wire

import (
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"reflect"
	"runtime"
	"strconv"
	"sync"

	"github.com/neargate/neargate/internal/awsapi"
)

// call is one request on its way through the edge.
type call struct {
	id        string
	svc       *service // nil when it is not known
	protocol  protocol
	operation string
	request   awsapi.Request
}

// buffers are for answers; one that grew large is left to the collector.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 8<<10); return &b }}

const maxPooled = 256 << 10

func (s *Server) serveAWS(w http.ResponseWriter, r *http.Request) {
	c := &call{id: newRequestID()}
	w.Header()["X-Amzn-Requestid"] = []string{c.id}
	op, out, err := s.process(c, r)
	if err != nil {
		s.writeError(w, r, c, err)
		return
	}
	buffer := buffers.Get().(*[]byte)
	body := c.protocol.appendResult((*buffer)[:0], c, op, out)
	send(w, http.StatusOK, c.protocol.contentType(), body)
	if cap(body) <= maxPooled {
		*buffer = body
		buffers.Put(buffer)
	}
}

// process does everything up to the answer. The error is for writeError.
func (s *Server) process(c *call, r *http.Request) (*operation, any, error) {
	body, sum, err := s.readBody(r)
	sig, sigErr := parseSignature(r)
	s.find(c, r, sig)
	if err != nil {
		return nil, nil, err
	}
	form, err := c.protocol.parse(c, r, body)
	if err == nil && c.svc == nil {
		s.findByAction(c, form)
	}
	if sigErr != nil {
		return nil, nil, sigErr
	}
	if authErr := s.authenticate(c, r, sig, sum); authErr != nil {
		return nil, nil, authErr
	}
	if c.svc == nil {
		return nil, nil, unknownOperation(c)
	}
	if err != nil {
		return nil, nil, inputError(c, err)
	}
	op := c.svc.operations[c.operation]
	if op == nil || !c.protocol.hasVersion(c, form) {
		return nil, nil, unknownOperation(c)
	}
	in := op.NewInput()
	if err := c.protocol.decode(op, form, body, in); err != nil {
		return nil, nil, inputError(c, err)
	}
	if violations := op.Validate(in); len(violations) > 0 {
		return nil, nil, violationError(c.svc.Service, op.Name, violations)
	}
	ctx := awsapi.WithRequest(r.Context(), c.request)
	out, err := op.invoke(ctx, in)
	if err != nil {
		return nil, nil, err
	}
	if isNil(out) {
		return nil, nil, errors.New("the handler returned neither an output nor an error")
	}
	s.opts.Log.Debug("served", slog.String("request_id", c.id), slog.String("service", c.svc.Name), slog.String("operation", op.Name))
	return op, out, nil
}

// isNil reports whether a handler returned a nil pointer.
func isNil(out any) bool { return out == nil || reflect.ValueOf(out).IsNil() }

func send(w http.ResponseWriter, status int, contentType string, body []byte) {
	h := w.Header()
	h["Content-Type"] = []string{contentType}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	// The client is gone when this fails; the operation is done all the same.
	_, _ = w.Write(body)
}

// sourceAddr returns the address of the client: behind the edge socket that of the PROXY header.
func sourceAddr(r *http.Request) netip.Addr {
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return ap.Addr().Unmap()
	}
	return netip.Addr{}
}

func stack() []byte {
	b := make([]byte, 16<<10)
	return b[:runtime.Stack(b, false)]
}
