package store

import (
	"context"
	"net/netip"

	"github.com/neargate/neargate/internal/model"
)

// Tables are all tables of Neargate. The names of their indexes are the strings in NewTables; By panics for others.
type Tables struct {
	VPCs               *Table[model.VPC]
	Subnets            *Table[model.Subnet]
	RouteTables        *Table[model.RouteTable]
	InternetGateways   *Table[model.InternetGateway]
	NatGateways        *Table[model.NatGateway]
	Addresses          *Table[model.Address]
	SecurityGroups     *Table[model.SecurityGroup]
	SecurityGroupRules *Table[model.SecurityGroupRule]
	NetworkInterfaces  *Table[model.NetworkInterface]

	Clusters        *Table[model.Cluster]
	TaskDefinitions *Table[model.TaskDefinition]
	Services        *Table[model.Service]
	Tasks           *Table[model.Task]
	AccountSettings *Table[model.AccountSetting]

	LoadBalancers *Table[model.LoadBalancer]
	Listeners     *Table[model.Listener]
	Rules         *Table[model.Rule]
	TargetGroups  *Table[model.TargetGroup]
	Targets       *Table[model.Target]
	TargetHealth  *Table[model.TargetHealth]

	Repositories *Table[model.Repository]
	Images       *Table[model.Image]
	LogGroups    *Table[model.LogGroup]
	LogStreams   *Table[model.LogStream]

	Roles    *Table[model.Role]
	Policies *Table[model.Policy]
	Sessions *Table[model.Session]

	Stacks         *Table[model.Stack]
	StackResources *Table[model.StackResource]
	StackEvents    *Table[model.StackEvent]
	ChangeSets     *Table[model.ChangeSet]
}

// OpenTables opens a DB on the back end with all tables of Neargate, loaded and ready.
func OpenTables(ctx context.Context, backend Backend, opts Options) (*DB, *Tables, error) {
	db, err := OpenWith(ctx, backend, opts)
	if err != nil {
		return nil, nil, err
	}
	tables := NewTables(db)
	if err := db.Start(ctx); err != nil {
		db.Close()
		return nil, nil, err
	}
	return db, tables, nil
}

// NewTables declares all tables of Neargate.
func NewTables(db *DB) *Tables {
	t := &Tables{}
	t.declareNetwork(db)
	t.declareTasks(db)
	t.declareLoadBalancers(db)
	t.declareRegistry(db)
	t.declareStacks(db)
	return t
}

