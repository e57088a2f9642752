package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/neargate/neargate/internal/model"
)

// serveOptions are the flags of `neargate serve`.
type serveOptions struct {
	data, listen, region, account string
	etcd                          []string
	speed                         float64
	accessKey, secretKey          string
	verbose                       bool
}

func newServeCommand() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon: the AWS APIs, and the machines behind them (Linux, root)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return serve(ctx, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.data, "data", "/var/lib/neargate", "where everything is kept")
	f.StringVar(&o.listen, "listen", "127.0.0.1:4566", "loopback address of the AWS APIs")
	f.StringVar(&o.region, "region", "us-east-1", "AWS region that this installation is")
	f.StringVar(&o.account, "account", "000000000000", "AWS account that everything belongs to, 12 digits")
	f.StringSliceVar(&o.etcd, "etcd", nil, "endpoints of an etcd cluster; without it, etcd runs inside the daemon")
	f.Float64Var(&o.speed, "speed", 1, "divide all AWS delays (health checks, draining, grace) by this; 1 is the truth")
	f.StringVar(&o.accessKey, "access-key", "test", "access key of the administrator")
	f.StringVar(&o.secretKey, "secret-key", "test", "secret key of the administrator")
	f.BoolVar(&o.verbose, "verbose", false, "log more")
	return cmd
}

// check refuses flags that cannot work, naming the flag.
func (o *serveOptions) check() error {
	if os.Getuid() != 0 {
		return errors.New("serve makes network namespaces and containers: run it as root (sudo neargate serve)")
	}
	host, _, err := net.SplitHostPort(o.listen)
	if err != nil {
		return fmt.Errorf("--listen %s: %w", o.listen, err)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("--listen %s: only a loopback address such as 127.0.0.1:4566 is allowed", o.listen)
	}
	if len(o.account) != 12 {
		return fmt.Errorf("--account %q: an AWS account has 12 digits", o.account)
	}
	for _, c := range o.account {
		if c < '0' || c > '9' {
			return fmt.Errorf("--account %q: an AWS account has 12 digits", o.account)
		}
	}
	if o.speed <= 0 {
		return fmt.Errorf("--speed %g: it must be above 0", o.speed)
	}
	if o.region == "" {
		return errors.New("--region must not be empty")
	}
	if o.data, err = filepath.Abs(o.data); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	return nil
}

func (o *serveOptions) scope() model.Scope { return model.Scope{Account: o.account, Region: o.region} }

// serve runs the daemon until ctx ends. Tasks, load balancers and the keeper go on without it.
func serve(ctx context.Context, o serveOptions) error {
	level := slog.LevelInfo
	if o.verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	slog.SetDefault(log)
	d, err := newDaemon(ctx, o, log)
	if err != nil {
		return err
	}
	defer d.close()
	return d.run(ctx)
}
