package deploy_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/control/deploy"
	"github.com/neargate/neargate/internal/control/place"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/reconcile"
	"github.com/neargate/neargate/internal/store"
	"github.com/neargate/neargate/internal/store/mem"
	"github.com/neargate/neargate/internal/store/storetest"
)

const (
	group = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/web/0123456789abcdef"
	key   = "c/web"
)

// stage is the real scheduler and placement on a store, with actors in the parts of a host, of a load balancer's probes,
// and of control/targets.
type stage struct {
	t      testing.TB
	db     *store.DB
	tables *store.Tables
	broken func(*model.Task) string // why a task does not start; empty: it does
	sick   func(*model.Task) bool   // what its checks say
	starts time.Duration
	probe  time.Duration
	delay  time.Duration // deregistration
	seen   func(r store.Reader)
	mu     sync.Mutex // of what a story changes while everybody works
	wg     sync.WaitGroup
}

// set changes how the actors behave.
func (s *stage) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *stage) look() {
	s.mu.Lock()
	seen := s.seen
	s.mu.Unlock()
	seen(s.db.View())
}

func newStage(t testing.TB, db *store.DB, tables *store.Tables) *stage {
	s := &stage{
		t: t, db: db, tables: tables, broken: func(*model.Task) string { return "" }, sick: func(*model.Task) bool { return false },
		starts: 2 * time.Second, probe: 10 * time.Second, delay: 300 * time.Second, seen: func(store.Reader) {},
	}
	s.update(func(tx *store.Txn) {
		tables.VPCs.Put(tx, &model.VPC{ID: "vpc-1", DefaultGroupID: "sg-1"})
		tables.SecurityGroups.Put(tx, &model.SecurityGroup{ID: "sg-1", VPCID: "vpc-1"})
		for i, az := range []string{"a", "b"} {
			tables.Subnets.Put(tx, &model.Subnet{ID: "subnet-" + az, VPCID: "vpc-1", AZ: az, CIDR: netip.MustParsePrefix(fmt.Sprintf("10.0.%d.0/24", i))})
		}
		tables.Clusters.Put(tx, &model.Cluster{Name: "c", Status: model.ClusterActive})
		for revision := range 3 {
			tables.TaskDefinitions.Put(tx, &model.TaskDefinition{Family: "app", Revision: revision + 1, Status: model.TaskDefinitionActive, CPU: 256, MemoryMiB: 512,
				Containers: []model.ContainerDefinition{{Name: "app", Image: "app", Essential: true}}})
		}
		tables.TargetGroups.Put(tx, &model.TargetGroup{ARN: group, VPCID: "vpc-1", TargetType: "ip"})
		tables.LoadBalancers.Put(tx, &model.LoadBalancer{ARN: "lb", VPCID: "vpc-1", Zones: []model.LBZone{{AZ: "a"}, {AZ: "b"}}})
		tables.Listeners.Put(tx, &model.Listener{ARN: "listener", LoadBalancerARN: "lb",
			DefaultActions: []model.Action{{Type: model.ActionForward, Forward: &model.ForwardAction{Groups: []model.WeightedGroup{{TargetGroupARN: group, Weight: 1}}}}}})
	})
	return s
}

func (s *stage) update(fn func(tx *store.Txn)) {
	s.t.Helper()
	if err := s.db.Update(context.WithoutCancel(s.t.Context()), func(tx *store.Txn) error { fn(tx); return nil }); err != nil {
		s.t.Error(err)
	}
}

