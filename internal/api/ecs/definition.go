package ecs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// maxDefinition is the largest task definition in bytes of JSON (aws-facts 1.7).
const maxDefinition = 64 << 10

// RegisterTaskDefinition adds a revision to a family.
func (s *Server) RegisterTaskDefinition(ctx context.Context, in *ecsapi.RegisterTaskDefinitionInput) (*ecsapi.RegisterTaskDefinitionOutput, error) {
	parsed, err := s.parseDefinition(in)
	if err != nil {
		return nil, err
	}
	tags, err := tagsOf(in.Tags)
	if err != nil {
		return nil, err
	}
	if parsed.Registered, err = registration(in); err != nil {
		return nil, fmt.Errorf("encode the registration of %s: %w", parsed.Family, err)
	}
	if len(parsed.Registered) > maxDefinition {
		return nil, client("Actual length: '%d'. Max allowed length is '%d' bytes.", len(parsed.Registered), maxDefinition)
	}
	parsed.Meta = model.Meta{Tags: tags, CreatedAt: s.clock.Now()}
	parsed.RegisteredBy = awsapi.RequestFrom(ctx).Principal
	err = s.db.Update(ctx, func(tx *store.Txn) error {
		last := 0
		for d := range s.tables.TaskDefinitions.By(tx, "family", parsed.Family) {
			last = max(last, d.Revision)
		}
		parsed.Revision = last + 1
		parsed.ARN = s.scope.TaskDefinitionARN(parsed.Family, parsed.Revision)
		s.tables.TaskDefinitions.Put(tx, parsed)
		return nil
	})
	if err != nil {
		return nil, err
	}
	definition, err := definitionView(parsed)
	if err != nil {
		return nil, err
	}
	return &ecsapi.RegisterTaskDefinitionOutput{TaskDefinition: definition, Tags: tagList(tags)}, nil
}

// registration returns the JSON of what was sent, without its tags and without members that are absent: a definition has
// a hundred of them.
func registration(in *ecsapi.RegisterTaskDefinitionInput) ([]byte, error) {
	sent := *in
	sent.Tags = nil
	full, err := json.Marshal(sent)
	if err != nil {
		return nil, err
	}
	var doc any
	decoder := json.NewDecoder(bytes.NewReader(full))
	decoder.UseNumber() // int64 beyond 2^53
	if err := decoder.Decode(&doc); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err = encoder.Encode(present(doc))
	return bytes.TrimSpace(b.Bytes()), err
}

// present returns a JSON value without the members that are null.
func present(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			if member == nil {
				delete(v, name)
				continue
			}
			v[name] = present(member)
		}
	case []any:
		for i := range v {
			v[i] = present(v[i])
		}
	}
	return v
}

// findDefinition returns the revision that a request names: by ARN, by family:revision, or the newest active one of a family.
func (s *Server) findDefinition(r store.Reader, ref string) (*model.TaskDefinition, bool) {
	name := ref
	if arn, ok := model.ParseARN(ref); ok {
		name = strings.TrimPrefix(arn.Resource, "task-definition/")
		if s.scope.ARN("ecs", "task-definition/%s", name) != ref {
			return nil, false // of another account or region
		}
	}
	if family, revision, ok := strings.Cut(name, ":"); ok {
		n, err := strconv.Atoi(revision)
		if err != nil {
			return nil, false
		}
		return s.tables.TaskDefinitions.Get(r, model.TaskDefinitionKey(family, n))
	}
	var newest *model.TaskDefinition
	for d := range s.tables.TaskDefinitions.By(r, "family", name) {
		if d.Status == model.TaskDefinitionActive && (newest == nil || d.Revision > newest.Revision) {
			newest = d
		}
	}
	return newest, newest != nil
}

// runnable returns the active revision that a task or service is to run.
func (s *Server) runnable(r store.Reader, ref string) (*model.TaskDefinition, error) {
	d, ok := s.findDefinition(r, ref)
	switch {
	case !ok:
		return nil, client("TaskDefinition not found.")
	case d.Status != model.TaskDefinitionActive:
		return nil, client("TaskDefinition is inactive")
	}
	return d, nil
}

// DescribeTaskDefinition reads a revision, also an inactive one.
func (s *Server) DescribeTaskDefinition(_ context.Context, in *ecsapi.DescribeTaskDefinitionInput) (*ecsapi.DescribeTaskDefinitionOutput, error) {
	d, ok := s.findDefinition(s.db.View(), awsapi.Val(in.TaskDefinition))
	if !ok {
		return nil, client("Unable to describe task definition.")
	}
	definition, err := definitionView(d)
	if err != nil {
		return nil, err
	}
	out := &ecsapi.DescribeTaskDefinitionOutput{TaskDefinition: definition}
	if slices.Contains(in.Include, ecsapi.TaskDefinitionFieldTags) {
		out.Tags = tagList(d.Tags)
	}
	return out, nil
}

