// Package place gives new tasks a zone, a subnet, a network interface and a host, and takes the interface back when a
// task has ended.
//
// It decides and writes records; the host makes the interface and runs the task. Which subnet is best is in plan.go.
// Start at [Placer].
package place

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/ipam"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/reconcile"
	"github.com/neargate/neargate/internal/store"
)

// Placer reconciles tasks by their identifiers.
type Placer struct {
	db     *store.DB
	tables *store.Tables
	clock  *clock.Clock
	scope  model.Scope
	host   string
}

// Options are what a Placer needs. Host is the machine that runs the tasks.
type Options struct {
	DB     *store.DB
	Tables *store.Tables
	Clock  *clock.Clock
	Scope  model.Scope
	Host   string
}

// New returns a reconciler that places tasks.
func New(o Options) *Placer {
	return &Placer{db: o.DB, tables: o.Tables, clock: o.Clock, scope: o.Scope, host: o.Host}
}

// Name returns the reconciler's name.
func (p *Placer) Name() string { return "task placement" }

// Sources returns what Reconcile has to look at.
func (p *Placer) Sources(ctx context.Context) []reconcile.Source[string] {
	return []reconcile.Source[string]{p.tables.Tasks.Changes(ctx)}
}

// Reconcile places a task that has no host, and cleans up after one that has stopped.
func (p *Placer) Reconcile(ctx context.Context, id string) (reconcile.Result, error) {
	task, ok := p.tables.Tasks.Get(p.db.View(), id)
	if !ok || (task.Host != "" && !task.IsStopped()) {
		return reconcile.Result{}, nil
	}
	if task.IsStopped() && !p.hasLeftovers(p.db.View(), task) {
		return reconcile.Result{}, nil
	}
	err := p.db.Update(ctx, func(tx *store.Txn) error {
		task, ok := p.tables.Tasks.Get(tx, id)
		switch {
		case !ok:
		case task.IsStopped():
			p.release(tx, task)
		case task.Host != "":
		case task.Desired == model.DesiredStopped: // stopped before it was placed: there is nothing to stop
			p.tables.Tasks.Edit(tx, id, p.end)
		default:
			p.place(tx, task)
		}
		return nil
	})
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("place task %s: %w", id, err)
	}
	return reconcile.Result{}, nil
}

// end makes a task that was never on a host STOPPED.
func (p *Placer) end(t *model.Task) {
	now := p.clock.Now()
	t.State, t.Desired, t.StoppingAt, t.StoppedAt, t.Attachment = model.TaskStopped, model.DesiredStopped, now, now, "DELETED"
	t.Version++
	for i := range t.Containers {
		t.Containers[i].LastStatus = "STOPPED"
	}
}

// place writes the task's interface and where it goes. A task that fits nowhere ends with the error that EC2 gave.
func (p *Placer) place(tx *store.Txn, task *model.Task) {
	var candidates []candidate
	perZone := p.tasksPerZone(tx, task)
	for _, id := range task.Network.Subnets {
		subnet, ok := p.tables.Subnets.Get(tx, id)
		if !ok {
			p.refuse(tx, task, id, "InvalidSubnetID.NotFound")
			return
		}
		free := ipam.Capacity(subnet.CIDR)
		for eni := range p.tables.NetworkInterfaces.By(tx, "subnet", id) {
			free -= len(eni.PrivateIPs)
		}
		candidates = append(candidates, candidate{subnet: subnet, free: free, tasks: perZone[subnet.AZ]})
	}
	subnets := planSubnets(candidates)
	if len(subnets) == 0 {
		p.refuse(tx, task, task.Network.Subnets[0], "InsufficientFreeAddressesInSubnet")
		return
	}
	subnet := subnets[0]
	vpc, ok := p.tables.VPCs.Get(tx, subnet.VPCID)
	if !ok {
		p.refuse(tx, task, subnet.ID, "InvalidVpcID.NotFound")
		return
	}
	eni, err := p.newInterface(tx, task, subnet, vpc)
	if err != "" {
		p.refuse(tx, task, subnet.ID, err)
		return
	}
	p.tables.NetworkInterfaces.Put(tx, eni)
	p.tables.Tasks.Edit(tx, task.ID, func(t *model.Task) {
		t.AZ, t.SubnetID, t.VPCID, t.ENIID, t.MAC, t.PrivateIP, t.PublicIP = subnet.AZ, subnet.ID, subnet.VPCID, eni.ID, eni.MAC, eni.PrimaryIP(), eni.AutoPublicIP
		t.Attachment, t.Host = "ATTACHING", p.host
		t.Version++
	})
}

