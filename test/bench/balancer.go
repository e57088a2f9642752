package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/neargate/neargate/internal/keeper"
	"github.com/neargate/neargate/internal/linux/netns"
	"github.com/neargate/neargate/internal/linux/sysctl"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/node/listener"
	"github.com/neargate/neargate/internal/store"
)

const (
	loadSlices      = 4 // of a run; the sides take turns
	loadSeconds     = 1 // of a slice
	loadConnections = 32
	balancerThreads = 2
	originPort      = 8080
)

// balancer measures requests through a load balancer of ours, asked from the Internet, and through HAProxy alone.
func balancer(ctx context.Context, b *inside) ([]Row, error) {
	own, ownURL, err := ownBalancer(ctx, b)
	if err != nil {
		return nil, err
	}
	base, baseURL, err := plainBalancer(ctx, b, "bare", false)
	if err != nil {
		return nil, err
	}
	routed, routedURL, err := plainBalancer(ctx, b, "routed", true)
	if err != nil {
		return nil, err
	}
	sides := []struct {
		name, url string
		client    *netns.Namespace
	}{{"load balancer", ownURL, own}, {"HAProxy alone", baseURL, base}, {"HAProxy, routed", routedURL, routed}}
	for _, s := range sides { // warm up
		if _, _, err := load(ctx, s.client, s.url, 1); err != nil {
			return nil, err
		}
	}
	var rate, tail [3][]float64
	for run := range b.runs {
		var slice [3]struct{ rate, tail []float64 }
		for turn := range loadSlices * len(sides) {
			i := (turn + turn/len(sides)) % len(sides)
			perSecond, p99, err := load(ctx, sides[i].client, sides[i].url, loadSeconds)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", sides[i].name, err)
			}
			slice[i].rate, slice[i].tail = append(slice[i].rate, perSecond), append(slice[i].tail, p99)
		}
		for i, s := range slice {
			say("  run %d, %-16s %6.0f requests/s  p99 %.2f ms", run+1, sides[i].name+":", median(s.rate), median(s.tail))
			rate[i], tail[i] = append(rate[i], median(s.rate)), append(tail[i], median(s.tail))
		}
	}
	return []Row{
		(&pairs{own: rate[0], base: rate[1]}).row("ALB requests / HAProxy alone", "1/s", limit{AtLeast: 0.90}),
		(&pairs{own: tail[0], base: tail[1]}).row("ALB p99 / HAProxy alone", "ms", limit{AtMost: 1.2}),
		(&pairs{own: rate[0], base: rate[2]}).row("ALB requests / HAProxy behind a plain router", "1/s", limit{}),
		(&pairs{own: tail[0], base: tail[2]}).row("ALB p99 / HAProxy behind a plain router", "ms", limit{}),
	}, nil
}

var (
	requestsPerSecond = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)
	tailLatency       = regexp.MustCompile(`(?m)^\s+99%\s+([0-9.]+)(us|ms|s)`)
)

// load asks as fast as answers come, over a fixed number of connections.
func load(ctx context.Context, ns *netns.Namespace, url string, seconds int) (perSecond, p99 float64, err error) {
	out, _, err := output(ctx, ns, "wrk", "--threads", "1", "--connections", strconv.Itoa(loadConnections), "--duration", fmt.Sprintf("%ds", seconds), "--latency", url)
	if err != nil {
		return 0, 0, err
	}
	return parseWrk(out)
}

// parseWrk reads wrk's report. An answer that is not 200 or a broken connection is an error: what is fast because it
// fails is not fast.
func parseWrk(out string) (perSecond, p99 float64, err error) {
	r, t := requestsPerSecond.FindStringSubmatch(out), tailLatency.FindStringSubmatch(out)
	if r == nil || t == nil || strings.Contains(out, "Non-2xx") || strings.Contains(out, "Socket errors") {
		return 0, 0, fmt.Errorf("wrk: %s", out)
	}
	if perSecond, err = strconv.ParseFloat(r[1], 64); err != nil {
		return 0, 0, err
	}
	if p99, err = strconv.ParseFloat(t[1], 64); err != nil {
		return 0, 0, err
	}
	return perSecond, p99 * map[string]float64{"us": 0.001, "ms": 1, "s": 1000}[t[2]], nil
}

