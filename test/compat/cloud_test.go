package compat

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/neargate/neargate/internal/api/cfn"
	"github.com/neargate/neargate/internal/api/cfn/resource"
	"github.com/neargate/neargate/internal/api/ec2"
	"github.com/neargate/neargate/internal/api/ecr"
	"github.com/neargate/neargate/internal/api/ecs"
	"github.com/neargate/neargate/internal/api/elbv2"
	apiiam "github.com/neargate/neargate/internal/api/iam"
	"github.com/neargate/neargate/internal/api/logs"
	"github.com/neargate/neargate/internal/api/sts"
	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/cfnapi"
	"github.com/neargate/neargate/internal/awsapi/ec2api"
	"github.com/neargate/neargate/internal/awsapi/ecrapi"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/awsapi/elbv2api"
	"github.com/neargate/neargate/internal/awsapi/iamapi"
	"github.com/neargate/neargate/internal/awsapi/logsapi"
	"github.com/neargate/neargate/internal/awsapi/stsapi"
	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/control/deploy"
	"github.com/neargate/neargate/internal/control/gateway"
	"github.com/neargate/neargate/internal/control/place"
	"github.com/neargate/neargate/internal/control/targets"
	"github.com/neargate/neargate/internal/iam"
	"github.com/neargate/neargate/internal/logstore"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/reconcile"
	"github.com/neargate/neargate/internal/registry"
	"github.com/neargate/neargate/internal/store"
	"github.com/neargate/neargate/internal/store/storetest"
	"github.com/neargate/neargate/internal/wire"
	"github.com/neargate/neargate/test/harness"
)

// cloud is a Neargate without a host: its address is all that a client needs.
type cloud struct {
	url    string
	db     *store.DB
	tables *store.Tables
	paused atomic.Bool // the host does nothing: what waits for it stays as it is
}

// keys lets the edge look access keys up.
type keys struct{ ring *iam.Keyring }

func (k keys) Credential(ctx context.Context, accessKey string) (wire.Credential, error) {
	found, err := k.ring.Credential(ctx, accessKey)
	if errors.Is(err, iam.ErrUnknownKey) {
		return wire.Credential{}, wire.ErrUnknownKey
	}
	return wire.Credential(found), err
}

// speed makes AWS's delays short: a NAT gateway takes a minute to be made there.
const speed = 500

// newCloud starts a cloud that ends with the test.
func newCloud(t *testing.T) *cloud {
	t.Helper()
	db, tables := storetest.New(t)
	scope := model.Scope{Account: harness.Account, Region: harness.Region}
	fast, log, dir := clock.New(speed), slog.New(slog.DiscardHandler), t.TempDir()
	events, err := logstore.Open(filepath.Join(dir, "logs"), logstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = events.Close(context.Background()) })
	blobs, err := registry.OpenBlobs(filepath.Join(dir, "registry"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := registry.LoadKey(filepath.Join(dir, "registry.key"))
	if err != nil {
		t.Fatal(err)
	}
	images := &registry.Registry{Blobs: blobs, Catalog: &registry.Records{DB: db, Tables: tables, Scope: scope}, Clock: fast, Scope: scope}
	signer := &registry.LayerSigner{Key: key, Scope: scope, Clock: fast}
	ring := &iam.Keyring{DB: db, Tables: tables, Clock: clock.New(1), Scope: scope, Admin: iam.Admin{AccessKeyID: "test", Secret: "test"}}

	services := resource.Services{
		EC2:   ec2.New(ec2.Options{DB: db, Tables: tables, Clock: fast, Scope: scope}),
		ECS:   ecs.New(ecs.Options{DB: db, Tables: tables, Clock: fast, Scope: scope}),
		ELBv2: elbv2.New(elbv2.Options{DB: db, Tables: tables, Clock: fast, Scope: scope}),
		ECR:   ecr.New(ecr.Options{DB: db, Tables: tables, Clock: fast, Scope: scope, Registry: images, Key: key, Signer: signer, Log: log}),
		Logs:  logs.New(logs.Options{DB: db, Tables: tables, Events: events, Clock: fast, Scope: scope, Log: log}),
		IAM:   apiiam.New(apiiam.Options{DB: db, Tables: tables, Clock: fast, Scope: scope}),
	}
	stacks := cfn.New(cfn.Options{DB: db, Tables: tables, Clock: fast, Services: services, Poll: 5 * time.Millisecond, Log: log})
	edge := wire.NewServer(wire.Options{Account: scope.Account, Region: scope.Region, Credentials: keys{ring}, Now: time.Now, Log: log})
	edge.Handle(func(r *http.Request) bool { return strings.HasPrefix(r.Host, model.LayerBucketHost(scope.Region)) },
		&registry.LayerHandler{Blobs: blobs, Signer: signer, Log: log})
	for _, service := range []struct {
		description *awsapi.Service
		impl        any
	}{
		{ec2api.Description(), services.EC2}, {ecsapi.Description(), services.ECS}, {elbv2api.Description(), services.ELBv2}, {ecrapi.Description(), services.ECR},
		{logsapi.Description(), services.Logs}, {iamapi.Description(), services.IAM}, {stsapi.Description(), sts.New(ring)}, {cfnapi.Description(), stacks},
	} {
		if missing := edge.Mount(service.description, service.impl); len(missing) > 0 {
			t.Errorf("operations of %s without an implementation: %v", service.description.Name, missing)
		}
	}

	c := &cloud{db: db, tables: tables}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	loop := func(r reconcile.Reconciler[string], sources []reconcile.Source[string]) {
		wg.Go(func() { _ = reconcile.New(r, reconcile.Options[string]{Workers: 2, Log: log}, sources...).Run(ctx) })
	}
	placer := place.New(place.Options{DB: db, Tables: tables, Clock: fast, Scope: scope, Host: "here"})
	loop(placer, placer.Sources(ctx))
	deployments := deploy.New(db, tables, fast, scope)
	loop(deployments, deployments.Sources(ctx))
	groups := targets.New(db, tables, fast)
	loop(groups, groups.Sources(ctx))
	gateways := gateway.New(db, tables, fast)
	loop(gateways, gateways.Sources(ctx))
	wg.Go(func() { _ = stacks.Run(ctx) })
	wg.Go(func() { c.host(ctx, t) })
	server := httptest.NewServer(edge)
	c.url = server.URL
	t.Cleanup(func() {
		server.Close()
		cancel()
		wg.Wait()
	})
	return c
}

// host plays a host: it makes what control wants so, and says it.
func (c *cloud) host(ctx context.Context, t *testing.T) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for revision := int64(-1); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		v := c.db.View()
		if v.Revision() == revision || c.paused.Load() {
			continue
		}
		revision = v.Revision()
		if err := c.db.Update(ctx, func(tx *store.Txn) error { c.act(tx); return nil }); err != nil && ctx.Err() == nil {
			t.Errorf("the host: %v", err)
		}
	}
}

