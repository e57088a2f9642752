package cli

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/neargate/neargate/internal/model"
)

const loadBalancerType = "AWS::ElasticLoadBalancingV2::LoadBalancer"

// Door says how something is reached from the host.
type Door struct {
	Kind string   `json:"kind"` // load balancer, task
	Name string   `json:"name"`
	ARN  string   `json:"arn"`
	URLs []string `json:"urls"`          // best first
	Why  string   `json:"why,omitempty"` // why there are none
}

// text returns the first URL, or why there is none.
func (d *Door) text(s *Screen) string {
	if len(d.URLs) == 0 {
		return s.Paint(Faint, d.Why)
	}
	return s.Paint(Link, d.URLs[0])
}

// reach finds out how load balancers and tasks are reached from the host: through the front door, a loopback address
// per public address.
type reach struct{ client *Client }

// ofStack returns the doors of a stack's load balancers.
func (r *reach) ofStack(ctx context.Context, stack string) ([]Door, error) {
	arns, err := physicalIDs(ctx, r.client.CloudFormation, stack, loadBalancerType)
	if err != nil || len(arns) == 0 {
		return nil, err
	}
	lbs, err := r.loadBalancers(ctx, func(lb *elbtypes.LoadBalancer) bool { return slices.Contains(arns, aws.ToString(lb.LoadBalancerArn)) })
	if err != nil {
		return nil, err
	}
	return r.ofLoadBalancers(ctx, lbs)
}

// loadBalancers returns those that want reports true for, in the order of their names.
func (r *reach) loadBalancers(ctx context.Context, want func(*elbtypes.LoadBalancer) bool) (list []elbtypes.LoadBalancer, err error) {
	pages := elb.NewDescribeLoadBalancersPaginator(r.client.ELB, &elb.DescribeLoadBalancersInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for i := range page.LoadBalancers {
			if want(&page.LoadBalancers[i]) {
				list = append(list, page.LoadBalancers[i])
			}
		}
	}
	slices.SortFunc(list, func(a, b elbtypes.LoadBalancer) int {
		return strings.Compare(aws.ToString(a.LoadBalancerName), aws.ToString(b.LoadBalancerName))
	})
	return list, nil
}

// ofLoadBalancers returns a door for each.
func (r *reach) ofLoadBalancers(ctx context.Context, lbs []elbtypes.LoadBalancer) ([]Door, error) {
	if len(lbs) == 0 {
		return nil, nil
	}
	interfaces, err := listInterfaces(ctx, r.client.EC2)
	if err != nil {
		return nil, err
	}
	doors := make([]Door, 0, len(lbs))
	for i := range lbs {
		listeners, err := r.listeners(ctx, aws.ToString(lbs[i].LoadBalancerArn))
		if err != nil {
			return nil, err
		}
		doors = append(doors, loadBalancerDoor(&lbs[i], listeners, interfaces))
	}
	return doors, nil
}

func (r *reach) listeners(ctx context.Context, arn string) (list []elbtypes.Listener, err error) {
	pages := elb.NewDescribeListenersPaginator(r.client.ELB, &elb.DescribeListenersInput{LoadBalancerArn: &arn})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		list = append(list, page.Listeners...)
	}
	return list, nil
}

// loadBalancerDoor returns the URLs of a load balancer: each listener at each of its public addresses.
func loadBalancerDoor(lb *elbtypes.LoadBalancer, listeners []elbtypes.Listener, interfaces []ec2types.NetworkInterface) Door {
	d := Door{Kind: "load balancer", Name: aws.ToString(lb.LoadBalancerName), ARN: aws.ToString(lb.LoadBalancerArn), URLs: []string{}}
	if lb.Scheme == elbtypes.LoadBalancerSchemeEnumInternal {
		d.Why = "internal: it has no public address, only its VPC reaches it"
		return d
	}
	if len(listeners) == 0 {
		d.Why = "it has no listener"
		return d
	}
	// An interface of a load balancer is described by the tail of its ARN, as on AWS.
	_, tail, _ := strings.Cut(d.ARN, ":loadbalancer/")
	var addresses []netip.Addr
	for _, n := range interfaces {
		if aws.ToString(n.Description) == "ELB "+tail && n.Association != nil {
			if a, err := netip.ParseAddr(aws.ToString(n.Association.PublicIp)); err == nil && a.Is4() {
				addresses = append(addresses, a)
			}
		}
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	slices.SortFunc(listeners, func(a, b elbtypes.Listener) int { return int(aws.ToInt32(a.Port)) - int(aws.ToInt32(b.Port)) })
	for _, l := range listeners {
		for _, a := range addresses {
			d.URLs = append(d.URLs, frontDoorURL(string(l.Protocol), a, int(aws.ToInt32(l.Port))))
		}
	}
	if len(d.URLs) == 0 {
		d.Why = "it has no public address yet"
	}
	return d
}

// frontDoorURL returns the address on the host that leads to a port of a public address.
func frontDoorURL(protocol string, public netip.Addr, port int) string {
	scheme, usual := "http", 80
	if strings.EqualFold(protocol, "HTTPS") {
		scheme, usual = "https", 443
	}
	host := model.FrontDoor(public).String()
	if port == usual {
		return scheme + "://" + host
	}
	return scheme + "://" + host + ":" + strconv.Itoa(port)
}

// listInterfaces returns all network interfaces.
func listInterfaces(ctx context.Context, api EC2API) (list []ec2types.NetworkInterface, err error) {
	pages := ec2.NewDescribeNetworkInterfacesPaginator(api, &ec2.DescribeNetworkInterfacesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		list = append(list, page.NetworkInterfaces...)
	}
	return list, nil
}

// physicalIDs returns the identifiers of a stack's resources of one type.
func physicalIDs(ctx context.Context, api CloudFormationAPI, stack, kind string) (ids []string, err error) {
	pages := cloudformation.NewListStackResourcesPaginator(api, &cloudformation.ListStackResourcesInput{StackName: &stack})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the resources of stack %s: %w", stack, err)
		}
		for _, res := range page.StackResourceSummaries {
			if aws.ToString(res.ResourceType) == kind && aws.ToString(res.PhysicalResourceId) != "" {
				ids = append(ids, *res.PhysicalResourceId)
			}
		}
	}
	return ids, nil
}
