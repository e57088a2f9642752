package model

import "time"

// Repository is an ECR repository. Its key is its name.
type Repository struct {
	Meta
	Name            string   `json:"name"`
	ARN             string   `json:"arn"`
	URI             string   `json:"uri"`
	TagMutability   string   `json:"tagMutability"`           // MUTABLE, IMMUTABLE, or one of them _WITH_EXCLUSION
	TagExclusions   []string `json:"tagExclusions,omitempty"` // patterns with '*' of tags that are excluded
	ScanOnPush      bool     `json:"scanOnPush,omitempty"`
	Encryption      string   `json:"encryption"` // AES256
	LifecyclePolicy string   `json:"lifecyclePolicy,omitempty"`
	Policy          string   `json:"policy,omitempty"`
}

// Image is a manifest in a repository. Its key is [ImageKey]; the manifest's bytes are a blob on disk.
type Image struct {
	Repository   string    `json:"repository"`
	Digest       string    `json:"digest"`
	MediaType    string    `json:"mediaType"`
	ArtifactType string    `json:"artifactType,omitempty"`
	Tags         []string  `json:"tags,omitempty"`
	SizeBytes    int64     `json:"sizeBytes"`           // compressed config and layers
	ManifestSize int64     `json:"manifestSize"`        // bytes of the manifest itself
	Blobs        []string  `json:"blobs,omitempty"`     // digests of config and layers
	Manifests    []string  `json:"manifests,omitempty"` // digests that an index names
	Subject      string    `json:"subject,omitempty"`
	PushedAt     time.Time `json:"pushedAt"`
	PulledAt     time.Time `json:"pulledAt"`
}

// ImageKey returns the key of an image.
func ImageKey(repository, digest string) string { return repository + "@" + digest }

// Key returns the record's key.
func (i *Image) Key() string { return ImageKey(i.Repository, i.Digest) }

// LogGroup is a CloudWatch Logs group. Its key is its name.
type LogGroup struct {
	Meta
	ID            string `json:"id"` // random; a group that is deleted and made again is another one
	Name          string `json:"name"`
	ARN           string `json:"arn"`                     // without the trailing :*
	RetentionDays int    `json:"retentionDays,omitempty"` // 0: for ever
	Class         string `json:"class,omitempty"`
}

// LogStream is a stream of a group. Its key is [LogStreamKey]; events are in logstore, not in the store.
type LogStream struct {
	ID        string    `json:"id"` // random; names the stream's folder in logstore
	Group     string    `json:"group"`
	Name      string    `json:"name"`
	ARN       string    `json:"arn"`
	CreatedAt time.Time `json:"createdAt"`
}

// LogStreamKey returns the key of a stream. A colon cannot occur in either name.
func LogStreamKey(group, stream string) string { return group + ":" + stream }

// Key returns the record's key.
func (s *LogStream) Key() string { return LogStreamKey(s.Group, s.Name) }
