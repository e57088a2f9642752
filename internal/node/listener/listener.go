// Package listener makes the load balancers of this host so: a namespace with an interface per zone, one HAProxy in it,
// its servers, and the health checks that the keeper runs.
//
// One key is one load balancer, by the 16 digits that end its ARN. Its records are compiled (compile.go) to a description
// of HAProxy and of checks; a change of listeners or rules reloads HAProxy, a change of targets goes through its runtime
// API. HAProxy and the keeper live on without the daemon, and are adopted after a restart. What the keeper finds out about
// targets is written back by health.go. Interfaces are wired by node/network, names and front doors are the matter of
// node/zone. Start at [New].
package listener

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/neargate/neargate/internal/keeper"
	"github.com/neargate/neargate/internal/linux/netns"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/proxy"
	"github.com/neargate/neargate/internal/reconcile"
	"github.com/neargate/neargate/internal/store"
)

const (
	// patrol is how often a load balancer is looked at although nothing changed.
	patrol = 30 * time.Second
	// busyAgain is when a server that could not be removed because of open connections is tried again.
	busyAgain = time.Second
	// goneAgain is when a load balancer that was removed is looked at once more.
	goneAgain = 2 * time.Second
	// lbNetnsPrefix begins the names of load balancers' namespaces.
	lbNetnsPrefix = model.NetnsPrefix + "lb-"
	// maxFiles bounds the connections of one load balancer, two files each; more would cost memory ahead of need.
	maxFiles = 32768
	// maxThreads of one load balancer: many of them share a large host.
	maxThreads = 4
)

// Network wires interfaces; *network.Network is one.
type Network interface {
	// AttachENI makes the interface so, and its owner's namespace if need be. Doing it again changes nothing.
	AttachENI(ctx context.Context, eni *model.NetworkInterface) error
}

// Keeper runs health checks; *keeper.Client is one.
type Keeper interface {
	PutLoadBalancer(ctx context.Context, l keeper.LoadBalancerChecks) error
	Delete(ctx context.Context, kind keeper.Kind, id string) error
	Prune(ctx context.Context, kind keeper.Kind, keep []string) error
	Watch(ctx context.Context, last keeper.Status) (keeper.Status, error)
}

// Config is what Listeners need.
type Config struct {
	DB      *store.DB
	Tables  *store.Tables
	Host    string
	Dir     string // <data>/lb
	Network Network
	Keeper  Keeper
	Binary  string // HAProxy; empty: the one in PATH
	// User and Group are what HAProxy's workers run as; empty: those of HAProxy's package, where they exist.
	User, Group string
	Threads     int // of each HAProxy; 0: one per CPU, at most maxThreads
	Log         *slog.Logger
}

// Listeners reconciles load balancers.
type Listeners struct {
	cfg    Config
	db     *store.DB
	tables *store.Tables
	log    *slog.Logger
	health *healthBook

	mu    sync.Mutex
	known map[string]*balancer
	again func(id string) // makes a load balancer due
	life  context.Context // of the watchers of HAProxy
}

// balancer is what is known of a load balancer that runs here.
type balancer struct {
	wired   map[string]bool // interfaces that are attached
	watched int             // master process whose end is awaited
}

// New returns Listeners. Nothing is touched before Run, or the first Reconcile.
func New(cfg Config) *Listeners {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.User == "" {
		cfg.User, cfg.Group = packageUser()
	}
	if cfg.Threads == 0 {
		cfg.Threads = min(runtime.NumCPU(), maxThreads)
	}
	l := &Listeners{cfg: cfg, db: cfg.DB, tables: cfg.Tables, log: cfg.Log, known: map[string]*balancer{}, again: func(string) {}, life: context.Background()}
	l.health = newHealthBook(cfg.DB, cfg.Tables)
	return l
}

// packageUser returns the user and group that Debian's package of HAProxy makes, if they are there and we may become them.
func packageUser() (name, group string) {
	const haproxy = "haproxy"
	if os.Geteuid() != 0 {
		return "", ""
	}
	if u, err := user.Lookup(haproxy); err != nil || !mapped(u.Uid) {
		return "", ""
	}
	if _, err := user.LookupGroup(haproxy); err != nil {
		return "", ""
	}
	return haproxy, haproxy
}

// mapped reports whether a user exists in our user namespace; in one of an ordinary user, only root does.
func mapped(uid string) bool {
	id, err := strconv.Atoi(uid)
	if err != nil {
		return false
	}
	table, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return true // a kernel without user namespaces
	}
	for line := range strings.Lines(string(table)) {
		var inside, outside, count int
		if n, _ := fmt.Sscan(line, &inside, &outside, &count); n == 3 && id >= inside && id < inside+count {
			return true
		}
	}
	return false
}

