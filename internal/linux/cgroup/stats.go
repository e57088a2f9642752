package cgroup

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Stats is what a group has used so far, and uses now.
type Stats struct {
	Read             time.Time
	CPU              time.Duration
	CPUUser          time.Duration
	CPUSystem        time.Duration
	Periods          uint64 // bandwidth periods that have passed
	ThrottledPeriods uint64
	ThrottledTime    time.Duration
	Memory           uint64
	MemoryPeak       uint64
	MemoryLimit      uint64 // 0 is none
	MemoryDetail     map[string]uint64
	Pids             uint64
	ReadBytes        uint64 // block devices
	WriteBytes       uint64
	OOMKills         uint64
}

// unlimited is above any limit that someone means: v1 shows "none" as the largest multiple of a page.
const unlimited = math.MaxInt64 / 2

// Stats reads the group's counters. It is fs.ErrNotExist if the group is not there.
func (t *Tree) Stats(group string) (Stats, error) {
	if err := checkGroup(group); err != nil {
		return Stats{}, err
	}
	if t.version == V2 {
		return t.statsV2(group)
	}
	return t.statsV1(group)
}

// OOMKills returns how many processes of this group itself the kernel has killed for lack of memory, whichever group's
// limit was the reason.
func (t *Tree) OOMKills(group string) (uint64, error) {
	if err := checkGroup(group); err != nil {
		return 0, err
	}
	file := filepath.Join(t.controllers["memory"], group, "memory.oom_control")
	if t.version == V2 {
		file = filepath.Join(t.mounts[0], group, "memory.events.local")
	}
	values, err := readKeyed(file)
	if t.version == V2 && errors.Is(err, fs.ErrNotExist) {
		values, err = readKeyed(filepath.Join(t.mounts[0], group, "memory.events"))
	}
	if err != nil {
		return 0, err
	}
	return values["oom_kill"], nil
}

func (t *Tree) statsV1(group string) (Stats, error) {
	in := func(controller, file string) string {
		return filepath.Join(t.controllers[controller], group, file)
	}
	s := Stats{Read: time.Now().UTC()}
	usage, err := readNumber(in("memory", "memory.usage_in_bytes"))
	if err != nil {
		return Stats{}, err
	}
	s.Memory = usage
	s.MemoryPeak, _ = readNumber(in("memory", "memory.max_usage_in_bytes"))
	if limit, err := readNumber(in("memory", "memory.limit_in_bytes")); err == nil && limit < unlimited {
		s.MemoryLimit = limit
	}
	s.MemoryDetail, _ = readKeyed(in("memory", "memory.stat"))
	cpu, _ := readNumber(in("cpuacct", "cpuacct.usage"))
	user, _ := readNumber(in("cpuacct", "cpuacct.usage_user"))
	system, _ := readNumber(in("cpuacct", "cpuacct.usage_sys"))
	s.CPU, s.CPUUser, s.CPUSystem = time.Duration(cpu), time.Duration(user), time.Duration(system)
	if stat, err := readKeyed(in("cpu", "cpu.stat")); err == nil {
		s.Periods, s.ThrottledPeriods = stat["nr_periods"], stat["nr_throttled"]
		s.ThrottledTime = time.Duration(stat["throttled_time"])
	}
	s.Pids, _ = readNumber(in("pids", "pids.current"))
	if data, err := os.ReadFile(in("blkio", "blkio.throttle.io_service_bytes_recursive")); err == nil {
		for _, line := range strings.Split(string(data), "\n") {
			if f := strings.Fields(line); len(f) == 3 {
				n, _ := strconv.ParseUint(f[2], 10, 64)
				switch f[1] {
				case "Read":
					s.ReadBytes += n
				case "Write":
					s.WriteBytes += n
				}
			}
		}
	}
	s.OOMKills, _ = t.OOMKills(group)
	return s, nil
}

func (t *Tree) statsV2(group string) (Stats, error) {
	dir := filepath.Join(t.mounts[0], group)
	s := Stats{Read: time.Now().UTC()}
	usage, err := readNumber(filepath.Join(dir, "memory.current"))
	if err != nil {
		return Stats{}, err
	}
	s.Memory = usage
	s.MemoryPeak, _ = readNumber(filepath.Join(dir, "memory.peak"))
	s.MemoryLimit, _ = readNumber(filepath.Join(dir, "memory.max")) // "max" is no number: 0
	s.MemoryDetail, _ = readKeyed(filepath.Join(dir, "memory.stat"))
	if stat, err := readKeyed(filepath.Join(dir, "cpu.stat")); err == nil {
		s.CPU = time.Duration(stat["usage_usec"]) * time.Microsecond
		s.CPUUser = time.Duration(stat["user_usec"]) * time.Microsecond
		s.CPUSystem = time.Duration(stat["system_usec"]) * time.Microsecond
		s.Periods, s.ThrottledPeriods = stat["nr_periods"], stat["nr_throttled"]
		s.ThrottledTime = time.Duration(stat["throttled_usec"]) * time.Microsecond
	}
	s.Pids, _ = readNumber(filepath.Join(dir, "pids.current"))
	if data, err := os.ReadFile(filepath.Join(dir, "io.stat")); err == nil {
		for _, field := range strings.Fields(string(data)) {
			key, value, _ := strings.Cut(field, "=")
			n, _ := strconv.ParseUint(value, 10, 64)
			switch key {
			case "rbytes":
				s.ReadBytes += n
			case "wbytes":
				s.WriteBytes += n
			}
		}
	}
	s.OOMKills, _ = t.OOMKills(group)
	return s, nil
}

func readNumber(file string) (uint64, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
}

// readKeyed reads lines of "key number".
func readKeyed(file string) (map[string]uint64, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	values := map[string]uint64{}
	for _, line := range strings.Split(string(data), "\n") {
		key, value, ok := strings.Cut(line, " ")
		if !ok {
			continue
		}
		if n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 64); err == nil {
			values[key] = n
		}
	}
	return values, nil
}
