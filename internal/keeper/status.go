package keeper

import (
	"time"

	"github.com/neargate/neargate/internal/keeper/health"
	"github.com/neargate/neargate/internal/keeper/logship"
)

// Info tells which keeper answers.
type Info struct {
	Protocol int       `json:"protocol"` // of the control socket
	Version  string    `json:"version"`  // of the binary
	PID      int       `json:"pid"`
	Epoch    string    `json:"epoch"` // changes with every start; status sequence numbers belong to one epoch
	Started  time.Time `json:"started"`
	Speed    float64   `json:"speed"`
}

// Inventory is what the keeper holds: the identifiers of each kind, sorted.
type Inventory map[Kind][]string

// Status is what the keeper has seen, full or since a sequence number (see [Client.Watch]).
type Status struct {
	Epoch string `json:"epoch"`
	Seq   uint64 `json:"seq"`
	// Full says that everything is listed, not only what changed: what is missing is no longer held.
	Full    bool           `json:"full"`
	Targets []TargetStatus `json:"targets,omitempty"`
	// Faults are the objects that could not be made so; the keeper goes on trying.
	Faults []ObjectFault `json:"faults,omitempty"`
}

// TargetStatus is the health of one target.
type TargetStatus struct {
	LoadBalancer string        `json:"loadBalancer"`
	Group        string        `json:"group"`
	Target       string        `json:"target"`
	Health       health.Health `json:"health"`
}

// ObjectFault is an object that is not as it was asked for. An empty Error says that it now is.
type ObjectFault struct {
	Kind  Kind   `json:"kind"`
	ID    string `json:"id"`
	Error string `json:"error"`
}

// Counters are numbers that change too often to be watched.
type Counters struct {
	Logs      []LogCounters      `json:"logs,omitempty"`
	Resolvers []ResolverCounters `json:"resolvers,omitempty"`
	Doors     int                `json:"doorConnections"`
	Endpoints int                `json:"endpointConnections"`
	Waiting   int                `json:"endpointConnectionsWaiting"` // for the daemon to come back
}

// LogCounters tell how far a container's output has got.
type LogCounters struct {
	Task string `json:"task"`
	logship.Counters
}

// ResolverCounters count one VPC's questions.
type ResolverCounters struct {
	VPC      string `json:"vpc"`
	Queries  uint64 `json:"queries"`
	Missing  uint64 `json:"missing"`  // names that do not exist
	Dropped  uint64 `json:"dropped"`  // over the rate limit
	Upstream uint64 `json:"upstream"` // passed on
}

// DrainResult tells how the end of a task's logs went.
type DrainResult struct {
	// Drained says that everything was sent. When it was not, Left is how many bytes were given up.
	Drained bool  `json:"drained"`
	Left    int64 `json:"left"`
}
