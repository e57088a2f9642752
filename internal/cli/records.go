package cli

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/neargate/neargate/internal/doctor"
	"github.com/neargate/neargate/internal/model"
)

// Records asks the daemon what there should be on its host.
func Records(ctx context.Context, c *Client) (*doctor.Records, error) {
	r := &doctor.Records{VPCs: map[string]bool{}, NATGateways: map[string]bool{}, Tasks: map[string]bool{}, LoadBalancers: map[string]bool{}}
	vpcs := ec2.NewDescribeVpcsPaginator(c.EC2, &ec2.DescribeVpcsInput{})
	for vpcs.HasMorePages() {
		page, err := vpcs.NextPage(ctx)
		if err != nil {
			return nil, Explain(err, c.Endpoint)
		}
		for _, v := range page.Vpcs {
			r.VPCs[aws.ToString(v.VpcId)] = true
		}
	}
	gateways := ec2.NewDescribeNatGatewaysPaginator(c.EC2, &ec2.DescribeNatGatewaysInput{})
	for gateways.HasMorePages() {
		page, err := gateways.NextPage(ctx)
		if err != nil {
			return nil, Explain(err, c.Endpoint)
		}
		for _, g := range page.NatGateways {
			if g.State != ec2types.NatGatewayStateDeleted && g.State != ec2types.NatGatewayStateFailed {
				r.NATGateways[aws.ToString(g.NatGatewayId)] = true
			}
		}
	}
	f, err := loadFleet(ctx, c.ECS)
	if err != nil {
		return nil, Explain(err, c.Endpoint)
	}
	for i := range f.tasks {
		if !isStopped(&f.tasks[i]) {
			r.Tasks[model.LastSegment(aws.ToString(f.tasks[i].TaskArn))] = true
		}
	}
	lbs, err := (&reach{client: c}).loadBalancers(ctx, func(*elbtypes.LoadBalancer) bool { return true })
	if err != nil {
		return nil, Explain(err, c.Endpoint)
	}
	for _, lb := range lbs {
		r.LoadBalancers[model.LastSegment(aws.ToString(lb.LoadBalancerArn))] = true
	}
	return r, nil
}
