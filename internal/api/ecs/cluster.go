package ecs

import (
	"context"
	"regexp"
	"slices"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// The capacity providers of Fargate. They exist without being made; a cluster only associates them.
const (
	providerFargate     = "FARGATE"
	providerFargateSpot = "FARGATE_SPOT"
)

// resourceName is what clusters, services and families are called (aws-facts 1.1).
var resourceName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)

// CreateCluster makes a cluster; a second call with the same name answers with the first one's cluster, as on AWS.
func (s *Server) CreateCluster(ctx context.Context, in *ecsapi.CreateClusterInput) (*ecsapi.CreateClusterOutput, error) {
	name := clusterName(in.ClusterName)
	if !resourceName.MatchString(name) {
		return nil, invalid("Invalid identifier: The identifier is for cluster. Valid identifiers contain up to 255 letters, numbers, hyphens and underscores: %s", name)
	}
	if err := clusterSupported(in.Configuration, in.ServiceConnectDefaults); err != nil {
		return nil, err
	}
	settings, err := clusterSettings(in.Settings)
	if err != nil {
		return nil, err
	}
	strategy, err := capacityStrategy(in.DefaultCapacityProviderStrategy, in.CapacityProviders)
	if err != nil {
		return nil, err
	}
	tags, err := tagsOf(in.Tags)
	if err != nil {
		return nil, err
	}
	var cluster *model.Cluster
	err = s.db.Update(ctx, func(tx *store.Txn) error {
		if had, ok := s.tables.Clusters.Get(tx, name); ok && had.Status == model.ClusterActive {
			cluster = had
			return nil
		}
		cluster = &model.Cluster{
			Meta: model.Meta{Tags: tags, CreatedAt: s.clock.Now()}, Name: name, ARN: s.scope.ClusterARN(name), Status: model.ClusterActive,
			Settings: settings, CapacityProviders: in.CapacityProviders, DefaultStrategy: strategy,
		}
		s.tables.Clusters.Put(tx, cluster)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ecsapi.CreateClusterOutput{Cluster: s.cluster(s.db.View(), cluster, allClusterFields)}, nil
}

// clusterSupported refuses what a cluster is asked for and nothing here would act on.
func clusterSupported(c *ecsapi.ClusterConfiguration, connect *ecsapi.ClusterServiceConnectDefaultsRequest) error {
	if c != nil && (c.ExecuteCommandConfiguration != nil || c.ManagedStorageConfiguration != nil) {
		return unsupported("configuration", "ECS Exec logging and managed storage are not there yet. Leave it out.")
	}
	if connect != nil && awsapi.Val(connect.Namespace) != "" {
		return unsupported("serviceConnectDefaults", "Service Connect is not there yet. Leave it out.")
	}
	return nil
}

// clusterSettings checks settings: there is one, containerInsights, and it can only be off.
func clusterSettings(list []ecsapi.ClusterSetting) ([]model.NameValue, error) {
	settings := []model.NameValue{{Name: "containerInsights", Value: "disabled"}}
	for _, setting := range list {
		if setting.Name != "containerInsights" {
			return nil, invalid("The setting '%s' is not a cluster setting.", setting.Name)
		}
		if v := awsapi.Val(setting.Value); v != "disabled" {
			return nil, unsupported("containerInsights "+v, "Container Insights is not there yet. Set it to disabled.")
		}
	}
	return settings, nil
}

// capacityStrategy checks a strategy: its providers are associated, only one has a base, not all weights are zero (aws-facts 1.8).
func capacityStrategy(items []ecsapi.CapacityProviderStrategyItem, associated []string) ([]model.CapacityProviderStrategy, error) {
	for _, p := range associated {
		if p != providerFargate && p != providerFargateSpot {
			return nil, invalid("The specified capacity provider '%s' was not found. Specify a valid name or ARN and try again: Neargate has FARGATE and FARGATE_SPOT.", p)
		}
	}
	var strategy []model.CapacityProviderStrategy
	bases, weights := 0, 0
	for _, item := range items {
		provider := awsapi.Val(item.CapacityProvider)
		if !slices.Contains(associated, provider) {
			return nil, invalid("The specified capacity provider strategy contains a capacity provider that is not associated with the cluster: %s. Associate the capacity provider with the cluster and try again.", provider)
		}
		one := model.CapacityProviderStrategy{Provider: provider, Base: int(awsapi.Val(item.Base)), Weight: int(awsapi.Val(item.Weight))}
		if one.Base > 0 {
			bases++
		}
		weights += one.Weight
		strategy = append(strategy, one)
	}
	if bases > 1 {
		return nil, invalid("The specified capacity provider strategy cannot contain more than one capacity provider with a base value defined.")
	}
	if len(strategy) > 1 && weights == 0 {
		return nil, invalid("The specified capacity provider strategy must contain at least one capacity provider with a weight greater than zero.")
	}
	return strategy, nil
}

// DeleteCluster deletes a cluster without services and tasks. It stays describable as INACTIVE.
func (s *Server) DeleteCluster(ctx context.Context, in *ecsapi.DeleteClusterInput) (*ecsapi.DeleteClusterOutput, error) {
	var cluster *model.Cluster
	err := s.db.Update(ctx, func(tx *store.Txn) error {
		found, ok := s.tables.Clusters.Get(tx, clusterName(in.Cluster))
		if !ok {
			return awsapi.NewError(ecsapi.ErrClusterNotFoundException, "Cluster not found.")
		}
		for service := range s.tables.Services.By(tx, "cluster", found.Name) {
			if service.Status != model.ServiceInactive {
				return awsapi.NewError(ecsapi.ErrClusterContainsServicesException, "The Cluster cannot be deleted while Services are active.")
			}
		}
		for task := range s.tables.Tasks.By(tx, "cluster", found.Name) {
			if !task.IsStopped() {
				return awsapi.NewError(ecsapi.ErrClusterContainsTasksException, "The Cluster cannot be deleted while Tasks are active.")
			}
		}
		if found.Status == model.ClusterInactive {
			cluster = found
			return nil
		}
		s.tables.Clusters.Edit(tx, found.Name, func(c *model.Cluster) { c.Status, c.DeletedAt = model.ClusterInactive, s.clock.Now() })
		cluster, _ = s.tables.Clusters.Get(tx, found.Name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ecsapi.DeleteClusterOutput{Cluster: s.cluster(s.db.View(), cluster, allClusterFields)}, nil
}

// UpdateCluster changes a cluster's settings.
func (s *Server) UpdateCluster(ctx context.Context, in *ecsapi.UpdateClusterInput) (*ecsapi.UpdateClusterOutput, error) {
	if err := clusterSupported(in.Configuration, in.ServiceConnectDefaults); err != nil {
		return nil, err
	}
	cluster, err := s.setCluster(ctx, in.Cluster, in.Settings, nil)
	if err != nil {
		return nil, err
	}
	return &ecsapi.UpdateClusterOutput{Cluster: cluster}, nil
}

// UpdateClusterSettings changes a cluster's settings.
func (s *Server) UpdateClusterSettings(ctx context.Context, in *ecsapi.UpdateClusterSettingsInput) (*ecsapi.UpdateClusterSettingsOutput, error) {
	cluster, err := s.setCluster(ctx, in.Cluster, in.Settings, nil)
	if err != nil {
		return nil, err
	}
	return &ecsapi.UpdateClusterSettingsOutput{Cluster: cluster}, nil
}

// PutClusterCapacityProviders replaces a cluster's capacity providers and its default strategy.
func (s *Server) PutClusterCapacityProviders(ctx context.Context, in *ecsapi.PutClusterCapacityProvidersInput) (*ecsapi.PutClusterCapacityProvidersOutput, error) {
	strategy, err := capacityStrategy(in.DefaultCapacityProviderStrategy, in.CapacityProviders)
	if err != nil {
		return nil, err
	}
	cluster, err := s.setCluster(ctx, in.Cluster, nil, func(c *model.Cluster) {
		c.CapacityProviders, c.DefaultStrategy = in.CapacityProviders, strategy
	})
	if err != nil {
		return nil, err
	}
	return &ecsapi.PutClusterCapacityProvidersOutput{Cluster: cluster}, nil
}

func (s *Server) setCluster(ctx context.Context, ref *string, list []ecsapi.ClusterSetting, change func(*model.Cluster)) (*ecsapi.Cluster, error) {
	settings, err := clusterSettings(list)
	if err != nil {
		return nil, err
	}
	var name string
	err = s.db.Update(ctx, func(tx *store.Txn) error {
		cluster, err := s.activeCluster(tx, ref)
		if err != nil {
			return err
		}
		name = cluster.Name
		s.tables.Clusters.Edit(tx, name, func(c *model.Cluster) {
			if list != nil {
				c.Settings = settings
			}
			if change != nil {
				change(c)
			}
		})
		return nil
	})
	if err != nil {
		return nil, err
	}
	view := s.db.View()
	cluster, _ := s.tables.Clusters.Get(view, name)
	return s.cluster(view, cluster, allClusterFields), nil
}

// DescribeClusters reads clusters; one that does not exist is a failure in the answer, not an error.
func (s *Server) DescribeClusters(_ context.Context, in *ecsapi.DescribeClustersInput) (*ecsapi.DescribeClustersOutput, error) {
	view := s.db.View()
	refs := in.Clusters
	if len(refs) == 0 {
		refs = []string{defaultCluster}
	}
	out := &ecsapi.DescribeClustersOutput{Clusters: []ecsapi.Cluster{}, Failures: []ecsapi.Failure{}}
	for _, ref := range refs {
		cluster, ok := s.tables.Clusters.Get(view, clusterName(&ref))
		if !ok {
			out.Failures = append(out.Failures, missing(s.scope.ClusterARN(clusterName(&ref))))
			continue
		}
		out.Clusters = append(out.Clusters, *s.cluster(view, cluster, in.Include))
	}
	return out, nil
}

// missing is the failure of a Describe operation for a name that does not exist.
func missing(arn string) ecsapi.Failure {
	return ecsapi.Failure{Arn: &arn, Reason: awsapi.Ptr("MISSING")}
}

// ListClusters lists the ARNs of clusters.
func (s *Server) ListClusters(_ context.Context, in *ecsapi.ListClustersInput) (*ecsapi.ListClustersOutput, error) {
	var arns []string
	for cluster := range s.tables.Clusters.List(s.db.View()) {
		if cluster.Status == model.ClusterActive {
			arns = append(arns, cluster.ARN)
		}
	}
	page, next, err := pageOf("ecs:ListClusters", arns, in.NextToken, in.MaxResults, maxPage)
	if err != nil {
		return nil, err
	}
	return &ecsapi.ListClustersOutput{ClusterArns: page, NextToken: next}, nil
}

// maxPage is the largest page of ECS's List operations.
const maxPage = 100

// pageOf returns a page of names. It is never nil: a list that is absent reads as null in the clients.
func pageOf(kind string, names []string, token *string, size *int32, limit int) ([]string, *string, error) {
	page, next, err := awsapi.Page(kind, names, func(name string) string { return name }, token, size, limit)
	return append([]string{}, page...), next, err
}

var allClusterFields = []ecsapi.ClusterField{ecsapi.ClusterFieldTags, ecsapi.ClusterFieldSettings, ecsapi.ClusterFieldStatistics, ecsapi.ClusterFieldConfigurations}

// cluster returns the wire form of a cluster, with the parts that are included.
func (s *Server) cluster(r store.Reader, c *model.Cluster, include []ecsapi.ClusterField) *ecsapi.Cluster {
	out := &ecsapi.Cluster{
		ClusterArn: awsapi.Ptr(c.ARN), ClusterName: awsapi.Ptr(c.Name), Status: awsapi.Ptr(c.Status), RegisteredContainerInstancesCount: awsapi.Ptr(int32(0)),
		CapacityProviders: append([]string{}, c.CapacityProviders...), DefaultCapacityProviderStrategy: strategyItems(c.DefaultStrategy),
		Statistics: []ecsapi.KeyValuePair{}, Tags: []ecsapi.Tag{}, Settings: []ecsapi.ClusterSetting{},
	}
	var services, running, pending int32
	for service := range s.tables.Services.By(r, "cluster", c.Name) {
		if service.Status == model.ServiceActive {
			services++
		}
	}
	for task := range s.tables.Tasks.By(r, "cluster", c.Name) {
		switch {
		case task.State == model.TaskRunning:
			running++
		case task.State < model.TaskRunning:
			pending++
		}
	}
	out.ActiveServicesCount, out.RunningTasksCount, out.PendingTasksCount = &services, &running, &pending
	if slices.Contains(include, ecsapi.ClusterFieldSettings) {
		for _, setting := range c.Settings {
			out.Settings = append(out.Settings, ecsapi.ClusterSetting{Name: ecsapi.ClusterSettingName(setting.Name), Value: awsapi.Ptr(setting.Value)})
		}
	}
	if slices.Contains(include, ecsapi.ClusterFieldStatistics) {
		for _, kv := range []struct {
			name  string
			value int32
		}{{"runningFargateTasksCount", running}, {"pendingFargateTasksCount", pending}, {"activeFargateServiceCount", services}} {
			out.Statistics = append(out.Statistics, ecsapi.KeyValuePair{Name: awsapi.Ptr(kv.name), Value: awsapi.Ptr(itoa(int(kv.value)))})
		}
	}
	if slices.Contains(include, ecsapi.ClusterFieldTags) {
		out.Tags = tagList(c.Tags)
	}
	return out
}

func strategyItems(strategy []model.CapacityProviderStrategy) []ecsapi.CapacityProviderStrategyItem {
	items := []ecsapi.CapacityProviderStrategyItem{}
	for _, item := range strategy {
		items = append(items, ecsapi.CapacityProviderStrategyItem{
			Base: awsapi.Ptr(int32(item.Base)), CapacityProvider: awsapi.Ptr(item.Provider), Weight: awsapi.Ptr(int32(item.Weight)),
		})
	}
	return items
}

// DescribeCapacityProviders reads Fargate's two capacity providers, or of them those that a cluster is associated with.
func (s *Server) DescribeCapacityProviders(_ context.Context, in *ecsapi.DescribeCapacityProvidersInput) (*ecsapi.DescribeCapacityProvidersOutput, error) {
	out := &ecsapi.DescribeCapacityProvidersOutput{CapacityProviders: []ecsapi.CapacityProvider{}, Failures: []ecsapi.Failure{}}
	there := []string{providerFargate, providerFargateSpot}
	if in.Cluster != nil {
		cluster, err := s.activeCluster(s.db.View(), in.Cluster)
		if err != nil {
			return nil, err
		}
		there = cluster.CapacityProviders
	}
	names := in.CapacityProviders
	if len(names) == 0 {
		names = there
	}
	page, next, err := pageOf("ecs:DescribeCapacityProviders:"+awsapi.Val(in.Cluster), names, in.NextToken, in.MaxResults, maxPage)
	if err != nil {
		return nil, err
	}
	out.NextToken = next
	for _, ref := range page {
		name := model.LastSegment(ref)
		arn := s.scope.ARN("ecs", "capacity-provider/%s", name)
		if !slices.Contains(there, name) {
			out.Failures = append(out.Failures, missing(arn))
			continue
		}
		one := ecsapi.CapacityProvider{CapacityProviderArn: &arn, Name: &name, Status: ecsapi.CapacityProviderStatusActive}
		if slices.Contains(in.Include, ecsapi.CapacityProviderFieldTags) {
			one.Tags = []ecsapi.Tag{} // AWS's own capacity providers carry none
		}
		out.CapacityProviders = append(out.CapacityProviders, one)
	}
	return out, nil
}