// run lets everybody work until the returned function is called.
func (s *stage) run() (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	quiet := slog.New(slog.DiscardHandler)
	scope := model.Scope{Region: "us-east-1", Account: "000000000000"}
	deployments := deploy.New(s.db, s.tables, clock.New(1), scope)
	placer := place.New(place.Options{DB: s.db, Tables: s.tables, Clock: clock.New(1), Scope: scope, Host: "host-1"})
	for _, loop := range []*reconcile.Loop[string]{
		reconcile.New(deployments, reconcile.Options[string]{Log: quiet, Workers: 2}, deployments.Sources(ctx)...),
		reconcile.New(placer, reconcile.Options[string]{Log: quiet}, placer.Sources(ctx)...),
	} {
		s.wg.Go(func() {
			if err := loop.Run(ctx); err != nil {
				s.t.Error(err)
			}
		})
	}
	s.actor(ctx, s.tables.Tasks.Changes(ctx), s.host)
	s.actor(ctx, s.tables.Targets.Changes(ctx), s.balancer)
	s.actor(ctx, s.tables.Tasks.Changes(ctx), func(context.Context, string) { s.look() })
	s.actor(ctx, s.tables.Targets.Changes(ctx), func(context.Context, string) { s.look() })
	return func() {
		cancel()
		s.wg.Wait()
	}
}

// actor calls act for each key that changes; calls for one key follow each other.
func (s *stage) actor(ctx context.Context, changes *store.Changes, act func(ctx context.Context, key string)) {
	rec := reconcile.Func[string]{Title: "actor", Each: func(ctx context.Context, key string) (reconcile.Result, error) {
		act(ctx, key)
		return reconcile.Result{}, nil
	}}
	loop := reconcile.New(rec, reconcile.Options[string]{Workers: 200, Log: slog.New(slog.DiscardHandler)}, changes)
	s.wg.Go(func() { _ = loop.Run(ctx) })
}

func (s *stage) sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func (s *stage) edit(id string, change func(*model.Task)) {
	s.update(func(tx *store.Txn) { s.tables.Tasks.Edit(tx, id, change) })
}

// host plays node: a task goes through its states; one that is to stop waits until control says that it is drained.
func (s *stage) host(ctx context.Context, id string) {
	t, ok := s.tables.Tasks.Get(s.db.View(), id)
	switch {
	case !ok || t.Host == "" || t.IsStopped():
	case t.Desired == model.DesiredStopped:
		ran := t.State == model.TaskRunning || t.State == model.TaskDeactivating
		if ran && len(t.TargetGroups) > 0 && !t.DeactivateDone && t.StopCode != model.StopEssentialContainerExited {
			return
		}
		s.update(func(tx *store.Txn) {
			s.tables.NetworkInterfaces.Delete(tx, t.ENIID)
			s.tables.Tasks.Edit(tx, id, func(t *model.Task) { t.State, t.StoppedAt = model.TaskStopped, time.Now() })
		})
	case t.State < model.TaskRunning:
		s.edit(id, func(t *model.Task) { t.State = model.TaskPending })
		s.sleep(ctx, s.starts)
		s.mu.Lock()
		why := s.broken(t)
		s.mu.Unlock()
		s.edit(id, func(t *model.Task) {
			switch {
			case t.Desired == model.DesiredStopped:
			case why != "":
				t.Desired, t.StopCode, t.StoppedReason = model.DesiredStopped, model.StopTaskFailedToStart, why
			default:
				t.State, t.StartedAt = model.TaskRunning, time.Now()
			}
		})
	}
}

func (s *stage) probeTime() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.probe
}

// balancer plays the load balancer: it probes a target, and forgets it when it has drained.
func (s *stage) balancer(ctx context.Context, key string) {
	target, ok := s.tables.Targets.Get(s.db.View(), key)
	switch {
	case !ok:
	case !target.DrainingSince.IsZero():
		s.sleep(ctx, s.delay)
		s.update(func(tx *store.Txn) {
			s.tables.Targets.Delete(tx, key)
			s.tables.TargetHealth.Delete(tx, key)
		})
	default:
		s.sleep(ctx, s.probeTime())
		state := model.TargetHealthy
		s.mu.Lock()
		if t, ok := s.tables.Tasks.Get(s.db.View(), target.TaskID); ok && s.sick(t) {
			state = model.TargetUnhealthy
		}
		s.mu.Unlock()
		s.update(func(tx *store.Txn) {
			s.tables.TargetHealth.Put(tx, &model.TargetHealth{TargetGroupARN: group, IP: target.IP, Port: target.Port, State: state, ChangedAt: time.Now()})
		})
	}
}

