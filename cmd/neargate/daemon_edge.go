package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

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
	"github.com/neargate/neargate/internal/iam"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/registry"
	"github.com/neargate/neargate/internal/wire"
)

// starter runs a part of the daemon until its context ends.
type starter func(name string, f func(context.Context) error)

// credentials lets the edge look keys up.
type credentials struct{ keys *iam.Keyring }

func (c credentials) Credential(ctx context.Context, accessKey string) (wire.Credential, error) {
	found, err := c.keys.Credential(ctx, accessKey)
	if errors.Is(err, iam.ErrUnknownKey) {
		return wire.Credential{}, wire.ErrUnknownKey
	}
	return wire.Credential(found), err
}

// start starts everything: what decides and what makes it so first, the APIs last.
func (d *daemon) start(start starter) error {
	if err := d.startNode(start); err != nil {
		return err
	}
	d.startControl(start)
	return d.startEdge(start)
}

// startEdge serves the AWS APIs, the registry and the layer bucket: on the loopback port, and behind the keeper for VPCs.
func (d *daemon) startEdge(start starter) error {
	scope := d.scope()
	edge := wire.NewServer(wire.Options{Account: d.account, Region: d.region, Credentials: credentials{d.keys}, Now: d.clock.Now, Log: d.log})

	blobs, err := registry.OpenBlobs(d.path("registry"))
	if err != nil {
		return fmt.Errorf("open the registry: %w", err)
	}
	key, err := registry.LoadKey(d.path("pki", "registry.key"))
	if err != nil {
		return fmt.Errorf("load the registry's key: %w", err)
	}
	images := &registry.Registry{Blobs: blobs, Catalog: &registry.Records{DB: d.db, Tables: d.tables, Scope: scope}, Clock: d.clock, Scope: scope}
	signer := &registry.LayerSigner{Key: key, Scope: scope, Clock: d.clock}
	edge.Handle(func(r *http.Request) bool { return hostOf(r) == model.LayerBucketHost(d.region) },
		&registry.LayerHandler{Blobs: blobs, Signer: signer, Log: d.log})
	edge.Handle(func(r *http.Request) bool { return r.URL.Path == "/v2" || strings.HasPrefix(r.URL.Path, "/v2/") },
		&registry.Handler{Registry: images, Key: key, Signer: signer, Log: d.log})
	edge.Handle(func(r *http.Request) bool { return r.URL.Path == "/_neargate/health" }, http.HandlerFunc(health))

	var (
		ec2Server  = ec2.New(ec2.Options{DB: d.db, Tables: d.tables, Clock: d.clock, Scope: scope})
		ecsServer  = ecs.New(ecs.Options{DB: d.db, Tables: d.tables, Clock: d.clock, Scope: scope})
		elbServer  = elbv2.New(elbv2.Options{DB: d.db, Tables: d.tables, Clock: d.clock, Scope: scope})
		ecrServer  = ecr.New(ecr.Options{DB: d.db, Tables: d.tables, Clock: d.clock, Scope: scope, Registry: images, Key: key, Signer: signer, Log: d.log})
		logsServer = logs.New(logs.Options{DB: d.db, Tables: d.tables, Events: d.events, Clock: d.clock, Scope: scope, Log: d.log})
		iamServer  = apiiam.New(apiiam.Options{DB: d.db, Tables: d.tables, Clock: d.clock, Scope: scope})
		stsServer  = sts.New(d.keys)
		cfnServer  = cfn.New(cfn.Options{DB: d.db, Tables: d.tables, Clock: d.clock, Log: d.log, Services: resource.Services{
			EC2: ec2Server, ECS: ecsServer, ELBv2: elbServer, ECR: ecrServer, Logs: logsServer, IAM: iamServer,
		}})
	)
	for _, service := range []struct {
		description *awsapi.Service
		impl        any
	}{
		{ec2api.Description(), ec2Server}, {ecsapi.Description(), ecsServer}, {elbv2api.Description(), elbServer}, {ecrapi.Description(), ecrServer},
		{logsapi.Description(), logsServer}, {iamapi.Description(), iamServer}, {stsapi.Description(), stsServer}, {cfnapi.Description(), cfnServer},
	} {
		if missing := edge.Mount(service.description, service.impl); len(missing) > 0 {
			d.log.Warn("operations without an implementation", "service", service.description.Name, "operations", missing)
		}
	}

	served := map[string]bool{}
	for _, s := range model.ServiceNames(scope) {
		served[s.Host] = true
	}
	inside, err := wire.ListenEdge(edgeSocket(d.data), d.ca.TLSConfig(func(host string) bool { return served[host] }))
	if err != nil {
		return fmt.Errorf("listen for calls from VPCs: %w", err)
	}
	start("stacks", cfnServer.Run)
	start("log retention", endless(logsServer.RunRetention))
	start("registry cleaning", endless(ecrServer.RunCleaning))
	start("credentials", func(ctx context.Context) error {
		return d.keys.RunSweep(ctx, func(err error) { d.log.Error("remove expired credentials", "err", err) })
	})
	start("AWS APIs for VPCs", func(ctx context.Context) error { return edge.Serve(ctx, inside) })
	start("AWS APIs", func(ctx context.Context) error { return edge.Serve(ctx, d.listener) })
	return nil
}

// hostOf returns the host that a request names, without the port.
func hostOf(r *http.Request) string {
	host, _, _ := strings.Cut(r.Host, ":")
	return host
}

// health says that the daemon answers.
func health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"status":"ok"}` + "\n"))
}

// endless makes a part of the daemon of a function that ends only with its context.
func endless(f func(context.Context)) func(context.Context) error {
	return func(ctx context.Context) error {
		f(ctx)
		return ctx.Err()
	}
}
