package listener

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/neargate/neargate/internal/keeper"
	"github.com/neargate/neargate/internal/linux/netns"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/node/network"
	"github.com/neargate/neargate/internal/proxy"
	"github.com/neargate/neargate/internal/reconcile"
	"github.com/neargate/neargate/internal/store"
	"github.com/neargate/neargate/internal/store/storetest"
	"github.com/neargate/neargate/internal/testkit/nettest"
)

func TestMain(m *testing.M) { nettest.Main(m) }

// world is a host: a store, its network, a keeper, and the load balancers of it.
type world struct {
	t      *testing.T
	db     *store.DB
	tables *store.Tables
	net    *network.Network
	keeper *keeper.Client
	dir    string
	stop   func() // of the running Listeners
	public netip.Addr
	// servers end the targets' servers, by address, when their last request is answered.
	servers map[string]func()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	nettest.Require(t)
	nettest.Tool(t, "haproxy")
	db, tables := storetest.New(t)
	w := &world{t: t, db: db, tables: tables, dir: t.TempDir(), public: netip.MustParseAddr("198.18.0.20"), servers: map[string]func(){}}
	ctx, cancel := context.WithCancel(context.Background())
	quiet := slog.New(slog.DiscardHandler)
	records := network.NewRecords(db, tables)
	w.net = network.New(network.Config{Source: records, Log: quiet})
	done := make(chan error, 2)
	go func() { done <- w.net.Loop(reconcile.Options[string]{}, records.Sources(ctx)...).Run(ctx) }()
	socket := filepath.Join(w.dir, "keeper.sock")
	go func() {
		done <- keeper.Run(ctx, keeper.Options{Dir: filepath.Join(w.dir, "keeper"), Socket: socket, Version: "test", Speed: 60, Logger: quiet})
	}()
	w.keeper = keeper.NewClient(socket)
	t.Cleanup(func() {
		w.stop()
		if err := w.process().Remove(context.Background()); err != nil {
			t.Error(err)
		}
		if err := netns.Delete(model.LoadBalancerNetns(lbID)); err != nil {
			t.Error(err)
		}
		w.keeper.Close()
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		w.net.Close()
		if _, err := network.Remove(); err != nil {
			t.Error(err)
		}
	})
	w.start()
	return w
}

// process is the load balancer's HAProxy.
func (w *world) process() *proxy.Process {
	return New(Config{DB: w.db, Tables: w.tables, Dir: filepath.Join(w.dir, "lb")}).process(lbID)
}

// start runs Listeners as a daemon does.
func (w *world) start() {
	ctx, cancel := context.WithCancel(context.Background())
	l := New(Config{DB: w.db, Tables: w.tables, Dir: filepath.Join(w.dir, "lb"), Network: w.net, Keeper: w.keeper, Threads: 1, Log: slog.New(slog.DiscardHandler)})
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	w.stop = func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
		w.stop = func() {}
	}
}

func (w *world) update(fn func(tx *store.Txn)) {
	w.t.Helper()
	if err := w.db.Update(w.t.Context(), func(tx *store.Txn) error { fn(tx); return nil }); err != nil {
		w.t.Fatal(err)
	}
}

// eventually waits until ok; what says what it waits for.
func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			w.t.Fatalf("waited in vain: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func rule(id, group string, egress bool, port int, cidr, ref string) *model.SecurityGroupRule {
	r := &model.SecurityGroupRule{ID: id, GroupID: group, Egress: egress, Protocol: model.ProtoTCP, From: port, To: port, RefGroupID: ref}
	if cidr != "" {
		r.CIDR = netip.MustParsePrefix(cidr)
	}
	if port == 0 {
		r.Protocol, r.From, r.To = model.ProtoAll, -1, -1
	}
	return r
}

