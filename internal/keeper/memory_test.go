package keeper

import "testing"

// A dynamically linked program keeps its pages: the loader has written to read-only ones (seen as SIGSEGV at PC 0).
func TestOnlyAStaticProgramGivesPagesBack(t *testing.T) {
	const static = `00400000-00cf2000 r-xp 00000000 fe:00 1 /bin/neargate
00cf2000-01600000 r--p 008f2000 fe:00 1 /bin/neargate
01600000-01700000 rw-p 01200000 fe:00 1 /bin/neargate
7f0000000000-7f0000001000 rw-p 00000000 00:00 0
7ffd00000000-7ffd00002000 r-xp 00000000 00:00 0 [vdso]
`
	got, err := droppable(static, "/bin/neargate")
	if err != nil || len(got) != 2 || got[0] != (memoryRange{from: 0x400000, to: 0xcf2000}) {
		t.Errorf("static: %x, %v", got, err)
	}
	got, err = droppable(static+"7f0000100000-7f0000200000 r-xp 00000000 fe:00 2 /lib/x86_64-linux-gnu/libc.so.6\n", "/bin/neargate")
	if err != nil || len(got) != 0 {
		t.Errorf("dynamic: %x, %v", got, err)
	}
}