// act does one round of a host's work; it writes only what is not so yet.
func (c *cloud) act(tx *store.Txn) {
	for n := range c.tables.NatGateways.List(tx) {
		if want := n.State == model.NatPending || n.State == model.NatAvailable; want != n.Installed {
			c.tables.NatGateways.Edit(tx, n.ID, func(n *model.NatGateway) { n.Installed = want })
		}
	}
	for lb := range c.tables.LoadBalancers.List(tx) {
		if lb.State == model.LBProvisioning {
			c.tables.LoadBalancers.Edit(tx, lb.ARN, func(lb *model.LoadBalancer) { lb.State = model.LBActive })
		}
	}
	for task := range c.tables.Tasks.List(tx) {
		switch {
		case task.Host == "":
		case task.Desired == model.DesiredRunning && task.State < model.TaskRunning:
			definition, _ := c.tables.TaskDefinitions.Get(tx, task.DefinitionKey)
			c.tables.Tasks.Edit(tx, task.ID, func(t *model.Task) { started(t, definition) })
		case task.Desired == model.DesiredStopped && (task.DeactivateDone || len(task.TargetGroups) == 0) && task.State < model.TaskStopped:
			c.tables.Tasks.Edit(tx, task.ID, func(t *model.Task) { stopped(t) })
		}
	}
	for target := range c.tables.Targets.List(tx) {
		h := &model.TargetHealth{TargetGroupARN: target.TargetGroupARN, IP: target.IP, Port: target.Port, State: model.TargetHealthy}
		if seen, ok := c.tables.TargetHealth.Get(tx, h.Key()); !ok || seen.State != h.State {
			c.tables.TargetHealth.Put(tx, h)
		}
	}
}

// started is what a node writes of a task that runs and whose checks pass.
func started(t *model.Task, definition *model.TaskDefinition) {
	now := time.Now().UTC()
	t.State, t.StartedAt, t.PullStartedAt, t.PullStoppedAt = model.TaskRunning, now, now, now
	t.Connectivity, t.ConnectivityAt, t.Attachment = "CONNECTED", now, "ATTACHED"
	for i := range t.Containers {
		t.Containers[i].LastStatus, t.Containers[i].RuntimeID, t.Containers[i].StartedAt = "RUNNING", t.ID+"-1", now
		if definition != nil && i < len(definition.Containers) && definition.Containers[i].HealthCheck != nil {
			t.Containers[i].Health, t.Health = model.HealthHealthy, model.HealthHealthy
		}
	}
}

// stopped is what it writes of one that it has stopped.
func stopped(t *model.Task) {
	now, code := time.Now().UTC(), 137
	t.State, t.StoppingAt, t.StoppedAt, t.ExecutionStoppedAt, t.Attachment = model.TaskStopped, now, now, now, "DELETED"
	for i := range t.Containers {
		t.Containers[i].LastStatus, t.Containers[i].ExitCode, t.Containers[i].FinishedAt = "STOPPED", &code, now
	}
}
