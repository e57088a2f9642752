package cfn_test

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
	"github.com/neargate/neargate/internal/awsapi/ecsapi"
	"github.com/neargate/neargate/internal/awsapi/elbv2api"
)

type ecsFront struct {
	ecsapi.API
	*front
}

func ecsTags(list []ecsapi.Tag) map[string]string {
	out := make(map[string]string)
	for _, t := range list {
		out[v(t.Key)] = v(t.Value)
	}
	return out
}

func (f *ecsFront) CreateCluster(_ context.Context, in *ecsapi.CreateClusterInput) (*ecsapi.CreateClusterOutput, error) {
	return call(f.front, "CreateCluster", func() (*ecsapi.CreateClusterOutput, error) {
		f.add("cluster", v(in.ClusterName), ecsTags(in.Tags), nil)
		return &ecsapi.CreateClusterOutput{}, nil
	})
}

func (f *ecsFront) DescribeClusters(_ context.Context, in *ecsapi.DescribeClustersInput) (*ecsapi.DescribeClustersOutput, error) {
	return call(f.front, "DescribeClusters", func() (*ecsapi.DescribeClustersOutput, error) {
		out := &ecsapi.DescribeClustersOutput{}
		for _, t := range f.list("cluster", in.Clusters, nil) {
			c := ecsapi.Cluster{ClusterName: &t.id, ClusterArn: s("arn:cluster/" + t.id), Status: s("ACTIVE")}
			for key, value := range t.tags {
				c.Tags = append(c.Tags, ecsapi.Tag{Key: s(key), Value: s(value)})
			}
			out.Clusters = append(out.Clusters, c)
		}
		return out, nil
	})
}

func (f *ecsFront) DeleteCluster(_ context.Context, in *ecsapi.DeleteClusterInput) (*ecsapi.DeleteClusterOutput, error) {
	return call(f.front, "DeleteCluster", func() (*ecsapi.DeleteClusterOutput, error) {
		return &ecsapi.DeleteClusterOutput{}, f.drop(v(in.Cluster), "ClusterNotFoundException")
	})
}

func (f *ecsFront) RegisterTaskDefinition(_ context.Context, in *ecsapi.RegisterTaskDefinitionInput) (*ecsapi.RegisterTaskDefinitionOutput, error) {
	return call(f.front, "RegisterTaskDefinition", func() (*ecsapi.RegisterTaskDefinitionOutput, error) {
		f.serial++
		arn := fmt.Sprintf("arn:aws:ecs:us-east-1:000000000000:task-definition/%s:%04d", v(in.Family), f.serial)
		f.add("taskdef", arn, ecsTags(in.Tags), map[string]string{"family": v(in.Family), "image": v(in.ContainerDefinitions[0].Image)})
		return &ecsapi.RegisterTaskDefinitionOutput{TaskDefinition: &ecsapi.TaskDefinition{TaskDefinitionArn: &arn}}, nil
	})
}

func (f *ecsFront) DescribeTaskDefinition(_ context.Context, in *ecsapi.DescribeTaskDefinitionInput) (*ecsapi.DescribeTaskDefinitionOutput, error) {
	return call(f.front, "DescribeTaskDefinition", func() (*ecsapi.DescribeTaskDefinitionOutput, error) {
		list := f.list("taskdef", nil, func(t *thing) bool { return t.text["family"] == v(in.TaskDefinition) })
		if len(list) == 0 {
			return nil, awsapi.NewError("ClientException", "Unable to describe task definition.")
		}
		t := list[len(list)-1]
		out := &ecsapi.DescribeTaskDefinitionOutput{TaskDefinition: &ecsapi.TaskDefinition{TaskDefinitionArn: &t.id}}
		for key, value := range t.tags {
			out.Tags = append(out.Tags, ecsapi.Tag{Key: s(key), Value: s(value)})
		}
		return out, nil
	})
}

func (f *ecsFront) DeregisterTaskDefinition(_ context.Context, in *ecsapi.DeregisterTaskDefinitionInput) (*ecsapi.DeregisterTaskDefinitionOutput, error) {
	return call(f.front, "DeregisterTaskDefinition", func() (*ecsapi.DeregisterTaskDefinitionOutput, error) {
		return &ecsapi.DeregisterTaskDefinitionOutput{}, f.drop(v(in.TaskDefinition), "NotFound")
	})
}

