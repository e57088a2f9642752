package ecs

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/model"
)

func TestClusterLife(t *testing.T) {
	a := newAccount(t)
	made := must(a.CreateCluster(a.ctx, &ecsapi.CreateClusterInput{Tags: []ecsapi.Tag{{Key: p("k"), Value: p("v")}}}))(t).Cluster
	if *made.ClusterName != "default" || *made.ClusterArn != "arn:aws:ecs:us-east-1:000000000000:cluster/default" || *made.Status != "ACTIVE" || len(made.Tags) != 1 {
		t.Errorf("made %+v", made)
	}
	must(a.CreateCluster(a.ctx, &ecsapi.CreateClusterInput{}))(t) // the same again
	out := must(a.DescribeClusters(a.ctx, &ecsapi.DescribeClustersInput{Clusters: []string{"c", *made.ClusterArn, "x"}, Include: []ecsapi.ClusterField{"SETTINGS", "TAGS", "STATISTICS"}}))(t)
	if len(out.Clusters) != 2 || len(out.Failures) != 1 || *out.Failures[0].Reason != "MISSING" || *out.Clusters[0].Settings[0].Value != "disabled" || len(out.Clusters[1].Tags) != 1 {
		t.Errorf("described %+v", out)
	}
	if diff := cmp.Diff([]string{"FARGATE", "FARGATE_SPOT"}, out.Clusters[0].CapacityProviders); diff != "" {
		t.Error(diff)
	}
	if got := must(a.DescribeClusters(a.ctx, &ecsapi.DescribeClustersInput{}))(t); len(got.Clusters) != 1 || *got.Clusters[0].ClusterName != "default" {
		t.Errorf("described %+v", got)
	}
	if got := must(a.ListClusters(a.ctx, &ecsapi.ListClustersInput{MaxResults: p(int32(1))}))(t); len(got.ClusterArns) != 1 || got.NextToken == nil {
		t.Errorf("listed %+v", got)
	}
	must(a.UpdateCluster(a.ctx, &ecsapi.UpdateClusterInput{Cluster: p("c"), Settings: []ecsapi.ClusterSetting{{Name: "containerInsights", Value: p("disabled")}}}))(t)
	must(a.UpdateClusterSettings(a.ctx, &ecsapi.UpdateClusterSettingsInput{Cluster: p("c"), Settings: []ecsapi.ClusterSetting{}}))(t)
	must(a.PutClusterCapacityProviders(a.ctx, &ecsapi.PutClusterCapacityProvidersInput{Cluster: p("default"), CapacityProviders: []string{}, DefaultCapacityProviderStrategy: nil}))(t)

	gone := must(a.DeleteCluster(a.ctx, &ecsapi.DeleteClusterInput{Cluster: p("default")}))(t)
	again := must(a.DeleteCluster(a.ctx, &ecsapi.DeleteClusterInput{Cluster: p("default")}))(t)
	if *gone.Cluster.Status != "INACTIVE" || *again.Cluster.Status != "INACTIVE" {
		t.Errorf("deleted %+v, %+v", gone, again)
	}
	if got := must(a.DescribeClusters(a.ctx, &ecsapi.DescribeClustersInput{Clusters: []string{"default"}}))(t); *got.Clusters[0].Status != "INACTIVE" {
		t.Errorf("described %+v", got)
	}
	must(a.CreateCluster(a.ctx, &ecsapi.CreateClusterInput{}))(t)
}

func TestBadClusters(t *testing.T) {
	a := newAccount(t)
	a.register(nil)
	must(a.RunTask(a.ctx, runInput()))(t)
	create := func(in ecsapi.CreateClusterInput) error {
		_, err := a.CreateCluster(a.ctx, &in)
		return err
	}
	wantError(t, create(ecsapi.CreateClusterInput{ClusterName: p("a b")}), "InvalidParameterException", "a b")
	wantError(t, create(ecsapi.CreateClusterInput{CapacityProviders: []string{"mine"}}), "InvalidParameterException", "mine")
	wantError(t, create(ecsapi.CreateClusterInput{Settings: []ecsapi.ClusterSetting{{Name: "containerInsights", Value: p("enabled")}}}), "UnsupportedFeatureException", "containerInsights enabled")
	wantError(t, create(ecsapi.CreateClusterInput{Configuration: &ecsapi.ClusterConfiguration{ExecuteCommandConfiguration: &ecsapi.ExecuteCommandConfiguration{}}}), "UnsupportedFeatureException", "configuration")
	wantError(t, create(ecsapi.CreateClusterInput{ServiceConnectDefaults: &ecsapi.ClusterServiceConnectDefaultsRequest{Namespace: p("n")}}), "UnsupportedFeatureException", "serviceConnectDefaults")
	_, err := a.DeleteCluster(a.ctx, &ecsapi.DeleteClusterInput{Cluster: p("x")})
	wantError(t, err, "ClusterNotFoundException", "Cluster not found.")
	_, err = a.DeleteCluster(a.ctx, &ecsapi.DeleteClusterInput{Cluster: p("c")})
	wantError(t, err, "ClusterContainsTasksException")
	_, err = a.UpdateCluster(a.ctx, &ecsapi.UpdateClusterInput{Cluster: p("x")})
	wantError(t, err, "ClusterNotFoundException")
	_, err = a.PutClusterCapacityProviders(a.ctx, &ecsapi.PutClusterCapacityProvidersInput{Cluster: p("c"), CapacityProviders: []string{"FARGATE"},
		DefaultCapacityProviderStrategy: []ecsapi.CapacityProviderStrategyItem{{CapacityProvider: p("FARGATE_SPOT")}}})
	wantError(t, err, "InvalidParameterException", "FARGATE_SPOT")
}