func (s *stage) create(desired int) {
	s.update(func(tx *store.Txn) {
		lbs := []model.ServiceLoadBalancer{{TargetGroupARN: group, Container: "app", Port: 80}}
		s.tables.Services.Put(tx, &model.Service{
			Cluster: "c", Name: "web", Status: model.ServiceActive, DesiredCount: desired, MinimumPercent: 100, MaximumPercent: 200, AZRebalancing: "ENABLED", LoadBalancers: lbs,
			CircuitBreaker: &model.CircuitBreaker{Enable: true, Rollback: true}, Deployments: []model.Deployment{s.deployment(1)},
		})
	})
}

func (s *stage) deployment(revision int) model.Deployment {
	return model.Deployment{
		ID: model.NewDeploymentID(), Status: model.DeploymentPrimary, DefinitionKey: model.TaskDefinitionKey("app", revision), RolloutState: model.RolloutInProgress,
		LaunchType: "FARGATE", LoadBalancers: []model.ServiceLoadBalancer{{TargetGroupARN: group, Container: "app", Port: 80}}, CreatedAt: time.Now(),
		Network: model.NetworkConfiguration{Subnets: []string{"subnet-a", "subnet-b"}, SecurityGroups: []string{"sg-1"}},
	}
}

func (s *stage) change(change func(*model.Service)) {
	s.update(func(tx *store.Txn) { s.tables.Services.Edit(tx, key, change) })
}

func (s *stage) deploy(revision int) {
	next := s.deployment(revision)
	s.change(func(v *model.Service) {
		for i := range v.Deployments {
			v.Deployments[i].Status = model.DeploymentActive
		}
		v.Deployments = append([]model.Deployment{next}, v.Deployments...)
	})
}

func (s *stage) service() *model.Service {
	v, _ := s.tables.Services.Get(s.db.View(), key)
	return v
}

// serving counts the targets that get requests and answer them.
func (s *stage) serving(r store.Reader) (n int) {
	for target := range s.tables.Targets.List(r) {
		h, ok := s.tables.TargetHealth.Get(r, target.Key())
		t, _ := s.tables.Tasks.Get(r, target.TaskID)
		if ok && h.State == model.TargetHealthy && target.DrainingSince.IsZero() && t != nil && t.State == model.TaskRunning {
			n++
		}
	}
	return n
}

// awaitSteady waits for the steady state and checks that the tasks are of that revision and evenly spread.
func (s *stage) awaitSteady(desired, revision int, within time.Duration) {
	s.t.Helper()
	end := time.Now().Add(within)
	for s.service().SteadyAt.IsZero() || len(s.service().Deployments) > 1 {
		if time.Now().After(end) {
			s.t.Fatalf("no steady state: %+v, %d tasks\n%s", s.service().Deployments, s.tables.Tasks.Len(s.db.View()), s.history())
		}
		time.Sleep(time.Second)
	}
	zones := map[string]int{"a": 0, "b": 0}
	n := 0
	for t := range s.tables.Tasks.By(s.db.View(), "service", key) {
		if t.Desired == model.DesiredRunning {
			n++
			zones[t.AZ]++
			if t.DefinitionKey != model.TaskDefinitionKey("app", revision) || t.State != model.TaskRunning {
				s.t.Errorf("task of %s is %s", t.DefinitionKey, t.State)
			}
		}
	}
	if d := zones["a"] - zones["b"]; n != desired || d > 1 || d < -1 || s.serving(s.db.View()) != desired {
		s.t.Errorf("%d tasks in %v, %d serve, want %d", n, zones, s.serving(s.db.View()), desired)
	}
}

