package place

import (
	"fmt"
	"maps"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/clock"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
	"github.com/neargate/neargate/internal/store/storetest"
)

var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

type site struct {
	t      testing.TB
	db     *store.DB
	tables *store.Tables
	placer *Placer
}

// newSite has a VPC with a subnet in each of the zones, named after its zone, with that prefix.
func newSite(t testing.TB, prefixes map[string]string) *site {
	db, tables := storetest.New(t)
	s := &site{t: t, db: db, tables: tables, placer: New(Options{
		DB: db, Tables: tables, Clock: clock.Fixed(now), Scope: model.Scope{Region: "us-east-1", Account: "000000000000"}, Host: "host-1",
	})}
	s.update(func(tx *store.Txn) {
		tables.VPCs.Put(tx, &model.VPC{ID: "vpc-1", DefaultGroupID: "sg-default"})
		tables.SecurityGroups.Put(tx, &model.SecurityGroup{ID: "sg-default", VPCID: "vpc-1"})
		for az, prefix := range prefixes {
			tables.Subnets.Put(tx, &model.Subnet{ID: "subnet-" + az, VPCID: "vpc-1", AZ: az, CIDR: netip.MustParsePrefix(prefix)})
		}
	})
	return s
}

func (s *site) update(fn func(tx *store.Txn)) {
	s.t.Helper()
	if err := s.db.Update(s.t.Context(), func(tx *store.Txn) error { fn(tx); return nil }); err != nil {
		s.t.Fatal(err)
	}
}

// add writes a task of a service's deployment that waits for its place.
func (s *site) add(id, deployment string, change func(*model.Task), subnets ...string) {
	s.t.Helper()
	task := &model.Task{
		ID: id, Cluster: "c", Group: "service:web", DeploymentID: deployment, Desired: model.DesiredRunning, State: model.TaskProvisioning, AttachmentID: model.NewUUID(),
		Network: model.NetworkConfiguration{Subnets: subnets}, Containers: []model.ContainerStatus{{Name: "app", LastStatus: "PENDING"}},
	}
	if change != nil {
		change(task)
	}
	s.update(func(tx *store.Txn) { s.tables.Tasks.Put(tx, task) })
}

func (s *site) reconcile(id string) *model.Task {
	s.t.Helper()
	if _, err := s.placer.Reconcile(s.t.Context(), id); err != nil {
		s.t.Fatal(err)
	}
	task, _ := s.tables.Tasks.Get(s.db.View(), id)
	return task
}

func (s *site) zones(deployment string) map[string]int {
	zones := map[string]int{}
	for t := range s.tables.Tasks.By(s.db.View(), "deployment", deployment) {
		if t.Desired == model.DesiredRunning {
			zones[t.AZ]++
		}
	}
	return zones
}

func TestPlacedTask(t *testing.T) {
	s := newSite(t, map[string]string{"a": "10.0.0.0/24"})
	s.add("t1", "d", func(t *model.Task) { t.Network.AssignPublicIP = true }, "subnet-a")
	task := s.reconcile("t1")
	eni, ok := s.tables.NetworkInterfaces.Get(s.db.View(), task.ENIID)
	if !ok || eni.OwnerID != "t1" || eni.OwnerKind != model.OwnerTask || eni.PrimaryIP() != task.PrivateIP || eni.AutoPublicIP != task.PublicIP || !task.PublicIP.IsValid() {
		t.Errorf("interface %+v", eni)
	}
	if diff := cmp.Diff([]string{"sg-default"}, eni.Groups); diff != "" {
		t.Error(diff)
	}
	if task.Host != "host-1" || task.AZ != "a" || task.SubnetID != "subnet-a" || task.VPCID != "vpc-1" || task.Attachment != "ATTACHING" || task.MAC != eni.MAC {
		t.Errorf("task %+v", task)
	}
	before := s.db.Revision()
	s.reconcile("t1")
	if s.db.Revision() != before {
		t.Error("a placed task was written again")
	}
}