// stack writes the records of a VPC over two zones with an internet-facing load balancer and two targets on port 8080.
func (w *world) stack() {
	w.update(func(tx *store.Txn) {
		t := w.tables
		block := netip.MustParsePrefix("10.0.0.0/16")
		t.VPCs.Put(tx, &model.VPC{ID: "vpc-0123456789abcdef0", CIDRs: []model.VPCCIDR{{Block: block}}, MainRouteTableID: "rtb-1", DNSSupport: true})
		t.InternetGateways.Put(tx, &model.InternetGateway{ID: "igw-1", VPCID: "vpc-0123456789abcdef0"})
		t.RouteTables.Put(tx, &model.RouteTable{ID: "rtb-1", VPCID: "vpc-0123456789abcdef0", Associations: []model.RouteTableAssoc{{ID: "rtbassoc-1", Main: true}},
			Routes: []model.Route{{Destination: block, GatewayID: "local"}, {Destination: netip.MustParsePrefix("0.0.0.0/0"), GatewayID: "igw-1"}}})
		for _, g := range []string{"sg-lb", "sg-task"} {
			t.SecurityGroups.Put(tx, &model.SecurityGroup{ID: g, VPCID: "vpc-0123456789abcdef0"})
			t.SecurityGroupRules.Put(tx, rule(g+"-out", g, true, 0, "0.0.0.0/0", ""))
		}
		t.SecurityGroupRules.Put(tx, rule("world-to-lb", "sg-lb", false, 80, "0.0.0.0/0", ""))
		t.SecurityGroupRules.Put(tx, rule("lb-to-task", "sg-task", false, 8080, "", "sg-lb"))
		r := sample()
		r.lb.VPCID, r.lb.State = "vpc-0123456789abcdef0", model.LBProvisioning
		for i := range r.lb.Zones {
			z := &r.lb.Zones[i]
			subnet := fmt.Sprintf("subnet-%d", i+1)
			z.SubnetID, z.ENIID = subnet, fmt.Sprintf("eni-a%d%015d", i+1, 0)
			t.Subnets.Put(tx, &model.Subnet{ID: subnet, VPCID: r.lb.VPCID, AZ: z.AZ, CIDR: netip.PrefixFrom(z.IP, 24).Masked()})
			eni := w.eni(r.lb.VPCID, subnet, z.ENIID, z.IP, "sg-lb", model.OwnerLoadBalancer, lbID, i+1)
			if i == 0 {
				z.PublicIP, eni.AutoPublicIP = w.public, w.public
			}
			t.NetworkInterfaces.Put(tx, eni)
		}
		t.LoadBalancers.Put(tx, r.lb)
		r.groups[0].HealthCheck.Path = "/"
		t.TargetGroups.Put(tx, r.groups[0])
		t.Listeners.Put(tx, r.listeners[0])
	})
	for i, addr := range []string{"10.0.1.7", "10.0.2.7"} {
		id := fmt.Sprintf("%032d", i+1)
		eni := w.eni("vpc-0123456789abcdef0", fmt.Sprintf("subnet-%d", i+1), fmt.Sprintf("eni-b%d%015d", i+1, 0), ip(addr), "sg-task", model.OwnerTask, id, 1)
		w.update(func(tx *store.Txn) { w.tables.NetworkInterfaces.Put(tx, eni) })
		if err := w.net.AttachENI(w.t.Context(), eni); err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(func() { _ = netns.Delete(model.TaskNetns(id)) })
		w.serve(model.TaskNetns(id), addr+":8080")
		w.update(func(tx *store.Txn) {
			w.tables.Targets.Put(tx, &model.Target{TargetGroupARN: groupA, IP: ip(addr), Port: 8080, AZ: "us-east-1" + string("ab"[i])})
		})
	}
}

func (w *world) eni(vpc, subnet, id string, addr netip.Addr, group, kind, owner string, device int) *model.NetworkInterface {
	return &model.NetworkInterface{ID: id, VPCID: vpc, SubnetID: subnet, PrivateIPs: []netip.Addr{addr}, MAC: model.NewMAC(), Groups: []string{group},
		SourceDestCheck: true, Status: model.ENIInUse, OwnerKind: kind, OwnerID: owner, DeviceIndex: device}
}

// serve answers with the target's address, and says who asked.
func (w *world) serve(namespace, address string) { w.t.Cleanup(w.serveUntil(namespace, address)) }

// serveUntil is serve until the returned function is called, which waits for running requests.
func (w *world) serveUntil(namespace, address string) (end func()) {
	w.t.Helper()
	ns, err := netns.Open(namespace)
	if err != nil {
		w.t.Fatal(err)
	}
	defer ns.Close()
	listener, err := ns.Listen(w.t.Context(), "tcp", address)
	if err != nil {
		w.t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(out, "%s for %s", address, r.Header.Get("X-Forwarded-For"))
	})}
	go func() { _ = server.Serve(listener) }()
	end = func() {
		if err := server.Shutdown(context.Background()); err != nil {
			w.t.Error(err)
		}
	}
	w.servers[address] = end
	return end
}

// get asks the load balancer's public address, from outside.
func (w *world) get() (string, error) {
	edge, err := netns.Open(model.EdgeNetns)
	if err != nil {
		return "", err
	}
	defer edge.Close()
	d := netns.Dialer{Namespace: edge, LocalAddr: model.OutsideClient}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true}}
	resp, err := client.Get("http://" + w.public.String() + "/")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func (w *world) healthOf(addr string) string {
	h, ok := w.tables.TargetHealth.Get(w.db.View(), model.TargetKey(groupA, ip(addr), 8080))
	if !ok {
		return ""
	}
	return h.State + " " + h.Reason
}

