package nft

import (
	"encoding/binary"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Generation returns the number that the kernel raises with each change of any table in the namespace. It tells whether
// somebody else has changed something since.
func (c *Conn) Generation() (uint32, error) {
	c.seq++
	var m msgBuf
	m.header(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETGEN, 0, unix.AF_UNSPEC, 0)
	binary.NativeEndian.PutUint32(m.b[8:], c.seq)
	if err := c.send(m.b); err != nil {
		return 0, err
	}
	for {
		msgs, err := c.receive()
		if err != nil {
			return 0, err
		}
		for _, msg := range msgs {
			if msg.Header.Sequence != c.seq || len(msg.Data) < 4 {
				continue
			}
			if msg.Header.Type == unix.NLMSG_ERROR {
				return 0, fmt.Errorf("read nftables generation in %s: %w", c.name, syscall.Errno(-int32(nativeUint32(msg.Data))))
			}
			var generation uint32
			walk(msg.Data[4:], func(kind int, b []byte) {
				if kind == unix.NFTA_GEN_ID && len(b) >= 4 {
					generation = binary.BigEndian.Uint32(b)
				}
			})
			return generation, nil
		}
	}
}
