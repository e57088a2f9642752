package cli

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/neargate/neargate/internal/model"
)

// Status shows what there is and how it is.
type Status struct {
	Client *Client
	Screen *Screen
	JSON   bool
	Watch  bool
	Every  time.Duration // of Watch
	Now    func() time.Time
}

// Overview is what Status shows; its JSON is what --json prints.
type Overview struct {
	Endpoint      string         `json:"endpoint"`
	Region        string         `json:"region"`
	Account       string         `json:"account"`
	Stacks        []StackView    `json:"stacks"`
	VPCs          []VPCView      `json:"vpcs"`
	LoadBalancers []BalancerView `json:"loadBalancers"`
	Services      []ServiceView  `json:"services"`
	Tasks         []TaskView     `json:"tasks"`
}

// StackView is a stack.
type StackView struct {
	Name   string `json:"name"`
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
}

// VPCView is a VPC.
type VPCView struct {
	ID          string   `json:"id"`
	Name        string   `json:"name,omitempty"`
	CIDR        string   `json:"cidr"`
	Subnets     int      `json:"subnets"`
	Zones       []string `json:"zones"`
	NATGateways int      `json:"natGateways"`
	Interfaces  int      `json:"interfaces"`
}

// BalancerView is a load balancer with the health of what it forwards to.
type BalancerView struct {
	Door
	Scheme       string      `json:"scheme"`
	State        string      `json:"state"`
	DNSName      string      `json:"dnsName"`
	VPC          string      `json:"vpc"`
	TargetGroups []GroupView `json:"targetGroups"`
}

// GroupView is a target group.
type GroupView struct {
	Name    string       `json:"name"`
	Targets []TargetView `json:"targets"`
}

// TargetView is a target and its health, in AWS's words.
type TargetView struct {
	ID     string `json:"id"`
	Port   int    `json:"port"`
	AZ     string `json:"az,omitempty"`
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	Text   string `json:"description,omitempty"`
}

// ServiceView is an ECS service.
type ServiceView struct {
	Cluster     string           `json:"cluster"`
	Name        string           `json:"name"`
	Status      string           `json:"status"`
	Desired     int              `json:"desired"`
	Running     int              `json:"running"`
	Pending     int              `json:"pending"`
	Deployments []DeploymentView `json:"deployments"`
	LastEvent   string           `json:"lastEvent,omitempty"`
	LastEventAt *time.Time       `json:"lastEventAt,omitempty"`
}

// DeploymentView is a deployment of a service.
type DeploymentView struct {
	ID         string `json:"id"`
	Status     string `json:"status"`
	Rollout    string `json:"rollout"`
	Reason     string `json:"reason,omitempty"`
	Definition string `json:"definition"`
	Desired    int    `json:"desired"`
	Running    int    `json:"running"`
	Failed     int    `json:"failed"`
}

// TaskView is a task.
type TaskView struct {
	ID         string     `json:"id"`
	Cluster    string     `json:"cluster"`
	Group      string     `json:"group"`
	Definition string     `json:"definition"`
	State      string     `json:"state"`
	Desired    string     `json:"desired"`
	Health     string     `json:"health,omitempty"`
	AZ         string     `json:"az,omitempty"`
	PrivateIP  string     `json:"privateIp,omitempty"`
	PublicIP   string     `json:"publicIp,omitempty"`
	Door       string     `json:"door,omitempty"` // loopback address that leads to PublicIP
	CreatedAt  *time.Time `json:"createdAt,omitempty"`
	StartedAt  *time.Time `json:"startedAt,omitempty"`
	StoppedAt  *time.Time `json:"stoppedAt,omitempty"`
	StopCode   string     `json:"stopCode,omitempty"`
	StopReason string     `json:"stopReason,omitempty"`
}

// Run shows it once, or again and again until ctx ends.
func (s *Status) Run(ctx context.Context) error {
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Every == 0 {
		s.Every = 2 * time.Second
	}
	for {
		o, err := s.load(ctx)
		if err != nil {
			if ctx.Err() != nil && s.Watch {
				return nil
			}
			return Explain(err, s.Client.Endpoint)
		}
		if s.JSON {
			err = writeJSON(s.Screen, o)
		} else {
			text := o.render(s.Screen, s.Now())
			if s.Watch {
				s.Screen.Clear()
			}
			s.Screen.Printf("%s", text)
		}
		if err != nil || !s.Watch {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(s.Every):
		}
	}
}

