package cfn

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/neargate/neargate/internal/api/cfn/resource"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/stack"
	"github.com/neargate/neargate/internal/store"
)

// zones returns the names that Fn::GetAZs gives.
func zones(region string) []string {
	var out []string
	for _, z := range model.Zones(region) {
		out = append(out, z.Name)
	}
	return out
}

func pseudo(st *model.Stack) stack.Pseudo {
	arn, _ := model.ParseARN(st.ARN)
	return stack.Pseudo{Region: arn.Region, AccountID: arn.Account, StackName: st.Name, StackID: st.ARN, NotificationARNs: st.NotificationARNs}
}

// newScope returns a scope that knows the parameters and exports, and no resource.
func (s *Server) newScope(reader store.Reader, st *model.Stack, tmpl *stack.Template, parameters map[string]string) *stack.Scope {
	p := pseudo(st)
	return &stack.Scope{
		Template: tmpl, Parameters: parameters, Pseudo: p, Zones: zones(p.Region),
		Import: func(name string) (string, bool) { return s.exported(reader, st.ARN, name) },
	}
}

// scope returns the scope of a running operation: resources are what their records say now.
func (r *run) scope(ctx context.Context) *stack.Scope {
	scope := r.s.newScope(r.s.db.View(), r.stack, r.tmpl, r.stack.Parameters)
	record := func(id string) (*model.StackResource, bool) {
		rec, ok := r.s.tables.StackResources.Get(r.s.db.View(), model.StackResourceKey(r.stack.ARN, id))
		return rec, ok && rec.PhysicalID != ""
	}
	scope.Ref = func(id string) (any, bool) {
		rec, ok := record(id)
		if !ok {
			return nil, false
		}
		return rec.PhysicalID, true
	}
	scope.Att = func(id, attribute string) (any, bool, error) {
		rec, ok := record(id)
		if !ok {
			return nil, false, nil
		}
		if typ := r.s.types.Type(rec.Type); typ != nil && typ.Live {
			attributes, err := typ.Read(ctx, r.request(rec))
			if err != nil {
				return nil, false, err
			}
			v, ok := evaluable(attributes[attribute])
			return v, ok, nil
		}
		v, ok := attributesOf(rec.Attributes, rec.Lists)[attribute]
		return v, ok, nil
	}
	return scope
}

// evaluable turns an attribute into a value of the template language.
func evaluable(v any) (any, bool) {
	switch t := v.(type) {
	case string:
		return t, true
	case []string:
		out := make([]any, 0, len(t))
		for _, item := range t {
			out = append(out, item)
		}
		return out, true
	}
	return nil, false
}

func attributesOf(scalars map[string]string, lists map[string][]string) map[string]any {
	out := make(map[string]any, len(scalars)+len(lists))
	for name, v := range scalars {
		out[name] = v
	}
	for name, v := range lists {
		out[name], _ = evaluable(v)
	}
	return out
}

// setAttributes puts attributes that were read into a record.
func setAttributes(rec *model.StackResource, attributes resource.Attributes) {
	rec.Attributes, rec.Lists = nil, nil
	for name, v := range attributes {
		switch t := v.(type) {
		case string:
			if rec.Attributes == nil {
				rec.Attributes = make(map[string]string)
			}
			rec.Attributes[name] = t
		case []string:
			if rec.Lists == nil {
				rec.Lists = make(map[string][]string)
			}
			rec.Lists[name] = slices.Clone(t)
		}
	}
}

// records returns the stack's resources.
func (s *Server) records(reader store.Reader, arn string) []*model.StackResource {
	return slices.Collect(s.tables.StackResources.By(reader, "stack", arn))
}

// deployed returns the stack's resources in the engine's form.
func (r *run) deployed() map[string]stack.Deployed { return r.s.deployedOf(r.s.db.View(), r.stack.ARN) }

