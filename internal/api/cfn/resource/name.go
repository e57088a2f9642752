package resource

import (
	"crypto/sha256"
	"maps"
	"slices"
	"strings"

	"github.com/neargate/neargate/internal/stack"
)

// CloudFormation's own tags.
const (
	TagStackName = "aws:cloudformation:stack-name"
	TagStackID   = "aws:cloudformation:stack-id"
	TagLogicalID = "aws:cloudformation:logical-id"
)

// Name returns the name that CloudFormation gives a resource without one: <stack>-<logical ID>-<random>, cut to limit
// characters in front. It depends on the token only, so a repeated step gives the same name.
func (r *Request) Name(limit int) string {
	suffix := r.random()
	front := r.StackName + "-" + r.LogicalID
	if room := limit - len(suffix) - 1; len(front) > room {
		half := (room - 1) / 2
		name, id := r.StackName, r.LogicalID
		if len(name) > half {
			name = name[:max(half, room-1-len(id))]
		}
		if rest := room - 1 - len(name); len(id) > rest {
			id = id[:rest]
		}
		front = strings.TrimSuffix(name, "-") + "-" + id
	}
	return front + "-" + suffix
}

// shortName is the form for load balancers and target groups: five letters each, then the random part.
func (r *Request) shortName() string {
	cut := func(s string) string { return strings.Trim(s[:min(len(s), 5)], "-") }
	return cut(r.StackName) + "-" + cut(r.LogicalID) + "-" + r.random()
}

// random returns the twelve characters that the token stands for.
func (r *Request) random() string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	sum := sha256.Sum256([]byte(r.StackARN + r.LogicalID + r.Token))
	out := make([]byte, 12)
	for i := range out {
		out[i] = letters[int(sum[i])%len(letters)]
	}
	return string(out)
}

// nameOr returns the property that names the resource, or a generated name.
func (r *Request) nameOr(property string, limit int) string {
	if name := r.text(property); name != "" {
		return name
	}
	return r.Name(limit)
}

// TagsOf returns the tags of a resource: the stack's, those of its Tags property over them, and CloudFormation's own.
func TagsOf(stackTags map[string]string, properties map[string]any, stackName, stackARN, logicalID string) map[string]string {
	out := make(map[string]string)
	maps.Copy(out, stackTags)
	for _, tag := range objects(properties, "Tags") {
		key, _ := stack.Text(tag["Key"])
		value, _ := stack.Text(tag["Value"])
		if key != "" {
			out[key] = value
		}
	}
	out[TagStackName], out[TagStackID], out[TagLogicalID] = stackName, stackARN, logicalID
	return out
}

// userTags returns the tags without CloudFormation's own, for the services that take no tag under aws: at all (IAM, ECR,
// Logs). What they hold is found by its name.
func userTags(tags map[string]string) map[string]string {
	var out map[string]string // nil, since an empty map is not a valid input
	for key, value := range tags {
		if !strings.HasPrefix(key, "aws:") {
			if out == nil {
				out = make(map[string]string)
			}
			out[key] = value
		}
	}
	return out
}

// tagList turns tags into a service's own type, in the order of their keys.
func tagList[T any](tags map[string]string, tag func(key, value string) T) []T {
	out := make([]T, 0, len(tags))
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, tag(key, tags[key]))
	}
	return out
}

// tagChanges returns what an update does to the tags.
func (r *Request) tagChanges() (set map[string]string, remove []string) {
	if r.Old == nil {
		return nil, nil
	}
	set = make(map[string]string)
	for key, value := range r.Tags {
		if before, had := r.OldTags[key]; !had || before != value {
			set[key] = value
		}
	}
	for _, key := range slices.Sorted(maps.Keys(r.OldTags)) {
		if _, has := r.Tags[key]; !has {
			remove = append(remove, key)
		}
	}
	return set, remove
}
