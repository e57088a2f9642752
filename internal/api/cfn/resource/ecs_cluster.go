package resource

import (
	"context"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/stack"
)

// fargate are the capacity providers of a cluster whose template names none. ECS refuses a service whose strategy names a
// provider that the cluster does not have, and templates in use (widdix fargate/cluster with service-dedicated-alb) rely
// on Fargate's being there, as in a cluster that the console makes.
var fargate = []string{"FARGATE", "FARGATE_SPOT"}

// ecsTypes makes the types of AWS::ECS.
type ecsTypes struct {
	api ecsapi.API
	d   *awsapi.Service
}

func ecsTags(tags map[string]string) []ecsapi.Tag {
	return tagList(tags, func(k, v string) ecsapi.Tag { return ecsapi.Tag{Key: p(k), Value: p(v)} })
}

// retag brings the tags of an ECS resource up to date.
func (t *ecsTypes) retag(ctx context.Context, r *Request, arn string) error {
	set, remove := r.tagChanges()
	if len(set) > 0 {
		if _, err := invoke(ctx, t.d, t.api.TagResource, &ecsapi.TagResourceInput{ResourceArn: &arn, Tags: ecsTags(set)}); err != nil {
			return err
		}
	}
	if len(remove) > 0 {
		if _, err := invoke(ctx, t.d, t.api.UntagResource, &ecsapi.UntagResourceInput{ResourceArn: &arn, TagKeys: remove}); err != nil {
			return err
		}
	}
	return nil
}

func (t *ecsTypes) clusterTypes() []*Type {
	return []*Type{
		{
			Type: stack.Type{
				Name:       "AWS::ECS::Cluster",
				Properties: props("ClusterName*", "CapacityProviders", "DefaultCapacityProviderStrategy", "ClusterSettings", "Configuration", "ServiceConnectDefaults", "Tags"),
				Attributes: []string{"Arn"},
			},
			Named: "ClusterName", New: t.newCluster, Find: t.findCluster, Apply: t.applyCluster, Ready: t.clusterReady, Read: t.readCluster, Taggable: true,
			Remove: func(ctx context.Context, r *Request) error {
				_, err := invoke(ctx, t.d, t.api.DeleteCluster, &ecsapi.DeleteClusterInput{Cluster: &r.PhysicalID})
				return err
			},
		},
		{
			Type: stack.Type{
				Name:       "AWS::ECS::ClusterCapacityProviderAssociations",
				Properties: props("Cluster!*", "CapacityProviders!", "DefaultCapacityProviderStrategy!"),
			},
			New:   func(_ context.Context, r *Request) (string, error) { return r.text("Cluster"), nil },
			Apply: func(ctx context.Context, r *Request) error { return t.putProviders(ctx, r, r.text("Cluster")) },
			Ready: t.clusterReady,
			Remove: func(ctx context.Context, r *Request) error {
				_, err := invoke(ctx, t.d, t.api.PutClusterCapacityProviders, &ecsapi.PutClusterCapacityProvidersInput{
					Cluster: p(r.text("Cluster")), CapacityProviders: []string{}, DefaultCapacityProviderStrategy: []ecsapi.CapacityProviderStrategyItem{}})
				return err
			},
		},
	}
}

func (t *ecsTypes) newCluster(ctx context.Context, r *Request) (string, error) {
	name := r.nameOr("ClusterName", 255)
	in := &ecsapi.CreateClusterInput{ClusterName: &name, Tags: ecsTags(r.Tags), CapacityProviders: fargate}
	if err := r.fill(in, "CapacityProviders", "DefaultCapacityProviderStrategy", "ClusterSettings=Settings", "Configuration", "ServiceConnectDefaults"); err != nil {
		return "", err
	}
	_, err := invoke(ctx, t.d, t.api.CreateCluster, in)
	return name, err
}

func (t *ecsTypes) cluster(ctx context.Context, name string) (ecsapi.Cluster, bool, error) {
	out, err := invoke(ctx, t.d, t.api.DescribeClusters, &ecsapi.DescribeClustersInput{Clusters: []string{name}, Include: []ecsapi.ClusterField{"TAGS"}})
	if err != nil {
		return ecsapi.Cluster{}, false, err
	}
	c, ok := first(out.Clusters)
	return c, ok && awsapi.Val(c.Status) != "INACTIVE", nil
}

func (t *ecsTypes) findCluster(ctx context.Context, r *Request) (string, bool, error) {
	name := r.nameOr("ClusterName", 255)
	c, ok, err := t.cluster(ctx, name)
	if err != nil || !ok {
		return "", false, err
	}
	for _, tag := range c.Tags {
		if awsapi.Val(tag.Key) == TagStackID && awsapi.Val(tag.Value) == r.StackARN {
			return name, true, nil
		}
	}
	return "", false, nil
}

func (t *ecsTypes) applyCluster(ctx context.Context, r *Request) error {
	if r.Old == nil {
		return nil
	}
	if r.changed("ClusterSettings", "Configuration", "ServiceConnectDefaults") {
		in := &ecsapi.UpdateClusterInput{Cluster: &r.PhysicalID}
		if err := r.fill(in, "ClusterSettings=Settings", "Configuration", "ServiceConnectDefaults"); err != nil {
			return err
		}
		if _, err := invoke(ctx, t.d, t.api.UpdateCluster, in); err != nil {
			return err
		}
	}
	if r.changed("CapacityProviders", "DefaultCapacityProviderStrategy") {
		if err := t.putProviders(ctx, r, r.PhysicalID); err != nil {
			return err
		}
	}
	if set, remove := r.tagChanges(); len(set)+len(remove) == 0 {
		return nil
	}
	c, _, err := t.cluster(ctx, r.PhysicalID)
	if err != nil {
		return err
	}
	return t.retag(ctx, r, awsapi.Val(c.ClusterArn))
}

func (t *ecsTypes) putProviders(ctx context.Context, r *Request, cluster string) error {
	in := &ecsapi.PutClusterCapacityProvidersInput{Cluster: &cluster, CapacityProviders: fargate, DefaultCapacityProviderStrategy: []ecsapi.CapacityProviderStrategyItem{}}
	if err := r.fill(in, "CapacityProviders", "DefaultCapacityProviderStrategy"); err != nil {
		return err
	}
	_, err := invoke(ctx, t.d, t.api.PutClusterCapacityProviders, in)
	return err
}

func (t *ecsTypes) clusterReady(ctx context.Context, r *Request) (State, error) {
	c, _, err := t.cluster(ctx, r.PhysicalID)
	status, update := awsapi.Val(c.Status), awsapi.Val(c.AttachmentsStatus)
	return State{Done: status == "ACTIVE" && update != "UPDATE_IN_PROGRESS", Why: "status of the cluster: " + status}, err
}

func (t *ecsTypes) readCluster(ctx context.Context, r *Request) (Attributes, error) {
	c, _, err := t.cluster(ctx, r.PhysicalID)
	return Attributes{"Arn": awsapi.Val(c.ClusterArn)}, err
}
