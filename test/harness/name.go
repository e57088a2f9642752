package harness

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
)

// Resolve returns the public addresses of a load balancer by its name, as the Internet's DNS would. Neargate serves
// names inside VPCs only, so outside clients of tests learn them from the API.
func (d *Daemon) Resolve(ctx context.Context, host string) ([]string, error) {
	clients := d.Clients()
	lbs, err := clients["elbv2"].(*elasticloadbalancingv2.Client).DescribeLoadBalancers(ctx, &elasticloadbalancingv2.DescribeLoadBalancersInput{})
	if err != nil {
		return nil, err
	}
	for _, lb := range lbs.LoadBalancers {
		if !strings.EqualFold(aws.ToString(lb.DNSName), host) {
			continue
		}
		_, tail, _ := strings.Cut(aws.ToString(lb.LoadBalancerArn), ":loadbalancer/")
		out, err := clients["ec2"].(*ec2.Client).DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{
			Filters: []ec2types.Filter{{Name: aws.String("description"), Values: []string{"ELB " + tail}}},
		})
		if err != nil {
			return nil, err
		}
		var addresses []string
		for _, n := range out.NetworkInterfaces {
			if n.Association != nil && n.Association.PublicIp != nil {
				addresses = append(addresses, *n.Association.PublicIp)
			}
		}
		if len(addresses) == 0 {
			return nil, fmt.Errorf("load balancer %s has no public address", host)
		}
		return addresses, nil
	}
	return nil, fmt.Errorf("no load balancer is called %s", host)
}

// Address turns "name:port" of a URL into dialable addresses; an address stays what it is.
func (d *Daemon) Address(ctx context.Context, hostport string) ([]string, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, err
	}
	if net.ParseIP(host) != nil {
		return []string{hostport}, nil
	}
	found, err := d.Resolve(ctx, host)
	for i := range found {
		found[i] = net.JoinHostPort(found[i], port)
	}
	return found, err
}

// pick returns one of several at random, as clients of a name with several addresses do.
func pick(list []string) string { return list[rand.IntN(len(list))] }
