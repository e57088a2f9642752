package zone

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/dns"
	"github.com/neargate/neargate/internal/keeper"
	"github.com/neargate/neargate/internal/model"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func vpc(id string, support, hostnames bool) *model.VPC {
	return &model.VPC{ID: id, DNSSupport: support, DNSHostnames: hostnames, CIDRs: []model.VPCCIDR{{Block: netip.MustParsePrefix("10.0.0.0/16")}}}
}

func byID(t *testing.T, b keeper.Batch, id string) keeper.Resolver {
	t.Helper()
	for _, r := range b.Resolvers {
		if r.ID == id {
			return r
		}
	}
	t.Fatalf("no resolver of %s", id)
	return keeper.Resolver{}
}

// The two DNS attributes of a VPC decide who answers and which names there are (aws-facts 2.3).
func TestDNSAttributes(t *testing.T) {
	const name = "ec2-198-18-0-10.compute-1.amazonaws.com"
	eni := func(id, vpc, public string) *model.NetworkInterface {
		return &model.NetworkInterface{ID: id, VPCID: vpc, PrivateIPs: []netip.Addr{addr("10.0.1.5")}, AutoPublicIP: addr(public)}
	}
	b := Compile(records{
		scope: model.Scope{Account: "000000000000", Region: "us-east-1"},
		vpcs:  []*model.VPC{vpc("vpc-both", true, true), vpc("vpc-support", true, false), vpc("vpc-names", false, true)},
		enis: []*model.NetworkInterface{
			eni("eni-1", "vpc-both", "198.18.0.10"), eni("eni-2", "vpc-support", "198.18.0.11"), eni("eni-3", "vpc-both", "198.18.0.12"),
		},
		public: map[string]netip.Addr{"eni-3": addr("198.18.0.13")},
	})
	for id, want := range map[string]struct {
		answers bool
		domain  string
		public  netip.Addr
	}{
		"vpc-both":    {true, "ec2.internal", addr("10.0.1.5")},
		"vpc-support": {true, "", addr("198.18.0.10")},
		"vpc-names":   {false, "", addr("198.18.0.10")},
	} {
		r := byID(t, b, id)
		if answers := len(r.Addresses) == 2; answers != want.answers {
			t.Errorf("%s listens at %v", id, r.Addresses)
		}
		if r.Zone.PrivateDomain != want.domain {
			t.Errorf("%s: private domain %q, want %q", id, r.Zone.PrivateDomain, want.domain)
		}
		if diff := cmp.Diff(dns.Record{Addresses: []netip.Addr{want.public}}, r.Zone.Records[name], cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("%s: %s", id, diff)
		}
		if _, ok := r.Zone.Records["ec2-198-18-0-11.compute-1.amazonaws.com"]; ok {
			t.Errorf("%s knows the name of an interface of a VPC without hostnames", id)
		}
		if _, ok := r.Zone.Records["ec2-198-18-0-13.compute-1.amazonaws.com"]; !ok {
			t.Errorf("%s does not know the name of an Elastic IP", id)
		}
	}
}

// A public task's door has the ports of its containers, a load balancer's those of its listeners.
func TestDoors(t *testing.T) {
	public := addr("198.18.0.10")
	b := Compile(records{
		scope:     model.Scope{Account: "000000000000", Region: "us-east-1"},
		balancers: []*model.LoadBalancer{{ARN: "lb", DNSName: "web.elb.amazonaws.com", Zones: []model.LBZone{{IP: addr("10.0.1.9"), PublicIP: addr("198.18.0.20")}}}},
		listeners: []*model.Listener{{LoadBalancerARN: "lb", Port: 8080}, {LoadBalancerARN: "lb", Port: 80}},
		enis: []*model.NetworkInterface{
			{ID: "eni-1", OwnerKind: model.OwnerTask, OwnerID: "task", AutoPublicIP: public, PrivateIPs: []netip.Addr{addr("10.0.1.5")}},
			{ID: "eni-2", OwnerKind: model.OwnerNatGateway, OwnerID: "nat", AutoPublicIP: addr("198.18.0.30")},
		},
		tasks: map[string]*model.Task{"task": {ID: "task", DefinitionKey: "web:1"}},
		defs: map[string]*model.TaskDefinition{"web:1": {Containers: []model.ContainerDefinition{
			{Ports: []model.PortMapping{{ContainerPort: 53, Protocol: "udp"}, {ContainerPort: 80, Protocol: "tcp"}}}, {Ports: []model.PortMapping{{ContainerPort: 80, Protocol: "tcp"}}},
		}}},
	})
	type door struct {
		target   string
		tcp, udp []uint16
	}
	var got []door
	for _, d := range b.Doors {
		got = append(got, door{d.Target.String(), d.TCP, d.UDP})
	}
	want := []door{{"198.18.0.10", []uint16{80}, []uint16{53}}, {"198.18.0.20", []uint16{80, 8080}, nil}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(door{})); diff != "" {
		t.Error(diff)
	}
}
