package codegen

import (
	"fmt"
	"strings"
)

func (s *selection) renderAPI(service string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "// API is what an implementation of %s offers: one method per operation of the manifest.\ntype API interface {\n",
		s.model.Metadata.ServiceID)
	for _, op := range s.operations {
		fmt.Fprintf(&b, "%s(ctx context.Context, in *%sInput) (*%sOutput, error)\n", op, op, op)
	}
	b.WriteString("}\n\n")

	md := s.model.Metadata
	fmt.Fprintf(&b, "// Description returns the description of %s that package wire mounts.\nfunc Description() *awsapi.Service {\n", md.ServiceID)
	fmt.Fprintf(&b, "return awsapi.NewService(awsapi.Service{\nName: %q, ID: %q, Protocol: %q, JSONVersion: %q, Version: %q,\n",
		service, md.ServiceID, md.Protocol, md.JSONVersion, md.APIVersion)
	fmt.Fprintf(&b, "TargetPrefix: %q, SigningName: %q, EndpointPrefix: %q,\nNamespace: %q, Global: %v,\n",
		md.TargetPrefix, or(md.SigningName, md.EndpointPrefix), md.EndpointPrefix, md.XMLNamespace, md.GlobalEndpoint != "")
	if len(s.errors) > 0 {
		b.WriteString("Errors: []awsapi.ErrorShape{\n")
		for _, name := range s.errors {
			code, status := s.errorCode(name)
			fmt.Fprintf(&b, "{Name: %q, Code: %s, Status: %d},\n", name, errorName(code), status)
		}
		b.WriteString("},\n")
	}
	b.WriteString("}, shapes(), operations())\n}\n\n")

	b.WriteString("func operations() []awsapi.OperationDef {\nreturn []awsapi.OperationDef{\n")
	for _, op := range s.operations {
		fmt.Fprintf(&b, "{Input: %q, Output: %q, Operation: awsapi.Operation{\nName: %q,", op+"Input", op+"Output", op)
		if out := s.model.Operations[op].Output; out != nil && out.ResultWrapper != "" {
			fmt.Fprintf(&b, " ResultWrapper: %q,", out.ResultWrapper)
		}
		fmt.Fprintf(&b, "\nNewInput: func() any { return new(%sInput) },\nNewOutput: func() any { return new(%sOutput) },\n", op, op)
		fmt.Fprintf(&b, `Bind: func(impl any) awsapi.Handler {
	h, ok := impl.(interface { %[1]s(context.Context, *%[1]sInput) (*%[1]sOutput, error) })
	if !ok {
		return nil
	}
	return func(ctx context.Context, in any) (any, error) { return h.%[1]s(ctx, in.(*%[1]sInput)) }
},
}},
`, op)
	}
	b.WriteString("}\n}\n")
	return b.String()
}

// errorCode returns the code of an error shape on the wire, and its HTTP status.
func (s *selection) errorCode(name string) (string, int) {
	shape := s.model.Shapes[name]
	code, status := name, 400
	if shape.Fault {
		status = 500
	}
	if shape.Error != nil {
		code = or(shape.Error.Code, name)
		if shape.Error.HTTPStatusCode != 0 {
			status = shape.Error.HTTPStatusCode
		}
	}
	return code, status
}

func (s *selection) renderErrors() string {
	var b strings.Builder
	if len(s.errors) == 0 {
		return ""
	}
	b.WriteString("// The error codes that the model lists for these operations, as they are on the wire.\nconst (\n")
	seen := map[string]bool{}
	for _, name := range s.errors {
		code, _ := s.errorCode(name)
		if !seen[code] {
			fmt.Fprintf(&b, "%s = %q\n", errorName(code), code)
		}
		seen[code] = true
	}
	b.WriteString(")\n")
	return b.String()
}
