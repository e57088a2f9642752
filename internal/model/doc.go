// Package model holds the records that Neargate keeps: one struct per AWS noun, as it is stored.
//
// A record carries what was asked (the fields that AWS's API takes, under AWS's names) and, where something has to be
// made real, a status that control or node writes. It does no I/O and imports only the standard library. Identifiers,
// ARNs and kernel names are each built by one function here (id.go, arn.go, kernel.go) and parsed by its twin.
// Records that are read from the store are shared: change a clone, never the record itself.
//
// Start at the file named after the noun: vpc.go, securitygroup.go, task.go, service.go, loadbalancer.go, stack.go.
package model

import "time"

// Tags are the key-value pairs that a user puts on a resource.
type Tags map[string]string

// Meta is what every record has.
type Meta struct {
	Tags      Tags      `json:"tags,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
}
