package containerd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/containerd/api/types/runc/options"
	tasktypes "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/containerd/containers"
	"github.com/containerd/containerd/errdefs"
	"github.com/containerd/containerd/mount"
	"github.com/containerd/containerd/protobuf"
	"github.com/containerd/typeurl/v2"
	"golang.org/x/sys/unix"

	"github.com/neargate/neargate/internal/container"
	"github.com/neargate/neargate/internal/fault"
)

// Create makes the container. The record is written before the snapshot that it names, so containerd's garbage
// collection never takes the snapshot, and a crash in between leaves a record that List shows.
func (r *Runtime) Create(ctx context.Context, s container.Spec) (err error) {
	ctx = r.context(ctx)
	image, err := r.image(ctx, s.Image)
	if err != nil {
		return err
	}
	spec, err := Compile(s, host{image: image.Image, users: image.users, init: r.opts.Init, nofile: r.nofile})
	if err != nil {
		return err
	}
	if err := r.copyUp(ctx, s, image); err != nil {
		return err
	}
	encoded, err := typeurl.MarshalAny(spec)
	if err != nil {
		return fmt.Errorf("encode specification: %w", err)
	}
	labels := map[string]string{labelGroup: s.Group, labelCgroup: spec.Linux.CgroupsPath, labelLog: s.LogPath}
	for key, value := range s.Labels {
		labels[labelUser+key] = value
	}
	runc, err := r.runcOptions()
	if err != nil {
		return err
	}
	if _, err := r.client.ContainerService().Create(ctx, containers.Container{
		ID: s.ID, Labels: labels, Image: s.Image, Spec: encoded, Snapshotter: snapshotter, SnapshotKey: s.ID,
		Runtime: containers.RuntimeInfo{Name: runtimeName, Options: runc},
	}); err != nil {
		if errdefs.IsAlreadyExists(err) {
			return errors.Join(fault.NewExists("container", s.ID), err)
		}
		return fmt.Errorf("record container: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Delete(context.WithoutCancel(ctx), s.ID))
		}
	}()
	mounts, err := r.client.SnapshotService(snapshotter).Prepare(ctx, s.ID, image.chainID)
	if err != nil && !errdefs.IsAlreadyExists(err) {
		return fmt.Errorf("make root file system: %w", err)
	}
	if s.OpenStdin {
		if err := r.makeStdin(s.ID); err != nil {
			return err
		}
	}
	if err := r.createProcess(ctx, s.ID, s.LogPath, mounts); err != nil {
		return err
	}
	r.remember(s.ID, spec.Linux.CgroupsPath)
	return nil
}

func (r *Runtime) runcOptions() (typeurl.Any, error) {
	any, err := typeurl.MarshalAny(&options.Options{Root: r.opts.RuncDir})
	if err != nil {
		return nil, fmt.Errorf("encode runtime options: %w", err)
	}
	return any, nil
}

func (r *Runtime) createProcess(ctx context.Context, id, logPath string, mounts []mount.Mount) error {
	runc, err := r.runcOptions()
	if err != nil {
		return err
	}
	request := &tasksapi.CreateTaskRequest{ContainerID: id, Options: protobuf.FromAny(runc)}
	if logPath != "" {
		if !path.IsAbs(logPath) {
			return fault.NewInvalid("log", "log path %q is not absolute", logPath)
		}
		request.Stdout = "file://" + logPath
		request.Stderr = request.Stdout
	}
	if _, err := os.Lstat(r.stdin(id)); err == nil {
		request.Stdin = r.stdin(id)
	}
	for _, m := range mounts {
		request.Rootfs = append(request.Rootfs, &types.Mount{Type: m.Type, Source: m.Source, Options: m.Options})
	}
	if _, err := r.client.TaskService().Create(ctx, request); err != nil {
		return runcError(err)
	}
	return nil
}

func (r *Runtime) stdin(id string) string { return filepath.Join(r.opts.Stdin, id) }

// makeStdin makes the pipe that is a container's standard input. The shim holds its other end open.
func (r *Runtime) makeStdin(id string) error {
	if err := os.MkdirAll(r.opts.Stdin, 0o700); err != nil {
		return fmt.Errorf("make standard input: %w", err)
	}
	if err := unix.Mkfifo(r.stdin(id), 0o600); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("make standard input: %w", err)
	}
	return nil
}