// history returns the service's events, oldest first, without what is different each time.
func (s *stage) history() string {
	var b strings.Builder
	for _, e := range slices.Backward(s.service().Events) {
		message := e.Message
		if head, _, ok := strings.Cut(message, ": (task"); ok {
			message = head
		}
		for _, d := range s.service().Deployments {
			message = strings.ReplaceAll(message, d.ID, "ID")
		}
		fmt.Fprintln(&b, message)
	}
	return b.String()
}

func play(t *testing.T, story func(s *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		db, tables := storetest.On(t, mem.New())
		s := newStage(t, db, tables)
		end := s.run()
		defer end()
		story(s)
	})
}

func TestRollingUpdateServesAllTheTime(t *testing.T) {
	play(t, func(s *stage) {
		s.create(4)
		s.awaitSteady(4, 1, time.Minute)
		s.set(func() {
			s.seen = func(r store.Reader) {
				if n := s.serving(r); n < 4 {
					s.t.Errorf("only %d targets serve", n)
				}
				for task := range s.tables.Tasks.List(r) {
					if task.IsStopped() && s.tables.Targets.LenBy(r, "task", task.ID) > 0 {
						s.t.Errorf("task %s stopped before its target had drained", task.ID)
					}
				}
			}
		})
		s.deploy(2)
		time.Sleep(3 * time.Second)
		s.deploy(3) // two in a row
		s.awaitSteady(4, 3, 2*time.Minute)
		time.Sleep(6 * time.Minute)
		for task := range s.tables.Tasks.List(s.db.View()) {
			if task.Desired == model.DesiredStopped && !task.IsStopped() {
				s.t.Errorf("task %s is still %s", task.ID, task.State)
			}
		}
		if n := s.tables.Targets.Len(s.db.View()); n != 4 {
			s.t.Errorf("%d targets", n)
		}
	})
}

func TestDeadAndSickTasksAreReplaced(t *testing.T) {
	play(t, func(s *stage) {
		s.create(2)
		s.awaitSteady(2, 1, time.Minute)
		tasks := slices.Collect(s.tables.Tasks.List(s.db.View()))
		s.edit(tasks[0].ID, func(t *model.Task) {
			t.Desired, t.StopCode, t.StoppedReason = model.DesiredStopped, model.StopEssentialContainerExited, "Essential container in task exited"
		})
		time.Sleep(time.Second)
		if got, _ := s.tables.Tasks.Get(s.db.View(), tasks[0].ID); !got.IsStopped() {
			s.t.Errorf("the dead task is %s", got.State)
		}
		if target, ok := s.tables.Targets.FirstBy(s.db.View(), "task", tasks[0].ID); !ok || target.DrainingSince.IsZero() {
			s.t.Errorf("its target: %+v", target)
		}
		s.awaitSteady(2, 1, time.Minute)

		bad := tasks[1]
		s.update(func(tx *store.Txn) {
			s.tables.TargetHealth.Edit(tx, model.TargetKey(group, bad.PrivateIP, 80), func(h *model.TargetHealth) {
				h.State, h.Description, h.ChangedAt = model.TargetUnhealthy, "Request timed out", time.Now()
			})
		})
		time.Sleep(5 * time.Second)
		if got, _ := s.tables.Tasks.Get(s.db.View(), bad.ID); got.Desired != model.DesiredRunning {
			s.t.Error("the sick task was stopped before its replacement was healthy")
		}
		s.awaitSteady(2, 1, time.Minute)
		got, _ := s.tables.Tasks.Get(s.db.View(), bad.ID)
		if got.StopCode != model.StopServiceSchedulerInitiated || got.StoppedReason != "Task failed ELB health checks in (target-group "+group+")" {
			s.t.Errorf("the sick task: %s, %s", got.StopCode, got.StoppedReason)
		}
		want := fmt.Sprintf("(service web) (task %s) (port 80) is unhealthy in (target-group %s) due to (reason Request timed out)", bad.ID, group)
		if !strings.Contains(s.history(), want) {
			s.t.Errorf("history:\n%s", s.history())
		}
	})
}

