// Package clock is the one source of time: what the time is, and how long an AWS delay lasts here.
//
// Every delay that AWS defines (health-check interval, deregistration delay, NAT gateway provisioning, grace period)
// goes through [Clock.Scale], so that `--speed N` shortens all of them alike and nothing else. Time-outs of our own
// (dialling a Unix socket, waiting for a child) are not scaled. Tests use testing/synctest or [Fixed].
package clock

import (
	"context"
	"time"
)

// Clock tells the time and scales AWS delays. The zero value is real time at speed 1.
type Clock struct {
	speed float64
	now   func() time.Time
}

// New returns a real clock that divides AWS delays by speed; speed below or equal 0 means 1.
func New(speed float64) *Clock { return &Clock{speed: speed} }

// Fixed returns a clock that always says t, for tests of pure planning.
func Fixed(t time.Time) *Clock { return &Clock{now: func() time.Time { return t }} }

// Now returns the current time in UTC.
func (c *Clock) Now() time.Time {
	if c != nil && c.now != nil {
		return c.now()
	}
	return time.Now().UTC()
}

// Speed returns the divisor of AWS delays, 1 by default.
func (c *Clock) Speed() float64 {
	if c == nil || c.speed <= 0 {
		return 1
	}
	return c.speed
}

// Scale returns how long an AWS delay of d lasts here.
func (c *Clock) Scale(d time.Duration) time.Duration {
	if s := c.Speed(); s != 1 {
		return time.Duration(float64(d) / s)
	}
	return d
}

// Seconds returns the scaled duration of n AWS seconds.
func (c *Clock) Seconds(n int) time.Duration { return c.Scale(time.Duration(n) * time.Second) }

// Sleep waits for the AWS delay d, scaled, or until ctx ends; it returns ctx's error in that case.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(c.Scale(d))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