// Name returns the reconciler's name.
func (l *Listeners) Name() string { return "load balancers" }

// Sources returns what Reconcile has to look at.
func (l *Listeners) Sources(ctx context.Context) []reconcile.Source[string] {
	balancer := func(arn string) []string {
		if id := balancerOf(arn); id != "" {
			return []string{id}
		}
		return nil
	}
	return []reconcile.Source[string]{
		l.tables.LoadBalancers.ChangesByIndex(ctx, "id"),
		reconcile.Map(l.tables.Listeners.Changes(ctx), balancer),
		reconcile.Map(l.tables.Rules.Changes(ctx), balancer),
		reconcile.Map(l.tables.TargetGroups.Changes(ctx), l.ofGroup),
		reconcile.Map(l.tables.Targets.ChangesByIndex(ctx, "target-group"), l.ofGroup),
	}
}

// Run reconciles until ctx ends. Load balancers go on serving after it.
func (l *Listeners) Run(ctx context.Context) error {
	loop := reconcile.New[string](l, reconcile.Options[string]{Workers: 4, Log: l.log}, l.Sources(ctx)...)
	l.mu.Lock()
	l.again, l.life = func(id string) { loop.Add(id) }, ctx
	l.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { l.watchHealth(ctx) })
	defer wg.Wait()
	return loop.Run(ctx)
}

// Reconcile makes one load balancer so.
func (l *Listeners) Reconcile(ctx context.Context, id string) (reconcile.Result, error) {
	recs, ok := l.load(l.db.View(), id)
	if !ok {
		return l.end(ctx, id)
	}
	result, err := l.make(ctx, recs)
	if err != nil && ctx.Err() == nil {
		l.explain(ctx, recs.lb, err)
	}
	return result, err
}

// end removes a load balancer, and looks again a little later: node/network, which wires interfaces into the namespace,
// may have read the records just before they went.
func (l *Listeners) end(ctx context.Context, id string) (reconcile.Result, error) {
	had := netns.Exists(model.LoadBalancerNetns(id))
	if err := l.remove(ctx, id); err != nil {
		return reconcile.Result{}, err
	}
	if had {
		return reconcile.Result{After: goneAgain, Reason: "removed just now"}, nil
	}
	return reconcile.Result{}, nil
}

// make makes a load balancer as its records say.
func (l *Listeners) make(ctx context.Context, recs records) (reconcile.Result, error) {
	id := recs.lb.ID
	if err := l.wire(ctx, recs.lb); err != nil {
		return reconcile.Result{}, err
	}
	c, err := Compile(recs)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("load balancer %s: %w", recs.lb.ARN, err)
	}
	p := l.process(id)
	c.proxy.StatsSocket, c.proxy.User, c.proxy.Group = p.StatsSocket(), l.cfg.User, l.cfg.Group
	c.proxy.Threads, c.proxy.MaxFiles = l.cfg.Threads, maxFiles
	c.checks.HAProxySocket = p.StatsSocket()
	rendered, err := proxy.Render(c.proxy)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("load balancer %s: %w", recs.lb.ARN, err)
	}
	if _, err := p.Apply(ctx, rendered); err != nil {
		return reconcile.Result{}, fmt.Errorf("load balancer %s: %w", recs.lb.ARN, err)
	}
	l.watch(id, p.Running())
	// New servers are there before their checks, and those of targets that drain stop before anything else is done.
	busy, err := syncServers(ctx, p.Runtime(), c.proxy)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("load balancer %s: servers: %w", recs.lb.ARN, err)
	}
	checks := keeper.LoadBalancerChecks{ID: id, Netns: model.LoadBalancerNetns(id), Checks: c.checks}
	if err := l.cfg.Keeper.PutLoadBalancer(ctx, checks); err != nil {
		return reconcile.Result{}, fmt.Errorf("load balancer %s: health checks: %w", recs.lb.ARN, err)
	}
	if err := l.health.write(ctx, l.health.missing(recs)); err != nil {
		return reconcile.Result{}, err
	}
	if err := l.open(ctx, recs.lb); err != nil {
		return reconcile.Result{}, err
	}
	if busy {
		return reconcile.Result{After: busyAgain, Reason: "servers still have connections"}, nil
	}
	return reconcile.Result{After: patrol, Reason: "patrol"}, nil
}

