package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/neargate/neargate/internal/linux/netns"
	"github.com/neargate/neargate/test/harness"
)

const (
	groupMembers = 500
	probePort    = 9999
	probeEvery   = 250 * time.Microsecond
	probeFor     = 600 * time.Millisecond // after the call has returned
)

// ruleChange measures from the return of AuthorizeSecurityGroupIngress and RevokeSecurityGroupIngress until new flows are
// decided by the new rules, for a group of 500 ENIs. One of the members is a task that receives datagrams of another
// task; all others are the API's records, in the same sets of the same packet filter, which changes in one transaction:
// all members get the rule in the same instant.
func ruleChange(ctx context.Context, d *daemon, runs int) (_ []Row, err error) {
	g, err := d.prepare(ctx)
	if err != nil {
		return nil, err
	}
	s := &script{ctx: ctx, d: d}
	end := &script{ctx: context.WithoutCancel(ctx), d: d}
	members := s.call("ec2", "CreateSecurityGroup", "GroupId", map[string]any{"GroupName": "members", "Description": "500 members", "VpcId": g.vpc})
	var enis []string
	var tasks []string
	defer func() {
		for _, arn := range tasks {
			end.err = errors.Join(end.err, d.stopTask(end.ctx, g, arn))
		}
		for _, id := range enis {
			end.call("ec2", "DeleteNetworkInterface", "", map[string]any{"NetworkInterfaceId": id})
		}
		if end.err == nil {
			end.err = retry(end.ctx, func() error {
				_, err := d.call(end.ctx, "ec2", "DeleteSecurityGroup", "", map[string]any{"GroupId": members})
				return err
			})
		}
		err = errors.Join(err, end.err)
	}()
	for range groupMembers - 1 {
		id := s.call("ec2", "CreateNetworkInterface", "NetworkInterface.NetworkInterfaceId", map[string]any{"SubnetId": g.subnet, "Groups": []string{members}})
		if s.err != nil {
			return nil, s.err
		}
		enis = append(enis, id)
	}
	var ns [2]*netns.Namespace
	for i, group := range []string{g.group, members} {
		arn, err := d.startTask(ctx, g, group)
		if arn != "" {
			tasks = append(tasks, arn)
		}
		if err != nil {
			return nil, err
		}
		if ns[i], err = netns.Open(harness.From("task:" + taskID(arn))); err != nil {
			return nil, err
		}
		defer ns[i].Close()
	}
	text := s.call("ecs", "DescribeTasks", "Tasks[0].Containers[0].NetworkInterfaces[0].PrivateIpv4Address", map[string]any{"Cluster": g.cluster, "Tasks": []string{tasks[1]}})
	if s.err != nil {
		return nil, s.err
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return nil, fmt.Errorf("address of the receiving task: %w", err)
	}
	p := &probe{from: ns[0], to: ns[1], target: netip.AddrPortFrom(address, probePort)}
	rule := map[string]any{"GroupId": members, "IpPermissions": []map[string]any{{"IpProtocol": "udp", "FromPort": probePort, "ToPort": probePort, "UserIdGroupPairs": []map[string]any{{"GroupId": g.group}}}}}
	var authorised, revoked []float64
	for run := range runs {
		on, err := p.measure(ctx, func() error {
			_, err := d.call(ctx, "ec2", "AuthorizeSecurityGroupIngress", "", rule)
			return err
		}, firstThrough)
		if err != nil {
			return nil, fmt.Errorf("authorize: %w", err)
		}
		off, err := p.measure(ctx, func() error {
			_, err := d.call(ctx, "ec2", "RevokeSecurityGroupIngress", "", rule)
			return err
		}, lastThrough)
		if err != nil {
			return nil, fmt.Errorf("revoke: %w", err)
		}
		say("  run %d: authorised %.1f ms, revoked %.1f ms after the call", run+1, on, off)
		authorised, revoked = append(authorised, on), append(revoked, off)
	}
	return []Row{
		values("rule authorised, in force for 500 members", "ms", authorised, limit{AtMost: 100}),
		values("rule revoked, in force for 500 members", "ms", revoked, limit{AtMost: 100}),
	}, nil
}

// probe sends numbered datagrams from one namespace to another, each from a port of its own and so a flow of its own.
type probe struct {
	from, to *netns.Namespace
	target   netip.AddrPort
}

// firstThrough and lastThrough say when the datagram was sent that was the first, or the last, to arrive.
func firstThrough(sent []time.Time, arrived map[uint32]bool) (time.Time, bool) {
	for i, at := range sent {
		if arrived[uint32(i)] {
			return at, true
		}
	}
	return time.Time{}, false
}

func lastThrough(sent []time.Time, arrived map[uint32]bool) (time.Time, bool) {
	for i := len(sent) - 1; i >= 0; i-- {
		if arrived[uint32(i)] {
			return sent[i], i < len(sent)-1 // the very last one says that it goes on
		}
	}
	return time.Time{}, false
}

// measure sends datagrams while change is made, and for a while after it, and returns how many milliseconds after the
// return of change the turning point was; what was in force before the return counts as 0.
func (p *probe) measure(ctx context.Context, change func() error, turn func([]time.Time, map[uint32]bool) (time.Time, bool)) (float64, error) {
	listener, err := p.to.ListenPacket(ctx, "udp4", p.target.String())
	if err != nil {
		return 0, err
	}
	arrived := map[uint32]bool{}
	var receiving sync.WaitGroup
	receiving.Go(func() {
		buf := make([]byte, 64)
		for {
			n, _, err := listener.ReadFrom(buf)
			if err != nil {
				return
			}
			if n == 4 {
				arrived[binary.BigEndian.Uint32(buf)] = true
			}
		}
	})
	var sent []time.Time
	var sendErr error
	stop := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() { sent, sendErr = p.send(stop) })
	time.Sleep(20 * time.Millisecond) // some before the change
	err = change()
	returned := time.Now()
	time.Sleep(probeFor)
	close(stop)
	sending.Wait()
	time.Sleep(20 * time.Millisecond) // what is on its way
	listener.Close()
	receiving.Wait()
	if err = errors.Join(err, sendErr); err != nil {
		return 0, err
	}
	at, ok := turn(sent, arrived)
	if !ok {
		return 0, fmt.Errorf("not in force %v after the call: %d of %d datagrams arrived", probeFor, len(arrived), len(sent))
	}
	return max(0, float64(at.Sub(returned).Microseconds())/1000), nil
}

// send sends until told to stop, and returns when each datagram was sent.
func (p *probe) send(stop <-chan struct{}) (sent []time.Time, err error) {
	to := &unix.SockaddrInet4{Port: int(p.target.Port()), Addr: p.target.Addr().As4()}
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	err = p.from.Do(func() error {
		for {
			select {
			case <-stop:
				return nil
			case <-tick.C:
			}
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			at := time.Now()
			err = unix.Sendto(fd, binary.BigEndian.AppendUint32(nil, uint32(len(sent))), 0, to)
			_ = unix.Close(fd)
			if err != nil {
				return fmt.Errorf("send: %w", err)
			}
			sent = append(sent, at)
		}
	})
	return sent, err
}