// newInterface returns the task's interface with free addresses, or EC2's code for why there is none.
func (p *Placer) newInterface(r store.Reader, task *model.Task, subnet *model.Subnet, vpc *model.VPC) (*model.NetworkInterface, string) {
	groups := task.Network.SecurityGroups
	if len(groups) == 0 {
		groups = []string{vpc.DefaultGroupID}
	}
	for _, id := range groups {
		if !p.tables.SecurityGroups.Has(r, id) {
			return nil, "InvalidGroup.NotFound"
		}
	}
	eni := &model.NetworkInterface{
		Meta: model.Meta{CreatedAt: p.clock.Now()}, ID: model.NewID(model.PrefixENI), VPCID: vpc.ID, SubnetID: subnet.ID, AZ: subnet.AZ, MAC: model.NewMAC(),
		Groups: groups, Status: model.ENIInUse, Description: p.scope.ARN("ecs", "attachment/%s", task.AttachmentID), InterfaceType: "interface",
		RequesterManaged: true, RequesterID: p.scope.Account, SourceDestCheck: true, AttachmentID: model.NewID(model.PrefixENIAttachment), DeviceIndex: 1,
		InstanceOwnerID: "amazon-aws", OwnerKind: model.OwnerTask, OwnerID: task.ID, Host: p.host,
	}
	taken := map[netip.Addr]bool{}
	for other := range p.tables.NetworkInterfaces.By(r, "subnet", subnet.ID) {
		for _, ip := range other.PrivateIPs {
			taken[ip] = true
		}
	}
	// A deregistered target may still drain towards an address whose task is gone: it is not given away yet.
	ip, ok := ipam.Private(subnet.CIDR, func(ip netip.Addr) bool { return taken[ip] || p.tables.Targets.LenBy(r, "ip", ip.String()) > 0 }, eni.ID)
	if !ok {
		return nil, "InsufficientFreeAddressesInSubnet"
	}
	eni.PrivateIPs = []netip.Addr{ip}
	if task.Network.AssignPublicIP {
		public, ok := ipam.Public(func(ip netip.Addr) bool {
			return p.tables.Addresses.LenBy(r, "ip", ip.String()) > 0 || p.tables.NetworkInterfaces.LenBy(r, "public-ip", ip.String()) > 0
		}, eni.ID)
		if !ok {
			return nil, "AddressLimitExceeded"
		}
		eni.AutoPublicIP = public
	}
	return eni, ""
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

// tasksPerZone counts the tasks of the same group that are to run, by zone.
func (p *Placer) tasksPerZone(r store.Reader, task *model.Task) map[string]int {
	perZone := map[string]int{}
	for other := range p.tables.Tasks.By(r, "group", task.Group) {
		if other.Cluster == task.Cluster && other.AZ != "" && other.Desired == model.DesiredRunning && !other.IsStopped() {
			perZone[other.AZ]++
		}
	}
	return perZone
}

// hasLeftovers reports whether a stopped task still has an interface or credentials.
func (p *Placer) hasLeftovers(r store.Reader, task *model.Task) bool {
	return p.tables.NetworkInterfaces.LenBy(r, "owner", task.ID) > 0
}

// release deletes what a stopped task had.
func (p *Placer) release(tx *store.Txn, task *model.Task) {
	var enis []string
	for eni := range p.tables.NetworkInterfaces.By(tx, "owner", task.ID) {
		enis = append(enis, eni.ID)
	}
	for _, id := range enis {
		p.tables.NetworkInterfaces.Delete(tx, id)
	}
}

// Sweep removes the interfaces of tasks whose records are gone.
func (p *Placer) Sweep(ctx context.Context) error {
	return p.db.Update(ctx, func(tx *store.Txn) error {
		var orphans []string
		for eni := range p.tables.NetworkInterfaces.List(tx) {
			if eni.OwnerKind == model.OwnerTask && !p.tables.Tasks.Has(tx, eni.OwnerID) {
				orphans = append(orphans, eni.ID)
			}
		}
		for _, id := range orphans {
			p.tables.NetworkInterfaces.Delete(tx, id)
		}
		return nil
	})
}