// wire attaches the load balancer's interfaces.
func (l *Listeners) wire(ctx context.Context, lb *model.LoadBalancer) error {
	b := l.balancer(lb.ID)
	here := netns.Exists(model.LoadBalancerNetns(lb.ID))
	wired := map[string]bool{}
	for _, z := range lb.Zones {
		if !here || !b.wired[z.ENIID] {
			eni, ok := l.tables.NetworkInterfaces.Get(l.db.View(), z.ENIID)
			if !ok {
				return fmt.Errorf("load balancer %s: interface %s has no record", lb.ARN, z.ENIID)
			}
			if err := l.cfg.Network.AttachENI(ctx, eni); err != nil {
				return fmt.Errorf("load balancer %s: %w", lb.ARN, err)
			}
		}
		wired[z.ENIID] = true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b.wired = wired
	return nil
}

func (l *Listeners) balancer(id string) *balancer {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.known[id]
	if b == nil {
		b = &balancer{wired: map[string]bool{}}
		l.known[id] = b
	}
	return b
}

// watch makes the load balancer due as soon as its HAProxy ends.
func (l *Listeners) watch(id string, master int) {
	b := l.balancer(id)
	l.mu.Lock()
	defer l.mu.Unlock()
	if master == 0 || b.watched == master {
		return
	}
	b.watched = master
	ctx, again := l.life, l.again
	go func() {
		if err := proxy.AwaitExit(ctx, master); err == nil {
			again(id)
		}
	}()
}

// explain puts the reason why a load balancer does not get active on its record.
func (l *Listeners) explain(ctx context.Context, lb *model.LoadBalancer, cause error) {
	text := cause.Error()
	if lb.State != model.LBProvisioning || lb.StateReason == text {
		return
	}
	err := l.db.Update(ctx, func(tx *store.Txn) error {
		l.tables.LoadBalancers.Edit(tx, lb.ARN, func(r *model.LoadBalancer) { r.StateReason = text })
		return nil
	})
	if err != nil {
		l.log.Warn("note why a load balancer is not active", "loadBalancer", lb.ARN, "error", err)
	}
}

// open says that the load balancer serves.
func (l *Listeners) open(ctx context.Context, lb *model.LoadBalancer) error {
	if lb.State == model.LBActive {
		return nil
	}
	err := l.db.Update(ctx, func(tx *store.Txn) error {
		l.tables.LoadBalancers.Edit(tx, lb.ARN, func(r *model.LoadBalancer) { r.State, r.StateReason = model.LBActive, "" })
		return nil
	})
	if err != nil {
		return fmt.Errorf("load balancer %s: note that it is active: %w", lb.ARN, err)
	}
	return nil
}

func (l *Listeners) process(id string) *proxy.Process {
	return &proxy.Process{Dir: filepath.Join(l.cfg.Dir, id), Netns: model.LoadBalancerNetns(id), Binary: l.cfg.Binary}
}

// remove takes everything of a load balancer away. Doing it again is no error.
func (l *Listeners) remove(ctx context.Context, id string) error {
	if err := l.cfg.Keeper.Delete(ctx, keeper.KindLoadBalancer, id); err != nil {
		return fmt.Errorf("load balancer %s: end health checks: %w", id, err)
	}
	if err := l.process(id).Remove(ctx); err != nil {
		return fmt.Errorf("load balancer %s: %w", id, err)
	}
	if err := netns.Delete(model.LoadBalancerNetns(id)); err != nil {
		return fmt.Errorf("load balancer %s: %w", id, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.known, id)
	return nil
}

// Sweep removes what is on this host of load balancers that have no record.
func (l *Listeners) Sweep(ctx context.Context) error {
	view := l.db.View()
	wanted := map[string]bool{}
	var keep []string
	for lb := range l.tables.LoadBalancers.List(view) {
		if l.isHere(lb) {
			wanted[lb.ID] = true
			keep = append(keep, lb.ID)
		}
	}
	found := map[string]bool{}
	names, err := netns.List(lbNetnsPrefix)
	if err != nil {
		return fmt.Errorf("list namespaces: %w", err)
	}
	for _, name := range names {
		found[strings.TrimPrefix(name, lbNetnsPrefix)] = true
	}
	entries, err := os.ReadDir(l.cfg.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("list load balancer folders: %w", err)
	}
	for _, e := range entries {
		found[e.Name()] = true
	}
	for id := range found {
		if wanted[id] {
			continue
		}
		l.log.Info("remove load balancer without record", "id", id)
		if err := l.remove(ctx, id); err != nil {
			return err
		}
	}
	if err := l.cfg.Keeper.Prune(ctx, keeper.KindLoadBalancer, keep); err != nil {
		return fmt.Errorf("end health checks without load balancer: %w", err)
	}
	return nil
}

func splitResource(resource string) []string { return strings.Split(resource, "/") }
