package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/neargate/neargate/internal/linux/netns"
	"github.com/neargate/neargate/internal/linux/sysctl"
	"github.com/neargate/neargate/internal/model"
)

const (
	// A run is some slices, and every path has its slice before the next one's turn: what else the machine does then
	// meets all of them. A run's figure is the median of its slices.
	slicesPerRun = 4
	transfer     = 1 << 30 // bytes of one slice
	roundTrips   = 5_000   // of one slice
	streamPort   = 5201
	pingPort     = 7000

	manyENIs  = 500
	manyRules = 1000
)

// path is two hosts between which packets go.
type path struct {
	name           string
	client, server host
}

// packets measures a bare veth pair, two tasks of a VPC with one rule each, and two of a VPC with many, in turn.
func packets(ctx context.Context, b *inside) ([]Row, error) {
	w, err := newWorld(ctx)
	if err != nil {
		return nil, err
	}
	bare, err := barePath()
	if err != nil {
		return nil, err
	}
	few, err := w.tasksPath("2 ENIs, 1 rule", 0, 0)
	if err != nil {
		return nil, err
	}
	many, err := w.tasksPath("500 ENIs, 1,000 rules", manyENIs, manyRules)
	if err != nil {
		return nil, err
	}
	routed, err := routedPath()
	if err != nil {
		return nil, err
	}
	paths := []*path{bare, few, many, routed}
	for _, p := range paths {
		if err := p.answer(ctx); err != nil {
			return nil, err
		}
	}
	var gbits, cpu, trip [4][]float64
	for run := range b.runs {
		var slice [4]struct{ gbits, cpu, trip []float64 }
		for turn := range slicesPerRun * len(paths) {
			i := (turn + turn/len(paths)) % len(paths) // nobody is always the first
			rate, seconds, err := paths[i].stream(ctx, b)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", paths[i].name, err)
			}
			us, err := paths[i].roundTrip(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", paths[i].name, err)
			}
			s := &slice[i]
			s.gbits, s.cpu, s.trip = append(s.gbits, rate), append(s.cpu, seconds), append(s.trip, us)
		}
		for i, s := range slice {
			say("  run %d, %-22s %6.2f Gbit/s  %.3f CPU s/GB  %.2f us round trip", run+1, paths[i].name+":", median(s.gbits), median(s.cpu), median(s.trip))
			gbits[i], cpu[i], trip[i] = append(gbits[i], median(s.gbits)), append(cpu[i], median(s.cpu)), append(trip[i], median(s.trip))
		}
	}
	compare := func(name, unit string, own, base []float64, l limit) Row {
		return (&pairs{own: own, base: base}).row(name, unit, l)
	}
	return []Row{
		compare("TCP throughput, task to task / bare veth pair", "Gbit/s", gbits[1], gbits[0], limit{AtLeast: 0.85}),
		compare("round trip, task to task / bare veth pair", "us", trip[1], trip[0], limit{AtMost: 1.2}),
		compare("CPU per GB, 1,000 rules and 500 ENIs / 1 rule, 2 ENIs", "s", cpu[2], cpu[1], limit{AtMost: 1.05}),
		compare("round trip, 1,000 rules and 500 ENIs / 1 rule, 2 ENIs", "us", trip[2], trip[1], limit{AtMost: 1.05}),
		compare("TCP throughput, task to task / plain router", "Gbit/s", gbits[1], gbits[3], limit{}),
		compare("round trip, task to task / plain router", "us", trip[1], trip[3], limit{}),
		compare("CPU per GB, task to task / plain router", "s", cpu[1], cpu[3], limit{}),
	}, nil
}

// barePath is two namespaces with a veth pair between them and nothing else.
func barePath() (*path, error) {
	server, err := newPlain("bare-server")
	if err != nil {
		return nil, err
	}
	client, err := newPlain("bare-client")
	if err != nil {
		return nil, err
	}
	a, b := netip.MustParsePrefix("10.9.0.1/24"), netip.MustParsePrefix("10.9.0.2/24")
	if err := server.join("eth0", a, client, "eth0", b); err != nil {
		return nil, err
	}
	return &path{name: "bare veth pair", server: host{ns: server.ns, address: a.Addr()}, client: host{ns: client.ns, address: b.Addr()}}, nil
}

// routedPath is two namespaces with a third one between them that forwards and does nothing else: what is left of the
// difference between it and a VPC is ours.
func routedPath() (*path, error) {
	router, err := newPlain("routed-router")
	if err != nil {
		return nil, err
	}
	if err := sysctl.Set(router.ns, []sysctl.Param{{Name: "ipv4.ip_forward", Value: "1"}}); err != nil {
		return nil, err
	}
	var ends [2]host
	for i := range ends {
		net := func(last byte) netip.Prefix {
			return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 10, byte(i), last}), 24)
		}
		end, err := newPlain(fmt.Sprintf("routed-%d", i))
		if err != nil {
			return nil, err
		}
		if err := router.join(fmt.Sprintf("eth%d", i), net(1), end, "eth0", net(2)); err != nil {
			return nil, err
		}
		if err := end.defaultRoute(net(1).Addr()); err != nil {
			return nil, err
		}
		ends[i] = host{ns: end.ns, address: net(2).Addr()}
	}
	return &path{name: "plain router", client: ends[0], server: ends[1]}, nil
}