func TestCapacityProvidersAreThere(t *testing.T) {
	a := newAccount(t)
	out := must(a.DescribeCapacityProviders(a.ctx, &ecsapi.DescribeCapacityProvidersInput{CapacityProviders: []string{"FARGATE", "mine"}}))(t)
	if len(out.CapacityProviders) != 1 || len(out.Failures) != 1 {
		t.Errorf("described %+v", out)
	}
}

func TestTags(t *testing.T) {
	a := newAccount(t)
	definition := a.register(nil).TaskDefinitionArn
	service := must(a.CreateService(a.ctx, serviceInput()))(t).Service.ServiceArn
	task := must(a.RunTask(a.ctx, runInput()))(t).Tasks[0].TaskArn
	for _, arn := range []string{scope.ClusterARN("c"), *definition, *service, *task} {
		tag := func(tags ...ecsapi.Tag) error {
			_, err := a.TagResource(a.ctx, &ecsapi.TagResourceInput{ResourceArn: &arn, Tags: tags})
			return err
		}
		if err := tag(ecsapi.Tag{Key: p("a"), Value: p("1")}, ecsapi.Tag{Key: p("b"), Value: p("2")}); err != nil {
			t.Fatal(err)
		}
		if err := tag(ecsapi.Tag{Key: p("a"), Value: p("3")}); err != nil {
			t.Fatal(err)
		}
		must(a.UntagResource(a.ctx, &ecsapi.UntagResourceInput{ResourceArn: &arn, TagKeys: []string{"b", "never"}}))(t)
		got := must(a.ListTagsForResource(a.ctx, &ecsapi.ListTagsForResourceInput{ResourceArn: &arn}))(t)
		if diff := cmp.Diff([]ecsapi.Tag{{Key: p("a"), Value: p("3")}}, got.Tags); diff != "" {
			t.Errorf("tags of %s (-want +got):\n%s", arn, diff)
		}
		var many []ecsapi.Tag
		for i := range 50 {
			many = append(many, ecsapi.Tag{Key: p(itoa(i)), Value: p("")})
		}
		wantError(t, tag(many...), "InvalidParameterException", "at most 50")
	}
	for arn, code := range map[string]string{
		scope.ClusterARN("x"): "ResourceNotFoundException", model.Scope{Region: "eu-west-1", Account: "000000000000"}.ClusterARN("c"): "ResourceNotFoundException",
		"c": "InvalidParameterException", scope.ARN("ec2", "vpc/vpc-1"): "InvalidParameterException", scope.ARN("ecs", "container-instance/c/1"): "InvalidParameterException",
	} {
		_, err := a.TagResource(a.ctx, &ecsapi.TagResourceInput{ResourceArn: &arn, Tags: []ecsapi.Tag{{Key: p("k")}}})
		wantError(t, err, code, arn)
		_, err = a.UntagResource(a.ctx, &ecsapi.UntagResourceInput{ResourceArn: &arn, TagKeys: []string{"k"}})
		wantError(t, err, code, arn)
		_, err = a.ListTagsForResource(a.ctx, &ecsapi.ListTagsForResourceInput{ResourceArn: &arn})
		wantError(t, err, code, arn)
	}
}

func TestAccountSettings(t *testing.T) {
	a := newAccount(t)
	all := must(a.ListAccountSettings(a.ctx, &ecsapi.ListAccountSettingsInput{EffectiveSettings: p(true)}))(t)
	if len(all.Settings) != len(settings) {
		t.Errorf("%d settings", len(all.Settings))
	}
	must(a.PutAccountSetting(a.ctx, &ecsapi.PutAccountSettingInput{Name: "taskLongArnFormat", Value: p("enabled")}))(t)
	must(a.PutAccountSettingDefault(a.ctx, &ecsapi.PutAccountSettingDefaultInput{Name: "defaultLogDriverMode", Value: p("blocking")}))(t)
	if put := must(a.ListAccountSettings(a.ctx, &ecsapi.ListAccountSettingsInput{}))(t); len(put.Settings) != 1 {
		t.Errorf("put settings %+v", put.Settings)
	}
	_, err := a.ListAccountSettings(a.ctx, &ecsapi.ListAccountSettingsInput{PrincipalArn: p("somebody")})
	wantError(t, err, "UnsupportedFeatureException", "somebody")
	got := must(a.ListAccountSettings(a.ctx, &ecsapi.ListAccountSettingsInput{Name: "defaultLogDriverMode"}))(t)
	if len(got.Settings) != 1 || *got.Settings[0].Value != "blocking" {
		t.Errorf("settings %+v", got.Settings)
	}
	_, err = a.PutAccountSetting(a.ctx, &ecsapi.PutAccountSettingInput{Name: "containerInsights", Value: p("enabled")})
	wantError(t, err, "UnsupportedFeatureException", "containerInsights")
	_, err = a.PutAccountSetting(a.ctx, &ecsapi.PutAccountSettingInput{Name: "defaultLogDriverMode", Value: p("fast")})
	wantError(t, err, "InvalidParameterException", "fast")
}
