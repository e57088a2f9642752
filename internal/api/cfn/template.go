package cfn

import (
	"context"
	"fmt"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/cfnapi"
	"github.com/neargate/neargate/internal/stack"
)

// GetTemplate returns the template of a stack or a change set as it was given.
func (s *Server) GetTemplate(ctx context.Context, in *cfnapi.GetTemplateInput) (*cfnapi.GetTemplateOutput, error) {
	view := s.db.View()
	out := &cfnapi.GetTemplateOutput{StagesAvailable: []cfnapi.TemplateStage{"Original", "Processed"}}
	if name := awsapi.Val(in.ChangeSetName); name != "" {
		c, err := s.changeSet(ctx, view, name, awsapi.Val(in.StackName))
		if err != nil {
			return nil, err
		}
		out.TemplateBody = &c.Template
		return out, nil
	}
	name := awsapi.Val(in.StackName)
	st, ok := s.lookup(ctx, view, name)
	if !ok {
		return nil, noStack(name)
	}
	if st.Status == reviewInProgress {
		return nil, invalid("GetTemplate operation cannot be called for a stack in REVIEW_IN_PROGRESS status.")
	}
	out.TemplateBody = &st.Template
	return out, nil
}

// GetTemplateSummary says what a template needs: parameters, capabilities, resource types.
func (s *Server) GetTemplateSummary(ctx context.Context, in *cfnapi.GetTemplateSummaryInput) (*cfnapi.GetTemplateSummaryOutput, error) {
	if in.StackSetName != nil {
		return nil, unsupported("StackSetName", "there are no stack sets here")
	}
	var body string
	if name := awsapi.Val(in.StackName); name != "" {
		st, ok := s.lookup(ctx, s.db.View(), name)
		if !ok {
			return nil, noStack(name)
		}
		body = st.Template
	} else {
		var err error
		if body, err = templateBody(in.TemplateBody, in.TemplateURL); err != nil {
			return nil, err
		}
	}
	tmpl, err := s.parse(body)
	if err != nil {
		return nil, err
	}
	out := &cfnapi.GetTemplateSummaryOutput{
		Description: awsapi.NonZero(tmpl.Description), Version: awsapi.NonZero(tmpl.Version), ResourceTypes: tmpl.ResourceTypes(),
		Parameters: []cfnapi.ParameterDeclaration{}, DeclaredTransforms: []string{},
	}
	out.Capabilities, out.CapabilitiesReason = s.capabilities(tmpl)
	if v := tmpl.MetadataValue(); v != nil {
		out.Metadata = awsapi.Ptr(encode(v))
	}
	for _, p := range tmpl.Parameters {
		out.Parameters = append(out.Parameters, cfnapi.ParameterDeclaration{
			ParameterKey: &p.Name, ParameterType: &p.Type, DefaultValue: p.Default, Description: awsapi.NonZero(p.Description), NoEcho: &p.NoEcho,
			ParameterConstraints: &cfnapi.ParameterConstraints{AllowedValues: p.AllowedValues},
		})
	}
	return out, nil
}

func (s *Server) capabilities(tmpl *stack.Template) ([]cfnapi.Capability, *string) {
	need, because := tmpl.Capabilities(s.types)
	if need == "" {
		return nil, nil
	}
	reason := fmt.Sprintf("The following resource(s) require capabilities: [%s]", strings.Join(because, ", "))
	return []cfnapi.Capability{cfnapi.Capability(need)}, &reason
}

// ValidateTemplate checks a template.
func (s *Server) ValidateTemplate(_ context.Context, in *cfnapi.ValidateTemplateInput) (*cfnapi.ValidateTemplateOutput, error) {
	body, err := templateBody(in.TemplateBody, in.TemplateURL)
	if err != nil {
		return nil, err
	}
	tmpl, err := s.parse(body)
	if err != nil {
		return nil, err
	}
	out := &cfnapi.ValidateTemplateOutput{Description: awsapi.NonZero(tmpl.Description), Parameters: []cfnapi.TemplateParameter{}}
	out.Capabilities, out.CapabilitiesReason = s.capabilities(tmpl)
	for _, p := range tmpl.Parameters {
		out.Parameters = append(out.Parameters, cfnapi.TemplateParameter{
			ParameterKey: &p.Name, DefaultValue: p.Default, Description: awsapi.NonZero(p.Description), NoEcho: &p.NoEcho,
		})
	}
	return out, nil
}
