package cli

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/neargate/neargate/internal/ctl"
	"github.com/neargate/neargate/internal/model"
)

// Exec runs a command in a container of a task.
type Exec struct {
	Client    *Client
	Socket    string // of the daemon
	Task      string // identifier, the beginning of one, ARN, or a service: any running task of it
	Container string // empty: the task's only one, or the first
	Command   []string
	TTY       bool
	Rows      uint16
	Cols      uint16
	Streams   ctl.Streams
}

// Run runs the command and returns its exit code.
func (e *Exec) Run(ctx context.Context) (exitCode int, err error) {
	task, err := e.find(ctx)
	if err != nil {
		return 0, asExec(Explain(err, e.Client.Endpoint))
	}
	container, err := chooseContainer(task, e.Container)
	if err != nil {
		return 0, asExec(err)
	}
	client := &ctl.Client{Socket: e.Socket}
	code, err := client.Exec(ctx, ctl.ExecRequest{
		Task: model.LastSegment(aws.ToString(task.TaskArn)), Container: container, Command: e.Command, TTY: e.TTY, Rows: e.Rows, Cols: e.Cols,
	}, e.Streams)
	switch {
	case err == nil:
		return code, nil
	case errors.Is(err, fs.ErrPermission):
		return 0, &Problem{Text: "only root may use " + e.Socket, Hint: "Run it with sudo.", Code: ExitExec, Err: err}
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return 0, &Problem{Text: "no daemon listens on " + e.Socket, Hint: "If it was started with --data, say the same here: --data or NEARGATE_DATA.", Code: ExitExec, Err: err}
	case errors.Is(err, context.Canceled):
		return 0, &Problem{Text: "interrupted", Code: ExitInterrupted, Err: err}
	}
	return 0, &Problem{Text: strings.Join(e.Command, " ") + ": " + err.Error(), Code: ExitExec, Err: err}
}

// asExec gives a problem the exit code that is not a command's.
func asExec(err error) error {
	var p *Problem
	if !errors.As(err, &p) {
		return &Problem{Text: err.Error(), Code: ExitExec, Err: err}
	}
	q := *p
	q.Code = ExitExec
	return &q
}

// find returns the task that is meant; it runs.
func (e *Exec) find(ctx context.Context) (*ecstypes.Task, error) {
	f, err := loadFleet(ctx, e.Client.ECS)
	if err != nil {
		return nil, err
	}
	task, err := f.task(e.Task)
	if err != nil {
		return nil, err
	}
	if task != nil {
		if state := aws.ToString(task.LastStatus); state != "RUNNING" {
			return nil, Failed("", "task %s is %s", model.LastSegment(aws.ToString(task.TaskArn)), state)
		}
		return task, nil
	}
	service, err := f.service(e.Task)
	if err != nil {
		return nil, err
	}
	if service == nil {
		return nil, Failed("`neargate status` lists what there is.", "there is no task and no service %q", e.Task)
	}
	for _, t := range f.tasksOf(service) {
		if aws.ToString(t.LastStatus) == "RUNNING" {
			return t, nil
		}
	}
	return nil, Failed("", "service %s has no running task", e.Task)
}

// chooseContainer returns the container that is meant; it runs.
func chooseContainer(t *ecstypes.Task, name string) (string, error) {
	var running, all []string
	for _, c := range t.Containers {
		all = append(all, aws.ToString(c.Name))
		if aws.ToString(c.LastStatus) == "RUNNING" {
			running = append(running, aws.ToString(c.Name))
		}
	}
	switch {
	case name != "" && slices.Contains(running, name):
		return name, nil
	case name != "" && slices.Contains(all, name):
		return "", Failed("", "container %s is not running", name)
	case name != "":
		return "", Usage("the task has no container %s; it has %s", name, strings.Join(all, ", "))
	case len(running) == 0:
		return "", Failed("", "no container of the task is running")
	}
	return running[0], nil
}