func (f *ecsFront) CreateService(_ context.Context, in *ecsapi.CreateServiceInput) (*ecsapi.CreateServiceOutput, error) {
	return call(f.front, "CreateService", func() (*ecsapi.CreateServiceOutput, error) {
		arn := fmt.Sprintf("arn:aws:ecs:us-east-1:000000000000:service/%s/%s", v(in.Cluster), v(in.ServiceName))
		if f.things[arn] != nil {
			return nil, awsapi.NewError("InvalidParameterException", "Creation of service was not idempotent.")
		}
		refs := append([]string{v(in.TaskDefinition), v(in.Cluster)}, in.NetworkConfiguration.AwsvpcConfiguration.Subnets...)
		refs = append(refs, in.NetworkConfiguration.AwsvpcConfiguration.SecurityGroups...)
		f.add("service", arn, ecsTags(in.Tags), map[string]string{"taskdef": v(in.TaskDefinition)}, refs...)
		return &ecsapi.CreateServiceOutput{Service: &ecsapi.Service{ServiceArn: &arn}}, nil
	})
}

func (f *ecsFront) DescribeServices(_ context.Context, in *ecsapi.DescribeServicesInput) (*ecsapi.DescribeServicesOutput, error) {
	return call(f.front, "DescribeServices", func() (*ecsapi.DescribeServicesOutput, error) {
		out := &ecsapi.DescribeServicesOutput{}
		for _, t := range f.list("service", nil, func(t *thing) bool { return strings.HasSuffix(t.id, in.Services[0]) }) {
			running := int32(2)
			if f.stuck["service"] || strings.HasSuffix(f.things[t.text["taskdef"]].text["image"], "never") {
				running = 0
			}
			state := ecsapi.DeploymentRolloutState("COMPLETED")
			if strings.HasSuffix(f.things[t.text["taskdef"]].text["image"], "broken") {
				state = "FAILED"
			}
			out.Services = append(out.Services, ecsapi.Service{
				ServiceArn: &t.id, Status: s("ACTIVE"), DesiredCount: awsapi.Ptr(int32(2)), RunningCount: &running,
				Deployments: []ecsapi.Deployment{{Status: s("PRIMARY"), TaskDefinition: s(t.text["taskdef"]), RolloutState: state}},
			})
		}
		return out, nil
	})
}

func (f *ecsFront) UpdateService(_ context.Context, in *ecsapi.UpdateServiceInput) (*ecsapi.UpdateServiceOutput, error) {
	return call(f.front, "UpdateService", func() (*ecsapi.UpdateServiceOutput, error) {
		t := f.things[v(in.Service)]
		if in.TaskDefinition != nil {
			t.text["taskdef"], t.refs[0] = v(in.TaskDefinition), v(in.TaskDefinition)
		}
		return &ecsapi.UpdateServiceOutput{}, nil
	})
}

func (f *ecsFront) DeleteService(_ context.Context, in *ecsapi.DeleteServiceInput) (*ecsapi.DeleteServiceOutput, error) {
	return call(f.front, "DeleteService", func() (*ecsapi.DeleteServiceOutput, error) {
		return &ecsapi.DeleteServiceOutput{}, f.drop(v(in.Service), "ServiceNotFoundException")
	})
}

func (f *ecsFront) TagResource(_ context.Context, in *ecsapi.TagResourceInput) (*ecsapi.TagResourceOutput, error) {
	return call(f.front, "ecs TagResource", func() (*ecsapi.TagResourceOutput, error) { return &ecsapi.TagResourceOutput{}, nil })
}

type elbFront struct {
	elbv2api.API
	*front
}

func (f *elbFront) CreateLoadBalancer(_ context.Context, in *elbv2api.CreateLoadBalancerInput) (*elbv2api.CreateLoadBalancerOutput, error) {
	return call(f.front, "CreateLoadBalancer", func() (*elbv2api.CreateLoadBalancerOutput, error) {
		arn := "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/" + v(in.Name) + "/0123456789abcdef"
		if f.things[arn] != nil {
			return nil, awsapi.NewError("DuplicateLoadBalancerName", "A load balancer with the same name exists")
		}
		f.add("lb", arn, nil, map[string]string{"name": v(in.Name)}, append(slices.Clone(in.Subnets), in.SecurityGroups...)...)
		return &elbv2api.CreateLoadBalancerOutput{LoadBalancers: []elbv2api.LoadBalancer{{LoadBalancerArn: &arn}}}, nil
	})
}

func (f *elbFront) DescribeLoadBalancers(_ context.Context, in *elbv2api.DescribeLoadBalancersInput) (*elbv2api.DescribeLoadBalancersOutput, error) {
	return call(f.front, "DescribeLoadBalancers", func() (*elbv2api.DescribeLoadBalancersOutput, error) {
		out := &elbv2api.DescribeLoadBalancersOutput{}
		for _, t := range f.list("lb", in.LoadBalancerArns, func(t *thing) bool { return len(in.Names) == 0 || t.text["name"] == in.Names[0] }) {
			out.LoadBalancers = append(out.LoadBalancers, elbv2api.LoadBalancer{
				LoadBalancerArn: &t.id, LoadBalancerName: s(t.text["name"]), DNSName: s(t.text["name"] + ".us-east-1.elb.amazonaws.com"),
				CanonicalHostedZoneId: s("Z35SXDOTRQ7X7K"), State: &elbv2api.LoadBalancerState{Code: "active"},
			})
		}
		if len(out.LoadBalancers) == 0 {
			return nil, awsapi.NewError("LoadBalancerNotFound", "One or more load balancers not found")
		}
		return out, nil
	})
}

