package keeper

import (
	"bufio"
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
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return err
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		fields := strings.Fields(sc.Text())
		// Only what cannot have been written to: dropping a private page that was would undo the writing.
		if len(fields) < 6 || fields[5] != own || fields[1] != "r-xp" && fields[1] != "r--p" {
			continue
		}
		var from, to uintptr
		if _, err := fmt.Sscanf(fields[0], "%x-%x", &from, &to); err != nil {
			return fmt.Errorf("read memory map %q: %w", fields[0], err)
		}
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("drop program pages: %w", errno)
		}
	}
	return sc.Err()
}