func (s *Server) deployedOf(reader store.Reader, arn string) map[string]stack.Deployed {
	out := make(map[string]stack.Deployed)
	for _, rec := range s.records(reader, arn) {
		out[rec.LogicalID] = stack.Deployed{
			LogicalID: rec.LogicalID, PhysicalID: rec.PhysicalID, Type: rec.Type, Properties: decode(rec.Properties), Needs: rec.Needs,
			Attributes: attributesOf(rec.Attributes, rec.Lists), Metadata: decodeAny(rec.Metadata),
			Policies: [2]string{rec.DeletionPolicy, rec.UpdateReplacePolicy}, Failed: isFailed(rec.Status),
		}
	}
	return out
}

// encode writes properties as they are kept in a record.
func encode(properties any) string {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(properties); err != nil {
		panic(fmt.Sprintf("cfn: properties are not JSON: %v", err)) // the engine makes nothing else
	}
	return strings.TrimSpace(out.String())
}

// decode is encode's twin; numbers keep their text.
func decode(text string) map[string]any {
	m, _ := decodeAny(text).(map[string]any)
	return m
}

func decodeAny(text string) any {
	if text == "" {
		return nil
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return nil
	}
	return v
}

// exported returns the value of an export of another stack of the same account and region.
func (s *Server) exported(reader store.Reader, importer, name string) (string, bool) {
	arn, _ := model.ParseARN(importer)
	for st := range s.tables.Stacks.By(reader, "export", name) {
		other, _ := model.ParseARN(st.ARN)
		if st.ARN == importer || st.Status == deleteComplete || other.Account != arn.Account || other.Region != arn.Region {
			continue
		}
		for _, o := range st.Outputs {
			if o.Export == name {
				return o.Value, true
			}
		}
	}
	return "", false
}

// importers returns the names of the stacks that use an export, sorted.
func (s *Server) importers(reader store.Reader, exporter, name string) []string {
	arn, _ := model.ParseARN(exporter)
	var out []string
	for st := range s.tables.Stacks.List(reader) {
		other, _ := model.ParseARN(st.ARN)
		if st.Status != deleteComplete && st.ARN != exporter && other.Account == arn.Account && other.Region == arn.Region && slices.Contains(st.Imports, name) {
			out = append(out, st.Name)
		}
	}
	slices.Sort(out)
	return out
}

// exportProblem says why a stack may not have these outputs, "" if it may.
func (s *Server) exportProblem(tx *store.Txn, st *model.Stack, outputs []model.StackOutput) string {
	now := make(map[string]string)
	for _, o := range outputs {
		if o.Export == "" {
			continue
		}
		if _, twice := now[o.Export]; twice {
			return fmt.Sprintf("Output %s has the same export name %s as another output of the stack.", o.Key, o.Export)
		}
		now[o.Export] = o.Value
		arn, _ := model.ParseARN(st.ARN)
		for other := range s.tables.Stacks.By(tx, "export", o.Export) {
			theirs, _ := model.ParseARN(other.ARN)
			if other.ARN != st.ARN && other.Status != deleteComplete && theirs.Account == arn.Account && theirs.Region == arn.Region {
				return fmt.Sprintf("Export with name %s is already exported by stack %s.", o.Export, other.Name)
			}
		}
	}
	for _, o := range st.Outputs {
		if o.Export == "" {
			continue
		}
		value, still := now[o.Export]
		if still && value == o.Value {
			continue
		}
		if users := s.importers(tx, st.ARN, o.Export); len(users) > 0 {
			verb := "deleted"
			if still {
				verb = "updated"
			}
			return fmt.Sprintf("Export %s cannot be %s as it is in use by %s.", o.Export, verb, enumerate(users))
		}
	}
	return ""
}

// enumerate writes names as "a, b and c".
func enumerate(names []string) string {
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}

// tagsFor returns the tags of a resource with these properties, and those that it had.
func (r *run) tagsFor(id string, properties map[string]any, tags model.Tags) map[string]string {
	return resource.TagsOf(maps.Clone(map[string]string(tags)), properties, r.stack.Name, r.stack.ARN, id)
}