func (f *elbFront) ModifyLoadBalancerAttributes(context.Context, *elbv2api.ModifyLoadBalancerAttributesInput) (*elbv2api.ModifyLoadBalancerAttributesOutput, error) {
	return call(f.front, "ModifyLoadBalancerAttributes", func() (*elbv2api.ModifyLoadBalancerAttributesOutput, error) {
		return &elbv2api.ModifyLoadBalancerAttributesOutput{}, nil
	})
}

func (f *elbFront) SetSubnets(_ context.Context, in *elbv2api.SetSubnetsInput) (*elbv2api.SetSubnetsOutput, error) {
	return call(f.front, "SetSubnets", func() (*elbv2api.SetSubnetsOutput, error) {
		f.swap(v(in.LoadBalancerArn), "subnet-", in.Subnets)
		return &elbv2api.SetSubnetsOutput{}, nil
	})
}

func (f *elbFront) SetSecurityGroups(_ context.Context, in *elbv2api.SetSecurityGroupsInput) (*elbv2api.SetSecurityGroupsOutput, error) {
	return call(f.front, "SetSecurityGroups", func() (*elbv2api.SetSecurityGroupsOutput, error) {
		f.swap(v(in.LoadBalancerArn), "sg-", in.SecurityGroups)
		return &elbv2api.SetSecurityGroupsOutput{}, nil
	})
}

// swap replaces a thing's references of one kind.
func (c *cloud) swap(id, prefix string, refs []string) {
	t := c.things[id]
	t.refs = append(slices.DeleteFunc(slices.Clone(t.refs), func(r string) bool { return strings.HasPrefix(r, prefix) }), refs...)
}

func (f *elbFront) DeleteLoadBalancer(_ context.Context, in *elbv2api.DeleteLoadBalancerInput) (*elbv2api.DeleteLoadBalancerOutput, error) {
	return call(f.front, "DeleteLoadBalancer", func() (*elbv2api.DeleteLoadBalancerOutput, error) {
		return &elbv2api.DeleteLoadBalancerOutput{}, f.drop(v(in.LoadBalancerArn), "LoadBalancerNotFound")
	})
}

func (f *elbFront) CreateTargetGroup(_ context.Context, in *elbv2api.CreateTargetGroupInput) (*elbv2api.CreateTargetGroupOutput, error) {
	return call(f.front, "CreateTargetGroup", func() (*elbv2api.CreateTargetGroupOutput, error) {
		arn := "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/" + v(in.Name) + "/0123456789abcdef"
		if f.things[arn] != nil {
			return nil, awsapi.NewError("DuplicateTargetGroupName", "A target group with the same name exists")
		}
		tags := make(map[string]string)
		for _, t := range in.Tags {
			tags[v(t.Key)] = v(t.Value)
		}
		f.add("tg", arn, tags, map[string]string{"name": v(in.Name)}, v(in.VpcId))
		return &elbv2api.CreateTargetGroupOutput{TargetGroups: []elbv2api.TargetGroup{{TargetGroupArn: &arn}}}, nil
	})
}

func (f *elbFront) DescribeTargetGroups(_ context.Context, in *elbv2api.DescribeTargetGroupsInput) (*elbv2api.DescribeTargetGroupsOutput, error) {
	return call(f.front, "DescribeTargetGroups", func() (*elbv2api.DescribeTargetGroupsOutput, error) {
		out := &elbv2api.DescribeTargetGroupsOutput{}
		for _, t := range f.list("tg", in.TargetGroupArns, func(t *thing) bool { return len(in.Names) == 0 || t.text["name"] == in.Names[0] }) {
			out.TargetGroups = append(out.TargetGroups, elbv2api.TargetGroup{TargetGroupArn: &t.id, TargetGroupName: s(t.text["name"])})
		}
		if len(out.TargetGroups) == 0 {
			return nil, awsapi.NewError("TargetGroupNotFound", "One or more target groups not found")
		}
		return out, nil
	})
}

