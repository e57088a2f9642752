package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
	"github.com/neargate/neargate/internal/store/etcd"
)

const (
	ec2Version   = "2016-11-15"
	elbv2Version = "2015-12-01"
	ecsTarget    = "AmazonEC2ContainerServiceV20141113."
	logsTarget   = "Logs_20140328."
)

// describe measures the calls that clients poll with, on a stage with a service of two tasks and a target group.
func describe(ctx context.Context, d *daemon, runs int) (_ []Row, err error) {
	g, err := d.prepare(ctx)
	if err != nil {
		return nil, err
	}
	s := &script{ctx: ctx, d: d}
	const service = "described"
	group := s.call("elbv2", "CreateTargetGroup", "TargetGroups[0].TargetGroupArn", map[string]any{"Name": service, "Protocol": "HTTP", "Port": 80, "VpcId": g.vpc, "TargetType": "ip"})
	s.call("elbv2", "RegisterTargets", "", map[string]any{"TargetGroupArn": group, "Targets": []map[string]any{{"Id": "10.0.63.1"}, {"Id": "10.0.63.2"}}})
	s.call("ecs", "CreateService", "", map[string]any{"Cluster": g.cluster, "ServiceName": service, "TaskDefinition": "bench", "DesiredCount": 2, "LaunchType": "FARGATE", "NetworkConfiguration": g.awsvpc()})
	if s.err == nil {
		s.err = d.awaitRunning(ctx, g, service, 2)
	}
	defer func() {
		end := &script{ctx: context.WithoutCancel(ctx), d: d}
		end.call("ecs", "DeleteService", "", map[string]any{"Cluster": g.cluster, "Service": service, "Force": true})
		end.call("elbv2", "DeleteTargetGroup", "", map[string]any{"TargetGroupArn": group})
		err = errors.Join(err, end.err)
	}()
	tasks := [2]string{}
	for i := range tasks {
		tasks[i] = s.call("ecs", "ListTasks", fmt.Sprintf("TaskArns[%d]", i), map[string]any{"Cluster": g.cluster, "ServiceName": service})
	}
	if s.err != nil {
		return nil, s.err
	}
	makers := []func() (request, error){
		func() (request, error) {
			return query(ctx, d.Listen, "ec2", ec2Version, "DescribeVpcs", map[string]string{"VpcId.1": g.vpc})
		},
		func() (request, error) {
			return jsonCall(ctx, d.Listen, "ecs", ecsTarget+"DescribeTasks", map[string]any{"cluster": g.cluster, "tasks": tasks})
		},
		func() (request, error) {
			return jsonCall(ctx, d.Listen, "ecs", ecsTarget+"DescribeServices", map[string]any{"cluster": g.cluster, "services": []string{service}})
		},
		func() (request, error) {
			return query(ctx, d.Listen, "elasticloadbalancing", elbv2Version, "DescribeTargetHealth", map[string]string{"TargetGroupArn": group})
		},
	}
	var requests []request
	for _, m := range makers {
		r, err := m()
		if err != nil {
			return nil, err
		}
		requests = append(requests, r)
	}
	mix := func(connection, n int) (request, error) { return requests[(connection+n)%len(requests)], nil }
	var rates []float64
	for run := range runs {
		rate, err := calls(ctx, d.Listen, mix)
		if err != nil {
			return nil, err
		}
		say("  run %d: %.0f calls/s", run+1, rate)
		rates = append(rates, rate)
	}
	return []Row{values("Describe calls, 8 connections", "1/s", rates, limit{AtLeast: 5000})}, nil
}