// origin starts the server that both sides have behind them: quick, so that it does not hide what is in front of it.
func origin(ctx context.Context, b *inside, h host) error {
	return startHAProxy(ctx, b, h.ns, fmt.Sprintf(`
frontend origin
	bind %s
	http-request return status 200 content-type text/plain string "hello"
`, netip.AddrPortFrom(h.address, originPort)), 1)
}

func startHAProxy(ctx context.Context, b *inside, ns *netns.Namespace, config string, threads int) error {
	file := filepath.Join(b.scratch, ns.Name()+".cfg")
	text := fmt.Sprintf(`global
	nbthread %d
	maxconn 4096
defaults
	mode http
	timeout connect 5s
	timeout client 60s
	timeout server 60s
%s`, threads, config)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return err
	}
	_, err := command(ctx, ns, new(bytes.Buffer), "haproxy", "-db", "-f", file)
	return err
}

// plainBalancer is a client, HAProxy and two servers, each in a namespace, joined to HAProxy's by veth pairs; or, routed,
// with one more namespace in the middle that only forwards, which is as many as a VPC has.
func plainBalancer(ctx context.Context, b *inside, prefix string, routed bool) (client *netns.Namespace, url string, err error) {
	var ns [4]*plain
	for i, name := range []string{"haproxy", "client", "one", "two"} {
		if ns[i], err = newPlain(prefix + "-" + name); err != nil {
			return nil, "", err
		}
	}
	net := func(link, last int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, byte(link), byte(last)}), 24)
	}
	proxy, middle, ends := ns[0], ns[0], ns[1:]
	if routed {
		if middle, err = newPlain(prefix + "-router"); err != nil {
			return nil, "", err
		}
		if err := sysctl.Set(middle.ns, []sysctl.Param{{Name: "ipv4.ip_forward", Value: "1"}}); err != nil {
			return nil, "", err
		}
		ends = append(ends, proxy)
	}
	for i, end := range ends {
		if err := middle.join(fmt.Sprintf("eth%d", i), net(i, 1), end, "eth0", net(i, 2)); err != nil {
			return nil, "", err
		}
		if routed {
			if err := end.defaultRoute(net(i, 1).Addr()); err != nil {
				return nil, "", err
			}
		}
	}
	config := "frontend front\n\tbind :80\n\tdefault_backend origins\nbackend origins\n\tbalance roundrobin\n"
	for i, end := range ns[2:] {
		h := host{ns: end.ns, address: net(i+1, 2).Addr()}
		if err := origin(ctx, b, h); err != nil {
			return nil, "", err
		}
		config += fmt.Sprintf("\tserver s%d %s\n", i, netip.AddrPortFrom(h.address, originPort))
	}
	if err := startHAProxy(ctx, b, proxy.ns, config, balancerThreads); err != nil {
		return nil, "", err
	}
	url = "http://10.9.0.1/"
	if routed {
		url = "http://10.9.3.2/"
	}
	return ns[1].ns, url, awaitLoad(ctx, ns[1].ns, url)
}

func awaitLoad(ctx context.Context, ns *netns.Namespace, url string) error {
	return retry(ctx, func() error {
		_, _, err := output(ctx, ns, "curl", "--silent", "--show-error", "--fail", "--max-time", "2", "--noproxy", "*", "--output", "/dev/null", url)
		return err
	})
}

