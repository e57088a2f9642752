package model

import "time"

// Service states.
const (
	ServiceActive   = "ACTIVE"
	ServiceDraining = "DRAINING"
	ServiceInactive = "INACTIVE"
)

// Service keeps a number of tasks running. Its key is [ServiceKey].
type Service struct {
	Meta
	Cluster            string                     `json:"cluster"` // name
	Name               string                     `json:"name"`
	ARN                string                     `json:"arn"`
	Status             string                     `json:"status"`
	DesiredCount       int                        `json:"desiredCount"`
	LaunchType         string                     `json:"launchType,omitempty"`
	CapacityStrategy   []CapacityProviderStrategy `json:"capacityStrategy,omitempty"`
	PlatformVersion    string                     `json:"platformVersion"`
	SchedulingStrategy string                     `json:"schedulingStrategy"`
	MinimumPercent     int                        `json:"minimumPercent"`
	MaximumPercent     int                        `json:"maximumPercent"`
	CircuitBreaker     *CircuitBreaker            `json:"circuitBreaker,omitempty"`
	GracePeriod        *int                       `json:"gracePeriod,omitempty"` // seconds
	EnableExec         bool                       `json:"enableExec,omitempty"`
	ManagedTags        bool                       `json:"managedTags,omitempty"`
	PropagateTags      string                     `json:"propagateTags,omitempty"`
	AZRebalancing      string                     `json:"azRebalancing,omitempty"`
	RoleARN            string                     `json:"roleArn,omitempty"`
	CreatedBy          string                     `json:"createdBy,omitempty"`
	ClientToken        string                     `json:"clientToken,omitempty"`
	LoadBalancers      []ServiceLoadBalancer      `json:"loadBalancers,omitempty"`
	Deployments        []Deployment               `json:"deployments"`           // the first is PRIMARY
	Events             []ServiceEvent             `json:"events,omitempty"`      // newest first, at most 100
	Rebalancing        bool                       `json:"rebalancing,omitempty"` // one task more than desired runs, to even out the zones
	RebalanceAfter     time.Time                  `json:"rebalanceAfter"`        // evening out did not help: not before this time again
	DeletedAt          time.Time                  `json:"deletedAt"`
	SteadyAt           time.Time                  `json:"steadyAt"` // when "has reached a steady state" was said last; zero when not steady
}

// ServiceKey returns the key of a service.
func ServiceKey(cluster, name string) string { return cluster + "/" + name }

// Key returns the record's key.
func (s *Service) Key() string { return ServiceKey(s.Cluster, s.Name) }

// CircuitBreaker stops a deployment whose tasks do not start.
type CircuitBreaker struct {
	Enable   bool `json:"enable"`
	Rollback bool `json:"rollback"`
}

// ServiceLoadBalancer registers a container's port in a target group.
type ServiceLoadBalancer struct {
	TargetGroupARN string `json:"targetGroupArn"`
	Container      string `json:"containerName"`
	Port           int    `json:"containerPort"`
}

// Deployment states.
const (
	DeploymentPrimary  = "PRIMARY"
	DeploymentActive   = "ACTIVE"
	DeploymentInactive = "INACTIVE"

	RolloutInProgress = "IN_PROGRESS"
	RolloutCompleted  = "COMPLETED"
	RolloutFailed     = "FAILED"
)

// Deployment is one version of a service: a definition with its network, rolled out by the scheduler.
type Deployment struct {
	ID               string                     `json:"id"`
	Status           string                     `json:"status"`
	DefinitionKey    string                     `json:"definitionKey"`
	DefinitionARN    string                     `json:"definitionArn"`
	Desired          int                        `json:"desired"`
	Pending          int                        `json:"pending"`
	Running          int                        `json:"running"`
	Failed           int                        `json:"failed"`
	RolloutState     string                     `json:"rolloutState"`
	RolloutReason    string                     `json:"rolloutReason,omitempty"`
	LaunchType       string                     `json:"launchType,omitempty"`
	CapacityStrategy []CapacityProviderStrategy `json:"capacityStrategy,omitempty"`
	PlatformVersion  string                     `json:"platformVersion"`
	Network          NetworkConfiguration       `json:"network"`
	LoadBalancers    []ServiceLoadBalancer      `json:"loadBalancers,omitempty"`
	Images           map[string]string          `json:"images,omitempty"` // by container: the digest that its first task found, which later ones use
	CreatedAt        time.Time                  `json:"createdAt"`
	UpdatedAt        time.Time                  `json:"updatedAt"`
	// Everything the breaker and the restart throttle need to go on after a restart of the daemon.
	RanOnce     bool      `json:"ranOnce,omitempty"`   // a task of it was healthy once: the breaker is out
	NextStartAt time.Time `json:"nextStartAt"`         // no task is started before
	Throttled   int       `json:"throttled,omitempty"` // rounds of starts in a row that failed
	Rollback    bool      `json:"rollback,omitempty"`  // the circuit breaker made it: it is not rolled back in turn
	CompletedAt time.Time `json:"completedAt"`         // when the rollout ended, well or not
}

// ServiceEvent is one line of a service's history.
type ServiceEvent struct {
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"createdAt"`
	Message   string    `json:"message"`
}