// writes measures calls that are answered when what they wrote is on the disk. The baseline is the store alone: its etcd
// in this process, eight goroutines, one record each at a time.
func writes(ctx context.Context, d *daemon, runs int) (_ []Row, err error) {
	g, err := d.prepare(ctx)
	if err != nil {
		return nil, err
	}
	s := &script{ctx: ctx, d: d}
	const logs = "bench"
	s.call("logs", "CreateLogGroup", "", map[string]any{"LogGroupName": logs})
	var tagged [apiConnections]string
	for i := range tagged {
		tagged[i] = s.call("ec2", "CreateSecurityGroup", "GroupId", map[string]any{"GroupName": fmt.Sprintf("written-%d", i), "Description": "tagged all the time", "VpcId": g.vpc})
	}
	definition := s.call("ecs", "DescribeTaskDefinition", "TaskDefinition.TaskDefinitionArn", map[string]any{"TaskDefinition": "bench"})
	defer func() {
		end := &script{ctx: context.WithoutCancel(ctx), d: d}
		end.call("logs", "DeleteLogGroup", "", map[string]any{"LogGroupName": logs})
		for _, id := range tagged {
			end.call("ec2", "DeleteSecurityGroup", "", map[string]any{"GroupId": id})
		}
		err = errors.Join(err, end.err)
	}()
	if s.err != nil {
		return nil, s.err
	}
	var count atomic.Int64
	next := func(connection, n int) (request, error) {
		value := fmt.Sprint(count.Add(1)) // never the same: a write that changes nothing need not be written
		switch n % 3 {
		case 0:
			return query(ctx, d.Listen, "ec2", ec2Version, "CreateTags", map[string]string{"ResourceId.1": tagged[connection], "Tag.1.Key": "n", "Tag.1.Value": value})
		case 1:
			return jsonCall(ctx, d.Listen, "logs", logsTarget+"CreateLogStream", map[string]any{"logGroupName": logs, "logStreamName": value})
		default:
			return jsonCall(ctx, d.Listen, "ecs", ecsTarget+"TagResource", map[string]any{"resourceArn": definition, "tags": []map[string]any{{"key": fmt.Sprint(connection), "value": value}}})
		}
	}
	alone, err := newStoreAlone(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, alone.close()) }()
	var p pairs
	for run := range runs {
		own, err := calls(ctx, d.Listen, next)
		if err != nil {
			return nil, err
		}
		base, err := alone.writes(ctx)
		if err != nil {
			return nil, err
		}
		say("  run %d: %.0f calls/s, the store alone %.0f/s", run+1, own, base)
		p.add(own, base)
	}
	return []Row{p.row("durable writes, 8 connections / the store alone", "1/s", limit{AtLeast: 1000, isValue: true})}, nil
}

// storeAlone is the daemon's store without the daemon.
type storeAlone struct {
	dir     string
	backend *etcd.Backend
	db      *store.DB
	tables  *store.Tables
}

func newStoreAlone(ctx context.Context) (_ *storeAlone, err error) {
	dir, err := os.MkdirTemp("/tmp", "ngb") // the same disk as the daemon's data directory
	if err != nil {
		return nil, err
	}
	s := &storeAlone{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	quiet := slog.New(slog.DiscardHandler)
	if s.backend, err = etcd.Embedded(ctx, etcd.EmbeddedConfig{Dir: filepath.Join(dir, "etcd"), Log: quiet}); err != nil {
		return nil, err
	}
	s.db, s.tables, err = store.OpenTables(ctx, s.backend, store.Options{Log: quiet})
	return s, err
}

func (s *storeAlone) writes(ctx context.Context) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	counts, errs := make([]int, apiConnections), make([]error, apiConnections)
	began := time.Now()
	for c := range apiConnections {
		wg.Go(func() {
			for ; time.Since(began) < apiSeconds*time.Second && errs[c] == nil; counts[c]++ {
				group := &model.SecurityGroup{ID: fmt.Sprintf("sg-%d", c), Meta: model.Meta{Tags: model.Tags{"n": fmt.Sprint(counts[c])}}}
				errs[c] = s.db.Update(ctx, func(tx *store.Txn) error {
					s.tables.SecurityGroups.Put(tx, group)
					return nil
				})
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	total := 0
	for _, n := range counts {
		total += n
	}
	return float64(total) / took.Seconds(), errors.Join(errs...)
}

func (s *storeAlone) close() error {
	if s.db != nil {
		s.db.Close()
	}
	if s.backend != nil {
		s.backend.Close()
	}
	return os.RemoveAll(s.dir)
}