// ownBalancer is a load balancer with a node in each of two zones, two tasks behind it, and the Internet as its client.
func ownBalancer(ctx context.Context, b *inside) (client *netns.Namespace, url string, err error) {
	w, err := newWorld(ctx)
	if err != nil {
		return nil, "", err
	}
	v, err := w.vpc()
	if err != nil {
		return nil, "", err
	}
	front, err := v.group(ingress(80, "0.0.0.0/0"))
	if err != nil {
		return nil, "", err
	}
	back, err := v.group(ingress(originPort, front))
	if err != nil {
		return nil, "", err
	}
	quiet := slog.New(slog.DiscardHandler)
	socket := filepath.Join(b.scratch, "keeper.sock")
	go func() {
		_ = keeper.Run(ctx, keeper.Options{Dir: filepath.Join(b.scratch, "keeper"), Socket: socket, Version: "bench", Logger: quiet})
	}()
	balancers := listener.New(listener.Config{DB: w.db, Tables: w.tables, Dir: filepath.Join(b.scratch, "lb"), Network: w.net,
		Keeper: keeper.NewClient(socket), Threads: balancerThreads, Log: quiet})
	go func() { _ = balancers.Run(ctx) }()

	scope := model.Scope{Account: "000000000000", Region: "us-east-1"}
	id, groupID, public := model.Hex(16), model.Hex(16), netip.MustParseAddr("198.18.0.20")
	group, arn := scope.TargetGroupARN("web", groupID), scope.LoadBalancerARN("web", id)
	var targets []*model.Target
	for i := range 2 {
		h, err := v.attach(v.eni(i, back))
		if err != nil {
			return nil, "", err
		}
		if err := origin(ctx, b, h); err != nil {
			return nil, "", err
		}
		targets = append(targets, &model.Target{TargetGroupARN: group, IP: h.address, Port: originPort, AZ: "us-east-1" + string("ab"[i])})
	}
	lb := &model.LoadBalancer{ARN: arn, ID: id, Name: "web", Type: "application", Scheme: "internet-facing", VPCID: v.id, SecurityGroups: []string{front}, State: model.LBProvisioning}
	err = w.update(func(tx *store.Txn) {
		lb.Zones = nil
		for i := range 2 {
			e := v.eni(i, front)
			e.OwnerKind, e.OwnerID, e.DeviceIndex = model.OwnerLoadBalancer, id, i+1
			z := model.LBZone{AZ: "us-east-1" + string("ab"[i]), SubnetID: e.SubnetID, ENIID: e.ID, IP: e.PrimaryIP()}
			if i == 0 {
				z.PublicIP, e.AutoPublicIP = public, public
			}
			lb.Zones = append(lb.Zones, z)
			w.tables.NetworkInterfaces.Put(tx, e)
		}
		w.tables.LoadBalancers.Put(tx, lb)
		w.tables.TargetGroups.Put(tx, &model.TargetGroup{ARN: group, ID: groupID, Name: "web", TargetType: "ip", Protocol: "HTTP", Port: originPort, VPCID: v.id,
			HealthCheck: model.TargetHealthCheck{Enabled: true, Protocol: "HTTP", Port: "traffic-port", Path: "/", Interval: 30, Timeout: 5, HealthyThreshold: 5, UnhealthyThreshold: 2, Matcher: "200"}})
		w.tables.Listeners.Put(tx, &model.Listener{ARN: scope.ListenerARN("web", id, "aaaa"), LoadBalancerARN: arn, Port: 80, Protocol: "HTTP",
			DefaultActions: []model.Action{{Type: model.ActionForward, Forward: &model.ForwardAction{Groups: []model.WeightedGroup{{TargetGroupARN: group, Weight: 1}}}}}})
		for _, t := range targets {
			w.tables.Targets.Put(tx, t)
		}
	})
	if err != nil {
		return nil, "", err
	}
	deadline := time.Now().Add(30 * time.Second)
	for healthy := 0; healthy < len(targets); time.Sleep(20 * time.Millisecond) {
		healthy = 0
		for _, t := range targets {
			if h, ok := w.tables.TargetHealth.Get(w.db.View(), t.Key()); ok && h.State == model.TargetHealthy {
				healthy++
			}
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return nil, "", fmt.Errorf("only %d targets are healthy", healthy)
		}
	}
	edge, err := netns.Open(model.EdgeNetns)
	if err != nil {
		return nil, "", err
	}
	url = "http://" + public.String() + "/"
	return edge, url, awaitLoad(ctx, edge, url)
}
