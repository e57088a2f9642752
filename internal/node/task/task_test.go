package task

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/container"
	"github.com/neargate/neargate/internal/container/fake"
	"github.com/neargate/neargate/internal/linux/cgroup"
	"github.com/neargate/neargate/internal/model"
)

func withLogs(c model.ContainerDefinition) model.ContainerDefinition {
	c.Log = &model.LogConfiguration{Driver: "awslogs", Options: map[string]string{"awslogs-group": "/app", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "p"}}
	return c
}

func TestLife(t *testing.T) {
	w := newWorld(t, nil)
	m, _ := w.run()
	id := w.launch(withLogs(app("app", "print", "hello", "+", "graceful")), app("side", "sleep"))
	running := w.awaitState(id, model.TaskRunning)
	if running.StartedAt.IsZero() || running.PullStartedAt.IsZero() || running.PullStoppedAt.IsZero() || running.ConnectivityAt.IsZero() ||
		running.Connectivity != "CONNECTED" || running.Attachment != "ATTACHED" || running.Health != "UNKNOWN" {
		t.Errorf("task is %+v", running)
	}
	for _, c := range running.Containers {
		if c.LastStatus != "RUNNING" || c.ImageDigest != w.image.Manifest.Digest || c.RuntimeID != runtimeID(id, c.Name) || c.ExitCode != nil {
			t.Errorf("container is %+v", c)
		}
	}
	w.mu.Lock()
	limits, kept, streams := w.groups["/ng/"+id], w.kept[id], w.streams
	w.mu.Unlock()
	if diff := cmp.Diff(cgroup.Limits{CPUQuota: 25 * time.Millisecond, Memory: 512 << 20}, limits); diff != "" {
		t.Error(diff)
	}
	if want := []string{`{"logGroupName":"/app","logStreamName":"p/app/` + id + `"}`}; cmp.Diff(want, streams) != "" {
		t.Errorf("streams are %v", streams)
	}
	var doc struct {
		TaskARN    string
		Containers []struct{ Name string }
	}
	if err := json.Unmarshal(kept.Metadata.Task, &doc); err != nil || doc.TaskARN != running.ARN || len(doc.Containers) != 2 {
		t.Errorf("metadata is %s", kept.Metadata.Task)
	}
	if len(kept.Metadata.Credentials) != 1 || kept.Metadata.Credentials[0].AccessKeyID != "ASIAarn:task" || kept.Logs[0].Remote.AccessKeyID != "ASIAarn:exec" {
		t.Errorf("keeper has %+v", kept)
	}
	log := filepath.Join(w.config.Dir, id, "app.log")
	if data, _ := os.ReadFile(log); string(data) != "hello\n" {
		t.Errorf("log is %q", data)
	}
	var out bytes.Buffer
	code, err := m.Exec(t.Context(), id, "side", container.Exec{Args: []string{"x", "env", "AWS_REGION", "+", "exit", "4"}, Stdout: &out})
	if code != 4 || err != nil || out.String() != "us-east-1\n" {
		t.Errorf("exec gave %d, %v, %q", code, err, out.String())
	}
	if _, byName, err := m.Stats(id); err != nil || len(byName) != 2 {
		t.Errorf("stats are %v, %v", byName, err)
	}

	w.askToStop(id)
	stopped := w.awaitState(id, model.TaskStopped)
	if stopped.StopCode != model.StopUserInitiated || stopped.StoppedReason != "Task stopped by user" || stopped.StoppedAt.IsZero() || stopped.StoppingAt.IsZero() ||
		stopped.ExecutionStoppedAt.IsZero() || stopped.Attachment != "DELETED" {
		t.Errorf("task is %+v", stopped)
	}
	codes := map[string]int{}
	for _, c := range stopped.Containers {
		codes[c.Name] = *c.ExitCode
	}
	if diff := cmp.Diff(map[string]int{"app": 0, "side": 143}, codes); diff != "" {
		t.Error(diff)
	}
	if len(w.drained) != 1 {
		t.Errorf("drained %v", w.drained)
	}
	w.nothingLeft(id)
}

