package wire

import (
	"net/http"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/wire/codec"
)

// ec2Protocol is EC2's variant of query.
type ec2Protocol struct{}

func (ec2Protocol) parse(c *call, r *http.Request, body []byte) (*codec.Form, error) {
	return parseForm(c, r, body)
}

// hasVersion accepts all: EC2 answers requests of older versions of its API.
func (ec2Protocol) hasVersion(_ *call, form *codec.Form) bool {
	form.Take("Version")
	return true
}

func (ec2Protocol) decode(op *operation, form *codec.Form, _ []byte, in any) error {
	return op.in.DecodeForm(form, codec.EC2Style(), in)
}

func (ec2Protocol) contentType() string { return "text/xml;charset=UTF-8" }

func (ec2Protocol) appendResult(b []byte, c *call, op *operation, out any) []byte {
	b = append(b, xmlHeader+"<"+op.Name+`Response xmlns="`...)
	b = append(b, c.svc.Namespace...)
	b = append(b, `/"><requestId>`+c.id+"</requestId>"...)
	if op.out.IsEmpty() {
		// Not in the model, but what EC2 says when there is nothing to say.
		b = append(b, "<return>true</return>"...)
	} else {
		b = op.out.AppendXML(b, out)
	}
	return append(b, "</"+op.Name+"Response>"...)
}

func (ec2Protocol) appendError(b []byte, c *call, e *awsapi.Error) []byte {
	b = append(b, xmlHeader+"<Response><Errors><Error><Code>"...)
	b = codec.AppendXMLText(b, e.Code)
	b = append(b, "</Code><Message>"...)
	b = codec.AppendXMLText(b, e.Message)
	return append(b, "</Message></Error></Errors><RequestID>"+c.id+"</RequestID></Response>"...)
}
