package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/neargate/neargate/test/harness"
)

// hostLock is that of test/harness: one daemon at a time on a host.
const hostLock = "/run/neargate-test.lock"

// daemon is a `neargate serve` with what several benchmarks need. What is not nil was made already.
type daemon struct {
	*harness.Daemon
	lock  *os.File
	api   harness.Clients
	image v1.Image // the application of the tests

	stage *stage
}

// stage is a VPC, a cluster and a task definition.
type stage struct {
	vpc, subnet, group, cluster, image string
}

func startDaemon(ctx context.Context) (*daemon, error) {
	if why := harness.Missing(); why != "" {
		return nil, errors.New(why)
	}
	say("starting a daemon")
	lock, err := os.OpenFile(hostLock, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	for told := false; ; time.Sleep(200 * time.Millisecond) {
		err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return nil, errors.Join(ctx.Err(), lock.Close())
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(err, lock.Close())
		}
		if !told {
			say("waiting for the tests that have the host")
			told = true
		}
	}
	d := &daemon{lock: lock}
	if d.image, err = harness.AppImage(ctx); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	if d.Daemon, err = harness.Start(ctx, harness.Options{}); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	d.api = d.Clients()
	return d, nil
}

func (d *daemon) stop(ctx context.Context) error {
	err := d.Stop(ctx)
	if err == nil {
		_ = os.Remove(d.Data + ".log")
	}
	return errors.Join(err, d.lock.Close())
}

// call calls an operation and reads what is at a path of the answer (see [harness.Find]); an empty path reads nothing.
func (d *daemon) call(ctx context.Context, service, operation, path string, input map[string]any) (string, error) {
	in, err := json.Marshal(input)
	if err != nil {
		return "", err
	}
	out, err := d.api.Call(ctx, service, operation, in)
	if err != nil || path == "" {
		return "", err
	}
	return harness.Find(out, path)
}

// script calls operations one after the other until one fails.
type script struct {
	ctx context.Context
	d   *daemon
	err error
}

func (s *script) call(service, operation, path string, input map[string]any) string {
	if s.err != nil {
		return ""
	}
	var found string
	if found, s.err = s.d.call(s.ctx, service, operation, path, input); s.err != nil {
		s.err = fmt.Errorf("%s: %w", operation, s.err)
	}
	return found
}

// prepare makes the stage: one public subnet, for the image has to be pulled through something.
func (d *daemon) prepare(ctx context.Context) (*stage, error) {
	if d.stage != nil {
		return d.stage, nil
	}
	s := &script{ctx: ctx, d: d}
	g := &stage{cluster: "bench"}
	if g.image, s.err = d.Push(ctx, d.image, "bench", "v1"); s.err != nil {
		return nil, s.err
	}
	g.vpc = s.call("ec2", "CreateVpc", "Vpc.VpcId", map[string]any{"CidrBlock": "10.0.0.0/16"})
	g.subnet = s.call("ec2", "CreateSubnet", "Subnet.SubnetId", map[string]any{"VpcId": g.vpc, "CidrBlock": "10.0.0.0/18", "AvailabilityZone": harness.Region + "a"})
	gateway := s.call("ec2", "CreateInternetGateway", "InternetGateway.InternetGatewayId", nil)
	s.call("ec2", "AttachInternetGateway", "", map[string]any{"VpcId": g.vpc, "InternetGatewayId": gateway})
	table := s.call("ec2", "DescribeRouteTables", "RouteTables[0].RouteTableId", map[string]any{"Filters": []map[string]any{{"Name": "vpc-id", "Values": []string{g.vpc}}}})
	s.call("ec2", "CreateRoute", "", map[string]any{"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": gateway})
	g.group = s.call("ec2", "CreateSecurityGroup", "GroupId", map[string]any{"GroupName": "bench", "Description": "tasks of the benchmarks", "VpcId": g.vpc})
	s.call("ecs", "CreateCluster", "", map[string]any{"ClusterName": g.cluster})
	role := s.call("iam", "CreateRole", "Role.Arn", map[string]any{"RoleName": "bench", "AssumeRolePolicyDocument": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole"}]}`})
	s.call("ecs", "RegisterTaskDefinition", "", map[string]any{
		"Family": "bench", "NetworkMode": "awsvpc", "RequiresCompatibilities": []string{"FARGATE"}, "Cpu": "256", "Memory": "512", "ExecutionRoleArn": role,
		"ContainerDefinitions": []map[string]any{{"Name": "app", "Image": g.image, "Essential": true, "StopTimeout": 2}},
	})
	if s.err != nil {
		return nil, s.err
	}
	d.stage = g
	return g, nil
}

// awsvpc is the network configuration of tasks and services on the stage.
func (g *stage) awsvpc(groups ...string) map[string]any {
	if len(groups) == 0 {
		groups = []string{g.group}
	}
	return map[string]any{"AwsvpcConfiguration": map[string]any{"Subnets": []string{g.subnet}, "SecurityGroups": groups, "AssignPublicIp": "ENABLED"}}
}

// startTask runs a task and returns its ARN once it is RUNNING.
func (d *daemon) startTask(ctx context.Context, g *stage, groups ...string) (string, error) {
	arn, err := d.call(ctx, "ecs", "RunTask", "Tasks[0].TaskArn", map[string]any{"Cluster": g.cluster, "TaskDefinition": "bench", "LaunchType": "FARGATE", "NetworkConfiguration": g.awsvpc(groups...)})
	if err != nil {
		return "", err
	}
	return arn, d.awaitTask(ctx, g, arn, "RUNNING")
}

// taskLimit is how long is waited for a task's status.
const taskLimit = 90 * time.Second

func (d *daemon) awaitTask(ctx context.Context, g *stage, arn, status string) error {
	deadline := time.Now().Add(taskLimit)
	for {
		got, err := d.call(ctx, "ecs", "DescribeTasks", "Tasks[0].LastStatus", map[string]any{"Cluster": g.cluster, "Tasks": []string{arn}})
		switch {
		case err != nil:
			return err
		case got == status:
			return nil
		case got == "STOPPED" || time.Now().After(deadline):
			why, _ := d.call(ctx, "ecs", "DescribeTasks", "Tasks[0].StoppedReason", map[string]any{"Cluster": g.cluster, "Tasks": []string{arn}})
			return fmt.Errorf("task %s is %s and not %s: %s", arn, got, status, why)
		}
		time.Sleep(5 * time.Millisecond) // asking more often would take the processor from the task
	}
}

func (d *daemon) stopTask(ctx context.Context, g *stage, arn string) error {
	if _, err := d.call(ctx, "ecs", "StopTask", "", map[string]any{"Cluster": g.cluster, "Task": arn}); err != nil {
		return err
	}
	return d.awaitTask(ctx, g, arn, "STOPPED")
}

// taskID is the end of a task's ARN.
func taskID(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }
