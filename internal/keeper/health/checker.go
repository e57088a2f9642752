package health

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// syncEvery is how often HAProxy's servers are compared with what they should be; changes are set at once.
	syncEvery = 3 * time.Second
	// Whatever the speed, a check must be given the time that a busy machine needs.
	minInterval = 100 * time.Millisecond
	minTimeout  = 500 * time.Millisecond
	firstJitter = 100 * time.Millisecond
)

// Key names a target within a load balancer.
type Key struct {
	Group  string `json:"group"`
	Target string `json:"target"`
}

// Options of a Checker.
type Options struct {
	Dial DialFunc
	// Scale shortens AWS delays (clock.Scale). Nil: not at all.
	Scale func(time.Duration) time.Duration
	// Report is told of every change, in order. It must not block and not call back.
	Report func(Key, Health)
	Logger *slog.Logger
}

// Checker checks the targets of one load balancer and sets HAProxy's servers. Targets are checked by timers; none holds
// a goroutine between its checks. On AWS every node of the load balancer checks every target, here one does: the node in
// the target's zone.
type Checker struct {
	o      Options
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	kick   chan struct{}

	mu      sync.Mutex
	cfg     Config
	targets map[Key]*checked
}

// checked is a target under check.
type checked struct {
	key   Key
	group Group // without Targets
	spec  TargetSpec
	fsm   Target
	timer *time.Timer // nil while a check runs, or when it is not checked
	gen   int         // changes when a running check no longer counts
}

// NewChecker returns a checker without targets. What restore holds of later targets' states is taken over.
func NewChecker(o Options, restore map[Key]Target) *Checker {
	c := &Checker{o: o, kick: make(chan struct{}, 1), targets: map[Key]*checked{}}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	for key, fsm := range restore {
		c.targets[key] = &checked{key: key, fsm: fsm}
	}
	c.wg.Go(c.syncLoop)
	return c
}

// Stop ends all checks; HAProxy's servers stay as they are.
func (c *Checker) Stop() {
	c.mu.Lock()
	c.cancel()
	for _, t := range c.targets {
		t.halt()
	}
	c.mu.Unlock()
	c.wg.Wait()
}

// Snapshot returns all states, for NewChecker of a later process.
func (c *Checker) Snapshot() map[Key]Target {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[Key]Target, len(c.targets))
	for key, t := range c.targets {
		out[key] = t.fsm
	}
	return out
}

// Set replaces the configuration. Targets that stay keep their state; one whose address or port changed begins anew.
func (c *Checker) Set(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return c.ctx.Err()
	}
	c.cfg = cfg
	now := time.Now().UTC()
	seen := map[Key]bool{}
	for _, g := range cfg.Groups {
		bare := g
		bare.Targets = nil
		for _, spec := range g.Targets {
			key := Key{Group: g.ID, Target: spec.ID}
			seen[key] = true
			c.setTarget(key, bare, spec, now)
		}
	}
	for key, t := range c.targets {
		if !seen[key] {
			t.halt()
			delete(c.targets, key)
		}
	}
	c.kickSync()
	return nil
}

func (c *Checker) setTarget(key Key, g Group, spec TargetSpec, now time.Time) {
	t, ok := c.targets[key]
	switch {
	case !ok:
		t = &checked{key: key, fsm: NewTarget(now)}
		c.targets[key] = t
		c.report(t)
	case t.group.ID == "": // restored
		c.report(t)
	case t.spec.Address != spec.Address || t.spec.Port != spec.Port:
		t.halt()
		t.fsm = NewTarget(now)
		c.report(t)
	}
	changed := !sameCheck(t.group, g) || t.spec.Source != spec.Source
	t.group, t.spec = g, spec
	if t.fsm.Place(spec, now) {
		t.halt()
		c.report(t)
	}
	if !t.fsm.IsChecked() {
		t.halt()
		return
	}
	if t.timer == nil && t.gen%2 == 0 { // neither waiting nor running
		c.schedule(t, time.Duration(rand.Int64N(int64(c.scale(firstJitter)))))
	} else if changed && t.timer != nil {
		c.schedule(t, time.Duration(rand.Int64N(int64(c.interval(t)))))
	}
}

