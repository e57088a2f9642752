package metadata

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// userHZ is the unit of /proc/stat and cpuacct.stat: 1/100 s on every Linux that Go runs on.
const nanosPerTick = 1e9 / 100

// readCgroup reads the counters of one cgroup, v2 (a single tree at root) or v1 (a folder per controller).
func readCgroup(root, path string) (*Stats, error) {
	path = filepath.Clean("/" + path)
	st := &Stats{}
	st.CPU.OnlineCPUs = uint32(runtime.NumCPU())
	st.CPU.System = systemCPU()
	var err error
	if _, serr := os.Stat(filepath.Join(root, "cgroup.controllers")); serr == nil {
		err = readV2(filepath.Join(root, path), st)
	} else {
		err = readV1(func(controller string) string { return filepath.Join(root, controller, path) }, st)
	}
	if err != nil {
		return nil, err
	}
	if total := systemMemory(); st.Memory.Limit == 0 || total > 0 && st.Memory.Limit > total {
		st.Memory.Limit = total
	}
	return st, nil
}

func readV1(dir func(controller string) string, st *Stats) error {
	memory, cpuacct, cpu, pids, blkio := dir("memory"), dir("cpuacct"), dir("cpu"), dir("pids"), dir("blkio")
	var err error
	if st.Memory.Usage, err = readNumber(memory, "memory.usage_in_bytes"); err != nil {
		return err
	}
	st.Memory.MaxUsage, _ = readNumber(memory, "memory.max_usage_in_bytes")
	st.Memory.FailCnt, _ = readNumber(memory, "memory.failcnt")
	st.Memory.Limit, _ = readNumber(memory, "memory.limit_in_bytes")
	st.Memory.Stats = readPairs(memory, "memory.stat")
	st.CPU.Usage.Total, _ = readNumber(cpuacct, "cpuacct.usage")
	for _, f := range strings.Fields(readText(cpuacct, "cpuacct.usage_percpu")) {
		n, _ := strconv.ParseUint(f, 10, 64)
		st.CPU.Usage.PerCPU = append(st.CPU.Usage.PerCPU, n)
	}
	ticks := readPairs(cpuacct, "cpuacct.stat")
	st.CPU.Usage.User, st.CPU.Usage.Kernel = ticks["user"]*nanosPerTick, ticks["system"]*nanosPerTick
	throttled := readPairs(cpu, "cpu.stat")
	st.CPU.Throttling = Throttling{
		Periods: throttled["nr_periods"], ThrottledPeriods: throttled["nr_throttled"], ThrottledTime: throttled["throttled_time"],
	}
	st.Pids.Current, _ = readNumber(pids, "pids.current")
	st.Pids.Limit, _ = readNumber(pids, "pids.max")
	st.Blkio.ServiceBytes = readBlkio(readText(blkio, "blkio.throttle.io_service_bytes_recursive"))
	st.Blkio.Serviced = readBlkio(readText(blkio, "blkio.throttle.io_serviced_recursive"))
	return nil
}

func readV2(dir string, st *Stats) error {
	cpu := readPairs(dir, "cpu.stat")
	if cpu == nil {
		return fmt.Errorf("read cgroup %s: %w", dir, os.ErrNotExist)
	}
	st.CPU.Usage = CPUUsage{Total: cpu["usage_usec"] * 1000, User: cpu["user_usec"] * 1000, Kernel: cpu["system_usec"] * 1000}
	st.CPU.Throttling = Throttling{
		Periods: cpu["nr_periods"], ThrottledPeriods: cpu["nr_throttled"], ThrottledTime: cpu["throttled_usec"] * 1000,
	}
	st.Memory.Usage, _ = readNumber(dir, "memory.current")
	st.Memory.MaxUsage, _ = readNumber(dir, "memory.peak")
	st.Memory.Limit, _ = readNumber(dir, "memory.max")
	st.Memory.Stats = readPairs(dir, "memory.stat")
	st.Memory.FailCnt = readPairs(dir, "memory.events")["max"]
	st.Pids.Current, _ = readNumber(dir, "pids.current")
	st.Pids.Limit, _ = readNumber(dir, "pids.max")
	st.Blkio.ServiceBytes, st.Blkio.Serviced = readIOStat(readText(dir, "io.stat"))
	return nil
}