// tasksPath is two tasks in two subnets. The server's group has a rule by which the client may come, after that many
// others, and is that of as many other ENIs.
func (w *world) tasksPath(name string, enis, rules int) (*path, error) {
	v, err := w.vpc()
	if err != nil {
		return nil, err
	}
	front, err := v.group()
	if err != nil {
		return nil, err
	}
	all := []model.SecurityGroupRule{{Protocol: model.ProtoTCP, From: streamPort, To: pingPort, RefGroupID: front}}
	for i := range rules {
		all = append(all, model.SecurityGroupRule{Protocol: model.ProtoTCP, From: 1000 + i, To: 1000 + i,
			CIDR: netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 16, byte(i >> 8), byte(i)}), 24+i%9).Masked()})
	}
	back, err := v.group(all...)
	if err != nil {
		return nil, err
	}
	if err := v.crowd(max(enis-2, 0), front, back); err != nil {
		return nil, err
	}
	p := &path{name: name}
	if p.client, err = v.attach(v.eni(0, front)); err != nil {
		return nil, err
	}
	p.server, err = v.attach(v.eni(1, back))
	return p, err
}

// command is a program that runs in a namespace and ends with the benchmark. It has a session of its own, as daemons and
// containers have: where the kernel groups processes by session to share the processor among them (sched_autogroup), a
// baseline in one group with its client would be compared with a load balancer that is not.
func command(ctx context.Context, ns *netns.Namespace, out *bytes.Buffer, name string, args ...string) (*exec.Cmd, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd, ns.Do(cmd.Start)
}

// output runs a program in a namespace.
func output(ctx context.Context, ns *netns.Namespace, name string, args ...string) (string, *exec.Cmd, error) {
	var out bytes.Buffer
	cmd, err := command(ctx, ns, &out, name, args...)
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Wait(); err != nil {
		return out.String(), cmd, fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(out.String()))
	}
	return out.String(), cmd, nil
}

// answer starts the server of the round trips.
func (p *path) answer(ctx context.Context) error {
	_, err := command(ctx, p.server.ns, new(bytes.Buffer), "/proc/self/exe", argPong, netip.AddrPortFrom(p.server.address, pingPort).String())
	if err != nil {
		return err
	}
	return retry(ctx, func() error {
		_, _, err := output(ctx, p.client.ns, "/proc/self/exe", argPing, netip.AddrPortFrom(p.server.address, pingPort).String(), "1")
		return err
	})
}

// retry tries again for some seconds: servers need a moment before they listen.
func retry(ctx context.Context, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stream sends a fixed number of bytes over one connection and returns the rate, and the CPU time of both programs and of
// the kernel's softirq threads per gigabyte. What softirqs do on behalf of the programs is in the programs' own time.
func (p *path) stream(ctx context.Context, b *inside) (gbits, cpuPerGB float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var log bytes.Buffer
	server, err := command(ctx, p.server.ns, &log, "iperf3", "--server", "--one-off", "--port", strconv.Itoa(streamPort))
	if err != nil {
		return 0, 0, err
	}
	var doc struct {
		Error string `json:"error"`
		End   struct {
			Received struct {
				BitsPerSecond float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		} `json:"end"`
	}
	var client *exec.Cmd
	kernel := b.kernelSeconds()
	err = retry(ctx, func() error {
		var out string
		out, client, err = output(ctx, p.client.ns, "iperf3", "--client", p.server.address.String(), "--port", strconv.Itoa(streamPort), "--bytes", strconv.Itoa(transfer), "--json")
		if err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(out), &doc); err != nil {
			return fmt.Errorf("read iperf3's answer: %w", err)
		}
		if doc.Error != "" { // it says so with exit code 0
			said := doc.Error
			doc.Error = ""
			return fmt.Errorf("iperf3: %s", said)
		}
		return nil
	})
	if err != nil {
		return 0, 0, errors.Join(err, server.Process.Kill())
	}
	if err := server.Wait(); err != nil {
		return 0, 0, fmt.Errorf("iperf3 server: %w: %s", err, log.String())
	}
	seconds := b.kernelSeconds() - kernel
	for _, c := range []*exec.Cmd{client, server} {
		seconds += c.ProcessState.UserTime().Seconds() + c.ProcessState.SystemTime().Seconds()
	}
	return doc.End.Received.BitsPerSecond / 1e9, seconds / (transfer / 1e9), nil
}

// roundTrip returns the median time of a byte's way there and back, in microseconds.
func (p *path) roundTrip(ctx context.Context) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	out, _, err := output(ctx, p.client.ns, "/proc/self/exe", argPing, netip.AddrPortFrom(p.server.address, pingPort).String(), strconv.Itoa(roundTrips))
	if err != nil {
		return 0, err
	}
	ns, err := strconv.ParseFloat(strings.TrimSpace(out), 64)
	return ns / 1000, err
}
