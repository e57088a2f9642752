package metadata

import (
	"sync"
	"time"
)

// Stats is what /stats answers: Docker's StatsJSON, with the rates that the ECS agent adds.
type Stats struct {
	Read         time.Time                `json:"read"`
	PreRead      time.Time                `json:"preread"`
	Pids         PidsStats                `json:"pids_stats"`
	Blkio        BlkioStats               `json:"blkio_stats"`
	NumProcs     uint32                   `json:"num_procs"`
	StorageStats struct{}                 `json:"storage_stats"`
	CPU          CPUStats                 `json:"cpu_stats"`
	PreCPU       CPUStats                 `json:"precpu_stats"`
	Memory       MemoryStats              `json:"memory_stats"`
	Name         string                   `json:"name"`
	ID           string                   `json:"id"`
	Networks     map[string]*NetworkStats `json:"networks,omitempty"`
	Rates        *NetworkRates            `json:"network_rate_stats,omitempty"`
}

// PidsStats counts processes.
type PidsStats struct {
	Current uint64 `json:"current,omitempty"`
	Limit   uint64 `json:"limit,omitempty"`
}

// BlkioStats counts block I/O.
type BlkioStats struct {
	ServiceBytes []BlkioEntry `json:"io_service_bytes_recursive"`
	Serviced     []BlkioEntry `json:"io_serviced_recursive"`
	Queue        []BlkioEntry `json:"io_queue_recursive"`
	ServiceTime  []BlkioEntry `json:"io_service_time_recursive"`
	WaitTime     []BlkioEntry `json:"io_wait_time_recursive"`
	Merged       []BlkioEntry `json:"io_merged_recursive"`
	Time         []BlkioEntry `json:"io_time_recursive"`
	Sectors      []BlkioEntry `json:"sectors_recursive"`
}

// BlkioEntry is one device and operation.
type BlkioEntry struct {
	Major uint64 `json:"major"`
	Minor uint64 `json:"minor"`
	Op    string `json:"op"`
	Value uint64 `json:"value"`
}

// CPUStats are CPU counters in nanoseconds.
type CPUStats struct {
	Usage      CPUUsage   `json:"cpu_usage"`
	System     uint64     `json:"system_cpu_usage,omitempty"`
	OnlineCPUs uint32     `json:"online_cpus,omitempty"`
	Throttling Throttling `json:"throttling_data"`
}

// CPUUsage is what the container used.
type CPUUsage struct {
	Total  uint64   `json:"total_usage"`
	PerCPU []uint64 `json:"percpu_usage,omitempty"`
	Kernel uint64   `json:"usage_in_kernelmode"`
	User   uint64   `json:"usage_in_usermode"`
}

// Throttling tells how often the CPU limit was hit.
type Throttling struct {
	Periods          uint64 `json:"periods"`
	ThrottledPeriods uint64 `json:"throttled_periods"`
	ThrottledTime    uint64 `json:"throttled_time"`
}

// MemoryStats are bytes.
type MemoryStats struct {
	Usage    uint64            `json:"usage,omitempty"`
	MaxUsage uint64            `json:"max_usage,omitempty"`
	Stats    map[string]uint64 `json:"stats,omitempty"`
	FailCnt  uint64            `json:"failcnt,omitempty"`
	Limit    uint64            `json:"limit,omitempty"`
}

// NetworkStats are the counters of one interface.
type NetworkStats struct {
	RxBytes   uint64 `json:"rx_bytes"`
	RxPackets uint64 `json:"rx_packets"`
	RxErrors  uint64 `json:"rx_errors"`
	RxDropped uint64 `json:"rx_dropped"`
	TxBytes   uint64 `json:"tx_bytes"`
	TxPackets uint64 `json:"tx_packets"`
	TxErrors  uint64 `json:"tx_errors"`
	TxDropped uint64 `json:"tx_dropped"`
}

// NetworkRates are bytes per second since the sample before.
type NetworkRates struct {
	Rx float64 `json:"rx_bytes_per_sec"`
	Tx float64 `json:"tx_bytes_per_sec"`
}

// minSample is how far apart two samples are at least; what is asked for more often sees the same earlier sample.
const minSample = time.Second

// sampler remembers the sample before, which precpu_stats and the rates are made of. It samples only when asked: an idle
// task costs nothing.
type sampler struct {
	mu   sync.Mutex
	past map[string][2]sample // by container: the newest, and one at least minSample older
}

type sample struct {
	at     time.Time
	cpu    CPUStats
	rx, tx uint64
}

// add files s as the newest sample and returns the one to compare it with; its time is zero if there is none.
func (s *sampler) add(container string, now sample) sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.past == nil {
		s.past = map[string][2]sample{}
	}
	p := s.past[container]
	if now.at.Sub(p[0].at) >= minSample {
		p[1] = p[0]
		p[0] = now
		s.past[container] = p
	}
	return p[1]
}

func (s *Server) containerStats(task *Task, c Container) *Stats {
	if c.Cgroup == "" {
		return nil
	}
	st, err := readCgroup(s.o.CgroupRoot, c.Cgroup)
	if err != nil {
		return nil // it has ended, or not begun: null, as the agent says
	}
	st.Read, st.Name, st.ID = time.Now().UTC(), c.Name, c.DockerID
	now := sample{at: st.Read, cpu: st.CPU}
	if task.interfaces != nil {
		if links, err := task.interfaces(); err == nil {
			st.Networks = map[string]*NetworkStats{}
			for name, n := range links {
				st.Networks[name] = &n
				now.rx += n.RxBytes
				now.tx += n.TxBytes
			}
		}
	}
	if before := task.stats.add(c.ID, now); !before.at.IsZero() {
		st.PreRead, st.PreCPU = before.at, before.cpu
		seconds := now.at.Sub(before.at).Seconds()
		if st.Networks != nil && seconds > 0 && now.rx >= before.rx && now.tx >= before.tx {
			st.Rates = &NetworkRates{Rx: float64(now.rx-before.rx) / seconds, Tx: float64(now.tx-before.tx) / seconds}
		}
	}
	return st
}
