package cfn_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/neargate/neargate/internal/api/cfn"
	"github.com/neargate/neargate/internal/api/cfn/resource"
	"github.com/neargate/neargate/internal/api/ec2"
	"github.com/neargate/neargate/internal/api/ecs"
	"github.com/neargate/neargate/internal/api/elbv2"
	apiiam "github.com/neargate/neargate/internal/api/iam"
	"github.com/neargate/neargate/internal/api/logs"
	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/cfnapi"
	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/control/deploy"
	"github.com/neargate/neargate/internal/control/gateway"
	"github.com/neargate/neargate/internal/control/place"
	"github.com/neargate/neargate/internal/control/targets"
	"github.com/neargate/neargate/internal/logstore"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/reconcile"
	"github.com/neargate/neargate/internal/store"
	"github.com/neargate/neargate/internal/store/storetest"
)

// platform is the services as they are, and control, over a store. Only what a host does is played: things become real
// at once.
type platform struct {
	*world
	db     *store.DB
	tables *store.Tables
}

func newPlatform(t *testing.T) *platform {
	db, tables := storetest.New(t)
	scope := model.Scope{Account: "000000000000", Region: "us-east-1"}
	fast := clock.New(1000)
	log := slog.New(slog.DiscardHandler)
	events, err := logstore.Open(t.TempDir(), logstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = events.Close(context.Background()) })
	services := resource.Services{
		EC2:   ec2.New(ec2.Options{DB: db, Tables: tables, Clock: fast, Scope: scope}),
		ECS:   ecs.New(ecs.Options{DB: db, Tables: tables, Clock: fast, Scope: scope}),
		ELBv2: elbv2.New(elbv2.Options{DB: db, Tables: tables, Clock: fast, Scope: scope}),
		Logs:  logs.New(logs.Options{DB: db, Tables: tables, Events: events, Clock: fast, Scope: scope, Log: log}),
		IAM:   apiiam.New(apiiam.Options{DB: db, Tables: tables, Clock: fast, Scope: scope}),
	}
	w := &world{t: t, died: make(chan struct{})}
	w.ctx = awsapi.WithRequest(t.Context(), awsapi.Request{Account: scope.Account, Region: scope.Region, Principal: "arn:aws:iam::000000000000:root"})
	w.server = cfn.New(cfn.Options{DB: db, Tables: tables, Clock: fast, Services: services, Poll: 2 * time.Millisecond, Timeout: 15 * time.Second, Retry: 15 * time.Second, Log: log})
	p := &platform{world: w, db: db, tables: tables}

	ctx, cancel := context.WithCancel(context.Background())
	var done []chan struct{}
	run := func(f func(context.Context) error) {
		ended := make(chan struct{})
		done = append(done, ended)
		go func() {
			defer close(ended)
			_ = f(ctx)
		}()
	}
	loop := func(r reconcile.Reconciler[string], sources []reconcile.Source[string]) {
		run(reconcile.New[string](r, reconcile.Options[string]{Workers: 2, Log: log}, sources...).Run)
	}
	placer := place.New(place.Options{DB: db, Tables: tables, Clock: fast, Scope: scope, Host: "here"})
	loop(placer, placer.Sources(ctx))
	deployments := deploy.New(db, tables, fast, scope)
	loop(deployments, deployments.Sources(ctx))
	groups := targets.New(db, tables, fast)
	loop(groups, groups.Sources(ctx))
	gateways := gateway.New(db, tables, fast)
	loop(gateways, gateways.Sources(ctx))
	run(w.server.Run)
	run(p.host)
	t.Cleanup(func() {
		cancel()
		for _, ended := range done {
			<-ended
		}
	})
	return p
}