func TestTasksSpreadOverZones(t *testing.T) {
	s := newSite(t, map[string]string{"a": "10.0.0.0/24", "b": "10.0.1.0/24", "c": "10.0.2.0/24"})
	for i := range 10 {
		s.add(fmt.Sprint("old", i), "old", nil, "subnet-a", "subnet-b", "subnet-c")
	}
	s.reconcile("old0") // all in one go
	for _, n := range s.zones("old") {
		if n < 3 || n > 4 {
			t.Errorf("zones %v", s.zones("old"))
		}
	}
	// The tasks of the next deployment are even among themselves, whatever the former ones are.
	for i := range 4 {
		s.add(fmt.Sprint("new", i), "new", nil, "subnet-a", "subnet-b", "subnet-c")
		s.reconcile(fmt.Sprint("new", i))
	}
	for _, n := range s.zones("new") {
		if n < 1 || n > 2 {
			t.Errorf("zones %v", s.zones("new"))
		}
	}
	taken := map[netip.Addr]bool{}
	for eni := range s.tables.NetworkInterfaces.List(s.db.View()) {
		if taken[eni.PrimaryIP()] {
			t.Errorf("%s is taken twice", eni.PrimaryIP())
		}
		taken[eni.PrimaryIP()] = true
	}
	if len(taken) != 14 {
		t.Errorf("%d addresses", len(taken))
	}
}

