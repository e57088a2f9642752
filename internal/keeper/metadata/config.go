// Package metadata serves the task metadata endpoint v4 and task credentials, as containers find them at 169.254.170.2.
//
// The documents are made elsewhere and handed in whole; the package adds what only the host knows at the moment of the
// question: cgroup and interface counters. It knows no task states and refreshes no credentials. Start at [Server].
package metadata

import (
	"encoding/json"
	"time"
)

// Config is what one task is told about itself.
type Config struct {
	// Task answers /v4/<id>/task, Tagged answers /v4/<id>/taskWithTags (Task when empty). Both are TaskResponse documents.
	Task   json.RawMessage `json:"task,omitempty"`
	Tagged json.RawMessage `json:"tagged,omitempty"`
	// Containers by their place in the task definition.
	Containers []Container `json:"containers,omitempty"`
	// Credentials that the task may ask for, each by its own identifier.
	Credentials []Credentials `json:"credentials,omitempty"`
}

// Container is one container's view.
type Container struct {
	// ID is the <id> of ECS_CONTAINER_METADATA_URI_V4=http://169.254.170.2/v4/<id>.
	ID string `json:"id"`
	// DockerID keys the container in /task/stats; often the same as ID.
	DockerID string `json:"dockerId"`
	Name     string `json:"name"`
	// Document is the ContainerResponse.
	Document json.RawMessage `json:"document,omitempty"`
	// Cgroup is the path below the cgroup mount ("/neargate/<task>/<container>"), the same in every v1 controller or in the
	// v2 tree. Empty: stats are null.
	Cgroup string `json:"cgroup,omitempty"`
}

// Credentials are served at /v2/credentials/<ID>.
type Credentials struct {
	ID              string    `json:"id"`
	RoleARN         string    `json:"roleArn"`
	AccessKeyID     string    `json:"accessKeyId"`
	SecretAccessKey string    `json:"secretAccessKey"`
	Token           string    `json:"token"`
	Expiration      time.Time `json:"expiration"`
}
