package wire

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/wire/sigv4"
)

// writeError answers with an error. What is not an error of AWS becomes the internal one; its text stays in the log.
func (s *Server) writeError(w http.ResponseWriter, r *http.Request, c *call, err error) {
	e := s.translate(c, err)
	status := e.HTTPStatus
	if status == 0 {
		status = http.StatusBadRequest
		if c.svc != nil {
			status = c.svc.ErrorStatus(e.Code)
		}
	}
	answer := *e
	answer.HTTPStatus = status
	s.logError(r.Context(), c, &answer, err)
	if p, isJSON := c.protocol.(jsonProtocol); isJSON {
		w.Header()["X-Amzn-Errortype"] = []string{answer.Code}
		c.protocol = p
	}
	if status == http.StatusRequestEntityTooLarge {
		w.Header().Set("Connection", "close")
	}
	send(w, status, c.protocol.contentType(), c.protocol.appendError(nil, c, &answer))
}

func (s *Server) translate(c *call, err error) *awsapi.Error {
	var known *awsapi.Error
	var malformed *sigv4.MalformedError
	var scope *errScope
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, awsapi.ErrToken):
		return tokenError(c)
	case errors.Is(err, sigv4.ErrMissing):
		return authWording(c, missingSignature, "")
	case errors.As(err, &malformed):
		return authWording(c, malformedSignature, malformed.Reason)
	case errors.As(err, &scope):
		return authWording(c, wrongScope, scope.reason)
	case errors.Is(err, ErrUnknownKey), errors.Is(err, errWrongToken):
		return authWording(c, unknownKey, "")
	case errors.Is(err, errExpiredToken):
		return authWording(c, expiredToken, "")
	case errors.Is(err, sigv4.ErrMismatch), errors.Is(err, errPayloadHash):
		return authWording(c, wrongSignature, "")
	case errors.Is(err, sigv4.ErrExpired):
		return authWording(c, expiredSignature, "")
	case errors.Is(err, errTooLarge):
		return &awsapi.Error{Code: "RequestEntityTooLarge", Message: "Request size exceeded the limit.", HTTPStatus: http.StatusRequestEntityTooLarge}
	case errors.Is(err, errEncoding):
		return awsapi.NewError("UnsupportedMediaType", "The content encoding of the request is not supported or broken.")
	}
	return internalError(c)
}

func internalError(c *call) *awsapi.Error {
	e := &awsapi.Error{Code: "InternalFailure", HTTPStatus: http.StatusInternalServerError, Message: "The request processing has failed because of an unknown error, exception or failure."}
	switch {
	case c.svc == nil:
	case c.svc.Protocol == awsapi.EC2:
		e.Code, e.Message = "InternalError", "An internal error has occurred"
	default:
		for _, shape := range c.svc.Errors {
			if shape.Name == "ServerException" {
				e.Code = shape.Code
			}
		}
	}
	return e
}

func (s *Server) logError(ctx context.Context, c *call, e *awsapi.Error, err error) {
	attrs := []slog.Attr{
		slog.String("request_id", c.id), slog.String("operation", c.operation), slog.String("code", e.Code),
		slog.Int("status", e.HTTPStatus), slog.String("err", err.Error()),
	}
	if c.svc != nil {
		attrs = append(attrs, slog.String("service", c.svc.Name))
	}
	level := slog.LevelDebug
	if e.HTTPStatus >= 500 && ctx.Err() == nil {
		level = slog.LevelError
	}
	s.opts.Log.LogAttrs(ctx, level, "refused", attrs...)
}
