package wire

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/wire/codec"
)

// jsonProtocol is JSON 1.0 and 1.1.
type jsonProtocol struct{ version string }

func (jsonProtocol) parse(*call, *http.Request, []byte) (*codec.Form, error) { return nil, nil }

func (jsonProtocol) hasVersion(*call, *codec.Form) bool { return true }

func (jsonProtocol) decode(op *operation, _ *codec.Form, body []byte, in any) error {
	return op.in.DecodeJSON(body, in)
}

func (p jsonProtocol) contentType() string {
	if p.version == "1.0" {
		return "application/x-amz-json-1.0"
	}
	return "application/x-amz-json-1.1"
}

func (jsonProtocol) appendResult(b []byte, _ *call, op *operation, out any) []byte {
	return op.out.AppendJSON(b, out)
}

func (jsonProtocol) appendError(b []byte, _ *call, e *awsapi.Error) []byte {
	b = append(b, `{"__type":`...)
	b = codec.AppendJSONString(b, e.Code)
	b = append(b, `,"message":`...)
	b = codec.AppendJSONString(b, e.Message)
	for _, name := range slices.Sorted(maps.Keys(e.Fields)) {
		value, err := json.Marshal(e.Fields[name])
		if err != nil {
			continue // the code and the text still get through
		}
		b = append(b, ',')
		b = codec.AppendJSONString(b, name)
		b = append(append(b, ':'), value...)
	}
	return append(b, '}')
}