func TestBreakerRollsBack(t *testing.T) {
	play(t, func(s *stage) {
		s.create(2)
		s.awaitSteady(2, 1, time.Minute)
		s.set(func() {
			s.broken = func(t *model.Task) string {
				if t.DefinitionKey == "app:2" {
					return "CannotPullContainerError: not found"
				}
				return ""
			}
		})
		s.set(func() {
			s.seen = func(r store.Reader) {
				if n := s.serving(r); n < 2 {
					s.t.Errorf("only %d targets serve", n)
				}
			}
		})
		s.deploy(2)
		time.Sleep(time.Minute)
		s.awaitSteady(2, 1, time.Minute)
		v := s.service()
		if v.Deployments[0].DefinitionKey != "app:1" || !v.Deployments[0].Rollback {
			s.t.Errorf("deployments %+v", v.Deployments)
		}
		for _, want := range []string{"deployment failed: tasks failed to start.", "rolling back to deployment", "was unable to place a task. Reason: CannotPullContainerError: not found."} {
			if !strings.Contains(s.history(), want) {
				s.t.Errorf("%q is not in the history:\n%s", want, s.history())
			}
		}
		if n := s.tables.Tasks.Len(s.db.View()); n > 12 {
			s.t.Errorf("%d tasks were made", n)
		}
	})
}

func TestTasksThatNeverStartAreThrottled(t *testing.T) {
	play(t, func(s *stage) {
		s.set(func() { s.broken = func(*model.Task) string { return "Task failed to start" } })
		s.create(2)
		s.change(func(v *model.Service) { v.CircuitBreaker = nil })
		time.Sleep(time.Hour)
		n := s.tables.Tasks.Len(s.db.View())
		if n < 10 || n > 40 {
			s.t.Errorf("%d tasks in an hour", n)
		}
		if !strings.Contains(s.history(), "is unable to consistently start tasks successfully.") {
			s.t.Errorf("history:\n%s", s.history())
		}
		s.set(func() { s.broken = func(*model.Task) string { return "" } })
		s.awaitSteady(2, 1, 16*time.Minute)
	})
}

func TestScaleAndDelete(t *testing.T) {
	play(t, func(s *stage) {
		s.create(3)
		s.awaitSteady(3, 1, time.Minute)
		s.change(func(v *model.Service) { v.DesiredCount = 6 })
		time.Sleep(time.Second)
		s.awaitSteady(6, 1, time.Minute)
		s.change(func(v *model.Service) { v.DesiredCount = 2 })
		time.Sleep(time.Second)
		s.awaitSteady(2, 1, time.Minute)
		s.change(func(v *model.Service) { v.Status, v.DesiredCount = model.ServiceDraining, 0 })
		time.Sleep(time.Minute)
		if v := s.service(); v.Status != model.ServiceDraining {
			s.t.Errorf("service %s while its targets drain", v.Status)
		}
		time.Sleep(6 * time.Minute)
		if v := s.service(); v.Status != model.ServiceInactive || s.tables.NetworkInterfaces.Len(s.db.View()) != 0 || s.tables.Targets.Len(s.db.View()) != 0 {
			s.t.Errorf("service %s, %d interfaces, %d targets", v.Status, s.tables.NetworkInterfaces.Len(s.db.View()), s.tables.Targets.Len(s.db.View()))
		}
	})
}

// TestRestIsSilent counts what is written in a steady state.
func TestRestIsSilent(t *testing.T) {
	play(t, func(s *stage) {
		s.create(4)
		s.awaitSteady(4, 1, time.Minute)
		before := s.db.Revision()
		time.Sleep(5 * time.Hour)
		if after := s.db.Revision(); after != before {
			s.t.Errorf("%d writes in a steady state", after-before)
		}
		time.Sleep(2 * time.Hour)
		if n := strings.Count(s.history(), "steady state"); n != 2 {
			s.t.Errorf("the steady state was told %d times in 7 hours", n)
		}
	})
}

