package task

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"golang.org/x/sync/errgroup"

	"github.com/neargate/neargate/internal/fault"
	"github.com/neargate/neargate/internal/image"
	"github.com/neargate/neargate/internal/keeper/logship"
	"github.com/neargate/neargate/internal/linux/cgroup"
	"github.com/neargate/neargate/internal/linux/netns"
	"github.com/neargate/neargate/internal/model"
)

const (
	attachTimeout = 60 * time.Second // AWS time, but not less than shortest
	keeperTimeout = 30 * time.Second
	shortest      = 5 * time.Second
	dnsPort       = 53
)

func netnsPath(taskID string) string { return netns.Path(model.TaskNetns(taskID)) }

// prepare makes everything that a task needs before its first process: namespace, ENI, files, credentials, images, log
// streams, metadata. It runs beside the runner and can be done again from the start at any time.
func (r *runner) prepare(ctx context.Context) {
	work, cancel := context.WithCancel(ctx)
	r.preparing = cancel
	p := &preparation{runner: r, task: r.task, at: r.at}
	r.beside(ctx, func() func() {
		err := p.run(work, func(apply func()) {
			select {
			case r.results <- apply:
			case <-work.Done():
			}
		})
		return func() {
			cancel()
			r.preparing = nil
			switch {
			case err == nil:
				r.prepared, r.images, r.kept, r.refreshAt = true, p.images, p.kept, p.refreshAt
				r.reached = max(r.reached, model.TaskActivating)
			case work.Err() == nil || r.failure == nil && !errors.Is(err, context.Canceled):
				r.failure = &stop{code: model.StopTaskFailedToStart, reason: err.Error()}
				if o := r.containers[p.failed]; o != nil {
					o.reason = clip(err.Error())
				}
			}
		}
	})
}

// preparation is one run of it. It reads what does not change in the runner, and changes nothing there.
type preparation struct {
	*runner
	task      *model.Task
	at        place
	execution model.Session // zero: no role
	own       model.Session
	images    map[string]pulledImage
	failed    string // container whose image could not be pulled
	kept      *keptTask
	refreshAt time.Time
}

// run does the steps; post hands intermediate results over. An error's text becomes the task's stoppedReason.
func (p *preparation) run(ctx context.Context, post func(func())) error {
	if err := p.files(); err != nil {
		return fmt.Errorf("InternalError: %w", err)
	}
	free, err := freeBytes(p.at.dir)
	if err != nil {
		return fmt.Errorf("InternalError: %w", err)
	}
	if err := checkSpace(p.task.EphemeralGiB, free, p.at.dir); err != nil {
		return err
	}
	limits := cgroup.Limits{
		CPUQuota: time.Duration(p.task.CPU) * cgroup.DefaultPeriod / 1024, Memory: int64(p.task.MemoryMiB) * mib,
	}
	if err := p.Groups.Ensure(p.at.cgroup, limits); err != nil {
		return fmt.Errorf("InternalError: %w", err)
	}
	var g errgroup.Group
	g.Go(func() error { return p.attach(ctx) })
	g.Go(func() (err error) {
		p.execution, p.own, p.refreshAt, err = p.issue(ctx, p.task)
		return err
	})
	if err := g.Wait(); err != nil {
		return err
	}
	begun := p.Clock.Now()
	post(func() {
		p.runner.seen.attached, p.runner.seen.pullStarted = begun, begun
		p.runner.reached = max(p.runner.reached, model.TaskPending)
	})
	if err := p.pull(ctx); err != nil {
		return err
	}
	done := p.Clock.Now()
	post(func() { p.runner.seen.pullStopped = done })
	return p.keep(ctx)
}

// files writes what is mounted into the containers.
func (p *preparation) files() error {
	if err := os.MkdirAll(p.at.dir, 0o711); err != nil {
		return fmt.Errorf("make the task's folder: %w", err)
	}
	for _, v := range p.definition.Volumes {
		dir := volumePath(p.at.dir, v.Name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make volume %s: %w", v.Name, err)
		}
	}
	for name, content := range map[string]string{"hosts": hostsFile(p.at), "resolv.conf": resolvFile(p.at), "hostname": hostnameFile(p.at)} {
		if err := os.WriteFile(filepath.Join(p.at.dir, name), []byte(content), 0o644); err != nil {
			return fmt.Errorf("write the task's %s: %w", name, err)
		}
	}
	return nil
}

// attach makes the namespace and has the ENI put into it, with its rules in force.
func (p *preparation) attach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, max(p.Clock.Scale(attachTimeout), shortest))
	defer cancel()
	for {
		err := p.Namespaces.Ensure(model.TaskNetns(p.id))
		if err == nil {
			err = p.Network.AttachENI(ctx, p.task.ENIID)
		}
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			p.Log.WarnContext(ctx, "attach the task's network interface", "task", p.id, "eni", p.task.ENIID, "error", err)
		}
		if !p.pause(ctx) {
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("Timeout waiting for network interface provisioning to complete.") // AWS's words
			}
			return ctx.Err()
		}
	}
}

