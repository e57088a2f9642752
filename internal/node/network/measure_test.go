package network

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/neargate/neargate/internal/linux/link"
	"github.com/neargate/neargate/internal/linux/netns"
	"github.com/neargate/neargate/internal/testkit/nettest"
)

var measure = flag.Bool("measure", false, "measure throughput and round trips against a bare veth pair (half a minute)")

const (
	rounds  = 5
	seconds = 2
)

// pair is a server and a client, and how the client names the server.
type pair struct {
	name           string
	server, client *netns.Namespace
	address        netip.Addr
}

// start runs a server until the test ends.
func (p *pair) start(t *testing.T, program string, args ...string) {
	cmd := exec.Command(program, args...)
	if err := p.server.Do(cmd.Start); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Signal(syscall.SIGKILL); _ = cmd.Wait() })
}

// barePair is two namespaces with a veth pair between them and nothing else.
func barePair(t *testing.T) *pair {
	p := &pair{name: "bare veth pair", server: nettest.Namespace(t, "ng-bare-server"), client: nettest.Namespace(t, "ng-bare-client"), address: netip.MustParseAddr("10.9.0.1")}
	a, err := link.Open(p.server)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := link.Open(p.client)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := a.EnsureVeth(link.End{Name: "eth0", MAC: gatewayMAC}, b, link.End{Name: "eth0", MAC: edgeMAC}, eniMTU); err != nil {
		t.Fatal(err)
	}
	nettest.Exec(t, p.server, "ip", "addr", "add", "10.9.0.1/24", "dev", "eth0")
	nettest.Exec(t, p.client, "ip", "addr", "add", "10.9.0.2/24", "dev", "eth0")
	return p
}

// vpcPair is a task in each of two subnets, with that many other ENIs and rules.
func vpcPair(t *testing.T, name string, enis, rules int) *pair {
	w := newWorld(t)
	v := w.vpc("10.0.0.0/16")
	front := w.group(v, egressAll())
	back := w.group(v, egressAll(), ingressTCP(5201, front), ingressTCP(19765, front), ingressTCP(19766, front))
	w.manyRules(v, back, rules)
	w.crowd(v, enis, front, back)
	a, b := w.task(v, 0, front), w.task(v, 1, back)
	return &pair{name: name, server: b.ns, client: a.ns, address: b.ip}
}

func (p *pair) throughput(t *testing.T) (bitsPerSecond, cpuPerGigabyte float64) {
	out := nettest.Exec(t, p.client, "iperf3", "-c", p.address.String(), "-t", strconv.Itoa(seconds), "-J")
	var doc struct {
		End struct {
			Received struct {
				BitsPerSecond float64 `json:"bits_per_second"`
				Bytes         float64
			} `json:"sum_received"`
			CPU struct {
				Host   float64 `json:"host_total"`
				Remote float64 `json:"remote_total"`
			} `json:"cpu_utilization_percent"`
		}
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatal(err)
	}
	cpu := (doc.End.CPU.Host + doc.End.CPU.Remote) / 100 * seconds
	return doc.End.Received.BitsPerSecond, cpu / (doc.End.Received.Bytes / 1e9)
}

var latency = regexp.MustCompile(`latency\s+=\s+([0-9.]+) us`)

func (p *pair) roundTrip(t *testing.T) float64 {
	out := nettest.Exec(t, p.client, "qperf", p.address.String(), "-t", strconv.Itoa(seconds), "-ip", "19766", "tcp_lat")
	m := latency.FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no latency in %q", out)
	}
	us, _ := strconv.ParseFloat(m[1], 64)
	return us
}

// TestMeasure prints medians of interleaved runs, and their ratios to the first pair's.
func TestMeasure(t *testing.T) {
	if !*measure {
		t.Skip("only with -measure")
	}
	nettest.Tool(t, "iperf3")
	nettest.Tool(t, "qperf")
	pairs := []*pair{barePair(t), vpcPair(t, "2 ENIs, 1 rule", 0, 1)}
	var gbits, cpu, rtt [3][]float64
	big := func() *pair { return vpcPair(t, "500 ENIs, 1,000 rules", 500, 1000) }
	pairs = append(pairs, big())
	for _, p := range pairs {
		p.start(t, "iperf3", "-s")
		p.start(t, "qperf")
		waitListening(t, p, 5201)
		waitListening(t, p, 19765)
	}
	for range rounds {
		for i, p := range pairs {
			bits, seconds := p.throughput(t)
			gbits[i] = append(gbits[i], bits/1e9)
			cpu[i] = append(cpu[i], seconds)
			rtt[i] = append(rtt[i], p.roundTrip(t))
		}
	}
	for _, row := range []struct {
		what   string
		values [3][]float64
	}{{"Gbit/s", gbits}, {"CPU s/GB", cpu}, {"us one way", rtt}} {
		base := median(row.values[0])
		for i, p := range pairs {
			m := median(row.values[i])
			fmt.Printf("%-12s %-24s %8.3f  ratio %.3f  spread %.3f-%.3f\n", row.what, p.name, m, m/base, slices.Min(row.values[i]), slices.Max(row.values[i]))
		}
	}
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func waitListening(t *testing.T, p *pair, port int) {
	t.Helper()
	d := netns.Dialer{Namespace: p.server, Timeout: time.Second}
	for deadline := time.Now().Add(ample); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		c, err := d.DialContext(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			c.Close()
			return
		}
	}
	t.Fatalf("nobody listens on port %d", port)
}
