package stack

// OutputValue is an output as it came out; Export is empty when it is not exported.
type OutputValue struct {
	Key         string
	Value       string
	Description string
	Export      string
}

// Outputs returns the values of the outputs whose condition holds.
func (s *Scope) Outputs() ([]OutputValue, error) {
	var out []OutputValue
	for _, o := range s.Template.Outputs {
		active, err := s.Active(o.Condition)
		if err != nil {
			return nil, err
		}
		if !active {
			continue
		}
		path := "Outputs/" + o.Name
		value, ok, err := s.EvalText(o.Value, join(path, "Value"))
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		v := OutputValue{Key: o.Name, Value: value, Description: o.Description}
		if o.Export != nil {
			if v.Export, _, err = s.EvalText(o.Export, join(path, "Export/Name")); err != nil {
				return nil, err
			}
		}
		out = append(out, v)
	}
	return out, nil
}

// Imports returns the names of the exports that the active part of the template imports. Values of resources need not
// exist. An export that does not exist is an error.
func (s *Scope) Imports() ([]string, error) {
	var used []string
	d := *s
	d.used, d.AllowUnknown = &used, true
	for _, r := range s.Template.Resources {
		active, err := d.Active(r.Condition)
		if err != nil {
			return nil, err
		}
		if !active {
			continue
		}
		if _, err := d.Properties(r); err != nil {
			return nil, err
		}
	}
	for _, o := range s.Template.Outputs {
		active, err := d.Active(o.Condition)
		if err != nil {
			return nil, err
		}
		if !active {
			continue
		}
		if _, _, err := d.Eval(o.Value, "Outputs/"+o.Name+"/Value"); err != nil {
			return nil, err
		}
	}
	return used, nil
}

// Capabilities returns the capabilities that the template demands and the types that demand them.
func (t *Template) Capabilities(types Types) (capability string, because []string) {
	for _, name := range t.ResourceTypes() {
		if typ, ok := types.Lookup(name); ok && typ.IAM {
			because = append(because, name)
		}
	}
	if len(because) == 0 {
		return "", nil
	}
	capability = "CAPABILITY_IAM"
	for _, r := range t.Resources {
		typ, ok := types.Lookup(r.Type)
		if ok && typ.IAM && typ.NameOf != "" && r.Properties.Get(typ.NameOf) != nil {
			capability = "CAPABILITY_NAMED_IAM"
		}
	}
	return capability, because
}