func (s *Status) load(ctx context.Context) (*Overview, error) {
	c := s.Client
	o := &Overview{Endpoint: c.Endpoint, Region: c.Region, Account: c.Account,
		Stacks: []StackView{}, VPCs: []VPCView{}, LoadBalancers: []BalancerView{}, Services: []ServiceView{}, Tasks: []TaskView{}}
	interfaces, err := listInterfaces(ctx, c.EC2)
	if err != nil {
		return nil, err
	}
	f, err := loadFleet(ctx, c.ECS)
	if err != nil {
		return nil, err
	}
	for _, load := range []func() error{
		func() error { return o.loadStacks(ctx, c.CloudFormation) },
		func() error { return o.loadVPCs(ctx, c.EC2, interfaces) },
		func() error { return o.loadBalancers(ctx, c, interfaces) },
	} {
		if err := load(); err != nil {
			return nil, err
		}
	}
	o.addServices(f)
	o.addTasks(f, interfaces)
	return o, nil
}

func (o *Overview) loadStacks(ctx context.Context, api CloudFormationAPI) error {
	pages := cloudformation.NewDescribeStacksPaginator(api, &cloudformation.DescribeStacksInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, st := range page.Stacks {
			o.Stacks = append(o.Stacks, StackView{Name: aws.ToString(st.StackName), Status: string(st.StackStatus), Reason: aws.ToString(st.StackStatusReason)})
		}
	}
	slices.SortFunc(o.Stacks, func(a, b StackView) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

func (o *Overview) loadVPCs(ctx context.Context, api EC2API, interfaces []ec2types.NetworkInterface) error {
	at := map[string]*VPCView{}
	vpcs := ec2.NewDescribeVpcsPaginator(api, &ec2.DescribeVpcsInput{})
	var order []string
	for vpcs.HasMorePages() {
		page, err := vpcs.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, v := range page.Vpcs {
			view := &VPCView{ID: aws.ToString(v.VpcId), CIDR: aws.ToString(v.CidrBlock), Zones: []string{}}
			for _, t := range v.Tags {
				if aws.ToString(t.Key) == "Name" {
					view.Name = aws.ToString(t.Value)
				}
			}
			at[view.ID] = view
			order = append(order, view.ID)
		}
	}
	subnets := ec2.NewDescribeSubnetsPaginator(api, &ec2.DescribeSubnetsInput{})
	for subnets.HasMorePages() {
		page, err := subnets.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, sn := range page.Subnets {
			if v := at[aws.ToString(sn.VpcId)]; v != nil {
				v.Subnets++
				if az := aws.ToString(sn.AvailabilityZone); !slices.Contains(v.Zones, az) {
					v.Zones = append(v.Zones, az)
				}
			}
		}
	}
	gateways := ec2.NewDescribeNatGatewaysPaginator(api, &ec2.DescribeNatGatewaysInput{})
	for gateways.HasMorePages() {
		page, err := gateways.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, g := range page.NatGateways {
			if v := at[aws.ToString(g.VpcId)]; v != nil && g.State != ec2types.NatGatewayStateDeleted {
				v.NATGateways++
			}
		}
	}
	for _, n := range interfaces {
		if v := at[aws.ToString(n.VpcId)]; v != nil {
			v.Interfaces++
		}
	}
	for _, id := range order {
		slices.Sort(at[id].Zones)
		o.VPCs = append(o.VPCs, *at[id])
	}
	return nil
}

func (o *Overview) loadBalancers(ctx context.Context, c *Client, interfaces []ec2types.NetworkInterface) error {
	r := &reach{client: c}
	lbs, err := r.loadBalancers(ctx, func(*elbtypes.LoadBalancer) bool { return true })
	if err != nil || len(lbs) == 0 {
		return err
	}
	groups, err := loadGroups(ctx, c.ELB)
	if err != nil {
		return err
	}
	for i := range lbs {
		lb := &lbs[i]
		listeners, err := r.listeners(ctx, aws.ToString(lb.LoadBalancerArn))
		if err != nil {
			return err
		}
		view := BalancerView{
			Door: loadBalancerDoor(lb, listeners, interfaces), Scheme: string(lb.Scheme), DNSName: aws.ToString(lb.DNSName), VPC: aws.ToString(lb.VpcId),
			TargetGroups: groups[aws.ToString(lb.LoadBalancerArn)],
		}
		if view.TargetGroups == nil {
			view.TargetGroups = []GroupView{}
		}
		if lb.State != nil {
			view.State = string(lb.State.Code)
		}
		o.LoadBalancers = append(o.LoadBalancers, view)
	}
	return nil
}

// loadGroups returns the target groups with their targets by the load balancer that forwards to them.
func loadGroups(ctx context.Context, api ELBAPI) (map[string][]GroupView, error) {
	groups := map[string][]GroupView{}
	pages := elb.NewDescribeTargetGroupsPaginator(api, &elb.DescribeTargetGroupsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, g := range page.TargetGroups {
			if len(g.LoadBalancerArns) == 0 {
				continue
			}
			health, err := api.DescribeTargetHealth(ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: g.TargetGroupArn})
			if err != nil {
				return nil, err
			}
			view := GroupView{Name: aws.ToString(g.TargetGroupName), Targets: []TargetView{}}
			for _, h := range health.TargetHealthDescriptions {
				t := TargetView{ID: aws.ToString(h.Target.Id), Port: int(aws.ToInt32(h.Target.Port)), AZ: aws.ToString(h.Target.AvailabilityZone)}
				if h.TargetHealth != nil {
					t.State, t.Reason, t.Text = string(h.TargetHealth.State), string(h.TargetHealth.Reason), aws.ToString(h.TargetHealth.Description)
				}
				view.Targets = append(view.Targets, t)
			}
			for _, arn := range g.LoadBalancerArns {
				groups[arn] = append(groups[arn], view)
			}
		}
	}
	return groups, nil
}

func (o *Overview) addServices(f *fleet) {
	for i := range f.services {
		s := &f.services[i]
		view := ServiceView{
			Cluster: model.LastSegment(aws.ToString(s.ClusterArn)), Name: aws.ToString(s.ServiceName), Status: aws.ToString(s.Status),
			Desired: int(s.DesiredCount), Running: int(s.RunningCount), Pending: int(s.PendingCount), Deployments: []DeploymentView{},
		}
		for _, d := range s.Deployments {
			view.Deployments = append(view.Deployments, DeploymentView{
				ID: aws.ToString(d.Id), Status: aws.ToString(d.Status), Rollout: string(d.RolloutState), Reason: aws.ToString(d.RolloutStateReason),
				Definition: model.LastSegment(aws.ToString(d.TaskDefinition)), Desired: int(d.DesiredCount), Running: int(d.RunningCount), Failed: int(d.FailedTasks),
			})
		}
		if len(s.Events) > 0 {
			view.LastEvent, view.LastEventAt = aws.ToString(s.Events[0].Message), s.Events[0].CreatedAt
		}
		o.Services = append(o.Services, view)
	}
}

func (o *Overview) addTasks(f *fleet, interfaces []ec2types.NetworkInterface) {
	public := map[string]string{}
	for _, n := range interfaces {
		if n.Association != nil {
			public[aws.ToString(n.NetworkInterfaceId)] = aws.ToString(n.Association.PublicIp)
		}
	}
	for i := range f.tasks {
		t := &f.tasks[i]
		view := TaskView{
			ID: model.LastSegment(aws.ToString(t.TaskArn)), Cluster: model.LastSegment(aws.ToString(t.ClusterArn)), Group: aws.ToString(t.Group),
			Definition: model.LastSegment(aws.ToString(t.TaskDefinitionArn)), State: aws.ToString(t.LastStatus), Desired: aws.ToString(t.DesiredStatus),
			Health: string(t.HealthStatus), AZ: aws.ToString(t.AvailabilityZone), PrivateIP: taskDetail(t, "privateIPv4Address"),
			PublicIP: public[taskDetail(t, "networkInterfaceId")], CreatedAt: t.CreatedAt, StartedAt: t.StartedAt, StoppedAt: t.StoppedAt,
			StopCode: string(t.StopCode),
		}
		if a, err := netip.ParseAddr(view.PublicIP); err == nil && a.Is4() {
			view.Door = model.FrontDoor(a).String()
		}
		if view.Desired == model.DesiredStopped {
			view.StopReason = stopText(t)
		}
		if t.HealthStatus == ecstypes.HealthStatusUnknown {
			view.Health = ""
		}
		o.Tasks = append(o.Tasks, view)
	}
}
