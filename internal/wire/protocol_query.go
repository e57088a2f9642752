package wire

import (
	"net/http"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/wire/codec"
)

// queryProtocol is form in, XML out: ELBv2, IAM, STS, CloudFormation.
type queryProtocol struct{}

func (queryProtocol) parse(c *call, r *http.Request, body []byte) (*codec.Form, error) {
	return parseForm(c, r, body)
}

// hasVersion keeps requests of other APIs of the same name apart: the classic load balancer has DescribeLoadBalancers, too.
func (queryProtocol) hasVersion(c *call, form *codec.Form) bool {
	version := form.Take("Version")
	return version == "" || version == c.svc.Version
}

func (queryProtocol) decode(op *operation, form *codec.Form, _ []byte, in any) error {
	return op.in.DecodeForm(form, codec.QueryStyle(), in)
}

func (queryProtocol) contentType() string { return "text/xml" }

func (queryProtocol) appendResult(b []byte, c *call, op *operation, out any) []byte {
	b = append(b, "<"+op.Name+`Response xmlns="`...)
	b = append(b, c.svc.Namespace...)
	b = append(b, `">`...)
	if op.ResultWrapper != "" {
		b = append(b, "<"+op.ResultWrapper+">"...)
		b = op.out.AppendXML(b, out)
		b = append(b, "</"+op.ResultWrapper+">"...)
	}
	b = append(b, "<ResponseMetadata><RequestId>"+c.id+"</RequestId></ResponseMetadata></"...)
	return append(b, op.Name+"Response>"...)
}

func (queryProtocol) appendError(b []byte, c *call, e *awsapi.Error) []byte {
	b = append(b, "<ErrorResponse"...)
	if c.svc != nil {
		b = append(b, ` xmlns="`+c.svc.Namespace+`"`...)
	}
	fault := "Receiver"
	if awsapi.IsSenderFault(e.HTTPStatus) {
		fault = "Sender"
	}
	b = append(b, "><Error><Type>"+fault+"</Type><Code>"...)
	b = codec.AppendXMLText(b, e.Code)
	b = append(b, "</Code><Message>"...)
	b = codec.AppendXMLText(b, e.Message)
	return append(b, "</Message></Error><RequestId>"+c.id+"</RequestId></ErrorResponse>"...)
}
