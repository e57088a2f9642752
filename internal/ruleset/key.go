package ruleset

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Type is the type of one field of a set's key.
type Type uint8

// The types, named after nft's.
const (
	IfName Type = iota
	IPv4
	IPv6
	Proto
	Port
	ICMPType
	ICMPCode
	ICMP6Type
	ICMP6Code
	Mark32
)

var types = [...]struct {
	name string
	size int
}{
	IfName: {"ifname", 16}, IPv4: {"ipv4_addr", 4}, IPv6: {"ipv6_addr", 16}, Proto: {"inet_proto", 1}, Port: {"inet_service", 2},
	ICMPType: {"icmp_type", 1}, ICMPCode: {"icmp_code", 1}, ICMP6Type: {"icmpv6_type", 1}, ICMP6Code: {"icmpv6_code", 1}, Mark32: {"mark", 4},
}

// String returns nft's name of the type.
func (t Type) String() string { return types[t].name }

// Size returns how many bytes a value has.
func (t Type) Size() int { return types[t].size }

// Padded returns how many bytes a value takes in a key of several fields.
func (t Type) Padded() int { return (t.Size() + 3) &^ 3 }

// Key builds a key field by field, as the kernel lays it out: in a key of several fields, each begins at a multiple
// of four bytes. A key of one field is not padded.
type Key struct{ b []byte }

// NewKey returns an empty key.
func NewKey() *Key { return &Key{b: make([]byte, 0, 24)} }

// If appends an interface name.
func (k *Key) If(name string) *Key {
	var b [16]byte
	copy(b[:15], name)
	k.pad()
	k.b = append(k.b, b[:]...)
	return k
}

// Addr appends an address of either family.
func (k *Key) Addr(a netip.Addr) *Key {
	k.pad()
	k.b = append(k.b, a.AsSlice()...)
	return k
}

// Byte appends a value of one byte: protocol, ICMP type or code.
func (k *Key) Byte(v int) *Key {
	k.pad()
	k.b = append(k.b, byte(v))
	return k
}

// Port appends a port.
func (k *Key) Port(v int) *Key {
	k.pad()
	k.b = binary.BigEndian.AppendUint16(k.b, uint16(v))
	return k
}

// Mark appends a mark, in the host's byte order.
func (k *Key) Mark(v uint32) *Key {
	k.pad()
	k.b = binary.NativeEndian.AppendUint32(k.b, v)
	return k
}

func (k *Key) pad() {
	for len(k.b)%4 != 0 {
		k.b = append(k.b, 0)
	}
}

// Single returns the key of a set with one field.
func (k *Key) Single() string { return string(k.b) }

// Concat returns the key of a set with several fields.
func (k *Key) Concat() string {
	k.pad()
	return string(k.b)
}

// IfKey returns the one-field key of an interface.
func IfKey(name string) string { return NewKey().If(name).Single() }

// AddrKey returns the one-field key of an address.
func AddrKey(a netip.Addr) string { return string(a.AsSlice()) }

// MarkKey returns the one-field key of a mark.
func MarkKey(v uint32) string { return NewKey().Mark(v).Single() }

// LastAddr returns the last address of a prefix.
func LastAddr(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// split cuts a key into the bytes of its fields.
func split(types []Type, key string) []string {
	if len(types) == 1 {
		return []string{key}
	}
	parts := make([]string, 0, len(types))
	for _, t := range types {
		parts = append(parts, key[:t.Size()])
		key = key[t.Padded():]
	}
	return parts
}

// Contains reports whether key lies within the element's key or range, field by field.
func (e *Element) Contains(types []Type, key string) bool {
	if e.End == "" {
		return e.Key == key
	}
	off := 0
	for _, t := range types {
		field := key[off : off+t.Size()]
		if field < e.Key[off:off+t.Size()] || field > e.End[off:off+t.Size()] {
			return false
		}
		off += t.Padded()
	}
	return true
}

// text returns a value as nft reads it.
func (t Type) text(b string) string {
	switch t {
	case IfName:
		return strconv.Quote(strings.TrimRight(b, "\x00"))
	case IPv4, IPv6:
		a, _ := netip.AddrFromSlice([]byte(b))
		return a.String()
	case Port:
		return strconv.Itoa(int(binary.BigEndian.Uint16([]byte(b))))
	case Mark32:
		return markText(binary.NativeEndian.Uint32([]byte(b)))
	default:
		return strconv.Itoa(int(b[0]))
	}
}

func markText(v uint32) string { return fmt.Sprintf("0x%08x", v) }

// keyText returns an element's key or range as nft reads it.
func keyText(types []Type, e *Element) string {
	from := split(types, e.Key)
	var to []string
	if e.End != "" {
		to = split(types, e.End)
	}
	parts := make([]string, 0, len(types))
	for i, t := range types {
		s := t.text(from[i])
		if to != nil && to[i] != from[i] {
			s += "-" + t.text(to[i])
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, " . ")
}