func (t *Tables) declareNetwork(db *DB) {
	t.VPCs = NewTable(db, TableSpec[model.VPC]{Name: "vpc", Key: func(v *model.VPC) string { return v.ID }})
	t.Subnets = NewTable(db, TableSpec[model.Subnet]{
		Name: "subnet", Key: func(s *model.Subnet) string { return s.ID },
		Indexes: []Index[model.Subnet]{
			One("vpc", func(s *model.Subnet) string { return s.VPCID }),
			One("az", func(s *model.Subnet) string { return s.AZ }),
		}})
	t.RouteTables = NewTable(db, TableSpec[model.RouteTable]{
		Name: "route-table", Key: func(r *model.RouteTable) string { return r.ID },
		Indexes: []Index[model.RouteTable]{
			One("vpc", func(r *model.RouteTable) string { return r.VPCID }),
			One("token", func(r *model.RouteTable) string { return r.ClientToken }),
			Many("subnet", func(r *model.RouteTable) []string {
				return collect(r.Associations, func(a *model.RouteTableAssoc) string { return a.SubnetID })
			}),
			Many("association", func(r *model.RouteTable) []string {
				return collect(r.Associations, func(a *model.RouteTableAssoc) string { return a.ID })
			}),
			// target: the gateways, NAT gateways and ENIs that routes lead to, without "local".
			Many("target", func(r *model.RouteTable) []string {
				return collect(r.Routes, func(r *model.Route) string {
					switch {
					case r.NatID != "":
						return r.NatID
					case r.ENIID != "":
						return r.ENIID
					case r.GatewayID != "local":
						return r.GatewayID
					}
					return ""
				})
			}),
		}})
	t.InternetGateways = NewTable(db, TableSpec[model.InternetGateway]{
		Name: "internet-gateway", Key: func(g *model.InternetGateway) string { return g.ID },
		Indexes: []Index[model.InternetGateway]{One("vpc", func(g *model.InternetGateway) string { return g.VPCID })}})
	t.NatGateways = NewTable(db, TableSpec[model.NatGateway]{
		Name: "nat-gateway", Key: func(g *model.NatGateway) string { return g.ID },
		Indexes: []Index[model.NatGateway]{
			One("vpc", func(g *model.NatGateway) string { return g.VPCID }),
			One("subnet", func(g *model.NatGateway) string { return g.SubnetID }),
			One("state", func(g *model.NatGateway) string { return g.State }),
			One("token", func(g *model.NatGateway) string { return g.ClientToken }),
		}})
	t.Addresses = NewTable(db, TableSpec[model.Address]{
		Name: "address", Key: func(a *model.Address) string { return a.AllocationID },
		Indexes: []Index[model.Address]{
			One("ip", func(a *model.Address) string { return addr(a.PublicIP) }),
			One("eni", func(a *model.Address) string { return a.ENIID }),
			One("association", func(a *model.Address) string { return a.AssociationID }),
		}})
	t.SecurityGroups = NewTable(db, TableSpec[model.SecurityGroup]{
		Name: "security-group", Key: func(g *model.SecurityGroup) string { return g.ID },
		Indexes: []Index[model.SecurityGroup]{
			One("vpc", func(g *model.SecurityGroup) string { return g.VPCID }),
			One("name", func(g *model.SecurityGroup) string { return g.Name }),
		}})
	t.SecurityGroupRules = NewTable(db, TableSpec[model.SecurityGroupRule]{
		Name: "security-group-rule", Key: func(r *model.SecurityGroupRule) string { return r.ID },
		Indexes: []Index[model.SecurityGroupRule]{
			One("group", func(r *model.SecurityGroupRule) string { return r.GroupID }),
			One("ref", func(r *model.SecurityGroupRule) string { return r.RefGroupID }), // the group that the rule names
		}})
	t.NetworkInterfaces = NewTable(db, TableSpec[model.NetworkInterface]{
		Name: "eni", Key: func(e *model.NetworkInterface) string { return e.ID },
		Indexes: []Index[model.NetworkInterface]{
			One("vpc", func(e *model.NetworkInterface) string { return e.VPCID }),
			One("subnet", func(e *model.NetworkInterface) string { return e.SubnetID }),
			Many("group", func(e *model.NetworkInterface) []string { return e.Groups }),
			One("owner", func(e *model.NetworkInterface) string { return e.OwnerID }),
			One("host", func(e *model.NetworkInterface) string { return e.Host }),
			One("attachment", func(e *model.NetworkInterface) string { return e.AttachmentID }),
			One("token", func(e *model.NetworkInterface) string { return e.ClientToken }),
			Many("ip", func(e *model.NetworkInterface) []string { // private: VPCs may overlap, so compare the VPC too
				return collect(e.PrivateIPs, func(a *netip.Addr) string { return addr(*a) })
			}),
			One("public-ip", func(e *model.NetworkInterface) string { return addr(e.AutoPublicIP) }),
		}})
}

