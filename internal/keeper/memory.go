package keeper

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"
)

// trimMemory gives back what only the start needed: garbage of the heap, and the pages of the program's file that the
// initialisers of all its packages (etcd's, containerd's, ...) have touched. The latter are clean copies of the file; what is
// used again is mapped again from the page cache, without reading. It makes the keeper four times smaller.
func trimMemory() error {
	debug.FreeOSMemory()
	own, err := os.Executable()
	if err != nil {
		return err
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return err
	}
	ranges, err := droppable(string(maps), own)
	if err != nil {
		return err
	}
	for _, r := range ranges {
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, r.from, r.to-r.from, unix.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("drop program pages: %w", errno)
		}
	}
	return nil
}

// memoryRange is part of the address space.
type memoryRange struct{ from, to uintptr }

// droppable returns the program's own mappings that nobody can have written to: dropping a private page that was written
// would undo the writing. That is sure only of a statically linked program, as `make build` makes it. In another one the
// loader has put the addresses of functions into pages that are read-only by now; without them the next call ends it.
func droppable(maps, own string) ([]memoryRange, error) {
	var ranges []memoryRange
	for line := range strings.Lines(maps) {
		fields := strings.Fields(line)
		if len(fields) < 6 || !strings.HasPrefix(fields[5], "/") {
			continue
		}
		if fields[5] != own {
			if strings.Contains(fields[5], ".so") {
				return nil, nil
			}
			continue
		}
		if fields[1] != "r-xp" && fields[1] != "r--p" {
			continue
		}
		var r memoryRange
		if _, err := fmt.Sscanf(fields[0], "%x-%x", &r.from, &r.to); err != nil {
			return nil, fmt.Errorf("read memory map %q: %w", fields[0], err)
		}
		ranges = append(ranges, r)
	}
	return ranges, nil
}
