package cli

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/neargate/neargate/internal/model"
)

// URL prints the address on this machine at which a load balancer, stack, service or public task answers.
type URL struct {
	Client *Client
	Screen *Screen
	Name   string
	All    bool // every address, not only the best one
	JSON   bool
}

// Run prints; that there is no address is an error that says why.
func (u *URL) Run(ctx context.Context) error { return Explain(u.run(ctx), u.Client.Endpoint) }

func (u *URL) run(ctx context.Context) error {
	doors, err := (&reach{client: u.Client}).find(ctx, u.Name)
	if err != nil {
		return err
	}
	if u.JSON {
		return writeJSON(u.Screen, doors)
	}
	var why []string
	printed := false
	for _, d := range doors {
		for i, address := range d.URLs {
			if u.All || (i == 0 && !printed) {
				u.Screen.Printf("%s\n", address)
				printed = true
			}
		}
		if d.Why != "" {
			why = append(why, d.Kind+" "+d.Name+": "+d.Why)
		}
	}
	if !printed {
		return Failed("", "there is no address on this machine for %s\n  %s", u.Name, strings.Join(why, "\n  "))
	}
	return nil
}

// find returns the doors of what the name means: a load balancer, a stack, a service or a task, tried in this order.
func (r *reach) find(ctx context.Context, name string) ([]Door, error) {
	lbs, err := r.loadBalancers(ctx, func(lb *elbtypes.LoadBalancer) bool {
		return name == aws.ToString(lb.LoadBalancerName) || name == aws.ToString(lb.LoadBalancerArn) || strings.EqualFold(name, aws.ToString(lb.DNSName))
	})
	if err != nil {
		return nil, err
	}
	if len(lbs) > 0 {
		return r.ofLoadBalancers(ctx, lbs)
	}
	stack, err := findStack(ctx, r.client.CloudFormation, name)
	if err != nil && apiCode(err) != "ValidationError" { // a name that no stack may have is not the user's mistake
		return nil, err
	}
	if stack != nil {
		doors, err := r.ofStack(ctx, aws.ToString(stack.StackId))
		if err != nil || len(doors) > 0 {
			return doors, err
		}
	}
	f, err := loadFleet(ctx, r.client.ECS)
	if err != nil {
		return nil, err
	}
	service, err := f.service(name)
	if err != nil {
		return nil, err
	}
	if service != nil {
		return r.ofService(ctx, f, service)
	}
	task, err := f.task(name)
	if err != nil {
		return nil, err
	}
	if task != nil {
		return r.ofTasks(ctx, []*ecstypes.Task{task})
	}
	if stack != nil {
		return nil, Failed("", "stack %s has no load balancer", name)
	}
	return nil, Failed("`neargate status` lists what there is.", "there is no load balancer, stack, service or task %q", name)
}

// ofService returns the doors of a service's load balancers; without any, of its tasks.
func (r *reach) ofService(ctx context.Context, f *fleet, s *ecstypes.Service) ([]Door, error) {
	var groups []string
	for _, lb := range s.LoadBalancers {
		if arn := aws.ToString(lb.TargetGroupArn); arn != "" {
			groups = append(groups, arn)
		}
	}
	if len(groups) == 0 {
		tasks := f.tasksOf(s)
		if len(tasks) == 0 {
			return []Door{{Kind: "service", Name: aws.ToString(s.ServiceName), URLs: []string{}, Why: "it has no load balancer and no running task"}}, nil
		}
		return r.ofTasks(ctx, tasks)
	}
	out, err := r.client.ELB.DescribeTargetGroups(ctx, &elb.DescribeTargetGroupsInput{TargetGroupArns: groups})
	if err != nil {
		return nil, err
	}
	var arns []string
	for _, g := range out.TargetGroups {
		arns = append(arns, g.LoadBalancerArns...)
	}
	lbs, err := r.loadBalancers(ctx, func(lb *elbtypes.LoadBalancer) bool { return slices.Contains(arns, aws.ToString(lb.LoadBalancerArn)) })
	if err != nil {
		return nil, err
	}
	if len(lbs) == 0 {
		return []Door{{Kind: "service", Name: aws.ToString(s.ServiceName), URLs: []string{}, Why: "no load balancer forwards to its target group"}}, nil
	}
	return r.ofLoadBalancers(ctx, lbs)
}

// ofTasks returns the doors of tasks with a public address: one URL per port of their containers.
func (r *reach) ofTasks(ctx context.Context, tasks []*ecstypes.Task) ([]Door, error) {
	interfaces, err := listInterfaces(ctx, r.client.EC2)
	if err != nil {
		return nil, err
	}
	public := map[string]string{}
	for _, n := range interfaces {
		if n.Association != nil {
			public[aws.ToString(n.NetworkInterfaceId)] = aws.ToString(n.Association.PublicIp)
		}
	}
	ports := map[string][]int{}
	var doors []Door
	for _, t := range tasks {
		d := Door{Kind: "task", Name: model.LastSegment(aws.ToString(t.TaskArn)), ARN: aws.ToString(t.TaskArn), URLs: []string{}}
		address, err := netip.ParseAddr(public[taskDetail(t, "networkInterfaceId")])
		if err != nil {
			d.Why = "it has no public address (assignPublicIp is DISABLED, or it has stopped)"
			doors = append(doors, d)
			continue
		}
		definition := aws.ToString(t.TaskDefinitionArn)
		if _, known := ports[definition]; !known {
			if ports[definition], err = r.ports(ctx, definition); err != nil {
				return nil, err
			}
		}
		for _, port := range ports[definition] {
			d.URLs = append(d.URLs, frontDoorURL("HTTP", address, port))
		}
		if len(d.URLs) == 0 {
			d.Why = "its task definition has no port mappings; its front door is " + model.FrontDoor(address).String()
		}
		doors = append(doors, d)
	}
	return doors, nil
}

func (r *reach) ports(ctx context.Context, definition string) (ports []int, err error) {
	out, err := r.client.ECS.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &definition})
	if err != nil {
		return nil, err
	}
	for _, c := range out.TaskDefinition.ContainerDefinitions {
		for _, p := range c.PortMappings {
			if p.Protocol != ecstypes.TransportProtocolUdp {
				ports = append(ports, int(aws.ToInt32(p.ContainerPort)))
			}
		}
	}
	return ports, nil
}

// writeJSON writes for machines.
func writeJSON(s *Screen, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	s.Printf("%s\n", data)
	return nil
}