func readText(dir, file string) string {
	data, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return ""
	}
	return string(data)
}

// readNumber reads a file of one number; "max" is 0, for no limit.
func readNumber(dir, file string) (uint64, error) {
	data, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return 0, err
	}
	text := strings.TrimSpace(string(data))
	if text == "max" {
		return 0, nil
	}
	return strconv.ParseUint(text, 10, 64)
}

// readPairs reads lines of "key number"; nil if there is no such file.
func readPairs(dir, file string) map[string]uint64 {
	data, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return nil
	}
	out := map[string]uint64{}
	for line := range strings.Lines(string(data)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseUint(value, 10, 64); ok && err == nil {
			out[key] = n
		}
	}
	return out
}

// readBlkio reads v1's "8:0 Read 4096".
func readBlkio(text string) (entries []BlkioEntry) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) != 3 {
			continue
		}
		e, err := device(f[0])
		if err != nil {
			continue
		}
		e.Op = strings.ToLower(f[1])
		if e.Value, err = strconv.ParseUint(f[2], 10, 64); err == nil {
			entries = append(entries, e)
		}
	}
	return entries
}

// readIOStat reads v2's "8:0 rbytes=1 wbytes=2 rios=3 wios=4 ...".
func readIOStat(text string) (bytes, ios []BlkioEntry) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		e, err := device(f[0])
		if err != nil {
			continue
		}
		for _, pair := range f[1:] {
			key, value, _ := strings.Cut(pair, "=")
			if e.Value, err = strconv.ParseUint(value, 10, 64); err != nil {
				continue
			}
			switch key {
			case "rbytes", "wbytes":
				e.Op = map[string]string{"rbytes": "read", "wbytes": "write"}[key]
				bytes = append(bytes, e)
			case "rios", "wios":
				e.Op = map[string]string{"rios": "read", "wios": "write"}[key]
				ios = append(ios, e)
			}
		}
	}
	return bytes, ios
}

func device(text string) (e BlkioEntry, err error) {
	major, minor, ok := strings.Cut(text, ":")
	if !ok {
		return e, errors.New("no device number")
	}
	if e.Major, err = strconv.ParseUint(major, 10, 64); err != nil {
		return e, err
	}
	e.Minor, err = strconv.ParseUint(minor, 10, 64)
	return e, err
}

// systemCPU returns the host's CPU time of all kinds, in nanoseconds.
func systemCPU() uint64 {
	line, _, _ := strings.Cut(readText("/proc", "stat"), "\n")
	f := strings.Fields(line)
	if len(f) < 8 || f[0] != "cpu" {
		return 0
	}
	var ticks uint64
	for _, v := range f[1:8] { // guest time is part of user time
		n, _ := strconv.ParseUint(v, 10, 64)
		ticks += n
	}
	return ticks * nanosPerTick
}

// systemMemory returns the host's memory in bytes.
func systemMemory() uint64 {
	line, _, _ := strings.Cut(readText("/proc", "meminfo"), "\n")
	f := strings.Fields(line)
	if len(f) < 2 {
		return 0
	}
	n, _ := strconv.ParseUint(f[1], 10, 64)
	return n * 1024
}

// ParseNetDev reads /proc/net/dev without lo.
func ParseNetDev(data []byte) (map[string]NetworkStats, error) {
	out := map[string]NetworkStats{}
	sc := bufio.NewScanner(bytes.NewReader(data))
	for sc.Scan() {
		name, rest, ok := strings.Cut(sc.Text(), ":")
		name = strings.TrimSpace(name)
		if !ok || name == "lo" {
			continue
		}
		f := strings.Fields(rest)
		if len(f) < 12 {
			return nil, fmt.Errorf("interface %s: %d counters", name, len(f))
		}
		var n [12]uint64
		for i := range n {
			var err error
			if n[i], err = strconv.ParseUint(f[i], 10, 64); err != nil {
				return nil, fmt.Errorf("interface %s: %w", name, err)
			}
		}
		out[name] = NetworkStats{
			RxBytes: n[0], RxPackets: n[1], RxErrors: n[2], RxDropped: n[3],
			TxBytes: n[8], TxPackets: n[9], TxErrors: n[10], TxDropped: n[11],
		}
	}
	return out, sc.Err()
}