func TestStops(t *testing.T) {
	for _, test := range []struct {
		name         string
		set          func(w *world)
		containers   []model.ContainerDefinition
		code, reason string
		exit         map[string]int // of containers that ran
		container    string         // reason of the first container
	}{
		{name: "essential exit", containers: []model.ContainerDefinition{app("app", "exit", "3"), app("side", "sleep")},
			code: "EssentialContainerExited", reason: "Essential container in task exited", exit: map[string]int{"app": 3, "side": 143}},
		{name: "missing tag", containers: []model.ContainerDefinition{{Name: "app", Image: hub + "/web:nope", Essential: true}},
			code: "TaskFailedToStart", reason: "CannotPullContainerError: pull image manifest has been retried 7 time(s): failed to resolve ref registry.example.com/web:nope: registry.example.com/web:nope: not found",
			container: "CannotPullContainerError: pull image manifest has been retried 7 time(s): failed to resolve ref registry.example.com/web:nope: registry.example.com/web:nope: not found"},
		{name: "registry cut off", set: func(w *world) { w.cut[hub] = true }, containers: []model.ContainerDefinition{app("app", "sleep")},
			code: "TaskFailedToStart", reason: `CannotPullContainerError: pull image manifest has been retried 7 time(s): failed to resolve ref registry.example.com/web:latest: failed to do request: Head "https://registry.example.com/v2/web/manifests/latest": dial tcp 198.19.0.10:443: i/o timeout`},
		{name: "no log group", set: func(w *world) { w.noGroup = true }, containers: []model.ContainerDefinition{withLogs(app("app", "sleep"))},
			code: "TaskFailedToStart", reason: "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist. : exit status 1"},
		{name: "logs cut off", set: func(w *world) { w.cut["logs.us-east-1.amazonaws.com"] = true }, containers: []model.ContainerDefinition{withLogs(app("app", "sleep"))},
			code: "TaskFailedToStart", reason: "ResourceInitializationError: failed to validate logger args: The task cannot find the Amazon CloudWatch log group defined in the task definition. There is a connection issue between the task and Amazon CloudWatch. Check your network configuration. : signal: killed"},
		{name: "no role", set: func(w *world) { w.noRole = true }, containers: []model.ContainerDefinition{app("app", "sleep")},
			code: "TaskFailedToStart", reason: "ECS was unable to assume the role 'arn:exec' that was provided for this task. Please verify that the role being passed has the proper trust relationship and permissions and that your IAM user has permissions to pass this role."},
		{name: "cannot start", set: func(w *world) {
			w.runtime.(*fake.Runtime).Fail = func(method, id string) error {
				if method == "Start" {
					return context.DeadlineExceeded
				}
				return nil
			}
		}, containers: []model.ContainerDefinition{app("app", "sleep")}, code: "TaskFailedToStart", reason: "Task failed to start", container: "CannotStartContainerError: context deadline exceeded"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, nil)
			if test.set != nil {
				test.set(w)
			}
			w.run()
			id := w.launch(test.containers...)
			got := w.awaitState(id, model.TaskStopped)
			if diff := cmp.Diff([]string{test.code, test.reason, "STOPPED"}, []string{got.StopCode, got.StoppedReason, got.Desired}); diff != "" {
				t.Error(diff)
			}
			codes := map[string]int{}
			for _, c := range got.Containers {
				if c.LastStatus != "STOPPED" {
					t.Errorf("container is %+v", c)
				}
				if c.ExitCode != nil {
					codes[c.Name] = *c.ExitCode
				}
			}
			if test.exit == nil {
				test.exit = map[string]int{}
			}
			if diff := cmp.Diff(test.exit, codes); diff != "" {
				t.Error(diff)
			}
			if test.container != "" && got.Containers[0].Reason != test.container {
				t.Errorf("reason is %q", got.Containers[0].Reason)
			}
			w.nothingLeft(id)
		})
	}
}

func TestCreateGroup(t *testing.T) {
	w := newWorld(t, nil)
	w.noGroup = true
	w.run()
	c := withLogs(app("app", "sleep"))
	c.Log.Options["awslogs-create-group"] = "true"
	id := w.launch(c)
	w.awaitState(id, model.TaskRunning)
}

