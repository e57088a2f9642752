package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/neargate/neargate/internal/ruleset"
)

// InterfaceCounters returns the packets counted by each element of a counted set whose key is an interface name.
func (c *Conn) InterfaceCounters(set string) (map[string]uint64, error) {
	out := map[string]uint64{}
	err := c.dumpElements(set, func(key []byte, packets uint64) {
		out[strings.TrimRight(string(key), "\x00")] = packets
	})
	if err != nil {
		return nil, fmt.Errorf("read counters %s in %s: %w", set, c.name, err)
	}
	return out, nil
}

func (c *Conn) dumpElements(set string, each func(key []byte, packets uint64)) error {
	c.seq++
	var m msgBuf
	end := m.header(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETSETELEM, unix.NLM_F_DUMP, unix.NFPROTO_INET, 0)
	m.str(unix.NFTA_SET_ELEM_LIST_TABLE, ruleset.TableName)
	m.str(unix.NFTA_SET_ELEM_LIST_SET, set)
	end()
	binary.NativeEndian.PutUint32(m.b[8:], c.seq)
	if err := c.send(m.b); err != nil {
		return err
	}
	for {
		msgs, err := c.receive()
		if err != nil {
			return err
		}
		for _, msg := range msgs {
			if msg.Header.Sequence != c.seq {
				continue
			}
			switch msg.Header.Type {
			case unix.NLMSG_DONE:
				return nil
			case unix.NLMSG_ERROR:
				if len(msg.Data) >= 4 {
					if code := -int32(nativeUint32(msg.Data)); code != 0 {
						return syscall.Errno(code)
					}
				}
				return errors.New("no elements")
			}
			if len(msg.Data) > 4 {
				parseElements(msg.Data[4:], each)
			}
		}
	}
}

// parseElements walks list -> element -> key and counter. Malformed input ends the walk.
func parseElements(b []byte, each func(key []byte, packets uint64)) {
	walk(b, func(kind int, list []byte) {
		if kind != unix.NFTA_SET_ELEM_LIST_ELEMENTS {
			return
		}
		walk(list, func(_ int, elem []byte) {
			var key []byte
			var packets uint64
			walk(elem, func(kind int, b []byte) {
				switch kind {
				case unix.NFTA_SET_ELEM_KEY:
					walk(b, func(kind int, b []byte) {
						if kind == unix.NFTA_DATA_VALUE {
							key = b
						}
					})
				case unix.NFTA_SET_ELEM_EXPR:
					walk(b, func(kind int, b []byte) {
						if kind != unix.NFTA_EXPR_DATA {
							return
						}
						walk(b, func(kind int, b []byte) {
							if kind == unix.NFTA_COUNTER_PACKETS && len(b) >= 8 {
								packets = binary.BigEndian.Uint64(b)
							}
						})
					})
				}
			})
			if key != nil {
				each(key, packets)
			}
		})
	})
}

// walk calls fn for each attribute.
func walk(b []byte, fn func(kind int, value []byte)) {
	for len(b) >= 4 {
		size := int(nativeUint16(b))
		if size < 4 || size > len(b) {
			return
		}
		fn(int(nativeUint16(b[2:])&^unix.NLA_F_NESTED&^unix.NLA_F_NET_BYTEORDER), b[4:size])
		b = b[min(align(size), len(b)):]
	}
}
