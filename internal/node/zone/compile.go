package zone

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/neargate/neargate/internal/dns"
	"github.com/neargate/neargate/internal/keeper"
	"github.com/neargate/neargate/internal/model"
)

// records is everything that names and doors are made of.
type records struct {
	scope     model.Scope
	vpcs      []*model.VPC
	balancers []*model.LoadBalancer
	listeners []*model.Listener
	enis      []*model.NetworkInterface // with a public address
	public    map[string]netip.Addr     // Elastic IPs by ENI
	tasks     map[string]*model.Task
	defs      map[string]*model.TaskDefinition
}

// Compile returns the resolver of every VPC and the front door of every public address.
func Compile(r records) keeper.Batch {
	shared := sharedNames(r)
	var out keeper.Batch
	public := publicNames(r)
	for _, named := range public {
		for name, a := range named {
			shared[name] = dns.Record{Addresses: []netip.Addr{a.public}}
		}
	}
	for _, vpc := range r.vpcs {
		out.Resolvers = append(out.Resolvers, resolver(r, vpc, shared, public[vpc.ID]))
	}
	out.Doors = doors(r)
	return out
}

// sharedNames are the names that resolve alike in every VPC: those of the AWS services and of load balancers. A load
// balancer's name is public on AWS too: an internal one resolves everywhere, to addresses that only its own VPC reaches.
func sharedNames(r records) map[string]dns.Record {
	names := map[string]dns.Record{}
	for _, s := range model.ServiceNames(r.scope) {
		names[s.Host] = dns.Record{Addresses: []netip.Addr{s.Address}}
	}
	for _, lb := range r.balancers {
		rec := dns.Record{Rotate: true}
		for _, zone := range lb.Zones {
			addr := zone.PublicIP
			if !addr.IsValid() {
				addr = zone.IP
			}
			if addr.IsValid() {
				rec.Addresses = append(rec.Addresses, addr)
			}
		}
		if len(rec.Addresses) > 0 {
			names[lb.DNSName] = rec
		}
	}
	return names
}

// hasHostnames reports whether the interfaces of a VPC have names: that takes both of its DNS attributes (aws-facts 2.3).
func hasHostnames(vpc *model.VPC) bool { return vpc.DNSSupport && vpc.DNSHostnames }

// addressPair is what the public name of an interface stands for outside of its VPC, and inside.
type addressPair struct{ public, private netip.Addr }

// publicNames returns the public names of interfaces by VPC.
func publicNames(r records) map[string]map[string]addressPair {
	names := map[string]map[string]addressPair{}
	for _, vpc := range r.vpcs {
		if hasHostnames(vpc) {
			names[vpc.ID] = map[string]addressPair{}
		}
	}
	for _, eni := range r.enis {
		if of := names[eni.VPCID]; of != nil {
			public := publicAddress(r, eni)
			of[model.PublicDNSName(r.scope.Region, public)] = addressPair{public: public, private: eni.PrimaryIP()}
		}
	}
	return names
}

// publicAddress returns the address under which an interface is reached from outside.
func publicAddress(r records, eni *model.NetworkInterface) netip.Addr {
	if elastic, ok := r.public[eni.ID]; ok {
		return elastic
	}
	return eni.AutoPublicIP
}

// resolver returns the DNS of one VPC. Without enableDnsSupport nobody answers; without enableDnsHostnames its interfaces
// have no names, as on AWS. own are the public names of its interfaces, which stand for private addresses in it.
func resolver(r records, vpc *model.VPC, shared map[string]dns.Record, own map[string]addressPair) keeper.Resolver {
	out := keeper.Resolver{ID: vpc.ID, Netns: model.VPCNetns(vpc.ID), Zone: dns.Zone{
		Records: shared, Owned: []string{"amazonaws.com", model.InternalDomain(r.scope.Region)},
	}}
	if vpc.DNSSupport {
		out.Addresses = []netip.Addr{vpc.ResolverAddress(), model.LinkLocalResolver}
	}
	for _, c := range vpc.CIDRs {
		out.Zone.Private = append(out.Zone.Private, c.Block)
	}
	if hasHostnames(vpc) {
		out.Zone.PrivateDomain = model.InternalDomain(r.scope.Region)
	}
	if len(own) > 0 {
		out.Zone.Records = maps.Clone(shared)
		for name, a := range own {
			out.Zone.Records[name] = dns.Record{Addresses: []netip.Addr{a.private}}
		}
	}
	return out
}

// doors returns the front doors: a load balancer's listens on the ports of its listeners, a public task's on the ports of
// its containers.
func doors(r records) []keeper.Door {
	var out []keeper.Door
	add := func(public netip.Addr, tcp, udp []uint16) {
		if !public.IsValid() || !model.PublicPool.Contains(public) || len(tcp)+len(udp) == 0 {
			return
		}
		slices.Sort(tcp)
		slices.Sort(udp)
		out = append(out, keeper.Door{
			ID: public.String(), Listen: model.FrontDoor(public), TCP: slices.Compact(tcp), UDP: slices.Compact(udp),
			Netns: model.EdgeNetns, Source: model.OutsideClient, Target: public,
		})
	}
	ports := map[string][]uint16{}
	for _, l := range r.listeners {
		ports[l.LoadBalancerARN] = append(ports[l.LoadBalancerARN], uint16(l.Port))
	}
	for _, lb := range r.balancers {
		for _, zone := range lb.Zones {
			add(zone.PublicIP, slices.Clone(ports[lb.ARN]), nil)
		}
	}
	for _, eni := range r.enis {
		if eni.OwnerKind != model.OwnerTask {
			continue
		}
		tcp, udp := taskPorts(r, eni.OwnerID)
		add(publicAddress(r, eni), tcp, udp)
	}
	slices.SortFunc(out, func(a, b keeper.Door) int { return a.Listen.Compare(b.Listen) })
	return out
}

func taskPorts(r records, taskID string) (tcp, udp []uint16) {
	task, ok := r.tasks[taskID]
	if !ok || task.IsStopped() || r.defs[task.DefinitionKey] == nil {
		return nil, nil
	}
	for _, c := range r.defs[task.DefinitionKey].Containers {
		for _, p := range c.Ports {
			if p.Protocol == "udp" {
				udp = append(udp, uint16(p.ContainerPort))
			} else {
				tcp = append(tcp, uint16(p.ContainerPort))
			}
		}
	}
	return tcp, udp
}