// sameCheck reports whether two settings of a group check alike.
func sameCheck(a, b Group) bool {
	return a.Protocol == b.Protocol && a.Path == b.Path && a.Matcher == b.Matcher && a.Interval == b.Interval && a.Timeout == b.Timeout
}

// A checked's gen is even while no check runs and odd during one.

// halt stops the timer; a check that runs no longer counts.
func (t *checked) halt() {
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	if t.gen%2 == 1 {
		t.gen++
	}
}

// schedule starts the next check after d.
func (c *Checker) schedule(t *checked, d time.Duration) {
	if t.timer != nil {
		t.timer.Stop()
	}
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		c.mu.Lock()
		if t.timer != timer || c.ctx.Err() != nil {
			c.mu.Unlock()
			return
		}
		t.timer = nil
		t.gen++
		c.wg.Add(1)
		c.check(t)
	})
	t.timer = timer
}

// check runs one check. It is called with c.mu held and returns without.
func (c *Checker) check(t *checked) {
	defer c.wg.Done()
	gen, group, spec := t.gen, t.group, t.spec
	if t.fsm.Begin(time.Now().UTC()) {
		c.report(t)
	}
	timeout := max(c.scale(group.Timeout), minTimeout)
	started := time.Now()
	c.mu.Unlock()

	outcome := probe(c.ctx, c.o.Dial, group, spec, timeout)

	c.mu.Lock()
	defer c.mu.Unlock()
	if t.gen != gen || c.ctx.Err() != nil {
		return // the target changed, or is gone
	}
	t.gen++
	if t.fsm.Observe(outcome, t.group.HealthyThreshold, t.group.UnhealthyThreshold, time.Now().UTC()) {
		c.report(t)
		c.kickSync()
	}
	// Start to start, give or take 5 %, so that the checks of a thousand targets spread out.
	next := c.interval(t)
	next += time.Duration((rand.Float64() - 0.5) / 10 * float64(next))
	c.schedule(t, max(next-time.Since(started), 0))
}

func (c *Checker) interval(t *checked) time.Duration {
	return max(c.scale(t.group.Interval), minInterval)
}

func (c *Checker) scale(d time.Duration) time.Duration {
	if c.o.Scale == nil {
		return d
	}
	return max(c.o.Scale(d), time.Millisecond)
}

func (c *Checker) report(t *checked) {
	if c.o.Report != nil {
		c.o.Report(t.key, t.fsm.Health)
	}
}

func (c *Checker) kickSync() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// wantedServers returns HAProxy's runtime socket and which servers should take requests.
func (c *Checker) wantedServers() (socket string, wanted map[server]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wanted = map[server]bool{}
	for _, g := range c.cfg.Groups {
		states := make(map[string]string, len(g.Targets))
		for _, spec := range g.Targets {
			states[spec.ID] = c.targets[Key{Group: g.ID, Target: spec.ID}].fsm.Health.State
		}
		serves := serving(g, states)
		for _, spec := range g.Targets {
			if spec.Server == "" {
				continue
			}
			for _, b := range g.Backends {
				wanted[server{backend: b, name: spec.Server}] = serves[spec.ID]
			}
		}
	}
	return c.cfg.HAProxySocket, wanted
}

// syncLoop keeps HAProxy's servers as they should be.
func (c *Checker) syncLoop() {
	tick := time.NewTicker(syncEvery)
	defer tick.Stop()
	last := ""
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-c.kick:
		case <-tick.C:
		}
		socket, wanted := c.wantedServers()
		if socket == "" || len(wanted) == 0 {
			continue
		}
		missing, err := applyServers(c.ctx, socket, wanted)
		text := ""
		switch {
		case err != nil:
			text = err.Error()
		case len(missing) > 0:
			text = "haproxy does not have " + missing[0].backend + "/" + missing[0].name
		}
		if text != last && text != "" && c.ctx.Err() == nil && c.o.Logger != nil {
			c.o.Logger.Warn("set servers", "socket", socket, "missing", len(missing), "error", text)
		}
		last = text
	}
}