func (t *Tables) declareTasks(db *DB) {
	t.Clusters = NewTable(db, TableSpec[model.Cluster]{
		Name: "cluster", Key: func(c *model.Cluster) string { return c.Name }})
	t.TaskDefinitions = NewTable(db, TableSpec[model.TaskDefinition]{
		Name: "task-definition", Key: (*model.TaskDefinition).Key,
		Indexes: []Index[model.TaskDefinition]{
			One("family", func(d *model.TaskDefinition) string { return d.Family }),
			One("status", func(d *model.TaskDefinition) string { return d.Status }),
		}})
	t.Services = NewTable(db, TableSpec[model.Service]{
		Name: "service", Key: (*model.Service).Key,
		Indexes: []Index[model.Service]{
			One("cluster", func(s *model.Service) string { return s.Cluster }),
			One("status", func(s *model.Service) string { return s.Status }),
			Many("definition", func(s *model.Service) []string { // keys of the definitions of its deployments
				return collect(s.Deployments, func(d *model.Deployment) string { return d.DefinitionKey })
			}),
			Many("target-group", func(s *model.Service) []string {
				return collect(s.LoadBalancers, func(l *model.ServiceLoadBalancer) string { return l.TargetGroupARN })
			}),
		}})
	t.Tasks = NewTable(db, TableSpec[model.Task]{
		Name: "task", Key: func(t *model.Task) string { return t.ID },
		Indexes: []Index[model.Task]{
			One("cluster", func(t *model.Task) string { return t.Cluster }),
			One("service", func(t *model.Task) string { // model.ServiceKey
				if t.Service == "" {
					return ""
				}
				return model.ServiceKey(t.Cluster, t.Service)
			}),
			One("deployment", func(t *model.Task) string { return t.DeploymentID }),
			One("group", func(t *model.Task) string { return t.Group }),
			One("definition", func(t *model.Task) string { return t.DefinitionKey }),
			One("started-by", func(t *model.Task) string { return t.StartedBy }),
			One("host", func(t *model.Task) string { return t.Host }),
			One("state", func(t *model.Task) string { return t.State.String() }), // AWS's word
			One("desired", func(t *model.Task) string { return t.Desired }),
			One("vpc", func(t *model.Task) string { return t.VPCID }),
			One("subnet", func(t *model.Task) string { return t.SubnetID }),
			One("eni", func(t *model.Task) string { return t.ENIID }),
			One("token", func(t *model.Task) string { return t.ClientToken }),
		}})
	t.AccountSettings = NewTable(db, TableSpec[model.AccountSetting]{
		Name: "account-setting", Key: func(s *model.AccountSetting) string { return s.Name }})
}

func (t *Tables) declareLoadBalancers(db *DB) {
	t.LoadBalancers = NewTable(db, TableSpec[model.LoadBalancer]{
		Name: "load-balancer", Key: func(l *model.LoadBalancer) string { return l.ARN },
		Indexes: []Index[model.LoadBalancer]{
			One("name", func(l *model.LoadBalancer) string { return l.Name }),
			One("id", func(l *model.LoadBalancer) string { return l.ID }),
			One("vpc", func(l *model.LoadBalancer) string { return l.VPCID }),
			One("host", func(l *model.LoadBalancer) string { return l.Host }),
			One("dns", func(l *model.LoadBalancer) string { return l.DNSName }),
			Many("group", func(l *model.LoadBalancer) []string { return l.SecurityGroups }),
			Many("subnet", func(l *model.LoadBalancer) []string {
				return collect(l.Zones, func(z *model.LBZone) string { return z.SubnetID })
			}),
		}})
	t.Listeners = NewTable(db, TableSpec[model.Listener]{
		Name: "listener", Key: func(l *model.Listener) string { return l.ARN },
		Indexes: []Index[model.Listener]{
			One("load-balancer", func(l *model.Listener) string { return l.LoadBalancerARN }),
			Many("target-group", func(l *model.Listener) []string { return targetGroups(l.DefaultActions) }),
		}})
	t.Rules = NewTable(db, TableSpec[model.Rule]{
		Name: "rule", Key: func(r *model.Rule) string { return r.ARN },
		Indexes: []Index[model.Rule]{
			One("listener", func(r *model.Rule) string { return r.ListenerARN }),
			Many("target-group", func(r *model.Rule) []string { return targetGroups(r.Actions) }),
		}})
	t.TargetGroups = NewTable(db, TableSpec[model.TargetGroup]{
		Name: "target-group", Key: func(g *model.TargetGroup) string { return g.ARN },
		Indexes: []Index[model.TargetGroup]{
			One("name", func(g *model.TargetGroup) string { return g.Name }),
			One("vpc", func(g *model.TargetGroup) string { return g.VPCID }),
		}})
	t.Targets = NewTable(db, TableSpec[model.Target]{
		Name: "target", Key: (*model.Target).Key,
		Indexes: []Index[model.Target]{
			One("target-group", func(t *model.Target) string { return t.TargetGroupARN }),
			One("task", func(t *model.Target) string { return t.TaskID }),
			One("ip", func(t *model.Target) string { return addr(t.IP) }),
		}})
	t.TargetHealth = NewTable(db, TableSpec[model.TargetHealth]{
		Name: "target-health", Key: (*model.TargetHealth).Key,
		Indexes: []Index[model.TargetHealth]{
			One("target-group", func(h *model.TargetHealth) string { return h.TargetGroupARN }),
		}})
}

