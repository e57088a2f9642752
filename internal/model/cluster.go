package model

import "time"

// Cluster states.
const (
	ClusterActive   = "ACTIVE"
	ClusterInactive = "INACTIVE"
)

// Cluster groups services and tasks. Its key is its name.
type Cluster struct {
	Meta
	Name              string                     `json:"name"`
	ARN               string                     `json:"arn"`
	Status            string                     `json:"status"`
	Settings          []NameValue                `json:"settings,omitempty"` // containerInsights
	CapacityProviders []string                   `json:"capacityProviders,omitempty"`
	DefaultStrategy   []CapacityProviderStrategy `json:"defaultStrategy,omitempty"`
	DeletedAt         time.Time                  `json:"deletedAt"`
}

// NameValue is a named setting.
type NameValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// CapacityProviderStrategy is one item of a strategy: FARGATE or FARGATE_SPOT with base and weight.
type CapacityProviderStrategy struct {
	Provider string `json:"provider"`
	Base     int    `json:"base,omitempty"`
	Weight   int    `json:"weight,omitempty"`
}