// A load balancer from its records to its end.
func TestStory(t *testing.T) {
	w := newWorld(t)
	w.stack()
	w.eventually("active", func() bool {
		lb, _ := w.tables.LoadBalancers.FirstBy(w.db.View(), "id", lbID)
		return lb.State == model.LBActive
	})
	w.eventually("both targets healthy", func() bool { return w.healthOf("10.0.1.7") == "healthy " && w.healthOf("10.0.2.7") == "healthy " })
	seen := map[string]bool{}
	w.eventually("answers of both targets", func() bool {
		body, err := w.get()
		seen[body] = err == nil
		return seen["10.0.1.7:8080 for 198.19.255.1"] && seen["10.0.2.7:8080 for 198.19.255.1"]
	})

	w.update(func(tx *store.Txn) { w.tables.SecurityGroupRules.Delete(tx, "lb-to-task") })
	w.eventually("unhealthy after the rule is revoked", func() bool { return w.healthOf("10.0.1.7") == "unhealthy Target.Timeout" })
	w.update(func(tx *store.Txn) {
		w.tables.SecurityGroupRules.Put(tx, rule("lb-to-task", "sg-task", false, 8080, "", "sg-lb"))
	})
	w.eventually("healthy again", func() bool { return w.healthOf("10.0.1.7") == "healthy " && w.healthOf("10.0.2.7") == "healthy " })

	key := model.TargetKey(groupA, ip("10.0.1.7"), 8080)
	w.update(func(tx *store.Txn) {
		w.tables.Targets.Edit(tx, key, func(g *model.Target) { g.DrainingSince = time.Unix(1, 0) })
	})
	w.eventually("draining", func() bool { return w.healthOf("10.0.1.7") == "draining Target.DeregistrationInProgress" })
	for range 10 {
		if body, err := w.get(); err != nil || body != "10.0.2.7:8080 for 198.19.255.1" {
			t.Errorf("while the other drains: %q %v", body, err)
		}
	}
	w.update(func(tx *store.Txn) { w.tables.Targets.Delete(tx, key); w.tables.TargetHealth.Delete(tx, key) })

	process := w.process()
	w.eventually("the server is removed", func() bool {
		servers, err := process.Runtime().Servers(t.Context())
		return err == nil && len(servers) == 2 // one per node
	})

	w.stop() // the daemon goes and comes back: nothing happens to HAProxy
	master := process.Running()
	if _, err := w.get(); err != nil {
		t.Error(err)
	}
	w.start()
	w.update(func(tx *store.Txn) {
		w.tables.Listeners.Put(tx, &model.Listener{ARN: scope.ListenerARN("web", lbID, "bbbb"), LoadBalancerARN: scope.LoadBalancerARN("web", lbID), Port: 81, Protocol: "HTTP",
			DefaultActions: []model.Action{{Type: model.ActionFixedResponse, FixedResponse: &model.FixedResponse{StatusCode: "200"}}}})
	})
	w.eventually("the new listener", func() bool {
		text, err := os.ReadFile(filepath.Join(process.Dir, "haproxy.cfg"))
		return err == nil && len(text) > 0 && strings.Contains(string(text), "bind 10.0.1.5:81")
	})
	if process.Running() != master || master == 0 {
		t.Errorf("master %d became %d", master, process.Running())
	}
	for _, pid := range process.Processes() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	w.eventually("HAProxy is started again", func() bool { body, err := w.get(); return err == nil && body != "" })

	w.update(func(tx *store.Txn) {
		w.tables.LoadBalancers.Delete(tx, scope.LoadBalancerARN("web", lbID))
		for l := range w.tables.Listeners.List(tx) {
			w.tables.Listeners.Delete(tx, l.ARN)
		}
		for e := range w.tables.NetworkInterfaces.By(tx, "owner", lbID) {
			w.tables.NetworkInterfaces.Delete(tx, e.ID)
		}
	})
	w.eventually("nothing is left", func() bool {
		_, err := os.Stat(process.Dir)
		return os.IsNotExist(err) && !netns.Exists(model.LoadBalancerNetns(lbID)) && len(process.Processes()) == 0
	})
	held, err := w.keeper.List(t.Context())
	if err != nil || len(held[keeper.KindLoadBalancer]) != 0 {
		t.Errorf("the keeper holds %v, %v", held, err)
	}
}

// A load balancer without listeners runs, and what belongs to no record is swept.
func TestSweep(t *testing.T) {
	w := newWorld(t)
	w.stop()
	stray := "00000000000000ff"
	nettest.Namespace(t, "outer") // a namespace that is not ours stays
	ns, err := netns.Create(model.LoadBalancerNetns(stray))
	if err != nil {
		t.Fatal(err)
	}
	ns.Close()
	l := New(Config{DB: w.db, Tables: w.tables, Dir: filepath.Join(w.dir, "lb"), Network: w.net, Keeper: w.keeper, Threads: 1, Log: slog.New(slog.DiscardHandler)})
	w.stack()
	w.update(func(tx *store.Txn) {
		for r := range w.tables.Listeners.List(tx) {
			w.tables.Listeners.Delete(tx, r.ARN)
		}
	})
	w.eventually("reconciled without listeners", func() bool {
		_, err := l.Reconcile(t.Context(), lbID)
		return err == nil
	})
	if err := l.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if netns.Exists(model.LoadBalancerNetns(stray)) || !netns.Exists(model.LoadBalancerNetns(lbID)) || !netns.Exists("outer") {
		t.Error("the sweep took the wrong namespace")
	}
	w.update(func(tx *store.Txn) { w.tables.LoadBalancers.Delete(tx, scope.LoadBalancerARN("web", lbID)) })
	if err := l.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if netns.Exists(model.LoadBalancerNetns(lbID)) {
		t.Error("a deleted load balancer is left")
	}
}
