// Package zone gives the keeper the names that VPCs resolve, the front doors of public addresses, and the listeners of
// AWS service addresses.
//
// It computes; the keeper answers and listens, and goes on with what it was told while the daemon is away. Start at
// [Zones]; what is told is compiled in compile.go.
package zone

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"time"

	"github.com/neargate/neargate/internal/keeper"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/reconcile"
	"github.com/neargate/neargate/internal/store"
)

// Key is the only key: names and doors are compiled as a whole, because a load balancer's name is in every VPC's zone.
const Key = "zones"

// Options are what Zones needs.
type Options struct {
	DB         *store.DB
	Tables     *store.Tables
	Scope      model.Scope
	Keeper     *keeper.Client
	EdgeSocket string // where the daemon takes connections to AWS service addresses
}

// Zones reconciles resolvers, doors and service endpoints.
type Zones struct {
	Options
	told map[string]any // what the keeper was last told, by kind and identifier
}

// New returns a reconciler.
func New(o Options) *Zones { return &Zones{Options: o, told: map[string]any{}} }

// tellAgain is when the keeper is told again what it could not open: about as long as a namespace takes to be made.
const tellAgain = 25 * time.Millisecond

// Name returns the reconciler's name.
func (z *Zones) Name() string { return "zones" }

// Sources returns what Reconcile has to look at.
func (z *Zones) Sources(ctx context.Context) []reconcile.Source[string] {
	always := func(string) []string { return []string{Key} }
	t := z.Tables
	publicOnly := func(e *model.NetworkInterface) []string {
		if e.OwnerKind == model.OwnerTask && e.AutoPublicIP.IsValid() {
			return []string{Key}
		}
		return nil
	}
	return []reconcile.Source[string]{
		reconcile.Map(t.VPCs.Changes(ctx), always),
		reconcile.Map(t.LoadBalancers.Changes(ctx), always),
		reconcile.Map(t.Listeners.Changes(ctx), always),
		reconcile.Map(t.Addresses.Changes(ctx), always),
		t.NetworkInterfaces.ChangesBy(ctx, publicOnly),
	}
}

// Reconcile tells the keeper what has changed since it was told last, and takes back what is gone.
func (z *Zones) Reconcile(ctx context.Context, _ string) (reconcile.Result, error) {
	batch := Compile(z.load())
	batch.Endpoints = z.endpoints()
	var news keeper.Batch
	now := map[string]any{}
	for _, r := range batch.Resolvers {
		if note(now, z.told, keeper.KindResolver, r.ID, r) {
			news.Resolvers = append(news.Resolvers, r)
		}
	}
	for _, d := range batch.Doors {
		if note(now, z.told, keeper.KindDoor, d.ID, d) {
			news.Doors = append(news.Doors, d)
		}
	}
	for _, e := range batch.Endpoints {
		if note(now, z.told, keeper.KindEndpoint, e.ID, e) {
			news.Endpoints = append(news.Endpoints, e)
		}
	}
	var result reconcile.Result
	if len(news.Resolvers)+len(news.Doors)+len(news.Endpoints) > 0 {
		// What the keeper could not open yet (a namespace that is still being made) it tries again by itself, but only now
		// and then. A task may start a moment after its VPC was made and needs names at once: so it is told again soon.
		var later *keeper.ApplyError
		err := z.Keeper.Put(ctx, news)
		if errors.As(err, &later) {
			for _, f := range later.Faults {
				delete(now, string(f.Kind)+"/"+f.ID)
			}
			result = reconcile.Result{After: tellAgain, Reason: later.Error()}
		} else if err != nil {
			return reconcile.Result{}, fmt.Errorf("tell the keeper: %w", err)
		}
	}
	if err := z.prune(ctx, batch); err != nil {
		return reconcile.Result{}, err
	}
	z.told = now
	return result, nil
}

// note remembers an object and reports whether it differs from what the keeper was told.
func note(now, told map[string]any, kind keeper.Kind, id string, object any) bool {
	key := string(kind) + "/" + id
	now[key] = object
	return !reflect.DeepEqual(told[key], object)
}

func (z *Zones) prune(ctx context.Context, batch keeper.Batch) error {
	keep := map[keeper.Kind][]string{keeper.KindResolver: {}, keeper.KindDoor: {}, keeper.KindEndpoint: {}}
	for _, r := range batch.Resolvers {
		keep[keeper.KindResolver] = append(keep[keeper.KindResolver], r.ID)
	}
	for _, d := range batch.Doors {
		keep[keeper.KindDoor] = append(keep[keeper.KindDoor], d.ID)
	}
	for _, e := range batch.Endpoints {
		keep[keeper.KindEndpoint] = append(keep[keeper.KindEndpoint], e.ID)
	}
	for kind, ids := range keep {
		if err := z.Keeper.Prune(ctx, kind, ids); err != nil {
			return fmt.Errorf("take back what is gone: %w", err)
		}
	}
	return nil
}

// Sweep has nothing to do: each Reconcile takes back what is gone.
func (z *Zones) Sweep(context.Context) error { return nil }

// Forget makes the next Reconcile tell everything again, after the keeper was replaced.
func (z *Zones) Forget() { z.told = map[string]any{} }

// endpoints returns one listener per AWS service address.
func (z *Zones) endpoints() []keeper.Endpoint {
	const https = 443
	var listen []netip.AddrPort
	for _, s := range model.ServiceNames(z.Scope) {
		listen = append(listen, netip.AddrPortFrom(s.Address, https))
	}
	return []keeper.Endpoint{{ID: "services", Netns: model.EdgeNetns, Listen: listen, Socket: z.EdgeSocket}}
}

func (z *Zones) load() records {
	view, t := z.DB.View(), z.Tables
	r := records{scope: z.Scope, public: map[string]netip.Addr{}, tasks: map[string]*model.Task{}, defs: map[string]*model.TaskDefinition{}}
	for vpc := range t.VPCs.List(view) {
		r.vpcs = append(r.vpcs, vpc)
	}
	for lb := range t.LoadBalancers.List(view) {
		r.balancers = append(r.balancers, lb)
	}
	for l := range t.Listeners.List(view) {
		r.listeners = append(r.listeners, l)
	}
	for a := range t.Addresses.List(view) {
		if a.ENIID != "" {
			r.public[a.ENIID] = a.PublicIP
		}
	}
	for eni := range t.NetworkInterfaces.List(view) {
		if _, elastic := r.public[eni.ID]; !elastic && !eni.AutoPublicIP.IsValid() {
			continue
		}
		r.enis = append(r.enis, eni)
		if eni.OwnerKind != model.OwnerTask {
			continue
		}
		if task, ok := t.Tasks.Get(view, eni.OwnerID); ok {
			r.tasks[task.ID] = task
			if d, ok := t.TaskDefinitions.Get(view, task.DefinitionKey); ok {
				r.defs[task.DefinitionKey] = d
			}
		}
	}
	return r
}