// host makes what control wants so, and says it.
func (p *platform) host(ctx context.Context) error {
	for ctx.Err() == nil {
		err := p.db.Update(ctx, func(tx *store.Txn) error {
			now := time.Now().UTC()
			for n := range p.tables.NatGateways.List(tx) {
				p.tables.NatGateways.Edit(tx, n.ID, func(n *model.NatGateway) { n.Installed = n.State == model.NatPending || n.State == model.NatAvailable })
			}
			for lb := range p.tables.LoadBalancers.List(tx) {
				p.tables.LoadBalancers.Edit(tx, lb.ARN, func(lb *model.LoadBalancer) { lb.State = model.LBActive })
			}
			for task := range p.tables.Tasks.List(tx) {
				if task.Host == "" {
					continue
				}
				p.tables.Tasks.Edit(tx, task.ID, func(t *model.Task) {
					switch {
					case t.Desired == model.DesiredRunning && t.State < model.TaskRunning:
						t.State, t.StartedAt = model.TaskRunning, now
					case t.Desired == model.DesiredStopped && t.DeactivateDone && t.State < model.TaskStopped:
						t.State, t.StoppedAt = model.TaskStopped, now
					}
				})
			}
			for target := range p.tables.Targets.List(tx) {
				p.tables.TargetHealth.Put(tx, &model.TargetHealth{TargetGroupARN: target.TargetGroupARN, IP: target.IP, Port: target.Port, State: model.TargetHealthy})
			}
			return nil
		})
		if err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

func (p *platform) read(path string) string {
	p.t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(body)
}

func count[T any](r store.Reader, table *store.Table[T]) int { return table.Len(r) }

// left says what a deleted stack has left.
func (p *platform) left() []string {
	v := p.db.View()
	var out []string
	for name, n := range map[string]int{
		"VPCs": count(v, p.tables.VPCs), "subnets": count(v, p.tables.Subnets), "route tables": count(v, p.tables.RouteTables), "gateways": count(v, p.tables.InternetGateways),
		"groups": count(v, p.tables.SecurityGroups), "interfaces": count(v, p.tables.NetworkInterfaces), "addresses": count(v, p.tables.Addresses),
		"load balancers": count(v, p.tables.LoadBalancers), "target groups": count(v, p.tables.TargetGroups), "listeners": count(v, p.tables.Listeners),
		"targets": count(v, p.tables.Targets), "log groups": count(v, p.tables.LogGroups), "roles": count(v, p.tables.Roles), "resources": count(v, p.tables.StackResources),
	} {
		if n > 0 {
			out = append(out, fmt.Sprintf("%d %s", n, name))
		}
	}
	slices.Sort(out)
	return out
}

func (p *platform) gone(names ...string) {
	p.t.Helper()
	for _, name := range names {
		p.remove(name)
		if got := p.wait(name); got != "GONE" {
			p.t.Fatalf("stack %s is %s:\n%s", name, got, strings.Join(p.events(name), "\n"))
		}
	}
	if left := p.left(); len(left) > 0 {
		p.t.Errorf("left behind: %v", left)
	}
}

func TestDemoOnTheServices(t *testing.T) {
	p := newPlatform(t)
	body := p.read("../../../examples/web-api/template.yaml")
	p.create("demo", body, "Image", "000000000000.dkr.ecr.us-east-1.amazonaws.com/api:1")
	p.expect("demo", "CREATE_COMPLETE")
	p.update("demo", body, "Image", "000000000000.dkr.ecr.us-east-1.amazonaws.com/api:2", "DesiredCount", "3")
	p.expect("demo", "UPDATE_COMPLETE")
	p.update("demo", body, "Image", "000000000000.dkr.ecr.us-east-1.amazonaws.com/api:2", "ContainerPort", "9090")
	p.expect("demo", "UPDATE_COMPLETE")
	p.gone("demo")
}

// Issue 2, 9.2: the templates of others on a VPC stack of ours, public and private.
func TestWiddixOnTheServices(t *testing.T) {
	p := newPlatform(t)
	const templates = "../../stack/testdata/widdix/"
	p.create("vpc", p.read("../../../examples/vpc-2azs-ipv4/template.yaml"))
	p.expect("vpc", "CREATE_COMPLETE")
	p.create("cluster", p.read(templates+"cluster.yaml"), "ParentVPCStack", "vpc")
	p.expect("cluster", "CREATE_COMPLETE")
	service := p.read(templates + "service-dedicated-alb.yaml")
	common := []string{"ParentVPCStack", "vpc", "ParentClusterStack", "cluster", "AutoScaling", "false", "AppImage", "000000000000.dkr.ecr.us-east-1.amazonaws.com/app:1"}
	for name, more := range map[string][]string{
		"public":   nil,
		"private":  {"SubnetsReach", "Private"},
		"internal": {"SubnetsReach", "Private", "LoadBalancerScheme", "internal", "Spot", "true"},
		"proxied":  {"ProxyImage", "proxy:1", "SidecarImage", "side:1", "AppCommand", "/app,-v", "AppEnvironment1Key", "K", "AppEnvironment1Value", "V"},
	} {
		p.create(name, service, append(slices.Clone(common), more...)...)
		p.expect(name, "CREATE_COMPLETE")
	}
	p.create("bare", p.read("../../../examples/vpc-2azs-ipv4/template.yaml"), "NatGateways", "false", "ClassB", "1")
	p.expect("bare", "CREATE_COMPLETE")
	for _, zone := range []string{"A", "B"} {
		p.create("nat"+zone, p.read(templates+"vpc-nat-gateway.yaml"), "ParentVPCStack", "bare", "SubnetZone", zone)
		p.expect("nat"+zone, "CREATE_COMPLETE")
	}
	if _, err := p.server.DeleteStack(p.ctx, &cfnapi.DeleteStackInput{StackName: s("vpc")}); err == nil || !strings.Contains(err.Error(), "cannot be deleted as it is in use by") {
		t.Errorf("got %v", err)
	}
	for _, name := range []string{"public", "private", "internal", "proxied", "cluster", "natA", "natB", "bare"} {
		p.remove(name)
		if got := p.wait(name); got != "GONE" {
			t.Fatalf("stack %s is %s:\n%s", name, got, strings.Join(p.events(name), "\n"))
		}
	}
	p.gone("vpc")
}