func (f *elbFront) DescribeTags(_ context.Context, in *elbv2api.DescribeTagsInput) (*elbv2api.DescribeTagsOutput, error) {
	return call(f.front, "DescribeTags", func() (*elbv2api.DescribeTagsOutput, error) {
		d := elbv2api.TagDescription{ResourceArn: &in.ResourceArns[0]}
		for key, value := range f.things[in.ResourceArns[0]].tags {
			d.Tags = append(d.Tags, elbv2api.Tag{Key: s(key), Value: s(value)})
		}
		return &elbv2api.DescribeTagsOutput{TagDescriptions: []elbv2api.TagDescription{d}}, nil
	})
}

func (f *elbFront) ModifyTargetGroupAttributes(context.Context, *elbv2api.ModifyTargetGroupAttributesInput) (*elbv2api.ModifyTargetGroupAttributesOutput, error) {
	return call(f.front, "ModifyTargetGroupAttributes", func() (*elbv2api.ModifyTargetGroupAttributesOutput, error) {
		return &elbv2api.ModifyTargetGroupAttributesOutput{}, nil
	})
}

func (f *elbFront) ModifyTargetGroup(context.Context, *elbv2api.ModifyTargetGroupInput) (*elbv2api.ModifyTargetGroupOutput, error) {
	return call(f.front, "ModifyTargetGroup", func() (*elbv2api.ModifyTargetGroupOutput, error) { return &elbv2api.ModifyTargetGroupOutput{}, nil })
}

func (f *elbFront) AddTags(_ context.Context, in *elbv2api.AddTagsInput) (*elbv2api.AddTagsOutput, error) {
	return call(f.front, "AddTags", func() (*elbv2api.AddTagsOutput, error) { return &elbv2api.AddTagsOutput{}, nil })
}

func (f *elbFront) DeleteTargetGroup(_ context.Context, in *elbv2api.DeleteTargetGroupInput) (*elbv2api.DeleteTargetGroupOutput, error) {
	return call(f.front, "DeleteTargetGroup", func() (*elbv2api.DeleteTargetGroupOutput, error) {
		return &elbv2api.DeleteTargetGroupOutput{}, f.drop(v(in.TargetGroupArn), "TargetGroupNotFound")
	})
}

func (f *elbFront) CreateListener(_ context.Context, in *elbv2api.CreateListenerInput) (*elbv2api.CreateListenerOutput, error) {
	return call(f.front, "CreateListener", func() (*elbv2api.CreateListenerOutput, error) {
		arn := strings.Replace(v(in.LoadBalancerArn), "loadbalancer/", "listener/", 1) + fmt.Sprintf("/%d", awsapi.Val(in.Port))
		if f.things[arn] != nil {
			return nil, awsapi.NewError("DuplicateListener", "A listener already exists on this port")
		}
		f.add("listener", arn, nil, map[string]string{"port": fmt.Sprint(awsapi.Val(in.Port))}, v(in.LoadBalancerArn), v(in.DefaultActions[0].TargetGroupArn))
		return &elbv2api.CreateListenerOutput{Listeners: []elbv2api.Listener{{ListenerArn: &arn}}}, nil
	})
}

func (f *elbFront) DescribeListeners(_ context.Context, in *elbv2api.DescribeListenersInput) (*elbv2api.DescribeListenersOutput, error) {
	return call(f.front, "DescribeListeners", func() (*elbv2api.DescribeListenersOutput, error) {
		out := &elbv2api.DescribeListenersOutput{}
		for _, t := range f.list("listener", nil, func(t *thing) bool { return t.refs[0] == v(in.LoadBalancerArn) }) {
			out.Listeners = append(out.Listeners, elbv2api.Listener{ListenerArn: &t.id, Port: awsapi.Ptr(int32(80))})
		}
		return out, nil
	})
}

func (f *elbFront) ModifyListener(_ context.Context, in *elbv2api.ModifyListenerInput) (*elbv2api.ModifyListenerOutput, error) {
	return call(f.front, "ModifyListener", func() (*elbv2api.ModifyListenerOutput, error) {
		if awsapi.Val(in.Port) == 81 {
			return nil, awsapi.NewError("ValidationError", "no port 81 today")
		}
		f.things[v(in.ListenerArn)].refs[1] = v(in.DefaultActions[0].TargetGroupArn)
		return &elbv2api.ModifyListenerOutput{}, nil
	})
}

func (f *elbFront) DeleteListener(_ context.Context, in *elbv2api.DeleteListenerInput) (*elbv2api.DeleteListenerOutput, error) {
	return call(f.front, "DeleteListener", func() (*elbv2api.DeleteListenerOutput, error) {
		return &elbv2api.DeleteListenerOutput{}, f.drop(v(in.ListenerArn), "ListenerNotFound")
	})
}

func (f *ecsFront) ListTasks(context.Context, *ecsapi.ListTasksInput) (*ecsapi.ListTasksOutput, error) {
	return &ecsapi.ListTasksOutput{}, nil // looked at only to say why a service does not come up; no call that is counted
}
