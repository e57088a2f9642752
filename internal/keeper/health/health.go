package health

import (
	"fmt"
	"time"
)

// States, as DescribeTargetHealth names them.
const (
	Initial   = "initial"
	Healthy   = "healthy"
	Unhealthy = "unhealthy"
	Draining  = "draining"
	Unused    = "unused"
)

// Reason codes.
const (
	ReasonRegistrationInProgress   = "Elb.RegistrationInProgress"
	ReasonInitialHealthChecking    = "Elb.InitialHealthChecking"
	ReasonInternalError            = "Elb.InternalError"
	ReasonResponseCodeMismatch     = "Target.ResponseCodeMismatch"
	ReasonTimeout                  = "Target.Timeout"
	ReasonFailedHealthChecks       = "Target.FailedHealthChecks"
	ReasonNotInUse                 = "Target.NotInUse"
	ReasonNotRegistered            = "Target.NotRegistered"
	ReasonDeregistrationInProgress = "Target.DeregistrationInProgress"
)

// Health is what is known of a target.
type Health struct {
	State       string    `json:"state"`
	Reason      string    `json:"reason,omitempty"`
	Description string    `json:"description,omitempty"`
	Since       time.Time `json:"since"` // when it came into this state
}

// Outcome is what one check found.
type Outcome struct {
	Passed      bool
	Reason      string
	Description string
}

// What a check can find.
var (
	passed        = Outcome{Passed: true}
	timedOut      = Outcome{Reason: ReasonTimeout, Description: "Request timed out"}
	failed        = Outcome{Reason: ReasonFailedHealthChecks, Description: "Health checks failed"}
	internalError = Outcome{Reason: ReasonInternalError, Description: "Health checks failed due to an internal error"}
)

func mismatch(code int) Outcome {
	return Outcome{Reason: ReasonResponseCodeMismatch, Description: fmt.Sprintf("Health checks failed with these codes: [%d]", code)}
}

// Target is one target's state machine. It is a value: no I/O, no clock, no locks. Make one with [NewTarget].
//
//	initial ---- one pass ---------------------> healthy
//	initial ---- UnhealthyThreshold failures --> unhealthy
//	healthy ---- UnhealthyThreshold failures --> unhealthy (in a row)
//	unhealthy -- HealthyThreshold passes ------> healthy (in a row)
//	any -------- deregistered -----------------> draining; not in use: unused; registered again: initial
type Target struct {
	Health   Health `json:"health"`
	Passes   int    `json:"passes,omitempty"`   // in a row
	Failures int    `json:"failures,omitempty"` // in a row
}

// NewTarget returns a target that was just registered.
func NewTarget(now time.Time) Target {
	return Target{Health: Health{
		State: Initial, Reason: ReasonRegistrationInProgress, Description: "Target registration is in progress", Since: now,
	}}
}

// Place puts the target where its registration says it is, before any check. It reports whether the health changed.
func (t *Target) Place(spec TargetSpec, now time.Time) bool {
	switch {
	case spec.Draining:
		return t.become(Health{State: Draining, Reason: ReasonDeregistrationInProgress, Description: "Target deregistration is in progress"}, now)
	case spec.Unused != "":
		return t.become(Health{State: Unused, Reason: ReasonNotInUse, Description: spec.Unused}, now)
	case t.Health.State == Draining, t.Health.State == Unused:
		*t = NewTarget(now) // registered, or in use, once more
		return true
	}
	return false
}

// IsChecked reports whether the target is to be checked.
func (t *Target) IsChecked() bool { return t.Health.State != Draining && t.Health.State != Unused }

// Begin says that the first check is on its way. It reports whether the health changed.
func (t *Target) Begin(now time.Time) bool {
	if t.Health.State != Initial {
		return false
	}
	return t.become(Health{State: Initial, Reason: ReasonInitialHealthChecking, Description: "Initial health checks in progress"}, now)
}

// Observe takes in the outcome of one check and reports whether the health changed.
func (t *Target) Observe(o Outcome, healthyThreshold, unhealthyThreshold int, now time.Time) bool {
	if !t.IsChecked() {
		return false
	}
	if o.Passed {
		t.Passes, t.Failures = t.Passes+1, 0
		if t.Health.State == Initial || t.Health.State == Unhealthy && t.Passes >= healthyThreshold {
			return t.become(Health{State: Healthy}, now)
		}
		return false
	}
	t.Passes, t.Failures = 0, t.Failures+1
	if t.Health.State != Unhealthy && t.Failures < unhealthyThreshold {
		return false
	}
	return t.become(Health{State: Unhealthy, Reason: o.Reason, Description: o.Description}, now)
}

// become changes the health; a new reason for the same state keeps its beginning.
func (t *Target) become(h Health, now time.Time) bool {
	h.Since = now
	if h.State == t.Health.State {
		h.Since = t.Health.Since
	}
	if h == t.Health {
		return false
	}
	if h.State != t.Health.State {
		t.Passes, t.Failures = 0, 0
	}
	t.Health = h
	return true
}

// serving returns which of the group's targets get requests: the healthy ones; or all that are registered, if fewer
// than the group's minimum are healthy (fail open).
func serving(g Group, states map[string]string) map[string]bool {
	healthy := 0
	for _, t := range g.Targets {
		if states[t.ID] == Healthy {
			healthy++
		}
	}
	open := healthy < max(g.MinimumHealthy, 1)
	out := make(map[string]bool, len(g.Targets))
	for _, t := range g.Targets {
		s := states[t.ID]
		out[t.ID] = s == Healthy || open && s != Draining && s != Unused
	}
	return out
}