// TestManyWorkers places tasks by several workers at once.
func TestManyWorkers(t *testing.T) {
	s := newSite(t, map[string]string{"a": "10.0.0.0/24", "b": "10.0.1.0/24"})
	for i := range 100 {
		s.add(fmt.Sprintf("t%02d", i), "d", nil, "subnet-a", "subnet-b")
	}
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := worker; i < 100; i += 4 {
				if _, err := s.placer.Reconcile(t.Context(), fmt.Sprintf("t%02d", i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if diff := cmp.Diff(map[string]int{"a": 50, "b": 50}, s.zones("d")); diff != "" {
		t.Error(diff)
	}
}

func TestFullSubnets(t *testing.T) {
	s := newSite(t, map[string]string{"a": "10.0.0.0/28", "b": "10.0.1.0/28"}) // 11 each
	for i := range 24 {
		s.add(fmt.Sprintf("t%02d", i), "d", nil, "subnet-a", "subnet-b")
	}
	s.reconcile("t00")
	if diff := cmp.Diff(map[string]int{"a": 11, "b": 11}, s.zones("d")); diff != "" {
		t.Error(diff)
	}
	refused := 0
	for task := range s.tables.Tasks.List(s.db.View()) {
		if task.IsStopped() {
			refused++
			const want = "Unexpected EC2 error while attempting to Create Network Interface with public IP assignment disabled in subnet 'subnet-a': InsufficientFreeAddressesInSubnet"
			if task.StopCode != model.StopTaskFailedToStart || task.StoppedReason != want || task.Desired != model.DesiredStopped || task.Containers[0].LastStatus != "STOPPED" {
				t.Errorf("refused: %+v", task)
			}
		}
	}
	if refused != 2 {
		t.Errorf("%d tasks refused", refused)
	}
}

func TestRefusedTasks(t *testing.T) {
	for _, test := range []struct {
		name, want string
		change     func(*model.Task)
		subnets    []string
	}{
		{name: "subnet", subnets: []string{"subnet-x"}, want: "disabled in subnet 'subnet-x': InvalidSubnetID.NotFound"},
		{name: "group", subnets: []string{"subnet-a"}, change: func(t *model.Task) { t.Network.SecurityGroups = []string{"sg-x"} }, want: "disabled in subnet 'subnet-a': InvalidGroup.NotFound"},
		{name: "no subnet", want: "InvalidSubnetID.NotFound"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t, map[string]string{"a": "10.0.0.0/24"})
			s.add("t1", "d", test.change, test.subnets...)
			task := s.reconcile("t1")
			if !task.IsStopped() || len(task.StoppedReason) < len(test.want) || task.StoppedReason[len(task.StoppedReason)-len(test.want):] != test.want || task.StoppedAt != now {
				t.Errorf("task %s: %s", task.State, task.StoppedReason)
			}
			if s.tables.NetworkInterfaces.Len(s.db.View()) != 0 {
				t.Error("an interface was made")
			}
		})
	}
}

func TestStoppedBeforePlaced(t *testing.T) {
	s := newSite(t, map[string]string{"a": "10.0.0.0/24"})
	s.add("t1", "d", func(t *model.Task) {
		t.Desired, t.StopCode, t.StoppedReason = model.DesiredStopped, model.StopUserInitiated, "why"
	}, "subnet-a")
	if task := s.reconcile("t1"); !task.IsStopped() || task.StopCode != model.StopUserInitiated || task.StoppedReason != "why" || task.Host != "" {
		t.Errorf("task %+v", task)
	}
}

func TestInterfacesAreGivenBack(t *testing.T) {
	s := newSite(t, map[string]string{"a": "10.0.0.0/24"})
	s.add("t1", "d", nil, "subnet-a")
	s.add("t2", "d", nil, "subnet-a")
	s.reconcile("t1")
	s.update(func(tx *store.Txn) {
		s.tables.Tasks.Edit(tx, "t1", func(t *model.Task) { t.State = model.TaskStopped })
		s.tables.Tasks.Delete(tx, "t2")
		s.tables.NetworkInterfaces.Put(tx, &model.NetworkInterface{ID: "eni-lb", OwnerKind: model.OwnerLoadBalancer, OwnerID: "lb"})
	})
	s.reconcile("t1")
	if n := s.tables.NetworkInterfaces.LenBy(s.db.View(), "owner", "t1"); n != 0 {
		t.Errorf("%d interfaces of a stopped task", n)
	}
	if err := s.placer.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	left := maps.Collect(func(yield func(string, bool) bool) {
		for id := range s.tables.NetworkInterfaces.IDs(s.db.View()) {
			yield(id, true)
		}
	})
	if diff := cmp.Diff(map[string]bool{"eni-lb": true}, left); diff != "" {
		t.Errorf("interfaces left (-want +got):\n%s", diff)
	}
}

// TestDrainingAddressIsKept has one free address, to which a target of its former task still drains.
func TestDrainingAddressIsKept(t *testing.T) {
	s := newSite(t, map[string]string{"a": "10.0.0.0/28"})
	s.update(func(tx *store.Txn) {
		s.tables.TargetGroups.Put(tx, &model.TargetGroup{ARN: "tg", VPCID: "vpc-1"})
		s.tables.TargetGroups.Put(tx, &model.TargetGroup{ARN: "elsewhere", VPCID: "vpc-2"})
		ip := netip.MustParseAddr("10.0.0.4")
		for i := range 11 {
			if i < 9 {
				s.tables.NetworkInterfaces.Put(tx, &model.NetworkInterface{ID: fmt.Sprint("eni-", i), SubnetID: "subnet-a", PrivateIPs: []netip.Addr{ip}})
			} else {
				s.tables.Targets.Put(tx, &model.Target{TargetGroupARN: map[int]string{9: "tg", 10: "elsewhere"}[i], IP: ip, Port: 80})
			}
			ip = ip.Next()
		}
	})
	s.add("t1", "d", nil, "subnet-a")
	s.add("t2", "d", nil, "subnet-a")
	if got := s.reconcile("t1").PrivateIP.String(); got != "10.0.0.14" {
		t.Errorf("address %s", got)
	}
	if task := s.reconcile("t2"); !task.IsStopped() {
		t.Errorf("a second task got %s", task.PrivateIP)
	}
}
