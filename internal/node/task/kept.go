package task

import (
	"cmp"
	"context"
	"net/netip"
	"reflect"
	"time"

	"github.com/neargate/neargate/internal/keeper"
	"github.com/neargate/neargate/internal/keeper/metadata"
	"github.com/neargate/neargate/internal/model"
)

const (
	metadataPort = 80
	renewAgain   = time.Minute // after credentials could not be renewed
)

// keptTask is what the keeper was told of the task.
type keptTask struct {
	execution, own model.Session
	sent           keeper.Task
}

// compileKept makes what the keeper is told: the same record and observations give the same result.
func (r *runner) compileKept(t *model.Task, k *keptTask, images map[string]pulledImage, containers map[string]observed) (keeper.Task, error) {
	configs := map[string]string{}
	for name, i := range images {
		configs[name] = i.image.ConfigDigest
	}
	d := documents{task: t, definition: r.definition, cluster: r.Scope.ClusterARN(t.Cluster), at: r.at, containers: containers, images: configs}
	if s, ok := r.Tables.Subnets.Get(r.DB.View(), t.SubnetID); ok {
		d.subnet = s.CIDR
	}
	config, err := compileMetadata(d)
	if err != nil {
		return keeper.Task{}, err
	}
	if r.at.credentialID != "" {
		config.Credentials = []metadata.Credentials{{
			ID: r.at.credentialID, RoleARN: cmp.Or(t.Overrides.TaskRoleARN, r.definition.TaskRoleARN), AccessKeyID: k.own.AccessKeyID,
			SecretAccessKey: k.own.Secret, Token: k.own.Token, Expiration: k.own.ExpiresAt,
		}}
	}
	out := keeper.Task{
		ID: r.id, Netns: model.TaskNetns(r.id), Address: netip.AddrPortFrom(model.TaskMetadata, metadataPort), Metadata: config,
		MetadataNetns: model.VPCNetns(t.VPCID), MetadataDevice: model.VethName(t.ENIID),
	}
	for i := range r.definition.Containers {
		c := &r.definition.Containers[i]
		if c.Log == nil {
			continue
		}
		log, err := compileLog(c, r.id, r.at, r.resolver())
		if err != nil {
			return keeper.Task{}, err
		}
		log.Remote = r.remote(k.execution)
		out.Logs = append(out.Logs, log)
	}
	return out, nil
}

// tell brings what the keeper holds up to date: documents when something has changed, credentials before they expire.
// It works beside the runner, one call at a time.
func (r *runner) tell(ctx context.Context) {
	if !r.prepared || r.telling || r.task.State >= model.TaskDeprovisioning {
		return
	}
	if len(r.definition.Containers) == 1 && r.task.State < model.TaskRunning {
		return // it will run in a moment, and what the keeper knows is still so
	}
	now := r.Clock.Now()
	if r.kept == nil || (!r.refreshAt.IsZero() && !now.Before(r.refreshAt)) {
		r.renew(ctx, now)
		return
	}
	k, err := r.compileKept(r.task, r.kept, r.images, r.view().containers)
	if err != nil {
		r.Log.WarnContext(ctx, "compile what the keeper is told of the task", "task", r.id, "error", err)
		return
	}
	if reflect.DeepEqual(k, r.kept.sent) {
		return
	}
	r.telling = true
	r.beside(ctx, func() func() {
		err := r.Keeper.PutTask(ctx, k)
		return func() {
			r.telling = false
			r.kept.sent = k // also after an error: the next change is told again, and Put is remembered by the keeper
			if err != nil && ctx.Err() == nil {
				r.Log.WarnContext(ctx, "tell the keeper of the task", "task", r.id, "error", err)
				r.refreshAt = r.Clock.Now().Add(renewAgain)
			}
		}
	})
}

// renew gets fresh credentials; what the keeper is told of them is told by the next call of tell.
func (r *runner) renew(ctx context.Context, now time.Time) {
	r.telling = true
	t := r.task
	r.beside(ctx, func() func() {
		execution, own, at, err := r.issue(ctx, t)
		return func() {
			r.telling = false
			if err != nil {
				if ctx.Err() == nil {
					r.Log.WarnContext(ctx, "renew the task's credentials", "task", r.id, "error", err)
				}
				r.refreshAt = now.Add(renewAgain)
				if r.kept == nil {
					r.kept = &keptTask{}
				}
				return
			}
			r.kept, r.refreshAt = &keptTask{execution: execution, own: own}, at
		}
	})
}

// recall finds out about the images of containers that an earlier daemon has made.
func (r *runner) recall(ctx context.Context, name, digest, resolved string) {
	if digest == "" {
		return
	}
	i, err := r.Runtime.Image(ctx, digest)
	if err != nil {
		r.Log.WarnContext(ctx, "look up the image of a running container", "task", r.id, "container", name, "error", err)
	}
	r.images[name] = pulledImage{image: i, resolved: resolved}
}
