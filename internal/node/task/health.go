package task

import (
	"time"

	"github.com/neargate/neargate/internal/model"
)

// leastInterval keeps a fast clock from checking without a pause: each check is a process.
const leastInterval = 250 * time.Millisecond

// health is what is known of a container's health; the zero value is UNKNOWN.
type health struct {
	status   string // empty: UNKNOWN
	failures int    // in a row, those that count
	checked  time.Time
	since    time.Time // of the status
	exitCode int
	output   string
}

// name returns AWS's word.
func (h health) name() string {
	if h.status == "" {
		return model.HealthUnknown
	}
	return h.status
}

// due returns when the next check begins: an interval after the container's start, and after each check.
func (h health) due(c *model.ContainerHealth, started time.Time, scale func(time.Duration) time.Duration) time.Time {
	from := started
	if h.checked.After(from) {
		from = h.checked
	}
	interval := time.Duration(c.Interval) * time.Second
	return from.Add(max(scale(interval), min(interval, leastInterval)))
}

// checkResult is the outcome of one check.
type checkResult struct {
	ok       bool
	exitCode int
	output   string
	at       time.Time // its end
}

// after returns the health that follows from a check. In the start period failures do not count, but one success ends
// it (aws-facts 1.6).
func (h health) after(c *model.ContainerHealth, r checkResult, started time.Time, scale func(time.Duration) time.Duration) health {
	next := h
	next.checked, next.exitCode, next.output = r.at, r.exitCode, r.output
	status := h.status
	switch {
	case r.ok:
		next.failures, status = 0, model.HealthHealthy
	case h.status == "" && r.at.Before(started.Add(scale(time.Duration(c.StartPeriod)*time.Second))):
	default:
		next.failures++
		if next.failures >= c.Retries {
			status = model.HealthUnhealthy
		}
	}
	if status != h.status {
		next.status, next.since = status, r.at
	}
	return next
}

// taskHealth is the worst of the containers that count: the essential ones that have a check.
func taskHealth(d *model.TaskDefinition, containers map[string]observed) string {
	result := ""
	for i := range d.Containers {
		c := &d.Containers[i]
		if !c.Essential || c.HealthCheck == nil {
			continue
		}
		switch h := containers[c.Name].health.name(); {
		case h == model.HealthUnhealthy:
			return h
		case h == model.HealthUnknown || result == "":
			result = h
		}
	}
	if result == "" {
		return model.HealthUnknown
	}
	return result
}