// DeregisterTaskDefinition makes a revision inactive: what runs of it goes on, nothing new is started.
func (s *Server) DeregisterTaskDefinition(ctx context.Context, in *ecsapi.DeregisterTaskDefinitionInput) (*ecsapi.DeregisterTaskDefinitionOutput, error) {
	ref := awsapi.Val(in.TaskDefinition)
	if !strings.Contains(model.LastSegment(ref), ":") {
		return nil, client("Revision is missing. Name the task definition by ARN or as family:revision.")
	}
	var changed *model.TaskDefinition
	err := s.db.Update(ctx, func(tx *store.Txn) error {
		d, ok := s.findDefinition(tx, ref)
		if !ok {
			return client("The specified task definition does not exist. Specify a valid account, family, revision and try again.")
		}
		if d.Status == model.TaskDefinitionActive {
			s.tables.TaskDefinitions.Edit(tx, d.Key(), func(d *model.TaskDefinition) {
				d.Status, d.DeregisteredAt = model.TaskDefinitionInactive, s.clock.Now()
			})
		}
		changed, _ = s.tables.TaskDefinitions.Get(tx, d.Key())
		return nil
	})
	if err != nil {
		return nil, err
	}
	definition, err := definitionView(changed)
	if err != nil {
		return nil, err
	}
	return &ecsapi.DeregisterTaskDefinitionOutput{TaskDefinition: definition}, nil
}

// maxDeleteDefinitions is how many revisions one DeleteTaskDefinitions takes (ECS API).
const maxDeleteDefinitions = 10