// Start runs the first process, for a container that has exited as well.
func (r *Runtime) Start(ctx context.Context, id string) error {
	ctx = r.context(ctx)
	_, err := r.client.TaskService().Start(ctx, &tasksapi.StartRequest{ContainerID: id})
	if err == nil {
		return nil
	}
	process, getErr := r.client.TaskService().Get(ctx, &tasksapi.GetRequest{ContainerID: id})
	gone := getErr != nil && errdefs.IsNotFound(plain(getErr))
	if !gone && (getErr != nil || process.Process.Status != tasktypes.Status_STOPPED || !isRestart(err)) {
		return runcError(err)
	}
	record, err := r.client.ContainerService().Get(ctx, id)
	if err != nil {
		return translate(err, id)
	}
	if !gone {
		if _, err := r.client.TaskService().Delete(ctx, &tasksapi.DeleteTaskRequest{ContainerID: id}); err != nil {
			return fmt.Errorf("remove old process: %w", plain(err))
		}
	}
	mounts, err := r.client.SnapshotService(snapshotter).Mounts(ctx, id)
	if err != nil {
		return fmt.Errorf("mount root file system: %w", err)
	}
	if err := r.createProcess(ctx, id, record.Labels[labelLog], mounts); err != nil {
		return err
	}
	if _, err := r.client.TaskService().Start(ctx, &tasksapi.StartRequest{ContainerID: id}); err != nil {
		return runcError(err)
	}
	return nil
}

// isRestart reports whether the shim refused because the process has already run.
func isRestart(err error) bool {
	return strings.Contains(err.Error(), "cannot start a stopped process")
}

// Signal sends a signal to the first process.
func (r *Runtime) Signal(ctx context.Context, id string, signal syscall.Signal) error {
	_, err := r.client.TaskService().Kill(r.context(ctx), &tasksapi.KillRequest{ContainerID: id, Signal: uint32(signal)})
	if err == nil {
		return nil
	}
	err = translate(err, id)
	if !fault.IsNotFound(err) {
		return fmt.Errorf("signal container: %w", err)
	}
	// "Not found" is also said of a process that has ended.
	if _, statErr := r.client.ContainerService().Get(r.context(ctx), id); statErr != nil {
		return err
	}
	return nil
}

// Wait returns when the first process has exited.
func (r *Runtime) Wait(ctx context.Context, id string) (container.Exit, error) {
	ctx = r.context(ctx)
	resp, err := r.client.TaskService().Wait(ctx, &tasksapi.WaitRequest{ContainerID: id})
	if err != nil {
		return container.Exit{}, translate(err, id)
	}
	return container.Exit{
		Code: int(resp.ExitStatus), At: resp.ExitedAt.AsTime(), OOM: r.hadOOM(r.cgroupOf(ctx, id)),
	}, nil
}

// Delete removes the container. The shim closes the log, with everything written, before it returns.
func (r *Runtime) Delete(ctx context.Context, id string) error {
	ctx = r.context(ctx)
	if err := r.deleteProcess(ctx, id); err != nil {
		return err
	}
	if err := r.client.ContainerService().Delete(ctx, id); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("delete container: %w", err)
	}
	if err := r.client.SnapshotService(snapshotter).Remove(ctx, id); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("delete root file system: %w", err)
	}
	if err := os.Remove(r.stdin(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete standard input: %w", err)
	}
	r.remember(id, "")
	return nil
}

func (r *Runtime) deleteProcess(ctx context.Context, id string) error {
	tasks := r.client.TaskService()
	// "Not found" is said of a process that has ended, too. Killing comes first: deleting a process that was never
	// started would wait in vain for the end of its output.
	_, err := tasks.Kill(ctx, &tasksapi.KillRequest{ContainerID: id, Signal: uint32(syscall.SIGKILL), All: true})
	if err = plain(err); err == nil {
		_, err = tasks.Wait(ctx, &tasksapi.WaitRequest{ContainerID: id})
	}
	if err = plain(err); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("kill container: %w", err)
	}
	if _, err := tasks.Delete(ctx, &tasksapi.DeleteTaskRequest{ContainerID: id}); err != nil && !errdefs.IsNotFound(plain(err)) {
		return fmt.Errorf("delete process: %w", plain(err))
	}
	return nil
}

// runcError leaves only what runc said: that is what AWS shows to users, and what they look up.
func runcError(err error) error {
	err = plain(err)
	text := err.Error()
	for _, lead := range []string{"OCI runtime create failed: ", "OCI runtime start failed: ", "OCI runtime exec failed: "} {
		if _, rest, ok := strings.Cut(text, lead); ok {
			rest = strings.TrimSuffix(rest, ": unknown")
			return &runtimeError{text: rest, cause: err}
		}
	}
	return err
}

type runtimeError struct {
	text  string
	cause error
}

func (e *runtimeError) Error() string { return e.text }
func (e *runtimeError) Unwrap() error { return e.cause }