func TestStopWhileItPulls(t *testing.T) {
	w := newWorld(t, nil)
	w.config.Clock = nil // real time: the attempts would go on for minutes
	w.cut[hub] = true
	w.run()
	id := w.launch(app("app", "sleep"))
	w.awaitState(id, model.TaskPending)
	w.askToStop(id)
	got := w.awaitState(id, model.TaskStopped)
	if got.StopCode != model.StopUserInitiated || !got.StartedAt.IsZero() {
		t.Errorf("task is %+v", got)
	}
	w.nothingLeft(id)
}

func TestDraining(t *testing.T) {
	w := newWorld(t, nil)
	w.run()
	id := w.launchAs(func(t *model.Task, _ *model.TaskDefinition) { t.TargetGroups = []model.ServiceLoadBalancer{{}} }, app("app", "sleep"))
	w.awaitState(id, model.TaskRunning)
	w.askToStop(id)
	if got := w.awaitState(id, model.TaskDeactivating); got.State != model.TaskDeactivating || got.Containers[0].LastStatus != "RUNNING" {
		t.Errorf("task is %+v", got)
	}
	w.edit(id, func(t *model.Task) { t.DeactivateDone = true })
	w.awaitState(id, model.TaskStopped)
	w.nothingLeft(id)
}

func TestStubbornContainerIsKilled(t *testing.T) {
	w := newWorld(t, nil)
	w.run()
	c := app("app", "stubborn")
	c.StopTimeout = 2
	id := w.launch(c)
	w.awaitState(id, model.TaskRunning)
	w.askToStop(id)
	if got := w.awaitState(id, model.TaskStopped); *got.Containers[0].ExitCode != 137 {
		t.Errorf("task is %+v", got)
	}
}

func TestDependencies(t *testing.T) {
	w := newWorld(t, nil)
	w.run()
	db := app("db", "sleep")
	db.HealthCheck = &model.ContainerHealth{Command: []string{"CMD", "x", "exit", "0"}, Interval: 30, Timeout: 60, Retries: 3}
	setup := app("setup", "exit", "0")
	setup.Essential = false
	web := app("web", "sleep")
	web.DependsOn = []model.Dependency{on("db", "HEALTHY"), on("setup", "SUCCESS")}
	id := w.launch(web, db, setup)
	got := w.awaitState(id, model.TaskRunning)
	if got.Health != "HEALTHY" {
		t.Errorf("task health is %s", got.Health)
	}
	if a, b := got.Containers[0], got.Containers[1]; a.StartedAt.Before(b.StartedAt) || a.Name != "web" {
		t.Errorf("containers are %+v", got.Containers)
	}
	w.askToStop(id)
	w.awaitState(id, model.TaskStopped)
	var order []string
	for _, call := range w.runtime.(*fake.Runtime).Calls() {
		for _, name := range []string{"web", "db"} {
			if call == "Signal(15) "+runtimeID(id, name) {
				order = append(order, name)
			}
		}
	}
	if diff := cmp.Diff([]string{"web", "db"}, order); diff != "" {
		t.Error(diff)
	}
}

func TestUnhealthy(t *testing.T) {
	w := newWorld(t, nil)
	w.run()
	c := app("app", "sleep")
	c.HealthCheck = &model.ContainerHealth{Command: []string{"CMD", "x", "print", "broken", "+", "exit", "1"}, Interval: 5, Timeout: 60, Retries: 2}
	id := w.launch(c)
	got := w.await(id, "unhealthy", func(t *model.Task) bool { return t.Health == "UNHEALTHY" })
	if got.State != model.TaskRunning || got.Containers[0].Health != "UNHEALTHY" {
		t.Errorf("task is %+v", got)
	}
}