// DeleteTaskDefinitions deletes inactive revisions that nothing uses any more; those in use wait in DELETE_IN_PROGRESS
// until control finds them unused.
func (s *Server) DeleteTaskDefinitions(ctx context.Context, in *ecsapi.DeleteTaskDefinitionsInput) (*ecsapi.DeleteTaskDefinitionsOutput, error) {
	if len(in.TaskDefinitions) > maxDeleteDefinitions {
		return nil, client("At most %d task definitions can be deleted at once.", maxDeleteDefinitions)
	}
	var out *ecsapi.DeleteTaskDefinitionsOutput
	err := s.db.Update(ctx, func(tx *store.Txn) error {
		out = &ecsapi.DeleteTaskDefinitionsOutput{TaskDefinitions: []ecsapi.TaskDefinition{}, Failures: []ecsapi.Failure{}}
		for _, ref := range in.TaskDefinitions {
			d, ok := s.findDefinition(tx, ref)
			if !ok {
				out.Failures = append(out.Failures, ecsapi.Failure{Arn: awsapi.Ptr(ref), Reason: awsapi.Ptr("TASK_DEFINITION_NOT_FOUND"), Detail: awsapi.Ptr("The specified task definition was not found.")})
				continue
			}
			if d.Status == model.TaskDefinitionActive {
				out.Failures = append(out.Failures, ecsapi.Failure{Arn: awsapi.Ptr(d.ARN), Reason: awsapi.Ptr("TASK_DEFINITION_ACTIVE"), Detail: awsapi.Ptr("The specified task definition is still in ACTIVE status. Please deregister the target and try again.")})
				continue
			}
			s.tables.TaskDefinitions.Edit(tx, d.Key(), func(d *model.TaskDefinition) { d.Status = model.TaskDefinitionDeleteInProgress })
			d, _ = s.tables.TaskDefinitions.Get(tx, d.Key())
			definition, err := definitionView(d)
			if err != nil {
				return err
			}
			out.TaskDefinitions = append(out.TaskDefinitions, *definition)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ListTaskDefinitions lists the ARNs of revisions, ordered by family and revision.
func (s *Server) ListTaskDefinitions(_ context.Context, in *ecsapi.ListTaskDefinitionsInput) (*ecsapi.ListTaskDefinitionsOutput, error) {
	status := string(in.Status)
	if status == "" {
		status = model.TaskDefinitionActive
	}
	type row struct{ key, arn string }
	var rows []row
	for d := range s.tables.TaskDefinitions.By(s.db.View(), "status", status) {
		if in.FamilyPrefix == nil || d.Family == *in.FamilyPrefix {
			n := d.Revision
			if in.Sort == ecsapi.SortOrderDesc {
				n = -n
			}
			rows = append(rows, row{fmt.Sprintf("%s %020d", d.Family, int64(n)+1<<40), d.ARN})
		}
	}
	page, next, err := awsapi.Page("ecs:ListTaskDefinitions", rows, func(r row) string { return r.key }, in.NextToken, in.MaxResults, maxPage)
	if err != nil {
		return nil, err
	}
	out := &ecsapi.ListTaskDefinitionsOutput{TaskDefinitionArns: []string{}, NextToken: next}
	for _, r := range page {
		out.TaskDefinitionArns = append(out.TaskDefinitionArns, r.arn)
	}
	return out, nil
}

// ListTaskDefinitionFamilies lists families; a family is active as long as one of its revisions is.
func (s *Server) ListTaskDefinitionFamilies(_ context.Context, in *ecsapi.ListTaskDefinitionFamiliesInput) (*ecsapi.ListTaskDefinitionFamiliesOutput, error) {
	active := map[string]bool{}
	for d := range s.tables.TaskDefinitions.List(s.db.View()) {
		if strings.HasPrefix(d.Family, awsapi.Val(in.FamilyPrefix)) && d.Status != model.TaskDefinitionDeleteInProgress {
			active[d.Family] = active[d.Family] || d.Status == model.TaskDefinitionActive
		}
	}
	families := []string{}
	for family, isActive := range active {
		switch in.Status {
		case ecsapi.TaskDefinitionFamilyStatusActive:
			if !isActive {
				continue
			}
		case ecsapi.TaskDefinitionFamilyStatusInactive:
			if isActive {
				continue
			}
		}
		families = append(families, family)
	}
	page, next, err := pageOf("ecs:ListTaskDefinitionFamilies", families, in.NextToken, in.MaxResults, maxPage)
	if err != nil {
		return nil, err
	}
	return &ecsapi.ListTaskDefinitionFamiliesOutput{Families: page, NextToken: next}, nil
}

// definitionView returns the wire form of a revision: what was sent, and what registration adds to it.
// Nothing else is added: Terraform replaces a definition that reads differently from what it sent (client-contracts 5).
func definitionView(d *model.TaskDefinition) (*ecsapi.TaskDefinition, error) {
	var sent ecsapi.RegisterTaskDefinitionInput
	if err := json.Unmarshal(d.Registered, &sent); err != nil {
		return nil, fmt.Errorf("decode the registration of %s: %w", d.Key(), err)
	}
	out := &ecsapi.TaskDefinition{
		ContainerDefinitions: sent.ContainerDefinitions, EphemeralStorage: sent.EphemeralStorage, ExecutionRoleArn: sent.ExecutionRoleArn,
		Family: awsapi.Ptr(d.Family), NetworkMode: ecsapi.NetworkMode(d.NetworkMode), PidMode: sent.PidMode, PlacementConstraints: []ecsapi.TaskDefinitionPlacementConstraint{},
		RegisteredAt: awsapi.Ptr(d.CreatedAt), RegisteredBy: awsapi.NonZero(d.RegisteredBy), RequiresCompatibilities: sent.RequiresCompatibilities,
		Revision: awsapi.Ptr(int32(d.Revision)), RuntimePlatform: sent.RuntimePlatform, Status: ecsapi.TaskDefinitionStatus(d.Status),
		TaskDefinitionArn: awsapi.Ptr(d.ARN), TaskRoleArn: sent.TaskRoleArn, Volumes: sent.Volumes,
		Cpu: awsapi.Ptr(itoa(d.CPU)), Memory: awsapi.Ptr(itoa(d.MemoryMiB)),
	}
	if out.Volumes == nil {
		out.Volumes = []ecsapi.Volume{}
	}
	for _, c := range d.Compatibilities {
		out.Compatibilities = append(out.Compatibilities, ecsapi.Compatibility(c))
	}
	if !d.DeregisteredAt.IsZero() {
		out.DeregisteredAt = awsapi.Ptr(d.DeregisteredAt)
	}
	for i := range out.ContainerDefinitions {
		addDefaults(&out.ContainerDefinitions[i])
	}
	return out, nil
}

// addDefaults adds what AWS adds to a container definition and every client tolerates.
func addDefaults(c *ecsapi.ContainerDefinition) {
	if c.Cpu == nil {
		c.Cpu = awsapi.Ptr(int32(0))
	}
	if c.Essential == nil {
		c.Essential = awsapi.Ptr(true)
	}
	for i := range c.PortMappings {
		p := &c.PortMappings[i]
		if awsapi.Val(p.HostPort) == 0 {
			p.HostPort = p.ContainerPort
		}
		if p.Protocol == "" {
			p.Protocol = ecsapi.TransportProtocolTcp
		}
	}
	if c.Environment == nil {
		c.Environment = []ecsapi.KeyValuePair{}
	}
	if c.MountPoints == nil {
		c.MountPoints = []ecsapi.MountPoint{}
	}
	if c.VolumesFrom == nil {
		c.VolumesFrom = []ecsapi.VolumeFrom{}
	}
	if c.PortMappings == nil {
		c.PortMappings = []ecsapi.PortMapping{}
	}
	if c.SystemControls == nil {
		c.SystemControls = []ecsapi.SystemControl{}
	}
}
