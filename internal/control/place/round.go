package place

import (
	"fmt"
	"net/netip"

	"github.com/neargate/neargate/internal/ipam"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// round is one transaction that places tasks. It remembers what it has read and given away, so that each further task
// costs little.
type round struct {
	p        *Placer
	tx       *store.Txn
	snapshot store.Reader
	taken    map[string]map[netip.Addr]bool // subnet, address
	public   map[netip.Addr]bool            // given away in this round
	spread   map[string]*spread             // cluster/group
}

// spread is where the tasks of one group live.
type spread struct {
	all        map[string]int            // zone
	deployment map[string]map[string]int // deployment, zone
}

func (s *spread) add(deployment, az string) {
	s.all[az]++
	if s.deployment[deployment] == nil {
		s.deployment[deployment] = map[string]int{}
	}
	s.deployment[deployment][az]++
}

func newRound(p *Placer, tx *store.Txn, snapshot store.Reader) *round {
	return &round{p: p, tx: tx, snapshot: snapshot, taken: map[string]map[netip.Addr]bool{}, public: map[netip.Addr]bool{}, spread: map[string]*spread{}}
}

// place writes the task's interface and where it goes. A task that fits nowhere ends with the error that EC2 gave.
func (r *round) place(task *model.Task) {
	tables := r.p.tables
	var candidates []candidate
	spread := r.spreadOf(task)
	for _, id := range task.Network.Subnets {
		subnet, ok := tables.Subnets.Get(r.tx, id)
		if !ok {
			r.p.refuse(r.tx, task, id, "InvalidSubnetID.NotFound")
			return
		}
		candidates = append(candidates, candidate{
			subnet: subnet, free: ipam.Capacity(subnet.CIDR) - len(r.takenIn(id)), tasks: spread.all[subnet.AZ], mine: spread.deployment[task.DeploymentID][subnet.AZ],
		})
	}
	if len(candidates) == 0 {
		r.p.refuse(r.tx, task, "", "InvalidSubnetID.NotFound")
		return
	}
	refused, code := candidates[0].subnet.ID, "InsufficientFreeAddressesInSubnet"
	for _, subnet := range planSubnets(candidates) {
		vpc, ok := tables.VPCs.Get(r.tx, subnet.VPCID)
		if !ok {
			r.p.refuse(r.tx, task, subnet.ID, "InvalidVpcID.NotFound")
			return
		}
		eni, err := r.newInterface(task, subnet, vpc)
		if err == "" {
			r.settle(task, subnet, eni)
			spread.add(task.DeploymentID, subnet.AZ)
			return
		}
		refused, code = subnet.ID, err
	}
	r.p.refuse(r.tx, task, refused, code)
}

func (r *round) settle(task *model.Task, subnet *model.Subnet, eni *model.NetworkInterface) {
	r.taken[subnet.ID][eni.PrimaryIP()] = true
	if eni.AutoPublicIP.IsValid() {
		r.public[eni.AutoPublicIP] = true
	}
	r.p.tables.NetworkInterfaces.Put(r.tx, eni)
	r.p.tables.Tasks.Edit(r.tx, task.ID, func(t *model.Task) {
		t.AZ, t.SubnetID, t.VPCID, t.ENIID, t.MAC, t.PrivateIP, t.PublicIP = subnet.AZ, subnet.ID, subnet.VPCID, eni.ID, eni.MAC, eni.PrimaryIP(), eni.AutoPublicIP
		t.Attachment, t.Host = "ATTACHING", r.p.host
		t.Version++
	})
}

// takenIn returns the addresses of a subnet that interfaces have.
func (r *round) takenIn(subnet string) map[netip.Addr]bool {
	if taken, ok := r.taken[subnet]; ok {
		return taken
	}
	taken := map[netip.Addr]bool{}
	for eni := range r.p.tables.NetworkInterfaces.By(r.tx, "subnet", subnet) {
		for _, ip := range eni.PrivateIPs {
			taken[ip] = true
		}
	}
	r.taken[subnet] = taken
	return taken
}

// spreadOf counts the tasks of the same group that are to run, by zone.
func (r *round) spreadOf(task *model.Task) *spread {
	key := task.Cluster + "/" + task.Group
	if s, ok := r.spread[key]; ok {
		return s
	}
	s := &spread{all: map[string]int{}, deployment: map[string]map[string]int{}}
	for other := range r.p.tables.Tasks.By(r.snapshot, "group", task.Group) {
		if other.Cluster == task.Cluster && other.AZ != "" && other.Desired == model.DesiredRunning && !other.IsStopped() {
			s.add(other.DeploymentID, other.AZ)
		}
	}
	r.spread[key] = s
	return s
}

// newInterface returns the task's interface with free addresses, or EC2's code for why there is none.
func (r *round) newInterface(task *model.Task, subnet *model.Subnet, vpc *model.VPC) (*model.NetworkInterface, string) {
	tables := r.p.tables
	groups := task.Network.SecurityGroups
	if len(groups) == 0 {
		groups = []string{vpc.DefaultGroupID}
	}
	for _, id := range groups {
		if !tables.SecurityGroups.Has(r.tx, id) {
			return nil, "InvalidGroup.NotFound"
		}
	}
	eni := &model.NetworkInterface{
		Meta: model.Meta{CreatedAt: r.p.clock.Now()}, ID: model.NewID(model.PrefixENI), VPCID: vpc.ID, SubnetID: subnet.ID, AZ: subnet.AZ, MAC: model.NewMAC(),
		Groups: groups, Status: model.ENIInUse, Description: r.p.scope.ARN("ecs", "attachment/%s", task.AttachmentID), InterfaceType: "interface",
		RequesterManaged: true, RequesterID: r.p.scope.Account, SourceDestCheck: true, AttachmentID: model.NewID(model.PrefixENIAttachment), DeviceIndex: 1,
		InstanceOwnerID: "amazon-aws", OwnerKind: model.OwnerTask, OwnerID: task.ID, Host: r.p.host,
	}
	taken := r.takenIn(subnet.ID)
	// A deregistered target may still drain towards an address whose task is gone: it is not given away yet.
	ip, ok := ipam.Private(subnet.CIDR, func(ip netip.Addr) bool { return taken[ip] || r.isTarget(ip, vpc.ID) }, eni.ID)
	if !ok {
		return nil, "InsufficientFreeAddressesInSubnet"
	}
	eni.PrivateIPs = []netip.Addr{ip}
	if task.Network.AssignPublicIP {
		public, ok := ipam.Public(func(ip netip.Addr) bool {
			return r.public[ip] || tables.Addresses.LenBy(r.tx, "ip", ip.String()) > 0 || tables.NetworkInterfaces.LenBy(r.tx, "public-ip", ip.String()) > 0
		}, eni.ID)
		if !ok {
			return nil, "AddressLimitExceeded"
		}
		eni.AutoPublicIP = public
	}
	return eni, ""
}

// isTarget reports whether a target group of the VPC has a target at that address.
func (r *round) isTarget(ip netip.Addr, vpc string) bool {
	for target := range r.p.tables.Targets.By(r.tx, "ip", ip.String()) {
		if group, ok := r.p.tables.TargetGroups.Get(r.tx, target.TargetGroupARN); !ok || group.VPCID == vpc {
			return true
		}
	}
	return false
}

// refuse ends a task that cannot have an interface, with the words that Fargate uses.
func (p *Placer) refuse(tx *store.Txn, task *model.Task, subnet, code string) {
	with := "disabled"
	if task.Network.AssignPublicIP {
		with = "enabled"
	}
	p.tables.Tasks.Edit(tx, task.ID, func(t *model.Task) {
		t.StopCode = model.StopTaskFailedToStart
		t.StoppedReason = fmt.Sprintf("Unexpected EC2 error while attempting to Create Network Interface with public IP assignment %s in subnet '%s': %s", with, subnet, code)
		p.end(t)
	})
}