func TestRestartPolicy(t *testing.T) {
	w := newWorld(t, nil)
	w.run()
	c := app("app", "pause", "200", "+", "exit", "1")
	c.Restart = &model.RestartPolicy{Enabled: true, AttemptPeriod: 60}
	id := w.launch(c, app("side", "sleep"))
	got := w.await(id, "restarted", func(t *model.Task) bool { return len(t.Containers) > 0 && t.Containers[0].RestartCount >= 2 })
	if got.State != model.TaskRunning {
		t.Errorf("task is %+v", got)
	}
}

// The daemon dies; what runs goes on, what ended meanwhile is found, and what nobody wants is removed.
func TestAdoption(t *testing.T) {
	w := newWorld(t, nil)
	_, end := w.run()
	lives := w.launch(withLogs(app("app", "sleep")))
	ends := w.launch(app("app", "sleep"), app("side", "sleep"))
	w.awaitState(lives, model.TaskRunning)
	before := w.awaitState(ends, model.TaskRunning)
	end()
	if err := w.runtime.Signal(t.Context(), runtimeID(ends, "app"), 15); err != nil {
		t.Fatal(err)
	}
	if _, err := w.runtime.Wait(t.Context(), runtimeID(ends, "app")); err != nil {
		t.Fatal(err)
	}
	// Left by a task that is gone.
	orphan := model.NewTaskID()
	if err := w.runtime.Create(t.Context(), container.Spec{ID: "orphan", Image: w.image.Manifest.Digest, Labels: map[string]string{"task": orphan}}); err != nil {
		t.Fatal(err)
	}
	w.nss["ng-task-"+orphan], w.groups["/ng/"+orphan] = true, cgroup.Limits{}
	if err := os.MkdirAll(filepath.Join(w.config.Dir, orphan), 0o755); err != nil {
		t.Fatal(err)
	}
	calls := len(w.runtime.(*fake.Runtime).Calls())
	w.run()
	got := w.awaitState(ends, model.TaskStopped)
	if got.StopCode != model.StopEssentialContainerExited || *got.Containers[0].ExitCode != 143 || !got.StartedAt.Equal(before.StartedAt) {
		t.Errorf("task is %+v", got)
	}
	w.await(lives, "known", func(t *model.Task) bool { return t.State == model.TaskRunning })
	for _, call := range w.runtime.(*fake.Runtime).Calls()[calls:] {
		if strings.Contains(call, lives) {
			t.Errorf("the running task was touched: %s", call)
		}
	}
	w.askToStop(lives)
	w.awaitState(lives, model.TaskStopped)
	for range 1000 { // the sweep runs beside
		if list, _ := w.runtime.List(t.Context()); len(list) == 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	w.nothingLeft(lives)
	if _, err := os.Stat(filepath.Join(w.config.Dir, orphan)); err == nil {
		t.Error("files of an orphan are left")
	}
}

// After a reboot nothing runs, though the records say so.
func TestReboot(t *testing.T) {
	w := newWorld(t, nil)
	_, end := w.run()
	id := w.launch(app("app", "sleep"))
	w.awaitState(id, model.TaskRunning)
	end()
	w.runtime.(*fake.Runtime).Lose(runtimeID(id, "app"))
	w.run()
	if got := w.awaitState(id, model.TaskStopped); got.StopCode != model.StopEssentialContainerExited || *got.Containers[0].ExitCode != 137 {
		t.Errorf("task is %+v", got)
	}
	w.nothingLeft(id)
}

// The daemon dies again and again while tasks start and stop; each of them ends as it must.
func TestDaemonDiesOften(t *testing.T) {
	w := newWorld(t, nil)
	var ids []string
	for range 6 {
		ids = append(ids, w.launch(withLogs(app("app", "graceful")), app("side", "sleep")))
	}
	for i := range 12 {
		_, end := w.run()
		time.Sleep(time.Duration(i*i) * time.Millisecond / 2) // to hit different moments; nothing depends on which
		end()
	}
	w.run()
	for _, id := range ids {
		w.awaitState(id, model.TaskRunning)
		w.askToStop(id)
	}
	for _, id := range ids {
		if got := w.awaitState(id, model.TaskStopped); got.StopCode != model.StopUserInitiated {
			t.Errorf("task is %+v", got)
		}
	}
	w.nothingLeft(ids[0])
}