// TestOldHealthIsNotBelieved gives a new task the address of a former one that was healthy.
func TestOldHealthIsNotBelieved(t *testing.T) {
	play(t, func(s *stage) {
		s.set(func() { s.probe = time.Hour })
		for _, ip := range []string{"10.0.0.0", "10.0.1.0"} { // whichever address the tasks get
			addr := netip.MustParseAddr(ip)
			s.update(func(tx *store.Txn) {
				for range 256 {
					s.tables.TargetHealth.Put(tx, &model.TargetHealth{TargetGroupARN: group, IP: addr, Port: 80, State: model.TargetHealthy, ChangedAt: time.Now().Add(-time.Hour)})
					addr = addr.Next()
				}
			})
		}
		s.create(2)
		time.Sleep(30 * time.Minute)
		if v := s.service(); !v.SteadyAt.IsZero() || v.Deployments[0].RolloutState != model.RolloutInProgress || s.tables.Targets.Len(s.db.View()) != 2 {
			s.t.Errorf("deployment %+v", v.Deployments[0])
		}
		// A report about the former target that comes late.
		for target := range s.tables.Targets.List(s.db.View()) {
			s.update(func(tx *store.Txn) {
				s.tables.TargetHealth.Put(tx, &model.TargetHealth{TargetGroupARN: group, IP: target.IP, Port: 80, State: model.TargetHealthy, ChangedAt: target.RegisteredAt.Add(-time.Second)})
			})
		}
		time.Sleep(time.Minute)
		if v := s.service(); !v.SteadyAt.IsZero() {
			s.t.Error("a late report was believed")
		}
		time.Sleep(time.Hour)
		s.awaitSteady(2, 1, time.Minute)
	})
}

// TestGroupThatNobodyUses has no load balancer to check its targets: time alone makes tasks healthy.
func TestGroupThatNobodyUses(t *testing.T) {
	play(t, func(s *stage) {
		s.update(func(tx *store.Txn) { s.tables.Listeners.Delete(tx, "listener") })
		s.set(func() { s.probe = 100 * time.Hour })
		s.create(1)
		time.Sleep(30 * time.Second)
		if !s.service().SteadyAt.IsZero() {
			s.t.Error("steady too early")
		}
		time.Sleep(30 * time.Second)
		if s.service().SteadyAt.IsZero() {
			s.t.Error("not steady")
		}
	})
}

func TestGracePeriod(t *testing.T) {
	play(t, func(s *stage) {
		s.set(func() { s.sick = func(t *model.Task) bool { return true } })
		s.create(1)
		s.change(func(v *model.Service) { v.GracePeriod = ptr(120); v.CircuitBreaker = nil })
		time.Sleep(100 * time.Second)
		if n := s.tables.Tasks.Len(s.db.View()); n != 1 {
			s.t.Errorf("%d tasks within the grace period", n)
		}
		time.Sleep(30 * time.Second)
		if n := s.tables.Tasks.Len(s.db.View()); n != 2 {
			s.t.Errorf("%d tasks after the grace period", n)
		}
	})
}

func TestRefusedByPlacement(t *testing.T) {
	play(t, func(s *stage) {
		s.update(func(tx *store.Txn) { s.tables.SecurityGroups.Delete(tx, "sg-1") })
		s.create(1)
		time.Sleep(time.Second)
		task := slices.MinFunc(slices.Collect(s.tables.Tasks.List(s.db.View())), func(a, b *model.Task) int { return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID)) })
		if !task.IsStopped() || task.StopCode != model.StopTaskFailedToStart || !strings.Contains(task.StoppedReason, "InvalidGroup.NotFound") {
			s.t.Errorf("task %s, %s: %s", task.State, task.StopCode, task.StoppedReason)
		}
		if v := s.service(); v.Deployments[0].RolloutState != model.RolloutFailed {
			s.t.Errorf("deployment %+v", v.Deployments[0])
		}
	})
}

func ptr[T any](v T) *T { return &v }
