package targets

import (
	"time"

	"github.com/neargate/neargate/internal/model"
)

// facts are what is known of a target group.
type facts struct {
	exists bool
	used   bool          // a listener or a rule forwards to it
	delay  time.Duration // the deregistration delay, scaled
	now    time.Time
}

// plan is what has to be done.
type plan struct {
	remove  []string      // keys of targets that are gone, with their health
	forget  []string      // keys of health records without a target
	recheck time.Duration // when the next target's draining ends; 0: none drains
}

// planGroup decides which targets of a group are gone: those whose deregistration delay is over, those that drain from a
// group that no load balancer uses (nothing can be in flight), and all of a group that is deleted.
func planGroup(f facts, list []*model.Target, health []*model.TargetHealth) plan {
	var p plan
	stays := map[string]bool{}
	for _, t := range list {
		left := f.left(t)
		switch {
		case !f.exists || left == 0:
			p.remove = append(p.remove, t.Key())
			continue
		case left > 0 && (p.recheck == 0 || left < p.recheck):
			p.recheck = left
		}
		stays[t.Key()] = true
	}
	for _, h := range health {
		if !stays[h.Key()] {
			p.forget = append(p.forget, h.Key())
		}
	}
	return p
}

// left returns how long a target still drains, negative if it does not.
func (f facts) left(t *model.Target) time.Duration {
	if t.DrainingSince.IsZero() {
		return -1
	}
	if !f.used {
		return 0
	}
	return max(0, t.DrainingSince.Add(f.delay).Sub(f.now))
}
