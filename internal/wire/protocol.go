package wire

import (
	"net/http"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/wire/codec"
)

// protocol is how a service's requests and answers are written.
type protocol interface {
	// parse splits the request as far as it can without knowing the operation; it sets the operation if it is a form.
	parse(c *call, r *http.Request, body []byte) (*codec.Form, error)
	// hasVersion reports whether the version of the API that the request names is the mounted one.
	hasVersion(c *call, form *codec.Form) bool
	decode(op *operation, form *codec.Form, body []byte, in any) error
	contentType() string
	appendResult(b []byte, c *call, op *operation, out any) []byte
	appendError(b []byte, c *call, e *awsapi.Error) []byte
}

func protocolOf(s *awsapi.Service) protocol {
	switch s.Protocol {
	case awsapi.JSON:
		return jsonProtocol{version: s.JSONVersion}
	case awsapi.EC2:
		return ec2Protocol{}
	default:
		return queryProtocol{}
	}
}

// parseForm reads the parameters from the URL of a GET, else from the body.
func parseForm(c *call, r *http.Request, body []byte) (*codec.Form, error) {
	encoded := string(body)
	if len(body) == 0 {
		encoded = withoutSignature(r.URL.RawQuery)
	}
	form, err := codec.ParseForm(encoded)
	if err != nil {
		return nil, err
	}
	c.operation = form.Take("Action")
	return form, nil
}

// withoutSignature drops the parameters of a presigned URL, which belong to no operation.
func withoutSignature(query string) string {
	if !strings.Contains(query, "X-Amz-") {
		return query
	}
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		if !strings.HasPrefix(pair, "X-Amz-") {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}

const xmlHeader = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