func (t *Tables) declareRegistry(db *DB) {
	t.Repositories = NewTable(db, TableSpec[model.Repository]{
		Name: "repository", Key: func(r *model.Repository) string { return r.Name }})
	t.Images = NewTable(db, TableSpec[model.Image]{
		Name: "image", Key: (*model.Image).Key,
		Indexes: []Index[model.Image]{
			One("repository", func(i *model.Image) string { return i.Repository }),
			Many("tag", func(i *model.Image) []string { // repository:tag
				return collect(i.Tags, func(tag *string) string { return i.Repository + ":" + *tag })
			}),
			Many("blob", func(i *model.Image) []string { return append(append([]string{i.Digest}, i.Blobs...), i.Manifests...) }),
		}})
	t.LogGroups = NewTable(db, TableSpec[model.LogGroup]{
		Name: "log-group", Key: func(g *model.LogGroup) string { return g.Name }})
	t.LogStreams = NewTable(db, TableSpec[model.LogStream]{
		Name: "log-stream", Key: (*model.LogStream).Key,
		Indexes: []Index[model.LogStream]{One("group", func(s *model.LogStream) string { return s.Group })}})
	t.Roles = NewTable(db, TableSpec[model.Role]{
		Name: "role", Key: func(r *model.Role) string { return r.Name },
		Indexes: []Index[model.Role]{
			One("arn", func(r *model.Role) string { return r.ARN }),
			Many("policy", func(r *model.Role) []string { return r.Attached }), // ARNs of attached policies
		}})
	t.Policies = NewTable(db, TableSpec[model.Policy]{
		Name: "policy", Key: func(p *model.Policy) string { return p.ARN },
		Indexes: []Index[model.Policy]{One("name", func(p *model.Policy) string { return p.Name })}})
	t.Sessions = NewTable(db, TableSpec[model.Session]{
		Name: "session", Key: func(s *model.Session) string { return s.AccessKeyID },
		Indexes: []Index[model.Session]{
			One("task", func(s *model.Session) string { return s.TaskID }),
			One("role", func(s *model.Session) string { return s.RoleName }),
		}})
}

func (t *Tables) declareStacks(db *DB) {
	t.Stacks = NewTable(db, TableSpec[model.Stack]{
		Name: "stack", Key: func(s *model.Stack) string { return s.ARN },
		Indexes: []Index[model.Stack]{
			One("name", func(s *model.Stack) string { return s.Name }),
			One("status", func(s *model.Stack) string { return s.Status }),
			Many("export", func(s *model.Stack) []string {
				return collect(s.Outputs, func(o *model.StackOutput) string { return o.Export })
			}),
		}})
	t.StackResources = NewTable(db, TableSpec[model.StackResource]{
		Name: "stack-resource", Key: (*model.StackResource).Key,
		Indexes: []Index[model.StackResource]{
			One("stack", func(r *model.StackResource) string { return r.StackARN }),
			One("physical", func(r *model.StackResource) string { return r.PhysicalID }),
		}})
	t.StackEvents = NewTable(db, TableSpec[model.StackEvent]{
		Name: "stack-event", Key: (*model.StackEvent).Key,
		Indexes: []Index[model.StackEvent]{One("stack", func(e *model.StackEvent) string { return e.StackARN })}})
	t.ChangeSets = NewTable(db, TableSpec[model.ChangeSet]{
		Name: "change-set", Key: func(c *model.ChangeSet) string { return c.ARN },
		Indexes: []Index[model.ChangeSet]{
			One("stack", func(c *model.ChangeSet) string { return c.StackARN }),
			One("name", func(c *model.ChangeSet) string { return c.Name }),
		}})
}

func collect[T any](list []T, value func(*T) string) []string {
	values := make([]string, 0, len(list))
	for i := range list {
		values = append(values, value(&list[i]))
	}
	return values
}

func addr(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func targetGroups(actions []model.Action) []string {
	var arns []string
	for i := range actions {
		if f := actions[i].Forward; f != nil {
			arns = append(arns, collect(f.Groups, func(g *model.WeightedGroup) string { return g.TargetGroupARN })...)
		}
	}
	return arns
}
