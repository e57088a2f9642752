// Package health checks the targets of load balancers: a pure state machine with AWS's states and reasons, probes that
// are dialled from the load balancer's namespace, and the setting of HAProxy's servers by what they found.
//
// It decides nothing about who is a target and renders no HAProxy configuration. Start at [Target] (one target's state
// machine) and [Checker] (everything of one load balancer).
package health

import (
	"fmt"
	"net/netip"
	"time"
)

// Protocols of a check.
const (
	HTTP  = "HTTP"
	HTTPS = "HTTPS"
	TCP   = "TCP"
)

// Config is everything that is checked for one load balancer.
type Config struct {
	// HAProxySocket is the runtime socket of the load balancer's HAProxy (a "level admin" stats socket). Empty: states are only reported.
	HAProxySocket string  `json:"haproxySocket,omitempty"`
	Groups        []Group `json:"groups,omitempty"`
}

// Group is one target group. Durations are AWS's, unscaled; the keeper divides them by its speed.
type Group struct {
	// ID names the group in reports; the target group's ARN.
	ID       string        `json:"id"`
	Protocol string        `json:"protocol"`       // HTTP, HTTPS or TCP
	Path     string        `json:"path,omitempty"` // "/" when empty
	Matcher  string        `json:"matcher,omitempty"`
	Interval time.Duration `json:"interval"`
	Timeout  time.Duration `json:"timeout"`
	// HealthyThreshold passes make an unhealthy target healthy; a new one needs one. UnhealthyThreshold failures make it unhealthy.
	HealthyThreshold   int `json:"healthyThreshold"`
	UnhealthyThreshold int `json:"unhealthyThreshold"`
	// Backend is the HAProxy backend that holds the group's servers. When several backends share a group (as in weighted
	// rules), list them all: each must name its servers alike.
	Backends []string `json:"backends,omitempty"`
	// MinimumHealthy is target_group_health.unhealthy_state_routing.minimum_healthy_targets.count: with fewer healthy
	// targets every target gets traffic (fail open). 0 means 1.
	MinimumHealthy int          `json:"minimumHealthy,omitempty"`
	Targets        []TargetSpec `json:"targets,omitempty"`
}

// TargetSpec is one target of a group.
type TargetSpec struct {
	// ID names the target in reports, unique in the group: "10.0.1.5:80".
	ID      string     `json:"id"`
	Address netip.Addr `json:"address"`
	// Port is where checks go: the target's own port, or the group's fixed health check port.
	Port uint16 `json:"port"`
	// Source is the load balancer node's address that checks come from: its ENI's in the target's zone.
	Source netip.Addr `json:"source"`
	// Server is the HAProxy server of the target. Empty: none.
	Server string `json:"server,omitempty"`
	// Draining says that the target is being deregistered: no checks, no new requests.
	Draining bool `json:"draining,omitempty"`
	// Unused says that the group gets no traffic from this load balancer, or the target's zone is not enabled: not
	// checked; the text tells why (see DescribeNotInUse, DescribeZoneNotEnabled).
	Unused string `json:"unused,omitempty"`
}

// Why a target is unused.
const (
	DescribeNotInUse       = "Target group is not configured to receive traffic from the load balancer"
	DescribeZoneNotEnabled = "Target is in an Availability Zone that is not enabled for the load balancer"
)

// Validate reports what is wrong with the configuration.
func (c Config) Validate() error {
	groups := map[string]bool{}
	for _, g := range c.Groups {
		if groups[g.ID] {
			return fmt.Errorf("target group %s is listed twice", g.ID)
		}
		groups[g.ID] = true
		if err := g.validate(); err != nil {
			return fmt.Errorf("target group %s: %w", g.ID, err)
		}
	}
	return nil
}

func (g Group) validate() error {
	switch g.Protocol {
	case HTTP, HTTPS:
		if _, err := ParseMatcher(g.Matcher); err != nil {
			return err
		}
	case TCP:
	default:
		return fmt.Errorf("health check protocol %q is not supported", g.Protocol)
	}
	if g.Interval <= 0 || g.Timeout <= 0 || g.HealthyThreshold < 1 || g.UnhealthyThreshold < 1 {
		return fmt.Errorf("interval, timeout and thresholds must be positive")
	}
	ids := map[string]bool{}
	for _, t := range g.Targets {
		if ids[t.ID] {
			return fmt.Errorf("target %s is listed twice", t.ID)
		}
		ids[t.ID] = true
		if !t.Address.IsValid() || t.Port == 0 {
			return fmt.Errorf("target %s has no address and port", t.ID)
		}
	}
	return nil
}