// issue gets the credentials of the execution role and of the task role, and when they are to be renewed.
func (r *runner) issue(ctx context.Context, t *model.Task) (execution, own model.Session, renew time.Time, err error) {
	get := func(role string) (model.Session, error) {
		if role == "" {
			return model.Session{}, nil
		}
		s, err := r.Credentials.Issue(ctx, role, t.ID)
		if _, ok := fault.As(err); ok {
			r.Log.WarnContext(ctx, "issue credentials", "task", t.ID, "role", role, "error", err)
			return s, fmt.Errorf("ECS was unable to assume the role '%s' that was provided for this task. Please verify that the role being passed has the proper trust relationship and permissions and that your IAM user has permissions to pass this role.", role) // AWS's words
		}
		if err != nil {
			return s, fmt.Errorf("InternalError: credentials of %s: %w", role, err)
		}
		return s, nil
	}
	var wg sync.WaitGroup // side by side: each is a durable write
	var ownErr error
	wg.Go(func() { own, ownErr = get(cmp.Or(t.Overrides.TaskRoleARN, r.definition.TaskRoleARN)) })
	execution, err = get(cmp.Or(t.Overrides.ExecutionRoleARN, r.definition.ExecutionRoleARN))
	wg.Wait()
	if err == nil {
		err = ownErr
	}
	for _, s := range []model.Session{execution, own} {
		if s.ExpiresAt.IsZero() {
			continue
		}
		now := r.Clock.Now()
		if at := now.Add(s.ExpiresAt.Sub(now) * 3 / 4); renew.IsZero() || at.Before(renew) {
			renew = at
		}
	}
	return execution, own, renew, err
}

// pull gets the images and opens the log streams, side by side, over the task's network.
func (p *preparation) pull(ctx context.Context) error {
	namespace, resolver := model.TaskNetns(p.id), p.resolver()
	options := image.Options{
		Runtime: p.Runtime, Clock: p.Clock, Roots: p.Roots,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			return p.Dial(ctx, namespace, resolver, network, address)
		},
	}
	if p.execution.AccessKeyID != "" {
		options.Credentials = provider(p.execution)
	}
	session := image.New(options)
	defer session.Close()
	var streams errgroup.Group
	for i := range p.definition.Containers {
		c := &p.definition.Containers[i]
		if c.Log == nil {
			continue
		}
		log, err := compileLog(c, p.id, p.at, resolver)
		if err != nil {
			return err
		}
		streams.Go(func() error { return p.openStream(ctx, session.Client(), provider(p.execution), log) })
	}
	err := p.pullImages(ctx, session)
	if streamErr := streams.Wait(); err == nil {
		err = streamErr
	}
	return err
}

func provider(s model.Session) aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(s.AccessKeyID, s.Secret, s.Token)
}

// pullImages pulls each image once, however many containers use it.
func (p *preparation) pullImages(ctx context.Context, session *image.Session) error {
	pulled := map[string]pulledImage{}
	p.images = map[string]pulledImage{}
	for i := range p.definition.Containers {
		c := &p.definition.Containers[i]
		reference := image.Pin(c.Image, boundImage(p.task, c.Name))
		found, ok := pulled[reference]
		if !ok {
			got, err := session.Pull(ctx, reference)
			if err != nil {
				p.failed = c.Name
				return err
			}
			found = pulledImage{image: got.Image, resolved: got.ResolvedDigest}
			pulled[reference] = found
		}
		p.images[c.Name] = found
	}
	return nil
}

// boundImage returns the digest that a container's image has in this task: what its deployment bound it to, or what was
// found before the daemon was restarted. Empty: wherever its tag leads.
func boundImage(t *model.Task, name string) string {
	for _, c := range t.Containers {
		if c.Name == name {
			return c.ImageDigest
		}
	}
	return ""
}

// keep hands metadata, credentials and logs to the keeper, before the first process can ask for them.
func (p *preparation) keep(ctx context.Context) error {
	p.kept = &keptTask{execution: p.execution, own: p.own}
	k, err := p.compileKept(p.task, p.kept, p.images, nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, keeperTimeout)
	defer cancel()
	for {
		err := p.Keeper.PutTask(ctx, k)
		if err == nil {
			p.kept.sent = k
			return nil
		}
		if !p.pause(ctx) {
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return fmt.Errorf("InternalError: metadata and logs of the task: %w", err)
		}
	}
}

func (r *runner) resolver() netip.AddrPort { return netip.AddrPortFrom(r.at.resolver, dnsPort) }

// remote tells the keeper's log shipping how to reach CloudWatch Logs.
func (r *runner) remote(s model.Session) logship.Remote {
	return logship.Remote{
		Resolver: r.resolver(), CA: r.CAPEM, AccessKeyID: s.AccessKeyID, SecretAccessKey: s.Secret, Token: s.Token, Expiration: s.ExpiresAt,
	}
}
